/* The table of layer kinds. */
#include "hd_ops.h"

#define IF_HAS(kind, run) ((HD_OPS) & HD_HAS(kind) ? (run) : NULL)

const hd_run hd_ops[HD_OP_END] = {
	[HD_OP_DENSE] = IF_HAS(DENSE, hd_conv1d_run),
	[HD_OP_LUT] = IF_HAS(LUT, hd_lut_run),
	[HD_OP_CONV1D] = IF_HAS(CONV1D, hd_conv1d_run),
	[HD_OP_DWCONV1D] = IF_HAS(DWCONV1D, hd_conv1d_run),
	[HD_OP_MAX_POOL] = IF_HAS(MAX_POOL, hd_pool_run),
	[HD_OP_AVG_POOL] = IF_HAS(AVG_POOL, hd_pool_run),
	[HD_OP_ADD] = IF_HAS(ADD, hd_add_run),
	[HD_OP_GRU] = IF_HAS(GRU, hd_gru_run),
	[HD_OP_SOFTMAX] = IF_HAS(SOFTMAX, hd_softmax_run),
};

uint32_t hd_ops_mask(void)
{
	return (HD_OPS) | HD_NEEDS_DISTANCE | (HD_RQ_MODES & 1 ? HD_NEEDS_TWICE : 0)
		| (HD_RQ_MODES & 2 ? HD_NEEDS_ONCE : 0);
}
