/* A device behind an MQTT broker: the transport of link_mqtt.h. */
#include "src_link.h"

/* Each message holds whole frames: half a frame of the last one is worth nothing. */
static void broker_take(void *ctx, const uint8_t *bytes, size_t n, bool retained)
{
	static const uint8_t end = 0;
	struct source *s = ctx;
	struct link_state *st = s->state;

	if (retained) {
		source_refuse(s, REFUSED_RETAINED, 1, "a retained message of %zu bytes: an old one", n);
		return;
	}
	if (bytes[n - 1] != 0 && st->up) {
		link_take(s, bytes, n);
		link_take(s, &end, 1);
		return;
	}
	link_take(s, bytes, n);
}

static bool say(struct link_state *st, bool good, struct hn_err *why)
{
	if (!good)
		(void)hn_fail(why, HN_EIO, "%s", st->mqtt.why[0] ? st->mqtt.why : "the broker is gone");
	return good;
}

static int broker_open(struct source *s, struct hn_err *why)
{
	struct link_state *st = s->state;
	const struct mqtt_settings set = { .prefix = st->set->prefix, .uid = st->uid, .qos = st->set->qos,
		.user = st->set->user, .password = st->set->password, .ca_file = st->set->ca_file,
		.cert_file = st->set->cert_file, .key_file = st->set->key_file,
		.tls_min = st->set->tls_min ? "1.3" : "1.2", .any_name = st->set->tls_any_name };

	st->mqtt.take = broker_take;
	st->connecting = true;
	return mqtt_open(&st->mqtt, &st->addr, &set, why);
}

static bool broker_move(struct link_state *st, int events)
{
	if ((events & UV_READABLE) && !mqtt_read(&st->mqtt))
		return false;
	return !mqtt_wants_write(&st->mqtt) || mqtt_write(&st->mqtt);
}

static bool broker_connect(struct source *s, int events, struct hn_err *why)
{
	struct link_state *st = s->state;
	const bool good = broker_move(st, events);

	st->connecting = !st->mqtt.subscribed;
	return say(st, good, why);
}

static bool broker_read(struct source *s, struct hn_err *why)
{
	struct link_state *st = s->state;

	return say(st, broker_move(st, UV_READABLE), why);
}

static bool broker_write(struct source *s, struct hn_err *why)
{
	struct link_state *st = s->state;

	if (!say(st, broker_move(st, 0), why))
		return false;
	while (st->len > 0 && mqtt_has_room(&st->mqtt)) {
		const struct link_wire *w = &st->queue[st->head];

		if (!say(st, mqtt_send(&st->mqtt, w->bytes, w->len), why))
			return false;
		st->head = (st->head + 1) % LINK_QUEUE_MAX;
		st->len--;
	}
	return true;
}

static bool broker_beat(struct source *s, struct hn_err *why)
{
	struct link_state *st = s->state;

	return say(st, mqtt_beat(&st->mqtt), why);
}

/* Not while the broker has to acknowledge first: it would be writable all the time. */
static bool broker_wants_write(const struct link_state *st)
{
	return mqtt_wants_write(&st->mqtt) || (st->len > 0 && mqtt_has_room(&st->mqtt));
}

static void broker_close(struct link_state *st)
{
	mqtt_close(&st->mqtt);
}

const struct link_transport link_broker = {
	.open = broker_open, .connect = broker_connect, .read = broker_read, .write = broker_write,
	.beat = broker_beat, .wants_write = broker_wants_write, .close = broker_close,
};
