/* check_api.c - the REST interface: every route, and what a request that cannot be served gets.
 *
 * `check_api --serve SOCKET` serves the same answers until it is killed: what tests/system/ctl.sh
 * asks. */
#include <strings.h>
#include <yaml.h>

#include "hn_rng.h"
#include "t_api_client.h"

/* --- routes ----------------------------------------------------------------------------------- */

static json_t *routes(void)
{
	ck_assert_int_eq(get("/api/v1/routes"), 200);
	return body_json();
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	ck_assert_msg(s != NULL, "no %s", key);
	return s;
}

/* The path with names filled in. */
static void filled(const char *path, char *out, size_t cap)
{
	const char *hole = strchr(path, '{');

	if (hole)
		(void)snprintf(out, cap, "%.*s%s%s", (int)(hole - path), path,
		               strncmp(hole, "{id}", 4) ? "pump-state" : "1", strchr(hole, '}') + 1);
	else
		(void)snprintf(out, cap, "%s", path);
}

START_TEST(every_route_of_the_table_answers_and_has_a_help_text)
{
	static const char label[] = "{\"stream\":\"vibration\",\"t0\":5,\"label\":\"worn\"}";
	json_t *all = routes(), *r;
	char path[200];
	size_t i;

	ck_assert_int_eq(ask("POST", "/api/v1/models/pump-state/retrain", "", ""), 202);
	ck_assert_uint_ge(json_array_size(all), 19);
	json_array_foreach(all, i, r) {
		const bool posts_label = strcmp(text_of(r, "path"), "/api/v1/labels") == 0;
		const char *body = posts_label ? label : strstr(text_of(r, "path"), "/import") ? "file" : "";
		int status;

		filled(text_of(r, "path"), path, sizeof path);
		status = ask(text_of(r, "method"), path, "", body);
		ck_assert_msg(status == 200 || status == 202, "%s %s: %.200s", text_of(r, "method"), path,
		              answer);
		ck_assert_ptr_nonnull(strstr(answer, "Content-Type: "));
		ck_assert_uint_gt(strlen(text_of(r, "help")), 5);
	}
	json_decref(all);
}
END_TEST

static yaml_node_t *value_of(yaml_document_t *d, yaml_node_t *map, const char *key)
{
	ck_assert_int_eq(map->type, YAML_MAPPING_NODE);
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
		if (strcmp((const char *)yaml_document_get_node(d, p->key)->data.scalar.value, key) == 0)
			return yaml_document_get_node(d, p->value);
	return NULL;
}

static void load_openapi(yaml_document_t *d)
{
	FILE *f = fopen("docs/openapi.yaml", "re");
	yaml_parser_t parser;

	ck_assert_msg(f != NULL, "docs/openapi.yaml: run this from the root of the tree");
	ck_assert_int_eq(yaml_parser_initialize(&parser), 1);
	yaml_parser_set_input_file(&parser, f);
	ck_assert_msg(yaml_parser_load(&parser, d) == 1, "line %zu: %s", parser.problem_mark.line + 1,
	              parser.problem);
	yaml_parser_delete(&parser);
	(void)fclose(f);
}

static bool in_table(const json_t *all, const char *method, const char *path)
{
	json_t *r;
	size_t i;

	json_array_foreach(all, i, r)
		if (strcasecmp(text_of(r, "method"), method) == 0 && strcmp(text_of(r, "path"), path) == 0)
			return true;
	return false;
}

START_TEST(the_table_and_openapi_yaml_describe_the_same_routes)
{
	static const char *const methods[] = { "get", "post", "put", "patch", "delete" };
	json_t *all = routes(), *r;
	yaml_document_t d;
	yaml_node_t *paths;
	size_t i, n = 0;

	load_openapi(&d);
	ck_assert_ptr_nonnull(yaml_document_get_root_node(&d));
	paths = value_of(&d, yaml_document_get_root_node(&d), "paths");
	ck_assert_ptr_nonnull(paths);
	for (yaml_node_pair_t *p = paths->data.mapping.pairs.start;
	     p < paths->data.mapping.pairs.top; p++) {
		const char *path = (const char *)yaml_document_get_node(&d, p->key)->data.scalar.value;

		for (i = 0; i < sizeof methods / sizeof methods[0]; i++) {
			if (!value_of(&d, yaml_document_get_node(&d, p->value), methods[i]))
				continue;
			ck_assert_msg(in_table(all, methods[i], path), "not served: %s %s", methods[i], path);
			n++;
		}
	}
	json_array_foreach(all, i, r)
		ck_assert_msg(value_of(&d, paths, text_of(r, "path")) != NULL, "not described: %s %s",
		              text_of(r, "method"), text_of(r, "path"));
	ck_assert_uint_eq(n, json_array_size(all));
	yaml_document_delete(&d);
	json_decref(all);
}
END_TEST

