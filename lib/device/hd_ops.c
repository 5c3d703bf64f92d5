/* The table of layer kinds. */
#include "hd_ops.h"

#ifndef HD_OP_ROWS
#define HD_OP_ROWS &hd_dense, &hd_lut, &hd_conv1d, &hd_dwconv1d, &hd_max_pool, &hd_avg_pool, \
	&hd_add, &hd_gru, &hd_softmax
#endif
const struct hd_op_row *const hd_ops[] = { HD_OP_ROWS };
const uint8_t hd_n_ops = sizeof hd_ops / sizeof hd_ops[0];

const struct hd_op_row *hd_op_find(uint8_t op)
{
	uint8_t i;

	for (i = 0; i < hd_n_ops; i++) {
		if (hd_ops[i]->op == op)
			return hd_ops[i];
	}
	return NULL;
}
