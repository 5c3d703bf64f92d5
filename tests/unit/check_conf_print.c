/* What is printed from the table, and the comparison of two configurations. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "conf_section.h"
#include "conf_value.h"
#include "t_conf.h"
#include "t_run.h"

static void drivers(void)
{
	conf_set_drivers(t_drivers);
}

static char *printed(void (*print)(FILE *))
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	ck_assert_ptr_nonnull(f);
	print(f);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

static struct conf *load(const char *text)
{
	struct conf *c = NULL;
	const int errors = conf_load_text(&c, "t.yaml", text, strlen(text), stderr);

	ck_assert_msg(errors == 0, "%d errors", errors);
	return c;
}

START_TEST(the_sample_file_is_the_defaults)
{
	char *sample = printed(conf_print_sample);
	struct conf *c = load(sample), *fresh = conf_new();

	ck_assert_ptr_nonnull(fresh);
	ck_assert_int_eq(memcmp(c, fresh, sizeof *c), 0);
	free(fresh);
	free(c);
	free(sample);
}
END_TEST

START_TEST(the_samples_example_of_the_lists_works_without_its_first_hash)
{
	char *sample = printed(conf_print_sample), *from = strstr(sample, "# The lists below");
	struct conf *c;

	ck_assert_ptr_nonnull(from);
	for (char *line = strchr(from, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
		ck_assert_int_eq(*line, '#');
		*line = ' ';
	}
	for (char *p = from; *p; p++)            /* a space in place of # would indent */
		if (p[0] == '\n' && p[1] == ' ')
			(void)memmove(p + 1, p + 2, strlen(p + 1));
	c = load(sample);
	ck_assert_int_eq(c->n_sources, 1);
	ck_assert_int_eq(c->n_streams, 1);
	ck_assert_int_eq(c->n_models, 1);
	ck_assert_int_eq(c->n_devices, 1);
	free(c);
	free(sample);
}
END_TEST

START_TEST(every_row_is_in_the_help_the_docs_and_the_sample)
{
	struct conf_section s[CONF_SECTIONS_MAX];
	const int n = conf_sections(s, CONF_SECTIONS_MAX);
	char *help = printed(conf_print_help), *docs = printed(conf_print_docs);
	char *sample = printed(conf_print_sample), word[96];

	for (int i = 0; i < n; i++)
		for (const struct conf_row *r = s[i].rows; r->key; r++) {
			const size_t g = conf_group_length(r->key);

			(void)snprintf(word, sizeof word, "  %s ", r->key);
			ck_assert_msg(strstr(help, word) != NULL, "help: %s", r->key);
			(void)snprintf(word, sizeof word, "| `%s` |", r->key);
			ck_assert_msg(strstr(docs, word) != NULL, "docs: %s", r->key);
			(void)snprintf(word, sizeof word, "%s:", r->key + (g ? g + 1 : 0));
			ck_assert_msg(strstr(sample, word) != NULL, "sample: %s", r->key);
		}
	free(help);
	free(docs);
	free(sample);
}
END_TEST

START_TEST(every_line_of_a_table_in_the_docs_has_four_columns)
{
	char *docs = printed(conf_print_docs), *save = NULL;
	int rows = 0;

	for (char *l = strtok_r(docs, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		int bars = 0;

		if (l[0] != '|')
			continue;
		for (const char *p = l; *p; p++)
			bars += *p == '|' && (p == l || p[-1] != '\\');
		ck_assert_msg(bars == 5, "%s", l);
		rows++;
	}
	ck_assert_int_gt(rows, 50);
	free(docs);
}
END_TEST

/* Properties object that holds `r`: of the definition, inside its group if it has one. */
static const json_t *properties(const json_t *object, const struct conf_row *r)
{
	const size_t g = conf_group_length(r->key);
	const json_t *p = json_object_get(object, "properties");
	char group[64];

	if (!g)
		return p;
	(void)snprintf(group, sizeof group, "%.*s", (int)g, r->key);
	return json_object_get(json_object_get(p, group), "properties");
}

START_TEST(the_schema_is_json_and_describes_every_row)
{
	struct conf_section s[CONF_SECTIONS_MAX];
	const int n = conf_sections(s, CONF_SECTIONS_MAX);
	char *text = printed(conf_print_schema);
	json_error_t err;
	json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, &err);
	const json_t *definitions;

	ck_assert_msg(schema != NULL, "line %d: %s", err.line, err.text);
	definitions = json_object_get(schema, "definitions");
	ck_assert_uint_eq(json_object_size(definitions), (size_t)n - 1);
	for (int i = 0; i < n; i++)
		for (const struct conf_row *r = s[i].rows; r->key; r++) {
			const size_t g = conf_group_length(r->key);
			const char *id = strcmp(s[i].id, "sources") == 0 ? "source_link" : s[i].id;
			const json_t *o = i ? json_object_get(definitions, id) : schema;
			const json_t *p = json_object_get(properties(o, r), r->key + (g ? g + 1 : 0));

			ck_assert_msg(json_is_object(p), "%s %s", s[i].name, r->key);
			ck_assert_msg(json_is_string(json_object_get(p, "description")), "%s", r->key);
		}
	json_decref(schema);
	free(text);
}
END_TEST

