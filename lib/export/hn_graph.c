#include "hn_graph.h"

#include <string.h>
#include "hd_types.h"

hn_status hn_graph_take(struct hn_graph *g, struct hn_arena *arena)
{
	*g = (struct hn_graph){ .in = -1, .out = -1 };
	g->tensor = hn_arena_take(arena, HN_GRAPH_TENSORS_MAX * sizeof *g->tensor);
	g->node = hn_arena_take(arena, HN_GRAPH_NODES_MAX * sizeof *g->node);
	return g->tensor && g->node ? HN_OK : HN_ENOMEM;
}

bool hn_text_is(struct hn_text t, const char *word)
{
	return t.len == strlen(word) && (t.len == 0 || memcmp(t.p, word, t.len) == 0);
}

size_t hn_element_bytes(uint8_t element)
{
	switch (element) {
	case HN_EL_F32: return 4;
	case HN_EL_I8: return 1;
	case HN_EL_I32: return 4;
	case HN_EL_I64: return 8;
	default: return 0;
	}
}

uint32_t hn_gtensor_count(const struct hn_gtensor *t)
{
	uint64_t n = 1;

	for (unsigned i = 0; i < t->rank; i++) {
		if (t->dim[i] < 0)
			return 0;
		n *= (uint32_t)t->dim[i];
		if (n > HN_GRAPH_FILE_MAX)
			return 0;
	}
	return (uint32_t)n;
}

static float get_f32(const uint8_t *p)
{
	const uint32_t bits = hd_get32(p);
	float v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static int64_t get_int(const uint8_t *p, size_t bytes)
{
	switch (bytes) {
	case 1: return (int8_t)p[0];
	case 4: return (int32_t)hd_get32(p);
	case 8: return (int64_t)((uint64_t)hd_get32(p) | (uint64_t)hd_get32(p + 4) << 32);
	default: return 0;
	}
}

int64_t hn_gtensor_int(const struct hn_gtensor *t, uint32_t i)
{
	const size_t bytes = hn_element_bytes(t->element);

	return t->element == HN_EL_F32 ? 0 : get_int(t->data + i * bytes, bytes);
}

/* Which scale element i has. */
static uint32_t channel_of(const struct hn_gtensor *t, uint32_t i)
{
	uint32_t step = 1;

	if (t->n_scales < 2)
		return 0;
	for (unsigned d = t->axis + 1u; d < t->rank; d++)
		step *= (uint32_t)t->dim[d];
	return step ? i / step % t->n_scales : 0;
}

float hn_gtensor_f32(const struct hn_gtensor *t, uint32_t i)
{
	const uint32_t c = channel_of(t, i);
	double q;

	if (t->element == HN_EL_F32)
		return get_f32(t->data + 4 * (size_t)i);
	q = (double)hn_gtensor_int(t, i);
	if (t->n_scales == 0)
		return (float)q;
	if (t->zp)
		q -= (double)get_int(t->zp + c * (size_t)t->zp_bytes, t->zp_bytes);
	return (float)(q * (double)get_f32(t->scale + 4 * (size_t)c));
}

bool hn_gtensor_grid(const struct hn_gtensor *t, float *scale, int64_t *zp)
{
	if (t->element != HN_EL_I8 || t->n_scales != 1)
		return false;
	*scale = get_f32(t->scale);
	*zp = t->zp ? get_int(t->zp, t->zp_bytes) : 0;
	return true;
}
