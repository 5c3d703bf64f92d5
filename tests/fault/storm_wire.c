#include "storm_wire.h"

#include <string.h>

const char *const storm_fault_names[STORM_FAULTS] = {
	"bits", "burst", "byte_lost", "byte_more", "byte_twice", "frame_lost", "frame_twice",
	"disorder", "truncate", "zero_more", "zero_lost", "boot_noise", "echo", "half_open", "jitter",
	"starve", "reset", "power_cut", "kill", "replug", "rival", "swapped", "clock", "replay",
	"retained", "baud"
};

enum { JITTER_US = 2000000, DISORDER_US = 120000, BURST_BITS = 62 };

static bool luck(struct wire *w, enum storm_fault fault)
{
	return (w->faults >> fault & 1) && hn_rng_below(w->rng, 1000) < w->level;
}

/* --- what happens to the bytes of a frame ----------------------------------------------------- */

static void flip(struct wire *w, struct packet *p, size_t bit, size_t n)
{
	for (; n > 0 && bit / 8 < p->n; n--, bit++)
		if (n == 1 || hn_rng_below(w->rng, 2))
			p->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void insert(struct packet *p, size_t at, uint8_t byte)
{
	if (p->n == sizeof p->bytes)
		return;
	memmove(p->bytes + at + 1, p->bytes + at, p->n - at);
	p->bytes[at] = byte;
	p->n++;
}

static void leave_out(struct packet *p, size_t at)
{
	memmove(p->bytes + at, p->bytes + at + 1, p->n - at - 1);
	p->n--;
}

static size_t any(struct wire *w, const struct packet *p)
{
	return hn_rng_below(w->rng, (uint32_t)p->n);
}

/* STATUS as the device would have sent it without credits. */
static void starve(struct packet *p)
{
	struct hd_rx rx;
	struct hd_frame f;
	uint8_t body[HD_REPORT_LEN];

	hd_rx_init(&rx);
	for (size_t i = 0; i < p->n; i++) {
		if (!hd_rx_byte(&rx, p->bytes[i], &f) || f.type != HD_STATUS || f.len != sizeof body)
			continue;
		memcpy(body, f.body, sizeof body);
		body[2] = 0;
		p->n = hd_frame_write(f.type, f.seq, f.session, body, sizeof body, p->bytes);
		return;
	}
}

/* What a receiver at half to twice the rate makes of it: other bytes, in another number. */
static void garble(struct wire *w, struct packet *p)
{
	p->n = p->n / 2 + hn_rng_below(w->rng, (uint32_t)(p->n + p->n / 2) + 1);
	p->n = p->n > sizeof p->bytes ? sizeof p->bytes : p->n;
	for (size_t i = 0; i < p->n; i++)
		p->bytes[i] = (uint8_t)hn_rng_u64(w->rng);
}

static void hurt_bytes(struct wire *w, struct packet *p)
{
	if (w->garbled) {
		garble(w, p);
		return;
	}
	if (luck(w, STORM_STARVE))
		starve(p);
	if (luck(w, STORM_BITS))
		flip(w, p, 8 * any(w, p) + hn_rng_below(w->rng, 8), 1);
	if (luck(w, STORM_BURST))
		flip(w, p, 8 * any(w, p), 2 + hn_rng_below(w->rng, BURST_BITS));
	if (luck(w, STORM_BYTE_LOST) && p->n > 1)
		leave_out(p, any(w, p));
	if (luck(w, STORM_BYTE_MORE))
		insert(p, any(w, p), (uint8_t)hn_rng_u64(w->rng));
	if (luck(w, STORM_BYTE_TWICE)) {
		const size_t at = any(w, p);

		insert(p, at, p->bytes[at]);
	}
	if (luck(w, STORM_ZERO_MORE))
		insert(p, any(w, p), 0);
	if (luck(w, STORM_ZERO_LOST) && p->n > 1)
		p->n--;                          /* the delimiter is the last byte */
	if (luck(w, STORM_TRUNCATE))
		p->n = any(w, p);                /* 0: nothing of it arrives */
}

/* --- the line --------------------------------------------------------------------------------- */

static void enqueue(struct wire *w, const struct packet *p)
{
	int i = w->n;

	if (w->n == WIRE_PACKETS || p->n == 0) {
		w->lost++;
		return;
	}
	for (; i > 0 && w->q[i - 1].due_us > p->due_us; i--)
		w->q[i] = w->q[i - 1];
	w->q[i] = *p;
	w->n++;
}

static int64_t delay(struct wire *w)
{
	int64_t d = w->latency_us;

	if (luck(w, STORM_JITTER))
		d += hn_rng_below(w->rng, JITTER_US);
	if (luck(w, STORM_DISORDER))
		d += hn_rng_below(w->rng, DISORDER_US);
	return d;
}

bool wire_put(struct wire *w, const uint8_t *bytes, size_t n, int64_t now_us)
{
	struct packet p = { .n = n };

	if (w->n > WIRE_PACKETS / 2)
		return false;
	memcpy(p.bytes, bytes, n);
	w->tape[w->taped++ % WIRE_TAPE] = p;
	w->free_us = (w->free_us > now_us ? w->free_us : now_us) + (int64_t)n * 10000000 / w->baud;
	if (luck(w, STORM_FRAME_LOST)) {
		w->hurt++;
		return true;
	}
	hurt_bytes(w, &p);
	w->hurt += p.n != n || memcmp(p.bytes, bytes, n) != 0;
	p.due_us = w->free_us + delay(w);
	/* a line keeps the order, a broker may not */
	if (!(w->faults >> STORM_DISORDER & 1) && p.due_us < w->last_us)
		p.due_us = w->last_us;
	w->last_us = p.due_us > w->last_us ? p.due_us : w->last_us;
	enqueue(w, &p);
	if (luck(w, STORM_FRAME_TWICE))
		enqueue(w, &p);
	return true;
}

bool wire_take(struct wire *w, struct packet *out, int64_t now_us)
{
	if (w->n == 0 || w->q[0].due_us > now_us)
		return false;
	*out = w->q[0];
	memmove(&w->q[0], &w->q[1], (size_t)--w->n * sizeof w->q[0]);
	return true;
}

int64_t wire_next(const struct wire *w)
{
	return w->n ? w->q[0].due_us : INT64_MAX;
}

void wire_clear(struct wire *w)
{
	w->n = 0;
	w->free_us = w->last_us = 0;
}

void wire_replay(struct wire *w, int64_t now_us)
{
	const unsigned kept = w->taped < WIRE_TAPE ? w->taped : WIRE_TAPE;
	struct packet p;

	if (kept == 0)
		return;
	p = w->tape[hn_rng_below(w->rng, kept)];
	p.due_us = now_us;
	enqueue(w, &p);
	w->hurt++;
}
