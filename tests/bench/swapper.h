/* swapper.h - a gateway that swaps a device's weights again and again, in every way a swap can end.
 *
 * The wire and the clock are the caller's: `step` lets a little time pass, hands every frame of the
 * device to swapper_hear() and calls swapper_tick() every few milliseconds. */
#ifndef SWAPPER_H
#define SWAPPER_H

#include "hd_image.h"
#include "hn_peer.h"
#include "hn_rng.h"
#include "t_hd_package.h"

/* How a swap goes. */
enum swap {
	SWAP_CONFIRM,            /* confirmed after some inferences                              */
	SWAP_REVERT,             /* the gateway ends the trial                                   */
	SWAP_LAPSE,              /* nobody confirms: the device goes back by itself              */
	SWAP_CUT,                /* the link goes away somewhere, another package comes          */
	SWAP_DIGEST,             /* damaged payload: refused                                     */
	SWAP_VECTOR,             /* fails its self-test: refused                                 */
	SWAPS
};

enum { SWAPPER_IMAGES = 6 };

struct swapper {
	/* The caller's. */
	void   (*step)(void *ctx);
	void    *ctx;
	int64_t  now_us, window_us, limit_us;    /* limit_us: no wait is longer                  */
	uint32_t trial;                          /* inferences of the device's trial             */
	/* For the caller to read. */
	struct hn_peer peer;                     /* its `send` is the caller's to set            */
	uint32_t count[SWAPS], all, astray, lies;/* lies: the active digest was not the right one */
	/* Private. */
	struct hn_rng rng;
	uint32_t version, image;                 /* last one made                                */
	unsigned seen[8];                        /* events of the peer since the swap began      */
	uint8_t  confirmed[8];                   /* digest of what the device must run           */
	uint8_t  on_trial[8];                    /* digest of what it ran when asked last        */
	struct t_package package;                /* on its way                                   */
	struct t_package images[SWAPPER_IMAGES];
	struct hd_net nets[SWAPPER_IMAGES];
};

/* Random images of this shape.  `s` is zeroed and must not move; set the caller's fields then. */
void swapper_init(struct swapper *s, const struct t_image_spec *spec, uint64_t seed);

void swapper_link_up(struct swapper *s);
void swapper_hear(struct swapper *s, const struct hd_frame *f);
void swapper_tick(struct swapper *s);

/* One swap, and a look at what runs afterwards. */
void swapper_swap(struct swapper *s, enum swap how);
enum swap swapper_draw(struct swapper *s);       /* half of them are SWAP_CONFIRM */

/* The network that a model version holds. */
const struct hd_net *swapper_net(const struct swapper *s, uint32_t model_version);

extern const char *const swap_names[SWAPS];
#endif
