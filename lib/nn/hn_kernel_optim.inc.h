/* hn_kernel_optim.inc.h - part of hn_kernel.inc.h: optimisers. */

/* --- Adam ------------------------------------------------------------------------------------- */

/* One vector of weights; torch's form, eps outside the root. */
INLINE void FN(adam1)(const struct hn_adam_args *q, const float *g, float *w, float *m, float *v)
{
	const vf grad = LD(g) * q->g_scale;
	const vf m1 = K_FMA(grad, SPLAT(q->c1), LD(m) * q->b1);
	const vf v1 = K_FMA(grad * grad, SPLAT(q->c2), LD(v) * q->b2);
	const vf den = K_FMA(K_SQRT(v1), SPLAT(q->v_norm), SPLAT(q->eps));

	ST(m, m1);
	ST(v, v1);
	ST(w, LD(w) * q->decay - q->rate * m1 / den);
}

K_FN static void FN(adam)(const struct hn_adam_args *q)
{
	size_t i = 0;

	for (; i + VL <= q->n; i += VL)
		FN(adam1)(q, q->g + i, q->w + i, q->m + i, q->v + i);
	if (i < q->n) {
		const size_t left = (q->n - i) * sizeof(float);
		float g[VL] = { 0 }, w[VL] = { 0 }, m[VL] = { 0 }, v[VL] = { 0 };

		memcpy(g, q->g + i, left);
		memcpy(w, q->w + i, left);
		memcpy(m, q->m + i, left);
		memcpy(v, q->v + i, left);
		FN(adam1)(q, g, w, m, v);
		memcpy(q->w + i, w, left);
		memcpy(q->m + i, m, left);
		memcpy(q->v + i, v, left);
	}
}
