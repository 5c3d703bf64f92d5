#include "hn_run.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include "hn_layer.h"
#include "hn_rng.h"

enum { BATCH_MAX = 1024, SLACK = HN_LANES, PREDICT_BATCH = 64 };

static float *take(struct hn_arena *a, size_t n)
{
	return hn_arena_take(a, n * sizeof(float));
}

/* Does a layer behind i read tensor t (0: input, k: output of layer k - 1) as its second input? */
static bool read_behind(const struct hn_net *net, unsigned i, unsigned t)
{
	for (unsigned k = i + 1; k < net->n_layers; k++)
		if (net->layer[k].type->two_inputs && net->layer[k].from == t)
			return true;
	return false;
}

/* Only a layer whose predecessor does not need its own output any more may overwrite it; the
 * input of the net is kept for the first layer's gradient.  A change of shape overwrites nothing,
 * but hands on what it shares. */
static bool can_share(const struct hn_net *net, unsigned i, unsigned flags)
{
	unsigned before = i - 1;

	if (i == 0 || !net->layer[i].type->in_place || flags & HN_RUN_KEEP)
		return false;
	if (net->layer[i].type->only_shape)
		return true;
	while (before > 0 && net->layer[before].type->only_shape && !read_behind(net, i, before + 1))
		before--;
	return !net->layer[before].type->keeps_y && !read_behind(net, i, before + 1);
}

static size_t keep_floats(const struct hn_run *r, unsigned i)
{
	const struct hn_layer *l = &r->net->layer[i];

	return l->type->keep ? l->type->keep(l, r->lanes, r->flags & HN_RUN_TRAIN) : 0;
}

/* What hn_run_track reads afterwards stays, too. */
static bool keep_stays(const struct hn_run *r, unsigned i)
{
	return !(r->flags & HN_RUN_AGAIN) || r->net->layer[i].type->track;
}

static bool y_stays(const struct hn_run *r, unsigned i)
{
	return !(r->flags & HN_RUN_AGAIN) || r->again.stays[i];
}

/* Output and own buffer of layer i, as far as they stay (or do not); true: the arena is full. */
static bool take_layer(struct hn_run *r, unsigned i, bool staying, struct hn_arena *arena)
{
	const size_t n = keep_floats(r, i), y = hn_size(r->net->layer[i].out) * r->lanes;
	bool full = false;

	if (y_stays(r, i) == staying) {
		r->y[i] = can_share(r->net, i, r->flags) ? r->y[i - 1] : take(arena, y);
		full |= !r->y[i];
	}
	if (keep_stays(r, i) == staying) {
		r->keep[i] = n ? take(arena, n) : NULL;
		full |= n && !r->keep[i];
	}
	return full;
}

/* A gradient that skips layers waits until backward comes to layer i; true as take_layer. */
static bool take_side(struct hn_run *r, unsigned i, struct hn_arena *arena)
{
	const bool wanted = r->flags & HN_RUN_TRAIN && read_behind(r->net, i, i + 1);

	r->side[i] = wanted ? take(arena, hn_size(r->net->layer[i].out) * r->lanes) : NULL;
	return wanted && !r->side[i];
}

static size_t bytes(size_t floats)
{
	return (floats * sizeof(float) + HN_ARENA_ALIGN - 1) / HN_ARENA_ALIGN * HN_ARENA_ALIGN;
}

static void choose_segments(struct hn_run *r)
{
	struct hn_again_layer l[HN_NET_LAYERS_MAX];

	for (unsigned i = 0; i < r->net->n_layers; i++) {
		const bool shares = can_share(r->net, i, r->flags);

		l[i] = (struct hn_again_layer){
			.y = shares ? 0 : bytes(hn_size(r->net->layer[i].out) * r->lanes),
			.keep = keep_stays(r, i) ? 0 : bytes(keep_floats(r, i)), .in_place = shares,
			.stays = read_behind(r->net, i, i + 1) };
		for (unsigned k = i; l[i].stays; k--) {
			l[k].y = 0;
			if (!l[k].in_place)
				break;
		}
	}
	hn_again_choose(l, r->net->n_layers, &r->again);
}

/* Buffers of the layers; what does not stay lies in one piece for all segments. */
static bool take_layers(struct hn_run *r, struct hn_arena *arena)
{
	size_t mark, top;
	bool full = false;

	if (r->flags & HN_RUN_AGAIN)
		choose_segments(r);
	for (unsigned i = 0; i < r->net->n_layers; i++) {
		full |= take_layer(r, i, true, arena);
		full |= take_side(r, i, arena);
	}
	mark = top = arena->used;
	for (unsigned i = 0; i < r->net->n_layers && r->flags & HN_RUN_AGAIN; i++) {
		full |= take_layer(r, i, false, arena);
		top = arena->used > top ? arena->used : top;
		if (r->again.ends[i])
			hn_arena_reset(arena, mark);
	}
	return !hn_arena_take(arena, top - mark) || full;
}

static size_t widest(const struct hn_net *net)
{
	size_t n = hn_size(net->in);

	for (unsigned i = 0; i < net->n_layers; i++)
		if (hn_size(net->layer[i].out) > n)
			n = hn_size(net->layer[i].out);
	return n;
}

