/* Segments between kept outputs.  Source of the idea: Chen et al. 2016, arXiv:1604.06174; here the
 * layers are few enough to try every size of the largest segment.  For each the cheapest cuts by
 * dynamic programming: least(b) = min over a of least(a) + output of b, where (a, b] fits. */
#include "hn_again.h"

#include <stdint.h>
#include <string.h>

enum { N = HN_NET_LAYERS_MAX };

struct table {
	const struct hn_again_layer *l;
	unsigned n;
	size_t inside[N][N + 1];         /* [a][b] of layers a .. b - 1, without the output of the last */
	size_t out[N + 1];               /* [b] output of layer b - 1, SIZE_MAX: no cut behind it */
	unsigned from[N + 1];            /* where the segment that ends at b begins           */
};

/* First layer of those that work in place up to layer i. */
static unsigned root(const struct table *t, unsigned i)
{
	while (i > 0 && t->l[i].in_place)
		i--;
	return i;
}

static void measure(struct table *t)
{
	for (unsigned b = 1; b <= t->n; b++) {
		const bool cut = b == t->n || !t->l[b].in_place;
		const unsigned r = root(t, b - 1);
		size_t sum = 0;

		t->out[b] = cut ? t->l[r].y : SIZE_MAX;
		for (unsigned a = b; a-- > 0;) {
			sum += t->l[a].keep;
			if (a != r)
				sum += t->l[a].y;
			t->inside[a][b] = sum;
		}
	}
}

/* Bytes with no segment above `most`, SIZE_MAX when there is no way; t->from says how. */
static size_t least(struct table *t, size_t most)
{
	size_t best[N + 1] = { 0 };

	for (unsigned b = 1; b <= t->n; b++) {
		best[b] = SIZE_MAX;
		for (unsigned a = 0; a < b && t->out[b] < SIZE_MAX; a++)
			if (best[a] < SIZE_MAX && t->inside[a][b] <= most && best[a] + t->out[b] < best[b]) {
				best[b] = best[a] + t->out[b];
				t->from[b] = a;
			}
	}
	return best[t->n] < SIZE_MAX ? best[t->n] + most : SIZE_MAX;
}

/* The largest segment that gives the smallest sum; fewer cuts among equals do not matter. */
static size_t best_size(struct table *t)
{
	size_t best = SIZE_MAX, size = 0;

	for (unsigned a = 0; a < t->n; a++)
		for (unsigned b = a + 1; b <= t->n; b++) {
			const size_t all = least(t, t->inside[a][b]);

			if (all < best) {
				best = all;
				size = t->inside[a][b];
			}
		}
	return size;
}

void hn_again_choose(const struct hn_again_layer *l, unsigned n, struct hn_again *cuts)
{
	struct table t = { .l = l, .n = n };

	memset(cuts, 0, sizeof *cuts);
	measure(&t);
	(void)least(&t, best_size(&t));
	for (unsigned b = n; b > 0; b = t.from[b])
		cuts->ends[b - 1] = true;
	for (unsigned i = n; i-- > 0;) {
		cuts->stays[i] |= cuts->ends[i] || l[i].stays;
		if (i > 0 && l[i].in_place)
			cuts->stays[i - 1] = cuts->stays[i];
	}
}
