/* Values of an answer as text, and aligned tables of them. */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 12, CELL_MAX = 160, PATH_MAX_ = 80 };

/* Names come from devices and from people: no control character reaches the terminal. */
static void clean(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

void print_clean(FILE *out, const char *text)
{
	for (; *text; text++)
		(void)fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
}

json_t *value_at(const json_t *item, const char *path)
{
	char key[PATH_MAX_];
	json_t *v = NULL;

	while (*path) {
		const size_t n = strcspn(path, ".");

		(void)snprintf(key, sizeof key, "%.*s", (int)n, path);
		v = json_object_get(item, key);
		item = v;
		path += n + (path[n] == '.');
	}
	return json_is_null(v) ? NULL : v;
}

static void bytes_text(double n, char *out, size_t cap)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
	size_t u = 0;

	for (; n >= 1024 && u + 1 < sizeof units / sizeof units[0]; u++)
		n /= 1024;
	(void)snprintf(out, cap, u ? "%.1f %s" : "%.0f %s", n, units[u]);
}

/* {"a": "done", "b": "done"} -> "2 done"; words in the order of their first use. */
static void counts_text(json_t *v, char *out, size_t cap)
{
	json_t *seen = json_object(), *w;
	const char *key, *word;
	size_t at = 0;

	json_object_foreach(v, key, w) {
		word = json_string_value(w);
		if (word)
			(void)json_object_set_new(seen, word, json_integer(
				json_integer_value(json_object_get(seen, word)) + 1));
	}
	json_object_foreach(seen, key, w)
		if (at < cap)
			at += (size_t)snprintf(out + at, cap - at, "%s%lld %s", at ? ", " : "",
			                       (long long)json_integer_value(w), key);
	json_decref(seen);
}

static void time_text(const char *s, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%.10s %.8s", s, strlen(s) > 18 ? s + 11 : "");
}

void value_text(const json_t *item, const char *path, enum format as, char *out, size_t cap)
{
	json_t *v = value_at(item, path);
	const char *s = json_string_value(v);

	(void)snprintf(out, cap, "-");
	if (!v)
		return;
	if (as == AS_COUNTS && json_is_object(v))
		counts_text(v, out, cap);
	else if (as == AS_YES && json_is_boolean(v))
		(void)snprintf(out, cap, "%s", json_is_true(v) ? "yes" : "no");
	else if (as == AS_TIME && s)
		time_text(s, out, cap);
	else if (s && *s)
		(void)snprintf(out, cap, "%s", s);
	else if (as == AS_VERSION && json_is_integer(v) && json_integer_value(v) > 0)
		(void)snprintf(out, cap, "v%lld", (long long)json_integer_value(v));
	else if (as == AS_PERCENT && json_is_number(v))
		(void)snprintf(out, cap, "%.1f %%", 100 * json_number_value(v));
	else if (as == AS_BYTES && json_is_number(v))
		bytes_text(json_number_value(v), out, cap);
	else if (as == AS_INT && json_is_number(v))
		(void)snprintf(out, cap, "%.0f", json_number_value(v));
	else if (as == AS_NUMBER && json_is_number(v))
		(void)snprintf(out, cap, "%.4g", json_number_value(v));
	clean(out);
}

static bool is_right(enum format as)
{
	return as == AS_INT || as == AS_PERCENT || as == AS_BYTES || as == AS_NUMBER;
}

/* Words that a person looks for. */
static const struct { const char *word, *on; } paint[] = {
	{ "failed", "\033[31m" }, { "rejected", "\033[31m" }, { "down", "\033[31m" }, { "wrong", "\033[31m" },
	{ "promoted", "\033[32m" }, { "champion", "\033[32m" }, { "confirmed", "\033[32m" },
	{ "ready", "\033[32m" }, { "up", "\033[32m" }, { "done", "\033[32m" }, { "steady", "\033[32m" },
	{ "running", "\033[33m" }, { "queued", "\033[33m" }, { "sending", "\033[33m" }, { "trial", "\033[33m" },
	{ "data drift", "\033[33m" }, { "concept drift", "\033[33m" }, { "sensor fault", "\033[33m" },
};

static const char *paint_of(const struct ctl *c, const char *text, bool head)
{
	if (!c->colour)
		return "";
	if (head)
		return "\033[1m";
	for (size_t i = 0; i < sizeof paint / sizeof paint[0]; i++)
		if (strcmp(paint[i].word, text) == 0)
			return paint[i].on;
	return "";
}

static void print_cell(const struct ctl *c, const char *text, const struct column *col, int width,
                       bool head, bool last)
{
	const char *on = paint_of(c, text, head);
	const int pad = width - (int)strlen(text);

	printf("%*s%s%s%s%*s", is_right(col->as) ? pad : 0, "", on, text, *on ? "\033[0m" : "",
	       is_right(col->as) || last ? 0 : pad, "");
	fputs(last ? "\n" : "  ", stdout);
}

static void print_row(const struct ctl *c, const json_t *item, const struct column *cols, const int *width)
{
	char text[CELL_MAX];

	for (int i = 0; cols[i].head; i++) {
		if (item)
			value_text(item, cols[i].path, cols[i].as, text, sizeof text);
		else
			(void)snprintf(text, sizeof text, "%s", cols[i].head);
		print_cell(c, text, &cols[i], width[i], !item, !cols[i + 1].head);
	}
}

void table_print(const struct ctl *c, const json_t *list, const struct column *cols)
{
	int width[COLUMNS_MAX] = { 0 };
	char text[CELL_MAX];
	json_t *item;
	size_t k;

	for (int i = 0; i < COLUMNS_MAX && cols[i].head; i++) {
		width[i] = (int)strlen(cols[i].head);
		json_array_foreach(list, k, item) {
			value_text(item, cols[i].path, cols[i].as, text, sizeof text);
			if ((int)strlen(text) > width[i])
				width[i] = (int)strlen(text);
		}
	}
	print_row(c, NULL, cols, width);
	json_array_foreach(list, k, item) {
		print_row(c, item, cols, width);
	}
}
