/* Selective repeat; see hn_window.h.
 *
 * Timer: after RFC 6298 (Jacobson/Karels) with Karn's rule and exponential back-off.  A steady line
 * with telemetry of its own brings the variance near zero: hence twice the mean.  Early repeat:
 * after RFC 8985 (RACK): lost is what was sent a good while before something that has arrived; how
 * long that is grows each time a repeat turns out to have been unnecessary: its answer comes sooner
 * than one can.  Size: a frame of n bytes
 * passes with probability (1 - e)^n; n - o of them are payload; the best n is near sqrt(o / e). */
#include "hn_window.h"

#include <string.h>

enum {
	RTO_MIN_US = 100000, RTO_MAX_US = 6000000, RTO_FIRST_US = 300000, BACKOFF_MAX_US = 1000000,
	BACKOFF_MAX = 6, DISORDER_MAX = 5, UNMEASURED_MAX = 16,
	OVERHEAD = HD_FRAME_HEAD + HD_CHUNK_HEAD + HD_FRAME_CRC + 2,
	MEMORY_BYTES = 16384, PRIOR_BYTES = 4096
};

void hn_window_forget(struct hn_window *w)
{
	memset(w->place, 0, sizeof w->place);
	w->arrived_us = 0;
}

void hn_window_begin(struct hn_window *w, uint32_t len, uint32_t grain, uint32_t most)
{
	w->len = len;
	w->grain = grain;
	w->most = most;
	w->next = w->bitmap = 0;
	w->backoff = 0;
	w->unmeasured = 0;
	hn_window_forget(w);
}

static struct hn_grain *place(struct hn_window *w, uint32_t at)
{
	return &w->place[at / w->grain % HN_WINDOW_PLACES];
}

/* Grain i of the window, i < HD_GRAINS_AHEAD: 0 is the one at `next`. */
static bool has_grain(const struct hn_window *w, unsigned i)
{
	return w->bitmap >> i & 1;
}

static bool has_at(const struct hn_window *w, uint32_t at)
{
	const uint32_t i = at < w->next ? 0 : (at - w->next) / w->grain;

	return at < w->next || (i < HD_GRAINS_AHEAD && has_grain(w, i));
}

int64_t hn_window_rto(const struct hn_window *w)
{
	const int64_t rtt = 2 * w->srtt_us + 4 * w->rttvar_us;
	const int64_t t = w->srtt_us == 0 ? RTO_FIRST_US : rtt < RTO_MIN_US ? RTO_MIN_US : rtt;
	const int64_t slow = t << w->backoff;
	const int64_t most = w->srtt_us == 0 ? RTO_MAX_US : t > BACKOFF_MAX_US ? t : BACKOFF_MAX_US;

	return slow < most ? slow : most < RTO_MAX_US ? most : RTO_MAX_US;
}

static void measure(struct hn_window *w, int64_t rtt)
{
	const int64_t d = rtt > w->srtt_us ? rtt - w->srtt_us : w->srtt_us - rtt;

	w->unmeasured = 0;
	if (w->least_us == 0 || rtt < w->least_us)
		w->least_us = rtt;
	if (w->srtt_us == 0) {
		w->srtt_us = rtt > 0 ? rtt : 1;
		w->rttvar_us = rtt / 4;
		return;
	}
	w->rttvar_us += (d - w->rttvar_us) / 4;
	w->srtt_us += (rtt - w->srtt_us) / 8;
	if (w->srtt_us < 1)
		w->srtt_us = 1;
}

/* Was its repeat unnecessary?  Then this answers the first one. */
static bool is_late(const struct hn_window *w, const struct hn_grain *g, int64_t now_us)
{
	return g->again && now_us - g->sent_us < w->least_us / 2;
}

void hn_window_guess(struct hn_window *w, int64_t rtt_us)
{
	if (w->srtt_us != 0)
		return;
	w->srtt_us = rtt_us > 0 ? rtt_us : 1;
	w->least_us = w->srtt_us;
}

void hn_window_passed(struct hn_window *w, int64_t sent_us)
{
	if (sent_us > w->arrived_us)
		w->arrived_us = sent_us;
}