START_TEST(head_has_the_headers_of_get_and_no_body)
{
	ck_assert_int_eq(ask("HEAD", "/api/v1/models", "", ""), 200);
	ck_assert_str_eq(body_text(), "");
	ck_assert_ptr_nonnull(strstr(answer, "Content-Type: application/json"));
	ck_assert_int_eq(ask("HEAD", "/api/v1/events?wait=30", "", ""), 200);
	ck_assert_int_eq(ask("HEAD", "/api/v1/models/other", "", ""), 404);
}
END_TEST

/* --- requests that are refused ---------------------------------------------------------------- */

static const struct {
	const char *method, *path, *headers, *body;
	int status;
	const char *has;
} refused[] = {
	{ "GET", "/", "", "", 404, "/api/v1/routes" },
	{ "GET", "/api/v1/models/", "", "", 404, "no such path" },
	{ "GET", "/api/v1/models/other", "", "", 404, "no model 'other'" },
	{ "GET", "/api/v1/models/a/b", "", "", 404, "no such path" },
	{ "GET", "/api/v1/models/a%00b", "", "", 400, "0 byte" },
	{ "GET", "/api/v1/jobs/x", "", "", 404, "no job 'x'" },
	{ "GET", "/api/v1/jobs/99999999999999999999999", "", "", 404, "no job" },
	{ "GET", "/api/v1/jobs/77", "", "", 404, "\"instance\":\"/api/v1/jobs/77\"" },
	{ "DELETE", "/api/v1/jobs/77", "", "", 404, "no job 77" },
	{ "PUT", "/api/v1/models", "", "", 405, "Allow: GET, HEAD, OPTIONS" },
	{ "POST", "/api/v1/jobs/1", "", "", 405, "Allow: GET, HEAD, DELETE, OPTIONS" },
	{ "BREW", "/livez", "", "", 405, "Allow: GET, HEAD, OPTIONS" },
	{ "GET", "/api/v1/events?after=x", "", "", 400, "after is a number" },
	{ "GET", "/api/v1/events?after=-1", "", "", 400, "after is a number" },
	{ "GET", "/api/v1/events?limit=1001", "", "", 400, "limit is a number" },
	{ "GET", "/api/v1/events?wait=31", "", "", 400, "wait is a number" },
	{ "GET", "/api/v1/events?wait=nan", "", "", 400, "wait is a number" },
	{ "POST", "/api/v1/models/pump-state/retrain", "", "{", 400, "not JSON: line 1" },
	{ "POST", "/api/v1/models/pump-state/retrain", "", "[]", 400, "JSON object" },
	{ "POST", "/api/v1/models/pump-state/retrain", "", "{\"dryrun\":true}", 400, "dryrun" },
	{ "POST", "/api/v1/models/pump-state/retrain", "", "{\"dry_run\":1}", 400, "dry_run" },
	{ "POST", "/api/v1/models/pump-state/retrain", "", "{\"reason\":1}", 400, "reason" },
	{ "POST", "/api/v1/models/pump-state/retrain", "Content-Type: text/plain\r\n", "{}", 415, "json" },
	{ "POST", "/api/v1/models/pump-state/retrain", "Origin: http://evil.example\r\n", "{}", 403,
		"site" },
	{ "DELETE", "/api/v1/jobs/1", "Origin: null\r\n", "", 403, "site" },
	{ "POST", "/api/v1/models/busy/retrain", "", "{}", 409, "queued or running" },
	{ "POST", "/api/v1/models/other/retrain", "", "{}", 404, "no model" },
	{ "POST", "/api/v1/models/pump-state/import", "Content-Type: application/json\r\n", "{}", 415,
		"octet-stream" },
	{ "POST", "/api/v1/models/pump-state/import", "", "", 400, ".onnx" },
	{ "POST", "/api/v1/models/other/import", "", "x", 404, "no model" },
	{ "GET", "/api/v1/versions/12", "", "", 404, "no version" },
	{ "GET", "/api/v1/versions/x", "", "", 404, "no version" },
	{ "POST", "/api/v1/models/busy/rollback", "", "{}", 409, "no earlier version" },
	{ "POST", "/api/v1/models/pump-state/rollback", "", "{\"why\":\"\"}", 400, "why" },
	{ "POST", "/api/v1/models/busy/rollout/pause", "", "{}", 409, "is done" },
	{ "POST", "/api/v1/devices/busy/pull", "", "{}", 409, "does not answer" },
	{ "POST", "/api/v1/devices/pump-1/pull", "", "{\"windows\":0}", 400, "1 to 65535" },
	{ "POST", "/api/v1/devices/pump-1/pull", "", "{\"windows\":\"7\"}", 400, "1 to 65535" },
	{ "POST", "/api/v1/models/other/rollout/retry", "", "{}", 404, "no model" },
	{ "POST", "/api/v1/models/pump-state/rollout/stop", "", "{}", 404, "no such path" },
	{ "GET", "/api/v1/devices/other/history", "", "", 404, "no device" },
	{ "POST", "/api/v1/labels", "", "{}", 400, "stream" },
	{ "POST", "/api/v1/labels", "", "{\"stream\":\"vibration\",\"t0\":\"soon\",\"label\":\"a\"}", 400,
		"3339" },
	{ "POST", "/api/v1/labels", "", "{\"stream\":\"vibration\",\"t0\":1.5,\"label\":\"a\"}", 400,
		"3339" },
	{ "POST", "/api/v1/labels", "", "{\"stream\":\"vibration\",\"t0\":1,\"label\":[]}", 400, "class" },
	{ "POST", "/api/v1/labels", "", "{\"stream\":\"vibration\",\"t0\":2,\"t1\":1,\"label\":\"a\"}",
		400, "ends" },
	{ "POST", "/api/v1/labels", "", "{\"stream\":\"other\",\"t0\":2,\"label\":\"a\"}", 404,
		"no stream" },
	{ "POST", "/api/v1/labels", "", "{\"stream\":\"vibration\",\"t0\":2,\"label\":\"full\"}", 503,
		"Retry-After" },
	{ "POST", "/api/v1/labels", "", "{\"stream\":\"vibration\",\"t0\":2,\"label\":\"a\",\"who\":\"\"}",
		400, "who" },
};

