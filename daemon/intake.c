/* From a frame to everyone who wants it: quality flags, store, predictor, monitor.  And labels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hd_check.h"
#include "hn_model.h"
#include "honed.h"
#include "log.h"
#include "metrics.h"

static struct predictor *predictor_of(struct honed *h, int model, int stream)
{
	return &h->predictor[(size_t)model * (size_t)h->conf->n_streams + (size_t)stream];
}

bool intake_uses(const struct honed *h, int model, int stream)
{
	const struct conf_model *m = &h->conf->models[model];

	for (int i = 0; i < m->n_streams; i++)
		if (strcmp(m->streams[i], h->conf->streams[stream].name) == 0)
			return true;
	return false;
}

/* --- the champion in the gateway ------------------------------------------------------------- */

static hn_status open_image(struct honed *h, int model, const struct hn_model *m)
{
	unsigned char *copy = malloc(m->image_len);
	uint8_t *arena;

	if (!copy)
		return HN_ENOMEM;
	memcpy(copy, m->image, m->image_len);
	free(h->image[model]);
	h->image[model] = copy;
	h->out_scale[model] = m->out_scale;
	if (hd_net_check(&h->net[model], copy, m->image_len) != HD_OK)
		return HN_EFORMAT;
	if (h->net[model].arena <= h->arena_len)
		return HN_OK;
	arena = realloc(h->arena, h->net[model].arena);
	if (!arena)
		return HN_ENOMEM;
	h->arena = arena;
	h->arena_len = h->net[model].arena;
	return HN_OK;
}

void intake_champion(struct honed *h, int model)
{
	const struct version *v = registry_champion(h->registry, model);
	const struct conf_model *c = &h->conf->models[model];
	const int n_ch = h->conf->streams[conf_stream_find(h->conf, c->streams[0])].n_channels;
	const unsigned char *blob;
	struct hn_model m;
	size_t len;
	hn_status rc = v ? registry_blob(h->registry, v->id, &blob, &len) : HN_ENOENT;

	if (rc == HN_OK)
		rc = hn_model_read(&m, blob, len, NULL);
	if (rc == HN_OK && (m.in_len != c->window || m.in_ch != n_ch))
		rc = HN_ESTATE;
	if (rc == HN_OK)
		rc = open_image(h, model, &m);
	if (rc == HN_OK)
		return;
	free(h->image[model]);
	h->image[model] = NULL;
	if (v)
		log_warn("event=champion_not_usable model=%s version=%lld reason=\"%s\" "
		         "advice=\"window or channels changed: honectl retrain %s\"", c->name, (long long)v->id,
		         hn_status_text(rc), c->name);
}

static bool usable(const struct hn_frame *f)
{
	for (int i = 0; i < f->n; i++)
		if (f->quality[i] != HN_GOOD)
			return false;
	return true;
}

/* Distance of the two largest probabilities, in 1/255: what "unsure" means, from int8 logits.
 * Source of the measure: Scheffer, Decomain & Wrobel 2001, margin sampling. */
static int margin_of(const int8_t *out, int n, double scale)
{
	double best = -1e9, second = -1e9, sum = 0;

	for (int i = 0; i < n; i++) {
		const double x = out[i] * scale;

		second = x > best ? best : x > second ? x : second;
		best = x > best ? x : best;
	}
	for (int i = 0; i < n; i++)
		sum += exp(out[i] * scale - best);
	return n > 1 ? (int)lround(255.0 * (1.0 - exp(second - best)) / sum) : 255;
}

/* An answer of the champion.  Without labels it speaks for itself; where gateway and device answer
 * the same windows, that of the gateway counts. */
static void answered(struct honed *h, const struct store_prediction *q)
{
	const struct conf_model *m = &h->conf->models[q->model];

	monitor_prediction(h->monitor, q);
	if (hn_tasks[m->task].labels || (q->device && m->predict))
		return;
	anomaly_answer(h, q);
	cycle_answer(h, q->model, q->class_index == 0);
}

