#include "hn_episode.h"

#include <stddef.h>

const char *const hn_verdict_names[] = {
	"steady", "sensor fault", "data drift", "concept drift", NULL
};
const char *const hn_fault_names[] = { "none", "out of range", "stuck", "missing", NULL };

enum hn_verdict_kind hn_verdict_of(const struct hn_signs *s)
{
	if (s->fault != HN_FAULT_NONE)
		return HN_SENSOR_FAULT;
	if (s->input)
		return HN_DATA_DRIFT;
	if (s->errors)
		return HN_CONCEPT_DRIFT;
	return s->margin ? HN_DATA_DRIFT : HN_STEADY;
}

static enum hn_episode_event close_now(struct hn_episode *e, int64_t now_us)
{
	e->open = false;
	e->closed_us = now_us;
	return HN_EPISODE_CLOSED;
}

/* A fault hides what else is going on, so drift found beside it is news; the two drifts are not
 * graver than each other. */
static bool graver(enum hn_verdict_kind was, enum hn_verdict_kind is)
{
	return was == HN_SENSOR_FAULT && (is == HN_DATA_DRIFT || is == HN_CONCEPT_DRIFT);
}

enum hn_episode_event hn_episode_step(struct hn_episode *e, const struct hn_signs *s,
                                      uint32_t quiet, int64_t now_us)
{
	const enum hn_verdict_kind kind = hn_verdict_of(s);

	if (!e->open) {
		if (kind == HN_STEADY)
			return HN_EPISODE_NONE;
		*e = (struct hn_episode){ .open = true, .kind = kind, .fault = s->fault, .opened_us = now_us };
		return HN_EPISODE_OPENED;
	}
	e->calm = kind == HN_STEADY && s->calm ? e->calm + 1 : 0;
	if (graver(e->kind, kind)) {
		e->kind = kind;
		e->fault = HN_FAULT_NONE;
		return HN_EPISODE_CHANGED;
	}
	if (quiet > 0 && e->calm >= quiet)
		return close_now(e, now_us);
	return HN_EPISODE_NONE;
}

enum hn_episode_event hn_episode_rearm(struct hn_episode *e, int64_t now_us)
{
	e->calm = 0;
	return e->open ? close_now(e, now_us) : HN_EPISODE_NONE;
}
