/* Binary cross-entropy of logits, each output by itself; targets 0 to 1, or 1 for the label and 0
 * for all others:  loss = mean_c log(1 + exp(y_c)) - t_c y_c,  dy = share (sigmoid(y) - t) / m.
 * Numbers as torch.nn.BCEWithLogitsLoss. */
#include "hn_loss.h"

#include <string.h>

extern const struct hn_loss_type hn_loss_binary_cross_entropy;

static void binary_cross_entropy_run(const struct hn_loss_pass *p)
{
	float *one = p->work;            /* (out_n, lanes) targets of the labels                   */

	if (!p->target) {
		memset(one, 0, p->out_n * p->lanes * sizeof *one);
		for (size_t j = 0; j < p->n; j++)
			one[(size_t)p->label[j] * p->lanes + j] = 1;
	}
	p->kern->binary(&(struct hn_target_args){ .m = p->out_n, .lanes = p->lanes, .y = p->y,
	                .t = p->target ? p->target : one, .share = p->share, .loss = p->loss,
	                .dy = p->dy });
}

const struct hn_loss_type hn_loss_binary_cross_entropy = {
	.name = "binary_cross_entropy", .labels = true, .targets = true, .target_lo = 0, .target_hi = 1,
	.run = binary_cross_entropy_run,
};
