/* Chunks of a payload or of a patch, grain by grain, on their way into the spare slot. */
#include <string.h>
#include "hd_stage.h"

/* Place of the grain at offset `at`: 0 = the first missing one, i + 1 = bit i of the bitmap,
 * -1 = it is here already, -2 = it may not come now. */
static int place_of(const struct hd_device *d, uint32_t at, uint32_t grain)
{
	uint32_t o = d->report.next;
	int i;

	if (at < o)
		return -1;
	for (i = 0; i <= HD_GRAINS_AHEAD; i++, o += grain) {
		if (o == at)
			return i > 0 && (d->report.bitmap >> (i - 1) & 1) != 0 ? -1 : i;
	}
	return -2;
}

static void mark(struct hd_device *d, int place, uint32_t grain)
{
	bool more = true;

	if (place > 0) {
		d->report.bitmap |= (uint32_t)1 << (place - 1);
		return;
	}
	while (more) {
		d->report.next += grain;
		more = (d->report.bitmap & 1) != 0;
		d->report.bitmap >>= 1;
	}
	if (d->report.next > d->wire_len)
		d->report.next = d->wire_len;
}

/* Program n bytes at offset `at` of the payload, padded to whole units in place. */
static hd_status program(struct hd_device *d, uint32_t at, uint8_t *p, uint32_t n)
{
	const struct hd_flash *f = d->flash;
	uint32_t whole = (n + f->unit - 1) & ~(f->unit - 1);

	memset(p + n, f->erased, whole - n);
	at += d->spare_at + HD_PACKAGE_HEADER;
	d->used = true;
	return hd_flash_write(f, at, p, whole) == HD_OK ? HD_OK : hd_stage_flash_failed(d, at);
}

/* Rebuild the next bytes of the payload from a grain of the patch and the image in service, and
 * program them by HD_UNIT_MAX: no write unit is larger. */
static hd_status rebuild(struct hd_device *d, const uint8_t *p, uint32_t n)
{
	uint32_t room = hd_load32(hd_staged(d) + HD_AT_PAYLOAD_LEN) - d->solid;
	uint8_t *out = (uint8_t *)d->out;
	hd_status rc;

	room = room < HD_UNIT_MAX ? room : HD_UNIT_MAX;
	if (room == 0) {                 /* the result is complete: what follows is padding */
		d->delta.used = n;
		d->delta.copy = 0;
		return HD_OK;
	}
	d->held = (uint8_t)(d->held + hd_delta_run(&d->delta, d->active + HD_PACKAGE_HEADER, p, n,
	                                           out + d->held, room - d->held));
	if (d->held < room)
		return HD_OK;
	rc = program(d, d->solid, out, room);
	d->solid += room;
	d->held = 0;
	return rc;
}

/* One grain at offset `at`, n bytes at p.  HD_MORE: call again, it is not used up. */
static int take(struct hd_device *d, uint32_t at, uint8_t *p, uint32_t n)
{
	bool delta = hd_staged(d)[HD_AT_KIND] == HD_KIND_DELTA;
	uint32_t grain = hd_stage_grain(d->flash);
	int place = place_of(d, at, grain);
	hd_status rc;

	if (place < 0 || (delta && place > 0))   /* a patch is taken in order only */
		return place < -1 ? HD_EFORMAT : HD_OK;
	rc = delta ? rebuild(d, p, n) : program(d, at, p, n);
	if (rc != HD_OK)
		return (int)rc;
	if (delta && (d->delta.used < n || d->delta.copy != 0))
		return HD_MORE;
	d->delta.used = 0;
	mark(d, place, grain);
	if (!delta)
		d->solid = d->report.next;
	return HD_OK;
}

int hd_stage_chunk(struct hd_device *d)
{
	uint32_t grain = hd_stage_grain(d->flash), at, end, n;
	int rc;

	if (d->report.state != HD_RECEIVING)
		return HD_ESTATE;
	if (d->frame.len <= HD_CHUNK_HEAD || d->frame.len > HD_CHUNK_HEAD + HD_CHUNK_MAX)
		return HD_EFORMAT;       /* longer: the padding of its end would not fit in the buffer */
	at = hd_load32(d->frame.body);
	end = at + (uint32_t)d->frame.len - HD_CHUNK_HEAD;
	if (at >= d->wire_len || at % grain != 0 || end > d->wire_len
	    || (end < d->wire_len && end % grain != 0))
		return HD_EFORMAT;
	at += d->tail;
	n = end - at < grain ? end - at : grain;
	rc = take(d, at, (uint8_t *)(d->rx.word + 2 + HD_CHUNK_HEAD / 4) + d->tail, n);
	if (rc != HD_OK)
		return rc;
	d->tail = (uint8_t)(d->tail + n);
	return at + n < end ? HD_MORE : HD_OK;
}
