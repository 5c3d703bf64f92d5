/* hn_block_sort.c - the frames of a block in order of event time.
 *
 * Heap sort over the indices (Williams 1964): no room, no recursion, O(n log n) at worst; the index
 * breaks ties, which makes it stable. */
#include "hn_block.h"

#include <stdbool.h>

static bool before(const struct hn_block *b, uint32_t x, uint32_t y)
{
	const int64_t tx = b->event_us[x], ty = b->event_us[y];

	return tx < ty || (tx == ty && x < y);
}

static void sift(const struct hn_block *b, uint32_t *order, uint32_t root, uint32_t n)
{
	for (uint32_t child = 2 * root + 1; child < n; root = child, child = 2 * root + 1) {
		uint32_t t = order[root];

		if (child + 1 < n && before(b, order[child], order[child + 1]))
			child++;
		if (!before(b, t, order[child]))
			return;
		order[root] = order[child];
		order[child] = t;
	}
}

void hn_block_sort(const struct hn_block *b, uint32_t *order)
{
	bool sorted = true;

	for (uint32_t i = 0; i < b->n; i++) {
		order[i] = i;
		sorted = sorted && (i == 0 || b->event_us[i - 1] <= b->event_us[i]);
	}
	if (sorted)
		return;
	for (uint32_t i = b->n / 2; i-- > 0;)
		sift(b, order, i, b->n);
	for (uint32_t n = b->n; n-- > 1;) {
		const uint32_t t = order[0];

		order[0] = order[n];
		order[n] = t;
		sift(b, order, 0, n);
	}
}