/* Rows lie an odd number of cache lines apart, so that a column of them does not fall into a few
 * sets of the cache. */
static size_t row_stride(size_t width)
{
	return (((width + HN_LANES - 1) / HN_LANES) | 1) * HN_LANES;
}

/* Rows hold loaded targets and the inputs of layers that want them, except the first. */
static size_t widest_rows(const struct hn_net *net)
{
	size_t n = net->out_n;

	for (unsigned i = 1; i < net->n_layers; i++)
		if (net->layer[i].type->want_rows && hn_size(net->layer[i].in) > n)
			n = hn_size(net->layer[i].in);
	return n;
}

hn_status hn_run_init(struct hn_run *run, const struct hn_net *net, uint32_t batch, unsigned flags,
                      struct hn_arena *arena)
{
	const uint32_t lanes = (batch + HN_LANES - 1) / HN_LANES * HN_LANES;
	struct hn_run r = { .net = net, .kern = hn_kernels_best(), .batch = batch, .lanes = lanes,
	                    .flags = flags, .learning = flags & HN_RUN_TRAIN };
	const size_t mark = arena->used;
	bool full;

	if (batch == 0 || batch > BATCH_MAX || net->n_layers == 0)
		return HN_EINVAL;
	r.x = take(arena, hn_size(net->in) * lanes);
	r.x_rows = take(arena, row_stride(hn_size(net->in)) * lanes + SLACK);
	r.rows = take(arena, row_stride(widest_rows(net)) * lanes + SLACK);
	full = !r.x || !r.x_rows || !r.rows;
	full |= take_layers(&r, arena);
	if (flags & HN_RUN_FAKE) {
		r.rounded = take(arena, net->n_weights);
		full |= !r.rounded;
	}
	if (flags & HN_RUN_TRAIN) {
		r.grad[0] = take(arena, widest(net) * lanes);
		r.grad[1] = take(arena, widest(net) * lanes);
		r.dy = r.grad[0];
		r.target = take(arena, (size_t)net->out_n * lanes);
		full |= !r.grad[0] || !r.grad[1] || !r.target;
	}
	if (full && !hn_arena_dry(arena)) {
		hn_arena_reset(arena, mark);
		return HN_ENOMEM;
	}
	*run = r;
	return HN_OK;
}

/* Rows order[i] of `src` (., width) into rows (n, width) and, transposed, cols (width, lanes). */
static void load_rows(struct hn_run *run, const float *src, const uint32_t *order, float *cols)
{
	const size_t width = cols == run->x ? hn_size(run->net->in) : run->net->out_n;
	const size_t ld = row_stride(width);
	float *rows = cols == run->x ? run->x_rows : run->rows;

	run->kern->gather(&(struct hn_gather_args){ .n = run->n, .width = width, .ld = ld, .src = src,
	                                            .order = order, .rows = rows });
	if (run->fake && cols == run->x && run->fake->grid[0].scale > 0)
		hn_fake_round(&run->fake->grid[0], rows, run->n * ld);
	memset(rows + run->n * ld, 0, (run->lanes - run->n) * ld * sizeof *rows);
	run->kern->transpose(rows, ld, cols, run->lanes, (size_t[2]){ run->lanes, width });
}

void hn_run_load(struct hn_run *run, const float *x, const uint32_t *order, uint32_t n)
{
	assert(n <= run->batch);
	run->n = n;
	load_rows(run, x, order, run->x);
}

void hn_run_load_target(struct hn_run *run, const float *t, const uint32_t *order, uint32_t n)
{
	assert(n <= run->batch);
	run->n = n;
	load_rows(run, t, order, run->target);
}

/* The weights that the layers see; `fresh`: rounded anew. */
static const float *seen(struct hn_run *run, const float *weights, bool fresh)
{
	if (!run->fake)
		return weights;
	if (fresh)
		run->fake->weights(run->fake, weights, run->rounded);
	return run->rounded;
}

/* 64 bits for one layer of one step. */
static uint64_t key_of(const struct hn_run *run, unsigned i)
{
	struct hn_rng rng;

	hn_rng_seed(&rng, run->seed + run->step * HN_NET_LAYERS_MAX + i);
	return hn_rng_u64(&rng);
}

/* What forward and backward of layer i have in common. */
static struct hn_pass pass_of(const struct hn_run *run, unsigned i, const float *weights)
{
	const struct hn_layer *l = &run->net->layer[i];

	return (struct hn_pass){
		.l = l, .kern = run->kern, .lanes = run->lanes, .n = run->n, .w = weights + l->w_at,
		.x = i ? run->y[i - 1] : run->x, .x2 = l->from ? run->y[l->from - 1] : run->x,
		.y = run->y[i], .keep = run->keep[i], .train = run->flags & HN_RUN_TRAIN,
		.learning = run->learning, .key = run->learning && l->type->draws ? key_of(run, i) : 0,
		.first = run->first };
}

