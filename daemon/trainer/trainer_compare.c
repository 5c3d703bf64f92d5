/* What the gate decides from: right answers of champion and challenger. */
#include "trainer_fit.h"

#include <stdlib.h>

#include "hd_check.h"
#include "hn_run.h"

hn_status trainer_runner_open(struct runner *r, const struct fit *f, const uint8_t *image,
                              size_t len)
{
	*r = (struct runner){ .in = NULL };
	if (hd_net_check(&r->net, image, (uint32_t)len) != HD_OK)
		return HN_EFORMAT;
	if (r->net.in_len != f->job->window || r->net.in_ch != f->d->ch || r->net.out_n != f->net.out_n)
		return HN_ESTATE;
	r->in = malloc(values_of(f));
	r->arena = malloc(r->net.arena + 4u);
	return r->in && r->arena ? HN_OK : HN_ENOMEM;
}

void trainer_runner_close(struct runner *r)
{
	free(r->in);
	free(r->arena);
}

void trainer_runner_run(struct runner *r, const struct fit *f, const struct hn_window *w)
{
	const int32_t *raw = f->d->raw + w->at * values_of(f);

	for (size_t i = 0; i < values_of(f); i++)
		r->in[i] = hd_net_scale(&r->net, (uint16_t)(i % f->d->ch), raw[i]);
	hd_net_run(&r->net, r->in, r->arena, r->out);
}

static int classify(struct runner *r, const struct fit *f, const struct hn_window *w)
{
	uint8_t margin;

	trainer_runner_run(r, f, w);
	return hd_argmax(r->out, r->net.out_n, &margin);
}

static void compare_one(struct fit *f, const struct hn_window *w, int mine, int other)
{
	struct tally *t = w->recent ? &f->recent : &f->kept;

	if (w->part == HN_HOLDOUT) {
		f->confusion[w->label][mine]++;
		f->int8_right += mine == w->label;
	}
	t->n++;
	t->challenger += mine == w->label;
	t->champion += other == w->label;
	t->both += mine == w->label && other == w->label;
}

static hn_status compare(struct fit *f, const struct trainer_champion *champion)
{
	struct runner mine, other = { .in = NULL };
	struct hn_model m;
	int n_class[HN_CLASSES_MAX] = { 0 };
	bool has = champion->blob && hn_model_read(&m, champion->blob, champion->len, NULL) == HN_OK &&
	           trainer_runner_open(&other, f, m.image, m.image_len) == HN_OK;
	hn_status rc = trainer_runner_open(&mine, f, f->image, f->image_len);

	for (uint32_t i = 0; rc == HN_OK && i < f->d->n; i++) {
		const struct hn_window *w = &f->d->w[i];

		if (!trainer_judges(f, w))
			continue;
		n_class[w->label] += w->part == HN_HOLDOUT;
		compare_one(f, w, classify(&mine, f, w), has ? classify(&other, f, w) : -1);
	}
	for (int c = 0; c < HN_CLASSES_MAX; c++)
		if (n_class[c] > f->majority)
			f->majority = n_class[c];
	trainer_runner_close(&mine);
	trainer_runner_close(&other);
	return rc;
}

static hn_status count_float(struct fit *f)
{
	const struct hn_predict p = { .net = &f->net, .weights = f->result.weights };
	const uint16_t k = f->net.out_n;
	float *out = malloc(((size_t)f->n[HN_HOLDOUT] * k + 1) * sizeof *out);
	hn_status rc = out ? HN_OK : HN_ENOMEM;

	if (rc == HN_OK && f->n[HN_HOLDOUT] > 0)
		rc = hn_predict(&p, f->x[HN_HOLDOUT], f->n[HN_HOLDOUT], out, &f->arena);
	for (uint32_t i = 0; rc == HN_OK && i < f->n[HN_HOLDOUT]; i++) {
		uint16_t best = 0;

		for (uint16_t c = 1; c < k; c++)
			if (out[(size_t)i * k + c] > out[(size_t)i * k + best])
				best = c;
		f->float_right += best == f->y[HN_HOLDOUT][i];
	}
	free(out);
	return rc;
}

hn_status trainer_compare(struct fit *f, const struct trainer_champion *champion)
{
	hn_status rc;

	if (!hn_tasks[f->job->task].classes)
		return trainer_compare_errors(f, champion);
	rc = compare(f, champion);
	return rc == HN_OK ? count_float(f) : rc;
}
