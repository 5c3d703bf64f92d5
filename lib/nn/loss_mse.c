/* Mean squared error: loss = mean_c (y_c - t_c)^2, dy = share 2 (y - t) / m. */
#include "hn_loss.h"

extern const struct hn_loss_type hn_loss_mse;

static void mse_run(const struct hn_loss_pass *p)
{
	p->kern->mse(&(struct hn_target_args){ .m = p->out_n, .lanes = p->lanes, .y = p->y,
	             .t = p->target, .share = p->share, .loss = p->loss, .dy = p->dy });
}

const struct hn_loss_type hn_loss_mse = { .name = "mse", .targets = true, .run = mse_run };
