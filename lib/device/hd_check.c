/* The complete check of an image: header and scaler, then layer after layer what it may touch. */
#include "hd_check.h"
#include "hd_crc32c.h"
#include "hd_ops.h"

const struct hd_kind *const hd_kinds[] = {
	&hd_dense_kind, &hd_lut_kind, &hd_conv1d_kind, &hd_dwconv1d_kind, &hd_max_pool_kind,
	&hd_avg_pool_kind, &hd_add_kind, &hd_gru_kind, &hd_softmax_kind
};
const uint8_t hd_n_kinds = sizeof hd_kinds / sizeof hd_kinds[0];

const struct hd_kind *hd_kind_find(uint8_t op)
{
	uint8_t i;

	for (i = 0; i < hd_n_kinds; i++) {
		if (hd_kinds[i]->op == op)
			return hd_kinds[i];
	}
	return NULL;
}

uint32_t hd_image_arch(const uint8_t *image)
{
	uint32_t table = HD_IMAGE_HEADER + (uint32_t)HD_SCALER_ENTRY * hd_get16(image + 18);
	uint32_t crc = hd_crc32c(0, image + 16, 8);

	return hd_crc32c(crc, image + table, (size_t)HD_LAYER_ENTRY * image[22]);
}

/* 1 <= x <= max */
static bool within(uint32_t x, uint32_t max)
{
	return x - 1 < max;
}

static bool header_ok(const struct hd_net *n)
{
	return n->in_len <= 4096 && n->in_ch <= 256
		&& within((uint32_t)n->in_len * n->in_ch, HD_VALUES_MAX) && within(n->out_n, 256)
		&& within(n->n_layers, HD_LAYERS_MAX) && n->rq_mode <= 1
		&& (n->limit == 0 || n->out_n == (uint32_t)n->in_len * n->in_ch)
		&& HD_IMAGE_HEADER + (uint32_t)HD_SCALER_ENTRY * n->in_ch
		   + (uint32_t)HD_LAYER_ENTRY * n->n_layers <= n->len;
}

static bool scaler_ok(const struct hd_net *n)
{
	const uint8_t *e = n->image + HD_IMAGE_HEADER;
	uint32_t ch;

	for (ch = 0; ch < n->in_ch; ch++, e += HD_SCALER_ENTRY) {
		if (!hd_scale_ok(hd_load32(e + 4), (int)(int32_t)hd_load32(e + 8)))
			return false;
	}
	return true;
}

/* --- layers ----------------------------------------------------------------------------------- */

struct span { uint32_t at, size; };      /* bytes of the arena */

struct walk {
	const struct hd_net *n;
	struct span in, kept[HD_KEPT_MAX];       /* in: size 0 when the caller's, or kept       */
	uint32_t values, constants, needs;       /* so far: numbers of the last output; ...     */
	uint8_t n_kept;
	bool tight;                              /* something lies outside the arena            */
};

static bool apart(struct span a, struct span b)
{
	return a.size == 0 || b.size == 0 || a.at >= b.at + b.size || b.at >= a.at + a.size;
}

/* May a layer write there while everything that is still needed stays? */
static bool is_free(struct walk *w, struct span s, bool input_too)
{
	uint8_t i;

	for (i = 0; i < w->n_kept; i++) {
		if (!apart(s, w->kept[i]))
			return false;
	}
	if (s.at + s.size > w->n->arena)
		w->tight = true;
	return !input_too || apart(s, w->in);
}

/* The shape follows from that before, the constants lie behind those before and are in range. */
static bool content_ok(struct walk *w, const struct hd_layer *l, const struct hd_kind *kind)
{
	uint32_t in = (uint32_t)l->in_len * l->in_ch, took;

	if (in != w->values || !within((uint32_t)l->out_len * l->out_ch, HD_VALUES_MAX)
	    || l->constants != w->constants || l->rq_mode != w->n->rq_mode || (l->zero | l->keep >> 1))
		return false;
	took = kind->bytes(l);
	if (took == 0 || took > w->n->len - w->constants || !kind->ok(l, w->n->image + l->constants))
		return false;
	w->values = (uint32_t)l->out_len * l->out_ch;
	w->constants += took;
	w->needs |= 1u << l->op;
	return true;
}

/* An add takes the output that was kept last; a gru has its work; others have no `more_at`. */
static bool more_ok(struct walk *w, const struct hd_layer *l, uint32_t work, struct span out)
{
	struct span more;

	more.at = 4u * l->more_at;
	more.size = work * l->out_ch;
	if (work > 0)
		return is_free(w, more, true) && apart(more, out);
	if (l->op != HD_OP_ADD)
		return l->more_at == 0;
	if (w->n_kept == 0)
		return false;
	w->n_kept--;
	return w->kept[w->n_kept].at == more.at && w->kept[w->n_kept].size == w->values;
}

/* Where it writes, and what is kept of it. */
static bool place_ok(struct walk *w, const struct hd_layer *l, const struct hd_kind *kind,
                     bool last)
{
	struct span out;
	bool over;

	out.at = 4u * l->at;
	out.size = last ? 0 : w->values;
	over = kind->in_place && w->in.size != 0 && out.at == w->in.at;
	if ((last && (l->at | l->keep) != 0) || !more_ok(w, l, kind->work, out)
	    || !is_free(w, out, !over))
		return false;
	w->in = out;
	if (l->keep == 0)
		return true;
	if (w->n_kept == HD_KEPT_MAX)
		return false;
	w->kept[w->n_kept++] = out;
	w->in.size = 0;                  /* as what is kept it stays */
	return true;
}

static bool layers_ok(struct walk *w)
{
	const struct hd_net *n = w->n;
	uint32_t i;

	w->values = (uint32_t)n->in_len * n->in_ch;
	w->constants = HD_IMAGE_HEADER + (uint32_t)HD_SCALER_ENTRY * n->in_ch
		+ (uint32_t)HD_LAYER_ENTRY * n->n_layers;
	w->needs = (n->rq_mode ? HD_NEEDS_ONCE : HD_NEEDS_TWICE) | (n->limit ? HD_NEEDS_DISTANCE : 0);
	for (i = 0; i < n->n_layers; i++) {
		const struct hd_layer *l = hd_net_layer(n, i);
		const struct hd_kind *kind = hd_kind_find(l->op);

		if (!kind || !content_ok(w, l, kind) || !place_ok(w, l, kind, i + 1u == n->n_layers))
			return false;
	}
	return ((w->constants ^ n->len) | (w->values ^ n->out_n) | w->n_kept | (w->needs ^ n->needs)) == 0;
}

hd_status hd_net_check(struct hd_net *net, const uint8_t *image, uint32_t len)
{
	struct walk w = { .n = NULL };
	struct hd_net n;

	if (len < HD_IMAGE_HEADER || (len & 3) != 0 || hd_net_open(&n, image, len) != HD_OK)
		return HD_EFORMAT;
	w.n = &n;
	if (!header_ok(&n) || !scaler_ok(&n) || !layers_ok(&w))
		return HD_EFORMAT;
	if (n.arch != hd_image_arch(image))
		return HD_EARCH;
	if (w.tight || (n.arena & 3) != 0)
		return HD_ESIZE;
	*net = n;
	return HD_OK;
}
