/* main.c - options, the list of inits and the mirrored list of exits, signals. */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "hn_net.h"
#include "hn_quant.h"
#include "hn_task.h"
#include "honed.h"
#include "log.h"
#include "metrics.h"
#include "proc.h"

#define CONF_DEFAULT "/etc/honed/honed.yaml"

enum { TICK_MS = 1000, RETAIN_EVERY = 600, STOP_MAX_US = 3000000 };

static struct honed honed;
static uv_signal_t on_term_, on_int_, on_hup_;
static uv_timer_t tick_, watchdog_;

/* --- checking a configuration ---------------------------------------------------------------- */

/* What the table cannot know: does the network fit its stream and the device's image? */
static hn_status check_model(const struct conf *c, const struct conf_model *k, struct hn_err *err)
{
	const int s = conf_stream_find(c, k->streams[0]);
	const enum hn_task task = (enum hn_task)k->task;
	const struct hn_net_io io = { .task = task, .in_len = (uint16_t)k->window,
		.in_ch = (uint16_t)(s < 0 ? 0 : c->streams[s].n_channels),
		.out_n = hn_task_outputs(task, k->n_classes) };
	struct hn_net net, folded;
	hn_status rc;

	if (!hn_tasks[task].trains)
		return hn_fail(err, HN_EINVAL, "task: honed %s cannot train %s yet; write task: classify or "
		               "task: autoencode", HONED_VERSION, hn_tasks[task].name);
	rc = hn_net_parse(&net, k->network, &io, err);
	if (rc == HN_OK)
		rc = hn_net_fold(&net, NULL, &folded, NULL, err);
	if (rc == HN_OK)
		rc = hn_image_check(&folded, err);
	return rc;
}

static int check_models(const struct conf *c, const char *file, FILE *diag)
{
	int errors = 0;

	for (int m = 0; m < c->n_models; m++) {
		struct hn_err err = { .code = HN_OK };

		if (check_model(c, &c->models[m], &err) == HN_OK)
			continue;
		fprintf(diag, "%s: error: model '%s': %s%s\n", file, c->models[m].name,
		        hn_tasks[c->models[m].task].trains ? "network: " : "", err.text);
		errors++;
	}
	return errors;
}

static struct conf *load(const char *file, FILE *diag)
{
	struct conf *c = NULL;

	if (conf_load(&c, file, diag) != 0)
		return NULL;
	if (check_models(c, file, diag) == 0)
		return c;
	free(c);
	return NULL;
}

/* --- running --------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *t)
{
	static unsigned n;
	struct honed *h = t->data;

	if (db_damaged(h->db)) {         /* the start-up checks, sets aside and salvages */
		log_err("event=database_damaged path=%s next=\"stopping; the next start salvages it\"",
		        h->db_path);
		h->damaged = h->stopping = true;
		uv_stop(h->loop);
		return;
	}
	cycle_tick(h);
	monitor_tick(h->monitor, clock_now_us());
	if (++n % RETAIN_EVERY == 0)
		store_retain(h->store, clock_now_us());
}

static void on_watchdog(uv_timer_t *t)
{
	(void)t;
	notify_send("WATCHDOG=1");
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct honed *h = s->data;

	log_note("event=stop signal=%d", signum);
	h->stopping = true;
	uv_stop(h->loop);
}

static void reload(struct honed *h)
{
	struct conf *fresh = load(h->conf_path, stderr);
	char names[1024] = "";
	FILE *out = fmemopen(names, sizeof names - 1, "w");
	int restart;

	if (!fresh || !out) {
		log_err("event=reload result=refused reason=\"%s has errors; the running configuration stays\"",
		        h->conf_path);
		if (out)
			(void)fclose(out);
		free(fresh);
		return;
	}
	restart = conf_diff(h->conf, fresh, out);
	(void)fclose(out);
	for (char *p = names; *p; p++)
		if (*p == '\n')
			*p = ' ';
	if (restart > 0) {
		log_warn("event=reload result=refused reason=\"%d of the changed settings need a restart\" "
		         "changed=\"%s\"", restart, names);
	} else {
		*h->conf = *fresh;
		log_set_level((enum log_level)h->conf->log.level);
		log_note("event=reload result=applied changed=\"%s\"", names);
	}
	free(fresh);
}

