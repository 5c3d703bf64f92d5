/* The configuration: messages, defaults, lists, limits.  What is printed from the table is in
 * check_conf_print.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "conf_doc.h"
#include "conf_section.h"
#include "conf_value.h"
#include "t_conf.h"
#include "t_run.h"

static void drivers(void)
{
	conf_set_drivers(t_drivers);
}

/* Load `text`; what is printed is freed by the caller. */
static int load(struct conf **c, const char *text, size_t len, char **said)
{
	size_t n;
	FILE *to = open_memstream(said, &n);
	int errors;

	ck_assert_ptr_nonnull(to);
	errors = conf_load_text(c, "t.yaml", text, len, to);
	ck_assert_int_eq(fclose(to), 0);
	return errors;
}

static struct conf *load_good(const char *text)
{
	struct conf *c = NULL;
	char *said;
	const int errors = load(&c, text, strlen(text), &said);

	ck_assert_msg(errors == 0, "%d errors: %s", errors, said);
	free(said);
	return c;
}

/* The text must be refused, with `part` among what is said. */
static void refused(const char *text, size_t len, const char *part)
{
	struct conf *c = NULL;
	char *said;
	const int errors = load(&c, text, len, &said);

	ck_assert_msg(errors != 0, "accepted: %.60s", text);
	ck_assert_ptr_null(c);
	ck_assert_msg(strstr(said, part) != NULL, "'%s' is not in: %s", part, said);
	free(said);
}

static void said_exactly(const struct t_conf_case *t)
{
	for (; t->name; t++) {
		struct conf *c = NULL;
		char *said;
		const int errors = load(&c, t->yaml, strlen(t->yaml), &said);

		ck_assert_msg(errors > 0 && !c, "%s: accepted", t->name);
		ck_assert_msg(strcmp(said, t->message) == 0, "%s\nsaid:\n%s\nexpected:\n%s", t->name,
		              said, t->message);
		free(said);
	}
}

START_TEST(every_bad_file_gets_exactly_its_message)
{
	said_exactly(t_conf_cases);
	said_exactly(t_conf_items);
}
END_TEST

START_TEST(no_message_ever_shows_a_secret)
{
	for (const struct t_conf_case *t = t_conf_items; t->name; t++)
		ck_assert_msg(!strstr(t->message, "swordfish"), "%s", t->name);
}
END_TEST

/* A struct large enough for the members of any table. */
static struct conf scratch;

START_TEST(every_default_is_valid_and_inside_its_range)
{
	struct conf_section s[CONF_SECTIONS_MAX];
	const int n = conf_sections(s, CONF_SECTIONS_MAX);
	char why[CONF_WHY_MAX];

	ck_assert_int_ge(n, 6 + 3);      /* root, five lists, three drivers */
	for (int i = 0; i < n; i++)
		for (const struct conf_row *r = s[i].rows; r->key; r++) {
			if (r->type == CONF_LIST || r->type == CONF_TEXTS || r->type == CONF_DRIVER)
				continue;
			ck_assert_msg(r->def != NULL, "%s %s has no default", s[i].name, r->key);
			ck_assert_msg(conf_value_set(r, &scratch, r->def, why), "%s %s: %s", s[i].name,
			              r->key, why);
		}
}
END_TEST

START_TEST(every_number_is_refused_just_outside_its_range_and_taken_at_its_ends)
{
	struct conf_section s[CONF_SECTIONS_MAX];
	const int n = conf_sections(s, CONF_SECTIONS_MAX);
	char why[CONF_WHY_MAX], text[4][64];
	int tried = 0;

	for (int i = 0; i < n; i++)
		for (const struct conf_row *r = s[i].rows; r->key; r++) {
			const double span = r->max - r->min;
			const char *unit = r->type == CONF_TIME ? "s" : "";

			if (!(span > 0))
				continue;
			(void)snprintf(text[0], sizeof text[0], "%.17g%s", r->min, unit);
			(void)snprintf(text[1], sizeof text[1], "%.17g%s", r->max, unit);
			(void)snprintf(text[2], sizeof text[2], "%.0f%s", r->min - span - 1, unit);
			(void)snprintf(text[3], sizeof text[3], "%.0f%s", r->max + span + 1, unit);
			for (int k = 0; k < 4; k++)
				ck_assert_msg(conf_value_set(r, &scratch, text[k], why) == (k < 2),
				              "%s %s = %s", s[i].name, r->key, text[k]);
			tried++;
		}
	ck_assert_int_gt(tried, 30);
}
END_TEST

