#include "t_source.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf_value.h"
#include "log.h"

int64_t t_time_us(int i)
{
	return INT64_C(1700000000000000) + (int64_t)i * 10000;
}

static hn_status on_frame(void *ctx, const struct hn_frame *f)
{
	struct t_source *t = ctx;

	if (t->room == 0) {
		t->n_full++;
		return HN_EFULL;
	}
	if (t->room > 0)
		t->room--;
	ck_assert_int_lt(t->n_frames, T_FRAMES_MAX);
	t->frames[t->n_frames++] = *f;
	return HN_OK;
}

static void on_label(void *ctx, int stream, int64_t t0_us, int64_t t1_us, double value)
{
	struct t_source *t = ctx;

	ck_assert_int_eq(stream, 0);
	ck_assert_int_lt(t->n_labels, T_FRAMES_MAX);
	t->labels[t->n_labels++] = (struct t_label){ t0_us, t1_us, value };
}

static void on_message(void *ctx, int source, const struct hd_frame *f)
{
	struct t_source *t = ctx;
	struct t_message *m = &t->message[t->n_messages % T_MESSAGES_MAX];

	ck_assert_int_eq(source, 0);
	ck_assert_uint_le(f->len, sizeof m->body);
	*m = (struct t_message){ .type = f->type, .session = f->session, .len = f->len };
	memcpy(m->body, f->body, f->len);
	t->n_messages++;
}

static void on_link(void *ctx, int source, bool up)
{
	struct t_source *t = ctx;

	ck_assert_int_eq(source, 0);
	if (up)
		t->n_up++;
	else
		t->n_down++;
	ck_assert(t->n_up - t->n_down == 0 || t->n_up - t->n_down == 1);
}

static void on_end(void *ctx, int source)
{
	struct t_source *t = ctx;

	ck_assert_int_eq(source, 0);
	t->n_end++;
}

static int driver_index(const char *name)
{
	for (int i = 0; source_drivers[i]; i++)
		if (strcmp(source_drivers[i]->conf.name, name) == 0)
			return i;
	return -1;
}

static void conf_fill(struct conf *c, const char *driver)
{
	static const char *const names[T_CHANNELS] = { "a", "b", "c" };
	struct conf_source *s = &c->sources[0];
	struct conf_stream *v = &c->streams[0];

	c->n_sources = c->n_streams = c->n_devices = 1;
	(void)snprintf(s->name, sizeof s->name, "src");
	s->type = driver_index(driver);
	conf_value_defaults(source_drivers[s->type]->conf.rows, s->settings);
	(void)snprintf(v->name, sizeof v->name, "vib");
	(void)snprintf(v->source, sizeof v->source, "src");
	v->n_channels = T_CHANNELS;
	for (int i = 0; i < T_CHANNELS; i++) {
		(void)snprintf(v->channels[i].name, HN_NAME_MAX, "%s", names[i]);
		v->channels[i].scale = 1;
	}
	(void)snprintf(c->devices[0].name, HN_NAME_MAX, "dev");
	(void)snprintf(c->devices[0].source, HN_NAME_MAX, "src");
	(void)snprintf(c->devices[0].stream, HN_NAME_MAX, "vib");
}

static void on_tick(uv_timer_t *h)
{
	struct t_source *t = h->data;

	if (t->refill == 0 || t->room != 0)
		return;
	t->room = t->refill;
	t->n_refills++;
	sources_resume(t->sources);
}

void t_source_init(struct t_source *t, const char *driver)
{
	memset(t, 0, sizeof *t);
	log_set_level(LOG_ERR);
	t->room = t->peer = t->listener = -1;
	t->conf = calloc(1, sizeof *t->conf);
	t->frames = calloc(T_FRAMES_MAX, sizeof *t->frames);
	t->labels = calloc(T_FRAMES_MAX, sizeof *t->labels);
	ck_assert(t->conf && t->frames && t->labels);
	conf_fill(t->conf, driver);
	t_dir_make(&t->dir);
	ck_assert_int_eq(uv_loop_init(&t->loop), 0);
	ck_assert_int_eq(uv_timer_init(&t->loop, &t->tick), 0);
	t->tick.data = t;
	ck_assert_int_eq(uv_timer_start(&t->tick, on_tick, 5, 5), 0);
}

void t_source_set(struct t_source *t, const char *key, const char *value)
{
	struct conf_source *s = &t->conf->sources[0];
	const struct conf_row *r = conf_row_find(source_drivers[s->type]->conf.rows, key);
	char why[CONF_WHY_MAX] = "";

	ck_assert_msg(r != NULL, "no row %s", key);
	ck_assert_msg(conf_value_set(r, s->settings, value, why), "%s: %s", key, why);
}

