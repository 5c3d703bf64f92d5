/* check_api_conn.c - the REST interface: connections, listeners, and the journal as it grows. */
#include <sys/stat.h>

#include "t_api_client.h"
#include "t_run.h"

/* --- connections ------------------------------------------------------------------------------ */

START_TEST(a_hundred_half_open_connections_do_not_hold_up_an_answer)
{
	static const char *const halves[] = { "", "GET /liv", "GET /livez HTTP/1.1\r\nHost: a\r\n",
		"POST /api/v1/labels HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{" };
	int fd[100];
	uint64_t t;

	for (int i = 0; i < 100; i++) {
		fd[i] = dial();
		(void)say(fd[i], halves[i % 4], strlen(halves[i % 4]));
		turn(-1);
	}
	t = uv_hrtime();
	ck_assert_int_eq(get("/livez"), 200);
	ck_assert_uint_lt(uv_hrtime() - t, 500000000);
	for (int i = 0; i < 100; i++)
		(void)close(fd[i]);
	ck_assert_int_eq(get("/metrics"), 200);
	ck_assert_ptr_nonnull(strstr(answer, "honed_http_evicted_total "));
	ck_assert_ptr_null(strstr(answer, "honed_http_evicted_total 0\n"));
}
END_TEST

START_TEST(two_requests_on_one_connection_are_answered_in_order)
{
	static const char text[] = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
		"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

	ck_assert_int_eq(ask_fd(dial(), text, sizeof text - 1), 200);
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 404"));
}
END_TEST

/* A free port: bound, asked for its number, closed. */
static int free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	(void)close(fd);
	return ntohs(at.sin_port);
}

static int ask_tcp(const char *method, const char *path, const char *host, const char *headers)
{
	char text[1000];
	const int n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n"
		"Content-Length: 0\r\n\r\n", method, path, host, headers);

	return ask_fd(dial_tcp(conf->status.port), text, (size_t)n);
}

START_TEST(tcp_answers_only_requests_that_name_this_machine)
{
	struct hn_err err = { .code = HN_OK };
	char origin[100];

	api_close(api);
	conf->status.port = free_port();
	ck_assert_msg(open_api(&err) == HN_OK, "%s", err.text);
	ck_assert_int_eq(strncmp(api_url(api), "http://127.0.0.1:", 17), 0);
	ck_assert_int_eq(ask_tcp("GET", "/livez", "localhost", ""), 200);
	ck_assert_int_eq(ask_tcp("GET", "/livez", "127.0.0.1:8414", ""), 200);
	ck_assert_int_eq(ask_tcp("GET", "/livez", "[::1]:8414", ""), 200);
	ck_assert_int_eq(ask_tcp("GET", "/livez", "evil.example", ""), 403);
	ck_assert_int_eq(ask_tcp("GET", "/livez", "localhost.evil.example", ""), 403);
	ck_assert_int_eq(ask_tcp("GET", "/livez", "", ""), 403);
	(void)snprintf(origin, sizeof origin, "Origin: http://localhost:9999\r\n");
	ck_assert_int_eq(ask_tcp("POST", "/api/v1/models/pump-state/retrain", "localhost:8414", origin),
	                 403);
	ck_assert_int_eq(ask_tcp("POST", "/api/v1/models/pump-state/retrain", "localhost:9999", origin),
	                 202);
	ck_assert_str_eq(fake.actor, "tcp");
}
END_TEST

START_TEST(a_listener_that_cannot_be_opened_is_an_error_with_a_next_step)
{
	static const struct { const char *file, *says; } rows[] = {
		{ "api.sock", "another process answers" }, { "none/api.sock", "create it" },
		{ "plain", "not a socket" } };
	struct api *first = api;
	struct hn_err err = { .code = HN_OK };
	char path[T_PATH_MAX];
	FILE *f;

	t_dir_file(&dir, "plain", path);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	(void)fclose(f);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		err = (struct hn_err){ .code = HN_OK };
		t_dir_file(&dir, rows[i].file, path);
		(void)snprintf(conf->status.socket, sizeof conf->status.socket, "%.200s", path);
		ck_assert_int_ne(open_api(&err), HN_OK);
		ck_assert_msg(strstr(err.text, rows[i].says) != NULL, "%s", err.text);
	}
	ck_assert_ptr_eq(api, first);
	t_dir_file(&dir, "api.sock", path);
	(void)snprintf(conf->status.socket, sizeof conf->status.socket, "%.200s", path);
	ck_assert_int_eq(get("/livez"), 200);
}
END_TEST

START_TEST(a_stale_socket_file_is_replaced_and_the_group_may_use_the_new_one)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct hn_err err = { .code = HN_OK };
	struct stat st;

	api_close(api);
	ck_assert_int_ne(access(conf->status.socket, F_OK), 0);
	memcpy(at.sun_path, conf->status.socket, strlen(conf->status.socket));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	(void)close(fd);                         /* the file stays, nobody listens */
	ck_assert_msg(open_api(&err) == HN_OK, "%s", err.text);
	ck_assert_int_eq(stat(conf->status.socket, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0660);
	ck_assert_int_eq(get("/livez"), 200);
}
END_TEST

/* --- events ----------------------------------------------------------------------------------- */

static int64_t id_at(const json_t *list, size_t i)
{
	return json_integer_value(json_object_get(json_array_get(list, i), "id"));
}

