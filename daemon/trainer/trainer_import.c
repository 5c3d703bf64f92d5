/* A net from an .onnx or .tflite file as a candidate.  The file may be anything: that it is read in
 * this process, without a network and with bounded memory, is the point.
 *
 * All labelled windows are held back: nothing was learned from them.  They calibrate the int8 form,
 * as far as the file has no grids of its own, and champion and candidate answer them.  Without a
 * label the newest frames calibrate. */
#include "trainer_fit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hn_import.h"
#include "hn_run.h"
#include "job.h"

enum { FILE_MAX = 4 << 20, BLOB_SLACK = 4096, PLAN_SLACK = 64 * 64 };

struct import {
	struct trainer_job job;          /* with the text of the net that came                    */
	struct fit f;
	struct hn_import got;
	struct hn_arena arena;           /* the graph and the weights                             */
	uint8_t *file;
	size_t len;
	uint32_t n;                      /* windows that calibrate, of `raw`                      */
	const int32_t *raw;
	float *x;                        /* (n, values) scaled                                    */
};

static hn_status load(struct import *m, struct hn_err *err)
{
	FILE *f = fopen(m->job.import, "rbe");

	m->file = malloc(FILE_MAX + 1);
	m->len = f && m->file ? fread(m->file, 1, FILE_MAX + 1, f) : 0;
	if (f)
		(void)fclose(f);                 /* read only */
	if (m->len == 0 || m->len > FILE_MAX)
		return hn_fail(err, HN_EFORMAT, "import: the file is empty, not to be read, or above %d bytes",
		               FILE_MAX);
	return HN_OK;
}

static hn_status parse(struct import *m, struct hn_err *err)
{
	const size_t need = hn_import_need(m->len);
	const struct hn_net_io io = { .task = m->job.task, .in_len = (uint16_t)m->job.window,
		.in_ch = m->f.d->ch, .out_n = hn_task_outputs(m->job.task, m->job.classes) };
	void *memory = (int64_t)need > m->job.memory_max ? NULL : aligned_alloc(HN_ARENA_ALIGN,
	                (need + HN_ARENA_ALIGN) / HN_ARENA_ALIGN * HN_ARENA_ALIGN);
	hn_status rc;

	if (!memory)
		return hn_fail(err, HN_ENOMEM, "import: reading takes %zu bytes, train.memory_max allows %lld",
		               need, (long long)m->job.memory_max);
	hn_arena_init(&m->arena, memory, need);
	rc = hn_import_read(&(struct hn_import_job){ m->file, m->len, io, &m->arena }, &m->got, err);
	if (rc == HN_OK && hn_image_need(&m->got.parsed) == 0)
		return hn_fail(err, HN_EINVAL, "import: '%s' has a layer without an int8 form", m->got.net);
	return rc;
}

/* From raw counts to what the net's first layer takes.  A file of another maker takes values in the
 * unit of the channel. */
static hn_status make_scaler(struct import *m, struct hn_err *err)
{
	struct hn_scaler *s = &m->f.scaler;

	*s = m->got.scaler;
	if (s->n_ch != m->f.d->ch || (!m->got.noted && m->job.n_units != s->n_ch))
		return hn_fail(err, HN_ERANGE, "import: %u channels in the file, %u in the stream", s->n_ch,
		               m->f.d->ch);
	for (unsigned c = 0; c < s->n_ch && !m->got.noted; c++) {
		s->mean[c] = (float)(((double)s->mean[c] - m->job.unit_offset[c]) / m->job.unit_scale[c]);
		s->std[c] = (float)((double)s->std[c] / m->job.unit_scale[c]);
	}
	return HN_OK;
}

/* The grids of the file.  Where outputs are compared with inputs the two must be on one. */
static const struct hn_calib *grids_of(const struct import *m)
{
	const struct hn_grid *g = m->got.calib.grid, *out = &g[m->got.parsed.n_layers];
	const bool one = !(g->scale < out->scale) && !(g->scale > out->scale) && g->zp == out->zp;

	return m->got.int8 && (m->job.task != HN_AUTOENCODE || one) ? &m->got.calib : NULL;
}

/* Labelled windows, else the newest frames as windows. */
static hn_status pick_windows(struct import *m, struct trainer_data *d, struct hn_err *err)
{
	for (uint32_t i = 0; i < d->n; i++)
		d->w[i].part = HN_HOLDOUT;
	memset(d->counts, 0, sizeof d->counts);
	d->counts[HN_HOLDOUT] = d->n;
	m->n = d->n_raw ? d->n_raw : d->n_fresh / (uint32_t)m->job.window;
	m->raw = d->n_raw ? d->raw : d->fresh;
	if (m->n > 4096)
		m->n = 4096;
	return m->n || m->f.given ? HN_OK
	     : hn_fail(err, HN_EDATA, "import: a float net, and no frames of the stream to find its int8 "
	               "grids with");
}

