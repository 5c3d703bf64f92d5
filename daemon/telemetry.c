/* Sketches of devices that do not send every window: to the monitor and to counters.  An alarm on
 * such a stream asks its device for raw windows: labels and training need them. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hd_sketch.h"
#include "honed.h"
#include "log.h"
#include "metrics.h"

/* What is put together of the messages of one sketch, and what was reported. */
struct telemetry {
	struct hd_sketch_report last;            /* of the newest message                        */
	double   sum[HN_CHANNELS_MAX], sum2[HN_CHANNELS_MAX];
	uint32_t have;                           /* channels put together                        */
	uint64_t sketches, exceptions, frames, stuck, clip, refused;
	int64_t  seen_us;                        /* event time of the last complete one          */
	int64_t  pulled_us;
	struct metric *m_sketches, *m_exceptions, *m_stuck, *m_clip;
};

static struct telemetry *of(const struct honed *h, int device)
{
	return &h->telemetry[device];
}

static int64_t event_time(const struct honed *h, int device, uint32_t tick_us)
{
	const int source = conf_source_find(h->conf, h->conf->devices[device].source);
	int64_t t;

	return sources_time(h->sources, source, tick_us, &t) == HN_OK ? t : clock_now_us();
}

static void count(struct telemetry *t, const struct hd_sketch_report *r)
{
	if (r->first == 0) {
		t->sketches++;
		t->frames += r->frames;
		t->exceptions += r->reason != HD_REASON_HEARTBEAT;
		metric_add(t->m_sketches, 1);
		metric_add(t->m_exceptions, r->reason != HD_REASON_HEARTBEAT);
	}
	for (int c = 0; c < r->n; c++) {
		t->stuck += r->channel[c].stuck;
		t->clip += r->channel[c].clip;
		metric_add(t->m_stuck, r->channel[c].stuck);
		metric_add(t->m_clip, r->channel[c].clip);
	}
}

/* Add the message's channels; true when the sketch is complete. */
static bool collect(struct telemetry *t, const struct hd_sketch_report *r)
{
	if (r->first == 0)
		t->have = 0;
	if (r->first != t->have || (t->have > 0 && r->stamp.count != t->last.stamp.count)) {
		t->have = 0;             /* a part was lost: this one is not judged */
		return false;
	}
	for (int c = 0; c < r->n; c++) {
		t->sum[r->first + c] = (double)r->channel[c].sum;
		t->sum2[r->first + c] = (double)r->channel[c].sum2;
	}
	t->have += r->n;
	t->last = *r;
	return t->have == r->n_ch;
}

static void judge(struct honed *h, int device, struct telemetry *t)
{
	const int stream = conf_stream_find(h->conf, h->conf->devices[device].stream);
	const struct monitor_sketch s = { .stream = stream, .n_ch = t->last.n_ch,
		.frames = t->last.frames, .sum = t->sum, .sum2 = t->sum2,
		.event_us = event_time(h, device, t->last.stamp.tick_us) };

	t->seen_us = s.event_us;
	for (int m = 0; m < h->conf->n_models; m++)
		if (intake_uses(h, m, stream) && s.event_us > h->cycle[m].now_us)
			h->cycle[m].now_us = s.event_us;
	monitor_sketch(h->monitor, &s);
}

void telemetry_sketch(void *ctx, int device, const uint8_t *body, size_t len)
{
	struct honed *h = ctx;
	const struct conf_device *d = &h->conf->devices[device];
	struct telemetry *t = of(h, device);
	const int stream = conf_stream_find(h->conf, d->stream);
	struct hd_sketch_report r;

	if (stream < 0 || hd_sketch_read(&r, body, len) != HD_OK || r.n_ch > HN_CHANNELS_MAX
	    || r.n_ch != h->conf->streams[stream].n_channels) {
		if (t->refused++ == 0)
			log_warn("event=sketch_refused device=%s advice=\"does stream %s have the device's channels?\"",
			         d->name, d->stream);
		return;
	}
	count(t, &r);
	if (r.first == 0 && r.reason != HD_REASON_HEARTBEAT)
		(void)journal_add(h->journal, (struct journal_entry){ .kind = "exception",
			.device = d->name, .stream = d->stream,
			.reason = r.reason == HD_REASON_MEAN ? "the device says that the mean of a channel has moved"
			                                     : "the device says that its margins have moved",
			.evidence = json_pack("{si si}", "windows", r.windows, "frames", (int)r.frames) });
	if (collect(t, &r))
		judge(h, device, t);
}

