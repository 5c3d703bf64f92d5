/* app.h - the main loop that every port of this firmware shares.
 *
 * The port's timer (or DMA) puts one frame a period into a ring: app_sample().  The main loop
 * calls app_poll(): for each complete window it takes the network in service, scales, infers,
 * reports, and then gives the rest of the time to the link.  What it reports is the gateway's
 * choice (hd_sketch.h): each window and its answer, or sketches and the windows asked for.
 *
 * Frame n is sampled at tick start_us + n . period_us of the port's free running microsecond clock
 * (it wraps).  A window is complete at the tick of its last frame: then its inference is due, if
 * a network is in service.  It is missed when it is not finished by its deadline, when its frames
 * were overwritten first, or when the network does not have this firmware's shape.
 *
 * The link gets what the inferences leave: received bytes wait while a window does, and no work is
 * begun that could take too long.  That is an erase, when the next inference would not be done by
 * its deadline after it (twice the longest one so far is allowed for), and a self-test, which takes
 * as long as an inference of the new network.  All other pieces of work of the device library are
 * short; the longest programs a header of 128 bytes and a journal record. */
#ifndef APP_H
#define APP_H

#include <stdatomic.h>
#include "hd_device.h"
#include "hd_sketch.h"

enum {
	APP_CHANNELS = 3,
	APP_WINDOW = 32,            /* frames                                              */
	APP_RING = 8 * APP_WINDOW,  /* frames: the longest stall that loses none           */
	APP_OUTPUTS_MAX = APP_WINDOW * APP_CHANNELS,    /* an autoencoder has so many     */
	APP_ARENA = 4096,           /* bytes of activations                                */
	APP_BUDGET_US = 2000,       /* of one call of hd_poll                              */
	APP_NO_CLASS = -1
};

/* What became of one window, for the port's record of truth. */
struct app_window {
	uint32_t count, tick_us;    /* of its last frame; count = frames since boot        */
	uint8_t  state;             /* true state, as app_sample was told                  */
	int16_t  class_index;       /* predicted, or APP_NO_CLASS                          */
	uint8_t  margin;
	uint32_t model_version;     /* 0 when no network is in service                     */
	uint32_t missed;            /* inferences since boot                               */
};

struct app_config {
	struct hd_config device;    /* all but the arena, which the app brings             */
	uint32_t period_us;
	uint32_t deadline_us;       /* from a window's last frame to its answer, at most one
	                             * window; 0 = one window                              */
	/* ctx is device.ctx; may be NULL.  device.ctx and device.send are the port's. */
	void (*on_window)(void *ctx, const struct app_window *w);
};

struct app {                        /* private: use the functions                          */
	struct hd_device device;
	struct app_config cfg;
	uint32_t start_us;
	uint32_t longest_us;        /* of an inference so far, 0 = none                    */
	atomic_uint_least32_t head; /* frames sampled; written by app_sample alone         */
	uint32_t tail;              /* first frame of the window that fills now            */
	uint32_t missed, overruns;  /* overruns: frames overwritten before use             */
	int16_t  ring[APP_RING][APP_CHANNELS];
	uint8_t  state[APP_RING];
	int16_t  raw[APP_WINDOW * APP_CHANNELS];
	struct hd_sketch sketch;
	struct hd_sketch_channel channel[APP_CHANNELS];
	uint32_t served;            /* model version of the last answer                    */
	bool     serving;           /* a network was in service at the last window         */
	uint32_t arena[APP_ARENA / 4];
};

/* Boot the device.  `a` must not move afterwards.  Errors: those of hd_init. */
hd_status app_init(struct app *a, const struct app_config *cfg);

/* Frame 0 will be sampled at tick `start_us`.  Once, before the first app_sample. */
void app_start(struct app *a, uint32_t start_us);

/* The next frame and, for the record, its true state.  May be called from an interrupt. */
void app_sample(struct app *a, const int16_t raw[APP_CHANNELS], uint8_t state);

/* Received bytes, from the main loop's context.  Returns how many were taken: less than n when a
 * command waits for the time it needs, or a window for its inference; hand over the rest after
 * app_poll. */
HD_MUST_USE size_t app_rx(struct app *a, const uint8_t *bytes, size_t n);

/* The port lost `n` received bytes. */
void app_rx_lost(struct app *a, uint32_t n);

/* Everything that is due now.  Call it after each frame, or at least once a millisecond or two. */
void app_poll(struct app *a);
#endif
