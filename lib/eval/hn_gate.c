#include "hn_gate.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hn_test.h"

enum { WINDOWS_MAX = 1 << 28 };          /* so that sums of counts cannot overflow                */

__attribute__((format(printf, 2, 3)))
static void say(struct hn_gate_result *r, const char *fmt, ...)
{
	va_list ap;

	if (r->n_reasons == HN_GATE_REASONS)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(r->reason[r->n_reasons++], HN_GATE_TEXT, fmt, ap);
	va_end(ap);
}

static double share(int k, int n)
{
	return n > 0 ? (double)k / n : 0.0;
}

static bool set_possible(const struct hn_gate_set *s)
{
	return s->n >= 0 && s->n <= WINDOWS_MAX && s->champion >= 0 && s->challenger >= 0 && s->both >= 0
	    && s->champion <= s->n && s->challenger <= s->n
	    && s->both <= s->champion && s->both <= s->challenger
	    && s->champion - s->both <= s->n - s->challenger;
}

static bool possible(const struct hn_gate_input *in, int n)
{
	return in->float_right >= 0 && in->float_right <= n
	    && in->int8_right >= 0 && in->int8_right <= n && in->majority >= 0 && in->majority <= n;
}

/* Loses more than allowed; one window is never held against it: sets are small. */
static bool loses(int lost, int n, double allowed)
{
	return lost > 1 && lost > allowed * n;
}

static void check_int8(const struct hn_gate_input *in, const struct hn_gate_cfg *cfg, int n,
                       struct hn_gate_result *r)
{
	const int lost = in->float_right - in->int8_right;

	r->int8_loss = share(lost, n);
	if (loses(lost, n, cfg->int8_loss_max))
		say(r, "int8 weights lose %.1f points against float (%.1f allowed)", 100.0 * r->int8_loss,
		    100.0 * cfg->int8_loss_max);
}

static void check_first(const struct hn_gate_input *in, int n, struct hn_gate_result *r)
{
	r->challenger = share(in->recent.challenger + in->kept.challenger, n);
	r->champion = share(in->majority, n);
	r->gain = r->challenger - r->champion;
	if (in->recent.challenger + in->kept.challenger <= in->majority)
		say(r, "no better than always answering the most frequent class (%.1f %%)", 100.0 * r->champion);
}

static void check_gain(const struct hn_gate_set *s, const char *which,
                       const struct hn_gate_cfg *cfg, struct hn_gate_result *r)
{
	const int wins = s->challenger - s->both, losses = s->champion - s->both;

	r->champion = share(s->champion, s->n);
	r->challenger = share(s->challenger, s->n);
	r->gain = r->challenger - r->champion;
	r->p = hn_sign_midp_greater(wins, losses);
	if (s->challenger - s->champion < cfg->gain_min * s->n - 1e-9)
		say(r, "gain of %.1f points on %d %s windows is below the %.1f wanted", 100.0 * r->gain, s->n,
		    which, 100.0 * cfg->gain_min);
}

static void check_forget(const struct hn_gate_set *kept, const struct hn_gate_cfg *cfg,
                         struct hn_gate_result *r)
{
	const int lost = kept->champion - kept->challenger;

	r->forget = share(lost, kept->n);
	if (loses(lost, kept->n, cfg->forget_max))
		say(r, "forgets: %.1f points lost on %d windows of the regimes before (%.1f allowed)",
		    100.0 * r->forget, kept->n, 100.0 * cfg->forget_max);
}

/* The summary goes first, the objections after it. */
static void make_room(struct hn_gate_result *r)
{
	if (r->n_reasons == HN_GATE_REASONS)
		r->n_reasons--;
	memmove(r->reason[1], r->reason[0], (size_t)r->n_reasons * HN_GATE_TEXT);
	r->n_reasons++;
	r->pass = r->n_reasons == 1;
}

static void sum_up(struct hn_gate_result *r, int n, const char *which, bool has_champion)
{
	make_room(r);
	(void)snprintf(r->reason[0], HN_GATE_TEXT,
	               "%s: %.1f %% right against %.1f %% of %s on %d %s windows",
	               r->pass ? "passed" : "failed", 100.0 * r->challenger, 100.0 * r->champion,
	               has_champion ? "the champion" : "the most frequent class", n, which);
}

void hn_gate_decide(const struct hn_gate_input *in, const struct hn_gate_cfg *cfg,
                    struct hn_gate_result *out)
{
	const bool sets_ok = set_possible(&in->recent) && set_possible(&in->kept);
	const int all = sets_ok ? in->recent.n + in->kept.n : 0;
	const bool by_recent = in->has_champion && in->recent.n > 0;
	const struct hn_gate_set *judged = by_recent ? &in->recent : &in->kept;
	const int n = in->has_champion ? judged->n : all;
	const char *which = by_recent ? "recent" : "held-back";

