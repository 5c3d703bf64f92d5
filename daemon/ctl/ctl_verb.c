/* Commands that change something in the daemon; each says how to undo it. */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>

int run_cancel(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	char path[400], model[80];
	json_t *o = NULL;
	int code;

	(void)cmd;
	(void)argc;
	ctl_path(c, "jobs", argv[0], "", path, sizeof path);
	code = ctl_ask(c, "DELETE", path, NULL, &o);
	if (code == CTL_OK && c->json) {
		ctl_print_answer(c);
	} else if (code == CTL_OK) {
		value_text(o, "model", AS_TEXT, model, sizeof model);
		printf("job %s is being cancelled\nundo: honectl retrain %s\n", argv[0], model);
	}
	json_decref(o);
	return code;
}

int run_rollback(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	char path[400], version[40];
	json_t *o = NULL;
	int code;

	(void)cmd;
	(void)argc;
	ctl_path(c, "models", argv[0], "/rollback", path, sizeof path);
	code = ctl_ask(c, "POST", path, json_pack("{ss*}", "reason", c->reason), &o);
	if (code == CTL_OK && c->json) {
		ctl_print_answer(c);
	} else if (code == CTL_OK) {
		value_text(o, "version", AS_INT, version, sizeof version);
		printf("%s goes back to version id %s; follow: honectl rollouts\n"
		       "undo: honectl retrain %s (a version that was left is not served again)\n", argv[0], version,
		       argv[0]);
	}
	json_decref(o);
	return code;
}

int run_rollout(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	static const struct { const char *verb, *suffix, *said, *undo; } verbs[] = {
		{ "pause", "/rollout/pause", "no further device starts; those under way go on", "resume" },
		{ "resume", "/rollout/resume", "the rollout goes on", "pause" },
		{ "retry", "/rollout/retry", "the devices that failed are tried again", "pause" } };
	char path[400];
	json_t *o = NULL;
	size_t k = 0;
	int code;

	(void)argc;
	while (k < 3 && strcmp(verbs[k].verb, argv[0]) != 0)
		k++;
	if (k == 3) {
		fprintf(stderr, "honectl: rollout %s: usage: honectl rollout %s\n", argv[0], cmd->args);
		return CTL_USAGE;
	}
	ctl_path(c, "models", argv[1], verbs[k].suffix, path, sizeof path);
	code = ctl_ask(c, "POST", path, NULL, &o);
	if (code == CTL_OK && c->json) {
		ctl_print_answer(c);
	} else if (code == CTL_OK) {
		printf("%s: %s\nfollow: honectl rollouts\nundo: honectl rollout %s %s\n", argv[1], verbs[k].said,
		       verbs[k].undo, argv[1]);
	}
	json_decref(o);
	return code;
}

int run_pull(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	char path[400], *end = NULL;
	const long n = argc > 1 ? strtol(argv[1], &end, 10) : 100;
	json_t *o = NULL;
	int code;

	if (n < 1 || n > 65535 || (end && *end)) {
		fprintf(stderr, "honectl: pull: '%s' is not a number from 1 to 65535: usage: honectl pull %s\n",
		        argv[1], cmd->args);
		return CTL_USAGE;
	}
	ctl_path(c, "devices", argv[0], "/pull", path, sizeof path);
	code = ctl_ask(c, "POST", path, json_pack("{si}", "windows", (int)n), &o);
	if (code == CTL_OK && c->json)
		ctl_print_answer(c);
	else if (code == CTL_OK)
		printf("%s is asked for its next %ld windows; follow: honectl streams\n", argv[0], n);
	json_decref(o);
	return code;
}

/* Digits only are microseconds since 1970; all else is for the daemon to read. */
static json_t *time_json(const char *text)
{
	const size_t n = strspn(text, "0123456789");

	return n > 0 && n <= 18 && text[n] == '\0' ? json_integer(strtoll(text, NULL, 10)) : json_string(text);
}

int run_label(struct ctl *c, const struct command *cmd, int argc, char **argv)
{
	const char *t1 = argc == 4 ? argv[2] : argv[1];
	json_t *o = NULL;
	char from[60], to[60], label[80];
	int code;

	(void)cmd;
	code = ctl_ask(c, "POST", "/api/v1/labels", json_pack("{ss so so ss ss*}", "stream", argv[0], "t0",
	               time_json(argv[1]), "t1", time_json(t1), "label", argv[argc - 1], "who", c->who), &o);
	if (code == CTL_OK && c->json) {
		ctl_print_answer(c);
	} else if (code == CTL_OK) {
		value_text(o, "t0", AS_TEXT, from, sizeof from);
		value_text(o, "t1", AS_TEXT, to, sizeof to);
		value_text(o, "label", AS_TEXT, label, sizeof label);
		printf("%s from %s to %s is %s\n", argv[0], from, to, label);
	}
	json_decref(o);
	return code;
}