START_TEST(a_request_that_cannot_be_served_is_answered_with_a_problem_that_says_why)
{
	json_t *o;

	ck_assert_int_eq(ask(refused[_i].method, refused[_i].path, refused[_i].headers, refused[_i].body),
	                 refused[_i].status);
	ck_assert_ptr_nonnull(strstr(answer, "Content-Type: application/problem+json"));
	ck_assert_msg(strstr(answer, refused[_i].has) != NULL, "%.500s", answer);
	o = body_json();
	ck_assert_int_eq(json_integer_value(json_object_get(o, "status")), refused[_i].status);
	ck_assert_uint_gt(strlen(text_of(o, "title")), 3);
	ck_assert_uint_gt(strlen(text_of(o, "detail")), 3);
	ck_assert_int_eq(fake.job + fake.n_labels + fake.n_cancelled, 0);
	json_decref(o);
}
END_TEST

START_TEST(options_lists_the_methods_of_a_path)
{
	ck_assert_int_eq(ask("OPTIONS", "/api/v1/labels", "", ""), 204);
	ck_assert_ptr_nonnull(strstr(answer, "Allow: POST, OPTIONS\r\n"));
	ck_assert_ptr_null(strstr(answer, "Access-Control"));
	ck_assert_int_eq(ask("OPTIONS", "/nowhere", "", ""), 404);
}
END_TEST

