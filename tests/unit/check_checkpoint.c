/* A run that is cut off goes on from its checkpoint to the same bits; bytes that are no checkpoint
 * of it are refused, and it begins anew. */
#include <check.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hd_crc32c.h"
#include "hn_rng.h"
#include "hn_train.h"
#include "t_nets.h"
#include "t_run.h"

enum { N = 150, SEED = 21, CAP = 1 << 18, W_MAX = 4096 };

static float x[2 * N * 2];
static int32_t label[2 * N];
static struct hn_net net;
static struct hn_train_cfg cfg;
static struct hn_data data;

/* A run under the test's control, and what it left. */
struct ward {
	uint8_t  bytes[CAP];             /* the last checkpoint written                           */
	size_t   len, at;                /* its length, the reading position                      */
	size_t   cap;                    /* put refuses more; 0 = all that fits                   */
	uint64_t save_every, cut;        /* steps                                                 */
	struct hn_resume resume;
	char     why[128];
	unsigned resumes;
	hn_status rc, write_rc;
	struct hn_err err;
	struct hn_train_result res;
	float    weights[W_MAX];
};

static bool put(void *ctx, const void *bytes, size_t n)
{
	struct ward *w = ctx;

	if (w->len + n > (w->cap ? w->cap : CAP))
		return false;
	memcpy(w->bytes + w->len, bytes, n);
	w->len += n;
	return true;
}

static bool get(void *ctx, void *bytes, size_t n)
{
	struct ward *w = ctx;

	if (w->at + n > w->len)
		return false;
	memcpy(bytes, w->bytes + w->at, n);
	w->at += n;
	return true;
}

static bool after(void *ctx, const struct hn_fit *fit, uint64_t step)
{
	struct ward *w = ctx;

	if (w->save_every && step % w->save_every == 0) {
		w->len = 0;
		w->write_rc = hn_checkpoint_write(fit, put, w);
	}
	return step != w->cut;
}

static void resumed(void *ctx, const struct hn_resume *r)
{
	struct ward *w = ctx;

	w->resume = *r;
	(void)snprintf(w->why, sizeof w->why, "%s", r->why);
	w->resumes++;
}

/* From the checkpoint in w when it has bytes. */
static void run(struct ward *w)
{
	struct hn_train_job job = { .cfg = &cfg, .data = &data, .ctx = w, .after_step = after,
	                            .resume = w->len ? get : NULL, .resumed = resumed };
	struct hn_arena a;
	size_t need;

	w->at = 0;
	memset(&w->res, 0, sizeof w->res);
	ck_assert_int_eq(hn_train_need(&cfg, &data, &need, NULL), HN_OK);
	a = t_arena(need);
	job.arena = &a;
	w->err = (struct hn_err){ HN_OK, "" };
	w->rc = hn_train_run(&job, &w->res, &w->err);
	if (!w->rc) {
		memcpy(w->weights, w->res.weights, net.n_weights * sizeof(float));
		ck_assert_uint_eq(a.peak, need);
	}
	t_arena_free(&a);
}

static void setup(void)
{
	t_points(T_MOONS, SEED, 2 * N, x, label);
	for (int i = 0; i < N; i += 7)
		label[i] ^= 1;
	net = t_net("dense 16, relu, dense 9, tanh, dense 2", HN_CLASSIFY, 2, 2);
	data = (struct hn_data){ { .n = N, .x = x, .label = label },
	                         { .n = N, .x = x + 2 * N, .label = label + N } };
	hn_train_defaults(&cfg, &net);
	cfg.epochs = 12;
	cfg.patience = 5;
	cfg.lr = 0.01f;
	cfg.batch = 16;
	cfg.clip_norm = 1;
}

/* Ways to train; each must survive being cut off. */
static void vary(int way)
{
	switch (way) {
	case 0: break;
	case 1: cfg.schedule = HN_COSINE; cfg.weight_decay = 0.01f; break;
	case 2:                                  /* diverges: rolled back first */
		net = t_net("dense 16, relu, dense 16, relu, dense 2", HN_CLASSIFY, 2, 2);
		cfg.lr = 1e10f;
		cfg.clip_norm = 0;
		break;
	case 3: data.valid.n = 0; cfg.in_order = true; break;
	case 4: cfg.schedule = HN_PLATEAU; cfg.decay_epochs = 2; cfg.ema = 0.9f; cfg.warmup = 30; break;
	case 5: cfg.schedule = HN_STEP; cfg.decay_epochs = 3; cfg.micro = 16; cfg.batch = 48; break;
	case 6:                                  /* both: rolled back with an average */
		net = t_net("dense 16, relu, dense 16, relu, dense 2", HN_CLASSIFY, 2, 2);
		cfg.lr = 1e10f;
		cfg.clip_norm = 0;
		cfg.ema = 0.99f;
		break;
	case 7:
		net = t_net("dense 16, batch_norm, relu, dropout 0.3, dense 2", HN_CLASSIFY, 2, 2);
		cfg.ema = 0.9f;
		cfg.micro = 8;
		break;
	default: ck_abort();
	}
}

