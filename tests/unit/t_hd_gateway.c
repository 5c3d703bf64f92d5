#include "t_hd_gateway.h"
#include <string.h>

enum { MANY_STEPS = 100000, PATIENCE = 12 };     /* steps without progress before repeating */

static void wire_put(struct t_pair *p, struct t_wire *w, const uint8_t *bytes, size_t n)
{
	bool hurt = hn_rng_below(&p->rng, 1000) < p->noise;
	uint32_t how = hn_rng_below(&p->rng, 5);

	if (n * 2 + 1 > T_WIRE - w->n)
		return;                  /* full: lost like any other */
	w->hurt += hurt;
	if (hurt && how == 0)
		return;
	memcpy(w->bytes + w->n, bytes, n);
	if (hurt && how == 1)            /* a flipped bit */
		w->bytes[w->n + hn_rng_below(&p->rng, (uint32_t)n)] ^= (uint8_t)(1u << hn_rng_below(&p->rng, 8));
	w->n += n;
	if (hurt && how == 2)            /* the end is missing, delimiter included */
		w->n -= 1 + hn_rng_below(&p->rng, (uint32_t)n - 1);
	if (hurt && how == 3) {          /* twice */
		memcpy(w->bytes + w->n, bytes, n);
		w->n += n;
	}
	if (hurt && how == 4)            /* noise before the next */
		w->bytes[w->n++] = (uint8_t)hn_rng_u64(&p->rng);
}

static bool dev_send(void *ctx, const uint8_t *bytes, size_t n)
{
	struct t_pair *p = ctx;

	if (p->mute)
		return false;
	wire_put(p, &p->up, bytes, n);
	return true;
}

static uint32_t dev_now(void *ctx)
{
	struct t_pair *p = ctx;

	p->clock_us += 10;
	return p->clock_us + p->flash->slow_us;
}

hd_status t_pair_boot(struct t_pair *p)
{
	p->cfg.nonce = (uint32_t)hn_rng_u64(&p->rng);
	p->down.n = p->up.n = 0;
	p->session = 0;
	p->hello = (struct hd_hello){ 0 };
	p->report = (struct hd_report){ 0 };
	return hd_init(&p->dev, &p->cfg);
}

hd_status t_pair_init(struct t_pair *p, struct t_flash *f, uint64_t seed)
{
	memset(p, 0, sizeof *p);
	hn_rng_seed(&p->rng, seed);
	hd_rx_init(&p->rx);
	p->flash = f;
	p->idle_us = 1000000;
	p->cfg = (struct hd_config){ .flash = &f->port, .key_id = 1, .arena = (uint8_t *)p->arena,
		.arena_bytes = sizeof p->arena, .credits = 4, .trial_boots = 3, .trial_inferences = 100,
		.build = 7, .ctx = p, .send = dev_send, .now_us = dev_now };
	memcpy(p->cfg.uid, t_uid, sizeof p->cfg.uid);
	memcpy(p->cfg.key, t_key, sizeof p->cfg.key);
	return t_pair_boot(p);
}

static void hear(struct t_pair *p, const struct hd_frame *f)
{
	p->heard = f->session;
	if (f->type == HD_HELLO && hd_hello_read(&p->hello, f->body, f->len) == HD_OK) {
		p->n_hello++;
		p->report.state = p->hello.report.state;
	} else if (f->type == HD_STATUS && hd_report_read(&p->report, f->body, f->len) == HD_OK) {
		p->n_report++;
		if (p->report.re)
			p->last = p->report;
	} else {
		p->n_other++;
		p->body_len = f->len;
		memcpy(p->body, f->body, f->len);
	}
}

void t_pair_step(struct t_pair *p)
{
	size_t n = hd_rx_bytes(&p->dev, p->down.bytes, p->down.n);
	struct hd_frame f;

	p->steps++;
	memmove(p->down.bytes, p->down.bytes + n, p->down.n - n);
	p->down.n -= n;
	hd_poll(&p->dev, 200, p->idle_us);
	for (size_t i = 0; i < p->up.n; i++) {
		if (hd_rx_byte(&p->rx, p->up.bytes[i], &f))
			hear(p, &f);
	}
	p->up.n = 0;
	if (!p->busy)
		hd_service(&p->dev, NULL);
}

void t_pair_settle(struct t_pair *p)
{
	for (int i = 0; i < 200; i++)
		t_pair_step(p);
}

void t_send(struct t_pair *p, uint8_t type, const uint8_t *body, size_t n)
{
	uint8_t wire[HD_WIRE_MAX];
	size_t len = hd_frame_write(type, p->seq++, p->session, body, n, wire);

	wire_put(p, &p->down, wire, len);
}

void t_order(struct t_pair *p, uint8_t type, uint32_t version)
{
	uint8_t body[4 + HD_TAG_LEN];

	hd_put32(body, version);
	hd_tag(t_key, type, p->session, p->hello.nonce_dev, p->nonce_gw, version, body + 4);
	t_send(p, type, body, sizeof body);
}

