/* The line source: fields, limits, ports. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "clock.h"
#include "t_run.h"
#include "t_source.h"

static struct t_source t;

START_TEST(fields_that_are_absent_are_missing_values)
{
	const char *text = "vib b=5 1700000000000000\n# note\n\nvib b=6,zz=1,a=\"t\"\nvib zz=1\n"
	                   "other a=1\nvib a=1 -1\nvib a=\n";
	int64_t before = clock_now_us();

	t_source_start(&t, t_kit("line-tcp"));
	t_source_send(&t, text, strlen(text));
	ck_assert(t_source_wait_frames(&t, 2));
	t_source_spin(&t, 0.02);
	ck_assert_int_eq(t.n_frames, 2);
	ck_assert_int_eq(t.frames[0].event_us, INT64_C(1700000000000000));
	ck_assert_int_eq(t.frames[0].raw[1], 5);
	ck_assert_int_eq(t.frames[0].quality[0], HN_MISSING);
	ck_assert_int_eq(t.frames[0].quality[2], HN_MISSING);
	ck_assert_int_eq(t.frames[1].quality[0], HN_MISSING);   /* a text is no number */
	ck_assert(t.frames[1].event_us >= before && t.frames[1].event_us <= clock_now_us());
	ck_assert_int_eq(t_source_count(&t, "no_channel"), 1);
	ck_assert_int_eq(t_source_count(&t, "unknown_stream"), 1);
	ck_assert_int_eq(t_source_count(&t, "time"), 1);
	ck_assert_int_eq(t_source_count(&t, "format"), 1);
	ck_assert_int_eq(t_source_count(&t, "unknown_fields"), 2);
	t_source_stop(&t);
}
END_TEST

START_TEST(connections_are_limited_and_idle_ones_are_closed)
{
	const struct t_kit *kit = t_kit("line-unix");
	int fd[70];

	t_source_init(&t, kit->driver);
	kit->setup(&t);
	t_source_set(&t, "idle_timeout", "1s");
	ck_assert_int_eq(t_source_open(&t, NULL), HN_OK);
	for (int i = 0; i < 70; i++) {
		kit->connect(&t);
		fd[i] = t.peer;
		t.peer = -1;
		(void)uv_run(&t.loop, UV_RUN_NOWAIT);
	}
	t_source_spin(&t, 0.02);
	ck_assert_int_eq(t_source_count(&t, "connections"), 64);
	ck_assert_int_eq(t_source_refused(&t), 6);
	t_source_spin(&t, 1.6);
	ck_assert_int_eq(t_source_count(&t, "connections"), 0);
	for (int i = 0; i < 70; i++)
		(void)close(fd[i]);
	kit->connect(&t);
	t_source_send_frames(&t, kit, 0, 1);
	ck_assert(t_source_wait_frames(&t, 1));
	t_source_stop(&t);
}
END_TEST

static bool listening(const struct t_source *x)
{
	json_t *list = sources_json(x->sources);
	bool up = strcmp(json_string_value(json_object_get(json_array_get(list, 0), "state")), "up") == 0;

	json_decref(list);
	return up;
}

START_TEST(a_port_in_use_is_tried_again)
{
	const struct t_kit *kit = t_kit("line-unix");
	struct t_source *first = calloc(1, sizeof *first);

	/* Two sources on one socket path: the second gets it when the first is gone. */
	t_source_start(first, kit);
	t_source_init(&t, kit->driver);
	memcpy(t.conf->sources[0].settings, first->conf->sources[0].settings, CONF_DRIVER_BYTES);
	ck_assert_int_eq(t_source_open(&t, NULL), HN_OK);
	t_source_spin(&t, 0.05);
	ck_assert(!listening(&t));
	(void)uv_run(&first->loop, UV_RUN_NOWAIT);
	t_source_send_frames(first, kit, 0, 1);
	ck_assert(t_source_wait_frames(first, 1));      /* not disturbed */
	sources_close(first->sources);
	first->sources = NULL;
	t_source_spin(first, 0.05);
	ck_assert(t_source_run(&t, listening, 10));
	t_source_stop(&t);
	t_source_stop(first);
	free(first);
}
END_TEST

START_TEST(a_socket_file_that_a_crash_left_behind_is_replaced)
{
	const struct t_kit *kit = t_kit("line-unix");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat info;

	t_source_init(&t, kit->driver);
	kit->setup(&t);
	t_source_path(&t, "sock", a.sun_path, sizeof a.sun_path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	(void)close(fd);                        /* the file stays */
	ck_assert_int_eq(t_source_open(&t, NULL), HN_OK);
	ck_assert_int_eq(stat(a.sun_path, &info), 0);
	ck_assert_int_eq(info.st_mode & 0777, 0660);    /* the group may send */
	kit->connect(&t);
	t_source_send_frames(&t, kit, 0, 1);
	ck_assert(t_source_wait_frames(&t, 1));
	t_source_stop(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("source_line");
	TCase *c = tcase_create("source_line");

	suite_add_tcase(s, c);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, fields_that_are_absent_are_missing_values);
	tcase_add_test(c, connections_are_limited_and_idle_ones_are_closed);
	tcase_add_test(c, a_port_in_use_is_tried_again);
	tcase_add_test(c, a_socket_file_that_a_crash_left_behind_is_replaced);
	return t_run(s);
}
