/* Chunks of a payload or of a patch, grain by grain, on their way into the spare slot. */
#include <string.h>
#include "hd_stage.h"

/* Program n bytes at offset `at` of the payload; a part of a grain is padded, in place. */
static hd_status program(struct hd_device *d, uint32_t at, uint8_t *p, uint32_t n)
{
	const struct hd_flash *f = d->flash;

	memset(p + n, f->erased, HD_GRAIN - n);
	d->used = true;
	if (hd_flash_write(f, d->spare_at + HD_PACKAGE_HEADER + at, p, HD_GRAIN) != HD_OK)
		return hd_stage_flash_failed(d);
	return HD_OK;
}

/* Rebuild the next grain of the payload from n bytes of the patch and the image in service.
 * HD_MORE: they are not used up. */
static int rebuild(struct hd_device *d, const uint8_t *p, uint32_t n)
{
	uint32_t room = hd_load32(hd_staged(d) + HD_AT_PAYLOAD_LEN) - d->solid;
	uint8_t *out = (uint8_t *)d->out;
	hd_status rc;

	if (room > HD_GRAIN)
		room = HD_GRAIN;
	d->held = (uint8_t)(d->held + hd_delta_run(&d->delta, d->active + HD_PACKAGE_HEADER, p, n,
	                                           out + d->held, room - d->held));
	if (d->held < room || room == 0) {       /* 0: the result is complete, the rest is padding */
		d->delta.used = 0;
		return HD_OK;
	}
	rc = program(d, d->solid, out, room);
	d->solid += room;
	d->held = 0;
	return rc == HD_OK ? HD_MORE : (int)rc;
}

/* One grain, n bytes at p, `place` grains behind the first missing one. */
static int take(struct hd_device *d, uint32_t place, uint8_t *p, uint32_t n)
{
	struct hd_report *r = &d->report;
	bool delta = hd_load32(hd_staged(d) + HD_AT_PATCH_LEN) != 0;
	int rc;

	if ((r->bitmap >> place & 1) != 0 || (delta && place > 0))
		return HD_OK;            /* here already; a patch is taken in order only */
	rc = delta ? rebuild(d, p, n) : (int)program(d, r->next + place * HD_GRAIN, p, n);
	if (rc != HD_OK)
		return rc;
	for (r->bitmap |= (uint32_t)1 << place; (r->bitmap & 1) != 0; r->bitmap >>= 1)
		r->next += HD_GRAIN;
	if (r->next > d->wire_len)
		r->next = d->wire_len;
	if (!delta)
		d->solid = r->next;
	return HD_OK;
}

int hd_stage_chunk(struct hd_device *d)
{
	uint32_t at = hd_load32(d->frame.body), n = (uint32_t)d->frame.len - HD_CHUNK_HEAD;
	uint32_t left = d->wire_len - at, place;
	int rc = HD_OK;

	if (d->report.state != HD_RECEIVING)
		return HD_ESTATE;
	/* Longer than the longest: the padding of its end would not fit in the buffer. */
	if (n - 1 >= HD_CHUNK_MAX || at % HD_GRAIN != 0 || left > d->wire_len || n > left
	    || (n < left && n % HD_GRAIN != 0))
		return HD_EFORMAT;
	n -= d->tail;
	at += d->tail;
	if (n > HD_GRAIN)
		n = HD_GRAIN;
	place = (at - d->report.next) / HD_GRAIN;
	if (at >= d->report.next) {
		if (place >= HD_GRAINS_AHEAD)
			return HD_EFORMAT;
		rc = take(d, place, (uint8_t *)(d->rx.word + 2 + HD_CHUNK_HEAD / 4) + d->tail, n);
	}
	if (rc != HD_OK)
		return rc;
	d->tail = (uint8_t)(d->tail + n);
	return d->tail < d->frame.len - HD_CHUNK_HEAD ? HD_MORE : HD_OK;
}
