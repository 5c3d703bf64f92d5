/* The journal: its newest entries, and with -f those that come. */
#include "ctl.h"

#include <string.h>

enum { SHOWN = 20, PAGE_MAX = 1000, WAIT_S = 25 };

/* "2026-11-22 13:05:07  alarm  pump-state: data drift on stream vib-1" */
static void print_event(const struct ctl *c, const json_t *e)
{
	static const char *const subjects[] = { "model", "device", "stream" };
	char text[400];
	bool first = true;

	if (c->json) {
		(void)json_dumpf(e, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	value_text(e, "time", AS_TIME, text, sizeof text);
	printf("%s  ", text);
	value_text(e, "kind", AS_TEXT, text, sizeof text);
	printf(c->colour ? "\033[1m%-17s\033[0m" : "%-17s", text);
	for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
		value_text(e, subjects[i], AS_TEXT, text, sizeof text);
		if (strcmp(text, "-") == 0)
			continue;
		printf("%s%s", first ? " " : "/", text);
		first = false;
	}
	value_text(e, "reason", AS_TEXT, text, sizeof text);
	if (strcmp(text, "-") != 0)
		printf("%s %s", first ? "" : ":", text);
	value_text(e, "actor", AS_TEXT, text, sizeof text);
	printf(strcmp(text, "honed") ? "  (%s)\n" : "\n", text);
}

static const char *value_or_empty(const json_t *e, const char *key)
{
	const char *text = json_string_value(json_object_get(e, key));

	return text ? text : "";
}

/* True when one of them is what --until waits for; nothing after it is printed. */
static bool print_events(struct ctl *c, const json_t *list)
{
	bool found = false;
	json_t *e;
	size_t i;

	json_array_foreach(list, i, e) {
		print_event(c, e);
		c->after = json_integer_value(json_object_get(e, "id"));
		found = c->until && strcmp(c->until, value_or_empty(e, "kind")) == 0;
		if (found)
			break;
	}
	(void)fflush(stdout);
	return found;
}

static int follow(struct ctl *c)
{
	json_t *list;
	char path[120];
	int code = CTL_OK;
	bool found = false;

	while (code == CTL_OK && !found && !ferror(stdout)) {
		list = NULL;
		(void)snprintf(path, sizeof path, "/api/v1/events?after=%lld&wait=%d", c->after, WAIT_S);
		code = ctl_ask(c, "GET", path, NULL, &list);
		found = print_events(c, list);
		json_decref(list);
	}
	return code;
}

int run_events(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	const bool follows = c->given & (OPT_FOLLOW | OPT_UNTIL);
	const int n = c->given & OPT_NUMBER ? c->number : c->given & OPT_AFTER ? PAGE_MAX : SHOWN;
	json_t *list = NULL;
	char path[120];
	bool found = false;
	int code;

	(void)cmd;
	(void)argc;
	(void)argv;
	if (c->given & OPT_AFTER)
		(void)snprintf(path, sizeof path, "/api/v1/events?limit=%d&after=%lld", n, c->after);
	else
		(void)snprintf(path, sizeof path, "/api/v1/events?limit=%d", n);
	code = ctl_ask(c, "GET", path, NULL, &list);
	if (code == CTL_OK && c->json && !follows)
		ctl_print_answer(c);
	else
		found = print_events(c, list);
	if (code == CTL_OK && json_array_size(list) == 0 && !follows && !c->json)
		fputs("no event yet\n", stderr);
	json_decref(list);
	return code == CTL_OK && follows && !found ? follow(c) : code;
}
