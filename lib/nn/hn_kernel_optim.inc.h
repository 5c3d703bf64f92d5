/* hn_kernel_optim.inc.h - part of hn_kernel.inc.h: optimisers. */

/* Sums over what a step does: squares of the change, and of the weights after it.  Weight i counts
 * in lane i % HN_LANES, whatever VL. */
struct FN(did) { vf change[HN_LANES / VL], norm[HN_LANES / VL]; };

/* The weights w of vector v of a row of lanes are `now`; behind the end both are 0. */
INLINE void FN(count)(struct FN(did) *s, size_t v, vf w, vf now)
{
	const vf by = now - w;

	s->change[v] = K_FMA(by, by, s->change[v]);
	s->norm[v] = K_FMA(now, now, s->norm[v]);
}

INLINE double FN(total)(const vf v[HN_LANES / VL])
{
	float s[HN_LANES];

	for (int i = 0; i < HN_LANES / VL; i++)
		ST(s + i * VL, v[i]);
	return (double)FN(fold)(s);
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

/* Moments and the denominator; `plain`: the gradient is taken as it is. */
INLINE struct FN(adam) FN(moments)(const struct hn_adam_args *q, size_t i, size_t n, bool plain)
{
	const vf w = FN(some)(q->w + i, n), g = FN(some)(q->g + i, n);
	vf grad = g, m, v;

	if (!plain)
		grad = K_FMA(w, SPLAT(q->l2), g * q->g_scale);
	m = K_FMA(grad, SPLAT(q->c1), FN(some)(q->m + i, n) * q->b1);
	v = K_FMA(grad * grad, SPLAT(q->c2), FN(some)(q->v + i, n) * q->b2);
	FN(put)(q->m + i, m, n);
	FN(put)(q->v + i, v, n);
	return (struct FN(adam)){ i, n, w, m, K_FMA(K_SQRT(v), SPLAT(q->v_norm), SPLAT(q->eps)) };
}

INLINE vf FN(move)(const struct hn_adam_args *q, struct FN(adam) a, vf rate)
{
	const vf now = K_FMA(-a.m, rate, a.w * q->decay);

	FN(put)(q->w + a.i, now, a.n);
	return now;
}

/* The next n <= 2 * HN_LANES weights.  Root and division share one slow unit: weights i and
 * i + HN_LANES take one division together, x / a = x b / (a b). */
INLINE void FN(adam_block)(const struct hn_adam_args *q, struct FN(did) *s, size_t i, size_t n,
                           bool plain)
{
#pragma GCC unroll 4
	for (size_t v = 0; v < HN_LANES / VL; v++) {
		const size_t at = v * VL, far = at + HN_LANES < n ? n - at - HN_LANES : 0;
		struct FN(adam) a, b;
		vf rate;

		if (at >= n)
			break;
		a = FN(moments)(q, i + at, n - at, plain);
		b = FN(moments)(q, i + at + HN_LANES, far, plain);
		rate = q->rate / (a.below * b.below);
		FN(count)(s, v, a.w, FN(move)(q, a, rate * b.below));
		FN(count)(s, v, b.w, FN(move)(q, b, rate * a.below));
	}
}

INLINE void FN(adam_all)(const struct hn_adam_args *q, struct FN(did) *s, bool plain)
{
	enum { BLOCK = 2 * HN_LANES };
	size_t i = 0;

	for (; i + BLOCK <= q->n; i += BLOCK)
		FN(adam_block)(q, s, i, BLOCK, plain);
	FN(adam_block)(q, s, i, q->n - i, plain);
}

K_FN static void FN(adam)(const struct hn_adam_args *args)
{
	const struct hn_adam_args copy = *args, *const q = &copy;        /* stays in registers */
	struct FN(did) did = { { { 0 } }, { { 0 } } };

	if (q->plain)
		FN(adam_all)(q, &did, true);
	else
		FN(adam_all)(q, &did, false);
	*q->change = FN(total)(did.change);
	*q->norm = FN(total)(did.norm);
}

/* --- SGD -------------------------------------------------------------------------------------- */

/* n <= VL weights from i on. */
INLINE void FN(sgd_some)(const struct hn_sgd_args *q, struct FN(did) *s, size_t i, size_t n)
{
	const vf w = FN(some)(q->w + i, n);
	const vf grad = K_FMA(w, SPLAT(q->l2), FN(some)(q->g + i, n) * q->g_scale);
	const vf m = K_FMA(FN(some)(q->m + i, n), SPLAT(q->momentum), grad);
	const vf now = w - q->rate * K_FMA(m, SPLAT(q->by_m), grad * q->by_g);

	FN(put)(q->m + i, m, n);
	FN(put)(q->w + i, now, n);
	FN(count)(s, i / VL % (HN_LANES / VL), w, now);
}

K_FN static void FN(sgd)(const struct hn_sgd_args *q)
{
	struct FN(did) did = { { { 0 } }, { { 0 } } };
	size_t i = 0;

	for (; i + HN_LANES <= q->n; i += HN_LANES) {
#pragma GCC unroll 4
		for (size_t v = 0; v < HN_LANES; v += VL)
			FN(sgd_some)(q, &did, i + v, VL);
	}
	for (; i < q->n; i += VL)
		FN(sgd_some)(q, &did, i, q->n - i);
	*q->change = FN(total)(did.change);
	*q->norm = FN(total)(did.norm);
}
