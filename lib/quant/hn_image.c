/* Writes the device's int8 image; layout and arithmetic in lib/device/hd_image.h. */
#include "hn_quant.h"

#include <math.h>
#include <string.h>
#include "hd_check.h"
#include "hn_layer.h"
#include "hn_place.h"

/* The input cannot be kept, it is the caller's: a pool of single frames copies it. */
enum { COPY = 4 };

/* Layers that appear in the image. */
static unsigned emitted(const struct hn_net *net)
{
	unsigned n = hn_quant_copies_input(net);

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
	           (size_t)HD_LAYER_ENTRY * emitted(net) + (hn_quant_copies_input(net) ? COPY : 0);

	if (hn_quant_unordered(net))
		return 0;
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

void hn_image_limit(uint8_t *image, uint8_t limit)
{
	image[25] = limit;
}

static void put_head(const struct hn_quant_cfg *cfg, int8_t in_zp, uint8_t *out, size_t len)
{
	const struct hn_net *net = cfg->net;

	hd_put32(out, HD_IMAGE_MAGIC);
	hd_put32(out + 4, (uint32_t)len);
	hd_put16(out + 16, net->in.len);
	hd_put16(out + 18, net->in.ch);
	hd_put16(out + 20, net->out_n);
	out[22] = (uint8_t)emitted(net);
	out[23] = cfg->frozen ? cfg->frozen[23] : cfg->rq_mode;
	out[24] = (uint8_t)in_zp;
	if (net->task == HN_AUTOENCODE)
		hn_image_limit(out, UINT8_MAX);
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
	const bool dense = l->type->op == HD_OP_DENSE;   /* one frame of all numbers */

	out[0] = l->type->op;
	hd_put16(out + 4, dense ? 1 : l->in.len);
	hd_put16(out + 6, dense ? (uint16_t)hn_size(l->in) : l->in.ch);
	hd_put16(out + 8, l->out.len);
	hd_put16(out + 10, l->out.ch);
	hd_put32(out + 12, dense ? 1 | 1u << 16 | 1u << 24 : l->type->image_pq ? l->type->image_pq(l) : 0);
}

bool hn_image_is_row(const struct hn_layer *l, const struct hd_layer *row)
{
	uint8_t want[HD_LAYER_ENTRY] = { 0 };

	put_layer(l, want);
	return want[0] == row->op && memcmp(want + 4, &row->in_len, 12) == 0;
}

/* Bounds of a fused layer in steps of the output grid. */
static void set_bounds(struct hn_layer_q *q, const struct hn_layer *next)
{
	const double hi = next->type->clamp_hi / q->out_scale + q->out_zp;

	q->act_min = q->out_zp;
	if (hi < 127)
		q->act_max = (int8_t)round(hi);
}

/* What layer i needs for its int8 form; `at` = its constants' place in the image. */
static struct hn_layer_q layer_q(const struct hn_quant_cfg *cfg, const struct hn_calib *calib,
                                 unsigned i, size_t at)
{
	const struct hn_net *net = cfg->net;
	const struct hn_grid in = calib->grid[i], to = calib->grid[i + 1];
	const struct hn_grid in2 = calib->grid[net->layer[i].from];
	struct hn_layer_q q = { .l = &net->layer[i], .w = cfg->weights + net->layer[i].w_at,
	                        .in_scale = (double)in.scale, .out_scale = (double)to.scale,
	                        .in2_scale = (double)in2.scale, .in2_zp = in2.zp,
	                        .in_zp = in.zp, .out_zp = to.zp, .act_min = -128, .act_max = 127,
	                        .frozen = cfg->frozen ? cfg->frozen + at : NULL };

	if (i + 1 < net->n_layers && hn_quant_fused(net, i + 1))
		set_bounds(&q, &net->layer[i + 1]);
	return q;
}

/* Of the layers of the net: behind those of the copy. */
static size_t constants_at(const struct hn_net *net)
{
	return HD_IMAGE_HEADER + (size_t)HD_SCALER_ENTRY * net->in.ch +
	       (size_t)HD_LAYER_ENTRY * emitted(net) + (hn_quant_copies_input(net) ? COPY : 0);
}

static hn_status put_constants(const struct hn_quant_cfg *cfg, const struct hn_calib *calib,
                               uint8_t *out, struct hn_err *err)
{
	const struct hn_net *net = cfg->net;
	size_t at = constants_at(net);

	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer *l = &net->layer[i];
		struct hn_layer_q q = layer_q(cfg, calib, i, at);

		if (hn_quant_skips(net, i))
			continue;
		q.out = out + at;
		if (l->type->quantise(&q))
			return hn_fail(err, HN_ENUMERIC, "int8: layer %u '%s' has weights that are not finite"
			               " or outside their grid", l->number, l->text);
		at += l->type->image_bytes(l);
	}
	return HN_OK;
}

