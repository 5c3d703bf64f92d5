/* The package header: decode, encode, authenticate. */
#include "hd_package.h"
#include <string.h>
#include "hd_crc32c.h"
#include "hd_sha256.h"

hd_status hd_package_check(const uint8_t raw[HD_PACKAGE_HEADER], uint32_t slot_bytes)
{
	if (hd_load32(raw + HD_AT_MAGIC) != HD_PACKAGE_MAGIC
	    || hd_load32(raw + HD_AT_CRC) != hd_crc32c(0, raw, HD_AT_CRC))
		return HD_EFORMAT;
	return hd_load32(raw + HD_AT_PAYLOAD_LEN) > slot_bytes - HD_PACKAGE_HEADER ? HD_ESIZE : HD_OK;
}

static bool adds_up(const struct hd_package *p)
{
	return p->n_vectors <= HD_VECTORS_MAX && p->image_len > 0 && (p->image_len & 3) == 0
		&& p->payload_len == (uint64_t)p->image_len + (uint32_t)p->n_vectors * p->vector_len;
}

hd_status hd_package_read(struct hd_package *p, const uint8_t raw[HD_PACKAGE_HEADER])
{
	uint32_t aligned[HD_PACKAGE_HEADER / 4];
	struct hd_package q;

	memcpy(aligned, raw, sizeof aligned);
	if (hd_package_check((const uint8_t *)aligned, UINT32_MAX) != HD_OK)
		return HD_EFORMAT;
	q.key_id = raw[HD_AT_KEY_ID];
	q.n_vectors = raw[HD_AT_N_VECTORS];
	q.vector_len = hd_get16(raw + HD_AT_VECTOR_LEN);
	memcpy(q.uid, raw + HD_AT_UID, sizeof q.uid);
	q.arch = hd_get32(raw + HD_AT_ARCH);
	q.version = hd_get32(raw + HD_AT_VERSION);
	q.model_version = hd_get32(raw + HD_AT_MODEL);
	memcpy(q.digest, raw + HD_AT_DIGEST, sizeof q.digest);
	memcpy(q.base, raw + HD_AT_BASE, sizeof q.base);
	q.patch_len = hd_get32(raw + HD_AT_PATCH_LEN);
	q.image_len = hd_get32(raw + HD_AT_IMAGE_LEN);
	q.payload_len = hd_get32(raw + HD_AT_PAYLOAD_LEN);
	q.arena = hd_get32(raw + HD_AT_ARENA);
	q.ops = hd_get32(raw + HD_AT_OPS);
	memcpy(q.mac, raw + HD_AT_MAC, sizeof q.mac);
	if (!adds_up(&q))
		return HD_EFORMAT;
	*p = q;
	return HD_OK;
}

void hd_package_write(const struct hd_package *p, const uint8_t key[HD_KEY_LEN],
                      uint8_t raw[HD_PACKAGE_HEADER])
{
	memset(raw, 0, HD_PACKAGE_HEADER);
	hd_put32(raw + HD_AT_MAGIC, HD_PACKAGE_MAGIC);
	raw[HD_AT_KEY_ID] = p->key_id;
	raw[HD_AT_N_VECTORS] = (uint8_t)p->n_vectors;
	hd_put16(raw + HD_AT_VECTOR_LEN, p->vector_len);
	memcpy(raw + HD_AT_UID, p->uid, sizeof p->uid);
	hd_put32(raw + HD_AT_ARCH, p->arch);
	hd_put32(raw + HD_AT_VERSION, p->version);
	hd_put32(raw + HD_AT_MODEL, p->model_version);
	memcpy(raw + HD_AT_DIGEST, p->digest, sizeof p->digest);
	memcpy(raw + HD_AT_BASE, p->base, sizeof p->base);
	hd_put32(raw + HD_AT_PATCH_LEN, p->patch_len);
	hd_put32(raw + HD_AT_IMAGE_LEN, p->image_len);
	hd_put32(raw + HD_AT_PAYLOAD_LEN, p->payload_len);
	hd_put32(raw + HD_AT_ARENA, p->arena);
	hd_put32(raw + HD_AT_OPS, p->ops);
	hd_hmac(key, raw, HD_PACKAGE_SIGNED, raw + HD_AT_MAC);
	hd_put32(raw + HD_AT_CRC, hd_crc32c(0, raw, HD_AT_CRC));
}

hd_status hd_package_auth(const uint8_t raw[HD_PACKAGE_HEADER], const uint8_t key[HD_KEY_LEN])
{
	return hd_signed(key, raw, HD_PACKAGE_SIGNED, raw + HD_AT_MAC, HD_DIGEST_LEN) ? HD_OK : HD_EAUTH;
}
