#include "hn_import_walk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_export_parts.h"
#include "hn_layer.h"
#include "hn_tflite.h"

/* --- input ---------------------------------------------------------------------------------- */

/* Dimension d of the file may be n. */
static bool may_be(int32_t d, size_t n)
{
	return d == -1 || (size_t)d == n;
}

/* The first operator wants channels before frames. */
static bool channels_first(const struct hn_graph *g)
{
	return !g->channels_last && g->n_nodes > 0 && (g->node[0].op == HN_G_CONV ||
	       g->node[0].op == HN_G_MAX_POOL || g->node[0].op == HN_G_AVG_POOL ||
	       g->node[0].op == HN_G_BATCH_NORM || g->node[0].op == HN_G_GLOBAL_AVG);
}

/* Frames and channels that the file itself has; the io of the job decides when it is given.  `at`:
 * the axes that are not the batch and not 1. */
static void file_shape(const struct walk *w, const uint8_t *at, const int32_t *dim, unsigned n,
                       struct hn_net_io *io)
{
	const bool turned = channels_first(w->g);
	const bool frames = w->g->tensor[w->g->in].rank == 3 && at[0] == (turned ? 2 : 1);

	if (io->in_len)
		return;
	if (n == 1) {
		io->in_len = (uint16_t)(frames ? dim[0] : 1);
		io->in_ch = (uint16_t)(frames ? 1 : dim[0]);
	} else {
		io->in_len = (uint16_t)dim[turned];
		io->in_ch = (uint16_t)dim[!turned];
	}
}

/* Meaning of the n axes at `at` that are not the batch and not 1. */
static bool name_axes(const struct walk *w, struct val *v, const uint8_t *at, const int32_t *dim,
                      unsigned n)
{
	const size_t all = (size_t)v->len * v->ch;
	const bool plain = may_be(dim[0], v->len) && n > 1 && may_be(dim[1], v->ch);
	const bool turned = may_be(dim[0], v->ch) && n > 1 && may_be(dim[1], v->len);

	if (n == 1 && may_be(dim[0], all)) {
		v->axis[at[0]] = v->len == 1 ? AX_CH : v->ch == 1 && v->rank > 2 ? AX_LEN : AX_FLAT;
		return true;
	}
	if (n != 2 || (!plain && !turned))
		return false;
	v->axis[at[turned && (!plain || channels_first(w->g))]] = AX_LEN;
	v->axis[at[!(turned && (!plain || channels_first(w->g)))]] = AX_CH;
	return true;
}

static hn_status read_input(struct walk *w, struct hn_net_io *io)
{
	const struct hn_gtensor *t = &w->g->tensor[w->g->in];
	struct val *v = &w->val[w->g->in];
	/* with frames first and the batch second, as GRU has it */
	const bool gru = w->g->n_nodes > 0 && w->g->node[0].op == HN_G_GRU && !w->g->node[0].batch_first;
	const unsigned batch = gru && t->rank == 3;
	int32_t dim[HN_GRAPH_RANK_MAX] = { 0 };
	uint8_t at[HN_GRAPH_RANK_MAX] = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < t->rank; i++) {
		v->axis[i] = i == batch ? AX_BATCH : AX_ONE;
		if (i == batch || t->dim[i] == 1)
			continue;
		at[n] = (uint8_t)i;
		dim[n++] = t->dim[i];
	}
	if (n == 0 && t->rank > 0)
		dim[n++] = 1;
	if (n >= 1 && n <= 2 && t->rank > 1)
		file_shape(w, at, dim, n, io);
	v->rank = t->rank;
	v->len = io->in_len;
	v->ch = io->in_ch;
	v->layer = -1;
	v->known = true;
	if (t->rank < 2 || n > 2 || io->in_len == 0 || io->in_ch == 0 ||
	    (size_t)io->in_len * io->in_ch > HN_NET_VALUES_MAX)
		return hn_fail(w->err, HN_EFORMAT, "import: input '%.*s' has %u axes that cannot be read as "
		               "frames and channels", HN_TEXT(t->name), t->rank);
	if (v->len == 1 && v->ch == 1)
		return HN_OK;
	if (!name_axes(w, v, at, dim, n))
		return hn_fail(w->err, HN_ERANGE, "import: input '%.*s' does not fit %u frames of %u channels",
		               HN_TEXT(t->name), io->in_len, io->in_ch);
	return HN_OK;
}

static void start_scaler(struct walk *w, uint16_t ch)
{
	float scale;
	int64_t zp;

	w->scaler.n_ch = ch <= 128 ? ch : 0;
	for (unsigned c = 0; c < w->scaler.n_ch; c++)
		w->scaler.std[c] = 1;
	if (hn_gtensor_grid(&w->g->tensor[w->g->in], &scale, &zp))
		walk_grid(w, &w->val[w->g->in], scale, zp);
}

