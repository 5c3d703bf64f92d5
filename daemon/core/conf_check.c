/* What one setting says about another: one row a rule.  Before, what follows from the settings. */
#include "conf_bind.h"

#include <ctype.h>
#include <string.h>

#include "conf_hint.h"
#include "conf_value.h"
#include "hn_loss.h"
#include "hn_task.h"

enum { INPUT_VALUES_MAX = 16384, CLASSES_MIN = 2, UID_DIGITS = 16 };

/* What a rule found wrong. */
struct found {
	const char *value;               /* a name that does not exist: near ones are offered  */
	int element;                     /* of a list of texts, -1 = the setting itself        */
	const void *item;                /* another item than the one of the rule, or NULL     */
};

/* The rule holds for item `i` of its list: true. */
typedef bool (*rule_test)(const struct conf *c, int i, struct found *f);

/* --- names ------------------------------------------------------------------------------------ */

static int find(const void *items, size_t size, int n, const char *name)
{
	for (int i = 0; i < n; i++)              /* every item begins with its name */
		if (strcmp((const char *)items + (size_t)i * size, name) == 0)
			return i;
	return -1;
}

_Static_assert(offsetof(struct conf_source, name) == 0 && offsetof(struct conf_stream, name) == 0 &&
               offsetof(struct conf_model, name) == 0 && offsetof(struct conf_device, name) == 0,
               "find() compares at offset 0");

int conf_source_find(const struct conf *c, const char *name)
{
	return find(c->sources, sizeof c->sources[0], c->n_sources, name);
}

int conf_stream_find(const struct conf *c, const char *name)
{
	return find(c->streams, sizeof c->streams[0], c->n_streams, name);
}

int conf_model_find(const struct conf *c, const char *name)
{
	return find(c->models, sizeof c->models[0], c->n_models, name);
}

int conf_device_find(const struct conf *c, const char *name)
{
	return find(c->devices, sizeof c->devices[0], c->n_devices, name);
}

int conf_sketched(const struct conf *c, int stream)
{
	for (int i = 0; i < c->n_devices; i++)
		if (c->devices[i].telemetry != 0 && conf_stream_find(c, c->devices[i].stream) == stream)
			return i;
	return -1;
}

/* --- rules ------------------------------------------------------------------------------------ */

/* An empty name was not given: that is reported already. */
static bool exists(int index, const char *name, struct found *f)
{
	f->value = name;
	return !name[0] || index >= 0;
}

static bool stream_source(const struct conf *c, int i, struct found *f)
{
	return exists(conf_source_find(c, c->streams[i].source), c->streams[i].source, f);
}

static bool channel_range(const struct conf *c, int i, struct found *f)
{
	const struct conf_stream *s = &c->streams[i];

	for (int k = 0; k < s->n_channels; k++) {
		f->item = &s->channels[k];
		if (s->channels[k].min > s->channels[k].max)
			return false;
	}
	return true;
}

static bool model_streams(const struct conf *c, int i, struct found *f)
{
	const struct conf_model *m = &c->models[i];

	for (f->element = 0; f->element < m->n_streams; f->element++)
		if (!exists(conf_stream_find(c, m->streams[f->element]), m->streams[f->element], f))
			return false;
	return true;
}

static bool model_has_stream(const struct conf *c, int i, struct found *f)
{
	(void)f;
	return c->models[i].n_streams > 0;
}

/* Channels of the model's first stream that exists, 0 = none. */
static int width(const struct conf *c, const struct conf_model *m)
{
	for (int k = 0; k < m->n_streams; k++) {
		const int s = conf_stream_find(c, m->streams[k]);

		if (s >= 0)
			return c->streams[s].n_channels;
	}
	return 0;
}

static bool model_width(const struct conf *c, int i, struct found *f)
{
	const struct conf_model *m = &c->models[i];

	for (f->element = 0; f->element < m->n_streams; f->element++) {
		const int s = conf_stream_find(c, m->streams[f->element]);

		if (s >= 0 && c->streams[s].n_channels != width(c, m))
			return false;
	}
	return true;
}

static bool model_classes(const struct conf *c, int i, struct found *f)
{
	(void)f;
	return !hn_tasks[c->models[i].task].classes || c->models[i].n_classes >= CLASSES_MIN;
}

/* Of a task that names its answers itself. */
static int answers_of(const struct conf_model *m)
{
	const char *const *name = hn_tasks[m->task].answers;
	int n = 0;

	while (name && name[n])
		n++;
	return n;
}

static bool model_answers(const struct conf *c, int i, struct found *f)
{
	const int n = answers_of(&c->models[i]);

	(void)f;
	return n == 0 || c->models[i].n_classes == n;
}