	*out = (struct hn_gate_result){ .p = 1.0 };
	if (!sets_ok || !possible(in, all)) {
		say(out, "failed: the counts of the report contradict each other");
		return;
	}
	if (n < cfg->windows_min || n < 1)
		say(out, "%d %s labelled windows are too few to decide (%d needed)", n, which, cfg->windows_min);
	if (in->has_champion) {
		check_gain(judged, which, cfg, out);
		if (by_recent && in->kept.n > 0)
			check_forget(&in->kept, cfg, out);
	} else {
		check_first(in, all, out);
	}
	check_int8(in, cfg, all, out);
	sum_up(out, n, which, in->has_champion);
}

/* --- by errors -------------------------------------------------------------------------------- */

static bool errors_possible(const struct hn_gate_errors *s)
{
	if (s->n < 0 || s->n > WINDOWS_MAX || s->wins < 0 || s->losses < 0 || s->wins > s->n
	    || s->losses > s->n - s->wins)
		return false;
	return s->n == 0 || (s->champion >= 0.0 && s->challenger >= 0.0 && s->plain > 0.0
	                     && isfinite(s->champion) && isfinite(s->challenger) && isfinite(s->plain));
}

static double skill(double error, double plain)
{
	return plain > 0.0 ? 1.0 - error / plain : 0.0;
}

/* The windows of both regimes as one set. */
static struct hn_gate_errors joined(const struct hn_gate_errors *a, const struct hn_gate_errors *b)
{
	const double n = a->n + b->n > 0 ? (double)a->n + b->n : 1.0;

	return (struct hn_gate_errors){ .n = a->n + b->n, .wins = a->wins + b->wins,
		.losses = a->losses + b->losses,
		.champion = (a->n * a->champion + b->n * b->champion) / n,
		.challenger = (a->n * a->challenger + b->n * b->challenger) / n,
		.plain = (a->n * a->plain + b->n * b->plain) / n };
}

static void compare_errors(const struct hn_gate_measures *in, const struct hn_gate_errors *s,
                           const struct hn_gate_cfg *cfg, struct hn_gate_result *r)
{
	r->challenger = skill(s->challenger, s->plain);
	r->champion = in->has_champion ? skill(s->champion, s->plain) : 0.0;
	r->gain = r->challenger - r->champion;
	if (!in->has_champion && s->n > 0 && !(s->challenger < s->plain))
		say(r, "no better than %s", in->plain_name);
	if (!in->has_champion)
		return;
	r->p = hn_sign_midp_greater(s->wins, s->losses);
	if (r->gain < cfg->gain_min - 1e-9)
		say(r, "gain of %.1f points of skill on %d windows is below the %.1f wanted", 100.0 * r->gain,
		    s->n, 100.0 * cfg->gain_min);
}

static void compare_kept(const struct hn_gate_errors *kept, const struct hn_gate_cfg *cfg,
                         struct hn_gate_result *r)
{
	r->forget = skill(kept->champion, kept->plain) - skill(kept->challenger, kept->plain);
	if (r->forget > cfg->forget_max)
		say(r, "forgets: %.1f points of skill lost on %d windows of the regimes before (%.1f allowed)",
		    100.0 * r->forget, kept->n, 100.0 * cfg->forget_max);
}

static void compare_int8(const struct hn_gate_measures *in, const struct hn_gate_cfg *cfg,
                         struct hn_gate_result *r)
{
	if (!(in->plain > 0.0) || !isfinite(in->float_error) || !isfinite(in->int8_error))
		return;
	r->int8_loss = (in->int8_error - in->float_error) / in->plain;
	if (r->int8_loss > cfg->int8_loss_max)
		say(r, "int8 weights lose %.1f points of skill against float (%.1f allowed)",
		    100.0 * r->int8_loss, 100.0 * cfg->int8_loss_max);
}

void hn_gate_measure(const struct hn_gate_measures *in, const struct hn_gate_cfg *cfg,
                     struct hn_gate_result *out)
{
	const bool by_recent = in->has_champion && in->recent.n > 0;
	const char *which = by_recent ? "recent" : "held-back";
	struct hn_gate_errors s;

	*out = (struct hn_gate_result){ .p = 1.0 };
	if (!errors_possible(&in->recent) || !errors_possible(&in->kept)) {
		say(out, "failed: the figures of the report contradict each other");
		return;
	}
	s = by_recent ? in->recent : joined(&in->recent, &in->kept);
	if (s.n < cfg->windows_min || s.n < 1)
		say(out, "%d %s windows are too few to decide (%d needed)", s.n, which, cfg->windows_min);
	compare_errors(in, &s, cfg, out);
	if (by_recent && in->kept.n > 0)
		compare_kept(&in->kept, cfg, out);
	compare_int8(in, cfg, out);
	make_room(out);
	(void)snprintf(out->reason[0], HN_GATE_TEXT,
	               "%s: skill %.1f %% (error %.3g) against %.1f %% (%.3g) of %s on %d %s windows",
	               out->pass ? "passed" : "failed", 100.0 * out->challenger, s.challenger,
	               100.0 * out->champion, in->has_champion ? s.champion : s.plain,
	               in->has_champion ? "the champion" : in->plain_name, s.n, which);
}
