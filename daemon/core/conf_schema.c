/* config/honed.schema.json: draft-07, for editors.  One definition a table; a list refers to it, so
 * that nothing nests deeper than one group. */
#include "conf.h"

#include <string.h>

#include "conf_section.h"
#include "conf_value.h"

static void put_string(const char *s, FILE *out)
{
	(void)fputc('"', out);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			(void)fputc('\\', out);
		(void)fputc(*s, out);
	}
	(void)fputc('"', out);
}

static void put_number_bounds(const struct conf_row *r, FILE *out)
{
	if (r->min < 0 || r->min > 0 || r->max < 0 || r->max > 0)
		(void)fprintf(out, ",\"minimum\":%.17g,\"maximum\":%.17g", r->min, r->max);
}

static void put_words(const char *const *words, FILE *out)
{
	(void)fputs("\"enum\":[", out);
	for (int i = 0; words[i]; i++) {
		if (i)
			(void)fputc(',', out);
		put_string(words[i], out);
	}
	(void)fputc(']', out);
}

static void put_driver_names(FILE *out)
{
	const struct conf_driver *const *d = conf_driver_list();

	(void)fputs("\"enum\":[", out);
	for (int i = 0; d[i]; i++) {
		if (i)
			(void)fputc(',', out);
		put_string(d[i]->name, out);
	}
	(void)fputc(']', out);
}

/* A text may look like a number: the daemon takes it as written. */
static void put_text_type(const struct conf_row *r, FILE *out)
{
	if (r->flags & CONF_JOIN)
		(void)fputs("\"type\":[\"string\",\"array\"],\"items\":{\"type\":\"string\"}", out);
	else
		(void)fputs("\"type\":[\"string\",\"number\"]", out);
	(void)fprintf(out, ",\"maxLength\":%zu", r->size - 1);
	if (r->flags & CONF_NAME)
		(void)fputs(",\"pattern\":\"^[A-Za-z0-9_.-]+$\"", out);
	else if (r->flags & CONF_REQUIRED)
		(void)fputs(",\"minLength\":1", out);
}

/* A list whose items need a name only also takes plain names. */
static void put_list_type(const struct conf_row *r, FILE *out)
{
	bool only_name = true;

	for (const struct conf_row *i = r->item; i->key; i++)
		if (i->flags & CONF_REQUIRED && strcmp(i->key, "name") != 0)
			only_name = false;
	(void)fprintf(out, "\"type\":[\"array\",\"null\"],\"maxItems\":%d,\"items\":", r->max_items);
	if (only_name)
		(void)fputs("{\"anyOf\":[{\"type\":[\"string\",\"number\"]},", out);
	(void)fprintf(out, "{\"$ref\":\"#/definitions/%s\"}%s", r->key, only_name ? "]}" : "");
}

#define NUMBER "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"

static void put_type(const struct conf_row *r, FILE *out)
{
	switch (r->type) {
	case CONF_BOOL:
		(void)fputs("\"type\":\"boolean\"", out);
		break;
	case CONF_INT: case CONF_REAL:
		(void)fprintf(out, "\"type\":\"%s\"", r->type == CONF_INT ? "integer" : "number");
		put_number_bounds(r, out);
		break;
	case CONF_TIME:
		(void)fputs("\"type\":\"string\",\"pattern\":\"" NUMBER "(us|ms|s|min|h|d)$\"", out);
		break;
	case CONF_SIZE:
		(void)fputs("\"type\":[\"string\",\"number\"],\"pattern\":\"" NUMBER "([KMGT]?B)?$\"", out);
		put_number_bounds(r, out);
		break;
	case CONF_TEXT:
		put_text_type(r, out);
		break;
	case CONF_ENUM:
		put_words(r->choices, out);
		break;
	case CONF_TEXTS:
		(void)fprintf(out, "\"type\":[\"array\",\"string\",\"null\"],\"maxItems\":%d,"
		              "\"items\":{\"type\":[\"string\",\"number\"]}", r->max_items);
		break;
	case CONF_LIST:
		put_list_type(r, out);
		break;
	case CONF_DRIVER:
		put_driver_names(out);
		break;
	}
}

