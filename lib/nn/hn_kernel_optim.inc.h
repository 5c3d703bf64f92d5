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

/* The next n floats, at most a vector, zeros behind them. */
INLINE vf FN(some)(const float *p, size_t n)
{
	vf v = { 0 };

	if (n >= VL)
		return LD(p);
	memcpy(&v, p, n * sizeof *p);
	return v;
}

INLINE void FN(put)(float *p, vf v, size_t n)
{
	if (n >= VL)
		ST(p, v);
	else
		memcpy(p, &v, n * sizeof *p);
}

/* n weights from i on: what is read, and what becomes of it. */
struct FN(adam) { size_t i, n; vf w, m, below; };

/* Moments and the denominator. */
INLINE struct FN(adam) FN(moments)(const struct hn_adam_args *q, size_t i, size_t n)
{
	const vf w = FN(some)(q->w + i, n);
	const vf grad = K_FMA(w, SPLAT(q->l2), FN(some)(q->g + i, n) * q->g_scale);
	const vf m = K_FMA(grad, SPLAT(q->c1), FN(some)(q->m + i, n) * q->b1);
	const vf v = K_FMA(grad * grad, SPLAT(q->c2), FN(some)(q->v + i, n) * q->b2);

	FN(put)(q->m + i, m, n);
	FN(put)(q->v + i, v, n);
	return (struct FN(adam)){ i, n, w, m, K_FMA(K_SQRT(v), SPLAT(q->v_norm), SPLAT(q->eps)) };
}

INLINE void FN(move)(const struct hn_adam_args *q, struct FN(did) *s, struct FN(adam) a, vf rate)
{
	const vf now = a.w * q->decay - a.m * rate, by = now - a.w;

	s->change = K_FMA(by, by, s->change);
	s->norm = K_FMA(now, now, s->norm);
	FN(put)(q->w + a.i, now, a.n);
}

/* The next n <= 2 * HN_LANES weights.  Root and division share one slow unit: weights i and
 * i + HN_LANES take one division together, x / a = x b / (a b). */
INLINE void FN(adam_block)(const struct hn_adam_args *q, struct FN(did) *s, size_t i, size_t n)
{
	for (size_t v = 0; v < HN_LANES && v < n; v += VL) {
		const size_t far = v + HN_LANES < n ? n - v - HN_LANES : 0;
		const struct FN(adam) a = FN(moments)(q, i + v, n - v);
		const struct FN(adam) b = FN(moments)(q, i + v + HN_LANES, far);
		const vf rate = q->rate / (a.below * b.below);

		FN(move)(q, s, a, rate * b.below);
		FN(move)(q, s, b, rate * a.below);
	}
}

K_FN static void FN(adam)(const struct hn_adam_args *args)
{
	enum { BLOCK = 2 * HN_LANES };
	const struct hn_adam_args copy = *args, *const q = &copy;        /* stays in registers */
	struct FN(did) did = { { 0 }, { 0 } };
	size_t i = 0;

	for (; i + BLOCK <= q->n; i += BLOCK)
		FN(adam_block)(q, &did, i, BLOCK);
	FN(adam_block)(q, &did, i, q->n - i);
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
