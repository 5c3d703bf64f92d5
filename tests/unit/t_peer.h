/* t_peer.h - the gateway's end of a link and a device, over a wire that hurts frames. */
#ifndef T_PEER_H
#define T_PEER_H

#include "hd_device.h"
#include "hn_package.h"
#include "hn_peer.h"
#include "hn_rng.h"
#include "t_hd_flash.h"
#include "t_hd_package.h"

enum { T_QUEUE = 64, T_STEP_US = 1000 };

struct t_packet { uint8_t bytes[HD_WIRE_MAX]; size_t n; int64_t due_us; };
struct t_pipe { struct t_packet q[T_QUEUE]; int n; };

struct t_peer {
	struct t_flash flash;
	struct hd_device dev;
	struct hd_config cfg;
	uint32_t arena[16384];
	struct hn_peer peer;
	struct t_pipe down, up;
	struct hd_rx rx;
	struct hn_rng rng;
	unsigned noise;          /* per mille of packets lost, hurt or repeated, each way */
	int64_t now_us, delay_us;
	uint8_t seq;
	unsigned events[16], said;
	bool hold_trial;         /* do not confirm                                       */
	uint32_t boots;
	uint8_t payload[T_PAYLOAD_MAX] __attribute__((aligned(4)));
	struct hn_package_out out;
	struct hn_peer_package k;
};
extern struct t_peer t_p;

void t_peer_setup(void);
void t_peer_teardown(void);
void t_peer_boot(void);                  /* of the device */
void t_peer_gateway(void);               /* of the gateway: it remembers nothing */
void t_peer_step(void);
/* The package that t_p.k views: small, with weights of `seed`. */
void t_peer_make_package(uint32_t version, uint64_t seed);
/* A message that no device sent: it comes after all that were heard. */
enum hn_peer_event t_peer_forge(uint8_t type, uint16_t session, const uint8_t *body, size_t len);
/* Until the event has been seen. */
bool t_peer_run_until(enum hn_peer_event e, int64_t limit_us);
/* A swap that must succeed. */
void t_peer_swap(uint32_t version, uint64_t seed);
#endif
