/* The smallest penalty whose update costs no more bytes than allowed.
 *
 * The cost falls with the penalty, so: times 8 until the update fits, or by 8 until it does not;
 * then the geometric mean of the two, as long as there are runs left. */
#include "hn_sparse.h"

#include <math.h>
#include <string.h>

static const double first = 1e-3, factor = 8, smallest = 1e-9, largest = 1e9;

static double next_penalty(const struct hn_sparse_result *r)
{
	if (r->over > 0 && r->fits > 0)
		return sqrt(r->over * r->fits);
	if (r->over > 0)
		return r->over * factor;
	return r->fits > 0 ? r->fits / factor : first;
}

/* One run from the start; its weights into `kept` when they fit. */
static hn_status attempt(const struct hn_sparse_job *s, bool resume, struct hn_sparse_result *r,
                         struct hn_err *err)
{
	struct hn_train_cfg cfg = *s->job.cfg;
	struct hn_train_job job = s->job;
	struct hn_train_result res;
	const double penalty = next_penalty(r);
	const size_t mark = job.arena->used;
	hn_status rc;
	double cost;

	cfg.sparse = (float)penalty;
	job.cfg = &cfg;
	if (!resume)
		job.resume = NULL;
	rc = hn_train_run(&job, &res, err);
	if (rc)
		return rc;
	cost = s->cost(job.ctx, res.weights);
	if (cost <= s->budget) {
		r->fits = penalty;
		memcpy(s->kept, res.weights, cfg.net->n_weights * sizeof *s->kept);
		r->fit = res;
		r->fit.weights = s->kept;
		r->penalty = penalty;
		r->cost = cost;
	} else {
		r->over = penalty;
	}
	r->runs++;
	if (res.stop == HN_STOP_ABORT)
		r->stopped = true;
	hn_arena_reset(job.arena, mark);
	return HN_OK;
}

static bool has_more(const struct hn_sparse_job *s, const struct hn_sparse_result *r)
{
	const double p = next_penalty(r);

	return r->runs < s->runs_max && !r->stopped && p >= smallest && p <= largest;
}

bool hn_sparse_plausible(const struct hn_sparse_job *s, const struct hn_sparse_result *r)
{
	return r->runs < s->runs_max && !r->stopped && r->over >= 0 && r->over <= largest &&
	       r->fits >= 0 && r->fits <= largest && r->fit.health.n_layers <= HN_NET_LAYERS_MAX;
}

hn_status hn_train_sparse(const struct hn_sparse_job *s, struct hn_sparse_result *res,
                          struct hn_err *err)
{
	hn_status rc = HN_OK;

	res->fit.weights = s->kept;
	for (bool resume = true; !rc && has_more(s, res); resume = false)
		rc = attempt(s, resume, res, err);
	if (!rc && !(res->fits > 0))
		rc = hn_fail(err, HN_EDATA, "sparse: no update of at most %.0f bytes in %u runs", s->budget,
		             res->runs);
	return rc;
}
