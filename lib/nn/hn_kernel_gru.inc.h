/* hn_kernel_gru.inc.h - part of hn_kernel.inc.h: gates of a gated recurrent unit. */

/* Two gates for one division: sigmoid(x) = 1/2 + 1/2 tanh(x / 2), both over one denominator. */
INLINE void FN(two_gates)(const float *x, const float *y, vf gate[2])
{
	vf a, b;
	const vf p = FN(tanh_parts)(LD(x) * 0.5f, &a), q = FN(tanh_parts)(LD(y) * 0.5f, &b);
	const vf half = 0.5f / (a * b);

	gate[0] = K_FMA(p * b, half, SPLAT(0.5f));
	gate[1] = K_FMA(q * a, half, SPLAT(0.5f));
}

/* Sums become gates, gates and the state before become the state: h' = n + z (h - n). */
K_FN static void FN(gru)(const struct hn_gru_args *q)
{
	float *const c = q->gate, *const r = c + q->n, *const z = r + q->n, *const hidden = z + q->n;
	const float *const h = q->h;
	float *const y = q->y;
	const size_t n = q->n;

	for (size_t i = 0; i < n; i += VL) {
		vf rz[2], vn, a;

		FN(two_gates)(r + i, z + i, rz);
		vn = FN(tanh_parts)(K_FMA(rz[0], LD(hidden + i), LD(c + i)), &a);
		vn = vn / a;
		ST(r + i, rz[0]);
		ST(z + i, rz[1]);
		ST(c + i, vn);
		ST(y + i, K_FMA(rz[1], LD(h + i) - vn, vn));
	}
}

/* Gates and the gradient of the state after become the gradients of the gates' sums, and of the
 * state before as far as it passes through z. */
INLINE void FN(gru_back1)(const struct hn_gru_args *q, size_t i, vf grad)
{
	const size_t n = q->n;
	const float *const gate = q->gate + i;
	const vf vn = LD(gate), vr = LD(gate + n), vz = LD(gate + 2 * n), hidden = LD(gate + 3 * n);
	const vf through = grad * vz, one = SPLAT(1.0f);
	const vf dn = (grad - through) * K_FMA(-vn, vn, one), dhid = dn * vr;

	ST(q->d + i, dn);
	ST(q->d + n + i, dhid * hidden * (one - vr));
	ST(q->d + 2 * n + i, through * (LD(q->h + i) - vn) * (one - vz));
	ST(q->d + 3 * n + i, dhid);
	ST(q->dh + i, through);
}

K_FN static void FN(gru_back)(const struct hn_gru_args *args)
{
	const struct hn_gru_args copy = *args, *const q = &copy;         /* stays in registers */

	if (q->dy)
		for (size_t i = 0; i < q->n; i += VL)
			FN(gru_back1)(q, i, LD(q->dh + i) + LD(q->dy + i));
	else
		for (size_t i = 0; i < q->n; i += VL)
			FN(gru_back1)(q, i, LD(q->dh + i));
}
