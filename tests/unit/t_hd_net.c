#include "t_hd_net.h"

#include <check.h>
#include <math.h>
#include <string.h>
#include "hd_check.h"

/* A row of the table, its constants, and what an add takes. */
struct layer {
	uint8_t op, rq_mode;
	int in_len, in_ch, out_len, out_ch, p, q;
	const uint8_t *c;
	const int8_t *kept;
};

/* --- reference ------------------------------------------------------------------------------- */

int32_t t_rq(int32_t x, int32_t mult, int shift)
{
	const int64_t end = (int64_t)1 << (31 - (shift > 0 ? shift : 0));
	int64_t left = x < -end ? -end : x > end - 1 ? end - 1 : x, ab, nudge;
	int right = shift > 0 ? 0 : -shift;
	int64_t high, half, q;

	left *= ((int64_t)1 << 31) / end;
	ab = left * mult;
	nudge = ab >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30);
	high = (ab + nudge) / ((int64_t)1 << 31);        /* C division: toward zero */
	half = right > 0 ? (int64_t)1 << (right - 1) : 0;
	q = high >= 0 ? (high + half) / ((int64_t)1 << right) : -((-high + half) / ((int64_t)1 << right));
	return (int32_t)q;
}

int32_t t_rq_once(int32_t x, int32_t mult, int shift)
{
	const int64_t whole = (int64_t)1 << (31 - shift), sum = (int64_t)x * mult + whole / 2;
	const int64_t v = sum / whole - (sum % whole < 0);       /* rounds down */

	return (int32_t)(v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v);
}

static int32_t rescale(const struct layer *l, int32_t x, const uint8_t *mult, uint8_t shift)
{
	return (l->rq_mode ? t_rq_once : t_rq)(x, (int32_t)hd_get32(mult), (int8_t)shift);
}

int t_clamp(int64_t v, int low, int high)
{
	return (int)(v < low ? low : v > high ? high : v);
}

static int pad4(int n)
{
	return (n + 3) / 4 * 4;
}

/* out_len rows of w[out][kernel][ch]; dense is one row with a kernel as long as the window.
 * Depthwise: w[ch][kernel]. */
struct window { int kernel, stride, dilation, pad; bool depthwise; };

static void product(const struct layer *l, struct window g, const int8_t *x, int8_t *y)
{
	const uint8_t *c = l->c;
	int out = l->out_ch, ch = g.depthwise ? 1 : l->in_ch, row = g.kernel * ch;
	const uint8_t *bias = c + 4, *mult = bias + 4 * out, *shift = mult + 4 * out;
	const int8_t *w = (const int8_t *)shift + pad4(out);

	for (int t = 0; t < l->out_len; t++)
		for (int o = 0; o < out; o++) {
			int64_t sum = (int32_t)hd_get32(bias + 4 * o);

			for (int i = 0; i < row; i++) {
				int f = t * g.stride + i / ch * g.dilation - g.pad;
				int at = f * l->in_ch + (g.depthwise ? o : i % ch);
				int v = f >= 0 && f < l->in_len ? x[at] : (int8_t)c[0];

				sum += w[o * row + i] * (v - (int8_t)c[0]);
			}
			sum = rescale(l, (int32_t)sum, mult + 4 * o, shift[o]);
			y[t * out + o] = (int8_t)t_clamp(sum + (int8_t)c[1], (int8_t)c[2], (int8_t)c[3]);
		}
}

static void pool(const struct layer *l, const int8_t *x, int8_t *y)
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
		                       (int8_t)l->c[0], (int8_t)l->c[1]);
	}
}

static void add(const struct layer *l, const int8_t *x, int8_t *y)
{
	const uint8_t *c = l->c;

	for (int i = 0; i < l->in_len * l->in_ch; i++) {
		int32_t a = rescale(l, (x[i] - (int8_t)c[0]) * 1048576, c + 8, c[20]);
		int32_t b = rescale(l, (l->kept[i] - (int8_t)c[1]) * 1048576, c + 12, c[21]);
		int64_t sum = (int64_t)a + b;

		ck_assert(sum >= INT32_MIN && sum <= INT32_MAX);
		sum = rescale(l, (int32_t)sum, c + 16, c[22]);
		y[i] = (int8_t)t_clamp(sum + (int8_t)c[2], (int8_t)c[4], (int8_t)c[5]);
	}
}