void t_chunk(struct t_pair *p, const struct t_package *k, uint32_t at)
{
	uint32_t chunk = p->hello.grain * 4u, n = t_wire_len(k) - at;
	uint8_t body[HD_BODY_MAX];

	n = n < chunk ? n : chunk;
	hd_put32(body, at);
	memcpy(body + HD_CHUNK_HEAD, t_wire(k) + at, n);
	t_send(p, HD_CHUNK, body, HD_CHUNK_HEAD + n);
}

bool t_hello(struct t_pair *p)
{
	uint8_t body[7];

	p->session = (uint16_t)(1 + hn_rng_below(&p->rng, 60000));
	p->nonce_gw = (uint32_t)hn_rng_u64(&p->rng);
	hd_put32(body, p->nonce_gw);
	hd_put16(body + 4, p->session);
	body[6] = HD_PROTO;
	for (int i = 0; i < 1000; i++) {
		unsigned before = p->n_hello;

		if (i % PATIENCE == 0)
			t_send(p, HD_HELLO_ASK, body, sizeof body);
		t_pair_step(p);
		if (p->n_hello != before && p->heard == p->session && p->hello.nonce_dev != p->cfg.nonce)
			return true;
	}
	return false;
}

int t_command(struct t_pair *p, uint8_t type, const uint8_t *body, size_t n)
{
	p->last.re = 0;
	t_send(p, type, body, n);
	t_pair_settle(p);
	return p->last.re == type ? p->last.error : -1;
}

int t_command_order(struct t_pair *p, uint8_t type, uint32_t version)
{
	p->last.re = 0;
	t_order(p, type, version);
	t_pair_settle(p);
	return p->last.re == type ? p->last.error : -1;
}

/* What should be said now, given the last report. */
static void push(struct t_pair *p, const struct t_package *k)
{
	const struct hd_report *r = &p->report;
	uint32_t chunk = p->hello.grain * 4u;

	if (r->state == HD_RECEIVING && r->next >= t_wire_len(k)) {
		t_order(p, HD_ACTIVATE, k->head.version);
	} else if (r->state == HD_RECEIVING) {
		for (uint32_t i = 0; i < r->credits; i++) {
			uint32_t at = r->next + i * chunk;

			if (at < t_wire_len(k) && (i == 0 || !(r->bitmap >> (i - 1) & 1)))
				t_chunk(p, k, at);
		}
	} else if (r->state == HD_IDLE || r->state == HD_FAILED) {
		t_send(p, HD_BEGIN, k->header, HD_PACKAGE_HEADER);
	}
	t_send(p, HD_STATUS_ASK, NULL, 0);
}

bool t_install(struct t_pair *p, const struct t_package *k)
{
	bool begun = false;

	if (!t_hello(p))
		return false;
	for (int i = 0; i < MANY_STEPS; i++) {
		if (p->report.active_version == k->head.version)
			return true;
		if (begun && p->report.state == HD_FAILED && p->report.re == 0)
			return false;
		if (i % PATIENCE == 0) {
			if (!begun)
				t_send(p, HD_BEGIN, k->header, HD_PACKAGE_HEADER);
			else
				push(p, k);
		}
		begun = begun || p->report.state == HD_ERASING || p->report.state == HD_RECEIVING;
		t_pair_step(p);
	}
	return false;
}

bool t_confirm(struct t_pair *p, uint32_t version)
{
	for (int i = 0; i < MANY_STEPS; i++) {
		if (p->report.floor >= version)
			return true;
		if (i % PATIENCE == 0)
			t_order(p, HD_CONFIRM, version);
		t_pair_step(p);
	}
	return false;
}

bool t_put_in_service(struct t_pair *p, const struct t_package *k)
{
	bool ok = t_install(p, k) && p->report.state == HD_TRIAL && t_confirm(p, k->head.version);

	t_pair_settle(p);
	return ok;
}

int t_begin(struct t_pair *p, const struct t_package *k)
{
	return t_command(p, HD_BEGIN, k->header, HD_PACKAGE_HEADER);
}

bool t_transfer(struct t_pair *p, const struct t_package *k)
{
	uint32_t chunk = p->hello.grain * 4u;

	if (t_begin(p, k) != HD_OK)
		return false;
	for (uint32_t at = 0; at < t_wire_len(k); at += chunk) {
		t_chunk(p, k, at);
		t_pair_settle(p);
	}
	return p->report.state == HD_RECEIVING && p->report.next == t_wire_len(k);
}

bool t_serves(struct t_pair *p, const struct t_package *k)
{
	const struct hd_net *net = hd_service(&p->dev, NULL);
	const uint8_t *v = k->payload + k->head.image_len;
	uint32_t arena[T_ARENA / 4], in;
	int8_t out[256];

	if (!net || net->len != k->head.image_len)
		return false;
	in = (uint32_t)net->in_len * net->in_ch;
	for (int i = 0; i < k->head.n_vectors; i++, v += k->head.vector_len) {
		hd_net_run(net, (const int8_t *)v, (uint8_t *)arena, out);
		if (memcmp(out, v + in, net->out_n) != 0)
			return false;
	}
	return true;
}
