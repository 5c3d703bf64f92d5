/* hn_kernel.inc.h - the kernels, written once; included by each kernel_<level>.c, which defines
 *
 *   K_NAME     suffix of every function          K_FN      attribute of every function
 *   K_TEXT     name of the level                 VL        floats a vector: 4, 8 or 16
 *   K_FMA(a, b, c)   a * b + c                   K_SQRT(a)
 *   K_MAX(a, b), K_MIN(a, b)   not a number where b is not (a is a constant)
 *   K_MR       rows of the large GEMM tile: 4, 6 or 8
 *   K_NARROW(g)   optional: product of a level with shorter vectors, same bits, for one vector of
 *              columns: a broadcast would feed a single multiply-add
 *
 * GEMM: a tile of K_MR rows and two vectors stays in registers over the whole of k; each step loads
 * two vectors of B and broadcasts K_MR values of A.  Source of the shape: Goto & van de Geijn
 * 2008, "Anatomy of high-performance matrix multiplication"; the nets are so small that packing
 * and cache blocking only cost time.
 *
 * Every sum runs over k, or over 16 lanes folded in a fixed tree, in the same order whatever VL. */

#include <string.h>

#define CAT2(a, b) a##_##b
#define CAT(a, b) CAT2(a, b)
#define FN(name) CAT(name, K_NAME)
#define INLINE static inline __attribute__((always_inline)) K_FN

typedef float vf __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef uint32_t vu __attribute__((vector_size(VL * 4), aligned(4), may_alias));

#define LD(p) (*(const vf *)(const void *)(p))
#define ST(p, v) (*(vf *)(void *)(p) = (v))
#define SPLAT(s) ((s) - (vf){ 0 })            /* s - 0 is s, even for -0: only a broadcast stays */
#define PICK(mask, a, b) ((vf)(((mask) & (vi)(a)) | (~(mask) & (vi)(b))))

#include "hn_kernel_gemm.inc.h"
#include "hn_kernel_move.inc.h"
#include "hn_kernel_elem.inc.h"
#include "hn_kernel_pool.inc.h"
#include "hn_kernel_gru.inc.h"
#include "hn_kernel_norm.inc.h"
#include "hn_kernel_optim.inc.h"

const struct hn_kernels FN(hn_kernels) = {
	.name = K_TEXT,
	.gemm = FN(gemm), .transpose = FN(transpose), .gather = FN(gather),
	.row_sums = FN(row_sums), .sum_sq = FN(sum_sq),
	.relu = FN(relu), .relu_back = FN(relu_back), .tanh = FN(tanh), .tanh_back = FN(tanh_back),
	.exp = FN(exp), .log = FN(log), .softmax = FN(softmax),
	.cross_entropy = FN(cross_entropy), .mse = FN(mse), .huber = FN(huber), .binary = FN(binary),
	.bound = FN(bound), .bound_back = FN(bound_back), .leaky = FN(leaky),
	.leaky_back = FN(leaky_back), .sigmoid = FN(sigmoid), .sigmoid_back = FN(sigmoid_back),
	.max_pool = FN(max_pool), .max_pool_back = FN(max_pool_back), .avg_pool = FN(avg_pool),
	.avg_pool_back = FN(avg_pool_back),
	.add = FN(add), .softmax_back = FN(softmax_back), .drop = FN(drop),
	.strip_sum = FN(strip_sum), .strip_dot = FN(strip_dot), .norm = FN(norm),
	.norm_back = FN(norm_back), .depth = FN(depth), .depth_back = FN(depth_back),
	.gru = FN(gru), .gru_back = FN(gru_back), .adam = FN(adam), .sgd = FN(sgd),
};