START_TEST(every_table_has_few_enough_rows_and_its_groups_stand_together)
{
	struct conf_section s[CONF_SECTIONS_MAX];
	const int n = conf_sections(s, CONF_SECTIONS_MAX);

	for (int i = 0; i < n; i++)
		for (const struct conf_row *r = s[i].rows; r->key; r++) {
			const size_t g = conf_group_length(r->key);
			bool left = false;

			ck_assert_msg(r - s[i].rows < CONF_ROWS_MAX, "%s: too many rows", s[i].name);
			ck_assert_msg(r->help && r->help[0], "%s %s: no help", s[i].name, r->key);
			for (const struct conf_row *k = r; g && k->key; k++) {
				const bool in = conf_group_length(k->key) == g &&
				                strncmp(k->key, r->key, g) == 0;

				ck_assert_msg(!(in && left), "%s %s", s[i].name, k->key);
				left = left || !in;
			}
		}
}
END_TEST

START_TEST(an_empty_file_and_empty_sections_give_the_defaults)
{
	static const char *const empty[] = {
		"", "# nothing\n", "---\n", "~\n", "sources:\nstreams: []\nmodels: ~\ndevices: null\n",
		"store:\nlog: {}\n", "\xef\xbb\xbfstore:\n", "\xef\xbb\xbf%YAML 1.1\n---\n", NULL
	};
	struct conf *fresh = conf_new();

	ck_assert_ptr_nonnull(fresh);
	ck_assert_str_eq(fresh->store.path, "/var/lib/honed/honed.db");
	ck_assert_double_eq_tol(fresh->store.retain_s, 30 * 86400.0, 1e-12);
	ck_assert_double_eq_tol(fresh->store.size_max, 1073741824.0, 1e-12);
	for (int i = 0; empty[i]; i++) {
		struct conf *c = load_good(empty[i]);

		ck_assert_msg(memcmp(c, fresh, sizeof *c) == 0, "%s", empty[i]);
		free(c);
	}
	free(fresh);
}
END_TEST

START_TEST(lists_and_short_forms_fill_the_struct)
{
	struct conf *c = load_good(t_conf_good);
	const struct conf_stream *vib = &c->streams[0], *gas = &c->streams[1];
	const struct conf_model *m = &c->models[0];

	ck_assert_int_eq(c->n_streams, 2);
	ck_assert_int_eq(vib->n_channels, 18);
	ck_assert_str_eq(vib->channels[2].name, "S01_DR");
	ck_assert_str_eq(vib->channels[17].name, "S16_DR");
	ck_assert_double_eq_tol(vib->period_s, 0.01, 1e-15);
	ck_assert_int_eq(gas->n_channels, 18);
	ck_assert_str_eq(gas->channels[0].name, "f1");
	ck_assert_str_eq(gas->channels[16].name, "f17");
	ck_assert_double_eq_tol(gas->channels[16].scale, 0.01, 1e-12);
	ck_assert_str_eq(gas->channels[16].unit, "kOhm");
	ck_assert_str_eq(gas->channels[17].name, "last");
	ck_assert_double_eq_tol(gas->channels[17].scale, 0.001, 1e-12);
	ck_assert_str_eq(m->network, "dense 16, relu, dense 3");
	ck_assert_int_eq(m->n_classes, 3);
	ck_assert_str_eq(m->classes[2], "worn out");
	ck_assert_int_eq(m->train.epochs, 5);
	ck_assert_int_eq(m->train.seed, 9007199254740991);
	ck_assert_double_eq_tol(m->train.memory_max, 1572864, 1e-12);
	ck_assert_int_eq(m->train.batch, 32);
	ck_assert_int_eq(m->policy.mode, 1);
	free(c);
}
END_TEST

