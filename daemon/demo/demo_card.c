/* The report card: what was reached, against what is expected; the same figures as JSON. */
#include "demo.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const double fall_min = 0.15, gap_max = 0.02;

struct figures {
	double before, drifted, after, detect_s, train_s, swap_s;
	int64_t bytes;
	int alarms;
};

static double span_s(int64_t from_us, int64_t to_us)
{
	return (double)(to_us - from_us) * 1e-6;
}

static struct figures figures_of(const struct demo *d, const struct cycle *c)
{
	return (struct figures){
		.before = tally_share(tally_sum(c->before, d->n_devices)),
		.drifted = tally_share(tally_sum(c->drifted, d->n_devices)),
		.after = tally_share(tally_sum(c->after, d->n_devices)),
		.detect_s = span_s(c->age_us, c->alarm_us), .train_s = span_s(c->job_us, c->trained_us),
		.swap_s = span_s(c->rollout_us, c->done_us), .bytes = c->bytes, .alarms = c->alarms };
}

/* Of several cycles the worst of each; alarms are counted. */
static struct figures worst_of(const struct demo *d)
{
	struct figures w = figures_of(d, &d->c[1]);

	for (int i = 2; i <= d->cycle; i++) {
		const struct figures f = figures_of(d, &d->c[i]);

		w.before = fmin(w.before, f.before);
		w.drifted = fmax(w.drifted, f.drifted);  /* the smallest fall proves the least */
		w.after = fmin(w.after, f.after);
		w.detect_s = fmax(w.detect_s, f.detect_s);
		w.train_s = fmax(w.train_s, f.train_s);
		w.swap_s = fmax(w.swap_s, f.swap_s);
		w.bytes = f.bytes > w.bytes ? f.bytes : w.bytes;
		w.alarms += f.alarms;
	}
	w.alarms += d->alarms_early;
	return w;
}

/* The larger of what the devices and honed counted. */
static uint32_t missed_of(const struct device *v)
{
	return v->missed_honed > (int64_t)v->missed ? (uint32_t)v->missed_honed : v->missed;
}

static uint32_t missed_all(const struct demo *d)
{
	uint32_t n = 0;

	for (int i = 0; i < d->n_devices; i++)
		n += missed_of(&d->device[i]);
	return n;
}

static const char *kind_of(const struct device *v)
{
	return v->emulated ? "emulated Cortex-M4" : "simulated";
}

/* --- expectations ----------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4)))
static int expect(bool met, const char *what, const char *fmt, ...)
{
	va_list ap;

	if (met)
		return 0;
	(void)printf("  NOT MET: %s: ", what);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
	return 1;
}

static int expect_cycle(const struct demo *d, int i)
{
	const struct cycle *c = &d->c[i];
	const struct figures f = figures_of(d, c), first = figures_of(d, &d->c[1]);
	char name[48];
	int unmet = 0;

	(void)snprintf(name, sizeof name, "episode %d", i);
	unmet += expect(f.drifted <= f.before - fall_min, name, "accuracy fell by %.1f points only (%.0f expected)",
	                100.0 * (f.before - f.drifted), 100.0 * fall_min);
	unmet += expect(f.after >= first.before - gap_max, name, "accuracy is %.1f points under that of the start "
	                "(%.0f allowed)", 100.0 * (first.before - f.after), 100.0 * gap_max);
	unmet += expect(c->alarms == 1, name, "%d alarms instead of one", c->alarms);
	unmet += expect(c->promoted == 1 && c->n_swapped == d->n_devices, name, "%d versions promoted, %d swaps",
	                c->promoted, c->n_swapped);
	return unmet;
}

static int expectations(const struct demo *d)
{
	const struct cycle *last = &d->c[d->cycle];
	int unmet = 0;

	for (int i = 1; i <= d->cycle; i++)
		unmet += expect_cycle(d, i);
	unmet += expect(d->cycle == d->opt.cycles, "episodes", "%d of %d", d->cycle, d->opt.cycles);
	unmet += expect(d->alarms_early == 0, "before", "%d alarms while nothing had changed", d->alarms_early);
	unmet += expect(missed_all(d) == 0, "devices", "%u missed inferences", missed_all(d));
	for (int i = 0; i < d->n_devices; i++) {
		const struct device *v = &d->device[i];

		unmet += expect(v->model == last->version, v->name, "runs version %lld instead of %lld",
		                (long long)v->model, (long long)last->version);
		unmet += expect(*v->digest && strcmp(v->digest, d->device[0].digest) == 0, v->name,
		                "digest %s instead of %s", v->digest, d->device[0].digest);
		unmet += expect(v->bad_lines == 0, v->name, "%u lines of truth do not parse", v->bad_lines);
	}
	return unmet;
}

/* --- card ------------------------------------------------------------------------------------- */

static double percent(struct tally t)
{
	return 100.0 * tally_share(t);
}

