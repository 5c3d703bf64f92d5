/* t_hd_gateway.h - a device and the smallest gateway that can serve it, joined by a wire in memory
 * that may lose, change, repeat and reorder frames. */
#ifndef T_HD_GATEWAY_H
#define T_HD_GATEWAY_H

#include "hd_device.h"
#include "hn_rng.h"
#include "t_hd_flash.h"
#include "t_hd_package.h"

enum { T_WIRE = 4096, T_ARENA = 512 + 256 };     /* activations, and outputs */

struct t_wire { uint8_t bytes[T_WIRE]; size_t n; uint32_t hurt; };

struct t_pair {
	struct hd_device dev;
	struct hd_config cfg;
	struct t_flash *flash;
	uint32_t arena[T_ARENA / 4];
	struct t_wire down, up;          /* to the device, to the gateway                        */
	struct hd_rx rx;                 /* the gateway's decoder                                */
	struct hd_hello hello;
	struct hd_report report, last;   /* last: the last answer to a command                   */
	unsigned n_hello, n_report, n_other;
	uint8_t seq;
	uint32_t clock_us, idle_us, nonce_gw, steps;
	uint16_t session, heard;         /* heard: session of the last frame                     */
	unsigned noise;                  /* per mille of frames hurt, each way                   */
	bool     mute;                   /* the device's send queue is full                      */
	bool     busy;                   /* no window boundary: hd_service is not called         */
	uint8_t  body[HD_BODY_MAX];      /* of the last frame that is none of the above          */
	size_t   body_len;
	struct hn_rng rng;
};

/* Configure and power the device for the first time.  Errors: those of hd_init. */
hd_status t_pair_init(struct t_pair *p, struct t_flash *f, uint64_t seed);
/* Power it again: RAM is lost, flash stays. */
hd_status t_pair_boot(struct t_pair *p);
/* Some bytes each way, one hd_poll. */
void t_pair_step(struct t_pair *p);
void t_pair_settle(struct t_pair *p);    /* until nothing moves */

void t_send(struct t_pair *p, uint8_t type, const uint8_t *body, size_t n);
void t_order(struct t_pair *p, uint8_t type, uint32_t version);
void t_chunk(struct t_pair *p, const struct t_package *k, uint32_t at);
/* New session; true when the device answered. */
bool t_hello(struct t_pair *p);
/* Send one command and settle; returns the error of its STATUS. */
int t_command(struct t_pair *p, uint8_t type, const uint8_t *body, size_t n);
int t_command_order(struct t_pair *p, uint8_t type, uint32_t version);

/* Transfer and activate, whatever the wire does.  True when the package runs on trial or is
 * confirmed; false when the device refused it or after too many steps. */
bool t_install(struct t_pair *p, const struct t_package *k);
bool t_confirm(struct t_pair *p, uint32_t version);

/* t_install, t_confirm, settle: in service with nothing left to do. */
bool t_put_in_service(struct t_pair *p, const struct t_package *k);
/* BEGIN on its own; the error of its STATUS.  BEGIN and every chunk; true when all arrived. */
int t_begin(struct t_pair *p, const struct t_package *k);
bool t_transfer(struct t_pair *p, const struct t_package *k);

/* Does the network in service answer as package k says it must? */
bool t_serves(struct t_pair *p, const struct t_package *k);
#endif
