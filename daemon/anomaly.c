/* From answers to what a person reads: an anomaly begins with its first window and is over after
 * CALM normal ones in a row, so that a machine at the edge makes two entries and not a hundred. */
#include <stdlib.h>

#include "honed.h"
#include "metrics.h"

enum { CALM = 8 };

/* Of one model and stream. */
struct anomaly {
	int64_t windows, total;          /* answered; of them anomalies, since the start          */
	int64_t first_us, last_us;       /* of the present or the last one                        */
	int32_t n;                       /* windows of it                                         */
	int     calm, least;             /* normal ones since the last of it; least margin        */
	bool    open;
};

static struct anomaly *of(const struct honed *h, int model, int stream)
{
	return &h->anomaly[(size_t)model * (size_t)h->conf->n_streams + (size_t)stream];
}

/* 1 = at the limit, 2 and more = 2: see hd_net_answer. */
static double ratio(int margin)
{
	return (255 - margin) / 127.5;
}

static void enter(const struct honed *h, const struct store_prediction *p, bool begins)
{
	const struct anomaly *a = of(h, p->model, p->stream);
	json_t *evidence = json_pack("{sI sI si sf}", "first_us", (json_int_t)a->first_us, "last_us",
		(json_int_t)a->last_us, "windows", (int)a->n, "distance", ratio(a->least));
	const struct journal_entry e = { .kind = begins ? "anomaly" : "anomaly_over",
		.model = h->conf->models[p->model].name,
		.stream = h->conf->streams[p->stream].name, .version = p->version, .evidence = evidence,
		.reason = begins ? "a window is not like those that the model has learned"
		                 : "normal again" };

	(void)journal_add(h->journal, e);
}

static void count(const struct honed *h, int model)
{
	char labels[HN_NAME_MAX + 16];

	(void)snprintf(labels, sizeof labels, "model=\"%s\"", h->conf->models[model].name);
	metric_add(metric_counter("honed_anomalies_total", labels,
	                          "Windows that the champion called an anomaly."), 1);
}

static void odd(struct honed *h, struct anomaly *a, const struct store_prediction *p)
{
	const bool begins = !a->open;

	if (begins) {
		a->first_us = p->event_us;
		a->n = 0;
		a->least = 255;
	}
	a->open = true;
	a->calm = 0;
	a->total++;
	a->n++;
	a->last_us = p->event_us;
	a->least = p->margin < a->least ? p->margin : a->least;
	count(h, p->model);
	if (begins)
		enter(h, p, true);
}

void anomaly_answer(struct honed *h, const struct store_prediction *p)
{
	struct anomaly *a = of(h, p->model, p->stream);

	a->windows++;
	if (p->class_index != 0) {
		odd(h, a, p);
	} else if (a->open && ++a->calm >= CALM) {
		a->open = false;
		enter(h, p, false);
	}
}

json_t *anomaly_json(const struct honed *h, int model)
{
	struct anomaly sum = { .open = false };

	if (!hn_tasks[h->conf->models[model].task].answers)
		return NULL;
	for (int s = 0; s < h->conf->n_streams; s++) {
		const struct anomaly *a = of(h, model, s);

		sum.windows += a->windows;
		sum.total += a->total;
		sum.open |= a->open;
		sum.last_us = a->last_us > sum.last_us ? a->last_us : sum.last_us;
	}
	return json_pack("{sI sI sb sI}", "windows", (json_int_t)sum.windows, "n", (json_int_t)sum.total,
	                 "open", (int)sum.open, "last_us", (json_int_t)sum.last_us);
}

hn_status anomaly_open(struct honed *h, struct hn_err *err)
{
	h->anomaly = calloc((size_t)h->conf->n_models * (size_t)h->conf->n_streams + 1,
	                    sizeof *h->anomaly);
	return h->anomaly ? HN_OK : hn_fail(err, HN_ENOMEM, "anomalies: out of memory");
}

void anomaly_close(struct honed *h)
{
	free(h->anomaly);
}
