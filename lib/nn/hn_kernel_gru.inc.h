/* hn_kernel_gru.inc.h - part of hn_kernel.inc.h: gates of a gated recurrent unit. */

/* Sums become gates, gates and the state before become the state: h' = n + z (h - n). */
K_FN static void FN(gru)(const struct hn_gru_args *q)
{
	float *const r = q->gate, *const z = r + q->n, *const c = z + q->n, *const hidden = c + q->n;

	for (size_t i = 0; i < q->n; i += VL) {
		const vf h = q->h ? LD(q->h + i) : (vf){ 0 };
		const vf vr = FN(vsigmoid)(LD(r + i)), vz = FN(vsigmoid)(LD(z + i));
		const vf vn = FN(vtanh)(K_FMA(vr, LD(hidden + i), LD(c + i)));

		ST(r + i, vr);
		ST(z + i, vz);
		ST(c + i, vn);
		ST(q->y + i, K_FMA(vz, h - vn, vn));
	}
}

/* Gates become the gradients of their sums, dh (after) becomes its part through z (before). */
K_FN static void FN(gru_back)(const struct hn_gru_args *q)
{
	const size_t n = q->n;
	float *const r = q->gate, *const z = r + n, *const c = z + n, *const hidden = c + n;
	const vf one = SPLAT(1.0f);

	for (size_t i = 0; i < n; i += VL) {
		const vf h = q->h ? LD(q->h + i) : (vf){ 0 }, vr = LD(r + i), vz = LD(z + i), vn = LD(c + i);
		const vf more = q->dy ? LD(q->dy + i) : (vf){ 0 }, d = LD(q->dh + i) + more;
		const vf through = d * vz;
		const vf dn = (d - through) * K_FMA(-vn, vn, one), dhid = dn * vr;
		const vf dz = through * (h - vn) * (one - vz), dr = dhid * LD(hidden + i) * (one - vr);

		ST(r + i, dr);
		ST(z + i, dz);
		ST(c + i, dn);
		ST(hidden + i, dhid);
		ST(q->dh + i, through);
		ST(q->sum + i, LD(q->sum + i) + dr);
		ST(q->sum + n + i, LD(q->sum + n + i) + dz);
		ST(q->sum + 2 * n + i, LD(q->sum + 2 * n + i) + dn);
		ST(q->sum + 3 * n + i, LD(q->sum + 3 * n + i) + dhid);
	}
}