static void put_default(const struct conf_row *r, FILE *out)
{
	const bool bare = r->type == CONF_BOOL || r->type == CONF_INT || r->type == CONF_REAL;

	if (!r->def || r->flags & CONF_REQUIRED || r->type == CONF_TEXTS)
		return;
	(void)fputs(",\"default\":", out);
	if (bare)
		(void)fputs(r->def, out);
	else
		put_string(r->def, out);
}

/* "key":{...} of every row; the rows of a group inside one object. */
static void put_properties(const struct conf_row *rows, bool first, FILE *out)
{
	const char *group = "";

	for (const struct conf_row *r = rows; r->key; r++) {
		const size_t n = conf_group_length(r->key), had = conf_group_length(group);
		const bool same = n == had && strncmp(r->key, group, n) == 0;

		if (had && !same)
			(void)fputs("}}", out);
		(void)fputs(first ? "\n   " : ",\n   ", out);
		if (n && !same)
			(void)fprintf(out, "\"%.*s\":{\"type\":[\"object\",\"null\"],"
			              "\"additionalProperties\":false,\"properties\":{\n   ", (int)n, r->key);
		put_string(r->key + (n ? n + 1 : 0), out);
		(void)fputs(":{", out);
		put_type(r, out);
		put_default(r, out);
		(void)fputs(",\"description\":", out);
		put_string(r->help, out);
		(void)fputc('}', out);
		first = false;
		group = n ? r->key : "";
	}
	if (group[0])
		(void)fputs("}}", out);
}

static void put_required(const struct conf_row *rows, const char *sep, FILE *out)
{
	for (const struct conf_row *r = rows; r->key; r++) {
		if (!(r->flags & CONF_REQUIRED))
			continue;
		(void)fputs(sep, out);
		put_string(r->key, out);
		sep = ",";
	}
}

static const struct conf_row *driver_row(const struct conf_row *rows)
{
	for (const struct conf_row *r = rows; r->key; r++)
		if (r->type == CONF_DRIVER)
			return r;
	return NULL;
}

/* An item with a driver: the driver decides which definition holds. */
static void put_choice(const struct conf_section *s, const struct conf_row *type, FILE *out)
{
	const struct conf_driver *const *d = conf_driver_list();

	(void)fputs("{\"type\":\"object\",\"required\":[", out);
	put_required(s->rows, "", out);
	(void)fprintf(out, "],\"properties\":{\"%s\":{", type->key);
	put_driver_names(out);
	(void)fputs("}},\"allOf\":[", out);
	for (int i = 0; d[i]; i++)
		(void)fprintf(out, "%s\n  {\"if\":{\"properties\":{\"%s\":{\"const\":\"%s\"}}},"
		              "\"then\":{\"$ref\":\"#/definitions/source_%s\"}}", i ? "," : "",
		              type->key, d[i]->name, d[i]->name);
	(void)fputs(d[0] ? "]}" : "{}]}", out);
}

/* An object; `with`: rows of the item that a driver's rows belong to, or NULL. */
static void put_object(const struct conf_row *rows, const struct conf_row *with, FILE *out)
{
	(void)fputs("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{", out);
	if (with)
		put_properties(with, true, out);
	put_properties(rows, !with, out);
	(void)fputs("},\"required\":[", out);
	if (with)
		put_required(with, "", out);
	put_required(rows, with ? "," : "", out);
	(void)fputs("]}", out);
}

void conf_print_schema(FILE *out)
{
	struct conf_section s[CONF_SECTIONS_MAX];
	const int n = conf_sections(s, CONF_SECTIONS_MAX);
	const struct conf_row *items = NULL;     /* of the list that has drivers */

	(void)fputs("{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\n"
	            " \"title\":\"honed.yaml\",\"type\":[\"object\",\"null\"],"
	            "\"additionalProperties\":false,\n \"properties\":{", out);
	put_properties(s[0].rows, true, out);
	(void)fputs("},\n \"definitions\":{", out);
	for (int i = 1; i < n; i++) {
		const struct conf_row *type = driver_row(s[i].rows);

		(void)fprintf(out, "%s\n  \"%s\":", i > 1 ? "," : "", s[i].id);
		if (type) {
			items = s[i].rows;
			put_choice(&s[i], type, out);
		} else {
			put_object(s[i].rows, s[i].driver ? items : NULL, out);
		}
	}
	(void)fputs("}}\n", out);
}
