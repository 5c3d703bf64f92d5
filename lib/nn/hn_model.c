#include "hn_model.h"

#include <math.h>
#include <string.h>
#include "hd_crc32c.h"
#include "hd_check.h"
#include "hn_net.h"

enum { HEAD = 52, CRC_FROM = 12, FORMAT = 1, SCALER_MAX = 128, GRID = 8 };
#define MAGIC 0x314d4e48u        /* "HNM1" */

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are borrowed from little-endian blobs"
#endif

static size_t pad4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static void put_f32(uint8_t *p, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof bits);
	hd_put32(p, bits);
}

static float get_f32(const uint8_t *p)
{
	const uint32_t bits = hd_get32(p);
	float v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static size_t blob_size(const struct hn_model *m, size_t net_len)
{
	return HEAD + pad4(net_len) + 8 * (size_t)m->scaler.n_ch + GRID * (size_t)m->n_grids +
	       4 * (size_t)m->n_weights + m->image_len;
}

size_t hn_model_size(const struct hn_model *m)
{
	return blob_size(m, strnlen(m->net, sizeof m->net));
}

static void write_head(const struct hn_model *m, uint8_t *out, size_t size)
{
	hd_put32(out, MAGIC);
	hd_put32(out + 4, (uint32_t)size);
	hd_put16(out + 12, FORMAT);
	out[14] = m->task;
	out[15] = m->n_grids;
	hd_put16(out + 16, m->in_len);
	hd_put16(out + 18, m->in_ch);
	hd_put16(out + 20, m->out_n);
	hd_put16(out + 22, m->scaler.n_ch);
	hd_put32(out + 24, (uint32_t)m->seed);
	hd_put32(out + 28, (uint32_t)(m->seed >> 32));
	put_f32(out + 32, m->in_scale);
	put_f32(out + 36, m->out_scale);
	out[40] = (uint8_t)m->in_zp;
	out[41] = (uint8_t)m->out_zp;
	hd_put16(out + 42, (uint16_t)strlen(m->net));
	hd_put32(out + 44, m->n_weights);
	hd_put32(out + 48, m->image_len);
}

hn_status hn_model_write(const struct hn_model *m, uint8_t *out, size_t cap, size_t *len)
{
	const size_t net_len = strnlen(m->net, sizeof m->net);
	uint8_t *p = out + HEAD;
	size_t size;

	if (net_len == 0 || net_len == sizeof m->net || m->scaler.n_ch > SCALER_MAX ||
	    m->n_grids > HN_NET_LAYERS_MAX + 1 ||
	    m->n_weights > HN_NET_WEIGHTS_MAX || m->image_len % 4 || m->image_len > HN_MODEL_BLOB_MAX)
		return HN_ERANGE;
	size = hn_model_size(m);
	if (size > cap || size > HN_MODEL_BLOB_MAX)
		return HN_ERANGE;
	memset(out, 0, HEAD + pad4(net_len));
	write_head(m, out, size);
	memcpy(p, m->net, net_len);
	p += pad4(net_len);
	for (unsigned i = 0; i < m->scaler.n_ch; i++) {
		put_f32(p + 4 * i, m->scaler.mean[i]);
		put_f32(p + 4 * (m->scaler.n_ch + i), m->scaler.std[i]);
	}
	p += 8 * (size_t)m->scaler.n_ch;
	for (unsigned i = 0; i < m->n_grids; i++, p += GRID) {
		put_f32(p, m->grid_scale[i]);
		hd_put32(p + 4, (uint8_t)m->grid_zp[i]);
	}
	if (m->n_weights)
		memcpy(p, m->weights, 4 * (size_t)m->n_weights);
	p += 4 * (size_t)m->n_weights;
	if (m->image_len)
		memcpy(p, m->image, m->image_len);
	hd_put32(out + 8, hd_crc32c(0, out + CRC_FROM, size - CRC_FROM));
	*len = size;
	return HN_OK;
}

/* Fixed part; lengths are checked against `len` before anything behind it is read. */
static hn_status read_head(struct hn_model *m, const uint8_t *b, size_t len, struct hn_err *err)
{
	if (len < HEAD || len > HN_MODEL_BLOB_MAX || ((uintptr_t)b & 3))
		return hn_fail(err, HN_EFORMAT, "model: %zu bytes cannot be a model", len);
	if (hd_get32(b) != MAGIC || hd_get16(b + 12) != FORMAT)
		return hn_fail(err, HN_EFORMAT, "model: not a model of format %d", FORMAT);
	if (hd_get32(b + 4) != len)
		return hn_fail(err, HN_EFORMAT, "model: says %u bytes, has %zu", hd_get32(b + 4), len);
	if (hd_get32(b + 8) != hd_crc32c(0, b + CRC_FROM, len - CRC_FROM))
		return hn_fail(err, HN_EFORMAT, "model: checksum does not match");
	m->task = b[14];
	m->n_grids = b[15];
	m->in_len = hd_get16(b + 16);
	m->in_ch = hd_get16(b + 18);
	m->out_n = hd_get16(b + 20);
	m->scaler.n_ch = hd_get16(b + 22);
	m->seed = hd_get32(b + 24) | (uint64_t)hd_get32(b + 28) << 32;
	m->in_scale = get_f32(b + 32);
	m->out_scale = get_f32(b + 36);
	m->in_zp = (int8_t)b[40];
	m->out_zp = (int8_t)b[41];
	m->n_weights = hd_get32(b + 44);
	m->image_len = hd_get32(b + 48);
	return HN_OK;
}

static hn_status read_lengths(const struct hn_model *m, size_t net_len, size_t len,
                              struct hn_err *err)
{
	if (net_len == 0 || net_len >= sizeof m->net || m->scaler.n_ch > SCALER_MAX ||
	    m->n_grids > HN_NET_LAYERS_MAX + 1 ||
	    m->n_weights > HN_NET_WEIGHTS_MAX || m->image_len % 4 || m->image_len > len ||
	    blob_size(m, net_len) != len)
		return hn_fail(err, HN_EFORMAT, "model: lengths do not add up");
	if (m->scaler.n_ch != m->in_ch)
		return hn_fail(err, HN_EFORMAT, "model: scaler has %u channels, the input %u",
		               m->scaler.n_ch, m->in_ch);
	return HN_OK;
}

static hn_status read_numbers(struct hn_model *m, const uint8_t *scaler, struct hn_err *err)
{
	const uint8_t *grid = scaler + 8 * (size_t)m->scaler.n_ch;

	for (unsigned i = 0; i < m->scaler.n_ch; i++) {
		const float mean = get_f32(scaler + 4 * i), std = get_f32(scaler + 4 * (m->scaler.n_ch + i));

		if (!isfinite(mean) || !isfinite(std) || !(std > 0))
			return hn_fail(err, HN_ENUMERIC, "model: scaler of channel %u is not usable", i);
		m->scaler.mean[i] = mean;
		m->scaler.std[i] = std;
	}
	for (unsigned i = 0; i < m->n_grids; i++, grid += GRID) {
		m->grid_scale[i] = get_f32(grid);
		m->grid_zp[i] = (int8_t)grid[4];
		if (!isfinite(m->grid_scale[i]) || !(m->grid_scale[i] > 0) || hd_get32(grid + 4) > 255)
			return hn_fail(err, HN_ENUMERIC, "model: int8 grid %u is not usable", i);
	}
	for (uint32_t i = 0; i < m->n_weights; i++)
		if (!isfinite(m->weights[i]))
			return hn_fail(err, HN_ENUMERIC, "model: weight %u is not finite", i);
	if (!isfinite(m->in_scale) || !isfinite(m->out_scale) || !(m->in_scale > 0) ||
	    !(m->out_scale > 0))
		return hn_fail(err, HN_ENUMERIC, "model: int8 scales must be positive");
	return HN_OK;
}

/* Net text, weights and image must describe the same network. */
static hn_status read_net(const struct hn_model *m, struct hn_err *err)
{
	const struct hn_net_io io = { (enum hn_task)m->task, m->in_len, m->in_ch, m->out_n };
	struct hn_net net, folded;
	struct hd_net image;
	hn_status rc = hn_net_parse(&net, m->net, &io, err);
	hd_status bad;

	if (rc)
		return HN_EFORMAT;
	if (net.n_weights != m->n_weights)
		return hn_fail(err, HN_EFORMAT, "model: net needs %u weights, has %u", net.n_weights,
		               m->n_weights);
	rc = hn_net_fold(&net, NULL, &folded, NULL, err);
	if (rc)
		return HN_EFORMAT;
	if (m->n_grids && m->n_grids != folded.n_layers + 1)
		return hn_fail(err, HN_EFORMAT, "model: %u int8 grids for %u layers", m->n_grids,
		               folded.n_layers);
	bad = hd_net_check(&image, m->image, m->image_len);
	if (bad)
		return hn_fail(err, HN_EFORMAT, "model: image refused (code %d)", (int)bad);
	if (image.in_len != m->in_len || image.in_ch != m->in_ch || image.out_n != m->out_n)
		return hn_fail(err, HN_EFORMAT, "model: image is (%u, %u) to %u, the net (%u, %u) to %u",
		               image.in_len, image.in_ch, image.out_n, m->in_len, m->in_ch, m->out_n);
	return HN_OK;
}

hn_status hn_model_read(struct hn_model *m, const uint8_t *blob, size_t len, struct hn_err *err)
{
	struct hn_model r = { .net = "" };
	const uint8_t *p = blob + HEAD;
	size_t net_len;
	hn_status rc;

	rc = read_head(&r, blob, len, err);
	if (rc)
		return rc;
	net_len = hd_get16(blob + 42);
	rc = read_lengths(&r, net_len, len, err);
	if (rc)
		return rc;
	memcpy(r.net, p, net_len);
	p += pad4(net_len);
	if (strlen(r.net) != net_len)
		return hn_fail(err, HN_EFORMAT, "model: net text holds a zero byte");
	r.weights = (const float *)(const void *)(p + 8 * (size_t)r.scaler.n_ch +
	                                          GRID * (size_t)r.n_grids);
	r.image = (const uint8_t *)(r.weights + r.n_weights);
	rc = read_numbers(&r, p, err);
	if (!rc)
		rc = read_net(&r, err);
	if (!rc)
		*m = r;
	return rc;
}
