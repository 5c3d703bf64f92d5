/* Bodies of the messages that have a struct, and the tag of the commands that change state. */
#include "hd_msg.h"
#include <string.h>
#include "hd_sha256.h"

/* The structs are laid out as the bodies are. */
typedef char hd_hello_is_its_body[sizeof(struct hd_hello) == HD_HELLO_LEN ? 1 : -1];
typedef char hd_report_is_its_body[sizeof(struct hd_report) == HD_REPORT_LEN ? 1 : -1];
typedef char hd_order_has_no_gap[sizeof(struct hd_order) == 16 ? 1 : -1];

void hd_hello_write(const struct hd_hello *h, uint8_t out[HD_HELLO_LEN])
{
	memcpy(out, h, HD_HELLO_LEN);
}

hd_status hd_hello_read(struct hd_hello *h, const uint8_t *body, size_t n)
{
	if (n != HD_HELLO_LEN)
		return HD_EFORMAT;
	memcpy(h, body, HD_HELLO_LEN);
	return HD_OK;
}

void hd_report_write(const struct hd_report *r, uint8_t out[HD_REPORT_LEN])
{
	memcpy(out, r, HD_REPORT_LEN);
}

hd_status hd_report_read(struct hd_report *r, const uint8_t *body, size_t n)
{
	if (n != HD_REPORT_LEN)
		return HD_EFORMAT;
	memcpy(r, body, HD_REPORT_LEN);
	return HD_OK;
}

void hd_tag(const uint8_t key[HD_KEY_LEN], uint8_t type, uint16_t session, uint32_t nonce_dev,
            uint32_t nonce_gw, uint32_t version, uint8_t tag[HD_TAG_LEN])
{
	const struct hd_order o = { type, 0, session, version, nonce_gw, nonce_dev };
	uint8_t mac[32];

	hd_hmac(key, (const uint8_t *)&o, sizeof o, mac);
	memcpy(tag, mac, HD_TAG_LEN);
}
