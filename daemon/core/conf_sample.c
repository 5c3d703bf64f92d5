/* config/honed.yaml: settings with their defaults, and an example of the lists as a comment that
 * works when the first # of each of its lines is taken away. */
#include "conf.h"

#include <string.h>

#include "conf_diag.h"
#include "conf_section.h"
#include "conf_value.h"

struct sample {
	FILE *out;
	const char *prefix;              /* "" or "#"                                          */
	int indent;
	const char *dash;                /* "- " before the first key of an item, else ""      */
	const char *group;               /* key whose group ("train") is open, or NULL         */
};

static void line_start(struct sample *s, int indent)
{
	(void)fprintf(s->out, "%s%*s", s->prefix, indent, "");
}

/* Open "train:" when this row is the first of its group; returns the indent of the row. */
static int enter_group(struct sample *s, const struct conf_row *r)
{
	const size_t n = conf_group_length(r->key);
	const size_t had = s->group ? conf_group_length(s->group) : 0;

	if (n && (n != had || strncmp(r->key, s->group, n) != 0)) {
		line_start(s, s->indent);
		(void)fprintf(s->out, "%.*s:\n", (int)n, r->key);
	}
	s->group = n ? r->key : NULL;
	return s->indent + (n ? 2 : 0);
}

static void put_row(struct sample *s, const struct conf_row *r, const char *value)
{
	const size_t n = conf_group_length(r->key);
	const int indent = enter_group(s, r);
	char expect[CONF_SAY_MAX];

	conf_row_expect(r, expect, sizeof expect);
	if (!s->dash[0]) {
		line_start(s, indent);
		(void)fprintf(s->out, "# %s (%s)\n", r->help, expect);
	}
	line_start(s, indent - (int)strlen(s->dash));
	(void)fprintf(s->out, "%s%s: %s\n", s->dash, r->key + (n ? n + 1 : 0), value);
	s->dash = "";
}

/* The rows that hold one value or a list of texts. */
static void put_rows(struct sample *s, const struct conf_row *rows)
{
	char value[CONF_SAY_MAX];

	for (const struct conf_row *r = rows; r->key; r++) {
		if (r->type == CONF_LIST || r->type == CONF_DRIVER)
			continue;
		conf_example(r, value, sizeof value);
		put_row(s, r, value);
	}
	s->group = NULL;
}

/* The example has devices, so its source should be a link. */
static const struct conf_driver *example_driver(void)
{
	const struct conf_driver *const *d = conf_driver_list();

	for (int i = 0; d[i]; i++)
		if (strcmp(d[i]->name, "link") == 0)
			return d[i];
	return d[0];
}

static void put_driver(struct sample *s, const struct conf_row *r)
{
	const struct conf_driver *const *d = conf_driver_list(), *mine = example_driver();

	if (!mine)
		return;
	put_row(s, r, mine->name);
	put_rows(s, mine->rows);
	for (int i = 0; d[i]; i++) {             /* the others: what they would take */
		char value[CONF_SAY_MAX];

		if (d[i] == mine)
			continue;
		line_start(s, s->indent);
		(void)fprintf(s->out, "# or type: %s - %s\n", d[i]->name, d[i]->help);
		for (const struct conf_row *k = d[i]->rows; k->key; k++) {
			conf_example(k, value, sizeof value);
			line_start(s, s->indent);
			(void)fprintf(s->out, "#   %s: %s   # %s\n", k->key, value, k->help);
		}
	}
}

static void put_inner_list(struct sample *s, const struct conf_row *r)
{
	line_start(s, s->indent);
	(void)fprintf(s->out, "# %s\n", r->help);
	line_start(s, s->indent);
	(void)fprintf(s->out, "%s:\n", r->key);
	s->dash = "- ";
	s->indent += 4;
	put_rows(s, r->item);
	s->indent -= 4;
}

static void put_list(struct sample *s, const struct conf_row *list)
{
	(void)fprintf(s->out, "#\n## %s; at most %d\n#%s:\n", list->help, list->max_items, list->key);
	s->prefix = "#";
	s->indent = 4;
	s->dash = "- ";
	put_rows(s, list->item);
	for (const struct conf_row *r = list->item; r->key; r++)
		if (r->type == CONF_DRIVER)
			put_driver(s, r);
		else if (r->type == CONF_LIST)
			put_inner_list(s, r);
}

void conf_print_sample(FILE *out)
{
	struct sample s = { .out = out, .prefix = "", .dash = "" };

	(void)fputs("# yaml-language-server: $schema=/usr/share/honed/honed.schema.json\n"
	            "#\n"
	            "# Configuration of honed; check it with: honed --check FILE\n"
	            "# What is not here has the value that is written here.\n\n", out);
	put_rows(&s, conf_rows);
	(void)fputs("\n# The lists below are an example: take away the first # of each line.\n", out);
	for (const struct conf_row *r = conf_rows; r->key; r++)
		if (r->type == CONF_LIST)
			put_list(&s, r);
}
