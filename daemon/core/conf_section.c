#include "conf_section.h"

#include <string.h>

#include "conf_value.h"

static int add_drivers(struct conf_section *out, int n, int cap)
{
	const struct conf_driver *const *d = conf_driver_list();

	for (int i = 0; d[i] && n < cap; i++, n++) {
		out[n] = (struct conf_section){ .rows = d[i]->rows, .driver = d[i] };
		(void)snprintf(out[n].name, sizeof out[n].name, "sources[] type %s", d[i]->name);
		(void)snprintf(out[n].id, sizeof out[n].id, "source_%s", d[i]->name);
	}
	return n;
}

int conf_sections(struct conf_section *out, int cap)
{
	struct conf_section fresh;
	int n = 1;

	out[0] = (struct conf_section){ .id = "settings", .rows = conf_rows };
	for (int i = 0; i < n; i++)
		for (const struct conf_row *r = out[i].rows; r->key && n < cap; r++) {
			if (r->type != CONF_LIST)
				continue;
			fresh = (struct conf_section){ .rows = r->item, .list = r };
			(void)snprintf(fresh.name, sizeof fresh.name, "%.30s%s%.28s[]",
			               out[i].name, i ? "." : "", r->key);
			(void)snprintf(fresh.id, sizeof fresh.id, "%s", r->key);
			out[n++] = fresh;
		}
	return add_drivers(out, n, cap);
}

size_t conf_group_length(const char *key)
{
	const char *dot = strchr(key, '.');

	return dot ? (size_t)(dot - key) : 0;
}

static bool needs_quotes(const char *s)
{
	return !s[0] || strpbrk(s, "#:{}[]&*!|>'\"%@`\\") || s[0] == '-' || s[0] == '?' ||
	       s[0] == ' ' || strcmp(s, "~") == 0 || strcmp(s, "null") == 0;
}

/* A value for a required row whose author gave no example. */
static const char *stand_in(const struct conf_row *r)
{
	switch (r->type) {
	case CONF_BOOL:
		return "false";
	case CONF_TIME:
		return "1s";
	case CONF_SIZE:
		return "1MB";
	case CONF_ENUM:
		return r->choices[0];
	case CONF_TEXT:
		return r->flags & CONF_REQUIRED ? "example" : "";
	default:
		return "0";
	}
}

void conf_example(const struct conf_row *r, char *out, size_t cap)
{
	const char *v = r->def ? r->def : stand_in(r);
	size_t n = 0;

	if (r->type != CONF_TEXT || !needs_quotes(v)) {
		(void)snprintf(out, cap, "%s", v);
		return;
	}
	out[n++] = '"';
	for (; *v && n + 4 < cap; v++) {
		if (*v == '"' || *v == '\\')
			out[n++] = '\\';
		out[n++] = *v;
	}
	out[n++] = '"';
	out[n] = '\0';
}
