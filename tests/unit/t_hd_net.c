#include "t_hd_net.h"

#include <math.h>
#include <string.h>
#include "hd_ops.h"

/* --- reference ------------------------------------------------------------------------------- */

int32_t t_rq(int32_t x, int32_t mult, int shift)
{
	int64_t left = shift > 0 ? (int64_t)x * ((int64_t)1 << shift) : x, ab, nudge;
	int right = shift > 0 ? 0 : -shift;
	int64_t high, half, q;

	left = left > INT32_MAX ? INT32_MAX : left < INT32_MIN ? INT32_MIN : left;
	ab = left * mult;
	nudge = ab >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30);
	high = (ab + nudge) / ((int64_t)1 << 31);        /* C division: toward zero */
	half = right > 0 ? (int64_t)1 << (right - 1) : 0;
	q = high >= 0 ? (high + half) / ((int64_t)1 << right) : -((-high + half) / ((int64_t)1 << right));
	return (int32_t)q;
}

int t_clamp(int64_t v, int low, int high)
{
	return (int)(v < low ? low : v > high ? high : v);
}

static int pad4(int n)
{
	return (n + 3) / 4 * 4;
}

/* out_len rows of w[out][kernel][ch]; dense is one row with a kernel as long as the window. */
struct window { int kernel, stride, dilation, pad; };

static int product(const struct hd_layer *l, struct window g, const int8_t *x, int8_t *y)
{
	const uint8_t *c = l->constants;
	int out = l->out_ch, ch = l->in_ch, row = g.kernel * ch;
	const uint8_t *bias = c + 4, *mult = bias + 4 * out, *shift = mult + 4 * out;
	const int8_t *w = (const int8_t *)shift + pad4(out);

	for (int t = 0; t < l->out_len; t++)
		for (int o = 0; o < out; o++) {
			int64_t sum = (int32_t)hd_get32(bias + 4 * o);

			for (int i = 0; i < row; i++) {
				int f = t * g.stride + i / ch * g.dilation - g.pad;
				int v = f >= 0 && f < l->in_len ? x[f * ch + i % ch] : (int8_t)c[0];

				sum += w[o * row + i] * (v - (int8_t)c[0]);
			}
			sum = t_rq((int32_t)sum, (int32_t)hd_get32(mult + 4 * o), (int8_t)shift[o]);
			y[t * out + o] = (int8_t)t_clamp(sum + (int8_t)c[1], (int8_t)c[2], (int8_t)c[3]);
		}
	return 4 + 8 * out + pad4(out) + pad4(row * out);
}

static int pool(const struct hd_layer *l, const int8_t *x, int8_t *y)
{
	for (int i = 0; i < l->out_len * l->out_ch; i++) {
		const int8_t *from = x + i / l->in_ch * l->q * l->in_ch + i % l->in_ch;
		int top = from[0], sum = 0;

		for (int k = 0; k < l->p; k++) {
			sum += from[k * l->in_ch];
			top = from[k * l->in_ch] > top ? from[k * l->in_ch] : top;
		}
		/* Halves away from zero; a quotient of such small numbers is exact at a half. */
		y[i] = (int8_t)t_clamp(l->op == HD_OP_MAX_POOL ? top : lround((double)sum / l->p),
		                       (int8_t)l->constants[0], (int8_t)l->constants[1]);
	}
	return 4;
}

static struct hd_layer decode(const uint8_t *row, const uint8_t *constants)
{
	return (struct hd_layer){ .op = row[0], .in_len = hd_get16(row + 4), .in_ch = hd_get16(row + 6),
		.out_len = hd_get16(row + 8), .out_ch = hd_get16(row + 10), .p = hd_get16(row + 12),
		.q = hd_get16(row + 14), .constants = constants };
}

