/* The simulated device behind an MQTT broker: each frame is a message, none is retained. */
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sim_link.h"
#include "sim_options.h"

enum { KEEP_ALIVE_S = 15, PACKETS_MAX = 32 };

static void on_connect(struct mosquitto *c, void *ctx, int code)
{
	const struct sim_link *l = ctx;

	if (code == 0)
		(void)mosquitto_subscribe(c, NULL, l->down, 0);  /* a failure shows as silence */
}

/* What does not fit is lost, as on a wire. */
static void on_message(struct mosquitto *c, void *ctx, const struct mosquitto_message *m)
{
	struct sim_link *l = ctx;

	(void)c;
	if (m->retain || m->payloadlen <= 0 || (size_t)m->payloadlen > sizeof l->in - l->in_len)
		return;
	memcpy(l->in + l->in_len, m->payload, (size_t)m->payloadlen);
	l->in_len += (size_t)m->payloadlen;
}

static int mqtt_open(struct sim_link *l)
{
	const char *slash = strchr(l->address, '/'), *colon = strchr(l->address, ':');

	if (!slash || !colon || colon > slash || strlen(slash + 1) == 0
	    || strlen(slash + 1) > sizeof l->up - sizeof "/down")
		return sim_fail(EX_USAGE, "--link mqtt:%s: HOST:PORT/TOPIC is needed", l->address);
	(void)snprintf(l->up, sizeof l->up, "%s/up", slash + 1);
	(void)snprintf(l->down, sizeof l->down, "%s/down", slash + 1);
	return mosquitto_lib_init() == MOSQ_ERR_SUCCESS ? 0 : sim_fail(EX_SOFTWARE, "no MQTT");
}

static void mqtt_lost(struct sim_link *l)
{
	if (l->client)
		mosquitto_destroy(l->client);    /* closes the socket */
	l->client = NULL;
	l->fd = -1;
}

static bool mqtt_seek(struct sim_link *l)
{
	const char *colon = strchr(l->address, ':');
	char host[64];

	if ((size_t)(colon - l->address) >= sizeof host)
		return false;
	memcpy(host, l->address, (size_t)(colon - l->address));
	host[colon - l->address] = '\0';
	l->client = mosquitto_new(NULL, true, l);
	if (!l->client)
		return false;
	mosquitto_connect_callback_set(l->client, on_connect);
	mosquitto_message_callback_set(l->client, on_message);
	if (mosquitto_connect(l->client, host, (int)strtol(colon + 1, NULL, 10), KEEP_ALIVE_S)
	    != MOSQ_ERR_SUCCESS) {
		mqtt_lost(l);
		return false;
	}
	l->fd = mosquitto_socket(l->client);
	return true;
}

/* Publish the frames that are complete: each ends with a zero. */
static bool publish(struct sim_link *l)
{
	size_t done = 0;

	while (done < l->out_len && !mosquitto_want_write(l->client)) {
		const uint8_t *end = memchr(l->out + done, 0, l->out_len - done);
		const size_t n = end ? (size_t)(end - l->out) + 1 - done : l->out_len - done;

		if (mosquitto_publish(l->client, NULL, l->up, (int)n, l->out + done, 0, false)
		    != MOSQ_ERR_SUCCESS)
			return false;
		done += n;
	}
	l->out_len -= done;
	memmove(l->out, l->out + done, l->out_len);
	return true;
}

static bool mqtt_run(struct sim_link *l, short revents)
{
	if ((revents & (POLLIN | POLLHUP | POLLERR))
	    && mosquitto_loop_read(l->client, PACKETS_MAX) != MOSQ_ERR_SUCCESS)
		return false;
	if (mosquitto_want_write(l->client)
	    && mosquitto_loop_write(l->client, PACKETS_MAX) != MOSQ_ERR_SUCCESS)
		return false;
	return publish(l) && mosquitto_loop_misc(l->client) == MOSQ_ERR_SUCCESS;
}

static bool mqtt_wants_write(const struct sim_link *l)
{
	return l->out_len > 0 || mosquitto_want_write(l->client);
}

const struct sim_link_kind sim_mqtt_kind = {
	.name = "mqtt", .open = mqtt_open, .seek = mqtt_seek, .run = mqtt_run,
	.wants_write = mqtt_wants_write, .lost = mqtt_lost
};
