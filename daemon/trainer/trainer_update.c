/* What a job takes from the champion: the weights it begins with, and the int8 grid that a sparse
 * or a scaler update keeps. */
#include "trainer_fit.h"

#include <string.h>

#include "hn_delta.h"

enum { SEARCH_RUNS = 8 };

static bool keeps_grid(const struct fit *f)
{
	return f->cfg.update == HN_SPARSE || f->cfg.update == HN_SCALER;
}

const struct hn_model *trainer_frozen(const struct fit *f)
{
	return keeps_grid(f) ? &f->champion : NULL;
}

/* Why the champion cannot be the beginning, or NULL. */
static const char *obstacle(struct fit *f, const struct trainer_champion *champion)
{
	struct hn_model *m = &f->champion;

	if (!champion->blob)
		return "there is no champion";
	if (hn_model_read(m, champion->blob, champion->len, NULL) != HN_OK)
		return "the champion cannot be read";
	if (strcmp(m->net, f->job->net) != 0 || m->n_weights != f->net.n_weights ||
	    m->in_len != f->job->window || m->in_ch != f->d->ch || m->out_n != f->net.out_n)
		return "the champion has another network";
	if (keeps_grid(f) && hn_calib_of(m, &f->folded, &f->choice.calib) != HN_OK)
		return "the champion's int8 grid is not known";
	for (unsigned i = 0; f->cfg.update == HN_SPARSE && i < f->net.n_layers; i++)
		if (f->net.layer[i].n_state > 0)
			return "the network has batch_norm";
	if (f->cfg.update == HN_SCALER && f->d->n_fresh == 0)
		return "there are no frames of a new regime";
	return NULL;
}

void trainer_update(struct fit *f, const struct trainer_champion *champion)
{
	f->cfg.update = (enum hn_update)f->job->update;
	f->cfg.last_layers = (uint32_t)f->job->last_layers;
	f->cfg.anchor = (float)f->job->anchor;
	if (f->cfg.update == HN_FULL && !(f->cfg.anchor > 0))
		return;
	f->not_updated = obstacle(f, champion);
	if (f->not_updated) {
		f->cfg.update = HN_FULL;
		f->cfg.anchor = 0;
		return;
	}
	f->cfg.start = f->champion.weights;
}

/* Bytes of the delta from the champion's image. */
static double cost(void *ctx, const float *weights)
{
	struct fit *f = ctx;
	const double never = 1e30;
	struct hn_quant_cfg q = { .net = &f->folded, .weights = weights, .scaler = &f->scaler,
		.frozen = f->champion.image, .frozen_len = f->champion.image_len };
	size_t len = 0;

	if (hn_image_write(&q, &f->choice.calib, (struct hn_bytes){ f->image,
	                   hn_image_need(&f->folded) }, &len, NULL) != HN_OK ||
	    len != f->champion.image_len)
		return never;
	return (double)hn_delta_size(f->champion.image, f->image, len);
}

/* The search goes on where it was cut off, or begins. */
static bool search_found(struct fit *f, const struct hn_sparse_job *s)
{
	const struct trainer_piece piece[TRAINER_PIECES] = {
		{ &f->search, sizeof f->search },
		{ f->lean, f->net.n_weights * sizeof *f->lean },
	};
	const bool wanted = f->keep->fd >= 0 && f->keep->found == PHASE_SEARCH;

	if (trainer_keep_begin(f->keep, PHASE_SEARCH, piece) && hn_sparse_plausible(s, &f->search))
		return true;
	if (wanted)
		trainer_refuse("the checkpoint is damaged");
	f->search = (struct hn_sparse_result){ .runs = 0 };
	return false;
}

hn_status trainer_sparse(struct fit *f, const struct hn_train_job *job, struct hn_err *err)
{
	const struct hn_quant_cfg q = { .net = &f->folded, .weights = f->champion.weights,
		.scaler = &f->scaler, .frozen = f->champion.image, .frozen_len = f->champion.image_len };
	struct hn_sparse_job s = { .cost = cost, .budget = (double)f->job->wire_max,
		.runs_max = SEARCH_RUNS, .kept = f->lean };
	hn_status rc = hn_quant_steps(&q, &f->choice.calib, f->grid);

	if (rc != HN_OK)
		return hn_fail(err, rc, "sparse: %s", hn_status_text(rc));
	f->cfg.grid = f->grid;
	s.job = trainer_hooks(f, search_found(f, &s));
	s.job.cfg = job->cfg;
	s.job.data = job->data;
	s.job.progress = job->progress;
	rc = hn_train_sparse(&s, &f->search, err);
	f->result = f->search.fit;
	f->wire_bytes = (int)f->search.cost;
	f->search_runs = f->search.runs;
	return rc;
}