/* Row o of 3 * units rows of n weights behind `c`, scaled. */
static int64_t gru_row(const struct layer *l, const uint8_t *c, int o, const int32_t *v, int n)
{
	const int rows = 3 * l->out_ch;
	const int8_t *w = (const int8_t *)c + 4 + 8 * rows + pad4(rows) + o * n;
	int64_t sum = (int32_t)hd_get32(c + 4 + 4 * o);

	for (int i = 0; i < n; i++)
		sum += (int64_t)w[i] * v[i];
	return rescale(l, (int32_t)sum, c + 4 + 4 * rows + 4 * o, c[4 + 8 * rows + o]);
}

static int64_t gru_tanh(const uint8_t *table, int64_t v)
{
	const int64_t u = v < 0 ? -v : v, i = u / 256;
	int64_t t, d;

	if (i >= 128)
		return v < 0 ? -(int64_t)hd_get16(table + 256) : hd_get16(table + 256);
	t = hd_get16(table + 2 * i);
	d = (hd_get16(table + 2 * i + 2) - t) * (u % 256);
	t += d >= 0 ? d / 256 : -((-d + 255) / 256);     /* rounds down */
	return v < 0 ? -t : t;
}

/* round(a * b / 2^31) */
static int64_t gru_part(int64_t a, int64_t gate)
{
	return t_rq((int32_t)a, (int32_t)(gate * 65536), 0);
}

static void gru(const struct layer *l, const int8_t *x, int8_t *y)
{
	const int u = l->out_ch, n = l->in_ch, rows = 3 * u;
	const uint8_t *c = l->c, *d = c + 4 + 8 * rows + pad4(rows) + pad4(rows * n);
	const uint8_t *table = d + 4 + 8 * rows + pad4(rows) + pad4(rows * u);
	static int32_t in[HD_VALUES_MAX], h[256], fresh[256];

	memset(h, 0, sizeof h);
	for (int t = 0; t < l->in_len; t++) {
		for (int i = 0; i < n; i++)
			in[i] = x[t * n + i] - (int8_t)c[0];
		for (int o = 0; o < u; o++) {
			int64_t z = gru_tanh(table, gru_row(l, c, o, in, n) + gru_row(l, d, o, h, u));
			int64_t r = gru_tanh(table, gru_row(l, c, u + o, in, n) + gru_row(l, d, u + o, h, u));
			int64_t cand = gru_row(l, d, 2 * u + o, h, u);

			z = (z + 32768) / 2;
			r = (r + 32768) / 2;
			cand = gru_tanh(table, gru_row(l, c, 2 * u + o, in, n) + gru_part(cand, r));
			fresh[o] = (int32_t)(cand + gru_part(h[o] - cand, z));
		}
		memcpy(h, fresh, sizeof h);
		for (int o = 0; o < u; o++)
			y[(l->p ? t : 0) * u + o] = (int8_t)t_clamp((h[o] + 32768 + 128) / 256 - 128, -128, 127);
	}
}

/* gemmlowp fixedpoint.h, one_over_one_plus_x_for_x_in_0_1: a and the result in Q31. */
static int32_t one_over_one_plus(int32_t a)
{
	const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
	int64_t x = 1515870810 + (int64_t)t_rq(half, -1010580540, 0);

	for (int i = 0; i < 3; i++) {
		const int32_t rest = (1 << 29) - t_rq(half, (int32_t)x, 0);
		const int64_t more = (int64_t)t_rq((int32_t)x, rest, 0) * 4;

		x += more > INT32_MAX ? INT32_MAX : more < INT32_MIN ? INT32_MIN : more;
	}
	x *= 2;
	return (int32_t)(x > INT32_MAX ? INT32_MAX : x);
}