static void predict(struct honed *h, int model, const struct hn_frame *f, struct predictor *p)
{
	const struct hd_net *net = &h->net[model];
	const struct version *v = registry_champion(h->registry, model);
	static int8_t in[HD_VALUES_MAX], out[256];       /* loop thread only */
	struct store_prediction q = { .stream = f->stream, .event_us = f->event_us,
		.version = v ? v->id : 0, .model = model };
	uint8_t margin;

	for (uint32_t t = 0; t < net->in_len; t++) {
		const int32_t *row = p->raw + (size_t)((p->head + t) % net->in_len) * net->in_ch;

		for (uint16_t c = 0; c < net->in_ch; c++)
			in[(size_t)t * net->in_ch + c] = hd_net_scale(net, c, row[c]);
	}
	hd_net_run(net, in, h->arena, out);
	q.class_index = hd_net_answer(net, in, out, &margin);
	q.margin = net->limit ? margin
		: margin_of(out, net->out_n, (double)h->out_scale[model]);
	store_predict(h->store, &q);
	answered(h, &q);
	h->predicted = q;
}

static void feed_predictor(struct honed *h, int model, const struct hn_frame *f)
{
	const struct conf_model *m = &h->conf->models[model];
	struct predictor *p = predictor_of(h, model, f->stream);
	const uint32_t window = (uint32_t)m->window;

	if (!usable(f)) {                /* a window never contains a doubtful value */
		p->n = 0;
		return;
	}
	memcpy(p->raw + (size_t)p->head * f->n, f->raw, f->n * sizeof *f->raw);
	p->head = (p->head + 1) % window;
	p->n++;
	if (p->n < window || (p->n - window) % (uint32_t)m->hop != 0)
		return;
	if (h->image[model])
		predict(h, model, f, p);
}

/* --- frames ---------------------------------------------------------------------------------- */

static void check_quality(struct honed *h, struct hn_frame *f, struct hn_quality_report *r)
{
	const struct conf_stream *s = &h->conf->streams[f->stream];
	const double gap = s->gap_s > 0 ? s->gap_s : 5 * s->period_s;
	const struct hn_quality_cfg cfg = { .channels = s->channels, .n = s->n_channels,
		.gap_us = (int64_t)(gap * 1e6) };

	if (hn_quality_step(&h->quality[f->stream], &cfg, f, r) != HN_OK)
		*r = (struct hn_quality_report){ .worst = HN_FAIL };
}

hn_status intake_frame(void *ctx, const struct hn_frame *given)
{
	struct honed *h = ctx;
	struct hn_frame f = *given;
	struct hn_quality_report r;
	hn_status rc;

	if (!store_has_room(h->store, f.stream))
		return HN_EFULL;
	check_quality(h, &f, &r);
	rc = store_append(h->store, &f);
	if (rc != HN_OK)
		return rc;
	for (int m = 0; m < h->conf->n_models; m++) {
		if (!intake_uses(h, m, f.stream))
			continue;
		if (f.event_us > h->cycle[m].now_us)
			h->cycle[m].now_us = f.event_us;
		if (!hn_tasks[h->conf->models[m].task].labels && usable(&f))
			cycle_frame(h, m);
		if (!h->conf->models[m].predict)
			continue;
		if (r.gap)
			predictor_of(h, m, f.stream)->n = 0;
		h->predicted.margin = -1;
		feed_predictor(h, m, &f);
		if (h->predicted.margin >= 0)
			cycle_prediction(h, &h->predicted);
	}
	monitor_frame(h->monitor, &f);
	return HN_OK;
}

/* A device tells the distance of its two largest logits: the margin if there were no third. */
static int device_margin(int steps, double scale)
{
	return (int)lround(255.0 * tanh(0.5 * steps * scale));
}

