/* Softmax cross-entropy over m >= 2 classes with label smoothing s and class weights v:
 *   t_c = (1 - s) [c = label] + s/m v_c / v_label
 *   loss = sum_c t_c (log(sum exp(y - max)) - (y_c - max))      dy = share (p sum_k t_k - t)
 * v_label is part of the share: together torch's CrossEntropyLoss(weight, label_smoothing). */
#include "hn_loss.h"

extern const struct hn_loss_type hn_loss_cross_entropy;

static void cross_entropy_run(const struct hn_loss_pass *p)
{
	p->kern->cross_entropy(&(struct hn_class_args){ .m = p->out_n, .lanes = p->lanes, .y = p->y,
	                       .label = p->label, .share = p->share, .smoothing = p->smoothing,
	                       .class_weight = p->class_weight, .loss = p->loss, .dy = p->dy });
}

const struct hn_loss_type hn_loss_cross_entropy = {
	.name = "cross_entropy", .labels = true, .smooths = true, .run = cross_entropy_run,
};
