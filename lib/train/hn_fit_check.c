/* What is checked before a run: the config and every number of the data. */
#include "hn_fit.h"

#include <math.h>
#include "hn_layer.h"

static const char *const update_names[] = { "full", "last", "biases", "sparse", "scaler" };
_Static_assert(sizeof update_names / sizeof *update_names == HN_UPDATES, "one name each");

const char *hn_update_name(enum hn_update u)
{
	return (unsigned)u < HN_UPDATES ? update_names[u] : "unknown";
}

static hn_status check_update(const struct hn_train_cfg *c, struct hn_err *err)
{
	if ((unsigned)c->update >= HN_UPDATES || c->update == HN_SCALER)
		return hn_fail(err, HN_EINVAL, "update %s: there is nothing to fit", hn_update_name(c->update));
	if ((c->update != HN_FULL || c->anchor > 0) && !c->start)
		return hn_fail(err, HN_EINVAL, "update %s%s: there are no weights to start from",
		               hn_update_name(c->update), c->anchor > 0 ? " with an anchor" : "");
	if (c->update == HN_LAST && c->last_layers < 1)
		return hn_fail(err, HN_EINVAL, "update last: at least 1 layer");
	if (c->update == HN_SPARSE && (!c->grid || c->ema > 0))
		return hn_fail(err, HN_EINVAL, "update sparse needs a grid and cannot be averaged");
	if (!(c->anchor >= 0) || !(c->anchor * c->lr < 1) || !(c->sparse >= 0))
		return hn_fail(err, HN_EINVAL, "anchor and sparse: 0 or more, the anchor below 1 / rate");
	if (!(c->ema >= 0 && c->ema < 1))
		return hn_fail(err, HN_EINVAL, "ema %g: 0 to below 1", (double)c->ema);
	return HN_OK;
}

hn_status hn_fit_check_cfg(const struct hn_train_cfg *c, struct hn_err *err)
{
	if (!c->net || c->net->n_layers == 0 || !c->loss || !c->optim)
		return hn_fail(err, HN_EINVAL, "training needs a net, a loss and an optimiser");
	if (!(c->net->task == HN_CLASSIFY ? c->loss->labels : c->loss->targets))
		return hn_fail(err, HN_EINVAL, "loss %s does not fit the task %s", c->loss->name,
		               hn_task_name(c->net->task));
	if (c->batch < 1 || c->batch > HN_TRAIN_BATCH_MAX)
		return hn_fail(err, HN_EINVAL, "batch %u: 1 to %d", c->batch, HN_TRAIN_BATCH_MAX);
	if (c->epochs < 1)
		return hn_fail(err, HN_EINVAL, "epochs: at least 1");
	if (!(c->lr > 0) || !isfinite(c->lr))
		return hn_fail(err, HN_EINVAL, "learning rate %g: must be positive", (double)c->lr);
	if (!(c->weight_decay >= 0) || !(c->weight_decay * c->lr < 1))
		return hn_fail(err, HN_EINVAL, "weight decay %g: 0 or more, below 1 / learning rate",
		               (double)c->weight_decay);
	if (!(c->momentum >= 0 && c->momentum < 1))
		return hn_fail(err, HN_EINVAL, "momentum %g: 0 to below 1", (double)c->momentum);
	if (!(c->delta > 0) || !isfinite(c->delta))
		return hn_fail(err, HN_EINVAL, "huber delta %g: must be positive", (double)c->delta);
	if (!(c->smoothing >= 0 && c->smoothing < 1))
		return hn_fail(err, HN_EINVAL, "label smoothing %g: 0 to below 1", (double)c->smoothing);
	if (c->smoothing > 0 && !c->loss->smooths)
		return hn_fail(err, HN_EINVAL, "label smoothing: loss %s has none, only cross_entropy",
		               c->loss->name);
	if (!(c->decay > 0 && c->decay <= 1) || c->decay_epochs < 1 ||
	    (unsigned)c->schedule >= HN_SCHEDULES)
		return hn_fail(err, HN_EINVAL, "schedule: decay above 0 to 1, over 1 epoch or more");
	if (!(c->clip_norm >= 0) || !(c->min_delta >= 0))
		return hn_fail(err, HN_EINVAL, "clip norm and min delta: 0 or more");
	return check_update(c, err);
}

static hn_status check_finite(const float *v, size_t n, size_t width, const char *what,
                              struct hn_err *err)
{
	for (size_t i = 0; i < n * width; i++)
		if (!isfinite(v[i]))
			return hn_fail(err, HN_ENUMERIC, "%s: sample %zu, value %zu is not finite", what,
			               i / width, i % width);
	return HN_OK;
}

