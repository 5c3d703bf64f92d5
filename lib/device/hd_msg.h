/* hd_msg.h - the messages between gateway and device.
 *
 * A frame on the wire is COBS( type u8, seq u8, session u16, body, crc32c u32 ) 00.
 * The CRC-32C covers type..body.  All integers are little-endian.  Unknown types are ignored and
 * counted.  `session` is chosen by the gateway in HELLO_ASK; a device ignores commands of another
 * session and stamps its own frames with the present one (0 before the first).
 *
 * To the device
 *   HELLO_ASK   u32 nonce_gw, u16 session, u8 proto
 *   BEGIN       package header (128 B): start, or resume when the digest is the staged one
 *   CHUNK       u32 offset, bytes: whole grains of the payload, the last may be short; idempotent
 *   ACTIVATE    u32 version, u8 tag[8]: verify, self-test, switch at the next inference boundary
 *   CONFIRM     u32 version, u8 tag[8]: the trial is over: raise the floor, erase the other slot
 *   REVERT      u32 version, u8 tag[8]: end the trial of `version`, back to the other slot
 *   STATUS_ASK  empty
 *   TIME        u64 gateway time, us since 1970: the device may show it; it never steers inference
 *   TELEMETRY   u8 mode (0 raw, 1 sketch, 2 exception), u8 lambda, u16 heartbeat [windows], u16
 *               raw_every [windows, 0 = none], u16 zero; devices with sketches only (hd_sketch.h)
 *   PULL        u16 n: send the next n windows raw
 *               `tag` = first 8 bytes of HMAC-SHA256(device key, struct hd_order)
 * From the device
 *   HELLO       see struct hd_hello
 *   STATUS      see struct hd_report
 *   SAMPLES     u32 tick_us of the first frame, u32 period_us, u8 n_ch, u8 n, i16 raw[n][n_ch],
 *               u32 count of the first frame (frames since boot: gaps show as jumps)
 *   PREDICTION  u32 tick_us of the window's last frame, u32 count of that frame, u32 model_version,
 *               u8 class, u8 margin, u32 due, u32 missed (inferences since boot)
 *   SKETCH      see hd_sketch.h */
#ifndef HD_MSG_H
#define HD_MSG_H

#include "hd_types.h"
#include "hd_package.h"

enum {
	HD_PROTO = 1,
	HD_FRAME_HEAD = 4, HD_FRAME_CRC = 4,
	HD_BODY_MAX = 240,               /* default limit of a body                             */
	HD_FRAME_MAX = HD_FRAME_HEAD + HD_BODY_MAX + HD_FRAME_CRC,
	HD_WIRE_BODY = 1 + HD_FRAME_HEAD,                      /* place of the body in a frame   */
	HD_WIRE_MORE = HD_WIRE_BODY + HD_FRAME_CRC + 1,        /* all but the body               */
	HD_WIRE_MAX = HD_BODY_MAX + HD_WIRE_MORE,
	HD_TAG_LEN = 8, HD_CHUNK_HEAD = 4,
	HD_GRAIN = 64,                   /* payload bytes that one bit of a bitmap stands for   */
	HD_CHUNK_MAX = 192,              /* payload bytes of a CHUNK: whole grains              */
	HD_GRAINS_AHEAD = 32             /* bits of the bitmap in STATUS                        */
};

/* Permanent. */
enum hd_msg {
	HD_HELLO_ASK = 0x01, HD_BEGIN = 0x02, HD_CHUNK = 0x03, HD_ACTIVATE = 0x04,
	HD_CONFIRM = 0x05, HD_REVERT = 0x06, HD_STATUS_ASK = 0x07, HD_TIME = 0x08,
	HD_TELEMETRY = 0x09, HD_PULL = 0x0a,
	HD_HELLO = 0x81, HD_STATUS = 0x82, HD_SAMPLES = 0x90, HD_PREDICTION = 0x91,
	HD_SKETCH = 0x93
};

/* What a device is doing with the package that it was sent. */
enum hd_state {
	HD_IDLE = 0,        /* nothing staged                                        */
	HD_ERASING = 1,     /* BEGIN accepted, slot not ready yet: credits are 0     */
	HD_RECEIVING = 2,   /* wants chunks                                          */
	HD_VERIFYING = 3,   /* ACTIVATE accepted, hashing and self-testing           */
	HD_TRIAL = 4,       /* runs the new image, can go back                       */
	HD_FAILED = 5       /* the last package was refused: see `error`             */
};

