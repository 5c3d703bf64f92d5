/* Series live in one hash table and, by name, in one chain a family: the text groups them so. */
#include "metrics.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2 * METRICS_MAX };        /* at most half full: a probe ends soon */

struct metric {
	_Atomic double value;
	bool counter, overflow;
	struct metric *next;             /* same name, other labels            */
	const char *name, *labels, *help;        /* inside `text`              */
	char text[];
};

static struct {
	struct metric *slot[SLOTS];      /* by name and labels                 */
	struct metric *family[METRICS_MAX];      /* first series of each name  */
	int n, n_families;
} table;

/* Where updates go that found no room. */
static struct metric overflow = {
	.counter = true, .overflow = true, .name = "honed_metrics_overflow_total", .labels = "",
	.help = "Updates of series for which the table had no room."
};

static uint32_t hash(uint32_t h, const char *s)
{
	for (; *s; s++)                  /* FNV-1a */
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static struct metric **slot_of(const char *name, const char *labels)
{
	uint32_t i = hash(hash(2166136261u, name) * 31, labels) % SLOTS;

	while (table.slot[i] && (strcmp(table.slot[i]->name, name) != 0 ||
	                         strcmp(table.slot[i]->labels, labels) != 0))
		i = (i + 1) % SLOTS;
	return &table.slot[i];
}

static struct metric *metric_new(const char *name, const char *labels, const char *help)
{
	const size_t a = strlen(name) + 1, b = strlen(labels) + 1, c = strlen(help) + 1;
	struct metric *m = calloc(1, sizeof *m + a + b + c);

	if (!m)
		return NULL;
	memcpy(m->text, name, a);
	memcpy(m->text + a, labels, b);
	memcpy(m->text + a + b, help, c);
	m->name = m->text;
	m->labels = m->text + a;
	m->help = m->text + a + b;
	return m;
}

/* Append to its family's chain, or start one. */
static void join_family(struct metric *m)
{
	struct metric *f;

	for (int i = 0; i < table.n_families; i++) {
		f = table.family[i];
		if (strcmp(f->name, m->name) != 0)
			continue;
		assert(f->counter == m->counter);        /* one type a name */
		while (f->next)
			f = f->next;
		f->next = m;
		return;
	}
	table.family[table.n_families++] = m;
}

static struct metric *metric_get(const char *name, const char *labels, const char *help,
                                 bool counter)
{
	struct metric **at = slot_of(name, labels), *m = *at;

	if (m)
		return m;
	m = table.n < METRICS_MAX ? metric_new(name, labels, help) : NULL;
	if (!m)
		return &overflow;
	m->counter = counter;
	*at = m;
	table.n++;
	join_family(m);
	return m;
}

struct metric *metric_counter(const char *name, const char *labels, const char *help)
{
	assert(strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0);
	return metric_get(name, labels, help, true);
}

struct metric *metric_gauge(const char *name, const char *labels, const char *help)
{
	return metric_get(name, labels, help, false);
}

void metric_add(struct metric *m, double v)
{
	double old = atomic_load_explicit(&m->value, memory_order_relaxed);

	if (m->overflow)
		v = 1;
	while (!atomic_compare_exchange_weak_explicit(&m->value, &old, old + v,
	                                              memory_order_relaxed, memory_order_relaxed))
		;
}

void metric_set(struct metric *m, double v)
{
	if (m->overflow)
		metric_add(m, 1);
	else
		atomic_store_explicit(&m->value, v, memory_order_relaxed);
}

double metric_value(const struct metric *m)
{
	return atomic_load_explicit(&m->value, memory_order_relaxed);
}

/* Shortest of the two precisions that reads back as the same number. */
static void write_value(double v, FILE *out)
{
	char text[32];

	if (isnan(v)) {
		(void)fputs("NaN\n", out);
	} else if (isinf(v)) {
		(void)fputs(v > 0 ? "+Inf\n" : "-Inf\n", out);
	} else {
		(void)snprintf(text, sizeof text, "%.15g", v);
		if (strtod(text, NULL) < v || strtod(text, NULL) > v)
			(void)snprintf(text, sizeof text, "%.17g", v);
		(void)fprintf(out, "%s\n", text);
	}
}

static void write_help(const char *s, FILE *out)
{
	for (; *s; s++) {
		if (*s == '\n')
			(void)fputs("\\n", out);
		else if (*s == '\\')
			(void)fputs("\\\\", out);
		else
			(void)fputc(*s, out);
	}
}

static void write_family(const struct metric *m, FILE *out)
{
	(void)fprintf(out, "# HELP %s ", m->name);
	write_help(m->help, out);
	(void)fprintf(out, "\n# TYPE %s %s\n", m->name, m->counter ? "counter" : "gauge");
	for (; m; m = m->next) {
		(void)fputs(m->name, out);
		if (m->labels[0])
			(void)fprintf(out, "{%s}", m->labels);
		(void)fputc(' ', out);
		write_value(metric_value(m), out);
	}
}

void metrics_write(FILE *out)
{
	for (int i = 0; i < table.n_families; i++)
		write_family(table.family[i], out);
	write_family(&overflow, out);
}
