#include "t_hd_package.h"
#include <stdlib.h>
#include <string.h>
#include "hd_check.h"
#include "hd_sha256.h"
#include "hn_delta.h"
#include "hn_place.h"

const uint8_t t_key[HD_KEY_LEN] = "a key of thirty-two bytes: 01234";
const uint8_t t_uid[HD_UID_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8 };

enum { ARENA_MAX = 2 * HD_VALUES_MAX };

static uint32_t pad4(uint32_t n)
{
	return (n + 3) & ~(uint32_t)3;
}

static uint8_t *dense(struct hn_rng *rng, uint8_t *p, uint32_t in, uint32_t out)
{
	uint8_t *shift = p + 4 + 8 * out, *w = shift + pad4(out);

	p[0] = (uint8_t)((int)hn_rng_below(rng, 21) - 10);
	p[1] = (uint8_t)((int)hn_rng_below(rng, 21) - 10);
	p[2] = (uint8_t)-128;
	p[3] = 127;
	for (uint32_t o = 0; o < out; o++) {
		hd_put32(p + 4 + 4 * o, hn_rng_below(rng, 2001) - 1000);
		hd_put32(p + 4 + 4 * out + 4 * o, (1u << 30) + hn_rng_below(rng, 1u << 30));
		shift[o] = (uint8_t)(-4 - (int)hn_rng_below(rng, 4));
	}
	for (uint32_t i = 0; i < in * out; i++)
		w[i] = (uint8_t)((int)hn_rng_below(rng, 255) - 127);
	return w + pad4(in * out);
}

static uint8_t *lut(struct hn_rng *rng, uint8_t *p)
{
	for (int i = 0; i < 256; i++)
		p[i] = (uint8_t)hn_rng_u64(rng);
	return p + 256;
}

static void layer_row(uint8_t *row, uint8_t op, const uint16_t shape[4])
{
	row[0] = op;
	for (int i = 0; i < 4; i++)
		hd_put16(row + 4 + 2 * i, shape[i]);
}

void t_image_rehash(uint8_t *image)
{
	hd_put32(image + 8, hd_image_arch(image));
}

uint32_t t_image_build(const struct t_image_spec *spec, uint64_t seed, uint8_t *out)
{
	uint16_t shape[4] = { spec->in_len, spec->in_ch, spec->in_len, spec->in_ch };
	uint8_t n = 0, *row = out + HD_IMAGE_HEADER + HD_SCALER_ENTRY * spec->in_ch, *p;
	struct hn_rng rng;

	hn_rng_seed(&rng, seed);
	memset(out, 0, T_IMAGE_MAX);
	while (spec->layer[n].op)
		n++;
	p = row + n * HD_LAYER_ENTRY;
	for (int i = 0; i < n; i++, row += HD_LAYER_ENTRY) {
		const struct t_layer *l = &spec->layer[i];

		if (l->op == HD_OP_DENSE) {
			shape[1] = (uint16_t)(shape[0] * shape[1]);
			shape[0] = shape[2] = 1;
			shape[3] = l->out;
			hd_put32(row + 12, 1 | 1u << 16 | 1u << 24);
			p = dense(&rng, p, (uint32_t)shape[0] * shape[1], l->out);
		} else {
			p = lut(&rng, p);
		}
		layer_row(row, l->op, shape);
		shape[0] = shape[2];
		shape[1] = shape[3];
	}
	hd_put32(out, HD_IMAGE_MAGIC);
	hd_put32(out + 4, (uint32_t)(p - out));
	hd_put16(out + 16, spec->in_len);
	hd_put16(out + 18, spec->in_ch);
	hd_put16(out + 20, (uint16_t)(shape[0] * shape[1]));
	out[22] = n;
	out[24] = 3;
	for (uint32_t ch = 0; ch < spec->in_ch; ch++) {
		uint8_t *e = out + HD_IMAGE_HEADER + HD_SCALER_ENTRY * ch;

		hd_put32(e, 100 * ch);
		hd_put32(e + 4, 1u << 30);
		hd_put32(e + 8, (uint32_t)-4);
	}
	if (hn_image_place(out) != (uint32_t)(p - out))
		abort();                 /* also called outside of a test */
	return (uint32_t)(p - out);
}

void t_package_sign(struct t_package *p)
{
	hd_package_write(&p->head, t_key, p->header);
}