/* --- nodes ---------------------------------------------------------------------------------- */

/* The first input that is neither a constant nor known, because of a node that no layer does. */
static const struct val *lost_input(const struct walk *w, const struct hn_gnode *n)
{
	for (unsigned i = 0; i < n->n_in && i < 2; i++) {
		const struct val *v = n->in[i] < 0 ? NULL : &w->val[n->in[i]];

		if (v && !v->known && v->lost)
			return v;
	}
	return NULL;
}

/* What does not lead to the output does not matter; what does is told at the end. */
static void lose(struct walk *w, const struct hn_gnode *n, int16_t node)
{
	for (unsigned i = 0; i < 3; i++)
		if (n->out[i] >= 0)
			w->val[n->out[i]] = (struct val){ .lost = node };
}

static hn_status read_nodes(struct walk *w)
{
	hn_status rc = HN_OK;

	for (uint32_t i = 0; i < w->g->n_nodes && !rc; i++) {
		const struct hn_gnode *n = &w->g->node[i];
		const struct val *lost = lost_input(w, n);
		walk_fn fn = walk_shape_op(n->op);

		w->n = n;
		fn = fn ? fn : walk_layer_op(n->op);
		fn = fn ? fn : walk_product_op(n->op);
		if (n->op == HN_G_CONSTANT)
			continue;
		if (lost)
			lose(w, n, lost->lost);
		else if (!fn)
			lose(w, n, (int16_t)(i + 1));
		else
			rc = fn(w);
	}
	return rc;
}

/* --- result --------------------------------------------------------------------------------- */

static hn_status join(const struct walk *w, char out[HN_NET_TEXT_MAX])
{
	size_t at = 0;

	out[0] = '\0';
	for (int i = 0; i < w->n_layers && at < HN_NET_TEXT_MAX; i++)
		at += (size_t)snprintf(out + at, HN_NET_TEXT_MAX - at, "%s%s", i ? ", " : "", w->text[i]);
	if (at >= HN_NET_TEXT_MAX || w->n_layers == 0)
		return hn_fail(w->err, HN_ERANGE, "import: %d layers are %s", w->n_layers,
		               w->n_layers ? "too long a text" : "no net");
	return HN_OK;
}

static bool same_grid(struct hn_grid a, struct hn_grid b)
{
	return a.zp == b.zp && !(a.scale < b.scale) && !(a.scale > b.scale);
}

/* Grids of layers that the file does not round: those that keep numbers, and bounds that the
 * device fuses.  False: one is missing, or the device has no choice of it. */
static bool complete_grids(struct walk *w, const struct hn_net *net)
{
	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer_type *t = net->layer[i].type;

		if (hn_quant_fused(net, i) && w->has_grid[i + 1] && !t->same_grid) {
			w->grid[i] = w->grid[i + 1];
			w->has_grid[i] = true;
		}
		if (!w->has_grid[i + 1] && (t->same_grid || hn_quant_fused(net, i)) && w->has_grid[i]) {
			w->grid[i + 1] = w->grid[i];
			w->has_grid[i + 1] = true;
		}
	}
	for (unsigned i = 0; i <= net->n_layers; i++)
		if (!w->has_grid[i] || (i > 0 && net->layer[i - 1].type->same_grid &&
		    !same_grid(w->grid[i], w->grid[i - 1])))
			return false;
	return true;
}

/* "mean=1 2 3": numbers behind `key` into v (n,); false when there are not so many. */
static bool note_list(const char *note, const char *key, float *v, unsigned n)
{
	const char *at = strstr(note, key);
	char *end;

	if (!at)
		return false;
	at += strlen(key);
	for (unsigned i = 0; i < n; i++, at = end) {
		v[i] = strtof(at, &end);
		if (end == at || !isfinite(v[i]))
			return false;
	}
	return true;
}

/* What honed wrote beside the net: the scaler of raw counts, before what the graph itself does. */
static bool add_note(const struct walk *w, struct hn_scaler *s)
{
	struct hn_scaler note = { .n_ch = s->n_ch };
	char text[HN_NOTE_MAX];
	const size_t n = w->g->note.len < sizeof text - 1 ? w->g->note.len : sizeof text - 1;

	if (n)
		memcpy(text, w->g->note.p, n);
	text[n] = '\0';
	if (strncmp(text, "task=", 5) != 0 || !note_list(text, "\nmean=", note.mean, s->n_ch) ||
	    !note_list(text, "\nstd=", note.std, s->n_ch))
		return false;
	for (unsigned c = 0; c < s->n_ch; c++)
		if (!(note.std[c] > 0))
			return false;
	for (unsigned c = 0; c < s->n_ch; c++) {
		s->mean[c] = note.mean[c] + s->mean[c] * note.std[c];
		s->std[c] *= note.std[c];
	}
	return true;
}

