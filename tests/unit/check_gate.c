/* check_gate.c - what may be promoted, what stays, and the figures behind it. */
#include <check.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include "hn_gate.h"
#include "hn_metrics.h"
#include "hn_probation.h"
#include "t_run.h"

static const struct hn_gate_cfg cfg = { .windows_min = 10, .gain_min = 0.02, .forget_max = 0.05,
	.int8_loss_max = 0.02 };

static const struct gate_case {
	const char *name;
	struct hn_gate_input in;
	bool pass;
	const char *word;        /* somewhere in the reasons                                    */
} cases[] = {
	{ "clearly better", { true, { 40, 20, 38, 19 }, { 40, 38, 38, 37 }, 76, 76, 30 }, true,
		"passed: 95.0 %" },
	{ "no better", { true, { 40, 36, 36, 34 }, { 40, 38, 38, 37 }, 74, 74, 30 }, false,
		"gain of 0.0 points" },
	{ "worse", { true, { 40, 38, 20, 19 }, { 40, 38, 38, 37 }, 58, 58, 30 }, false, "gain of -45.0" },
	{ "better but forgets", { true, { 40, 20, 38, 19 }, { 40, 38, 30, 29 }, 68, 68, 30 }, false,
		"forgets" },
	{ "one forgotten window is not held against it",
		{ true, { 40, 20, 38, 19 }, { 8, 8, 7, 7 }, 45, 45, 30 }, true, "passed" },
	{ "too few windows", { true, { 9, 0, 9, 0 }, { 40, 38, 38, 37 }, 47, 47, 30 }, false, "too few" },
	{ "int8 loses too much", { true, { 40, 20, 38, 19 }, { 40, 38, 38, 37 }, 80, 76, 30 }, false,
		"int8" },
	{ "int8 loses one window", { true, { 10, 5, 9, 5 }, { 0, 0, 0, 0 }, 10, 9, 4 }, true, "passed" },
	{ "no recent windows: all held-back ones decide",
		{ true, { 0, 0, 0, 0 }, { 50, 25, 45, 24 }, 45, 45, 20 }, true, "held-back" },
	{ "the first version beats the most frequent class",
		{ false, { 20, 0, 18, 0 }, { 0, 0, 0, 0 }, 18, 18, 6 }, true, "most frequent" },
	{ "the first version that always answers the same does not",
		{ false, { 20, 0, 12, 0 }, { 0, 0, 0, 0 }, 12, 12, 12 }, false, "most frequent" },
	{ "nothing held back", { false, { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, 0, 0, 0 }, false, "too few" },
	{ "more right than windows", { true, { 10, 5, 11, 5 }, { 0, 0, 0, 0 }, 10, 10, 4 }, false,
		"contradict" },
	{ "both above one", { true, { 10, 5, 6, 6 }, { 0, 0, 0, 0 }, 6, 6, 4 }, false, "contradict" },
	{ "union above n", { true, { 10, 8, 8, 2 }, { 0, 0, 0, 0 }, 8, 8, 4 }, false, "contradict" },
	{ "negative", { true, { -1, 0, 0, 0 }, { 0, 0, 0, 0 }, 0, 0, 0 }, false, "contradict" },
	{ "sums that would overflow", { true, { INT_MAX, 1, 1, 1 }, { INT_MAX, 1, 1, 1 }, 1, 1, 1 }, false,
		"contradict" },
};

START_TEST(the_gate_decides_as_its_table_says)
{
	const struct gate_case *c = &cases[_i];
	struct hn_gate_result r;
	bool found = false;

	hn_gate_decide(&c->in, &cfg, &r);
	ck_assert_msg(r.pass == c->pass, "%s: %s", c->name, r.reason[0]);
	ck_assert_int_ge(r.n_reasons, 1);
	for (int i = 0; i < r.n_reasons; i++)
		found |= strstr(r.reason[i], c->word) != NULL;
	ck_assert_msg(found, "%s: no \"%s\" in \"%s\"", c->name, c->word, r.reason[0]);
	ck_assert(!r.pass || r.n_reasons == 1);
	ck_assert(isfinite(r.gain) && isfinite(r.p) && r.p >= 0.0 && r.p <= 1.0);
}
END_TEST

START_TEST(all_objections_are_named_at_once)
{
	const struct hn_gate_input in = { true, { 5, 5, 2, 2 }, { 40, 40, 10, 10 }, 40, 12, 20 };
	struct hn_gate_result r;

	hn_gate_decide(&in, &cfg, &r);
	ck_assert(!r.pass);
	ck_assert_int_eq(r.n_reasons, 5);        /* summary, too few, gain, forgets, int8 */
	ck_assert(strncmp(r.reason[0], "failed: 40.0 %", 14) == 0);
	ck_assert(fabs(r.forget - 0.75) < 1e-12);
}
END_TEST

START_TEST(the_chance_of_the_gain_is_the_sign_tests)
{
	const struct hn_gate_input in = { true, { 20, 10, 18, 10 }, { 0, 0, 0, 0 }, 18, 18, 5 };
	struct hn_gate_result r;

	hn_gate_decide(&in, &cfg, &r);
	ck_assert(r.pass && fabs(r.p - 0.5 / 256.0) < 1e-9);     /* 8 : 0 */
}
END_TEST

/* --- by errors -------------------------------------------------------------------------------- */

static const struct measure_case {
	const char *name;
	struct hn_gate_measures in;
	bool pass;
	const char *word;
} measures[] = {
	{ "clearly better",
		{ true, "p", { 40, 36, 4, 0.8, 0.2, 1 }, { 40, 20, 20, 0.2, 0.2, 1 }, 0.2, 0.2, 1 }, true,
		"passed: skill 80.0 % (error 0.2) against 20.0 % (0.8) of the champion on 40 recent" },
	{ "worse",
		{ true, "p", { 40, 4, 36, 0.2, 0.3, 1 }, { 0, 0, 0, 0, 0, 0 }, 0.3, 0.3, 1 }, false,
		"gain of -10.0 points" },
	{ "no better",
		{ true, "p", { 40, 20, 20, 0.2, 0.2, 1 }, { 0, 0, 0, 0, 0, 0 }, 0.2, 0.2, 1 }, false,
		"gain of 0.0 points" },
	{ "better but forgets",
		{ true, "p", { 40, 36, 4, 0.8, 0.2, 1 }, { 40, 0, 40, 0.2, 0.4, 1 }, 0.3, 0.3, 1 }, false,
		"forgets: 20.0 points of skill lost on 40" },
	{ "too few windows",
		{ true, "p", { 9, 9, 0, 0.8, 0.2, 1 }, { 40, 20, 20, 0.2, 0.2, 1 }, 0.2, 0.2, 1 }, false,
		"too few" },
	{ "int8 loses too much",
		{ true, "p", { 40, 36, 4, 0.8, 0.2, 1 }, { 0, 0, 0, 0, 0, 0 }, 0.17, 0.2, 1 }, false,
		"int8 weights lose 3.0 points" },
	{ "no recent windows",
		{ true, "p", { 0, 0, 0, 0, 0, 0 }, { 40, 30, 10, 0.4, 0.2, 1 }, 0.2, 0.2, 1 }, true,
		"held-back" },
	{ "the first version beats the plain answer",
		{ false, "the mean", { 10, 0, 0, 0, 0.4, 2 }, { 10, 0, 0, 0, 0.2, 1 }, 0.3, 0.3, 1.5 }, true,
		"skill 80.0 % (error 0.3) against 0.0 % (1.5) of the mean on 20 held-back" },
	{ "the first version that does not",
		{ false, "the mean", { 0, 0, 0, 0, 0, 0 }, { 20, 0, 0, 0, 1, 1 }, 1, 1, 1 }, false,
		"no better than the mean" },
	{ "nothing held back",
		{ false, "p", { 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0, 0 }, 0, 0, 0 }, false,
		"too few" },
	{ "more windows won than there are",
		{ true, "p", { 10, 8, 3, 1, 1, 1 }, { 0, 0, 0, 0, 0, 0 }, 1, 1, 1 }, false,
		"contradict" },
	{ "an error that is no number",
		{ true, "p", { 10, 5, 5, (double)NAN, 1, 1 }, { 0, 0, 0, 0, 0, 0 }, 1, 1, 1 }, false,
		"contradict" },
	{ "a negative error",
		{ true, "p", { 10, 5, 5, 1, -1, 1 }, { 0, 0, 0, 0, 0, 0 }, 1, 1, 1 }, false,
		"contradict" },
	{ "no plain error to compare with",
		{ true, "p", { 10, 5, 5, 1, 1, 0 }, { 0, 0, 0, 0, 0, 0 }, 1, 1, 1 }, false,
		"contradict" },
};

START_TEST(errors_are_judged_as_their_table_says)
{
	const struct measure_case *c = &measures[_i];
	struct hn_gate_result r;
	bool found = false;

	hn_gate_measure(&c->in, &cfg, &r);
	ck_assert_msg(r.pass == c->pass, "%s: %s", c->name, r.reason[0]);
	for (int i = 0; i < r.n_reasons; i++)
		found |= strstr(r.reason[i], c->word) != NULL;
	ck_assert_msg(found, "%s: no \"%s\" in \"%s\"", c->name, c->word, r.reason[r.n_reasons > 1]);
	ck_assert(!r.pass || r.n_reasons == 1);
	ck_assert(isfinite(r.gain) && isfinite(r.p) && r.p >= 0.0 && r.p <= 1.0);
}
END_TEST

/* --- probation -------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int before, right_before;
	double gate;
	int n, right, at_s;
	enum hn_probation_verdict want;
} watches[] = {
	{ "as good as expected", 20, 10, 0.95, 20, 19, 100, HN_PROBATION_WATCH },
	{ "over without a label", 0, 0, 0.95, 0, 0, 3600, HN_PROBATION_KEEP },
	{ "over, good", 0, 0, 0.95, 20, 19, 3600, HN_PROBATION_KEEP },
	{ "clearly worse than the gate said", 0, 0, 0.95, 10, 4, 100, HN_PROBATION_ROLL_BACK },
	{ "clearly worse than the version before", 40, 38, 0.5, 20, 8, 100, HN_PROBATION_ROLL_BACK },
	{ "worse than the gate, better than the one before", 40, 16, 0.95, 20, 15, 100,
		HN_PROBATION_WATCH },
	{ "too few labels to judge", 0, 0, 0.95, 7, 0, 100, HN_PROBATION_WATCH },
	{ "a drop that luck explains", 0, 0, 0.95, 10, 8, 100, HN_PROBATION_WATCH },
	{ "nothing to compare with", 0, 0, (double)NAN, 30, 0, 100, HN_PROBATION_WATCH },
	{ "worse even at the end of the watch", 0, 0, 0.95, 10, 2, 9999, HN_PROBATION_ROLL_BACK },
};

START_TEST(probation_rolls_back_only_what_is_worse_beyond_chance)
{
	const struct hn_probation_cfg pc = { .watch_s = 3600.0, .loss_max = 0.05 };
	struct hn_probation p;
	char reason[160] = "";

	hn_probation_start(&p, watches[_i].before, watches[_i].right_before, watches[_i].gate, 5000000);
	for (int i = 0; i < watches[_i].n; i++)
		hn_probation_label(&p, i < watches[_i].right);
	ck_assert_msg(hn_probation_decide(&p, &pc, 5000000 + watches[_i].at_s * 1000000LL, reason)
	              == watches[_i].want, "%s: %s", watches[_i].name, reason);
	ck_assert_uint_gt(strlen(reason), 10);
}
END_TEST

/* --- metrics ---------------------------------------------------------------------------------- */

START_TEST(figures_of_a_confusion_matrix)
{
	static const int rows[3][3] = { { 8, 2, 0 }, { 1, 9, 0 }, { 0, 0, 0 } };
	struct hn_confusion c;

	ck_assert_int_eq(hn_confusion_init(&c, 1), HN_ERANGE);
	ck_assert_int_eq(hn_confusion_init(&c, HN_METRICS_CLASSES + 1), HN_ERANGE);
	ck_assert_int_eq(hn_confusion_init(&c, 3), HN_OK);
	ck_assert(isnan(hn_confusion_accuracy(&c)) && isnan(hn_confusion_macro_f1(&c)));
	for (int t = 0; t < 3; t++)
		for (int a = 0; a < 3; a++)
			for (int i = 0; i < rows[t][a]; i++)
				ck_assert_int_eq(hn_confusion_add(&c, t, a), HN_OK);
	ck_assert_int_eq(hn_confusion_add(&c, 0, 3), HN_ERANGE);
	ck_assert_int_eq(hn_confusion_add(&c, -1, 0), HN_ERANGE);
	ck_assert_uint_eq(hn_confusion_n(&c), 20);
	ck_assert(fabs(hn_confusion_accuracy(&c) - 0.85) < 1e-12);
	ck_assert(fabs(hn_confusion_recall(&c, 0) - 0.8) < 1e-12);
	ck_assert(fabs(hn_confusion_precision(&c, 0) - 8.0 / 9.0) < 1e-12);
	ck_assert(isnan(hn_confusion_recall(&c, 2)));
	ck_assert(fabs(hn_confusion_macro_f1(&c) - 0.5 * (16.0 / 19.0 + 18.0 / 21.0)) < 1e-12);
	ck_assert(fabs(hn_confusion_majority(&c) - 0.5) < 1e-12);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gate");
	TCase *t = tcase_create("gate");

	tcase_add_loop_test(t, the_gate_decides_as_its_table_says, 0,
	                    (int)(sizeof cases / sizeof cases[0]));
	tcase_add_test(t, all_objections_are_named_at_once);
	tcase_add_loop_test(t, errors_are_judged_as_their_table_says, 0,
	                    (int)(sizeof measures / sizeof measures[0]));
	tcase_add_test(t, the_chance_of_the_gain_is_the_sign_tests);
	tcase_add_loop_test(t, probation_rolls_back_only_what_is_worse_beyond_chance, 0,
	                    (int)(sizeof watches / sizeof watches[0]));
	tcase_add_test(t, figures_of_a_confusion_matrix);
	suite_add_tcase(s, t);
	return t_run(s);
}
