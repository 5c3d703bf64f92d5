/* hd_crc32c.h - CRC-32C (Castagnoli), reflected, init and final xor 0xffffffff; RFC 3720 B.4. */
#ifndef HD_CRC32C_H
#define HD_CRC32C_H

#include "hd_types.h"

/* Continue from `crc` (0 to begin).  crc32c("123456789") = 0xe3069283. */
uint32_t hd_crc32c(uint32_t crc, const uint8_t *p, size_t n);
#endif
