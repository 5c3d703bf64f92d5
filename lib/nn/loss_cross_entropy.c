/* Softmax cross-entropy over m >= 2 classes with label smoothing s and class weights v:
 *   t_c = (1 - s) [c = label] + s/m v_c / v_label
 *   loss = sum_c t_c (log(sum exp(y - max)) - (y_c - max))      dy = share (p sum_k t_k - t)
 * v_label is part of the share: together torch's CrossEntropyLoss(weight, label_smoothing). */
#include "hn_loss.h"

extern const struct hn_loss_type hn_loss_cross_entropy;

/* sum_k t_k and s/m / v_label of each sample. */
static void weigh(const struct hn_loss_pass *p, float *whole, float *even)
{
	const float each = p->smoothing / (float)p->out_n, *v = p->class_weight;
	float all = 0;

	for (size_t c = 0; v && c < p->out_n; c++)
		all += v[c];
	for (size_t j = 0; j < p->lanes; j++) {
		even[j] = v && j < p->n ? each / v[p->label[j]] : each;
		whole[j] = v ? 1.0f - p->smoothing + even[j] * all : 1.0f;
	}
}

/* HN_LANES samples of one class of weight v; arrays do not overlap. */
static void lanes_gradient(float *restrict dy, const float *restrict whole,
                           const float *restrict even, const float *restrict share, float v)
{
	for (size_t j = 0; j < HN_LANES; j++)
		dy[j] = (whole[j] * dy[j] - even[j] * v) * share[j];
}

/* Turn p = softmax(y) in `dy` into the gradient. */
static void gradient(const struct hn_loss_pass *p, const float *whole, const float *even)
{
	const float hit = 1.0f - p->smoothing;
	float *dy = p->dy;

	for (size_t c = 0; c < p->out_n; c++) {
		const float v = p->class_weight ? p->class_weight[c] : 1.0f;

		for (size_t j = 0; j < p->lanes; j += HN_LANES)
			lanes_gradient(dy + c * p->lanes + j, whole + j, even + j, p->share + j, v);
	}
	for (size_t j = 0; j < p->n; j++)
		dy[(size_t)p->label[j] * p->lanes + j] -= hit * p->share[j];
}

static void cross_entropy_run(const struct hn_loss_pass *p)
{
	const float hit = 1.0f - p->smoothing;
	const size_t lanes = p->lanes;
	float *mx = p->work, *sum = p->work + lanes, *prob = p->work + 2 * lanes;
	float *whole = prob, *even = prob + lanes;       /* nobody needs the probabilities there   */

	p->kern->softmax(p->y, (size_t[2]){ p->out_n, lanes }, p->dy ? p->dy : prob, mx, sum);
	p->kern->log(sum, sum, lanes);
	weigh(p, whole, even);
	for (size_t j = 0; j < p->n; j++)
		p->loss[j] = whole[j] * sum[j] - hit * (p->y[(size_t)p->label[j] * lanes + j] - mx[j]);
	for (size_t c = 0; p->smoothing > 0 && c < p->out_n; c++) {
		const float v = p->class_weight ? p->class_weight[c] : 1.0f;

		for (size_t j = 0; j < p->n; j++)
			p->loss[j] -= even[j] * v * (p->y[c * lanes + j] - mx[j]);
	}
	if (p->dy)
		gradient(p, whole, even);
}

const struct hn_loss_type hn_loss_cross_entropy = {
	.name = "cross_entropy", .labels = true, .run = cross_entropy_run,
};
