/* The smallest penalty whose update costs no more bytes than allowed.
 *
 * The cost falls with the penalty, so: times 8 until the update fits, or by 8 until it does not;
 * then the geometric mean of the two, as long as there are runs left. */
#include "hn_sparse.h"

#include <math.h>
#include <string.h>

static const double first = 1e-3, factor = 8, smallest = 1e-9, largest = 1e9;

/* Penalties: the largest that costs too much, the smallest that fits; 0 = none yet. */
struct bracket { double over, fits; };

static double next_penalty(const struct bracket *b)
{
	if (b->over > 0 && b->fits > 0)
		return sqrt(b->over * b->fits);
	if (b->over > 0)
		return b->over * factor;
	return b->fits > 0 ? b->fits / factor : first;
}

/* One run from the start; its weights into `kept` when they fit. */
static hn_status attempt(const struct hn_sparse_job *s, double penalty, float *kept,
                         struct hn_sparse_result *r, struct bracket *b, struct hn_err *err)
{
	struct hn_train_cfg cfg = *s->job.cfg;
	struct hn_train_job job = s->job;
	struct hn_train_result res;
	const size_t mark = job.arena->used;
	hn_status rc;
	double cost;

	cfg.sparse = (float)penalty;
	job.cfg = &cfg;
	rc = hn_train_run(&job, &res, err);
	if (rc)
		return rc;
	cost = s->cost(job.ctx, res.weights);
	if (cost <= s->budget) {
		b->fits = penalty;
		memcpy(kept, res.weights, cfg.net->n_weights * sizeof *kept);
		r->fit = res;
		r->fit.weights = kept;
		r->penalty = penalty;
		r->cost = cost;
	} else {
		b->over = penalty;
	}
	r->runs++;
	if (res.stop == HN_STOP_ABORT)
		r->stopped = true;
	hn_arena_reset(job.arena, mark);
	return HN_OK;
}

static bool has_more(const struct hn_sparse_job *s, const struct hn_sparse_result *r,
                     const struct bracket *b)
{
	const double p = next_penalty(b);

	return r->runs < s->runs_max && !r->stopped && p >= smallest && p <= largest;
}

hn_status hn_train_sparse_need(const struct hn_train_cfg *cfg, const struct hn_data *data,
                               size_t *bytes, struct hn_err *err)
{
	struct hn_arena dry;
	size_t fit = 0;
	const hn_status rc = hn_train_need(cfg, data, &fit, err);

	if (rc)
		return rc;
	hn_arena_init(&dry, NULL, 0);
	(void)hn_arena_take(&dry, cfg->net->n_weights * sizeof(float));
	*bytes = dry.used + fit;
	return HN_OK;
}

hn_status hn_train_sparse(const struct hn_sparse_job *s, struct hn_sparse_result *res,
                          struct hn_err *err)
{
	const size_t n = s->job.cfg->net->n_weights * sizeof(float);
	struct hn_arena *a = s->job.arena;
	const size_t mark = a->used;
	struct hn_sparse_result r = { .runs = 0 };
	struct bracket b = { 0, 0 };
	float *kept = hn_arena_take(a, n);
	hn_status rc = kept ? HN_OK : hn_fail(err, HN_ENOMEM, "sparse: %s", hn_status_text(HN_ENOMEM));

	while (!rc && has_more(s, &r, &b))
		rc = attempt(s, next_penalty(&b), kept, &r, &b, err);
	if (!rc && b.fits == 0)
		rc = hn_fail(err, HN_EDATA, "sparse: no update of at most %.0f bytes in %u runs", s->budget,
		             r.runs);
	if (rc)
		hn_arena_reset(a, mark);
	else
		*res = r;
	return rc;
}