void telemetry_alarm(struct honed *h, int model)
{
	struct hn_err err;

	for (int i = 0; i < h->conf->n_devices; i++) {
		const struct conf_device *d = &h->conf->devices[i];

		if (d->telemetry == HD_TELEMETRY_RAW || d->pull == 0
		    || !intake_uses(h, model, conf_stream_find(h->conf, d->stream)))
			continue;
		err = (struct hn_err){ .code = HN_OK };
		(void)telemetry_pull(h, i, d->pull, "monitor", &err);    /* journalled when it went out */
	}
}

hn_status telemetry_pull(struct honed *h, int device, int windows, const char *actor,
                         struct hn_err *err)
{
	const struct conf_device *d = &h->conf->devices[device];
	const hn_status rc = deploy_pull(h->deploy, device, windows, err);

	if (rc != HN_OK)
		return rc;
	of(h, device)->pulled_us = clock_now_us();
	(void)journal_add(h->journal, (struct journal_entry){ .kind = "pull", .device = d->name,
		.stream = d->stream, .actor = actor, .reason = "raw windows are asked for",
		.evidence = json_pack("{si}", "windows", windows) });
	return HN_OK;
}

static json_t *counts_json(const uint32_t n[HD_SKETCH_BINS])
{
	json_t *list = json_array();

	for (int i = 0; i < HD_SKETCH_BINS; i++)
		json_array_append_new(list, json_integer(n[i]));
	return list;
}

void telemetry_json(const struct honed *h, int device, json_t *out)
{
	static const char *const modes[] = { "raw", "sketch", "exception" };
	const struct telemetry *t = of(h, device);
	json_t *o = json_pack("{ss sI sI sI sI sI sI}", "mode", modes[h->conf->devices[device].telemetry],
		"sketches", (json_int_t)t->sketches, "exceptions", (json_int_t)t->exceptions,
		"frames", (json_int_t)t->frames, "stuck", (json_int_t)t->stuck, "clip", (json_int_t)t->clip,
		"refused", (json_int_t)t->refused);
	char text[40];

	if (t->seen_us) {
		clock_format(t->seen_us, text, sizeof text);
		json_object_set_new(o, "seen", json_string(text));
		json_object_set_new(o, "classes", counts_json(t->last.classes));
		json_object_set_new(o, "margins", counts_json(t->last.margins));
	}
	json_object_set_new(out, "telemetry", o);
}

hn_status telemetry_open(struct honed *h, struct hn_err *err)
{
	char labels[HN_NAME_MAX + 16];

	h->telemetry = calloc((size_t)h->conf->n_devices + 1, sizeof *h->telemetry);
	if (!h->telemetry)
		return hn_fail(err, HN_ENOMEM, "telemetry: out of memory");
	for (int i = 0; i < h->conf->n_devices; i++) {
		struct telemetry *t = of(h, i);

		if (h->conf->devices[i].telemetry == HD_TELEMETRY_RAW)
			continue;
		(void)snprintf(labels, sizeof labels, "device=\"%s\"", h->conf->devices[i].name);
		t->m_sketches = metric_counter("honed_sketches_total", labels, "Sketches of a device.");
		t->m_exceptions = metric_counter("honed_sketch_exceptions_total", labels,
		                                 "Sketches that a device sent because something had changed.");
		t->m_stuck = metric_counter("honed_sketch_stuck_total", labels,
		                            "Values equal to the one before, by the device's own count.");
		t->m_clip = metric_counter("honed_sketch_clip_total", labels,
		                           "Values at an end of the sensor's range, by the device's own count.");
	}
	return HN_OK;
}

void telemetry_close(struct honed *h)
{
	free(h->telemetry);
}
