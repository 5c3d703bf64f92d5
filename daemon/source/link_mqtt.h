/* link_mqtt.h - one device behind an MQTT broker: topics PREFIX/UID/up and PREFIX/UID/down.
 *
 * A message holds whole frames, as they are on a line, and is never retained.  libmosquitto brings
 * its own socket; it is driven from the loop, without a thread. */
#ifndef LINK_MQTT_H
#define LINK_MQTT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hn_status.h"
#include "src_addr.h"

struct mosquitto;

struct mqtt_settings {
	const char *prefix, *uid;        /* of the topics                                      */
	const char *user, *password;     /* "" = none                                          */
	int qos;                         /* 0 or 1: our own repeats come on top                */
	const char *ca_file;             /* PEM; "" = no TLS                                   */
	const char *cert_file, *key_file;/* "" = none: the user's name is enough               */
	const char *tls_min;             /* "1.2" or "1.3"                                     */
	bool any_name;                   /* the certificate's name does not matter             */
};

/* What came up; `retained`: kept by the broker from some earlier time. */
typedef void mqtt_take_fn(void *ctx, const uint8_t *bytes, size_t n, bool retained);

struct link_mqtt {
	struct mosquitto *client;        /* NULL = closed                                      */
	mqtt_take_fn *take;
	void *ctx;
	char up[128], down[128];
	int  qos, on_the_way, beats;     /* on_the_way: published, not yet gone or acknowledged */
	bool subscribed, busy, doomed;   /* busy: inside a callback; doomed: free it after     */
	bool bare;                       /* TLS without a certificate of ours                  */
	char why[160];                   /* the broker's refusal, or ours of its certificate   */
};

enum { MQTT_ON_THE_WAY_MAX = 16 };

/* Begin to connect.  Returns the descriptor to watch, or -1 with the reason. */
int mqtt_open(struct link_mqtt *m, const struct addr *a, const struct mqtt_settings *set,
              struct hn_err *err);
void mqtt_close(struct link_mqtt *m);

/* The descriptor is readable / writable, or a second has passed.  False: the connection is gone;
 * m->why or errno text says why. */
bool mqtt_read(struct link_mqtt *m);
bool mqtt_write(struct link_mqtt *m);
bool mqtt_beat(struct link_mqtt *m);

bool mqtt_wants_write(const struct link_mqtt *m);
/* Is there room for one more? */
bool mqtt_has_room(const struct link_mqtt *m);
bool mqtt_send(struct link_mqtt *m, const uint8_t *bytes, size_t n);
#endif