/* 64 KB are kept, up to 1 MB is read and refused, more is not read. */
START_TEST(a_body_that_is_too_large_is_refused)
{
	static const struct { size_t len; int status; } rows[] = {
		{ 65000, 202 }, { 70000, 413 }, { 900000, 413 }
	};
	char *text = malloc(1000000);
	int n;

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		n = snprintf(text, 1000, "POST /api/v1/models/pump-state/retrain HTTP/1.1\r\nHost: a\r\n"
			"Connection: close\r\nContent-Length: %zu\r\n\r\n", rows[i].len);
		memset(text + n, ' ', rows[i].len);
		memcpy(text + n, "{}", 2);
		ck_assert_int_eq(ask_fd(dial(), text, (size_t)n + rows[i].len), rows[i].status);
	}
	n = snprintf(text, 1000, "POST /api/v1/models/pump-state/retrain HTTP/1.1\r\nHost: a\r\n"
		"Content-Length: 4000000000\r\n\r\n");
	ck_assert_int_eq(ask_fd(dial(), text, (size_t)n), 413);
	free(text);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_refused)
{
	char path[2000] = "/api/v1/models/";

	memset(path + 15, 'a', 1500);
	ck_assert_int_eq(get(path), 414);
	path[115] = '\0';
	ck_assert_int_eq(get(path), 404);
}
END_TEST

START_TEST(garbage_is_survived)
{
	static const char *const texts[] = {
		"\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET http://a/livez HTTP/1.1\r\n\r\n",
		"POST /api/v1/labels HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
		"POST /api/v1/labels HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		"GET /api/v1/models/%ff%fe%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /livez?%00=%&&=&a HTTP/1.1\r\nHost: a\r\n\r\n" };
	struct hn_rng rng;
	char noise[600];

	printf("garbage_is_survived: seed 20261122\n");
	hn_rng_seed(&rng, 20261122);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0] + 40; i++) {
		const int fd = dial();
		const size_t known = sizeof texts / sizeof texts[0];

		for (size_t k = 0; k < sizeof noise; k++)
			noise[k] = (char)hn_rng_below(&rng, 256);
		(void)say(fd, i < known ? texts[i] : noise, i < known ? strlen(texts[i]) : sizeof noise);
		(void)shutdown(fd, SHUT_WR);
		(void)hear(fd, NULL, 0.05);
		(void)close(fd);
	}
	ck_assert_int_eq(get("/livez"), 200);
}
END_TEST

/* --- verbs ------------------------------------------------------------------------------------ */

START_TEST(retrain_answers_202_with_a_job_to_follow_and_knows_who_asked)
{
	char who[32];
	json_t *o;

	ck_assert_int_eq(ask("POST", "/api/v1/models/pump-state/retrain",
	                     "Content-Type: application/json\r\n",
	                     "{\"reason\":\"new bearing\",\"dry_run\":true}"), 202);
	ck_assert_ptr_nonnull(strstr(answer, "Location: /api/v1/jobs/1\r\n"));
	o = body_json();
	ck_assert_int_eq(json_integer_value(json_object_get(o, "id")), 1);
	json_decref(o);
	ck_assert_str_eq(fake.reason, "new bearing");
	ck_assert(fake.dry_run);
	(void)snprintf(who, sizeof who, "uid %u", (unsigned)getuid());
	ck_assert_msg(strncmp(fake.actor, who, strlen(who)) == 0, "%s", fake.actor);
	ck_assert_int_eq(ask("DELETE", "/api/v1/jobs/1", "", ""), 202);
	ck_assert_int_eq(ask("DELETE", "/api/v1/jobs/1", "", ""), 409);
	ck_assert_int_eq(ask("POST", "/api/v1/models/pump-state/rollback", "", "{\"reason\":\"worse\"}"),
	                 200);
	ck_assert_str_eq(fake.reason, "worse");
}
END_TEST

START_TEST(a_file_comes_in_as_it_is_and_a_version_goes_out_as_it_is)
{
	ck_assert_int_eq(ask("POST", "/api/v1/models/pump-state/import?reason=from%20torch",
	                     "Content-Type: application/octet-stream\r\n", "any bytes"), 202);
	ck_assert_str_eq(fake.reason, "from torch");
	ck_assert_uint_eq(fake.n_imported, 9);
	ck_assert_int_eq(ask("GET", "/api/v1/versions/11", "", ""), 200);
	ck_assert_ptr_nonnull(strstr(answer, "Content-Length: 6\r\n"));
	ck_assert_ptr_nonnull(strstr(answer, "application/octet-stream"));
}
END_TEST