static void print_accuracy(const struct demo *d)
{
	(void)puts("\n  accuracy           before  drifted    after   windows");
	for (int i = 1; i <= d->cycle; i++) {
		const struct cycle *c = &d->c[i];
		const struct tally b = tally_sum(c->before, d->n_devices), m = tally_sum(c->drifted, d->n_devices),
			a = tally_sum(c->after, d->n_devices);

		if (d->cycle > 1)
			(void)printf("  episode %d\n", i);
		for (int k = 0; k < d->n_devices; k++)
			(void)printf("    %-14s  %5.1f %%  %5.1f %%  %5.1f %%  %4d %4d %4d\n", d->device[k].name,
			             percent(c->before[k]), percent(c->drifted[k]), percent(c->after[k]),
			             c->before[k].n, c->drifted[k].n, c->after[k].n);
		(void)printf("    %-14s  %5.1f %%  %5.1f %%  %5.1f %%  %4d %4d %4d\n", "all", percent(b),
		             percent(m), percent(a), b.n, m.n, a.n);
	}
}

static void print_times(const struct demo *d)
{
	for (int i = 1; i <= d->cycle; i++) {
		const struct cycle *c = &d->c[i];
		const struct figures f = figures_of(d, c);
		struct { const char *what; int64_t t_us; } row[] = { { "alarm", c->alarm_us },
			{ "labels asked for", c->asked_us }, { "labels given", c->labelled_us },
			{ "training begins", c->job_us }, { "gate decides", c->decided_us },
			{ "rollout done", c->done_us } };

		(void)printf("\n  episode %d: detect %.1f s, train %.1f s, swap %.1f s, %lld bytes sent, %lld labels\n", i,
		             f.detect_s, f.train_s, f.swap_s, (long long)f.bytes, (long long)c->labels);
		(void)printf("    %s\n    gate %s\n    after the ageing began:", c->alarm, c->gate);
		for (size_t k = 0; k < sizeof row / sizeof row[0]; k++)
			(void)printf("%s %s %.1f s", k ? "," : "", row[k].what, span_s(c->age_us, row[k].t_us));
		(void)putchar('\n');
	}
}

static void print_devices(const struct demo *d)
{
	(void)puts("\n  device      kind                version  digest            missed");
	for (int i = 0; i < d->n_devices; i++) {
		const struct device *v = &d->device[i];

		(void)printf("  %-10s  %-18s  %7lld  %-16s  %6u\n", v->name, kind_of(v), (long long)v->model,
		             v->digest, missed_of(v));
	}
	(void)printf("\n  honed: %.1f MiB of memory, first answer %.3f s after its start\n", d->rss_mib, d->first_answer_s);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *figures_json(const struct figures *f)
{
	return json_pack("{sf sf sf sf sf sf sI si}", "accuracy_before", f->before, "accuracy_drifted", f->drifted,
		"accuracy_after", f->after, "detect_s", f->detect_s, "train_s", f->train_s, "swap_s", f->swap_s,
		"bytes_sent", (json_int_t)f->bytes, "alarms", f->alarms);
}

static json_t *report_json(const struct demo *d)
{
	const struct figures w = worst_of(d);
	json_t *o = figures_json(&w), *cycles = json_array(), *devices = json_array();

	for (int i = 1; i <= d->cycle; i++) {
		const struct figures f = figures_of(d, &d->c[i]);

		(void)json_array_append_new(cycles, figures_json(&f));   /* no memory: the file lacks it */
	}
	for (int i = 0; i < d->n_devices; i++)
		(void)json_array_append_new(devices, json_pack("{ss ss sI ss}", "name", d->device[i].name, "kind",
			kind_of(&d->device[i]), "version", (json_int_t)d->device[i].model, "digest",
			d->device[i].digest));
	(void)json_object_set_new(o, "missed_inferences", json_integer(missed_all(d)));
	(void)json_object_set_new(o, "rss_mib", json_real(d->rss_mib));
	(void)json_object_set_new(o, "first_answer_s", json_real(d->first_answer_s));
	(void)json_object_set_new(o, "devices", devices);
	(void)json_object_set_new(o, "cycles", cycles);
	return o;
}

/* Folders of the path that are missing. */
static void make_folders(const char *file)
{
	char path[PATH_CAP];

	for (const char *p = strchr(file + 1, '/'); p; p = strchr(p + 1, '/')) {
		(void)snprintf(path, sizeof path, "%.*s", (int)(p - file), file);
		(void)mkdir(path, 0777);         /* the file tells when it cannot be made */
	}
}

static int write_report(const struct demo *d)
{
	json_t *o = report_json(d);
	int rc;

	make_folders(d->opt.report);
	rc = json_dump_file(o, d->opt.report, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	json_decref(o);
	if (rc == 0) {
		(void)printf("  written: %s\n", d->opt.report);
		return 0;
	}
	return expect(false, d->opt.report, "%s", strerror(errno));
}

int card(struct demo *d)
{
	int unmet;

	(void)puts("\n  ------------------------------------------------------------------ report card");
	print_accuracy(d);
	print_times(d);
	print_devices(d);
	unmet = expectations(d);
	unmet += write_report(d);
	if (unmet == 0)
		(void)puts("  all expectations are met");
	return unmet;
}
