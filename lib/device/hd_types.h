/* hd_types.h - what every file of the device library shares.
 *
 * lib/device is freestanding C99: no libc beyond memcpy/memset/memcmp, no heap, no floating point
 * in the inference path, no recursion, no static mutable data.  The same files run on the
 * microcontroller, in the simulator and in the gateway. */
#ifndef HD_TYPES_H
#define HD_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define HD_MUST_USE __attribute__((warn_unused_result))
#define HD_NOINLINE __attribute__((noinline))    /* keeps its locals off its callers' stack */
#else
#define HD_MUST_USE
#define HD_NOINLINE
#endif

/* Result codes; also the one-byte error of a STATUS message, so their values are permanent. */
typedef enum {
	HD_OK        = 0,
	HD_EFORMAT   = 1,   /* bytes do not parse: magic, length, CRC, a field out of range  */
	HD_EARCH     = 2,   /* architecture hash differs from what the firmware was built for */
	HD_EDEVICE   = 3,   /* made for another device                                        */
	HD_EVERSION  = 4,   /* version not above the floor                                    */
	HD_EAUTH     = 5,   /* MAC does not verify, or the key is unknown                     */
	HD_EDIGEST   = 6,   /* payload does not hash to the header's digest                   */
	HD_ESELFTEST = 7,   /* outputs differ from the self-test vectors                      */
	HD_ESIZE     = 8,   /* larger than the slot or than the activation arena              */
	HD_EFLASH    = 9,   /* erase or program failed, or read back differently              */
	HD_ESTATE    = 10,  /* not possible in the present state                              */
	HD_EBASE     = 11,  /* a delta for another base than the active image                 */
	HD_ELAYER    = 12,  /* a kind of layer that this firmware does not have               */
	HD_ETRIAL    = 13   /* the trial ended without a confirmation: back to the former     */
} hd_status;

/* Little-endian access; never an unaligned load. */
static inline uint16_t hd_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

static inline uint32_t hd_get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The same from an address that is a multiple of 4 (2): one instruction.  Headers and messages are
 * read and written as they lie: the machine must be little-endian, as the wire is. */
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "lib/device needs a little-endian machine, and GCC or Clang"
#endif

static inline uint32_t hd_load32(const uint8_t *p)
{
	uint32_t v;

	__builtin_memcpy(&v, __builtin_assume_aligned(p, 4), sizeof v);
	return v;
}

static inline uint16_t hd_load16(const uint8_t *p)
{
	uint16_t v;

	__builtin_memcpy(&v, __builtin_assume_aligned(p, 2), sizeof v);
	return v;
}

static inline void hd_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void hd_put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}
#endif