static hn_status finish(struct walk *w, const struct hn_net_io *io, struct hn_import *out)
{
	const struct val *v = &w->val[w->g->out];
	struct hn_import r = { .weights = w->w, .scaler = w->scaler };
	hn_status rc;

	if (!v->known && v->lost)
		return walk_lost(w, v);
	if (!v->known || v->layer != w->n_layers - 1)
		return hn_fail(w->err, HN_EFORMAT, "import: the output '%.*s' is not made by the last layer",
		               HN_TEXT(w->g->tensor[w->g->out].name));
	if (v->mixed || (v->len > 1 && v->ch > 1 && walk_axis(v, AX_CH) < walk_axis(v, AX_LEN)))
		return hn_fail(w->err, HN_EFORMAT, "import: the outputs have channels before frames");
	rc = join(w, r.net);
	if (!rc)
		rc = hn_net_parse(&r.parsed, r.net, io, w->err);
	if (!rc && r.parsed.n_weights != w->n_w)
		return hn_fail(w->err, HN_EFORMAT, "import: '%s' has %u weights, the file %zu", r.net,
		               r.parsed.n_weights, w->n_w);
	for (size_t i = 0; i < w->n_w && !rc; i++)
		if (!isfinite(w->w[i]))
			return hn_fail(w->err, HN_EFORMAT, "import: weight %zu is not finite", i);
	if (rc)
		return rc;
	r.int8 = complete_grids(w, &r.parsed);
	memcpy(r.calib.grid, w->grid, sizeof r.calib.grid);
	r.noted = add_note(w, &r.scaler);
	*out = r;
	return HN_OK;
}

/* --- the whole ------------------------------------------------------------------------------ */

static size_t weights_max(size_t len)
{
	/* an int8 weight is a byte; biases that the file does not have are at most as many */
	return len < HN_NET_WEIGHTS_MAX / 2 ? 2 * len + 1024 : HN_NET_WEIGHTS_MAX;
}

/* Varints of a byte each may become numbers of eight. */
size_t hn_import_need(size_t len)
{
	struct hn_arena dry;
	struct hn_graph g;

	hn_arena_init(&dry, NULL, 0);
	(void)hn_graph_take(&g, &dry);
	(void)hn_arena_take(&dry, HN_GRAPH_TENSORS_MAX * sizeof(struct val));
	(void)hn_arena_take(&dry, sizeof(struct walk));
	(void)hn_arena_take(&dry, weights_max(len) * sizeof(float));
	return dry.used + 8 * len + (HN_GRAPH_TENSORS_MAX + 2) * (size_t)HN_ARENA_ALIGN;
}

hn_status hn_import_read(const struct hn_import_job *job, struct hn_import *out,
                         struct hn_err *err)
{
	const struct hn_text file = { job->file, job->len };
	struct hn_net_io io = job->io;
	struct hn_graph g;
	struct walk *w;
	hn_status rc;

	if (job->len > HN_GRAPH_FILE_MAX)
		return hn_fail(err, HN_ERANGE, "import: %zu bytes, at most %d", job->len, HN_GRAPH_FILE_MAX);
	rc = hn_graph_take(&g, job->arena);
	w = hn_arena_take(job->arena, sizeof *w);
	if (rc || !w)
		return hn_fail(err, HN_ENOMEM, "import: no memory");
	*w = (struct walk){ .g = &g, .err = err, .product = -1, .w_cap = weights_max(job->len),
		.task = io.task };
	w->val = hn_arena_take(job->arena, HN_GRAPH_TENSORS_MAX * sizeof *w->val);
	w->w = hn_arena_take(job->arena, w->w_cap * sizeof *w->w);
	if (!w->val || !w->w)
		return hn_fail(err, HN_ENOMEM, "import: no memory");
	if (job->len >= 8 && memcmp(job->file + 4, HN_TFLITE_MARK, 4) == 0)
		rc = hn_tflite_read(&g, file, err);
	else
		rc = hn_onnx_read(&g, file, job->arena, err);
	if (!rc)
		rc = read_input(w, &io);
	if (rc)
		return rc;
	start_scaler(w, io.in_ch);
	rc = read_nodes(w);
	return rc ? rc : finish(w, &io, out);
}