static hn_status check_labels(const struct hn_net *net, const struct hn_set *s, const char *what,
                              struct hn_err *err)
{
	if (!s->label)
		return hn_fail(err, HN_EINVAL, "%s: no labels", what);
	for (uint32_t i = 0; i < s->n; i++)
		if (s->label[i] < 0 || s->label[i] >= net->out_n)
			return hn_fail(err, HN_ERANGE, "%s: sample %u has label %d, the net %u classes", what,
			               i, s->label[i], net->out_n);
	return HN_OK;
}

static hn_status check_weights(const struct hn_set *s, const char *what, struct hn_err *err)
{
	double sum = 0;

	for (uint32_t i = 0; s->weight && i < s->n; i++) {
		if (!(s->weight[i] >= 0) || !isfinite(s->weight[i]))
			return hn_fail(err, HN_ERANGE, "%s: sample %u has weight %g", what, i,
			               (double)s->weight[i]);
		sum += (double)s->weight[i];
	}
	if (s->weight && s->n && !(sum > 0))
		return hn_fail(err, HN_EDATA, "%s: all sample weights are zero", what);
	return HN_OK;
}

static hn_status check_set(const struct hn_net *net, const struct hn_set *s, const char *what,
                           struct hn_err *err)
{
	hn_status rc;

	if (s->n == 0)
		return HN_OK;
	if (!s->x)
		return hn_fail(err, HN_EINVAL, "%s: no inputs", what);
	rc = check_finite(s->x, s->n, hn_size(net->in), what, err);
	if (rc)
		return rc;
	if (net->task == HN_CLASSIFY) {
		rc = check_labels(net, s, what, err);
	} else if (net->task != HN_AUTOENCODE) {
		if (!s->target)
			return hn_fail(err, HN_EINVAL, "%s: no targets", what);
		rc = check_finite(s->target, s->n, net->out_n, what, err);
	}
	return rc ? rc : check_weights(s, what, err);
}

/* Targets that the loss can take. */
static hn_status check_range(const struct hn_train_cfg *c, const struct hn_set *s, const char *what,
                             struct hn_err *err)
{
	const float *v = c->net->task == HN_AUTOENCODE ? s->x : s->target;
	const float lo = c->loss->target_lo, hi = c->loss->target_hi;
	const size_t width = c->net->out_n;

	if (c->net->task == HN_CLASSIFY || !(hi > lo))
		return HN_OK;
	for (size_t i = 0; i < s->n * width; i++)
		if (!(v[i] >= lo && v[i] <= hi))
			return hn_fail(err, HN_ERANGE, "%s: sample %zu, target %zu is %g; loss %s takes %g to %g",
			               what, i / width, i % width, (double)v[i], c->loss->name, (double)lo,
			               (double)hi);
	return HN_OK;
}

/* A channel that never changes tells nothing, and a later change of it would look like anything. */
static hn_status check_channels(const struct hn_net *net, const struct hn_set *s,
                                struct hn_err *err)
{
	const size_t ch = net->in.ch, rows = (size_t)s->n * net->in.len;

	for (size_t c = 0; c < ch && rows > 1; c++) {
		size_t i = 1;

		while (i < rows && !(s->x[i * ch + c] < s->x[c]) && !(s->x[i * ch + c] > s->x[c]))
			i++;
		if (i == rows)
			return hn_fail(err, HN_EDATA, "training data: channel %zu is the same in all %u samples",
			               c + 1, s->n);
	}
	return HN_OK;
}

static hn_status check_classes(const struct hn_set *s, struct hn_err *err)
{
	for (uint32_t i = 1; i < s->n; i++)
		if (s->label[i] != s->label[0])
			return HN_OK;
	return hn_fail(err, HN_EDATA, "training data: only class %d appears in %u samples",
	               s->label[0], s->n);
}

static hn_status check_class_weight(const struct hn_train_cfg *c, struct hn_err *err)
{
	for (unsigned i = 0; c->class_weight && i < c->net->out_n; i++)
		if (!(c->class_weight[i] > 0) || !isfinite(c->class_weight[i]))
			return hn_fail(err, HN_EINVAL, "weight of class %u must be positive", i);
	return HN_OK;
}

hn_status hn_fit_check(const struct hn_train_cfg *c, const struct hn_data *data,
                       struct hn_err *err)
{
	hn_status rc;

	if (data->train.n == 0)
		return hn_fail(err, HN_EDATA, "training data: no samples");
	rc = check_set(c->net, &data->train, "training data", err);
	if (!rc)
		rc = check_set(c->net, &data->valid, "held-back data", err);
	if (!rc)
		rc = check_range(c, &data->train, "training data", err);
	if (!rc)
		rc = check_range(c, &data->valid, "held-back data", err);
	if (!rc)
		rc = check_channels(c->net, &data->train, err);
	if (!rc && c->net->task == HN_CLASSIFY)
		rc = check_classes(&data->train, err);
	if (!rc && c->net->task == HN_CLASSIFY)
		rc = check_class_weight(c, err);
	if (!rc && c->start)
		rc = check_finite(c->start, 1, c->net->n_weights, "weights to start from", err);
	return rc;
}