/* Returns the bytes of constants. */
static int layer_reference(const struct hd_layer *l, const int8_t *x, int8_t *y)
{
	switch (l->op) {
	case HD_OP_DENSE: {
		struct hd_layer flat = *l;

		flat.in_ch = (uint16_t)(l->in_len * l->in_ch);
		flat.in_len = 1;
		return product(&flat, (struct window){ 1, 1, 1, 0 }, x, y);
	}
	case HD_OP_CONV1D:
		return product(l, (struct window){ l->p % 256, l->q % 256, l->q / 256, l->p / 256 }, x, y);
	case HD_OP_LUT:
		for (int i = 0; i < l->in_len * l->in_ch; i++)
			y[i] = (int8_t)l->constants[x[i] + 128];
		return 256;
	default:
		return pool(l, x, y);
	}
}

static const uint8_t *table(const uint8_t *image)
{
	return image + HD_IMAGE_HEADER + HD_SCALER_ENTRY * hd_get16(image + 18);
}

void t_net_reference(const uint8_t *image, const int8_t *in, int8_t *out)
{
	static int8_t a[HD_VALUES_MAX], b[HD_VALUES_MAX];
	const uint8_t *row = table(image), *c = row + HD_LAYER_ENTRY * image[22];

	memcpy(a, in, (size_t)hd_get16(image + 16) * hd_get16(image + 18));
	for (int i = 0; i < image[22]; i++, row += HD_LAYER_ENTRY) {
		struct hd_layer l = decode(row, c);

		c += layer_reference(&l, a, b);
		memcpy(a, b, sizeof a);
	}
	memcpy(out, a, hd_get16(image + 20));
}

struct hd_layer t_net_layer(const uint8_t *image, unsigned i)
{
	const uint8_t *row = table(image), *end = image + hd_get32(image + 4);
	struct hd_layer l = decode(row, row + HD_LAYER_ENTRY * image[22]);

	for (unsigned k = 0; k < i; k++) {
		uint32_t took = hd_op_find(l.op)->check(&l, (uint32_t)(end - l.constants));

		row += HD_LAYER_ENTRY;
		l = decode(row, l.constants + took);
	}
	return l;
}

/* --- random nets ----------------------------------------------------------------------------- */

struct builder { struct hn_rng *rng; uint8_t *row, *at; int len, ch; };

static int pick(struct builder *b, int low, int high)
{
	return low + (int)hn_rng_below(b->rng, (uint32_t)(high - low + 1));
}

static void put_row(struct builder *b, uint8_t op, int len, int ch)
{
	b->row[0] = op;
	hd_put16(b->row + 4, (uint16_t)b->len);
	hd_put16(b->row + 6, (uint16_t)b->ch);
	hd_put16(b->row + 8, (uint16_t)len);
	hd_put16(b->row + 10, (uint16_t)ch);
	b->row += HD_LAYER_ENTRY;
	b->len = len;
	b->ch = ch;
}

/* Bounds that leave something between them, now and then the full range. */
static void bounds(struct builder *b, uint8_t *at)
{
	int low = pick(b, 0, 1) ? -128 : pick(b, -128, 60), high = pick(b, 0, 1) ? 127 : pick(b, low, 127);

	at[0] = (uint8_t)low;
	at[1] = (uint8_t)high;
}

/* The sums spread over about the int8 range, whatever the length of a row. */
static void product_constants(struct builder *b, int row, int out)
{
	uint8_t *c = b->at, *shift = c + 4 + 8 * out, *w = shift + pad4(out);
	int typical = 0;

	while (((double)row + 1) * 73 * 73 * 2 > (double)(1 << typical) * (1 << typical))
		typical++;
	c[0] = (uint8_t)pick(b, -128, 127);
	c[1] = (uint8_t)pick(b, -128, 127);
	bounds(b, c + 2);
	for (int o = 0; o < out; o++) {
		hd_put32(c + 4 + 4 * o, (uint32_t)pick(b, -20000, 20000));
		hd_put32(c + 4 + 4 * out + 4 * o, (1u << 30) + hn_rng_below(b->rng, 1u << 30));
		shift[o] = (uint8_t)-pick(b, typical > 2 ? typical - 2 : 0, typical + 2);
	}
	for (int i = 0; i < row * out; i++)
		w[i] = (uint8_t)(pick(b, 0, 9) ? pick(b, -127, 127) : pick(b, 0, 1) ? -128 : 0);
	b->at = w + pad4(row * out);
}