/* --- comparison ------------------------------------------------------------------------------- */

static int compare(const struct conf *a, const struct conf *b, char **said)
{
	size_t n;
	FILE *f = open_memstream(said, &n);
	int restarts;

	ck_assert_ptr_nonnull(f);
	restarts = conf_diff(a, b, f);
	ck_assert_int_eq(fclose(f), 0);
	return restarts;
}

/* Change the member of `r` to another valid value. */
static void change(const struct conf_row *r, void *base)
{
	static const char *const tries[] = { "true", "false", "2", "3", "0.5", "90s", "91s", "5MB", "6MB",
	                                     "0.3", "300", "64", "zzz" };
	const struct conf_row one = *r;
	char why[CONF_WHY_MAX];
	unsigned char was[CONF_TEXT_MAX + HN_NET_TEXT_MAX];

	ck_assert_uint_le(r->size, sizeof was);
	memcpy(was, conf_member(r, base), r->size);
	for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
		if (conf_value_set(&one, base, tries[i], why) &&
		    memcmp(was, conf_member(r, base), r->size) != 0)
			return;
	}
	if (r->type == CONF_ENUM)
		*(int *)conf_member(r, base) ^= 1;
	ck_assert_msg(memcmp(was, conf_member(r, base), r->size) != 0, "%s cannot change", r->key);
}

/* Every row of `rows` alone: its key is named, and it asks for a restart unless reloadable. */
static void each_row(const struct conf *old, const struct conf_row *rows, size_t off,
                     const char *at)
{
	struct conf *fresh = malloc(sizeof *fresh);
	char line[128], *said;

	ck_assert_ptr_nonnull(fresh);
	for (const struct conf_row *r = rows; r->key; r++) {
		if (r->type == CONF_LIST || r->type == CONF_TEXTS || r->type == CONF_DRIVER)
			continue;
		memcpy(fresh, old, sizeof *fresh);
		change(r, (unsigned char *)fresh + off);
		ck_assert_int_eq(compare(old, fresh, &said), r->flags & CONF_RELOAD ? 0 : 1);
		(void)snprintf(line, sizeof line, "%s%s\n", at, r->key);
		ck_assert_str_eq(said, line);
		free(said);
	}
	free(fresh);
}

START_TEST(a_change_of_any_setting_is_named_and_its_restart_counted)
{
	struct conf *c = load(t_conf_good);
	const struct conf_row *models = conf_row_find(conf_rows, "models");
	const struct conf_row *devices = conf_row_find(conf_rows, "devices");

	each_row(c, conf_rows, 0, "");
	each_row(c, models->item, offsetof(struct conf, models), "models[state].");
	each_row(c, devices->item, offsetof(struct conf, devices), "devices[d-1].");
	each_row(c, t_drivers[1]->rows, offsetof(struct conf, sources[0].settings),
	         "sources[pump].");
	free(c);
}
END_TEST

START_TEST(equal_configurations_do_not_differ)
{
	struct conf *a = load(t_conf_good), *b = load(t_conf_good);
	char *said;

	ck_assert_int_eq(compare(a, b, &said), 0);
	ck_assert_str_eq(said, "");
	free(said);
	free(a);
	free(b);
}
END_TEST

START_TEST(changed_lists_are_named)
{
	struct conf *a = load(t_conf_good), *b = load(t_conf_good);
	char *said;

	b->streams[1].channels[3].scale = 5;
	b->models[0].n_classes = 2;
	b->n_devices = 0;
	ck_assert_int_eq(compare(a, b, &said), 3);
	ck_assert_str_eq(said, "streams[gas].channels\nmodels[state].classes\ndevices (shorter)\n");
	free(said);
	free(a);
	free(b);
}
END_TEST

START_TEST(another_type_of_source_is_one_difference)
{
	struct conf *a = load("sources: [{name: a, type: bare}]\n");
	struct conf *b = load("sources: [{name: a, type: line}, {name: b, type: bare}]\n");
	char *said;

	ck_assert_int_eq(compare(a, b, &said), 2);
	ck_assert_str_eq(said, "sources[a].type\nsources (longer)\n");
	free(said);
	free(a);
	free(b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf_print");
	TCase *t = tcase_create("conf_print");

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, drivers, NULL);
	tcase_add_test(t, the_sample_file_is_the_defaults);
	tcase_add_test(t, the_samples_example_of_the_lists_works_without_its_first_hash);
	tcase_add_test(t, every_row_is_in_the_help_the_docs_and_the_sample);
	tcase_add_test(t, every_line_of_a_table_in_the_docs_has_four_columns);
	tcase_add_test(t, the_schema_is_json_and_describes_every_row);
	tcase_add_test(t, a_change_of_any_setting_is_named_and_its_restart_counted);
	tcase_add_test(t, equal_configurations_do_not_differ);
	tcase_add_test(t, changed_lists_are_named);
	tcase_add_test(t, another_type_of_source_is_one_difference);
	return t_run(s);
}
