/* hn_kernel_optim.inc.h - part of hn_kernel.inc.h: optimisers. */

/* Lanes that sum up what a step does: squares of the change, and of the weights after it. */
struct FN(did) { vf change, norm; };

INLINE void FN(store)(struct FN(did) *s, float *w, vf now)
{
	const vf by = now - LD(w);

	s->change = K_FMA(by, by, s->change);
	s->norm = K_FMA(now, now, s->norm);
	ST(w, now);
}

INLINE double FN(total)(vf v)
{
	float s[VL];
	double sum = 0;

	ST(s, v);
	for (int i = 0; i < VL; i++)
		sum += (double)s[i];
	return sum;
}

/* --- Adam: torch's form, eps outside the root ------------------------------------------------- */

/* Moments of one vector; returns the denominator. */
INLINE vf FN(moments)(const struct hn_adam_args *q, const float *g, const float *w, float *m,
                      float *v)
{
	const vf grad = K_FMA(LD(w), SPLAT(q->l2), LD(g) * q->g_scale);
	const vf v1 = K_FMA(grad * grad, SPLAT(q->c2), LD(v) * q->b2);

	ST(m, K_FMA(grad, SPLAT(q->c1), LD(m) * q->b1));
	ST(v, v1);
	return K_FMA(K_SQRT(v1), SPLAT(q->v_norm), SPLAT(q->eps));
}

/* 2 * HN_LANES weights.  Root and division share one slow unit: weights i and i + HN_LANES take one
 * division together, x / a = x b / (a b). */
INLINE void FN(adam_block)(const struct hn_adam_args *q, struct FN(did) *s, const float *g,
                           float *w, float *m, float *v)
{
	for (size_t i = 0, j = HN_LANES; i < HN_LANES; i += VL, j += VL) {
		const vf a = FN(moments)(q, g + i, w + i, m + i, v + i);
		const vf b = FN(moments)(q, g + j, w + j, m + j, v + j);
		const vf rate = q->rate / (a * b);

		FN(store)(s, w + i, LD(w + i) * q->decay - LD(m + i) * (rate * b));
		FN(store)(s, w + j, LD(w + j) * q->decay - LD(m + j) * (rate * a));
	}
}

K_FN static void FN(adam)(const struct hn_adam_args *args)
{
	enum { BLOCK = 2 * HN_LANES };
	const struct hn_adam_args copy = *args, *const q = &copy;        /* stays in registers */
	struct FN(did) did = { { 0 }, { 0 } };
	size_t i = 0;

	for (; i + BLOCK <= q->n; i += BLOCK)
		FN(adam_block)(q, &did, q->g + i, q->w + i, q->m + i, q->v + i);
	if (i < q->n) {
		const size_t left = (q->n - i) * sizeof(float);
		float g[BLOCK] = { 0 }, w[BLOCK] = { 0 }, m[BLOCK] = { 0 }, v[BLOCK] = { 0 };

		memcpy(g, q->g + i, left);
		memcpy(w, q->w + i, left);
		memcpy(m, q->m + i, left);
		memcpy(v, q->v + i, left);
		FN(adam_block)(q, &did, g, w, m, v);
		memcpy(q->w + i, w, left);
		memcpy(q->m + i, m, left);
		memcpy(q->v + i, v, left);
	}
	*q->change = FN(total)(did.change);
	*q->norm = FN(total)(did.norm);
}

/* --- SGD -------------------------------------------------------------------------------------- */

INLINE void FN(sgd1)(const struct hn_sgd_args *q, struct FN(did) *s, const float *g, float *w,
                     float *m)
{
	const vf grad = K_FMA(LD(w), SPLAT(q->l2), LD(g) * q->g_scale);
	const vf m1 = K_FMA(LD(m), SPLAT(q->momentum), grad);

	ST(m, m1);
	FN(store)(s, w, LD(w) - q->rate * K_FMA(m1, SPLAT(q->by_m), grad * q->by_g));
}

K_FN static void FN(sgd)(const struct hn_sgd_args *q)
{
	struct FN(did) did = { { 0 }, { 0 } };
	size_t i = 0;

	for (; i + VL <= q->n; i += VL)
		FN(sgd1)(q, &did, q->g + i, q->w + i, q->m + i);
	if (i < q->n) {
		const size_t left = (q->n - i) * sizeof(float);
		float g[VL] = { 0 }, w[VL] = { 0 }, m[VL] = { 0 };

		memcpy(g, q->g + i, left);
		memcpy(w, q->w + i, left);
		memcpy(m, q->m + i, left);
		FN(sgd1)(q, &did, g, w, m);
		memcpy(q->w + i, w, left);
		memcpy(q->m + i, m, left);
	}
	*q->change = FN(total)(did.change);
	*q->norm = FN(total)(did.norm);
}
