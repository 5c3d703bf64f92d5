/* fuzz_hd_package.c - the package header: any bytes; what parses adds up and writes the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "hd_crc32c.h"
#include "hd_package.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[HD_KEY_LEN] = { 1, 2, 3 };
	uint8_t *raw = malloc(HD_PACKAGE_HEADER), again[HD_PACKAGE_HEADER];
	struct hd_package p, q;

	if (!raw)
		return 0;
	memset(raw, 0, HD_PACKAGE_HEADER);
	memcpy(raw, data, size < HD_PACKAGE_HEADER ? size : HD_PACKAGE_HEADER);
	(void)hd_package_read(&p, raw);
	(void)hd_package_auth(raw, key);
	hd_put32(raw, HD_PACKAGE_MAGIC); /* past the first checks */
	memset(raw + HD_AT_OPS + 4, 0, HD_AT_MAC - HD_AT_OPS - 4);
	hd_put32(raw + HD_AT_CRC, hd_crc32c(0, raw, HD_AT_CRC));
	if (hd_package_read(&p, raw) == HD_OK) {
		if (p.n_vectors > HD_VECTORS_MAX || p.payload_len < p.image_len || (p.image_len & 3)
		    || (uint64_t)p.image_len + (uint64_t)p.n_vectors * p.vector_len != p.payload_len)
			abort();
		hd_package_write(&p, key, again);
		if (memcmp(raw, again, HD_PACKAGE_SIGNED) != 0 || hd_package_auth(again, key) != HD_OK
		    || hd_package_read(&q, again) != HD_OK)
			abort();
	}
	free(raw);
	return 0;
}