void t_source_path(const struct t_source *t, const char *name, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%s/%s", t->dir.path, name);
}

hn_status t_source_open(struct t_source *t, struct hn_err *err)
{
	const struct source_hooks hooks = {
		.ctx = t, .on_frame = on_frame, .on_label = on_label, .on_message = on_message,
		.on_link = on_link, .on_end = on_end
	};

	return sources_open(&t->sources, &t->loop, t->conf, &hooks, err);
}

void t_source_start(struct t_source *t, const struct t_kit *kit)
{
	struct hn_err err = { .code = HN_OK };

	t_source_init(t, kit->driver);
	kit->setup(t);
	ck_assert_msg(t_source_open(t, &err) == HN_OK, "%s: %s", kit->name, err.text);
	kit->connect(t);
}

bool t_source_run(struct t_source *t, bool (*done)(const struct t_source *t), double max_s)
{
	uint64_t end = uv_hrtime() + (uint64_t)(max_s * 1e9);

	while (!done(t)) {
		if (uv_hrtime() > end)
			return false;
		(void)uv_run(&t->loop, UV_RUN_ONCE);
	}
	return true;
}

static bool never(const struct t_source *t)
{
	(void)t;
	return false;
}

void t_source_spin(struct t_source *t, double s)
{
	(void)t_source_run(t, never, s);
}

bool t_source_wait_frames(struct t_source *t, int n)
{
	uint64_t end = uv_hrtime() + UINT64_C(10000000000);

	while (t->n_frames < n && uv_hrtime() < end)
		(void)uv_run(&t->loop, UV_RUN_ONCE);
	return t->n_frames >= n;
}

void t_source_send(struct t_source *t, const void *bytes, size_t len)
{
	const char *p = bytes;
	uint64_t end = uv_hrtime() + UINT64_C(10000000000);

	while (len > 0) {
		ssize_t n = write(t->peer, p, len < 32768 ? len : 32768);

		ck_assert_msg(n >= 0 || errno == EAGAIN || errno == ENOBUFS, "%s", strerror(errno));
		ck_assert_msg(uv_hrtime() < end, "the source does not read");
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else {
			(void)uv_run(&t->loop, UV_RUN_ONCE);
		}
	}
}

void t_source_send_frames(struct t_source *t, const struct t_kit *kit, int from, int n)
{
	char buf[512];

	for (int i = from; i < from + n; i++) {
		t_source_send(t, buf, kit->encode(i, buf, sizeof buf));
		if (!kit->stream)               /* a datagram finds its buffer empty */
			(void)uv_run(&t->loop, UV_RUN_NOWAIT);
	}
}

void t_source_disconnect(struct t_source *t)
{
	if (t->peer >= 0)
		(void)close(t->peer);
	t->peer = -1;
}

int64_t t_source_count(const struct t_source *t, const char *key)
{
	json_t *list = sources_json(t->sources), *o = json_array_get(list, 0);
	json_t *v = json_object_get(o, key);
	int64_t n;

	if (!v)
		v = json_object_get(json_object_get(o, "refused"), key);
	n = v ? json_integer_value(v) : 0;
	json_decref(list);
	return n;
}

int64_t t_source_refused(const struct t_source *t)
{
	json_t *list = sources_json(t->sources), *v;
	const char *key;
	int64_t n = 0;

	json_object_foreach(json_object_get(json_array_get(list, 0), "refused"), key, v)
		n += json_integer_value(v);
	json_decref(list);
	return n;
}

void t_source_stop(struct t_source *t)
{
	sources_close(t->sources);
	t->sources = NULL;
	uv_close((uv_handle_t *)&t->tick, NULL);
	t_source_disconnect(t);
	if (t->listener >= 0)
		(void)close(t->listener);
	(void)uv_run(&t->loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&t->loop), 0);
	t_dir_remove(&t->dir);
	free(t->conf);
	free(t->frames);
	free(t->labels);
}

bool t_frame_is(const struct t_source *t, int k, int i)
{
	const struct hn_frame *f = &t->frames[k];

	return f->stream == 0 && f->n == T_CHANNELS && f->raw[0] == i && f->raw[1] == -i
	    && f->raw[2] == i % 7;
}

void t_write_csv(const struct t_source *t, const char *name, int n, char *path, size_t cap)
{
	FILE *f;

	t_source_path(t, name, path, cap);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	(void)fprintf(f, "time,c,truth,a,b\n");
	for (int i = 0; i < n; i++)
		(void)fprintf(f, "%lld,%d,%d,%d,%d\n", (long long)t_time_us(i), i % 7, i % 5 + 1, i,
		              -i);
	ck_assert_int_eq(fclose(f), 0);
}