enum { WAYS = 8 };

static void expect_same(const struct ward *a, const struct ward *b)
{
	ck_assert_int_eq(a->rc, HN_OK);
	ck_assert_int_eq(b->rc, HN_OK);
	ck_assert_mem_eq(a->weights, b->weights, net.n_weights * sizeof(float));
	ck_assert_uint_eq(a->res.steps, b->res.steps);
	ck_assert_uint_eq(a->res.samples, b->res.samples);
	ck_assert_uint_eq(a->res.epochs, b->res.epochs);
	ck_assert_uint_eq(a->res.best_epoch, b->res.best_epoch);
	ck_assert_uint_eq(a->res.rollbacks, b->res.rollbacks);
	ck_assert_int_eq(a->res.stop, b->res.stop);
	ck_assert_mem_eq(&a->res.train_loss, &b->res.train_loss, sizeof a->res.train_loss);
	ck_assert(a->res.grad_norm_max == b->res.grad_norm_max);
	ck_assert(a->res.lr == b->res.lr);
	ck_assert_mem_eq(&a->res.health, &b->res.health, sizeof a->res.health);
}

START_TEST(a_run_that_is_cut_off_again_and_again_ends_with_the_same_bits)
{
	static struct ward whole, cut;
	struct hn_rng rng;

	vary(_i);
	hn_rng_seed(&rng, SEED + (uint64_t)_i);
	memset(&whole, 0, sizeof whole);
	run(&whole);
	ck_assert_msg(whole.rc == HN_OK, "%s", whole.err.text);
	if (_i == 2 || _i == 6)
		ck_assert_uint_ge(whole.res.rollbacks, 1);
	for (int chain = 0; chain < 20; chain++) {
		memset(&cut, 0, sizeof cut);
		cut.save_every = 1 + hn_rng_below(&rng, 7);
		do {
			cut.cut = (cut.cut ? cut.cut : 0) + 1 + hn_rng_below(&rng, 40);
			run(&cut);
			ck_assert_int_eq(cut.rc, HN_OK);
			ck_assert_int_eq(cut.write_rc, HN_OK);
			ck_assert_int_eq(cut.resume.rc, HN_OK);
		} while (cut.res.stop == HN_STOP_ABORT);
		expect_same(&whole, &cut);
	}
}
END_TEST

/* A checkpoint somewhere in the middle. */
static void make(struct ward *w)
{
	memset(w, 0, sizeof *w);
	w->save_every = 17;
	w->cut = 60;
	run(w);
	ck_assert_int_eq(w->rc, HN_OK);
	ck_assert_uint_gt(w->len, 0);
	w->save_every = w->cut = 0;
}

static void expect_refused(struct ward *w, const struct ward *whole, hn_status rc)
{
	const unsigned before = w->resumes;

	run(w);
	ck_assert_uint_eq(w->resumes, before + 1);
	ck_assert_msg(w->resume.rc == rc, "%d: %s", w->resume.rc, w->why);
	ck_assert_uint_eq(w->resume.step, 0);
	expect_same(whole, w);
}

START_TEST(a_damaged_or_shortened_checkpoint_is_refused_and_training_begins_anew)
{
	static struct ward whole, w, bad;
	struct hn_rng rng;

	hn_rng_seed(&rng, SEED);
	cfg.epochs = 4;
	memset(&whole, 0, sizeof whole);
	run(&whole);
	make(&w);
	for (int i = 0; i < 60; i++) {
		const uint32_t at = i < 48 ? (uint32_t)i : hn_rng_below(&rng, (uint32_t)w.len);

		bad = w;
		bad.bytes[at] ^= (uint8_t)(1u << hn_rng_below(&rng, 8));
		expect_refused(&bad, &whole, at >= 8 && at < 48 ? HN_ESTATE : HN_EFORMAT);
	}
	for (int i = 0; i < 40; i++) {
		bad = w;
		bad.len = i ? hn_rng_below(&rng, (uint32_t)w.len) + (i == 1) : 1;
		if (bad.len)
			expect_refused(&bad, &whole, HN_EFORMAT);
	}
	bad = w;
	bad.len++;
	expect_refused(&bad, &whole, HN_EFORMAT);
	run(&w);
	ck_assert_int_eq(w.resume.rc, HN_OK);
	ck_assert_uint_gt(w.resume.step, 0);
	expect_same(&whole, &w);
}
END_TEST

/* Numbers that a careful forger writes, with a CRC that fits. */
struct forgery { const char *what; size_t at; size_t n; uint8_t bytes[8]; };

