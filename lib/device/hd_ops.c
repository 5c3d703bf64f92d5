/* The table of layer kinds. */
#include "hd_ops.h"

#define ROW(kind, run) [HD_OP_##kind] = (HD_OPS) & HD_HAS(kind) ? (run) : NULL

const hd_run hd_ops[HD_OP_END] = {
	ROW(DENSE, hd_conv1d_run), ROW(LUT, hd_lut_run), ROW(CONV1D, hd_conv1d_run),
	ROW(DWCONV1D, hd_conv1d_run), ROW(MAX_POOL, hd_pool_run), ROW(AVG_POOL, hd_pool_run),
	ROW(ADD, hd_add_run), ROW(GRU, hd_gru_run), ROW(SOFTMAX, hd_softmax_run),
};

uint32_t hd_ops_mask(void)
{
	return (HD_OPS) | HD_NEEDS_DISTANCE | (HD_RQ_MODES & 1 ? HD_NEEDS_TWICE : 0)
		| (HD_RQ_MODES & 2 ? HD_NEEDS_ONCE : 0);
}
