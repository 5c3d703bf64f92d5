/* The package header: decode, encode, authenticate. */
#include "hd_package.h"
#include <string.h>
#include "hd_crc32c.h"
#include "hd_sha256.h"

enum { FORMAT = 1 };

hd_status hd_package_check(const uint8_t raw[HD_PACKAGE_HEADER], uint32_t slot_bytes)
{
	uint32_t image_len = hd_load32(raw + HD_AT_IMAGE_LEN);
	uint32_t payload_len = hd_load32(raw + HD_AT_PAYLOAD_LEN);
	uint32_t n_vectors = hd_load16(raw + HD_AT_N_VECTORS);
	uint32_t wrong;

	/* Differences are collected: cheaper than a branch for each. */
	wrong = (hd_load32(raw + HD_AT_MAGIC) ^ HD_PACKAGE_MAGIC)
		| (hd_load16(raw + HD_AT_FORMAT) ^ FORMAT)
		| (raw[HD_AT_KIND] ^ (hd_load32(raw + HD_AT_PATCH_LEN) != 0))
		| (hd_load32(raw + HD_AT_CRC) ^ hd_crc32c(0, raw, HD_AT_CRC)) | (image_len & 3)
		| hd_load32(raw + HD_AT_RESERVED) | hd_load32(raw + HD_AT_RESERVED + 4)
		| hd_load32(raw + HD_AT_RESERVED + 8)
		| ((payload_len - image_len) ^ (n_vectors * hd_load16(raw + HD_AT_VECTOR_LEN)));
	if (wrong != 0 || n_vectors > HD_VECTORS_MAX || image_len - 1 >= payload_len)
		return HD_EFORMAT;
	return payload_len > slot_bytes - HD_PACKAGE_HEADER ? HD_ESIZE : HD_OK;
}

hd_status hd_package_read(struct hd_package *p, const uint8_t raw[HD_PACKAGE_HEADER])
{
	uint32_t aligned[HD_PACKAGE_HEADER / 4];
	hd_status rc;

	memcpy(aligned, raw, sizeof aligned);
	rc = hd_package_check((const uint8_t *)aligned, UINT32_MAX);
	if (rc != HD_OK)
		return rc;
	p->kind = raw[HD_AT_KIND];
	p->key_id = raw[HD_AT_KEY_ID];
	memcpy(p->uid, raw + HD_AT_UID, sizeof p->uid);
	p->arch = hd_get32(raw + HD_AT_ARCH);
	p->version = hd_get32(raw + HD_AT_VERSION);
	p->model_version = hd_get32(raw + HD_AT_MODEL);
	p->image_len = hd_get32(raw + HD_AT_IMAGE_LEN);
	p->payload_len = hd_get32(raw + HD_AT_PAYLOAD_LEN);
	p->patch_len = hd_get32(raw + HD_AT_PATCH_LEN);
	p->n_vectors = hd_get16(raw + HD_AT_N_VECTORS);
	p->vector_len = hd_get16(raw + HD_AT_VECTOR_LEN);
	memcpy(p->base, raw + HD_AT_BASE, sizeof p->base);
	memcpy(p->digest, raw + HD_AT_DIGEST, sizeof p->digest);
	memcpy(p->mac, raw + HD_AT_MAC, sizeof p->mac);
	return HD_OK;
}

void hd_package_write(const struct hd_package *p, const uint8_t key[HD_KEY_LEN],
                      uint8_t raw[HD_PACKAGE_HEADER])
{
	memset(raw, 0, HD_PACKAGE_HEADER);
	hd_put32(raw + HD_AT_MAGIC, HD_PACKAGE_MAGIC);
	hd_put16(raw + HD_AT_FORMAT, FORMAT);
	raw[HD_AT_KIND] = p->kind;
	raw[HD_AT_KEY_ID] = p->key_id;
	memcpy(raw + HD_AT_UID, p->uid, sizeof p->uid);
	hd_put32(raw + HD_AT_ARCH, p->arch);
	hd_put32(raw + HD_AT_VERSION, p->version);
	hd_put32(raw + HD_AT_MODEL, p->model_version);
	hd_put32(raw + HD_AT_IMAGE_LEN, p->image_len);
	hd_put16(raw + HD_AT_N_VECTORS, p->n_vectors);
	hd_put16(raw + HD_AT_VECTOR_LEN, p->vector_len);
	hd_put32(raw + HD_AT_PAYLOAD_LEN, p->payload_len);
	memcpy(raw + HD_AT_BASE, p->base, sizeof p->base);
	memcpy(raw + HD_AT_DIGEST, p->digest, sizeof p->digest);
	hd_put32(raw + HD_AT_PATCH_LEN, p->patch_len);
	hd_hmac(key, raw, HD_PACKAGE_SIGNED, raw + HD_AT_MAC);
	hd_put32(raw + HD_AT_CRC, hd_crc32c(0, raw, HD_AT_CRC));
}

hd_status hd_package_auth(const uint8_t raw[HD_PACKAGE_HEADER], const uint8_t key[HD_KEY_LEN])
{
	uint8_t mac[HD_DIGEST_LEN];

	hd_hmac(key, raw, HD_PACKAGE_SIGNED, mac);
	return hd_equal(mac, raw + HD_AT_MAC, sizeof mac) ? HD_OK : HD_EAUTH;
}
