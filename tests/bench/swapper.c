#include "swapper.h"
#include <stdlib.h>
#include <string.h>

enum { DIGEST_PART = 8 };

const char *const swap_names[SWAPS] = { "confirm", "revert", "lapse", "cut", "digest", "vector" };

void swapper_init(struct swapper *s, const struct t_image_spec *spec, uint64_t seed)
{
	memset(s, 0, sizeof *s);
	hn_rng_seed(&s->rng, seed);
	hn_peer_init(&s->peer, t_uid, t_key);
	s->image = SWAPPER_IMAGES;
	for (uint32_t i = 0; i < SWAPPER_IMAGES; i++) {
		t_package_build(&s->images[i], spec, 100 + i, 4);
		if (hd_net_open(&s->nets[i], s->images[i].payload, s->images[i].head.image_len) != HD_OK)
			abort();
	}
}

const struct hd_net *swapper_net(const struct swapper *s, uint32_t model_version)
{
	return &s->nets[model_version % SWAPPER_IMAGES];
}

void swapper_link_up(struct swapper *s)
{
	hn_peer_up(&s->peer, (uint16_t)(1 + hn_rng_below(&s->rng, 60000)),
	           (uint32_t)hn_rng_u64(&s->rng), s->now_us);
}

static void note(struct swapper *s, enum hn_peer_event e)
{
	s->seen[e & 7]++;
}

void swapper_hear(struct swapper *s, const struct hd_frame *f)
{
	note(s, hn_peer_message(&s->peer, f, s->now_us));
}

void swapper_tick(struct swapper *s)
{
	note(s, hn_peer_tick(&s->peer, s->now_us));
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* Until *count is not 0.  False when that takes too long. */
static bool until(struct swapper *s, const unsigned *count)
{
	const int64_t end = s->now_us + s->limit_us;

	while (*count == 0 && s->now_us < end)
		s->step(s->ctx);
	return *count != 0;
}

static void rest(struct swapper *s, int64_t us)
{
	for (const int64_t end = s->now_us + us; s->now_us < end; )
		s->step(s->ctx);
}

/* A session anew, so that HELLO is fresh. */
static bool ask(struct swapper *s)
{
	const int64_t end = s->now_us + s->limit_us;

	swapper_link_up(s);
	while ((s->peer.phase != HN_PEER_READY || !s->peer.has_hello) && s->now_us < end)
		s->step(s->ctx);
	return s->now_us < end;
}

/* --- one swap --------------------------------------------------------------------------------- */

static void make(struct swapper *s, enum swap how)
{
	struct t_package *k = &s->package;
	uint32_t i;

	/* Neither the weights in service nor those that may be staged: these would resume. */
	do
		i = hn_rng_below(&s->rng, SWAPPER_IMAGES);
	while (i == s->image
	       || (s->version > 0 && i == s->peer.hello.report.active_model % SWAPPER_IMAGES));
	s->image = i;
	*k = s->images[i];
	k->head.version = ++s->version;
	k->head.model_version = SWAPPER_IMAGES * s->version + i;
	if (how == SWAP_VECTOR)
		k->payload[k->len - 1] ^= 1;
	t_package_seal(k);
	if (how == SWAP_DIGEST)
		k->payload[hn_rng_below(&s->rng, k->len)] ^= 0x20;
}

static void install(struct swapper *s, enum swap how)
{
	struct hn_peer_package p = { .header = s->package.header, .payload = s->package.payload };

	make(s, how);
	p.len = s->package.len;
	p.version = s->package.head.version;
	p.model_version = s->package.head.model_version;
	memset(s->seen, 0, sizeof s->seen);
	hn_peer_install(&s->peer, &p, s->now_us);
}

/* The package runs on trial, or was refused.  A cut before may have left another one on trial that
 * the gateway ends first: then the weights behind it may be the package's own, which is DONE. */
static bool arrive(struct swapper *s, const unsigned *outcome)
{
	const int64_t end = s->now_us + s->limit_us;

	while (*outcome + s->seen[HN_PEER_DONE] == 0 && s->now_us < end)
		s->step(s->ctx);
	return s->now_us < end;
}

/* On trial: the end that `how` says.  False when it is not reached. */
static bool end_trial(struct swapper *s, enum swap how)
{
	if (how == SWAP_LAPSE)
		return until(s, &s->seen[HN_PEER_REVERTED]);
	rest(s, hn_rng_below(&s->rng, s->trial / 2) * s->window_us);
	if (how == SWAP_CONFIRM) {
		hn_peer_confirm(&s->peer, s->now_us);
		return until(s, &s->seen[HN_PEER_DONE]);
	}
	hn_peer_revert(&s->peer, s->now_us);
	return until(s, &s->seen[HN_PEER_REVERTED]);
}

static bool cut(struct swapper *s)
{
	rest(s, hn_rng_below(&s->rng, 3000000));
	hn_peer_drop(&s->peer);
	hn_peer_down(&s->peer);
	rest(s, hn_rng_below(&s->rng, 2000000));
	return true;
}

static bool go(struct swapper *s, enum swap how)
{
	const bool bad = how == SWAP_DIGEST || how == SWAP_VECTOR;

	install(s, how);
	if (how == SWAP_CUT)
		return cut(s);
	if (!arrive(s, &s->seen[bad ? HN_PEER_REFUSED : HN_PEER_IN_TRIAL]))
		return false;
	return bad || s->seen[HN_PEER_DONE] > 0 || end_trial(s, how);
}

static bool runs(const struct swapper *s, const uint8_t digest[DIGEST_PART])
{
	return memcmp(s->peer.hello.active_digest, digest, DIGEST_PART) == 0;
}

/* What the device says that it runs: what was confirmed last, or, after a cut, on trial the one
 * that was on its way then or at the cut before. */
static bool tells_the_truth(struct swapper *s, enum swap how)
{
	bool true_on_trial = how == SWAP_CUT && s->peer.hello.report.state == HD_TRIAL
		&& (runs(s, s->package.head.digest) || runs(s, s->on_trial));

	if (s->seen[HN_PEER_DONE] > 0)
		memcpy(s->confirmed, s->package.head.digest, DIGEST_PART);
	memcpy(s->on_trial, s->peer.hello.active_digest, DIGEST_PART);
	return runs(s, s->confirmed) || true_on_trial;
}

void swapper_swap(struct swapper *s, enum swap how)
{
	s->count[how]++;
	s->all++;
	if (!go(s, how) || !ask(s))
		s->astray++;
	else
		s->lies += !tells_the_truth(s, how);
}

enum swap swapper_draw(struct swapper *s)
{
	const uint32_t x = hn_rng_below(&s->rng, 20);

	return x < 10 ? SWAP_CONFIRM : x < 12 ? SWAP_REVERT : x < 14 ? SWAP_LAPSE
	     : x < 18 ? SWAP_CUT : x < 19 ? SWAP_DIGEST : SWAP_VECTOR;
}