static void add_dense(struct builder *b)
{
	int out = pick(b, 1, 20);

	product_constants(b, b->len * b->ch, out);
	put_row(b, HD_OP_DENSE, 1, out);
}

static void add_conv1d(struct builder *b)
{
	int kernel = pick(b, 1, 7), stride = pick(b, 1, 4), dilation = pick(b, 1, 3), out = pick(b, 1, 12);
	int reach = (kernel - 1) * dilation + 1, pad = 0, len, rule = pick(b, 0, 2);

	if (rule == 0 && reach <= b->len) {              /* valid */
		len = (b->len - reach) / stride + 1;
	} else if (rule == 1) {                          /* any padding */
		pad = pick(b, 0, reach - 1);
		len = pick(b, 1, (b->len + pad - 1) / stride + 1);
	} else {                                         /* same */
		len = (b->len - 1) / stride + 1;
		pad = (len - 1) * stride + reach - b->len;
		pad = pad > 0 ? pad / 2 : 0;
	}
	hd_put16(b->row + 12, (uint16_t)(kernel | pad << 8));
	hd_put16(b->row + 14, (uint16_t)(stride | dilation << 8));
	product_constants(b, kernel * b->ch, out);
	put_row(b, HD_OP_CONV1D, len, out);
}

static void add_pool(struct builder *b, uint8_t op)
{
	int n = pick(b, 0, 3) ? pick(b, 1, b->len < 5 ? b->len : 5) : b->len, stride = pick(b, 1, 4);

	hd_put16(b->row + 12, (uint16_t)n);
	hd_put16(b->row + 14, (uint16_t)stride);
	bounds(b, b->at);
	b->at += 4;
	put_row(b, op, (b->len - n) / stride + 1, b->ch);
}

static void add_lut(struct builder *b)
{
	for (int i = 0; i < 256; i++)
		*b->at++ = (uint8_t)hn_rng_u64(b->rng);
	put_row(b, HD_OP_LUT, b->len, b->ch);
}

static void add_any(struct builder *b)
{
	if (pick(b, 0, 9) == 0) {                        /* the same numbers in another shape */
		b->ch *= b->len;
		b->len = 1;
	}
	switch (pick(b, 0, 7)) {
	case 0: add_dense(b); break;
	case 1: add_lut(b); break;
	case 2: case 3: add_pool(b, HD_OP_MAX_POOL); break;
	case 4: case 5: add_pool(b, HD_OP_AVG_POOL); break;
	default: add_conv1d(b); break;
	}
}

static void put_head(uint8_t *out, int len, int ch)
{
	hd_put32(out, HD_IMAGE_MAGIC);
	hd_put32(out + 12, 2 * HD_VALUES_MAX);
	hd_put16(out + 16, (uint16_t)len);
	hd_put16(out + 18, (uint16_t)ch);
	for (int i = 0; i < ch; i++)
		hd_put32(out + HD_IMAGE_HEADER + HD_SCALER_ENTRY * i + 4, 1u << 30);
}

uint32_t t_net_random(struct hn_rng *rng, uint8_t *out)
{
	struct builder b = { .rng = rng };
	int n = pick(&b, 1, 6);

	memset(out, 0, T_NET_MAX);
	b.len = pick(&b, 1, 40);
	b.ch = pick(&b, 1, 8);
	put_head(out, b.len, b.ch);
	b.row = out + HD_IMAGE_HEADER + HD_SCALER_ENTRY * b.ch;
	b.at = b.row + HD_LAYER_ENTRY * (n + 1);
	for (int i = 0; i < n; i++)
		add_any(&b);
	add_dense(&b);
	hd_put32(out + 4, (uint32_t)(b.at - out));
	hd_put16(out + 20, (uint16_t)(b.len * b.ch));
	out[22] = (uint8_t)(n + 1);
	hd_put32(out + 8, hd_image_arch(out));
	return (uint32_t)(b.at - out);
}
