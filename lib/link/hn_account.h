/* hn_account.h - what goes over a device's link: frames and bytes by kind, each way. */
#ifndef HN_ACCOUNT_H
#define HN_ACCOUNT_H

#include <stddef.h>
#include <stdint.h>
#include "hd_msg.h"

enum hn_way { HN_DOWN, HN_UP, HN_WAYS };         /* to the device, from it                      */

enum hn_kind {
	HN_KIND_SESSION,         /* HELLO and its question                                      */
	HN_KIND_PACKAGE,         /* BEGIN, CHUNK                                                */
	HN_KIND_ORDER,           /* ACTIVATE, CONFIRM, REVERT                                   */
	HN_KIND_STATUS,          /* STATUS and its question                                     */
	HN_KIND_SAMPLES, HN_KIND_PREDICTION,
	HN_KIND_SKETCH,
	HN_KIND_OTHER,           /* events, time                                                */
	HN_KINDS
};
extern const char *const hn_kind_names[HN_KINDS];
extern const char *const hn_way_names[HN_WAYS];

struct hn_account { uint64_t frames[HN_WAYS][HN_KINDS], bytes[HN_WAYS][HN_KINDS]; };

/* One frame with a body of `len` bytes; counted as it is on the wire, framing included. */
void hn_account_add(struct hn_account *a, enum hn_way way, uint8_t type, size_t len);
uint64_t hn_account_bytes(const struct hn_account *a, enum hn_way way);
#endif
