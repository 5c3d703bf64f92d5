/* Which rule of calibration suits a net: all are tried, the best image wins. */
#include "hn_quant.h"

/* One rule: calibrate, write, compare. */
struct attempt { struct hn_calib calib; struct hn_agreement a; };

static hn_status attempt(const struct hn_quant_cfg *cfg, struct hn_samples s,
                         struct hn_arena *arena, struct attempt *out, struct hn_err *err)
{
	const size_t need = hn_image_need(cfg->net), mark = arena->used;
	struct hn_bytes image = { hn_arena_take(arena, need), need };
	size_t len = 0;
	hn_status rc = image.p || hn_arena_dry(arena) ? HN_OK : HN_ENOMEM;

	if (!rc)
		rc = hn_calibrate(cfg, s, arena, &out->calib, err);
	if (!rc && !hn_arena_dry(arena))
		rc = hn_image_write(cfg, &out->calib, image, &len, err);
	if (!rc)
		rc = hn_agree(&(struct hn_agree_job){ cfg, &out->calib, image.p, (uint32_t)len, s }, arena,
		              &out->a);
	hn_arena_reset(arena, mark);
	return rc;
}

/* Classes first: that is what devices report. */
static bool better(const struct hn_net *net, const struct attempt *a, const struct attempt *b)
{
	if (net->task == HN_CLASSIFY && a->a.same_argmax != b->a.same_argmax)
		return a->a.same_argmax > b->a.same_argmax;
	return a->a.out_mse < b->a.out_mse;
}

hn_status hn_calib_choose(const struct hn_quant_cfg *cfg, struct hn_samples s,
                          struct hn_arena *arena, struct hn_choice *out, struct hn_err *err)
{
	struct attempt best = { .a = { .n = 0 } }, next;
	struct hn_quant_cfg with = *cfg;
	hn_status rc = HN_OK;

	for (unsigned rule = 0; rule < HN_CALIB_RULES && !rc; rule++) {
		with.rule = (enum hn_calib_rule)rule;
		rc = attempt(&with, s, arena, &next, err);
		if (rc || hn_arena_dry(arena))
			continue;
		if (rule == 0 || better(cfg->net, &next, &best)) {
			best = next;
			out->rule = with.rule;
		}
	}
	if (!rc && !hn_arena_dry(arena)) {
		out->calib = best.calib;
		out->agreement = best.a;
	}
	return rc;
}
