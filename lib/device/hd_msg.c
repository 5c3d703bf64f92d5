/* Bodies of the messages that have a struct, and the tag of the commands that change state. */
#include "hd_msg.h"
#include <string.h>
#include "hd_sha256.h"

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	hd_put32(p, v);
	return p + 4;
}

static uint8_t *put(uint8_t *p, const uint8_t *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

static const uint8_t *get32(const uint8_t *p, uint32_t *v)
{
	*v = hd_get32(p);
	return p + 4;
}

static const uint8_t *get(const uint8_t *p, uint8_t *bytes, size_t n)
{
	memcpy(bytes, p, n);
	return p + n;
}

void hd_hello_write(const struct hd_hello *h, uint8_t out[HD_HELLO_LEN])
{
	uint8_t *p = out;

	*p++ = h->proto;
	*p++ = h->state;
	*p++ = h->credits;
	*p++ = h->chunk;
	p = put(p, h->uid, sizeof h->uid);
	p = put32(p, h->nonce_dev);
	p = put32(p, h->arch);
	p = put32(p, h->active_version);
	p = put32(p, h->active_model);
	p = put32(p, h->floor);
	p = put(p, h->active_digest, sizeof h->active_digest);
	p = put(p, h->staged_digest, sizeof h->staged_digest);
	p = put32(p, h->slot_bytes);
	p = put32(p, h->arena_bytes);
	p = put32(p, h->erase_us);
	p = put32(p, h->boots | (uint32_t)h->flags << 16 | (uint32_t)h->reserved << 24);
	put32(p, h->build);
}

hd_status hd_hello_read(struct hd_hello *h, const uint8_t *body, size_t n)
{
	const uint8_t *p = body;

	if (n != HD_HELLO_LEN)
		return HD_EFORMAT;
	h->proto = *p++;
	h->state = *p++;
	h->credits = *p++;
	h->chunk = *p++;
	p = get(p, h->uid, sizeof h->uid);
	p = get32(p, &h->nonce_dev);
	p = get32(p, &h->arch);
	p = get32(p, &h->active_version);
	p = get32(p, &h->active_model);
	p = get32(p, &h->floor);
	p = get(p, h->active_digest, sizeof h->active_digest);
	p = get(p, h->staged_digest, sizeof h->staged_digest);
	p = get32(p, &h->slot_bytes);
	p = get32(p, &h->arena_bytes);
	p = get32(p, &h->erase_us);
	h->boots = hd_get16(p);
	h->flags = p[2];
	h->reserved = p[3];
	get32(p + 4, &h->build);
	return HD_OK;
}

void hd_report_write(const struct hd_report *r, uint8_t out[HD_REPORT_LEN])
{
	uint8_t *p = out;

	*p++ = r->state;
	*p++ = r->error;
	*p++ = r->credits;
	*p++ = r->re;
	p = put32(p, r->next);
	p = put32(p, r->bitmap);
	p = put32(p, r->active_version);
	p = put32(p, r->active_model);
	p = put32(p, r->floor);
	p = put32(p, r->due);
	p = put32(p, r->missed);
	p = put32(p, r->trial_left);
	put32(p, r->overruns);
}

hd_status hd_report_read(struct hd_report *r, const uint8_t *body, size_t n)
{
	const uint8_t *p = body;

	if (n != HD_REPORT_LEN)
		return HD_EFORMAT;
	r->state = *p++;
	r->error = *p++;
	r->credits = *p++;
	r->re = *p++;
	p = get32(p, &r->next);
	p = get32(p, &r->bitmap);
	p = get32(p, &r->active_version);
	p = get32(p, &r->active_model);
	p = get32(p, &r->floor);
	p = get32(p, &r->due);
	p = get32(p, &r->missed);
	p = get32(p, &r->trial_left);
	get32(p, &r->overruns);
	return HD_OK;
}

void hd_tag(const uint8_t key[HD_KEY_LEN], uint8_t type, uint16_t session, uint32_t nonce_dev,
            uint32_t nonce_gw, uint32_t version, uint8_t tag[HD_TAG_LEN])
{
	static const uint8_t label[5] = { 'h', 'o', 'n', 'e', 'd' };
	uint8_t text[20], mac[32];

	memcpy(text, label, sizeof label);
	text[5] = type;
	hd_put16(text + 6, session);
	hd_put32(text + 8, nonce_dev);
	hd_put32(text + 12, nonce_gw);
	hd_put32(text + 16, version);
	hd_hmac(key, text, sizeof text, mac);
	memcpy(tag, mac, HD_TAG_LEN);
}
