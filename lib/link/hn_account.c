#include "hn_account.h"

enum { COBS_BYTES = 2, COBS_BLOCK = 254 };       /* first code and delimiter; a code a block */

const char *const hn_kind_names[HN_KINDS] = {
	"session", "package", "order", "status", "samples", "prediction", "sketch", "other"
};
const char *const hn_way_names[HN_WAYS] = { "down", "up" };

static enum hn_kind kind_of(uint8_t type)
{
	switch (type) {
	case HD_HELLO_ASK: case HD_HELLO:
		return HN_KIND_SESSION;
	case HD_BEGIN: case HD_CHUNK:
		return HN_KIND_PACKAGE;
	case HD_ACTIVATE: case HD_CONFIRM: case HD_REVERT:
		return HN_KIND_ORDER;
	case HD_STATUS_ASK: case HD_STATUS:
		return HN_KIND_STATUS;
	case HD_SAMPLES:
		return HN_KIND_SAMPLES;
	case HD_PREDICTION:
		return HN_KIND_PREDICTION;
	case HD_SKETCH:
		return HN_KIND_SKETCH;
	default:
		return HN_KIND_OTHER;
	}
}

void hn_account_add(struct hn_account *a, enum hn_way way, uint8_t type, size_t len)
{
	const size_t n = HD_FRAME_HEAD + len + HD_FRAME_CRC;
	const enum hn_kind kind = kind_of(type);

	a->frames[way][kind]++;
	a->bytes[way][kind] += n + n / COBS_BLOCK + COBS_BYTES;
}

uint64_t hn_account_bytes(const struct hn_account *a, enum hn_way way)
{
	uint64_t sum = 0;

	for (int i = 0; i < HN_KINDS; i++)
		sum += a->bytes[way][i];
	return sum;
}
