/* Bodies of the messages that have a struct, and the tag of the commands that change state. */
#include "hd_msg.h"
#include <string.h>
#include "hd_sha256.h"

/* The structs are laid out as the bodies are. */
typedef char hd_hello_is_its_body[sizeof(struct hd_hello) == HD_HELLO_LEN ? 1 : -1];
typedef char hd_report_is_its_body[sizeof(struct hd_report) == HD_REPORT_LEN ? 1 : -1];

/* Numbers of a body between the machine's order and the wire's; bit i of `words`: word i is one. */
static void order(uint8_t *body, uint32_t words)
{
#if HD_LITTLE_ENDIAN
	(void)body;
	(void)words;
#else
	for (; words != 0; words >>= 1, body += 4) {
		uint32_t v;

		memcpy(&v, body, sizeof v);
		if (words & 1)
			hd_put32(body, v);
	}
#endif
}

static void order_hello(uint8_t *body)
{
	order(body, 0x170f8);            /* nonce_dev..floor, slot_bytes..erase_us, build */
#if !HD_LITTLE_ENDIAN
	uint8_t low = body[61];          /* boots */

	body[61] = body[60];
	body[60] = low;
#endif
}

const uint8_t *hd_hello_body(struct hd_hello *h)
{
	order_hello((uint8_t *)h);
	return (const uint8_t *)h;
}

void hd_hello_write(const struct hd_hello *h, uint8_t out[HD_HELLO_LEN])
{
	memcpy(out, h, HD_HELLO_LEN);
	order_hello(out);
}

hd_status hd_hello_read(struct hd_hello *h, const uint8_t *body, size_t n)
{
	if (n != HD_HELLO_LEN)
		return HD_EFORMAT;
	memcpy(h, body, HD_HELLO_LEN);
	order_hello((uint8_t *)h);
	return HD_OK;
}

const uint8_t *hd_report_body(struct hd_report *r)
{
	order((uint8_t *)r, 0x3fe);      /* all but the first word */
	return (const uint8_t *)r;
}

void hd_report_write(const struct hd_report *r, uint8_t out[HD_REPORT_LEN])
{
	memcpy(out, r, HD_REPORT_LEN);
	order(out, 0x3fe);
}

hd_status hd_report_read(struct hd_report *r, const uint8_t *body, size_t n)
{
	if (n != HD_REPORT_LEN)
		return HD_EFORMAT;
	memcpy(r, body, HD_REPORT_LEN);
	order((uint8_t *)r, 0x3fe);
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
