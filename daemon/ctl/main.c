/* honectl - the command line of honed: options and the command table. */
#include "ctl.h"

#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_DEFAULT "/run/honed/honed.sock"

static const struct command commands[] = {
{ "status", "", "everything on one page", "Example:\n  honectl status\n", 0, 0, 0, run_status },
{ "models", "", "models, their version and how far they are from an alarm",
  "SCORE is the largest of the monitor's charts; 1 raises an alarm.\n"
  "Example:\n  honectl models --json | jq -r '.[].name'\n",
  0, 0, 0, run_list },
{ "model", "NAME | export VERSION -o FILE [--format F] [--int8] | import FILE --name MODEL [--wait]",
  "one model with its versions; versions to and from files",
  "export VERSION   write a version: MODEL (its champion), MODEL:NUMBER, or an id\n"
  "  -o FILE        the file to write\n"
  "  --format F     onnx or tflite; default: what the name of FILE ends with\n"
  "  --int8         the numbers of the devices: .tflite int8, .onnx with QuantizeLinear\n"
  "import FILE      a net of PyTorch or Keras (.onnx, .tflite) as a candidate of a model\n"
  "  --name MODEL   the model whose candidate it is; its first version needs no gate\n"
  "  --wait         show progress; ends with what the gate decided\n"
  "  --reason TEXT  goes to the journal\n"
  "Example:\n  honectl model pump-state\n"
  "  honectl model export pump-state:3 -o pump.tflite --int8\n"
  "  honectl model import pump.onnx --name pump-state --wait\n", 1, 2,
  OPT_FORMAT | OPT_INT8 | OPT_OUT | OPT_NAME | OPT_WAIT | OPT_REASON, run_model },
{ "retrain", "MODEL [--wait] [--dry-run] [--reason TEXT]", "start a training job",
  "  --wait         show progress; ends with what the gate decided\n"
  "  --dry-run      only make the memory plan\n"
  "  --reason TEXT  goes to the journal\n"
  "With --wait the exit status is 0 promoted, 5 rejected, 1 failed; interrupting it leaves the job alone.\n"
  "Example:\n  honectl retrain pump-state --wait --reason 'new bearing'\n",
  1, 1, OPT_WAIT | OPT_DRY_RUN | OPT_REASON, run_retrain },
{ "jobs", "", "training jobs, newest first", "Example:\n  honectl jobs\n", 0, 0, 0, run_list },
{ "job", "ID", "one job with plan and progress", "Example:\n  honectl job 7\n", 1, 1, 0, run_job },
{ "cancel", "ID", "cancel a job that is queued or running", "Example:\n  honectl cancel 7\n", 1, 1, 0, run_cancel },
{ "rollback", "MODEL [--reason TEXT]", "go back to the version before",
  "  --reason TEXT  goes to the journal\n"
  "The version before becomes the champion and is rolled out to the devices.\n"
  "Example:\n  honectl rollback pump-state --reason 'false alarms since Monday'\n",
  1, 1, OPT_REASON, run_rollback },
{ "devices", "", "microcontrollers and what they run", "Example:\n  honectl devices\n", 0, 0, 0, run_list },
{ "history", "DEVICE", "what became of each rollout on a device", "Example:\n  honectl history pump-1\n",
  1, 1, 0, run_history },
{ "pull", "DEVICE [N]", "ask a device that sends sketches for its next N windows (100)",
  "They become frames of its stream, to be looked at, labelled and trained on.\n"
  "Example:\n  honectl pull pump-1 500\n", 1, 2, 0, run_pull },
{ "rollout", "pause|resume|retry MODEL", "steer the newest rollout of a model",
  "pause   no further device starts; those under way go on\n"
  "resume  go on with a paused rollout\n"
  "retry   devices that failed get all their attempts anew\n"
  "Example:\n  honectl rollout pause pump-state\n", 2, 2, 0, run_rollout },
{ "rollouts", "", "newest rollout of each model", "Example:\n  honectl rollouts\n", 0, 0, 0, run_list },
{ "streams", "", "streams with their last frame", "Example:\n  honectl streams\n", 0, 0, 0, run_list },
{ "sources", "", "sources with state and counters", "Example:\n  honectl sources\n", 0, 0, 0, run_list },
{ "events", "[-f] [--until KIND] [--after ID] [-n N]", "the journal: what happened and why",
  "  -f, --follow   go on with those that come\n"
  "  --until KIND   follow until one of this kind was printed\n"
  "  --after ID     only later ones\n"
  "  -n N           at most N, up to 1000 (20; with --after 1000)\n"
  "Example:\n  honectl events -f --json | jq -r 'select(.kind==\"alarm\").reason'\n",
  0, 0, OPT_FOLLOW | OPT_UNTIL | OPT_AFTER | OPT_NUMBER, run_events },
{ "requests", "", "windows that honed asks a label for", "Answer with honectl label.\nExample:\n  honectl requests\n",
  0, 0, 0, run_list },
{ "label", "STREAM T0 [T1] CLASS [--who NAME]", "say what was true on a stream",
  "  --who NAME     who says so; default: the user\n"
  "T0 and T1 are RFC 3339 (2026-11-22T13:05:07Z) or microseconds since 1970; without T1 it is one moment.\n"
  "CLASS is a class of a model on this stream, or a number.\n"
  "Example:\n  honectl label vibration 2026-11-22T13:00:00Z 2026-11-22T13:05:00Z worn --who anna\n",
  3, 4, OPT_WHO, run_label },
{ "metrics", "", "counters and gauges in the Prometheus text format",
  "Example:\n  honectl metrics | grep ^honed_jobs\n", 0, 0, 0, run_metrics },
{ "key", "new FILE | device FILE UID | sign FILE | public FILE",
  "keys: a new master key, the key of one device, a key that signs",
  "new FILE         32 random bytes as 64 hex digits, mode 0600; a file that exists is not replaced\n"
  "device FILE UID  the device's own key, derived from the master key: for its firmware\n"
  "sign FILE        a new Ed25519 key for keys.sign, as `new` does; prints its public key\n"
  "public FILE      the public key of such a file, 64 hex digits: for the firmware\n"
  "Example:\n  honectl key new /etc/honed/master.key\n"
  "  honectl key device /etc/honed/master.key 00a1b2c3d4e5f607\n", 2, 3, 0, run_key },
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

/* Option letters of the command options, by the bit of their OPT_*. */
static const struct { unsigned opt; const char *name; } option_names[] = {
	{ OPT_WAIT, "--wait" }, { OPT_DRY_RUN, "--dry-run" }, { OPT_REASON, "--reason" }, { OPT_FOLLOW, "-f" },
	{ OPT_UNTIL, "--until" }, { OPT_AFTER, "--after" }, { OPT_NUMBER, "-n" }, { OPT_WHO, "--who" },
	{ OPT_FORMAT, "--format" }, { OPT_INT8, "--int8" }, { OPT_OUT, "-o" }, { OPT_NAME, "--name" } };

static void usage(FILE *out)
{
	fputs("usage: honectl [--socket PATH | --url URL] [--json] COMMAND ...\n"
	      "Asks and steers honed, which keeps the models of microcontrollers fit; see honectl(1).\n\n", out);
	for (int i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
	fputs("\n      --socket PATH  socket of honed (default $HONED_SOCKET or " SOCKET_DEFAULT ")\n"
	      "      --url URL      ask over TCP, e.g. http://127.0.0.1:8414\n"
	      "      --patience S   wait up to S seconds for honed to answer at all\n"
	      "      --json         print the daemon's JSON as it is\n"
	      "      --version      print the version\n"
	      "  -h, --help         this, or of a command: honectl COMMAND --help\n\n"
	      "Exit: 0 done, 1 refused or failed, 2 usage, 3 not found, 4 honed does not answer, 5 rejected by the "
	      "gate.\n", out);
}

static const struct command *command_find(const char *name)
{
	for (int i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int command_help(const struct command *cmd)
{
	printf("usage: honectl %s %s\n%s.\n\n%s", cmd->name, cmd->args, cmd->help, cmd->more);
	return CTL_OK;
}

/* A whole number from 0 to `max`; -1: `text` is none. */
static long long number(const char *text, long long max)
{
	char *end;
	const long long v = strtoll(text, &end, 10);

	return end == text || *end || v < 0 || v > max ? -1 : v;
}

/* Takes one option; false: its value is wrong. */
static bool take(struct ctl *c, int k)
{
	switch (k) {
	case 's': c->socket = optarg; break;
	case 'u': c->url = optarg; break;
	case 'j': c->json = true; break;
	case 'w': c->given |= OPT_WAIT; break;
	case 'd': c->given |= OPT_DRY_RUN; break;
	case 'r': c->given |= OPT_REASON; c->reason = optarg; break;
	case 'W': c->given |= OPT_WHO; c->who = optarg; break;
	case 'f': c->given |= OPT_FOLLOW; break;
	case 'F': c->given |= OPT_FORMAT; c->format = optarg; break;
	case '8': c->given |= OPT_INT8; break;
	case 'o': c->given |= OPT_OUT; c->out = optarg; break;
	case 'N': c->given |= OPT_NAME; c->name = optarg; break;
	case 'U': c->given |= OPT_UNTIL; c->until = optarg; break;
	case 'p':
		c->patience_s = (int)number(optarg, 3600);
		return c->patience_s >= 0;
	case 'a':
		c->given |= OPT_AFTER;
		c->after = number(optarg, LLONG_MAX);
		return c->after >= 0;
	case 'n':
		c->given |= OPT_NUMBER;
		c->number = (int)number(optarg, 1000);
		return c->number >= 1;
	default: return false;
	}
	return true;
}

static int list_commands(void)
{
	for (int i = 0; i < N_COMMANDS; i++)
		puts(commands[i].name);
	return CTL_OK;
}

/* -1: go on; else exit with it. */
static int parse(struct ctl *c, int argc, char **argv, bool *help)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' }, { "url", required_argument, NULL, 'u' },
		{ "json", no_argument, NULL, 'j' }, { "wait", no_argument, NULL, 'w' },
		{ "dry-run", no_argument, NULL, 'd' }, { "reason", required_argument, NULL, 'r' },
		{ "who", required_argument, NULL, 'W' }, { "follow", no_argument, NULL, 'f' },
		{ "until", required_argument, NULL, 'U' }, { "patience", required_argument, NULL, 'p' },
		{ "format", required_argument, NULL, 'F' }, { "int8", no_argument, NULL, '8' },
		{ "output", required_argument, NULL, 'o' }, { "name", required_argument, NULL, 'N' },
		{ "after", required_argument, NULL, 'a' }, { "list-commands", no_argument, NULL, 'L' },
		{ "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	int k;

	while ((k = getopt_long(argc, argv, "fn:o:h", longs, NULL)) != -1) {
		if (k == 'V') {
			puts("honectl " HONED_VERSION);
			return CTL_OK;
		}
		if (k == 'L')
			return list_commands();
		if (k == '?') {
			fputs("honectl: try 'honectl --help'\n", stderr);
			return CTL_USAGE;
		}
		if (k == 'h')
			*help = true;
		else if (!take(c, k)) {
			fprintf(stderr, "honectl: '%s' is no whole number for %s\n", optarg, k == 'n' ? "-n: 1 to 1000"
			        : k == 'p' ? "--patience: 0 to 3600 s" : "--after: 0 or more");
			return CTL_USAGE;
		}
	}
	return -1;
}

int ctl_usage(const struct command *cmd)
{
	fprintf(stderr, "usage: honectl %s%s%s\n", cmd->name, *cmd->args ? " " : "", cmd->args);
	return CTL_USAGE;
}

static bool fits(const struct ctl *c, const struct command *cmd, int n)
{
	for (size_t i = 0; i < sizeof option_names / sizeof option_names[0]; i++)
		if (c->given & ~cmd->options & option_names[i].opt) {
			fprintf(stderr, "honectl: %s takes no %s; try 'honectl %s --help'\n", cmd->name,
			        option_names[i].name, cmd->name);
			return false;
		}
	if (n >= cmd->n_min && n <= cmd->n_max)
		return true;
	(void)ctl_usage(cmd);
	return false;
}

static int dispatch(struct ctl *c, int argc, char **argv, bool help)
{
	const struct command *cmd = argc > 0 ? command_find(argv[0]) : NULL;

	if (argc == 0 || strcmp(argv[0], "help") == 0) {
		cmd = argc > 1 ? command_find(argv[1]) : NULL;
		if (cmd)
			return command_help(cmd);
		usage(help || argc > 0 ? stdout : stderr);
		return help || argc > 0 ? CTL_OK : CTL_USAGE;
	}
	if (!cmd) {
		fprintf(stderr, "honectl: no command '%s'; try 'honectl --help'\n", argv[0]);
		return CTL_USAGE;
	}
	if (help)
		return command_help(cmd);
	return fits(c, cmd, argc - 1) ? cmd->run(c, cmd, argc - 1, argv + 1) : CTL_USAGE;
}

int main(int argc, char **argv)
{
	const char *from_env = getenv("HONED_SOCKET"), *plain = getenv("NO_COLOR");
	struct ctl c = { .socket = from_env && *from_env ? from_env : SOCKET_DEFAULT,
		.colour = isatty(STDOUT_FILENO) && !(plain && *plain) };
	bool help = false;
	int code = parse(&c, argc, argv, &help);

	if (code < 0) {
		(void)curl_global_init(CURL_GLOBAL_DEFAULT);     /* its failure shows at the first use */
		code = dispatch(&c, argc - optind, argv + optind, help);
		ctl_close(&c);
		curl_global_cleanup();
	}
	if (fflush(stdout) != 0 && code == CTL_OK) {
		perror("honectl: standard output");
		code = CTL_REFUSED;
	}
	return code;
}
