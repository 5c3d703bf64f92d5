/* The choices of train.* are the rows of the tables in lib, in their order. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "conf_section.h"
#include "hn_loss.h"
#include "hn_optim.h"
#include "hn_train.h"
#include "t_run.h"

static const struct conf_row *row_of(const char *key)
{
	struct conf_section s[CONF_SECTIONS_MAX];
	const int n = conf_sections(s, CONF_SECTIONS_MAX);

	for (int i = 0; i < n; i++)
		for (const struct conf_row *r = s[i].rows; r->key; r++)
			if (strcmp(r->key, key) == 0)
				return r;
	ck_abort_msg("no row %s", key);
	return NULL;
}

START_TEST(losses_and_optimisers_are_those_of_the_tables)
{
	const char *const *name = row_of("train.loss")->choices;

	ck_assert_str_eq(name[0], "auto");
	for (size_t i = 0; hn_losses[i] || name[i + 1]; i++) {
		ck_assert(hn_losses[i] && name[i + 1]);
		ck_assert_str_eq(name[i + 1], hn_losses[i]->name);
	}
	name = row_of("train.optimiser")->choices;
	for (size_t i = 0; hn_optims[i] || name[i]; i++) {
		ck_assert(hn_optims[i] && name[i]);
		ck_assert_str_eq(name[i], hn_optims[i]->name);
	}
}
END_TEST

START_TEST(schedules_and_updates_are_those_of_the_fit)
{
	const char *const *name = row_of("train.schedule")->choices;

	for (int i = 0; i < HN_SCHEDULES; i++)
		ck_assert_str_eq(name[i], hn_schedule_name((enum hn_schedule)i));
	ck_assert_ptr_null(name[HN_SCHEDULES]);
	name = row_of("train.update")->choices;
	for (int i = 0; i < HN_UPDATES; i++)
		ck_assert_str_eq(name[i], hn_update_name((enum hn_update)i));
	ck_assert_ptr_null(name[HN_UPDATES]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf_train");
	TCase *t = tcase_create("conf_train");

	tcase_add_test(t, losses_and_optimisers_are_those_of_the_tables);
	tcase_add_test(t, schedules_and_updates_are_those_of_the_fit);
	suite_add_tcase(s, t);
	return t_run(s);
}