/* Layer i; `weights` as the layers see them. */
static void pass_layer(struct hn_run *run, unsigned i, const float *weights)
{
	const struct hn_pass p = pass_of(run, i, weights);

	p.l->type->forward(&p);
	if (run->fake && run->fake->grid[i + 1].scale > 0)
		hn_fake_round(&run->fake->grid[i + 1], run->y[i], hn_size(p.l->out) * run->lanes);
}

void hn_run_forward(struct hn_run *run, const float *weights)
{
	weights = seen(run, weights, true);
	for (unsigned i = 0; i < run->net->n_layers; i++) {
		pass_layer(run, i, weights);
		if (run->seen)
			run->seen(run->seen_ctx, i);
	}
}

/* --- once more -------------------------------------------------------------------------------- */

/* The last segment still stands from the forward pass. */
static bool is_repeated(const struct hn_run *run, unsigned i)
{
	unsigned k = i;

	while (run->flags & HN_RUN_AGAIN && k < run->net->n_layers && !run->again.ends[k])
		k++;
	return run->flags & HN_RUN_AGAIN && k + 1 < run->net->n_layers &&
	       !(run->again.ends[i] && !can_share(run->net, i, run->flags) &&
	         (keep_stays(run, i) || keep_floats(run, i) == 0));
}

uint64_t hn_run_again_macs(const struct hn_run *run)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < run->net->n_layers; i++) {
		const struct hn_layer *l = &run->net->layer[i];

		if (l->type->macs && is_repeated(run, i))
			n += l->type->macs(l);
	}
	return n;
}

/* Backward comes to the end of the segment of layer `end`. */
static void repeat(struct hn_run *run, unsigned end, const float *weights)
{
	unsigned i = end;

	while (i > 0 && !run->again.ends[i - 1])
		i--;
	for (; i <= end; i++)
		if (is_repeated(run, i))
			pass_layer(run, i, weights);
}

void hn_run_track(const struct hn_run *run, float *weights)
{
	for (unsigned i = 0; i < run->net->n_layers; i++) {
		const struct hn_layer *l = &run->net->layer[i];

		if (l->type->track) {
			const struct hn_pass p = pass_of(run, i, weights);

			l->type->track(&p, weights + l->w_at);
		}
	}
}

/* Gradients that skip layers begin at zero. */
static void clear_sides(struct hn_run *run)
{
	for (unsigned i = 0; i < run->net->n_layers; i++)
		if (run->side[i])
			memset(run->side[i], 0,
			       hn_size(run->net->layer[i].out) * run->lanes * sizeof *run->side[i]);
}

void hn_run_backward(struct hn_run *run, const float *weights, float *grad)
{
	const struct hn_net *net = run->net;
	float *dy = run->dy;

	weights = seen(run, weights, false);
	clear_sides(run);
	for (unsigned i = net->n_layers; i-- > 0;) {
		const struct hn_layer *l = &net->layer[i];
		float *other = dy == run->grad[0] ? run->grad[1] : run->grad[0];
		float *dx = l->type->in_place ? dy : other;
		struct hn_pass p = pass_of(run, i, weights);

		p.dy = dy;
		p.dx = i ? dx : NULL;
		p.dx2 = l->type->two_inputs && l->from ? run->side[l->from - 1] : NULL;
		p.g = grad + l->w_at;
		p.rows = i ? run->rows : run->x_rows;
		p.ld_rows = row_stride(hn_size(l->in));
		if (run->flags & HN_RUN_AGAIN && run->again.ends[i])
			repeat(run, i, weights);
		if (run->side[i])
			run->kern->add(dy, run->side[i], dy, hn_size(l->out) * run->lanes);
		if (i && l->type->want_rows)
			run->kern->transpose(p.x, run->lanes, run->rows, p.ld_rows,
			                     (size_t[2]){ hn_size(l->in), run->lanes });
		if (run->fake && run->fake->grid[i + 1].scale > 0)
			hn_fake_hold(&run->fake->grid[i + 1], run->y[i], dy, hn_size(l->out) * run->lanes);
		l->type->backward(&p);
		dy = dx;
	}
}

const float *hn_run_out(const struct hn_run *run)
{
	return run->y[run->net->n_layers - 1];
}

hn_status hn_predict(const struct hn_predict *p, const float *x, uint32_t n, float *out,
                     struct hn_arena *arena)
{
	const size_t in = hn_size(p->net->in), mark = arena->used;
	const uint32_t batch = n < PREDICT_BATCH ? n : PREDICT_BATCH;
	struct hn_run run;
	hn_status rc;

	if (n == 0)
		return HN_OK;
	rc = hn_run_init(&run, p->net, batch, 0, arena);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < n && !hn_arena_dry(arena); i += batch) {
		const uint32_t k = n - i < batch ? n - i : batch;

		hn_run_load(&run, x + i * in, NULL, k);
		hn_run_forward(&run, p->weights);
		run.kern->transpose(hn_run_out(&run), run.lanes, out + (size_t)i * p->net->out_n,
		                    p->net->out_n, (size_t[2]){ p->net->out_n, k });
	}
	hn_arena_reset(arena, mark);
	return HN_OK;
}
