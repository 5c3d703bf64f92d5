#include "link_mqtt.h"

#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

enum { KEEP_ALIVE_S = 15, CONNECT_BEATS = 10, PACKETS_MAX = 32 };

static void say_why(struct link_mqtt *m, const char *why)
{
	if (m->why[0] == '\0')
		(void)snprintf(m->why, sizeof m->why, "%s", why);
}

/* The same without a reason of the broker's: what may be behind it. */
static void say_lost(struct link_mqtt *m, const char *what)
{
	char why[128];

	(void)snprintf(why, sizeof why, "%s%s", what, m->bare && !m->subscribed
	               ? "; perhaps the broker wants a certificate of ours: cert_file, key_file" : "");
	say_why(m, why);
}

/* --- what libmosquitto tells ------------------------------------------------------------------ */

static void on_connect(struct mosquitto *c, void *ctx, int code)
{
	struct link_mqtt *m = ctx;

	if (code != 0)
		say_why(m, mosquitto_connack_string(code));
	else if (mosquitto_subscribe(c, NULL, m->up, m->qos) != MOSQ_ERR_SUCCESS)
		say_why(m, "cannot subscribe");
}

static void on_subscribe(struct mosquitto *c, void *ctx, int mid, int n, const int *granted)
{
	struct link_mqtt *m = ctx;

	(void)c;
	(void)mid;
	if (n == 1 && granted[0] <= 1)
		m->subscribed = true;
	else
		say_why(m, "the broker refuses the subscription");
}

static void on_publish(struct mosquitto *c, void *ctx, int mid)
{
	struct link_mqtt *m = ctx;

	(void)c;
	(void)mid;
	m->on_the_way -= m->on_the_way > 0;
}

static void on_message(struct mosquitto *c, void *ctx, const struct mosquitto_message *msg)
{
	struct link_mqtt *m = ctx;

	(void)c;
	if (!m->doomed && msg->payloadlen > 0)
		m->take(m->ctx, msg->payload, (size_t)msg->payloadlen, msg->retain);
}

/* What OpenSSL says, where there are better words. */
static const struct { const char *text, *means; } tls_words[] = {
	{ "host name verification failed", "the broker's certificate is for another name or address" },
	{ "certificate verify failed",
	  "the broker's certificate is not signed by ca_file, or has expired" },
	{ "wrong version number", "the broker does not speak TLS on this port" },
	{ "unexpected eof", "the broker has closed the connection; is TLS spoken on this port?" },
	{ "unsupported protocol", "the broker speaks an older TLS than tls_min" },
	{ "alert protocol version", "the broker speaks an older TLS than tls_min" },
	{ "certificate required", "the broker wants a certificate of ours: cert_file, key_file" },
	{ "alert unknown ca", "the broker does not know the authority of our certificate" },
};

static void on_log(struct mosquitto *c, void *ctx, int level, const char *text)
{
	struct link_mqtt *m = ctx;

	(void)c;
	if (level != MOSQ_LOG_ERR)
		return;
	for (size_t i = 0; i < sizeof tls_words / sizeof tls_words[0]; i++)
		if (strstr(text, tls_words[i].text))
			say_why(m, tls_words[i].means);
	say_why(m, text);
}

/* --- life ------------------------------------------------------------------------------------- */

static bool tls_use(struct mosquitto *c, const struct mqtt_settings *set)
{
	const char *cert = *set->cert_file ? set->cert_file : NULL;
	const char *key = *set->key_file ? set->key_file : NULL;
	char version[16];

	if (!*set->ca_file)
		return true;
	(void)snprintf(version, sizeof version, "tlsv%s", set->tls_min);
	return mosquitto_tls_set(c, set->ca_file, NULL, cert, key, NULL) == MOSQ_ERR_SUCCESS &&
	       mosquitto_tls_opts_set(c, 1 /* verify */, version, NULL) == MOSQ_ERR_SUCCESS &&
	       mosquitto_tls_insecure_set(c, set->any_name) == MOSQ_ERR_SUCCESS;
}

static struct mosquitto *client_new(struct link_mqtt *m, const struct mqtt_settings *set)
{
	/* a random name: a second gateway must not throw the first one out */
	struct mosquitto *c = mosquitto_new(NULL, true, m);