static void on_hup(uv_signal_t *s, int signum)
{
	char text[64];

	(void)signum;
	(void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
	notify_send(text);
	reload(s->data);
	notify_send("READY=1");
}

static void on_source_message(void *ctx, int source, const struct hd_frame *f)
{
	deploy_on_message(((struct honed *)ctx)->deploy, source, f);
}

static void on_source_link(void *ctx, int source, bool up)
{
	deploy_on_link(((struct honed *)ctx)->deploy, source, up);
}

static void on_source_end(void *ctx, int source)
{
	struct honed *h = ctx;

	(void)journal_add(h->journal, (struct journal_entry){ .kind = "source_end",
		.reason = "all of its frames were delivered",
		.evidence = json_pack("{ss}", "source", h->conf->sources[source].name) });
	store_flush(h->store);
}

static void on_room(void *ctx)
{
	sources_resume(((struct honed *)ctx)->sources);
}

static hn_status send_device(void *ctx, int source, uint8_t type, uint16_t session,
                             const uint8_t *body, size_t len)
{
	return sources_send(((struct honed *)ctx)->sources, source, type, session, body, len);
}

static void on_stranger(void *ctx, int source)
{
	sources_reject(((struct honed *)ctx)->sources, source);
}

static const struct hn_account *link_account(void *ctx, int source, double *byte_uj)
{
	return sources_account(((struct honed *)ctx)->sources, source, byte_uj);
}

static hn_status read_blob(void *ctx, int64_t version, const unsigned char **blob, size_t *len)
{
	return registry_blob(((struct honed *)ctx)->registry, version, blob, len);
}

static hn_status read_base(void *ctx, int model, int number, const unsigned char **blob,
                           size_t *len)
{
	struct registry *r = ((struct honed *)ctx)->registry;
	const struct version *v = registry_number(r, model, number);

	return v ? registry_blob(r, v->id, blob, len) : HN_ENOENT;
}

/* --- the list of inits ----------------------------------------------------------------------- */

static hn_status open_data(struct honed *h, struct hn_err *err)
{
	const struct db_cfg dbc = { .path = h->db_path, .commit_every_s = h->conf->store.commit_every_s };
	const struct store_hooks sh = { .ctx = h, .on_room = on_room, .on_label = intake_label };
	hn_status rc = db_open(&h->db, h->loop, &dbc, err);

	if (rc == HN_OK)
		rc = journal_open(&h->journal, h->db, h->db_path, err);
	if (rc == HN_OK)
		rc = store_open(&h->store, h->db, h->conf, &sh, err);
	if (rc == HN_OK)
		rc = registry_open(&h->registry, h->db, h->db_path, h->conf, h->journal, err);
	return rc;
}

static hn_status open_loop(struct honed *h, struct hn_err *err)
{
	const struct monitor_deps md = { .db = h->db, .db_path = h->db_path, .conf = h->conf,
		.journal = h->journal, .hooks = { .ctx = h, .on_episode = cycle_on_episode } };
	const struct supervise_hooks jh = { .ctx = h, .on_result = cycle_on_result };
	const struct deploy_hooks dh = { .ctx = h, .send = send_device, .blob = read_blob,
		.base = read_base, .on_stranger = on_stranger, .account = link_account,
		.on_prediction = intake_prediction,
		.on_sketch = telemetry_sketch, .on_rollout = cycle_on_rollout };
	hn_status rc = monitor_open(&h->monitor, &md, err);

	if (rc == HN_OK)
		rc = supervise_open(&h->supervise, h->loop, h->db, h->db_path, h->conf, h->journal, &jh, err);
	if (rc == HN_OK)
		rc = deploy_open(&h->deploy, h->loop, h->db, h->db_path, h->conf, h->journal, &dh, err);
	if (rc == HN_OK)
		rc = intake_open(h, err);
	if (rc == HN_OK)
		rc = telemetry_open(h, err);
	if (rc == HN_OK)
		rc = anomaly_open(h, err);
	if (rc == HN_OK)
		rc = cycle_open(h, err);
	return rc;
}

static hn_status open_outside(struct honed *h, struct hn_err *err)
{
	const struct source_hooks sh = { .ctx = h, .on_frame = intake_frame, .on_label = intake_truth,
		.on_message = on_source_message, .on_link = on_source_link, .on_end = on_source_end };
	const struct api_ops ops = answers_ops(h);
	hn_status rc = api_open(&h->api, h->loop, h->conf, h->db_path, h->journal, &ops, err);

	if (rc == HN_OK)
		rc = sources_open(&h->sources, h->loop, h->conf, &sh, err);
	if (rc == HN_OK)
		cycle_resume(h);
	return rc;
}

static void watch(struct honed *h)
{
	const uint64_t every = (uint64_t)notify_watchdog_us() / 1000;

	(void)uv_signal_init(h->loop, &on_term_);
	(void)uv_signal_init(h->loop, &on_int_);
	(void)uv_signal_init(h->loop, &on_hup_);
	(void)uv_timer_init(h->loop, &tick_);
	(void)uv_timer_init(h->loop, &watchdog_);
	on_term_.data = on_int_.data = on_hup_.data = tick_.data = h;
	(void)uv_signal_start(&on_term_, on_signal, SIGTERM);
	(void)uv_signal_start(&on_int_, on_signal, SIGINT);
	(void)uv_signal_start(&on_hup_, on_hup, SIGHUP);
	(void)uv_timer_start(&tick_, on_tick, TICK_MS, TICK_MS);
	if (every)
		(void)uv_timer_start(&watchdog_, on_watchdog, 0, every);
}

/* --- the mirrored list of exits -------------------------------------------------------------- */

static void close_outside(struct honed *h)
{
	uv_handle_t *own[] = { (uv_handle_t *)&on_term_, (uv_handle_t *)&on_int_, (uv_handle_t *)&on_hup_,
	                       (uv_handle_t *)&tick_, (uv_handle_t *)&watchdog_ };

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (own[i]->type != UV_UNKNOWN_HANDLE && !uv_is_closing(own[i]))
			uv_close(own[i], NULL);
	sources_close(h->sources);
	api_close(h->api);
	if (h->deploy)
		deploy_stop(h->deploy);
	if (h->supervise)
		supervise_stop(h->supervise);
}

/* The trainer gets the time to end; its result still needs the database. */
static void wait_for_trainer(struct honed *h)
{
	const int64_t end = clock_mono_us() + STOP_MAX_US;

	while (h->supervise && supervise_running(h->supervise) && clock_mono_us() < end)
		(void)uv_run(h->loop, UV_RUN_ONCE);
}

static void close_all(struct honed *h)
{
	h->stopping = true;
	notify_send("STOPPING=1");
	close_outside(h);
	wait_for_trainer(h);
	store_close(h->store);
	monitor_close(h->monitor);
	db_close(h->db);                 /* everything queued is committed, every `done` was called */
	anomaly_close(h);
	telemetry_close(h);
	intake_close(h);
	deploy_close(h->deploy);
	supervise_close(h->supervise);
	registry_close(h->registry);
	journal_close(h->journal);
	(void)uv_run(h->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(h->loop);
	free(h->db_path);
	free(h->conf_path);
	free(h->conf);
}

static int exit_code(hn_status rc)
{
	switch (rc) {
	case HN_EBUSY: return EX_TEMPFAIL;
	case HN_ENOMEM: return EX_OSERR;
	case HN_ENOENT: return EX_CONFIG;        /* a file that the configuration names */
	case HN_EFORMAT: return EX_DATAERR;
	default: return EX_CANTCREAT;
	}
}

static int run(struct honed *h)
{
	struct hn_err err = { .code = HN_OK };
	hn_status rc;

	h->started_us = clock_mono_us();
	h->loop = uv_default_loop();
	h->db_path = strdup(h->conf->store.path);
	log_set_level((enum log_level)h->conf->log.level);
	rc = h->db_path ? open_data(h, &err) : HN_ENOMEM;
	if (rc == HN_OK)
		rc = open_loop(h, &err);
	if (rc == HN_OK)
		rc = open_outside(h, &err);
	if (rc != HN_OK) {
		log_err("event=start_failed reason=\"%s\"", err.text[0] ? err.text : hn_status_text(rc));
		close_all(h);
		return exit_code(rc);
	}
	watch(h);
	log_note("event=ready version=%s url=%s models=%d devices=%d start_ms=%lld "
	         "next=\"honectl status\"",
	         HONED_VERSION, api_url(h->api), h->conf->n_models, h->conf->n_devices,
	         (long long)(clock_mono_us() - h->started_us) / 1000);
	notify_send("READY=1\nSTATUS=running");
	(void)uv_run(h->loop, UV_RUN_DEFAULT);
	close_all(h);
	log_note("event=stopped");
	return h->damaged ? EX_IOERR : EX_OK;
}

/* --- options --------------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fputs("usage: honed [--config FILE] [--set KEY=VALUE]...\n"
	      "       honed --check FILE\n"
	      "Retrains the models of the microcontrollers beside this gateway; see honed(8).\n\n"
	      "  -c, --config FILE   configuration (default " CONF_DEFAULT ")\n"
	      "  -s, --set KEY=VALUE change one setting, e.g. --set log.level=debug\n"
	      "      --check FILE    check a configuration: all errors with their place; exit 78 if any\n"
	      "      --sample        print a configuration with comments\n"
	      "      --help-config   print all settings\n"
	      "      --docs          print all settings as markdown\n"
	      "      --schema        print the JSON schema of the configuration\n"
	      "      --version       print the version\n"
	      "  -h, --help          print this\n\n"
	      "SIGHUP reads the configuration again; SIGTERM stops with everything committed.\n"
	      "Exit: 0 stopped, 64 usage, 65 damaged data, 73 cannot create, 74 input/output,\n"
	      "      75 already running, 78 configuration.\n", out);
}

struct options { const char *conf; const char *set[16]; int n_set; };

static int print_and_exit(int what)
{
	switch (what) {
	case 'h': usage(stdout); break;
	case 'V': puts("honed " HONED_VERSION); break;
	case 'S': conf_print_sample(stdout); break;
	case 'H': conf_print_help(stdout); break;
	case 'D': conf_print_docs(stdout); break;
	case 'J': conf_print_schema(stdout); break;
	}
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

static int check(const char *file)
{
	struct conf *c = load(file, stderr);

	if (!c)
		return EX_CONFIG;
	printf("%s: configuration OK: %d sources, %d streams, %d models, %d devices\n", file, c->n_sources,
	       c->n_streams, c->n_models, c->n_devices);
	free(c);
	return EX_OK;
}

/* -1: go on and run. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' }, { "set", required_argument, NULL, 's' },
		{ "check", required_argument, NULL, 'k' }, { "sample", no_argument, NULL, 'S' },
		{ "help-config", no_argument, NULL, 'H' }, { "docs", no_argument, NULL, 'D' },
		{ "schema", no_argument, NULL, 'J' }, { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	int k;

	while ((k = getopt_long(argc, argv, "c:s:h", longs, NULL)) != -1) {
		if (k == 'c') {
			o->conf = optarg;
		} else if (k == 's' && o->n_set < (int)(sizeof o->set / sizeof o->set[0])) {
			o->set[o->n_set++] = optarg;
		} else if (k == 'k') {
			return check(optarg);
		} else if (strchr("hVSHDJ", k)) {
			return print_and_exit(k);
		} else {
			fputs("honed: try 'honed --help'\n", stderr);
			return EX_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "honed: unexpected argument '%s'; try 'honed --help'\n", argv[optind]);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	struct options o = { .conf = CONF_DEFAULT };
	int code;

	conf_set_drivers(source_conf_drivers());
	code = parse(argc, argv, &o);
	if (code >= 0)
		return code;
	(void)signal(SIGPIPE, SIG_IGN);
	honed.conf = load(o.conf, stderr);
	if (!honed.conf) {
		fprintf(stderr, access(o.conf, F_OK) != 0
			? "honed: not started; to begin with one: honed --sample > %s\n"
			: "honed: not started; check again with: honed --check %s\n", o.conf);
		return EX_CONFIG;
	}
	for (int i = 0; i < o.n_set; i++) {
		struct hn_err err = { .code = HN_OK };

		if (conf_set(honed.conf, o.set[i], &err) != HN_OK) {
			fprintf(stderr, "honed: --set %s: %s\n", o.set[i], err.text);
			return EX_CONFIG;
		}
	}
	honed.conf_path = strdup(o.conf);
	return run(&honed);
}