void t_package_seal(struct t_package *p)
{
	struct hd_sha256 s;

	hd_sha256_init(&s);
	hd_sha256_add(&s, p->payload, p->len);
	hd_sha256_end(&s, p->head.digest);
	t_package_sign(p);
}

/* Vectors and header around the image. */
static void finish(struct t_package *p, uint32_t version, uint16_t n_vectors)
{
	static uint8_t arena[ARENA_MAX] __attribute__((aligned(4)));
	struct hd_net net;
	struct hn_rng rng;
	uint32_t in;
	uint8_t *v;

	if (hd_net_check(&net, p->payload, p->head.image_len) != HD_OK)
		abort();                 /* also called outside of a test */
	in = (uint32_t)net.in_len * net.in_ch;
	v = p->payload + p->head.image_len;
	hn_rng_seed(&rng, net.len);
	for (int i = 0; i < n_vectors; i++, v += in + net.out_n) {
		for (uint32_t k = 0; k < in; k++)
			v[k] = (uint8_t)hn_rng_u64(&rng);
		hd_net_run(&net, (int8_t *)v, arena, (int8_t *)v + in);
	}
	p->len = (uint32_t)(v - p->payload);
	p->head.key_id = 1;
	memcpy(p->head.uid, t_uid, sizeof p->head.uid);
	p->head.arch = net.arch;
	p->head.version = version;
	p->head.model_version = version * 10;
	p->head.payload_len = p->len;
	p->head.n_vectors = n_vectors;
	p->head.vector_len = (uint16_t)(in + net.out_n);
	p->head.arena = net.arena + net.out_n;
	p->head.ops = net.needs;
	t_package_seal(p);
}

void t_package_build(struct t_package *p, const struct t_image_spec *spec, uint32_t version,
                     uint16_t n_vectors)
{
	memset(p, 0, sizeof *p);
	p->head.image_len = t_image_build(spec, version, p->payload);
	/* The arena is what this net needs, so that tests can set a smaller one. */
	hd_put32(p->payload + 12, 512);
	finish(p, version, n_vectors);
}

/* Weights of a layer; their number. */
static uint8_t *weights_of(const uint8_t *row, uint8_t *c, uint32_t *n)
{
	const uint32_t in = (uint32_t)hd_get16(row + 4) * hd_get16(row + 6), out = hd_get16(row + 10);

	*n = row[0] == HD_OP_DENSE ? in * out : 0;
	return row[0] == HD_OP_DENSE ? c + 4 + 8 * out + pad4(out) : c + 256;
}

void t_package_nudge(struct t_package *p, const struct t_package *base, uint32_t version,
                     unsigned every, uint64_t seed)
{
	uint8_t *row = p->payload + HD_IMAGE_HEADER, *c;
	struct hn_rng rng;
	uint32_t n;

	memset(p, 0, sizeof *p);
	memcpy(p->payload, base->payload, base->head.image_len);
	p->head.image_len = base->head.image_len;
	hn_rng_seed(&rng, seed);
	row += (size_t)HD_SCALER_ENTRY * hd_get16(p->payload + 18);
	c = row + HD_LAYER_ENTRY * p->payload[22];
	for (int l = 0; l < p->payload[22]; l++, row += HD_LAYER_ENTRY) {
		uint8_t *w = weights_of(row, c, &n);

		for (uint32_t i = 0; i < n; i++)
			if (hn_rng_below(&rng, every) == 0)
				w[i] = (uint8_t)(w[i] + 1 + hn_rng_below(&rng, 3));
		c = w + pad4(n);
	}
	finish(p, version, base->head.n_vectors);
}

void t_package_delta(struct t_package *p, const struct t_package *base)
{
	size_t n;

	if (base->len != p->len
	    || hn_delta_write(base->payload, p->payload, p->len, p->patch, sizeof p->patch, &n) != HN_OK)
		abort();
	p->head.patch_len = (uint32_t)n;
	memcpy(p->head.base, base->head.digest, sizeof p->head.base);
	t_package_sign(p);
}

const uint8_t *t_wire(const struct t_package *p)
{
	return p->head.patch_len ? p->patch : p->payload;
}

uint32_t t_wire_len(const struct t_package *p)
{
	return p->head.patch_len ? p->head.patch_len : p->len;
}
