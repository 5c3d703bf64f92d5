/* Huber: with d = y - t and q = min(|d|, delta), loss = mean_c q (|d| - q / 2),
 * dy = share clamp(d, -delta, delta) / m.
 * Source: Huber 1964, "Robust estimation of a location parameter"; as torch.nn.HuberLoss. */
#include "hn_loss.h"

extern const struct hn_loss_type hn_loss_huber;

static void huber_run(const struct hn_loss_pass *p)
{
	p->kern->huber(&(struct hn_target_args){ .m = p->out_n, .lanes = p->lanes, .y = p->y,
	               .t = p->target, .share = p->share, .loss = p->loss, .dy = p->dy,
	               .delta = p->delta });
}

const struct hn_loss_type hn_loss_huber = { .name = "huber", .targets = true, .run = huber_run };
