/* hone-train is killed at random moments and started again, as honed does: the version that it
 * makes at last is, to the byte, that of a run which nobody disturbed.
 *
 * HONED_KILLS says how many kills there are in all; `make train-kill` asks for 200. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "hn_rng.h"
#include "t_job.h"
#include "t_run.h"

enum { KILLS = 12, SEED = 77, WINDOWS = 600, BLOB_MAX = 1 << 16 };

static struct t_job t;

struct version { uint8_t blob[BLOB_MAX]; size_t len; };

static void take(struct version *v)
{
	const uint8_t *p = t_job_message(&t, JOB_CANDIDATE, &v->len);

	ck_assert_ptr_nonnull(p);
	ck_assert_uint_le(v->len, sizeof v->blob);
	memcpy(v->blob, p, v->len);
}

static int kills_wanted(void)
{
	const char *s = getenv("HONED_KILLS");

	return s ? (int)strtol(s, NULL, 10) : KILLS;
}

/* One job that is killed after random times until it gets through; counts kills and resumptions. */
static void harass(struct hn_rng *rng, int64_t whole_us, int *kills, int *resumed, uint64_t *steps)
{
	(void)unlink(t.checkpoint);
	for (;;) {
		const double part = 0.3 + 0.9 * hn_rng_unit(rng);
		const long us = *kills < kills_wanted() ? (long)(part * (double)whole_us) : 0;
		json_t *o;

		t_job_start(&t);
		t_job_end(&t, us);
		o = t_job_json(&t, JOB_RESUMED);
		ck_assert_msg(!o || !json_object_get(o, "refused"), "%s",
		              json_string_value(json_object_get(o, "refused")));
		*resumed += o != NULL;
		*steps += (uint64_t)json_integer_value(json_object_get(o, "step"));
		json_decref(o);
		if (!WIFSIGNALED(t.status))
			return;
		++*kills;
	}
}

static void job_of_a_second(void)
{
	t_job_make(&t, WINDOWS);
	(void)json_object_set_new(t_job_train(&t), "epochs", json_integer(120));
	(void)json_object_set_new(t_job_train(&t), "patience", json_integer(100));
	(void)json_object_set_new(t_job_train(&t), "checkpoint_s", json_real(0.002));
	(void)json_object_set_new(t.spec, "network",
	                          json_string("dense 64, relu, dense 32, relu, dense 3"));
}

/* A whole run, then checkpoints for those to come.  Its microseconds. */
static int64_t undisturbed(struct version *whole)
{
	int64_t us;

	job_of_a_second();
	us = clock_mono_us();
	t_job_run(&t);
	us = clock_mono_us() - us;
	take(whole);
	(void)json_object_set_new(t.spec, "checkpoint", json_string(t.checkpoint));
	return us;
}

START_TEST(a_killed_trainer_goes_on_and_makes_the_version_of_an_undisturbed_run)
{
	static struct version whole, v;
	const int want = kills_wanted();
	int kills = 0, resumed = 0, jobs = 0;
	uint64_t steps = 0;
	struct hn_rng rng;
	int64_t whole_us;

	hn_rng_seed(&rng, SEED);
	whole_us = undisturbed(&whole);
	while (kills < want) {
		harass(&rng, whole_us, &kills, &resumed, &steps);
		ck_assert_msg(WIFEXITED(t.status) && WEXITSTATUS(t.status) == 0, "status %d", t.status);
		take(&v);
		ck_assert_uint_eq(v.len, whole.len);
		ck_assert_mem_eq(v.blob, whole.blob, whole.len);
		jobs++;
	}
	printf("%d kills in %d jobs, %d resumed, %.0f steps not done again; seed %d\n", kills, jobs,
	       resumed, (double)steps, SEED);
	ck_assert_int_gt(resumed, kills / 4);    /* otherwise this tested nothing */
	t_job_remove(&t);
}
END_TEST

/* Spoil one byte of the checkpoint, or cut it (at < 0). */
static void spoil(long at)
{
	FILE *f = fopen(t.checkpoint, "r+");
	int c;

	ck_assert_ptr_nonnull(f);
	if (at < 0) {
		ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
		ck_assert_int_eq(truncate(t.checkpoint, ftell(f) / 2), 0);
	} else {
		ck_assert_int_eq(fseek(f, at, SEEK_SET), 0);
		c = fgetc(f);
		ck_assert_int_eq(fseek(f, at, SEEK_SET), 0);
		ck_assert_int_ne(fputc(c ^ 1, f), EOF);
	}
	ck_assert_int_eq(fclose(f), 0);
}

/* Until a checkpoint stands. */
static void leave_checkpoint(int64_t whole_us)
{
	for (int i = 0; access(t.checkpoint, R_OK) != 0; i++) {
		ck_assert_int_lt(i, 20);
		t_job_start(&t);
		t_job_end(&t, (long)(whole_us / 2));
	}
}

/* Where to spoil it, and the word of the refusal; NULL: it is read as no checkpoint at all. */
static const struct { long at; const char *why; } damages[] = {
	{ 1000, "damaged" }, { -1, "cut off" }, { 40, "other data" }, { 24, "another kind" },
	{ 0, NULL }, { 8, NULL },
};

START_TEST(a_damaged_or_foreign_checkpoint_is_refused_and_the_job_begins_anew)
{
	static struct version whole, v;
	const char *why;
	int64_t whole_us;
	json_t *o;

	whole_us = undisturbed(&whole);
	leave_checkpoint(whole_us);
	spoil(damages[_i].at);
	t_job_run(&t);
	o = t_job_json(&t, JOB_RESUMED);
	why = json_string_value(json_object_get(o, "refused"));
	ck_assert(!why == !damages[_i].why);
	ck_assert_msg(!why || strstr(why, damages[_i].why), "%s", why);
	json_decref(o);
	take(&v);
	ck_assert_mem_eq(v.blob, whole.blob, whole.len);
	t_job_remove(&t);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("train_kill");
	TCase *c = tcase_create("train_kill");

	tcase_set_timeout(c, 1200);
	tcase_add_test(c, a_killed_trainer_goes_on_and_makes_the_version_of_an_undisturbed_run);
	tcase_add_loop_test(c, a_damaged_or_foreign_checkpoint_is_refused_and_the_job_begins_anew, 0,
	                    (int)(sizeof damages / sizeof *damages));
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return t_run(suite());
}