static void take_arrays(struct import *m, struct hn_arena *a)
{
	struct fit *f = &m->f;

	f->n[HN_HOLDOUT] = f->d->n;
	f->x[HN_HOLDOUT] = hn_arena_take(a, f->d->n * values_of(f) * sizeof(float));
	f->y[HN_HOLDOUT] = hn_arena_take(a, f->d->n * sizeof(int32_t));
	m->x = hn_arena_take(a, m->n * values_of(f) * sizeof(float));
	f->folded_w = hn_arena_take(a, f->net.n_weights * sizeof(float));
	f->image = hn_arena_take(a, hn_image_need(&f->folded));
	f->blob_cap = hn_image_need(&f->folded) + f->net.n_weights * sizeof(float) + BLOB_SLACK;
	f->blob = hn_arena_take(a, f->blob_cap);
}

static hn_status plan(struct import *m, struct hn_err *err)
{
	struct fit *f = &m->f;
	struct hn_data data = { .train = { .n = m->n } };
	struct hn_arena dry;
	struct hn_run run;
	size_t after = 0, held;
	hn_status rc = hn_net_fold(&f->net, NULL, &f->folded, NULL, err);

	hn_arena_init(&dry, NULL, 0);
	if (rc == HN_OK)
		take_arrays(m, &dry);
	held = dry.used;
	if (rc == HN_OK)
		rc = trainer_int8_need(f, &data, &after, err);
	if (rc == HN_OK)
		rc = hn_run_init(&run, &f->net, 64, 0, &dry);
	f->plan = held + (after > dry.used - held ? after : dry.used - held) + PLAN_SLACK;
	trainer_say_json(JOB_PLAN, json_pack("{sI sI sI si s{si si si} si sI}", "bytes",
		(json_int_t)f->plan + (json_int_t)m->arena.cap, "arena_bytes", (json_int_t)f->plan, "data_bytes",
		(json_int_t)m->arena.cap, "params", (int)f->net.n_weights, "windows", "train", 0, "valid", 0,
		"holdout", (int)f->d->n, "labels", (int)f->d->labels, "multiply_adds", (json_int_t)0));
	if (rc == HN_OK && (int64_t)(f->plan + m->arena.cap) > m->job.memory_max)
		return hn_fail(err, HN_ENOMEM, "import: the plan needs %zu bytes, train.memory_max allows %lld",
		               f->plan + m->arena.cap, (long long)m->job.memory_max);
	return rc;
}

static void fill(struct import *m)
{
	struct fit *f = &m->f;
	const size_t values = values_of(f);
	const uint16_t window = (uint16_t)m->job.window;

	for (uint32_t i = 0; i < f->d->n; i++) {
		hn_scaler_apply(&f->scaler, f->d->raw + f->d->w[i].at * values, window,
		                f->x[HN_HOLDOUT] + i * values);
		f->y[HN_HOLDOUT][i] = f->d->w[i].label;
	}
	for (uint32_t i = 0; i < m->n; i++)
		hn_scaler_apply(&f->scaler, m->raw + i * values, window, m->x + i * values);
}

static hn_status work(struct import *m, const struct trainer_champion *champion, struct hn_err *err)
{
	struct fit *f = &m->f;
	struct hn_data data;
	hn_status rc;

	f->memory = aligned_alloc(HN_ARENA_ALIGN,
	                          (f->plan + HN_ARENA_ALIGN) / HN_ARENA_ALIGN * HN_ARENA_ALIGN);
	if (!f->memory)
		return hn_fail(err, HN_ENOMEM, "import: %zu bytes are not to be had", f->plan);
	hn_arena_init(&f->arena, f->memory, f->plan);
	take_arrays(m, &f->arena);
	trainer_count(f);
	fill(m);
	data = (struct hn_data){ .train = { .n = m->n, .x = m->x } };
	rc = trainer_int8(f, &data, err);
	if (rc == HN_OK)
		rc = trainer_compare(f, champion);
	if (rc == HN_OK)
		rc = trainer_version(f, err);
	if (rc != HN_OK)
		return hn_fail(err, rc, "import: %s", hn_status_text(rc));
	trainer_say(JOB_CANDIDATE, f->blob, f->blob_len);
	trainer_report(f, 0);
	return HN_OK;
}

hn_status trainer_import(const struct trainer_job *job, struct trainer_data *d,
                         const struct trainer_champion *champion, struct hn_err *err)
{
	struct import *m = calloc(1, sizeof *m);
	hn_status rc;

	if (!m)
		return hn_fail(err, HN_ENOMEM, "out of memory");
	m->job = *job;
	m->job.quantise = TRAINER_PTQ;
	m->f.job = &m->job;
	m->f.d = d;
	m->f.imported = true;
	rc = load(m, err);
	if (rc == HN_OK)
		rc = parse(m, err);
	if (rc == HN_OK) {
		(void)snprintf(m->job.net, sizeof m->job.net, "%s", m->got.net);
		m->f.net = m->got.parsed;
		m->f.result.weights = m->got.weights;
		m->f.given = grids_of(m);
		rc = make_scaler(m, err);
	}
	if (rc == HN_OK)
		rc = pick_windows(m, d, err);
	if (rc == HN_OK)
		rc = plan(m, err);
	if (rc == HN_OK && !job->dry_run)
		rc = work(m, champion, err);
	free(m->f.memory);
	free(m->arena.mem);
	free(m->file);
	free(m);
	return rc;
}
