/* hn_health.h - is a net training well?  What every step showed of each layer, judged by epoch. */
#ifndef HN_HEALTH_H
#define HN_HEALTH_H

#include <stddef.h>
#include "hn_net.h"

/* What may ail a layer. */
enum hn_ill {
	HN_VANISHING,    /* its gradient is tiny beside that of another layer                      */
	HN_EXPLODING,    /* its gradient is huge beside its weights                                */
	HN_DEAD,         /* half of its units, or more, were 0 for every sample                    */
	HN_RESTLESS,     /* a step changes a large part of its weights                             */
	HN_ILLS
};

struct hn_layer_health {
	double   gradient;       /* mean norm over the steps of the epoch; 0 without weights      */
	double   ratio;          /* mean of |update| / |weights|; 0 when nothing is trained       */
	uint32_t units, dead;    /* of a relu or relu6; otherwise 0                               */
	unsigned ill;            /* bits 1 << enum hn_ill, this epoch                             */
	unsigned ever;           /* the same, any epoch of the run                                */
};

struct hn_health {
	unsigned n_layers;
	struct hn_layer_health layer[HN_NET_LAYERS_MAX];
};

/* "vanishing" */
const char *hn_ill_name(enum hn_ill ill);

/* One sentence for people: layer, number, what to do; at most cap - 1 characters. */
void hn_health_text(const struct hn_net *net, const struct hn_health *h, unsigned layer,
                    enum hn_ill ill, char *out, size_t cap);
#endif
