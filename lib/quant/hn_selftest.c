#include "hn_quant.h"

#include "hd_check.h"

hn_status hn_selftest_make(const struct hn_selftest_job *job, struct hn_arena *arena,
                           struct hn_bytes out, size_t *len)
{
	const size_t mark = arena->used;
	struct hd_net net;
	size_t in, each;
	uint8_t *work;

	if (hd_net_check(&net, job->image, job->image_len) != HD_OK)
		return HN_EFORMAT;
	in = (size_t)net.in_len * net.in_ch;
	each = in + net.out_n;
	work = hn_arena_take(arena, net.arena);
	if (!work || out.cap < each * job->k) {
		hn_arena_reset(arena, mark);
		return HN_ENOMEM;
	}
	for (uint32_t i = 0; i < job->k; i++) {
		int8_t *q = (int8_t *)out.p + i * each;

		for (size_t j = 0; j < in; j++)
			q[j] = hd_net_scale(&net, (uint16_t)(j % net.in_ch), job->raw[i * in + j]);
		hd_net_run(&net, q, work, q + in);
	}
	hn_arena_reset(arena, mark);
	*len = each * job->k;
	return HN_OK;
}