	if (!c)
		return NULL;
	mosquitto_connect_callback_set(c, on_connect);
	mosquitto_subscribe_callback_set(c, on_subscribe);
	mosquitto_publish_callback_set(c, on_publish);
	mosquitto_message_callback_set(c, on_message);
	mosquitto_log_callback_set(c, on_log);
	if (!tls_use(c, set)) {
		say_why(m, "ca_file, cert_file or key_file cannot be read");
		mosquitto_destroy(c);
		return NULL;
	}
	if (*set->user && mosquitto_username_pw_set(c, set->user, *set->password ? set->password : NULL)
	    != MOSQ_ERR_SUCCESS) {
		mosquitto_destroy(c);
		return NULL;
	}
	return c;
}

static int numeric(const struct addr *a, char *host, size_t cap)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->ip;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->ip;
	const bool is_v6 = a->ip.ss_family == AF_INET6;

	(void)inet_ntop(a->ip.ss_family, is_v6 ? (const void *)&v6->sin6_addr : &v4->sin_addr, host,
	                (socklen_t)cap);         /* cannot fail for what addr_parse made */
	return ntohs(is_v6 ? v6->sin6_port : v4->sin_port);
}

int mqtt_open(struct link_mqtt *m, const struct addr *a, const struct mqtt_settings *set,
              struct hn_err *err)
{
	char host[INET6_ADDRSTRLEN] = "";
	const int port = numeric(a, host, sizeof host);
	mqtt_take_fn *take = m->take;
	void *ctx = m->ctx;
	int rc;

	*m = (struct link_mqtt){ .take = take, .ctx = ctx, .qos = set->qos,
		.bare = *set->ca_file && !*set->cert_file };
	(void)snprintf(m->up, sizeof m->up, "%s/%s/up", set->prefix, set->uid);
	(void)snprintf(m->down, sizeof m->down, "%s/%s/down", set->prefix, set->uid);
	if (mosquitto_lib_init() == MOSQ_ERR_SUCCESS)    /* the first time; it counts nothing */
		m->client = client_new(m, set);
	if (!m->client) {
		(void)hn_fail(err, HN_ENOMEM, "%s", m->why[0] ? m->why : "no MQTT client");
		return -1;
	}
	rc = mosquitto_connect_async(m->client, host, port, KEEP_ALIVE_S);
	if (rc == MOSQ_ERR_SUCCESS && mosquitto_socket(m->client) >= 0)
		return mosquitto_socket(m->client);
	say_lost(m, rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
	(void)hn_fail(err, HN_EIO, "cannot connect: %s", m->why);
	mqtt_close(m);
	return -1;
}

void mqtt_close(struct link_mqtt *m)
{
	if (m->busy) {                   /* libmosquitto is still to return from our callback */
		m->doomed = true;
		return;
	}
	if (m->client)
		mosquitto_destroy(m->client);    /* closes the socket */
	m->client = NULL;
	m->subscribed = m->doomed = false;
}

/* --- moving ----------------------------------------------------------------------------------- */

/* Around each call that may call back. */
static bool after(struct link_mqtt *m, int rc)
{
	m->busy = false;
	if (m->doomed) {
		mqtt_close(m);
		return false;
	}
	if (rc != MOSQ_ERR_SUCCESS)
		say_lost(m, rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
	if (mosquitto_socket(m->client) < 0)     /* libmosquitto has closed it and says no more */
		say_lost(m, "the broker has closed the connection");
	return m->why[0] == '\0';
}

bool mqtt_read(struct link_mqtt *m)
{
	m->busy = true;
	return after(m, mosquitto_loop_read(m->client, PACKETS_MAX));
}

bool mqtt_write(struct link_mqtt *m)
{
	m->busy = true;
	return after(m, mosquitto_loop_write(m->client, PACKETS_MAX));
}

bool mqtt_beat(struct link_mqtt *m)
{
	if (!m->subscribed && ++m->beats > CONNECT_BEATS) {
		say_why(m, "the broker does not answer");
		return false;
	}
	m->busy = true;
	return after(m, mosquitto_loop_misc(m->client));
}

bool mqtt_wants_write(const struct link_mqtt *m)
{
	return m->client && mosquitto_want_write(m->client);
}

bool mqtt_has_room(const struct link_mqtt *m)
{
	return m->subscribed && m->on_the_way < MQTT_ON_THE_WAY_MAX && !mosquitto_want_write(m->client);
}

bool mqtt_send(struct link_mqtt *m, const uint8_t *bytes, size_t n)
{
	m->on_the_way++;
	m->busy = true;
	return after(m, mosquitto_publish(m->client, NULL, m->down, (int)n, bytes, m->qos, false));
}
