/* parity.h - the test that a board computes what the gateway computes, bit for bit.
 *
 * Frames as on the link (hd_msg.h), with bodies of their own:
 *   LOAD  u32 offset, bytes      a piece of an image; answered by DONE with the bytes so far
 *   RUN   u32 len, u32 seed, u32 first, u32 count
 *         open the image of `len` bytes and run windows first .. first + count - 1
 *   DONE  u32 status (an hd_status), u32 value: CRC-32C over all outputs of a RUN
 *
 * Both sides make the windows themselves: raw counts by parity_raw(), through the scaler. */
#ifndef PARITY_H
#define PARITY_H

#include "hd_crc32c.h"
#include "hd_image.h"

enum { PARITY_LOAD = 0x21, PARITY_RUN = 0x22, PARITY_DONE = 0xa1 };
enum { PARITY_IMAGE_MAX = 1 << 18, PARITY_INPUT_MAX = 4096, PARITY_ARENA_MAX = 1 << 16 };

/* Value i of window n.  The first windows are the edges: all low, all high, alternating. */
static inline int16_t parity_raw(uint32_t seed, uint32_t n, uint32_t i)
{
	uint32_t x = seed ^ (n * 0x9e3779b9u) ^ (i * 0x85ebca6bu);

	if (n < 3)
		return n == 0 || (n == 2 && (i & 1)) ? INT16_MIN : INT16_MAX;
	x = (x ^ x >> 16) * 0x7feb352du;
	x = (x ^ x >> 15) * 0x846ca68bu;
	return (int16_t)(uint16_t)(x ^ x >> 16);
}

/* CRC-32C over the outputs of windows first .. first + count - 1.
 * in (in_len, in_ch), arena (net->arena,) 4-byte aligned. */
static inline uint32_t parity_crc(const struct hd_net *net, const uint32_t seed_first_count[3],
                                  int8_t *in, uint8_t *arena)
{
	uint32_t crc = 0, size = (uint32_t)net->in_len * net->in_ch;
	int8_t out[256];

	for (uint32_t n = 0; n < seed_first_count[2]; n++) {
		for (uint32_t i = 0; i < size; i++)
			in[i] = hd_net_scale(net, (uint16_t)(i % net->in_ch),
			                     parity_raw(seed_first_count[0], seed_first_count[1] + n, i));
		hd_net_run(net, in, arena, out);
		crc = hd_crc32c(crc, (const uint8_t *)out, net->out_n);
	}
	return crc;
}
#endif
