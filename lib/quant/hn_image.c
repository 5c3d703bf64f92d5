/* Writes the device's int8 image; layout and arithmetic in lib/device/hd_image.h. */
#include "hn_quant.h"

#include <math.h>
#include <string.h>
#include "hd_image.h"
#include "hd_ops.h"
#include "hn_layer.h"

/* Layers that appear in the image. */
static unsigned emitted(const struct hn_net *net)
{
	unsigned n = 0;

	for (unsigned i = 0; i < net->n_layers; i++)
		n += !hn_quant_skips(net, i);
	return n;
}

/* The image can hold this layer. */
static bool representable(const struct hn_layer *l)
{
	return l->type->op && l->type->quantise && l->type->image_bytes(l) > 0;
}

size_t hn_image_need(const struct hn_net *net)
{
	size_t n = HD_IMAGE_HEADER + (size_t)HD_SCALER_ENTRY * net->in.ch +
	           (size_t)HD_LAYER_ENTRY * emitted(net);

	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer *l = &net->layer[i];

		if (hn_quant_skips(net, i))
			continue;
		if (!representable(l))
			return 0;
		n += l->type->image_bytes(l);
	}
	return n;
}

/* Activation memory, as hd_net_run lays it out: neighbours at the two ends of one arena. */
static uint32_t arena_need(const struct hn_net *net)
{
	uint32_t need = 0, held = 0;
	unsigned left = emitted(net);
	bool first = true;

	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hd_op_row *op = hd_op_find(net->layer[i].type->op);
		const uint32_t bytes = (uint32_t)((hn_size(net->layer[i].out) + 3) & ~(size_t)3);

		if (hn_quant_skips(net, i))
			continue;
		left--;
		if (left > 0 && op && (first || !op->in_place)) {
			need = held + bytes > need ? held + bytes : need;
			held = bytes;
		}
		first = false;
	}
	return need;
}

static void put_head(const struct hn_net *net, int8_t in_zp, uint8_t *out, size_t len)
{
	hd_put32(out, HD_IMAGE_MAGIC);
	hd_put32(out + 4, (uint32_t)len);
	hd_put32(out + 12, arena_need(net));
	hd_put16(out + 16, net->in.len);
	hd_put16(out + 18, net->in.ch);
	hd_put16(out + 20, net->out_n);
	out[22] = (uint8_t)emitted(net);
	out[24] = (uint8_t)in_zp;
}

/* z = (raw - mean) / std, q = z / in_scale + zp: one integer offset, one multiplier. */
static void put_scaler(const struct hn_scaler *s, double in_scale, uint8_t *out)
{
	for (unsigned c = 0; c < s->n_ch; c++, out += HD_SCALER_ENTRY) {
		const double mean = fmax(-2147483648.0, fmin(2147483647.0, round((double)s->mean[c])));
		int32_t mult;
		int8_t shift;

		hn_quant_mult(1.0 / ((double)s->std[c] * in_scale), &mult, &shift);
		hd_put32(out, (uint32_t)(int32_t)mean);
		hd_put32(out + 4, (uint32_t)mult);
		hd_put32(out + 8, (uint32_t)(int32_t)shift);
	}
}

/* A layer that only changes the shape is left out: the next one takes the numbers as they lie. */
static void put_layer(const struct hn_layer *l, uint8_t *out)
{
	out[0] = l->type->op;
	hd_put16(out + 4, l->in.len);
	hd_put16(out + 6, l->in.ch);
	hd_put16(out + 8, l->out.len);
	hd_put16(out + 10, l->out.ch);
	hd_put32(out + 12, l->type->image_pq ? l->type->image_pq(l) : 0);
}

/* Bounds of a fused layer in steps of the output grid. */
static void set_bounds(struct hn_layer_q *q, const struct hn_layer *next)
{
	const double hi = next->type->clamp_hi / q->out_scale + q->out_zp;

	q->act_min = q->out_zp;
	if (hi < 127)
		q->act_max = (int8_t)round(hi);
}

static hn_status put_constants(const struct hn_quant_cfg *cfg, const struct hn_calib *calib,
                               unsigned i, uint8_t *out)
{
	const struct hn_net *net = cfg->net;
	const struct hn_layer *l = &net->layer[i];
	const struct hn_grid in = calib->grid[i], to = calib->grid[i + 1];
	struct hn_layer_q q = { .l = l, .w = cfg->weights + l->w_at, .in_scale = (double)in.scale,
	                        .out_scale = (double)to.scale, .in_zp = in.zp, .out_zp = to.zp,
	                        .act_min = -128, .act_max = 127, .out = out };

	if (i + 1 < net->n_layers && hn_quant_fused(net, i + 1))
		set_bounds(&q, &net->layer[i + 1]);
	return l->type->quantise(&q);
}

static hn_status fail_form(const struct hn_net *net, struct hn_err *err)
{
	unsigned i = 0;

	while (hn_quant_skips(net, i) || representable(&net->layer[i]))
		i++;
	return hn_fail(err, HN_EINVAL, "int8: layer %u '%s' has no int8 form", i + 1,
	               net->layer[i].text);
}

static hn_status check(const struct hn_quant_cfg *cfg, size_t need, size_t cap, struct hn_err *err)
{
	const struct hn_scaler *s = cfg->scaler;

	if (need == 0)
		return fail_form(cfg->net, err);
	if (s->n_ch != cfg->net->in.ch)
		return hn_fail(err, HN_EINVAL, "int8: scaler has %u channels, the net %u", s->n_ch,
		               cfg->net->in.ch);
	for (unsigned c = 0; c < s->n_ch; c++)
		if (!isfinite(s->mean[c]) || !isfinite(s->std[c]) || !(s->std[c] > 0))
			return hn_fail(err, HN_ENUMERIC, "int8: scaler of channel %u is not usable", c);
	if (need > cap)
		return hn_fail(err, HN_ENOMEM, "int8: image needs %zu bytes, has %zu", need, cap);
	return HN_OK;
}

hn_status hn_image_write(const struct hn_quant_cfg *cfg, const struct hn_calib *calib,
                         struct hn_bytes out, size_t *len, struct hn_err *err)
{
	const struct hn_net *net = cfg->net;
	const size_t need = hn_image_need(net);
	uint8_t *table, *at;
	struct hd_net opened;
	hn_status rc = check(cfg, need, out.cap, err);

	if (rc)
		return rc;
	memset(out.p, 0, need);
	put_head(net, calib->grid[0].zp, out.p, need);
	put_scaler(cfg->scaler, (double)calib->grid[0].scale, out.p + HD_IMAGE_HEADER);
	table = out.p + HD_IMAGE_HEADER + (size_t)HD_SCALER_ENTRY * net->in.ch;
	at = table + (size_t)HD_LAYER_ENTRY * emitted(net);
	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer *l = &net->layer[i];

		if (hn_quant_skips(net, i))
			continue;
		put_layer(l, table);
		rc = put_constants(cfg, calib, i, at);
		if (rc)
			return hn_fail(err, rc, "int8: layer %u '%s' has weights that are not finite", i + 1,
			               l->text);
		table += HD_LAYER_ENTRY;
		at += l->type->image_bytes(l);
	}
	hd_put32(out.p + 8, hd_image_arch(out.p));
	if (hd_net_open(&opened, out.p, (uint32_t)need) != HD_OK)
		return hn_fail(err, HN_EINVAL, "int8: this net does not fit the device's image");
	*len = need;
	return HN_OK;
}