static const struct forgery forgeries[] = {
	{ "epoch 0", 48, 4, { 0 } },
	{ "epoch above all", 48, 4, { 0xff, 0xff } },
	{ "position 0", 52, 4, { 0 } },
	{ "position within a batch", 52, 4, { 3 } },
	{ "position behind the data", 52, 4, { 0xff, 0xff, 0xff, 0xff } },
	{ "best epoch in the future", 56, 4, { 200 } },
	{ "too many roll backs", 60, 4, { 9 } },
	{ "safe step in the future", 72, 8, { 0xff, 0xff, 0xff, 0xff, 0xff } },
	{ "rate not a number", 120, 8, { 0, 0, 0, 0, 0, 0, 0xf8, 0x7f } },
	{ "rate 0", 120, 8, { 0 } },
	{ "negative norm", 128, 8, { 0, 0, 0, 0, 0, 0, 0, 0xc0 } },
	{ "infinite sum", 136, 8, { 0, 0, 0, 0, 0, 0, 0xf0, 0x7f } },
	{ "weight not a number", 604, 4, { 0, 0, 0xc0, 0x7f } },
};

START_TEST(impossible_numbers_with_a_good_crc_are_refused)
{
	const struct forgery *q = &forgeries[_i];
	static struct ward whole, w;

	cfg.epochs = 4;
	memset(&whole, 0, sizeof whole);
	run(&whole);
	make(&w);
	memcpy(w.bytes + q->at, q->bytes, q->n);
	hd_put32(w.bytes + w.len - 4, hd_crc32c(0, w.bytes, w.len - 4));
	expect_refused(&w, &whole, HN_EFORMAT);
	ck_assert_msg(strstr(w.why, "impossible") || strstr(w.why, "finite"), "%s: %s",
	              q->what, w.why);
}
END_TEST

/* Another file: a setting (its lowest bytes change), or what the fit works on. */
#define SETTING(field) { #field, offsetof(struct hn_train_cfg, field) }
static const struct { const char *what; size_t at; } strangers[] = {
	SETTING(seed), SETTING(decay_epochs), SETTING(warmup), SETTING(batch), SETTING(epochs),
	SETTING(patience), SETTING(lr), SETTING(weight_decay), SETTING(momentum), SETTING(delta),
	SETTING(smoothing), SETTING(clip_norm), SETTING(min_delta), SETTING(decay), SETTING(ema),
	SETTING(sparse),
	{ "one value", 0 }, { "one label", 0 }, { "net", 0 }, { "start", 0 }, { "held-back", 0 },
	{ "weight", 0 },
};

static void estrange(const char *what, size_t at, float *some)
{
	if (at > 0)
		((uint8_t *)&cfg)[at] ^= 1;
	else if (strcmp(what, "one value") == 0)
		x[100] += 0.25f;
	else if (strcmp(what, "one label") == 0)
		label[50] ^= 1;
	else if (strcmp(what, "net") == 0)       /* as many weights, another function */
		net = t_net("dense 16, tanh, dense 9, tanh, dense 2", HN_CLASSIFY, 2, 2);
	else if (strcmp(what, "start") == 0)
		cfg.start = some;
	else if (strcmp(what, "held-back") == 0)
		data.valid.n--;
	else if (strcmp(what, "weight") == 0)
		data.train.weight = some;
	else
		ck_abort();
}

START_TEST(a_checkpoint_of_anything_else_is_refused_as_foreign)
{
	static struct ward whole, w;
	static float some[W_MAX];

	for (int i = 0; i < W_MAX; i++)
		some[i] = 0.1f + 0.001f * (float)i;
	make(&w);
	estrange(strangers[_i].what, strangers[_i].at, some);
	memset(&whole, 0, sizeof whole);
	run(&whole);
	expect_refused(&w, &whole, HN_ESTATE);
	ck_assert_ptr_nonnull(strstr(w.why, "other"));
}
END_TEST

START_TEST(a_full_disk_costs_the_checkpoint_and_not_the_run)
{
	static struct ward whole, w;

	memset(&whole, 0, sizeof whole);
	run(&whole);
	memset(&w, 0, sizeof w);
	w.save_every = 10;
	w.cap = 1000;
	run(&w);
	ck_assert_int_eq(w.write_rc, HN_EIO);
	expect_same(&whole, &w);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("checkpoint");
	TCase *t = tcase_create("checkpoint");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, a_run_that_is_cut_off_again_and_again_ends_with_the_same_bits, 0, WAYS);
	tcase_add_test(t, a_damaged_or_shortened_checkpoint_is_refused_and_training_begins_anew);
	tcase_add_loop_test(t, impossible_numbers_with_a_good_crc_are_refused, 0,
	                    (int)(sizeof forgeries / sizeof *forgeries));
	tcase_add_loop_test(t, a_checkpoint_of_anything_else_is_refused_as_foreign, 0,
	                    (int)(sizeof strangers / sizeof *strangers));
	tcase_add_test(t, a_full_disk_costs_the_checkpoint_and_not_the_run);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