struct hd_report {              /* body of STATUS, 40 bytes in this order              */
	uint8_t  state;
	uint8_t  error;         /* of the last command, or of what came after it; in HD_FAILED why */
	uint8_t  credits;       /* chunks that may be in flight in HD_RECEIVING            */
	uint8_t  re;            /* type of the command answered, 0 = own accord            */
	uint32_t next;          /* payload bytes received without a gap                    */
	uint32_t bitmap;        /* bit i: the grain at next + i * HD_GRAIN is here too; bit 0 is 0 */
	uint32_t floor;
	uint32_t due, missed;   /* inferences that were due / not done in time, since boot */
	uint32_t trial_left;    /* on trial: inferences until it would revert by itself    */
	uint32_t overruns;      /* link bytes lost + frames refused by CRC + unknown types */
	uint32_t active_version, active_model;
};

struct hd_hello {               /* body of HELLO, 96 bytes in this order               */
	struct hd_report report;
	uint8_t  active_digest[8];
	uint32_t nonce_dev;
	uint8_t  staged_digest[8];      /* of the package that came last                   */
	uint8_t  proto;
	uint8_t  flags;         /* bit 0: knows TELEMETRY and PULL                         */
	uint8_t  grain, body;   /* a CHUNK carries whole grains; longest body taken; both /4 */
	uint8_t  uid[HD_UID_LEN];
	uint32_t arch;          /* the only architecture this firmware accepts; 0 = any that fits */
	uint32_t arena_bytes, build;
	uint32_t slot_bytes, erase_us;
	uint32_t ops;           /* what `needs` of an image may have: kinds of layer, rounding */
};

enum { HD_REPORT_LEN = 40, HD_HELLO_LEN = 96 };

/* What the tag of a command that changes state is made of, in this order. */
struct hd_order {
	uint8_t  type, zero;
	uint16_t session;
	uint32_t version, nonce_gw, nonce_dev;
};

void hd_hello_write(const struct hd_hello *h, uint8_t out[HD_HELLO_LEN]);
hd_status hd_hello_read(struct hd_hello *h, const uint8_t *body, size_t n);
void hd_report_write(const struct hd_report *r, uint8_t out[HD_REPORT_LEN]);
hd_status hd_report_read(struct hd_report *r, const uint8_t *body, size_t n);

/* Tag of a state-changing command (first HD_TAG_LEN bytes of the HMAC above). */
void hd_tag(const uint8_t key[HD_KEY_LEN], uint8_t type, uint16_t session, uint32_t nonce_dev,
            uint32_t nonce_gw, uint32_t version, uint8_t tag[HD_TAG_LEN]);

struct hd_frame { uint8_t type, seq; uint16_t session; const uint8_t *body; size_t len; };

/* Encode one frame for the wire, delimiter included.  body_len <= HD_BODY_MAX.
 * out (HD_WIRE_MAX,), or what the body needs: body_len + HD_WIRE_MORE.  Returns their number. */
size_t hd_frame_write(uint8_t type, uint8_t seq, uint16_t session, const uint8_t *body,
                      size_t body_len, uint8_t *out);

/* The same for a body that is in its place, at out + HD_WIRE_BODY; head = type | seq << 8 |
 * session << 16. */
size_t hd_frame_seal(uint8_t *out, uint32_t head, size_t body_len);

/* Streaming decoder: feed bytes, get whole frames whose CRC is right.  Noise costs only the frame
 * it hits; a length is never trusted before the CRC. */
struct hd_rx {
	uint32_t word[1 + (HD_FRAME_MAX + 5) / 4];       /* a frame from word[1], its code before that */
	uint32_t refused;       /* frames dropped: CRC, COBS, size                     */
	uint16_t len;           /* bytes since the last delimiter                      */
};

void hd_rx_init(struct hd_rx *r);
/* True when `byte` completed a good frame; `f` points into `r` until the next call, its body to a
 * multiple of 4. */
bool hd_rx_byte(struct hd_rx *r, uint8_t byte, struct hd_frame *f);
#endif
