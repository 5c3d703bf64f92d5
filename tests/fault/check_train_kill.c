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
#include "hn_train.h"
#include "t_job.h"
#include "t_run.h"

enum { KILLS = 24, SEED = 77, WINDOWS = 600, BLOB_MAX = 1 << 16 };

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

/* Jobs, and the phases in which their checkpoints are written. */
static const struct { const char *phases[2]; bool qat, sparse; } jobs_of[] = {
	{ { "fit", NULL }, false, false },
	{ { "fit", "int8" }, true, false },
	{ { "search", NULL }, false, true },
};
enum { JOBS = sizeof jobs_of / sizeof *jobs_of };

/* Jobs that went on, by phase. */
struct tally { int kills, resumed[2]; uint64_t steps; };

static void count(struct tally *n, int job, const json_t *o)
{
	const char *phase = json_string_value(json_object_get(o, "phase"));

	n->steps += (uint64_t)json_integer_value(json_object_get(o, "step"));
	for (int i = 0; i < 2 && phase; i++)
		n->resumed[i] += jobs_of[job].phases[i] && strcmp(phase, jobs_of[job].phases[i]) == 0;
}

/* One job that is killed after random times until it gets through. */
static void harass(struct hn_rng *rng, int64_t whole_us, int job, int most, struct tally *n)
{
	(void)unlink(t.checkpoint);
	for (;;) {
		const double part = 0.3 + 0.9 * hn_rng_unit(rng);
		const long us = n->kills < most ? (long)(part * (double)whole_us) : 0;
		json_t *o;

		t_job_start(&t);
		t_job_end(&t, us);
		o = t_job_json(&t, JOB_RESUMED);
		ck_assert_msg(!o || !json_object_get(o, "refused"), "%s",
		              json_string_value(json_object_get(o, "refused")));
		count(n, job, o);
		json_decref(o);
		if (!WIFSIGNALED(t.status))
			return;
		n->kills++;
	}
}

static void set(const char *key, json_t *v)
{
	(void)json_object_set_new(t_job_train(&t), key, v);
}

static void job_of_a_second(void)
{
	t_job_make(&t, WINDOWS);
	set("epochs", json_integer(120));
	set("patience", json_integer(100));
	set("checkpoint_s", json_real(0.01));
	(void)json_object_set_new(t.spec, "network",
	                          json_string("dense 64, relu, dense 32, relu, dense 3"));
}

/* A champion of few epochs, from which the search moves few weights. */
static void make_sparse(void)
{
	static struct version champion;

	set("epochs", json_integer(6));
	t_job_run(&t);
	take(&champion);
	t_job_version(&t, champion.blob, champion.len);
	(void)json_object_set_new(t.spec, "champion", json_integer(1));
	set("epochs", json_integer(15));
	set("update", json_integer(HN_SPARSE));
	set("seed", json_integer(3));
	set("wire_max", json_integer(512));
	(void)json_object_set_new(t.spec, "since_us", json_integer(1700000000000000));
}

/* Once without checkpoints; the time is that of a run with them. */
static int64_t undisturbed(struct version *whole)
{
	int64_t us;

	t_job_run(&t);
	ck_assert_msg(WIFEXITED(t.status) && WEXITSTATUS(t.status) == 0, "status %d: %s", t.status,
	              json_dumps(t_job_json(&t, JOB_FAILED), 0));
	take(whole);
	(void)json_object_set_new(t.spec, "checkpoint", json_string(t.checkpoint));
	us = clock_mono_us();
	t_job_run(&t);
	us = clock_mono_us() - us;
	(void)unlink(t.checkpoint);
	return us;
}

START_TEST(a_killed_trainer_goes_on_and_makes_the_version_of_an_undisturbed_run)
{
	static struct version whole, v;
	const int want = (kills_wanted() + JOBS - 1) / JOBS;
	struct tally n = { .kills = 0 };
	struct hn_rng rng;
	int64_t whole_us;
	int jobs = 0;

	hn_rng_seed(&rng, SEED + (uint64_t)_i);
	job_of_a_second();
	if (jobs_of[_i].qat)
		set("quantise", json_integer(1));
	if (jobs_of[_i].sparse)
		make_sparse();
	whole_us = undisturbed(&whole);
	while (n.kills < want) {
		harass(&rng, whole_us, _i, want, &n);
		ck_assert_msg(WIFEXITED(t.status) && WEXITSTATUS(t.status) == 0, "status %d", t.status);
		take(&v);
		ck_assert_uint_eq(v.len, whole.len);
		ck_assert_mem_eq(v.blob, whole.blob, whole.len);
		jobs++;
	}
	printf("%d kills in %d jobs, resumed %d in %s, %d in %s, %.0f steps not done again; seed %d\n",
	       n.kills, jobs, n.resumed[0], jobs_of[_i].phases[0], n.resumed[1],
	       jobs_of[_i].phases[1] ? jobs_of[_i].phases[1] : "-", (double)n.steps, SEED + _i);
	ck_assert_int_gt(n.resumed[0] + n.resumed[1], n.kills / 4);      /* or this tested nothing */
	ck_assert(!jobs_of[_i].phases[1] || n.resumed[1] > 0);
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
	{ 1000, "damaged" }, { -1, "cut off" }, { 48, "other data" }, { 32, "another kind" },
	{ 0, NULL }, { 8, NULL },
};

START_TEST(a_damaged_or_foreign_checkpoint_is_refused_and_the_job_begins_anew)
{
	static struct version whole, v;
	const char *why;
	int64_t whole_us;
	json_t *o;

	job_of_a_second();
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
	tcase_add_loop_test(c, a_killed_trainer_goes_on_and_makes_the_version_of_an_undisturbed_run, 0,
	                    JOBS);
	tcase_add_loop_test(c, a_damaged_or_foreign_checkpoint_is_refused_and_the_job_begins_anew, 0,
	                    (int)(sizeof damages / sizeof *damages));
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return t_run(suite());
}