START_TEST(the_last_word_of_the_path_steers_the_rollout)
{
	static const char *const verbs[] = { "pause", "resume", "retry" };
	char path[80];

	for (int i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof path, "/api/v1/models/pump-state/rollout/%s", verbs[i]);
		ck_assert_int_eq(ask("POST", path, "", "{}"), 200);
		ck_assert_str_eq(fake.reason, verbs[i]);
	}
}
END_TEST

START_TEST(a_label_takes_rfc_3339_or_microseconds_and_a_class_or_a_number)
{
	ck_assert_int_eq(ask("POST", "/api/v1/labels", "",
	                     "{\"stream\":\"vibration\",\"t0\":\"1970-01-01T00:00:01Z\","
	                     "\"t1\":2500000,\"label\":\"worn\",\"who\":\"anna\"}"), 202);
	ck_assert_int_eq(fake.t0_us, 1000000);
	ck_assert_int_eq(fake.t1_us, 2500000);
	ck_assert_str_eq(fake.last_label, "worn");
	ck_assert_str_eq(fake.who, "anna");
	ck_assert_int_eq(ask("POST", "/api/v1/labels", "",
	                     "{\"stream\":\"vibration\",\"t0\":7,\"label\":1.5}"), 202);
	ck_assert_int_eq(fake.t1_us, 7);
	ck_assert_str_eq(fake.last_label, "1.5");
	ck_assert_ptr_nonnull(strstr(fake.who, "uid "));
}
END_TEST

START_TEST(readyz_says_503_while_the_daemon_stops)
{
	ck_assert_int_eq(get("/readyz"), 200);
	fake.stopping = true;
	ck_assert_int_eq(get("/readyz"), 503);
	ck_assert_int_eq(get("/livez"), 200);
}
END_TEST

/* --- program ---------------------------------------------------------------------------------- */

static Suite *suite(void)
{
	Suite *s = suite_create("api");
	TCase *t = tcase_create("api");

	tcase_add_checked_fixture(t, start, stop);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, every_route_of_the_table_answers_and_has_a_help_text);
	tcase_add_test(t, the_table_and_openapi_yaml_describe_the_same_routes);
	tcase_add_test(t, head_has_the_headers_of_get_and_no_body);
	tcase_add_loop_test(t, a_request_that_cannot_be_served_is_answered_with_a_problem_that_says_why, 0,
	                    sizeof refused / sizeof refused[0]);
	tcase_add_test(t, options_lists_the_methods_of_a_path);
	tcase_add_test(t, a_body_that_is_too_large_is_refused);
	tcase_add_test(t, a_path_that_is_too_long_is_refused);
	tcase_add_test(t, garbage_is_survived);
	tcase_add_test(t, retrain_answers_202_with_a_job_to_follow_and_knows_who_asked);
	tcase_add_test(t, a_file_comes_in_as_it_is_and_a_version_goes_out_as_it_is);
	tcase_add_test(t, the_last_word_of_the_path_steers_the_rollout);
	tcase_add_test(t, a_label_takes_rfc_3339_or_microseconds_and_a_class_or_a_number);
	tcase_add_test(t, readyz_says_503_while_the_daemon_stops);
	suite_add_tcase(s, t);
	return s;
}

static void on_stop(uv_signal_t *s, int signum)
{
	(void)signum;
	uv_close((uv_handle_t *)s, NULL);
	uv_stop(&loop);
}

static const char *serve_at;

/* The fake answers at `serve_at` until SIGTERM; a test, because the fixtures assert. */
START_TEST(serve)
{
	uv_signal_t term;
	struct hn_err err = { .code = HN_OK };

	api_close(api);
	(void)snprintf(conf->status.socket, sizeof conf->status.socket, "%s", serve_at);
	ck_assert_msg(open_api(&err) == HN_OK, "%s", err.text);
	add(3, "job_done");
	(void)uv_signal_init(&loop, &term);
	(void)uv_signal_start(&term, on_stop, SIGTERM);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
}
END_TEST

static Suite *server(void)
{
	Suite *s = suite_create("server");
	TCase *t = tcase_create("server");

	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, serve);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	SRunner *r;
	int failed;

	serve_at = argc == 3 && strcmp(argv[1], "--serve") == 0 ? argv[2] : NULL;
	r = srunner_create(serve_at ? server() : suite());
	if (serve_at)
		srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, serve_at ? CK_SILENT : CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