void hn_window_ack(struct hn_window *w, uint32_t next, uint32_t bitmap, int64_t now_us)
{
	int64_t newest = 0;
	bool some = false;

	w->next = next;
	w->bitmap = bitmap;
	for (unsigned i = 0; i < HN_WINDOW_PLACES; i++) {
		struct hn_grain *g = &w->place[i];

		if (g->at == 0 || !has_at(w, g->at - 1))
			continue;
		if (is_late(w, g, now_us))
			w->disorder += w->disorder < DISORDER_MAX;
		if (!g->again && g->sent_us > newest)
			newest = g->sent_us;
		g->at = 0;
		some = true;
	}
	if (newest != 0)
		measure(w, now_us - newest);     /* one sample an answer */
	else if (some && ++w->unmeasured == UNMEASURED_MAX)
		w->srtt_us = w->rttvar_us = 0;   /* a slow line: everything was repeated too early */
	if (some && w->srtt_us != 0)
		w->backoff = 0;
	hn_window_passed(w, newest);
}

void hn_window_damage(struct hn_window *w, uint32_t count)
{
	const uint32_t more = count - w->damaged_seen;

	/* A jump is a device that began again, or bytes that its port lost: no measure of noise. */
	if (w->counting && more <= HD_GRAINS_AHEAD)
		w->damaged += more;
	w->counting = true;
	w->damaged_seen = count;
}

uint32_t hn_window_chunk(const struct hn_window *w)
{
	const uint64_t room = (uint64_t)OVERHEAD * (w->bytes + PRIOR_BYTES);
	uint32_t n = w->most / w->grain * w->grain;

	while (n > w->grain && (uint64_t)(n + OVERHEAD) * (n + OVERHEAD) * w->damaged > room)
		n -= w->grain;
	return n;
}

static bool overdue(struct hn_window *w, const struct hn_grain *g, int64_t now_us)
{
	const int64_t patience = (w->srtt_us / 4) << w->disorder;

	return now_us - g->sent_us >= hn_window_rto(w) || w->arrived_us > g->sent_us + patience;
}

/* Is the grain at `at`, number i of the window, to be sent now? */
static bool wanted(struct hn_window *w, unsigned i, uint32_t at, int64_t now_us)
{
	const struct hn_grain *g = place(w, at);

	return at < w->len && !has_grain(w, i) && (g->at != at + 1 || overdue(w, g, now_us));
}

bool hn_window_next(struct hn_window *w, unsigned credits, int64_t now_us, uint32_t *at,
                    uint32_t *n)
{
	const uint32_t chunk = hn_window_chunk(w);
	const uint32_t frames = credits * (w->most + OVERHEAD) / (chunk + OVERHEAD);
	uint32_t i = 0, last = frames * chunk / w->grain;

	if (last > HD_GRAINS_AHEAD)
		last = HD_GRAINS_AHEAD;
	while (i < last && !wanted(w, i, w->next + i * w->grain, now_us))
		i++;
	if (i == last)
		return false;
	*at = w->next + i * w->grain;
	for (*n = 0; *n < chunk && i < last && wanted(w, i, *at + *n, now_us); i++)
		*n += w->grain;
	if (*n > w->len - *at)
		*n = w->len - *at;
	return true;
}

void hn_window_sent(struct hn_window *w, uint32_t at, uint32_t n, int64_t now_us)
{
	const struct hn_grain *first = place(w, at);
	const bool again = first->at == at + 1;

	if (again && now_us - first->sent_us >= hn_window_rto(w) && w->backoff < BACKOFF_MAX &&
	    w->arrived_us <= first->sent_us)
		w->backoff++;
	w->repeats += again;
	for (uint32_t o = at; o < at + n; o += w->grain) {
		struct hn_grain *g = place(w, o);

		*g = (struct hn_grain){ .at = o + 1, .sent_us = now_us, .again = g->at == o + 1 };
	}
	w->bytes += n + OVERHEAD;
	if (w->bytes > MEMORY_BYTES) {
		w->bytes /= 2;
		w->damaged /= 2;
	}
}
