/* The package header: decode, encode, authenticate. */
#include "hd_package.h"
#include <string.h>
#include "hd_crc32c.h"
#include "hd_sha256.h"

enum {                           /* offsets, see the table in the header file */
	AT_MAGIC = 0, AT_FORMAT = 4, AT_KIND = 6, AT_KEY_ID = 7, AT_UID = 8, AT_ARCH = 16,
	AT_VERSION = 20, AT_MODEL = 24, AT_IMAGE_LEN = 28, AT_N_VECTORS = 32, AT_VECTOR_LEN = 34,
	AT_PAYLOAD_LEN = 36, AT_BASE = 40, AT_DIGEST = 48, AT_MAC = 80, AT_CRC = 124,
	FORMAT = 1
};

hd_status hd_package_read(struct hd_package *p, const uint8_t raw[HD_PACKAGE_HEADER])
{
	uint32_t image_len = hd_get32(raw + AT_IMAGE_LEN), payload_len = hd_get32(raw + AT_PAYLOAD_LEN);
	uint16_t n_vectors = hd_get16(raw + AT_N_VECTORS), vector_len = hd_get16(raw + AT_VECTOR_LEN);
	uint32_t vectors = (uint32_t)n_vectors * vector_len;

	if (hd_get32(raw + AT_MAGIC) != HD_PACKAGE_MAGIC || hd_get16(raw + AT_FORMAT) != FORMAT
	    || raw[AT_KIND] != 0 || hd_get32(raw + AT_CRC) != hd_crc32c(0, raw, AT_CRC))
		return HD_EFORMAT;
	/* Compared by subtraction: the sum of two lengths from outside may wrap. */
	if (image_len == 0 || (image_len & 3) != 0 || n_vectors > HD_VECTORS_MAX
	    || payload_len < image_len || payload_len - image_len != vectors)
		return HD_EFORMAT;
	p->kind = raw[AT_KIND];
	p->key_id = raw[AT_KEY_ID];
	memcpy(p->uid, raw + AT_UID, sizeof p->uid);
	p->arch = hd_get32(raw + AT_ARCH);
	p->version = hd_get32(raw + AT_VERSION);
	p->model_version = hd_get32(raw + AT_MODEL);
	p->image_len = image_len;
	p->payload_len = payload_len;
	p->n_vectors = n_vectors;
	p->vector_len = vector_len;
	memcpy(p->base, raw + AT_BASE, sizeof p->base);
	memcpy(p->digest, raw + AT_DIGEST, sizeof p->digest);
	memcpy(p->mac, raw + AT_MAC, sizeof p->mac);
	return HD_OK;
}

void hd_package_write(const struct hd_package *p, const uint8_t key[HD_KEY_LEN],
                      uint8_t raw[HD_PACKAGE_HEADER])
{
	memset(raw, 0, HD_PACKAGE_HEADER);
	hd_put32(raw + AT_MAGIC, HD_PACKAGE_MAGIC);
	hd_put16(raw + AT_FORMAT, FORMAT);
	raw[AT_KIND] = p->kind;
	raw[AT_KEY_ID] = p->key_id;
	memcpy(raw + AT_UID, p->uid, sizeof p->uid);
	hd_put32(raw + AT_ARCH, p->arch);
	hd_put32(raw + AT_VERSION, p->version);
	hd_put32(raw + AT_MODEL, p->model_version);
	hd_put32(raw + AT_IMAGE_LEN, p->image_len);
	hd_put16(raw + AT_N_VECTORS, p->n_vectors);
	hd_put16(raw + AT_VECTOR_LEN, p->vector_len);
	hd_put32(raw + AT_PAYLOAD_LEN, p->payload_len);
	memcpy(raw + AT_BASE, p->base, sizeof p->base);
	memcpy(raw + AT_DIGEST, p->digest, sizeof p->digest);
	hd_hmac(key, raw, HD_PACKAGE_SIGNED, raw + AT_MAC);
	hd_put32(raw + AT_CRC, hd_crc32c(0, raw, AT_CRC));
}

hd_status hd_package_auth(const uint8_t raw[HD_PACKAGE_HEADER], const uint8_t key[HD_KEY_LEN])
{
	uint8_t mac[HD_DIGEST_LEN];

	hd_hmac(key, raw, HD_PACKAGE_SIGNED, mac);
	return hd_equal(mac, raw + AT_MAC, sizeof mac) ? HD_OK : HD_EAUTH;
}
