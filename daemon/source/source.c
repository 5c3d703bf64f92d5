#include "source.h"

#include <stdlib.h>
#include <string.h>
#include "source_drv.h"

/* --- the table: a new driver is a file and a row in each of these two ------------------------ */
const struct source_driver *const source_drivers[] = { &src_file, &src_line, &src_link, NULL };

static const struct conf_driver *const conf_drivers[] = {
	&src_file.conf, &src_line.conf, &src_link.conf, NULL
};

enum { DRIVERS = sizeof conf_drivers / sizeof conf_drivers[0] - 1 };

const struct conf_driver *const *source_conf_drivers(void)
{
	return conf_drivers;
}

static void add_metrics(struct source *s)
{
	char labels[HN_NAME_MAX + 16];

	(void)snprintf(labels, sizeof labels, "source=\"%s\"", s->conf->name);
	s->m_frames = metric_counter("honed_source_frames_total", labels,
	                             "Frames that a source delivered.");
	s->m_bytes = metric_counter("honed_source_bytes_total", labels,
	                            "Bytes that a source received.");
	s->m_dropped = metric_counter("honed_source_dropped_total", labels,
	                              "Frames lost: the store was full and the source cannot wait.");
	s->m_up = metric_gauge("honed_source_up", labels,
	                       "1 while a source is connected or listening.");
}

static hn_status source_open(struct source *s, struct hn_err *err)
{
	if (s->conf->type < 0 || s->conf->type >= DRIVERS)
		return hn_fail(err, HN_EINVAL, "source %s has no driver", s->conf->name);
	s->driver = source_drivers[s->conf->type];
	s->state = calloc(1, s->driver->state_bytes);
	if (!s->state)
		return hn_fail(err, HN_ENOMEM, "source %s: out of memory", s->conf->name);
	add_metrics(s);
	return s->driver->open(s, err);
}

hn_status sources_open(struct sources **out, uv_loop_t *loop, const struct conf *conf,
                       const struct source_hooks *hooks, struct hn_err *err)
{
	size_t n = (size_t)conf->n_sources;
	struct sources *all = calloc(1, sizeof *all + n * sizeof all->item[0]);
	hn_status rc = HN_OK;

	if (!all)
		return hn_fail(err, HN_ENOMEM, "out of memory for %zu sources", n);
	all->loop = loop;
	all->conf = conf;
	all->hooks = *hooks;
	all->refs = 1;
	while (all->n < conf->n_sources && rc == HN_OK) {
		struct source *s = &all->item[all->n];

		s->all = all;
		s->index = all->n++;
		s->conf = &conf->sources[s->index];
		rc = source_open(s, err);
	}
	if (rc)
		sources_close(all);
	else
		*out = all;
	return rc;
}

void sources_close(struct sources *all)
{
	if (!all)
		return;
	all->closing = true;
	for (int i = 0; i < all->n; i++)
		if (all->item[i].state)
			all->item[i].driver->close(&all->item[i]);
	if (all->n > 0)
		source_unref(&all->item[0]);
	else
		free(all);
}

static void set_paused(struct source *s, bool held, bool full)
{
	bool before = s->held || s->full;

	s->held = held;
	s->full = full;
	if (before != (held || full))
		s->driver->pause(s, held || full);
}

void sources_hold(struct sources *all, bool held)
{
	for (int i = 0; i < all->n; i++)
		if (all->item[i].replay)
			set_paused(&all->item[i], held, all->item[i].full);
}

void sources_resume(struct sources *all)
{
	for (int i = 0; i < all->n; i++)
		if (all->item[i].can_wait)
			set_paused(&all->item[i], all->item[i].held, false);
}

hn_status sources_send(struct sources *all, int source, uint8_t type, uint16_t session,
                       const uint8_t *body, size_t len)
{
	struct source *s;

	if (source < 0 || source >= all->n || !all->item[source].driver->send)
		return HN_EINVAL;
	s = &all->item[source];
	return s->driver->send(s, type, session, body, len);
}

hn_status sources_time(const struct sources *all, int source, uint32_t tick_us, int64_t *event_us)
{
	const struct source *s;

	if (source < 0 || source >= all->n || !all->item[source].driver->time)
		return HN_EINVAL;
	s = &all->item[source];
	return s->driver->time(s, tick_us, event_us);
}

const struct hn_account *sources_account(const struct sources *all, int source, double *byte_uj)
{
	if (source < 0 || source >= all->n || !all->item[source].driver->account)
		return NULL;
	return all->item[source].driver->account(&all->item[source], byte_uj);
}

void sources_reject(struct sources *all, int source)
{
	if (source >= 0 && source < all->n && all->item[source].driver->reject)
		all->item[source].driver->reject(&all->item[source]);
}

int sources_ask(struct sources *all, int stream, const int64_t *event_us, int n)
{
	int given = 0;

	for (int i = 0; i < all->n; i++)
		if (all->item[i].driver->ask)
			given += all->item[i].driver->ask(&all->item[i], stream, event_us, n);
	return given;
}

static const char *state_name(const struct source *s)
{
	static const char *const names[SOURCE_STATES] = {
		[SOURCE_WAITING] = "waiting", [SOURCE_UP] = "up", [SOURCE_ENDED] = "ended"
	};

	if (s->status == SOURCE_UP && (s->held || s->full))
		return s->held ? "held" : "full";
	return names[s->status];
}

static json_t *source_json(const struct source *s)
{
	json_t *refused = json_object(), *o;

	for (int i = 0; i < REFUSED_REASONS; i++)
		if (s->refused[i])
			(void)json_object_set_new(refused, source_reasons[i],
			                          json_integer((json_int_t)s->refused[i]));
	o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "name", s->conf->name,
	              "type", s->driver->conf.name, "state", state_name(s),
	              "frames", (json_int_t)s->frames, "bytes", (json_int_t)s->bytes,
	              "dropped", (json_int_t)s->dropped, "refused", refused);
	if (o && s->driver->json)
		s->driver->json(s, o);
	return o;
}

json_t *sources_json(const struct sources *all)
{
	json_t *list = json_array();

	for (int i = 0; i < all->n; i++)
		(void)json_array_append_new(list, source_json(&all->item[i]));
	return list;
}
