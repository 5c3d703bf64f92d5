/* Open an image and run it.  Where everything lies says its layer table. */
#include "hd_image.h"
#include <string.h>
#include "hd_ops.h"

/* Both lie in the image just so. */
typedef char hd_net_is_laid_out_as_its_image
	[offsetof(struct hd_net, needs) - offsetof(struct hd_net, len) == 22 ? 1 : -1];
typedef char hd_layer_is_laid_out_as_its_row[sizeof(struct hd_layer) == HD_LAYER_ENTRY ? 1 : -1];

/* Negative numbers are shifted right here, which C leaves to the compiler. */
typedef char hd_shifts_are_arithmetic[(-5 >> 1) == -3 ? 1 : -1];

static int32_t held(int32_t v, int32_t low, int32_t high)
{
	return v < low ? low : v > high ? high : v;
}

int32_t hd_rq(int32_t x, int32_t mult, int shift)
{
	int left = shift > 0 ? shift : 0, right = left - shift;
	int32_t top = INT32_MAX >> left, v;

	x = (int32_t)((uint32_t)held(x, ~top, top) << left);
	v = (int32_t)(((int64_t)x * mult + (1 << 30)) >> 31);
	if (right > 0)                   /* v > INT32_MIN, as mult < 2^31 */
		v = (((v - (v < 0)) >> (right - 1)) + 1) >> 1;
	return v;
}

int32_t hd_rq_once(int32_t x, int32_t mult, int shift)
{
	int64_t v = ((int64_t)x * mult + ((int64_t)1 << (30 - shift))) >> (31 - shift);

	return (int32_t)(v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v);
}

int8_t hd_clamp(int32_t v, int zp, const uint8_t *bounds)
{
	return (int8_t)(held(v, (int8_t)bounds[0] - zp, (int8_t)bounds[1] - zp) + zp);
}

hd_status hd_net_open(struct hd_net *net, const uint8_t *image, uint32_t len)
{
	const uint32_t *word = (const void *)image;

	if (((word[0] ^ HD_IMAGE_MAGIC) | (word[1] ^ len) | (word[6] >> 16 & ~hd_ops_mask())) != 0)
		return HD_EFORMAT;
	net->image = image;
	memcpy(&net->len, word + 1, HD_IMAGE_HEADER - 4);
	return HD_OK;
}

int8_t hd_net_scale(const struct hd_net *net, uint16_t ch, int32_t raw)
{
	const uint8_t *e = net->image + HD_IMAGE_HEADER + (uint32_t)ch * HD_SCALER_ENTRY;
	int32_t x = (int32_t)((uint32_t)raw - hd_load32(e)), zp = net->in_zp;

	x = hd_rescale(x, (int32_t)hd_load32(e + 4), (int32_t)hd_load32(e + 8), net->rq_mode);
	return (int8_t)(held(x, -128 - zp, 127 - zp) + zp);
}

void hd_each(const struct hd_layer *l, const uint8_t *c, const int8_t *x, int8_t *y, hd_one one)
{
	uint32_t t, o;

	for (t = 0; t < l->out_len; t++) {
		for (o = 0; o < l->out_ch; o++)
			*y++ = one(l, c, x, t, o);
	}
}

void hd_net_run(const struct hd_net *net, const int8_t *in, uint8_t *arena, int8_t *out)
{
	const struct hd_layer *l = hd_net_layer(net, 0);
	uint32_t left = net->n_layers;
	int8_t *y;

	for (; left > 0; left--, l++, in = y) {
		y = left > 1 ? (int8_t *)arena + 4 * l->at : out;
		hd_ops[l->op](l, net->image + l->constants, in, y, arena);
	}
}

uint8_t hd_argmax(const int8_t *out, uint16_t n, uint8_t *margin)
{
	int best = out[0], second = -128;
	uint32_t i, at = 0;

	for (i = 1; i < n; i++) {
		int v = out[i];

		if (v > best) {
			second = best;
			best = v;
			at = i;
		} else if (v > second) {
			second = v;
		}
	}
	*margin = (uint8_t)(best - second);
	return (uint8_t)at;
}

uint8_t hd_net_answer(const struct hd_net *net, const int8_t *in, const int8_t *out,
                      uint8_t *margin)
{
	uint32_t sum = 0, most = (uint32_t)net->limit * net->out_n, i;

	if (most == 0)
		return hd_argmax(out, net->out_n, margin);
	for (i = 0; i < net->out_n; i++)
		sum += (uint32_t)(in[i] < out[i] ? out[i] - in[i] : in[i] - out[i]);
	*margin = (uint8_t)(2 * sum < most ? 255 - sum * 510 / most : 0);
	return 4 * sum > most;
}
