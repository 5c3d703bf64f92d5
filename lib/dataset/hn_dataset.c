#include "hn_dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_end(const void *pa, const void *pb)
{
	const struct hn_window *a = pa, *b = pb;

	if (a->stream != b->stream)
		return a->stream < b->stream ? -1 : 1;
	if (a->end_us != b->end_us)
		return a->end_us < b->end_us ? -1 : 1;
	return a->label_id < b->label_id ? -1 : a->label_id > b->label_id;
}

uint32_t hn_dataset_unique(struct hn_window *w, uint32_t n)
{
	uint32_t k = 0;

	if (n == 0)                      /* qsort takes no NULL */
		return 0;
	qsort(w, n, sizeof *w, by_end);
	for (uint32_t i = 0; i < n; i++) {
		if (k > 0 && w[k - 1].stream == w[i].stream && w[k - 1].end_us == w[i].end_us)
			k--;
		w[k++] = w[i];
	}
	return k;
}

/* splitmix64 finaliser: uniform in [0, 1) from (seed, stream, end). */
static double share_of(const struct hn_window *w, const struct hn_split_cfg *cfg)
{
	const int64_t end = cfg->block_us > 0 ? w->end_us / cfg->block_us : w->end_us;
	uint64_t z = cfg->seed * 0x9e3779b97f4a7c15u + (uint64_t)end * 0xd1342543de82ef95u +
	             (uint64_t)w->stream * 0xaf251af3b0f025b5u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static void keep_classes(struct hn_window *w, uint32_t n, int classes)
{
	uint32_t train[HN_CLASSES_MAX] = { 0 };

	for (uint32_t i = 0; i < n; i++)
		train[w[i].label] += w[i].part == HN_TRAIN;
	for (uint32_t i = 0; i < n; i++)
		if (w[i].label < classes && train[w[i].label] == 0 && !w[i].outlier)
			w[i].part = HN_TRAIN;
}

hn_status hn_dataset_split(struct hn_window *w, uint32_t n, const struct hn_split_cfg *cfg,
                           uint32_t counts[HN_PARTS])
{
	uint32_t c[HN_PARTS] = { 0 };

	const double most = cfg->holdout > cfg->holdout_recent ? cfg->holdout : cfg->holdout_recent;

	if (!(cfg->holdout >= 0 && cfg->holdout_recent >= 0 && cfg->valid >= 0 && most + cfg->valid < 1) ||
	    cfg->classes < 1 || cfg->classes > HN_CLASSES_MAX)
		return HN_ERANGE;
	for (uint32_t i = 0; i < n; i++)
		if (w[i].label < 0 || w[i].label >= cfg->classes)
			return HN_ERANGE;
	for (uint32_t i = 0; i < n; i++) {
		const double u = share_of(&w[i], cfg);
		const double held = w[i].recent ? cfg->holdout_recent : cfg->holdout;

		w[i].part = w[i].outlier || u < held ? HN_HOLDOUT : u < held + cfg->valid ? HN_VALID : HN_TRAIN;
	}
	keep_classes(w, n, cfg->classes);
	for (uint32_t i = 0; i < n; i++)
		c[w[i].part]++;
	memcpy(counts, c, sizeof c);
	return HN_OK;
}

struct moments { double sum, mean, s; };

/* Weighted moments of one channel, West 1979 (one pass). */
static void channel_add(struct moments *a, const struct hn_raw *r, uint16_t ch, const float *weight)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const double k = weight ? (double)weight[i] : 1.0;

		for (uint16_t t = 0; t < r->len && k > 0; t++) {
			const double x = r->v[((size_t)i * r->len + t) * r->ch + ch], d = x - a->mean;

			a->sum += k;
			a->mean += d * k / a->sum;
			a->s += k * d * (x - a->mean);
		}
	}
}

hn_status hn_scaler_fit(const struct hn_raw *raw, const float *weight, const struct hn_raw *fresh,
                        struct hn_scaler *s)
{
	struct hn_scaler out = { .n_ch = raw->ch };

	if (raw->ch < 1 || raw->ch > sizeof out.mean / sizeof out.mean[0])
		return HN_ERANGE;
	for (uint16_t c = 0; c < raw->ch; c++) {
		struct moments a = { 0 };

		channel_add(&a, raw, c, weight);
		if (fresh && fresh->n)
			channel_add(&a, fresh, c, NULL);
		if (!(a.sum > 0))
			return HN_EDATA;
		out.mean[c] = (float)nearbyint(a.mean);
		out.std[c] = (float)fmax(sqrt(a.s / a.sum), 1.0);
	}
	*s = out;
	return HN_OK;
}

void hn_scaler_apply(const struct hn_scaler *s, const int32_t *raw, uint16_t len, float *x)
{
	for (uint16_t t = 0; t < len; t++)
		for (uint16_t c = 0; c < s->n_ch; c++) {
			const size_t i = (size_t)t * s->n_ch + c;

			x[i] = (float)(((double)raw[i] - (double)s->mean[c]) / (double)s->std[c]);
		}
}