static hn_status fail_form(const struct hn_net *net, struct hn_err *err)
{
	const unsigned add = hn_quant_unordered(net);
	unsigned i = 0;

	if (add)
		return hn_fail(err, HN_EINVAL, "int8: layer %u '%s': the image keeps an output for one add, "
		               "and adds take them in reverse order, at most %d at a time",
		               net->layer[add - 1].number, net->layer[add - 1].text, HD_KEPT_MAX);
	while (hn_quant_skips(net, i) || representable(&net->layer[i]))
		i++;
	return hn_fail(err, HN_EINVAL, "int8: layer %u '%s' has no int8 form", net->layer[i].number,
	               net->layer[i].text);
}

/* What is compared with the input lies on the input's grid. */
static hn_status check_autoencoder(const struct hn_net *net, struct hn_err *err)
{
	const struct hn_layer *l = &net->layer[net->n_layers - 1];

	if (net->task == HN_AUTOENCODE && (l->type->same_grid || l->type->out_hi > l->type->out_lo))
		return hn_fail(err, HN_EINVAL, "int8: layer %u '%s' has a grid of its own; the last layer of "
		               "an autoencoder is a dense or a conv1d", l->number, l->text);
	return HN_OK;
}

hn_status hn_image_check(const struct hn_net *net, struct hn_err *err)
{
	const hn_status rc = check_autoencoder(net, err);

	if (rc)
		return rc;
	return hn_image_need(net) > 0 ? HN_OK : fail_form(net, err);
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

static void put_copy(struct hn_shape in, uint8_t *row, uint8_t *constants)
{
	const uint16_t field[] = { in.len, in.ch, in.len, in.ch, 1, 1 };

	row[0] = HD_OP_MAX_POOL;
	row[1] = 1;
	for (size_t i = 0; i < sizeof field / sizeof *field; i++)
		hd_put16(row + 4 + 2 * i, field[i]);
	constants[0] = (uint8_t)-128;
	constants[1] = 127;
}

static bool put_table(const struct hn_net *net, uint8_t *out)
{
	uint8_t *row = out + HD_IMAGE_HEADER + (size_t)HD_SCALER_ENTRY * net->in.ch;

	if (hn_quant_copies_input(net)) {
		put_copy(net->in, row, out + constants_at(net) - COPY);
		row += HD_LAYER_ENTRY;
	}
	for (unsigned i = 0; i < net->n_layers; i++) {
		if (hn_quant_skips(net, i))
			continue;
		put_layer(&net->layer[i], row);
		row[1] = hn_quant_readers(net, i + 1) > 0;
		row += HD_LAYER_ENTRY;
	}
	return hn_image_place(out) == hd_get32(out + 4);
}

/* The frozen image must be one of this net: then its constants lie where the new ones do. */
static hn_status check_frozen(const struct hn_quant_cfg *cfg, uint32_t arch)
{
	struct hd_net net;

	if (!cfg->frozen)
		return HN_OK;
	if (hd_net_check(&net, cfg->frozen, cfg->frozen_len) != HD_OK)
		return HN_EINVAL;
	return net.arch == arch ? HN_OK : HN_EINVAL;
}

hn_status hn_image_write(const struct hn_quant_cfg *cfg, const struct hn_calib *calib,
                         struct hn_bytes out, size_t *len, struct hn_err *err)
{
	const struct hn_net *net = cfg->net;
	const size_t need = hn_image_need(net);
	hn_status rc = check(cfg, need, out.cap, err);
	struct hd_net made;

	if (rc)
		return rc;
	if (cfg->frozen && cfg->frozen_len != need)
		return hn_fail(err, HN_EINVAL, "int8: the image whose grid is to be kept is of another net");
	memset(out.p, 0, need);
	put_head(cfg, calib->grid[0].zp, out.p, need);
	put_scaler(cfg->scaler, (double)calib->grid[0].scale, out.p + HD_IMAGE_HEADER);
	if (!put_table(net, out.p))
		return hn_fail(err, HN_EINVAL, "int8: this net does not fit the device's image");
	rc = check_frozen(cfg, hd_get32(out.p + 8));
	if (rc)
		return hn_fail(err, rc, "int8: the image whose grid is to be kept is of another net");
	rc = put_constants(cfg, calib, out.p, err);
	if (rc)
		return rc;
	if (hd_net_check(&made, out.p, (uint32_t)need) != HD_OK)
		return hn_fail(err, HN_EINVAL, "int8: this net does not fit the device's image");
	*len = need;
	return HN_OK;
}

hn_status hn_quant_steps(const struct hn_quant_cfg *cfg, const struct hn_calib *calib, float *step)
{
	const struct hn_net *net = cfg->net;
	const size_t need = hn_image_need(net);
	size_t at = constants_at(net);

	if (need == 0 || (cfg->frozen && cfg->frozen_len != need))
		return HN_EINVAL;
	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer *l = &net->layer[i];
		const struct hn_layer_q q = layer_q(cfg, calib, i, at);

		if (hn_quant_skips(net, i))
			continue;
		if (l->type->steps)
			l->type->steps(&q, step + l->w_at);
		at += l->type->image_bytes(l);
	}
	return HN_OK;
}

size_t hn_quant_clipped(const struct hn_net *net, const float *weights, const float *step)
{
	size_t n = 0;

	for (uint32_t i = 0; i < net->n_weights; i++)
		n += step[i] > 0 && fabsf(weights[i]) > 127.5f * step[i];
	return n;
}