START_TEST(a_driver_gets_its_settings_wherever_its_type_stands)
{
	struct conf *c = load_good(t_conf_good);
	const struct t_link *pump = (const struct t_link *)(const void *)c->sources[0].settings;
	const struct t_line *gate = (const struct t_line *)(const void *)c->sources[1].settings;

	ck_assert_int_eq(c->n_sources, 2);
	ck_assert_int_eq(c->sources[0].type, 1);
	ck_assert_int_eq(pump->baud, 9600);
	ck_assert_str_eq(pump->path, "/dev/ttyACM1");
	ck_assert_str_eq(pump->psk, "open sesame");
	ck_assert_int_eq(c->sources[1].type, 0);
	ck_assert_str_eq(gate->listen, "127.0.0.1:8094");
	ck_assert_int_eq(gate->n_tags, 2);
	ck_assert_double_eq_tol(gate->wait_s, 90, 1e-12);
	free(c);
}
END_TEST

START_TEST(what_follows_from_the_settings_is_filled_in)
{
	struct conf *c = load_good(t_conf_good);

	ck_assert_int_eq(c->models[0].n_streams, 2);     /* gas is its own, vib its device's */
	ck_assert_str_eq(c->models[0].streams[0], "gas");
	ck_assert_str_eq(c->models[0].streams[1], "vib");
	ck_assert_int_eq(c->models[0].hop, 8);
	ck_assert_str_eq(c->devices[0].uid, "00a1b2c3d4e5f607");
	free(c);
}
END_TEST

START_TEST(items_are_found_by_name)
{
	struct conf *c = load_good(t_conf_good);

	ck_assert_int_eq(conf_source_find(c, "gate"), 1);
	ck_assert_int_eq(conf_stream_find(c, "gas"), 1);
	ck_assert_int_eq(conf_model_find(c, "state"), 0);
	ck_assert_int_eq(conf_device_find(c, "d-1"), 0);
	ck_assert_int_eq(conf_source_find(c, "gas"), -1);
	ck_assert_int_eq(conf_device_find(c, ""), -1);
	free(c);
}
END_TEST

/* `n` times `item`, each with its number in place of %d, after `head`. */
static char *many(const char *head, const char *item, int n, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	ck_assert_ptr_nonnull(f);
	(void)fputs(head, f);
	for (int i = 0; i < n; i++) {
		const char *gap = strstr(item, "%d");

		(void)fprintf(f, "%.*s%d%s", (int)(gap - item), item, i, gap + 2);
	}
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

static void at_most(const char *head, const char *item, int n, const char *part)
{
	size_t len;
	char *text = many(head, item, n, &len);
	struct conf *c = NULL;
	char *said;

	ck_assert_msg(load(&c, text, len, &said) == 0, "%d: %s", n, said);
	free(said);
	free(c);
	free(text);
	text = many(head, item, n + 1, &len);
	refused(text, len, part);
	free(text);
}

START_TEST(a_full_list_loads_and_one_item_more_is_refused)
{
	at_most("sources:\n", "  - {name: s%d, type: bare}\n", CONF_SOURCES_MAX,
	        "sources: at most 64 are possible");
	at_most("sources: [{name: a, type: bare}]\nstreams:\n",
	        "  - {name: s%d, source: a, channels: [x]}\n", CONF_STREAMS_MAX,
	        "streams: at most 64 are possible");
	at_most("sources: [{name: a, type: bare}]\nstreams:\n  - name: s\n    source: a\n"
	        "    channels:\n", "      - c%d\n", HN_CHANNELS_MAX,
	        "channels: at most 128 are possible");
	at_most("sources: [{name: a, type: bare}]\nstreams: [{name: s, source: a, channels: [x]}]\n"
	        "models:\n", "  - {name: m%d, streams: s, task: regress, network: dense 1}\n",
	        CONF_MODELS_MAX, "models: at most 16 are possible");
}
END_TEST

START_TEST(a_file_beyond_a_limit_is_refused)
{
	size_t len;
	char *text = many("", "#%d\n", CONF_FILE_MAX / 6, &len);

	refused(text, (size_t)CONF_FILE_MAX + 1, "larger than 1 MB");
	free(text);
	text = many("a: [", "%d,", CONF_NODES_MAX, &len);
	refused(text, len, "more than 20000 settings");
	free(text);
	text = many("", "k%d: 1\n", CONF_KEYS_MAX + 1, &len);
	refused(text, len, "too many keys in one place");
	free(text);
}
END_TEST

START_TEST(of_very_many_errors_the_first_are_shown_and_all_are_counted)
{
	size_t len;
	char *text = many("", "k%d: 1\n", 200, &len), *said;
	struct conf *c = NULL;

	ck_assert_int_eq(load(&c, text, len, &said), 200);
	ck_assert_ptr_nonnull(strstr(said, "200 errors in t.yaml (50 are shown)\n"));
	free(said);
	free(text);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_says_why)
{
	struct conf *c = NULL;
	char *said;
	size_t n;
	FILE *to = open_memstream(&said, &n);

	ck_assert_ptr_nonnull(to);
	ck_assert_int_eq(conf_load(&c, "/nonexistent/honed.yaml", to), -1);
	ck_assert_int_eq(conf_load(&c, "/", to), -1);
	ck_assert_int_eq(fclose(to), 0);
	ck_assert_ptr_null(c);
	ck_assert_str_eq(said, "/nonexistent/honed.yaml: error: No such file or directory\n"
	                       "/: error: Is a directory\n");
	free(said);
}
END_TEST

START_TEST(times_and_sizes_are_written_in_their_largest_whole_unit)
{
	static const struct { double v; const char *time, *size; } t[] = {
		{ 0, "0s", "0" }, { 1e-6, "1us", NULL }, { 0.0015, "1500us", NULL }, { 0.01, "10ms", NULL },
		{ 90, "90s", "90B" }, { 3600, "1h", "3600B" }, { 2592000, "30d", NULL },
		{ 1572864, NULL, "1536KB" }, { 1073741824, NULL, "1GB" }
	};
	char out[40];

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		conf_time_text(t[i].v, out, sizeof out);
		if (t[i].time)
			ck_assert_str_eq(out, t[i].time);
		conf_size_text(t[i].v, out, sizeof out);
		if (t[i].size)
			ck_assert_str_eq(out, t[i].size);
	}
}
END_TEST