static bool model_loss(const struct conf *c, int i, struct found *f)
{
	const struct conf_model *m = &c->models[i];
	const struct hn_loss_type *l = m->train.loss > 0 ? hn_losses[m->train.loss - 1] : NULL;

	(void)f;
	if (!l)
		return true;
	return hn_tasks[m->task].classes ? l->labels : l->targets && !(l->target_hi > l->target_lo);
}

static bool model_ask(const struct conf *c, int i, struct found *f)
{
	(void)f;
	return c->models[i].policy.ask != 1 || hn_tasks[c->models[i].task].labels;
}

static bool model_smoothing(const struct conf *c, int i, struct found *f)
{
	const struct conf_model *m = &c->models[i];
	const int loss = m->train.loss;

	(void)f;
	return !(m->train.smoothing > 0) ||
	       (loss > 0 ? hn_losses[loss - 1] : hn_loss_of((enum hn_task)m->task))->smooths;
}

static bool model_input(const struct conf *c, int i, struct found *f)
{
	(void)f;
	return (long)c->models[i].window * width(c, &c->models[i]) <= INPUT_VALUES_MAX;
}

static bool device_uid(const struct conf *c, int i, struct found *f)
{
	const char *uid = c->devices[i].uid;

	(void)f;
	return !uid[0] || (strspn(uid, "0123456789abcdef") == UID_DIGITS && !uid[UID_DIGITS]);
}

static bool device_uid_once(const struct conf *c, int i, struct found *f)
{
	(void)f;
	for (int k = 0; k < i; k++)
		if (c->devices[k].uid[0] && strcmp(c->devices[k].uid, c->devices[i].uid) == 0)
			return false;
	return true;
}

static bool device_source(const struct conf *c, int i, struct found *f)
{
	return exists(conf_source_find(c, c->devices[i].source), c->devices[i].source, f);
}

static bool device_link(const struct conf *c, int i, struct found *f)
{
	const int s = conf_source_find(c, c->devices[i].source);

	(void)f;
	return s < 0 || c->sources[s].type < 0 ||        /* reported already */
	       strcmp(conf_driver_list()[c->sources[s].type]->name, "link") == 0;
}

static bool device_source_once(const struct conf *c, int i, struct found *f)
{
	(void)f;
	for (int k = 0; k < i; k++)
		if (c->devices[k].source[0] && strcmp(c->devices[k].source, c->devices[i].source) == 0)
			return false;
	return true;
}

static bool device_stream(const struct conf *c, int i, struct found *f)
{
	return exists(conf_stream_find(c, c->devices[i].stream), c->devices[i].stream, f);
}

static bool device_model(const struct conf *c, int i, struct found *f)
{
	return exists(conf_model_find(c, c->devices[i].model), c->devices[i].model, f);
}

static bool device_signed(const struct conf *c, int i, struct found *f)
{
	(void)f;
	return !c->devices[i].is_signed || c->keys.sign[0] != '\0';
}

/* List of the items, the setting that is shown, the list whose names `value` should be among. */
static const struct rule {
	const char *list, *field;
	rule_test test;
	const char *message, *names;
} rules[] = {
	{ "streams", "source",   stream_source,      "there is no source of this name", "sources" },
	{ "streams", "min",      channel_range,      "min is greater than max", NULL },
	{ "models",  "streams",  model_streams,      "there is no stream of this name", "streams" },
	{ "models",  "streams",  model_has_stream,
	  "it has no stream, neither of its own nor of a device", NULL },
	{ "models",  "streams",  model_width,
	  "all streams of a model have the same number of channels", NULL },
	{ "models",  "classes",  model_classes,
	  "a model that classifies needs 2 classes or more", NULL },
	{ "models",  "train.smoothing", model_smoothing,
	  "only the loss cross_entropy has label smoothing", NULL },
	{ "models",  "classes",  model_answers,
	  "this task has two answers: give two names, such as [normal, anomaly], or none", NULL },
	{ "models",  "train.loss", model_loss,       "this loss does not fit the task", NULL },
	{ "models",  "policy.ask", model_ask,
	  "this task needs no labels; write ask: episode", NULL },
	{ "models",  "window",   model_input,        "window times channels is more than 16384", NULL },
	{ "devices", "uid",      device_uid,         "expected 16 hex digits", NULL },
	{ "devices", "uid",      device_uid_once,    "another device has this uid", NULL },
	{ "devices", "source",   device_source,      "there is no source of this name", "sources" },
	{ "devices", "source",   device_link,        "a device needs a source of type link", NULL },
	{ "devices", "source",   device_source_once, "another device has this source", NULL },
	{ "devices", "stream",   device_stream,      "there is no stream of this name", "streams" },
	{ "devices", "model",    device_model,       "there is no model of this name", "models" },
	{ "devices", "signed",   device_signed,      "nothing signs: keys.sign is not set", NULL },
};

/* Node that was read as the item at `p`, or the root. */
static int node_of(const struct conf_doc *doc, const void *p)
{
	for (int i = 0; i < doc->n; i++)
		if (doc->node[i].item == p)
			return i;
	return 0;
}