void intake_prediction(void *ctx, int device, const struct deploy_prediction *p)
{
	struct honed *h = ctx;
	const struct conf_device *d = &h->conf->devices[device];
	const int model = conf_model_find(h->conf, d->model);
	const struct version *v = registry_number(h->registry, model, (int)p->model_version);
	struct store_prediction q = { .stream = conf_stream_find(h->conf, d->stream), .model = model,
		.version = v ? v->id : 0, .class_index = p->class_index, .device = true };
	const struct version *champion = registry_champion(h->registry, model);

	if (sources_time(h->sources, conf_source_find(h->conf, d->source), p->tick_us, &q.event_us)
	    != HN_OK)
		return;                  /* no frame yet that ties its clock to ours */
	q.margin = hn_tasks[h->conf->models[model].task].classes
		? device_margin(p->margin, (double)h->out_scale[model]) : p->margin;
	store_predict(h->store, &q);
	if (!champion || v != champion)  /* a device that still runs the old one says nothing of the new */
		return;
	answered(h, &q);
	cycle_prediction(h, &q);
}

/* --- labels ---------------------------------------------------------------------------------- */

hn_status intake_give_label(struct honed *h, const struct store_label *l)
{
	const hn_status rc = store_label(h->store, l);

	if (rc == HN_OK)
		h->pending_labels++;
	return rc;
}

void intake_truth(void *ctx, int stream, int64_t t0_us, int64_t t1_us, double value)
{
	struct honed *h = ctx;
	struct store_label l = { .stream = stream, .t0_us = t0_us, .t1_us = t1_us, .value = value,
		.given_us = clock_now_us() };

	(void)snprintf(l.who, sizeof l.who, "replay");
	if (intake_give_label(h, &l) != HN_OK)
		metric_add(metric_counter("honed_labels_dropped_total", "",
		                          "Labels that found the queue full."), 1);
	cycle_hold(h);
}

void intake_label(void *ctx, const struct store_label *l)
{
	struct honed *h = ctx;

	h->pending_labels--;
	if (h->pending_answers > 0)
		h->pending_answers--;
	if (h->stopping)
		return;
	for (int m = 0; m < h->conf->n_models; m++) {
		int right = 0, judged;

		if (!intake_uses(h, m, l->stream))
			continue;
		judged = monitor_label(h->monitor, m, l, &right);
		cycle_label(h, m, judged, right);
	}
	cycle_hold(h);
}

/* --- life ------------------------------------------------------------------------------------ */

static hn_status open_predictors(struct honed *h, struct hn_err *err)
{
	for (int m = 0; m < h->conf->n_models; m++)
		for (int s = 0; s < h->conf->n_streams; s++) {
			struct predictor *p = predictor_of(h, m, s);

			if (!h->conf->models[m].predict || !intake_uses(h, m, s))
				continue;
			p->raw = calloc((size_t)h->conf->models[m].window * (size_t)h->conf->streams[s].n_channels,
			                sizeof *p->raw);
			if (!p->raw)
				return hn_fail(err, HN_ENOMEM, "model %s: out of memory", h->conf->models[m].name);
		}
	return HN_OK;
}

hn_status intake_open(struct honed *h, struct hn_err *err)
{
	const size_t n = (size_t)h->conf->n_models * (size_t)h->conf->n_streams;

	h->quality = calloc((size_t)h->conf->n_streams + 1, sizeof *h->quality);
	h->predictor = calloc(n + 1, sizeof *h->predictor);
	if (!h->quality || !h->predictor)
		return hn_fail(err, HN_ENOMEM, "intake: out of memory");
	return open_predictors(h, err);
}

void intake_close(struct honed *h)
{
	const size_t n = (size_t)h->conf->n_models * (size_t)h->conf->n_streams;

	for (size_t i = 0; h->predictor && i < n; i++)
		free(h->predictor[i].raw);
	for (int m = 0; m < CONF_MODELS_MAX; m++)
		free(h->image[m]);
	free(h->predictor);
	free(h->quality);
	free(h->arena);
}
