/* What the gate decides from when answers are measured: how far the outputs of champion and
 * challenger are from the window, and above which distance a window is an anomaly. */
#include "trainer_fit.h"

#include <math.h>
#include <stdlib.h>

#include "hn_quantile.h"
#include "hn_run.h"

/* What turns an output into counts: those of a version. */
struct grid { const struct hn_scaler *scaler; double scale; int zp; };

struct contest {
	struct fit *f;
	struct runner mine, other;
	struct grid my_grid, other_grid;
	bool has;                        /* there is a champion that fits                         */
	double *distance;                /* (d->n,) of the windows compared; normal ones first    */
	double *odd;                     /* (d->n,) of the windows labelled as anomalies          */
};

/* Mean |window - answer|, in standard deviations of the challenger. */
static double error_of(const struct contest *c, const struct hn_window *w, const int8_t *out,
                       const struct grid *g)
{
	const struct fit *f = c->f;
	const int32_t *raw = f->d->raw + w->at * values_of(f);
	double sum = 0;

	for (size_t i = 0; i < values_of(f); i++) {
		const size_t ch = i % f->d->ch;
		const double y = (double)g->scaler->mean[ch] +
		                 (double)g->scaler->std[ch] * g->scale * (out[i] - g->zp);

		sum += fabs(raw[i] - y) / (double)f->scaler.std[ch];
	}
	return sum / (double)values_of(f);
}

/* The same of an answer that is the mean of each channel. */
static double plain_error(const struct fit *f, const struct hn_window *w)
{
	const int32_t *raw = f->d->raw + w->at * values_of(f);
	double sum = 0;

	for (size_t i = 0; i < values_of(f); i++) {
		const size_t ch = i % f->d->ch;

		sum += fabs(raw[i] - (double)f->scaler.mean[ch]) / (double)f->scaler.std[ch];
	}
	return sum / (double)values_of(f);
}

/* What the device computes for its answer, in units of the limit (hd_net_answer). */
static double distance_of(const struct runner *r)
{
	double sum = 0;

	for (unsigned i = 0; i < r->net.out_n; i++)
		sum += abs(r->in[i] - r->out[i]);
	return 4 * sum / r->net.out_n;
}

static void compare_one(struct contest *c, const struct hn_window *w)
{
	struct measured *m = &c->f->measured;
	struct hn_gate_errors *t = w->recent ? &m->recent : &m->kept;
	double mine, other = 0;

	trainer_runner_run(&c->mine, c->f, w);
	if (w->outlier) {
		c->odd[m->outliers++] = distance_of(&c->mine);
		return;
	}
	c->distance[m->normal++] = distance_of(&c->mine);
	mine = error_of(c, w, c->mine.out, &c->my_grid);
	if (c->has) {
		trainer_runner_run(&c->other, c->f, w);
		other = error_of(c, w, c->other.out, &c->other_grid);
		t->wins += mine < other;
		t->losses += mine > other;
	}
	t->n++;
	t->challenger += mine;
	t->champion += other;
	t->plain += plain_error(c->f, w);
	if (w->part == HN_HOLDOUT)
		m->int8_error += mine;
}

/* The least limit with a share `quantile` of such windows within it, one of them not yet seen:
 * order statistic ceil((n + 1) q), the largest when they are too few for that.
 * Source: Vovk, Gammerman & Shafer 2005, "Algorithmic Learning in a Random World", sec. 2.2. */
static void find_limit(struct contest *c)
{
	struct measured *m = &c->f->measured;
	const double at = ceil((m->normal + 1) * c->f->job->quantile);
	double limit = UINT8_MAX;

	if (m->normal > 0) {
		hn_sort(c->distance, (size_t)m->normal);
		limit = ceil(c->distance[at < m->normal ? (int)at - 1 : m->normal - 1]);
	}
	m->limit = (uint8_t)fmax(1, fmin(limit, UINT8_MAX));
	for (int i = 0; i < m->normal; i++)
		m->inside += c->distance[i] <= m->limit;
	for (int i = 0; i < m->outliers; i++)
		m->found += c->odd[i] > m->limit;
	hn_image_limit(c->f->image, m->limit);
}

static void to_means(struct hn_gate_errors *s)
{
	const double n = s->n > 0 ? s->n : 1;

	s->champion /= n;
	s->challenger /= n;
	s->plain /= n;
}

static hn_status contest_open(struct contest *c, struct hn_model *m,
                              const struct trainer_champion *champion)
{
	struct fit *f = c->f;
	const struct hn_grid g = f->choice.calib.grid[f->folded.n_layers];

	c->my_grid = (struct grid){ &f->scaler, (double)g.scale, g.zp };
	c->distance = malloc((f->d->n + 1) * sizeof *c->distance);
	c->odd = malloc((f->d->n + 1) * sizeof *c->odd);
	if (!c->distance || !c->odd)
		return HN_ENOMEM;
	c->has = champion->blob && hn_model_read(m, champion->blob, champion->len, NULL) == HN_OK &&
	         trainer_runner_open(&c->other, f, m->image, m->image_len) == HN_OK;
	if (c->has)
		c->other_grid = (struct grid){ &m->scaler, (double)m->out_scale, m->out_zp };
	return trainer_runner_open(&c->mine, f, f->image, f->image_len);
}

/* Mean error of the float net on the held-back normal windows. */
static hn_status measure_float(struct fit *f)
{
	const struct hn_predict p = { .net = &f->net, .weights = f->result.weights };
	const size_t values = values_of(f);
	float *out = malloc(((size_t)f->n[HN_HOLDOUT] * values + 1) * sizeof *out);
	hn_status rc = out ? HN_OK : HN_ENOMEM;
	uint32_t k = 0, n = 0;

	if (rc == HN_OK && f->n[HN_HOLDOUT] > 0)
		rc = hn_predict(&p, f->x[HN_HOLDOUT], f->n[HN_HOLDOUT], out, &f->arena);
	for (uint32_t i = 0; rc == HN_OK && i < f->d->n; i++) {
		const struct hn_window *w = &f->d->w[i];
		double sum = 0;

		if (w->part != HN_HOLDOUT)
			continue;
		for (size_t v = k * values; v < (k + 1) * values; v++)
			sum += fabs((double)out[v] - (double)f->x[HN_HOLDOUT][v]);
		k++;
		if (w->outlier)
			continue;
		f->measured.float_error += sum / (double)values;
		f->measured.plain += plain_error(f, w);
		n++;
	}
	free(out);
	if (n > 0) {
		f->measured.float_error /= n;
		f->measured.int8_error /= n;
		f->measured.plain /= n;
	}
	return rc;
}

hn_status trainer_compare_errors(struct fit *f, const struct trainer_champion *champion)
{
	struct contest c = { .f = f };
	struct hn_model m;
	hn_status rc = contest_open(&c, &m, champion);

	for (uint32_t i = 0; rc == HN_OK && i < f->d->n; i++)
		if (trainer_judges(f, &f->d->w[i]))
			compare_one(&c, &f->d->w[i]);
	if (rc == HN_OK) {
		find_limit(&c);
		to_means(&f->measured.recent);
		to_means(&f->measured.kept);
		rc = measure_float(f);
	}
	trainer_runner_close(&c.mine);
	trainer_runner_close(&c.other);
	free(c.distance);
	free(c.odd);
	return rc;
}
