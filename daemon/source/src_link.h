/* src_link.h - private to the link source: its state, and the samples that come over it. */
#ifndef SRC_LINK_H
#define SRC_LINK_H

#include "hd_msg.h"
#include "hn_account.h"
#include "link_clock.h"
#include "link_mqtt.h"
#include "source_drv.h"
#include "src_addr.h"

enum {
	LINK_QUEUE_MAX = 64,             /* frames to the device                               */
	LINK_HISTORY = 32                /* messages whose times are remembered                */
};

struct link_settings {
	char port[CONF_TEXT_MAX];
	int baud, qos;
	char prefix[64], user[64], password[128];
	char ca_file[128], cert_file[128], key_file[128];
	int tls_min;
	bool tls_any_name;
	double byte_uj;
};

struct link_state;

/* How bytes get to a device and back.  `false` and a text in `why`: the link is down. */
struct link_transport {
	/* Begin to connect: the descriptor, or -1.  Sets st->connecting when it takes longer. */
	int  (*open)(struct source *s, struct hn_err *why);
	/* While connecting: what poll said.  st->connecting becomes false when it is done. */
	bool (*connect)(struct source *s, int events, struct hn_err *why);
	bool (*read)(struct source *s, struct hn_err *why);
	bool (*write)(struct source *s, struct hn_err *why);     /* the queue, as far as it goes */
	bool (*beat)(struct source *s, struct hn_err *why);      /* each second; may be NULL     */
	bool (*wants_write)(const struct link_state *st);
	void (*close)(struct link_state *st);
};
extern const struct link_transport link_stream, link_broker;

/* A message of samples and the wall time that its first frame was given. */
struct link_given { struct link_stamp m; int64_t first_us; };

struct link_wire { uint16_t len; uint8_t bytes[HD_WIRE_MAX]; };

struct link_state {
	const struct link_settings *set;
	const struct link_transport *how;
	struct addr addr;
	struct link_mqtt mqtt;
	const char *uid;                 /* of its device in the configuration; "" = none      */
	unsigned tries;                  /* connections begun: which of several ports          */
	struct hn_account account;
	int stream;                      /* -1 = no device of the configuration is here        */
	bool sketched;                   /* windows between those that come are not lost       */
	int fd;                          /* -1 = closed                                        */
	bool up, connecting, polling;    /* polling: from the handle's init to its close       */
	uv_poll_t poll;
	uv_timer_t retry;
	struct hd_rx rx;
	uint32_t refused_told;           /* rx.refused that has been counted                   */
	struct link_clock clock;
	struct link_given history[LINK_HISTORY];
	unsigned n_given;                /* newest at (n_given - 1) % LINK_HISTORY; 0 = none   */
	struct hn_frame frame;
	uint8_t seq;
	struct link_wire queue[LINK_QUEUE_MAX];
	unsigned head, len, sent;        /* sent: bytes of queue[head]                         */
	uint64_t lost, restarts;
	struct metric *m_lost, *m_restarts, *m_traffic[HN_WAYS];
};

/* Received bytes: frames to where they belong. */
void link_take(struct source *s, const uint8_t *bytes, size_t n);

/* Body of a SAMPLES message: to frames and on, or counted as refused. */
void link_samples(struct source *s, const uint8_t *body, size_t len);

/* See source_driver.time. */
hn_status link_time(const struct source *s, uint32_t tick_us, int64_t *event_us);
#endif
