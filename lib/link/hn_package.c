#include "hn_package.h"

#include <string.h>

#include "hd_check.h"
#include "hd_sha256.h"
#include "hn_delta.h"
#include "hn_rng.h"

void hn_device_key(const uint8_t master[HD_KEY_LEN], const uint8_t uid[HD_UID_LEN],
                   uint8_t key[HD_KEY_LEN])
{
	static const char text[] = "honed device";
	uint8_t m[sizeof text - 1 + HD_UID_LEN];

	memcpy(m, text, sizeof text - 1);
	memcpy(m + sizeof text - 1, uid, HD_UID_LEN);
	hd_hmac(master, m, sizeof m, key);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

hn_status hn_hex_read(const char *text, size_t n, uint8_t *out)
{
	for (size_t i = 0; i + 1 < n; i += 2) {
		const int hi = hex_digit(text[i]), lo = hex_digit(text[i + 1]);

		if (hi < 0 || lo < 0)
			return HN_EFORMAT;
		out[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return n % 2 == 0 ? HN_OK : HN_EFORMAT;
}

hn_status hn_key_read(const char *bytes, size_t n, uint8_t key[HD_KEY_LEN])
{
	if (n == HD_KEY_LEN) {
		memcpy(key, bytes, HD_KEY_LEN);
		return HN_OK;
	}
	while (n > 0 && strchr(" \t\r\n", bytes[n - 1]))
		n--;
	return n == 2 * HD_KEY_LEN ? hn_hex_read(bytes, n, key) : HN_EFORMAT;
}

static size_t vector_len(const struct hd_net *net)
{
	return (size_t)net->in_len * net->in_ch + net->out_n;
}

size_t hn_package_payload_size(const struct hn_package_spec *s)
{
	struct hd_net net;

	if (hd_net_check(&net, s->image, s->image_len) != HD_OK)
		return 0;
	return s->image_len + HN_VECTORS * vector_len(&net);
}

/* Inputs: uniform, the first vector from the edges of int8 only. */
static void fill_input(struct hn_rng *rng, int8_t *in, size_t n, bool edges)
{
	for (size_t i = 0; i < n; i++) {
		const uint64_t r = hn_rng_u64(rng);
		const int v = edges ? (r & 1 ? 127 : -128) : (int)(r & 0xff) - 128;

		in[i] = (int8_t)v;
	}
}

static void make_vectors(const struct hd_net *net, struct hn_package_out *out, size_t at)
{
	const size_t n_in = (size_t)net->in_len * net->in_ch;
	struct hn_rng rng;

	hn_rng_seed(&rng, net->len);
	for (int v = 0; v < HN_VECTORS; v++, at += n_in + net->out_n) {
		int8_t *in = (int8_t *)(out->payload + at);

		fill_input(&rng, in, n_in, v == 0);
		hd_net_run(net, in, out->arena, in + n_in);
	}
}

hn_status hn_package_build(const struct hn_package_spec *s, struct hn_package_out *out)
{
	const size_t need = hn_package_payload_size(s);
	struct hd_package p = { .key_id = s->key_id, .version = s->version,
	                        .model_version = s->model_version, .image_len = s->image_len };
	struct hd_sha256 hash;
	struct hd_net net;

	if (need == 0 || hd_net_check(&net, s->image, s->image_len) != HD_OK)
		return HN_EFORMAT;
	if (need > out->cap || net.arena > out->arena_cap)
		return HN_ENOMEM;
	memcpy(out->payload, s->image, s->image_len);
	make_vectors(&net, out, s->image_len);
	memcpy(p.uid, s->uid, HD_UID_LEN);
	p.arch = net.arch;
	p.n_vectors = HN_VECTORS;
	p.vector_len = (uint16_t)vector_len(&net);
	p.payload_len = (uint32_t)need;
	p.arena = net.arena + net.out_n;
	p.ops = net.needs;
	hd_sha256_init(&hash);
	hd_sha256_add(&hash, out->payload, need);
	hd_sha256_end(&hash, p.digest);
	hd_package_write(&p, s->key, out->header);
	out->len = need;
	return HN_OK;
}

hn_status hn_package_delta(const struct hn_package_spec *s, const struct hn_package_out *base,
                           const struct hn_package_out *full, struct hn_package_out *out)
{
	struct hd_package p, from;
	hn_status rc;

	if (hd_package_read(&p, full->header) != HD_OK || hd_package_read(&from, base->header) != HD_OK)
		return HN_EFORMAT;
	if (base->len != full->len)
		return HN_EINVAL;
	rc = hn_delta_write(base->payload, full->payload, full->len, out->payload, out->cap, &out->len);
	if (rc)
		return rc;
	p.patch_len = (uint32_t)out->len;
	memcpy(p.base, from.digest, sizeof p.base);
	hd_package_write(&p, s->key, out->header);
	return HN_OK;
}