START_TEST(one_setting_can_be_set_from_the_command_line)
{
	struct conf *c = conf_new();
	static const struct { const char *text; hn_status rc; const char *said; } bad[] = {
		{ "status.port", HN_EFORMAT, "'status.port' is not of the form key=value" },
		{ "=1", HN_EFORMAT, "'=1' is not of the form key=value" },
		{ "status.prot=1", HN_ENOENT,
		  "unknown setting 'status.prot', did you mean 'status.port'?" },
		{ "sources=1", HN_EINVAL, "'sources' is a list: it can only be set in the file" },
		{ "status.port=99999", HN_ERANGE,
		  "status.port: 99999 is outside 0..65535 (whole number 0..65535, default 0)" },
	};

	ck_assert_int_eq(conf_set(c, "status.port=8414", NULL), HN_OK);
	ck_assert_int_eq(c->status.port, 8414);
	ck_assert_int_eq(conf_set(c, "store.path=/a=b", NULL), HN_OK);
	ck_assert_str_eq(c->store.path, "/a=b");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct hn_err err = { 0 };

		ck_assert_int_eq(conf_set(c, bad[i].text, &err), bad[i].rc);
		ck_assert_str_eq(err.text, bad[i].said);
	}
	ck_assert_int_eq(c->status.port, 8414);
	free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf");
	TCase *t = tcase_create("conf");

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, drivers, NULL);
	tcase_add_test(t, every_bad_file_gets_exactly_its_message);
	tcase_add_test(t, no_message_ever_shows_a_secret);
	tcase_add_test(t, every_default_is_valid_and_inside_its_range);
	tcase_add_test(t, every_number_is_refused_just_outside_its_range_and_taken_at_its_ends);
	tcase_add_test(t, every_table_has_few_enough_rows_and_its_groups_stand_together);
	tcase_add_test(t, an_empty_file_and_empty_sections_give_the_defaults);
	tcase_add_test(t, lists_and_short_forms_fill_the_struct);
	tcase_add_test(t, a_driver_gets_its_settings_wherever_its_type_stands);
	tcase_add_test(t, what_follows_from_the_settings_is_filled_in);
	tcase_add_test(t, items_are_found_by_name);
	tcase_add_test(t, a_full_list_loads_and_one_item_more_is_refused);
	tcase_add_test(t, a_file_beyond_a_limit_is_refused);
	tcase_add_test(t, of_very_many_errors_the_first_are_shown_and_all_are_counted);
	tcase_add_test(t, a_file_that_cannot_be_read_says_why);
	tcase_add_test(t, times_and_sizes_are_written_in_their_largest_whole_unit);
	tcase_add_test(t, one_setting_can_be_set_from_the_command_line);
	return t_run(s);
}
