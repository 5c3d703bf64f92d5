/* hn_status.h - result codes and error text shared by every host module.
 *
 * A function that can fail returns hn_status (HN_OK or negative) and writes its results through
 * the last pointers, untouched on failure.  `struct hn_err` carries one sentence, only where a
 * person reads it (configuration, load, import). */
#ifndef HN_STATUS_H
#define HN_STATUS_H

/* One row per code: name, value, text for people. */
#define HN_STATUS_TABLE(X)                                        \
	X(HN_OK,        0, "success")                             \
	X(HN_EINVAL,   -1, "argument violates the contract")      \
	X(HN_ERANGE,   -2, "value outside the allowed range")     \
	X(HN_ENOMEM,   -3, "workspace or memory exhausted")       \
	X(HN_EFORMAT,  -4, "malformed input")                     \
	X(HN_ENUMERIC, -5, "non-finite number")                   \
	X(HN_EIO,      -6, "input/output failure")                \
	X(HN_EFULL,    -7, "queue or table is full")              \
	X(HN_ENOENT,   -8, "no such item")                        \
	X(HN_EBUSY,    -9, "busy, try again later")               \
	X(HN_ESTATE,  -10, "not possible in the present state")   \
	X(HN_EDATA,   -11, "not enough usable data")

#define X(name, value, text) name = (value),
typedef enum { HN_STATUS_TABLE(X) } hn_status;
#undef X

/* Text for the person who must act. */
struct hn_err {
	hn_status code;
	char      text[256];
};

/* Fixed English text of a code; never NULL. */
const char *hn_status_text(hn_status s);

/* Record code + text in `err` (may be NULL; the first error wins) and return `code`. */
hn_status hn_fail(struct hn_err *err, hn_status code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#endif