START_TEST(events_come_in_pages_also_those_that_are_no_longer_in_memory)
{
	static const struct { const char *query; size_t n; int64_t first; } rows[] = {
		{ "", 100, 501 }, { "?limit=3", 3, 598 }, { "?after=0&limit=10", 10, 1 },
		{ "?after=50", 100, 51 }, { "?after=590", 10, 591 }, { "?after=600", 0, 0 },
		{ "?after=9000", 0, 0 }, { "?limit=0", 1, 600 }
	};
	bool never = false;

	add(600, "job_done");
	(void)t_loop_until(&loop, &never, 0.3);  /* the writer commits */
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char path[100];
		json_t *o;

		(void)snprintf(path, sizeof path, "/api/v1/events%s", rows[i].query);
		ck_assert_int_eq(get(path), 200);
		o = body_json();
		ck_assert_msg(json_array_size(o) == rows[i].n, "%s: %zu", path, json_array_size(o));
		ck_assert_int_eq(id_at(o, 0), rows[i].first);
		json_decref(o);
	}
}
END_TEST

START_TEST(a_long_poll_ends_with_the_next_entry_or_empty_when_its_time_is_over)
{
	static const char text[] = "GET /api/v1/events?after=0&wait=%s HTTP/1.1\r\nHost: a\r\n"
		"Connection: close\r\n\r\n";
	char request[200];
	int fd = dial();
	const uint64_t t = uv_hrtime();

	(void)snprintf(request, sizeof request, text, "20");
	ck_assert(say(fd, request, strlen(request)));
	ck_assert(!hear(fd, NULL, 0.2));
	ck_assert_str_eq(answer, "");
	ck_assert_int_eq(get("/livez"), 200);
	add(1, "alarm");
	ck_assert(hear(fd, NULL, 2));
	ck_assert_ptr_nonnull(strstr(answer, "\"kind\":\"alarm\""));
	(void)close(fd);
	ck_assert_uint_lt(uv_hrtime() - t, 5000000000);
	ck_assert_int_eq(get("/api/v1/events?after=1&wait=0.2"), 200);
	ck_assert_str_eq(body_text(), "[]");
}
END_TEST

START_TEST(an_event_stream_goes_on_where_the_last_one_ended)
{
	static const char text[] = "GET /api/v1/events HTTP/1.1\r\nHost: a\r\n"
		"Accept: text/event-stream\r\nLast-Event-ID: 3\r\n\r\n";
	bool never = false;
	int fd;

	add(700, "job_done");
	(void)t_loop_until(&loop, &never, 0.3);
	fd = dial();
	ck_assert(say(fd, text, sizeof text - 1));
	ck_assert(hear(fd, "id: 700\nevent: job_done\ndata: {", 5));
	ck_assert_ptr_nonnull(strstr(answer, "Content-Type: text/event-stream"));
	ck_assert_ptr_null(strstr(answer, "id: 3\n"));
	for (int i = 4; i <= 700; i++) {
		char id[20];

		(void)snprintf(id, sizeof id, "id: %d\n", i);
		ck_assert_msg(strstr(answer, id) != NULL, "%d is missing", i);
	}
	add(1, "promoted");
	ck_assert(hear(fd, "event: promoted\n", 2));
	ck_assert_ptr_nonnull(strstr(answer, "a line\\nbreak"));
	(void)close(fd);
	add(1, "promoted");
	ck_assert_int_eq(get("/livez"), 200);
}
END_TEST

START_TEST(those_that_wait_leave_room_for_an_answer_and_are_answered_at_the_end)
{
	static const char text[] = "GET /api/v1/events?wait=30 HTTP/1.1\r\nHost: a\r\n%s\r\n";
	struct hn_err err = { .code = HN_OK };
	char request[200];
	int fd[40];

	for (int i = 0; i < 40; i++) {
		(void)snprintf(request, sizeof request, text, i % 2 ? "Accept: text/event-stream\r\n" : "");
		fd[i] = dial();
		ck_assert(say(fd[i], request, strlen(request)));
	}
	ck_assert(hear(fd[39], "HTTP/1.1 503", 2));
	ck_assert_int_eq(get("/livez"), 200);
	api_close(api);
	ck_assert(hear(fd[0], NULL, 2));
	ck_assert_ptr_nonnull(strstr(answer, "[]"));
	ck_assert(hear(fd[1], NULL, 2));
	for (int i = 0; i < 40; i++)
		(void)close(fd[i]);
	ck_assert_msg(open_api(&err) == HN_OK, "%s", err.text);
}
END_TEST

/* --- program ---------------------------------------------------------------------------------- */

static Suite *suite(void)
{
	Suite *s = suite_create("api connections");
	TCase *t = tcase_create("api connections");

	tcase_add_checked_fixture(t, start, stop);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_hundred_half_open_connections_do_not_hold_up_an_answer);
	tcase_add_test(t, two_requests_on_one_connection_are_answered_in_order);
	tcase_add_test(t, tcp_answers_only_requests_that_name_this_machine);
	tcase_add_test(t, a_listener_that_cannot_be_opened_is_an_error_with_a_next_step);
	tcase_add_test(t, a_stale_socket_file_is_replaced_and_the_group_may_use_the_new_one);
	tcase_add_test(t, events_come_in_pages_also_those_that_are_no_longer_in_memory);
	tcase_add_test(t, a_long_poll_ends_with_the_next_entry_or_empty_when_its_time_is_over);
	tcase_add_test(t, an_event_stream_goes_on_where_the_last_one_ended);
	tcase_add_test(t, those_that_wait_leave_room_for_an_answer_and_are_answered_at_the_end);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
