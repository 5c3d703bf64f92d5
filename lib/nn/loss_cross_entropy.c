/* Softmax cross-entropy over m classes, label smoothing s: target t = (1 - s) [c = label] + s/m.
 *   loss = log(sum exp(y - max)) - sum_c t_c (y_c - max)        dy = share (p - t) */
#include "hn_loss.h"

extern const struct hn_loss_type hn_loss_cross_entropy;

/* Turn p = softmax(y) in `dy` into the gradient. */
static void gradient(const struct hn_loss_pass *p)
{
	const float hit = 1.0f - p->smoothing, floor = p->smoothing / (float)p->out_n;
	float *dy = p->dy;

	for (size_t c = 0; c < p->out_n; c++)
		for (size_t j = 0; j < p->lanes; j++)
			dy[c * p->lanes + j] = (dy[c * p->lanes + j] - floor) * p->share[j];
	for (size_t j = 0; j < p->n; j++)
		dy[(size_t)p->label[j] * p->lanes + j] -= hit * p->share[j];
}

static void cross_entropy_run(const struct hn_loss_pass *p)
{
	const float hit = 1.0f - p->smoothing, floor = p->smoothing / (float)p->out_n;
	const size_t lanes = p->lanes;
	float *mx = p->work, *sum = p->work + lanes, *prob = p->work + 2 * lanes;
	float *out = p->dy ? p->dy : prob;

	p->kern->softmax(p->y, (size_t[2]){ p->out_n, lanes }, out, mx, sum);
	p->kern->log(sum, sum, lanes);
	for (size_t j = 0; j < p->n; j++)
		p->loss[j] = sum[j] - hit * (p->y[(size_t)p->label[j] * lanes + j] - mx[j]);
	for (size_t c = 0; floor > 0 && c < p->out_n; c++)
		for (size_t j = 0; j < p->n; j++)
			p->loss[j] -= floor * (p->y[c * lanes + j] - mx[j]);
	if (p->dy)
		gradient(p);
}

const struct hn_loss_type hn_loss_cross_entropy = {
	.name = "cross_entropy", .labels = true, .run = cross_entropy_run,
};