/* TFLite, reference/softmax.h for int8, its exponentials out of `exps`. */
void t_softmax(const int32_t exps[256], const int8_t *x, int8_t *y, int n)
{
	int32_t sum = 0, scale;
	int top = -128, zeros = 0;

	for (int i = 0; i < n; i++)
		top = x[i] > top ? x[i] : top;
	for (int i = 0; i < n; i++)
		sum += (int32_t)(((int64_t)exps[top - x[i]] + 2048) / 4096);
	while (((uint32_t)sum << zeros & 0x80000000u) == 0)
		zeros++;
	scale = one_over_one_plus((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
	for (int i = 0; i < n; i++)
		y[i] = (int8_t)t_clamp((int64_t)t_rq(t_rq(exps[top - x[i]], scale, 0), 1 << 30,
		                                     1 - (12 - zeros + 31 - 8)) - 128, -128, 127);
}

static void softmax(const struct layer *l, const int8_t *x, int8_t *y)
{
	int32_t exps[256];

	for (int i = 0; i < 256; i++)
		exps[i] = (int32_t)hd_get32(l->c + 4 * i);
	for (int t = 0; t < l->in_len; t++)
		t_softmax(exps, x + t * l->in_ch, y + t * l->in_ch, l->in_ch);
}

static void layer_reference(const struct layer *l, const int8_t *x, int8_t *y)
{
	switch (l->op) {
	case HD_OP_DENSE:
		product(l, (struct window){ 1, 1, 1, 0, false }, x, y);
		break;
	case HD_OP_CONV1D:
	case HD_OP_DWCONV1D:
		product(l, (struct window){ l->p % 256, l->q % 256, l->q / 256, l->p / 256,
		        l->op == HD_OP_DWCONV1D }, x, y);
		break;
	case HD_OP_ADD:
		add(l, x, y);
		break;
	case HD_OP_GRU:
		gru(l, x, y);
		break;
	case HD_OP_SOFTMAX:
		softmax(l, x, y);
		break;
	case HD_OP_LUT:
		for (int i = 0; i < l->in_len * l->in_ch; i++)
			y[i] = (int8_t)l->c[x[i] + 128];
		break;
	default:
		pool(l, x, y);
	}
}

static const uint8_t *row_of(const uint8_t *image, unsigned i)
{
	return image + HD_IMAGE_HEADER + HD_SCALER_ENTRY * hd_get16(image + 18) + HD_LAYER_ENTRY * i;
}

static struct layer decode(const uint8_t *image, const uint8_t *row)
{
	return (struct layer){ .op = row[0], .rq_mode = row[18],
		.in_len = hd_get16(row + 4), .in_ch = hd_get16(row + 6),
		.out_len = hd_get16(row + 8), .out_ch = hd_get16(row + 10), .p = hd_get16(row + 12),
		.q = hd_get16(row + 14), .c = image + hd_get32(row + 20) };
}

void t_net_reference(const uint8_t *image, const int8_t *in, int8_t *out)
{
	static int8_t a[HD_VALUES_MAX], b[HD_VALUES_MAX], kept[HD_KEPT_MAX][HD_VALUES_MAX];
	int n_kept = 0;

	memcpy(a, in, (size_t)hd_get16(image + 16) * hd_get16(image + 18));
	for (unsigned i = 0; i < image[22]; i++) {
		struct layer l = decode(image, row_of(image, i));

		if (l.op == HD_OP_ADD)
			l.kept = kept[--n_kept];
		layer_reference(&l, a, b);
		memcpy(a, b, sizeof a);
		if (row_of(image, i)[1])
			memcpy(kept[n_kept++], b, sizeof b);
	}
	memcpy(out, a, hd_get16(image + 20));
}

struct hd_layer t_net_layer(const uint8_t *image, unsigned i)
{
	struct hd_layer l;

	memcpy(&l, row_of(image, i), sizeof l);
	return l;
}