/* Node of a setting, "train.rate": rate in the mapping train; -1 when it does not stand there. */
static int child(const struct conf_doc *doc, int item, const char *field)
{
	const char *dot = strchr(field, '.');
	char group[32];
	int n;

	if (!dot)
		return conf_doc_child(doc, item, field);
	(void)snprintf(group, sizeof group, "%.*s", (int)(dot - field), field);
	n = conf_doc_child(doc, item, group);
	return n < 0 ? n : conf_doc_child(doc, n, dot + 1);
}

/* Where the setting stands; its element; its item when it does not stand anywhere. */
static const struct conf_place *place(const struct conf_doc *doc, int item, const char *field,
                                      int element)
{
	int n = child(doc, item, field), e;

	if (n < 0)
		return &doc->node[item].at;
	e = doc->node[n].kind == CONF_SEQ && element >= 0 ? doc->node[n].first : -1;
	while (e >= 0 && element-- > 0)
		e = doc->node[e].next;
	return &doc->node[e >= 0 ? e : n].at;
}

/* "(streams: a, b, c)": as many names as there is room for. */
static void offer_all(const struct conf_row *list, const char *items, int n, char *hint)
{
	int at = snprintf(hint, CONF_SAY_MAX, "(%s: ", list->key);

	for (int i = 0; i < n && at < CONF_SAY_MAX - HN_NAME_MAX - 8; i++)
		at += snprintf(hint + at, (size_t)(CONF_SAY_MAX - at), "%s%s", i ? ", " : "",
		               items + (size_t)i * conf_item_size(list));
	(void)snprintf(hint + at, (size_t)(CONF_SAY_MAX - at), "%s", ")");
}

static void offer(const struct conf *c, const struct rule *r, const char *value, char *hint)
{
	const struct conf_row *list = conf_row_find(conf_rows, r->names);
	const char *items = conf_member_const(list, c);
	struct conf_near near;

	conf_near_init(&near, value);
	for (int i = 0; i < conf_count_get(list, c); i++)
		conf_near_try(&near, items + (size_t)i * conf_item_size(list));
	if (near.best)
		(void)snprintf(hint, CONF_SAY_MAX, "did you mean '%s'?", near.best);
	else if (conf_count_get(list, c))
		offer_all(list, items, conf_count_get(list, c), hint);
	else
		(void)snprintf(hint, CONF_SAY_MAX, "(there are no %s)", r->names);
}

static void apply(const struct conf_doc *doc, const struct conf *c, const struct rule *r,
                  struct conf_diag *diag)
{
	const struct conf_row *list = conf_row_find(conf_rows, r->list);
	const char *items = conf_member_const(list, c);
	char hint[CONF_SAY_MAX];

	for (int i = 0; i < conf_count_get(list, c); i++) {
		const char *item = items + (size_t)i * conf_item_size(list);
		struct found f = { .element = -1 };
		int node;

		if (r->test(c, i, &f))
			continue;
		hint[0] = '\0';
		if (r->names)
			offer(c, r, f.value, hint);
		node = node_of(doc, f.item ? f.item : item);
		conf_diag_add(diag, place(doc, node, r->field, f.element), hint, "%s[%d] %s: %s",
		              r->list, i, r->field, r->message);
	}
}

/* --- what follows ----------------------------------------------------------------------------- */

static void add_stream(struct conf_model *m, const char *name)
{
	for (int k = 0; k < m->n_streams; k++)
		if (strcmp(m->streams[k], name) == 0)
			return;
	if (m->n_streams < CONF_STREAMS_MAX)     /* names that exist always fit */
		memcpy(m->streams[m->n_streams++], name, HN_NAME_MAX);
}

static void name_answers(struct conf_model *m)
{
	const int n = m->n_classes == 0 ? answers_of(m) : 0;

	for (int k = 0; k < n; k++)
		(void)snprintf(m->classes[m->n_classes++], HN_NAME_MAX, "%s", hn_tasks[m->task].answers[k]);
}

static void resolve(struct conf *c)
{
	for (int i = 0; i < c->n_models; i++) {
		if (c->models[i].hop == 0)
			c->models[i].hop = c->models[i].window;
		name_answers(&c->models[i]);
	}
	for (int i = 0; i < c->n_devices; i++) {
		struct conf_device *d = &c->devices[i];
		const int m = conf_model_find(c, d->model);

		for (char *u = d->uid; *u; u++)
			*u = (char)tolower((unsigned char)*u);
		if (m >= 0 && conf_stream_find(c, d->stream) >= 0)
			add_stream(&c->models[m], d->stream);
	}
}

void conf_check(const struct conf_doc *doc, struct conf *c, struct conf_diag *diag)
{
	resolve(c);
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		apply(doc, c, &rules[i], diag);
}
