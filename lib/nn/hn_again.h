/* hn_again.h - which outputs a run keeps when backward computes the others again.
 *
 * The net is cut into segments.  The last output of each stays; the others of all segments share
 * one piece of memory.  Backward passes a segment forward once more before it goes through it. */
#ifndef HN_AGAIN_H
#define HN_AGAIN_H

#include <stdbool.h>
#include "hn_net.h"

struct hn_again {
	bool ends[HN_NET_LAYERS_MAX];    /* the layer is the last of its segment              */
	bool stays[HN_NET_LAYERS_MAX];   /* its output has memory of its own                  */
};

/* What one layer takes: bytes of its own output, 0 when it works in place or the output stays
 * anyway, because a later add reads it; bytes of what it keeps for itself. */
struct hn_again_layer { size_t y, keep; bool in_place, stays; };

/* The cuts with the smallest sum of what stays and the largest segment. */
void hn_again_choose(const struct hn_again_layer *l, unsigned n, struct hn_again *cuts);
#endif
