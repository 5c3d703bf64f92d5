/* Child processes and the service manager's socket.  The program starts itself as the child. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"
#include "t_child.h"
#include "t_run.h"

struct seen {
	struct proc *proc;
	int n_messages, n_exits, stop_after;     /* stop_after: messages, 0 = never            */
	double grace_s;
	size_t n_bytes;
	bool ok, orderly;
	char text[8192], reason[192];            /* body of the last message                   */
};

static uv_loop_t loop;

static void on_message(void *ctx, uint8_t type, const uint8_t *body, uint32_t len)
{
	struct seen *s = ctx;

	s->orderly = s->orderly && (len != T_CHILD_FLOOD_BYTES || (type == (s->n_messages & 0xff) &&
	                            body[0] == type && body[len - 1] == type));
	s->n_messages++;
	s->n_bytes += len;
	memset(s->text, 0, sizeof s->text);
	memcpy(s->text, body, len < sizeof s->text ? len : sizeof s->text - 1);
	if (s->n_messages == s->stop_after)
		proc_stop(s->proc, s->grace_s);
}

static void on_exit_of_child(void *ctx, bool ok, const char *reason)
{
	struct seen *s = ctx;

	s->n_exits++;
	s->ok = ok;
	(void)snprintf(s->reason, sizeof s->reason, "%s", reason);
}

static struct proc_cfg config(struct seen *s, const char *const *argv)
{
	return (struct proc_cfg){ .loop = &loop, .argv = argv, .ctx = s, .on_message = on_message,
	                          .on_exit = on_exit_of_child };
}

/* Start as configured and run until nothing is left on the loop. */
static void run(struct seen *s, const struct proc_cfg *cfg)
{
	struct hn_err err = { 0 };

	s->orderly = true;
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_msg(proc_start(&s->proc, cfg, &err) == HN_OK, "%s", err.text);
	ck_assert_int_gt(proc_pid(s->proc), 0);
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);       /* no handle is left */
	ck_assert_int_eq(s->n_exits, 1);
}

static struct seen play(const char *part)
{
	const char *const argv[] = { "/proc/self/exe", "--child", part, NULL };
	struct seen s = { .n_messages = 0 };
	const struct proc_cfg cfg = config(&s, argv);

	run(&s, &cfg);
	return s;
}

START_TEST(a_child_gets_its_input_and_answers)
{
	const char *const argv[] = { "/proc/self/exe", "--child", "echo", NULL };
	struct seen s = { .n_messages = 0 };
	struct proc_cfg cfg = config(&s, argv);

	cfg.input = "hello";
	cfg.input_len = 5;
	run(&s, &cfg);
	ck_assert_int_eq(s.n_messages, 1);
	ck_assert_str_eq(s.text, "hello");
	ck_assert(s.ok);
	ck_assert_str_eq(s.reason, "exit status 0");
}
END_TEST

START_TEST(a_large_input_arrives_whole_and_none_is_an_empty_file)
{
	static char input[1500000];
	const char *const argv[] = { "/proc/self/exe", "--child", "echo", NULL };
	struct seen s = { .n_messages = 0 }, none = { .n_messages = 0 };
	struct proc_cfg cfg = config(&s, argv);

	memset(input, 'i', sizeof input);
	cfg.input = input;
	cfg.input_len = sizeof input;
	run(&s, &cfg);
	ck_assert_uint_eq(s.n_bytes, sizeof input);
	cfg = config(&none, argv);
	run(&none, &cfg);
	ck_assert_int_eq(none.n_messages, 1);
	ck_assert_uint_eq(none.n_bytes, 0);
}
END_TEST

START_TEST(a_child_that_reads_nothing_harms_nobody)
{
	static char input[1500000];
	const char *const argv[] = { "/proc/self/exe", "--child", "fail", NULL };
	struct seen s = { .n_messages = 0 };
	struct proc_cfg cfg = config(&s, argv);

	cfg.input = input;
	cfg.input_len = sizeof input;
	run(&s, &cfg);
	ck_assert(!s.ok);
	ck_assert_str_eq(s.reason, "exit status 70");
}
END_TEST

START_TEST(messages_are_put_together_however_they_are_cut)
{
	const struct seen s = play("bytewise");

	ck_assert_int_eq(s.n_messages, 3);
	ck_assert_uint_eq(s.n_bytes, 5);
	ck_assert_str_eq(s.text, "de");
	ck_assert(s.ok);
}
END_TEST

START_TEST(a_flood_arrives_whole_and_in_order)
{
	const struct seen s = play("flood");

	ck_assert_int_eq(s.n_messages, T_CHILD_FLOOD);
	ck_assert(s.orderly);
	ck_assert(s.ok);
}
END_TEST

START_TEST(a_large_message_arrives_whole)
{
	const struct seen s = play("large");

	ck_assert_int_eq(s.n_messages, 1);
	ck_assert_uint_eq(s.n_bytes, T_CHILD_LARGE);
	ck_assert(s.ok);
}
END_TEST

static const struct { const char *part; int n_messages; const char *reason; } endings[] = {
	{ "half", 1, "its output ended inside a message; exit status 0" },
	{ "half head", 0, "its output ended inside a message; exit status 0" },
	{ "too long", 0, "announced a message of 4294967295 bytes, the limit is 16777216; "
	                 "killed by signal 9 (Killed)" },
	{ "killed", 0, "killed by signal 9 (Killed)" },
	{ "fail", 0, "exit status 70" },
};

START_TEST(a_bad_end_is_not_ok_and_says_why)
{
	const struct seen s = play(endings[_i].part);

	ck_assert(!s.ok);
	ck_assert_int_eq(s.n_messages, endings[_i].n_messages);
	ck_assert_str_eq(s.reason, endings[_i].reason);
}
END_TEST

START_TEST(a_child_that_takes_too_long_is_ended)
{
	const char *const argv[] = { "/proc/self/exe", "--child", "wait", NULL };
	struct seen s = { .n_messages = 0 };
	struct proc_cfg cfg = config(&s, argv);

	cfg.time_max_s = 0.3;
	run(&s, &cfg);
	ck_assert(!s.ok);
	ck_assert_str_eq(s.reason, "ran longer than 0.3 s; killed by signal 15 (Terminated)");
}
END_TEST

START_TEST(a_child_that_is_stopped_ends_politely_or_not)
{
	static const struct { const char *part; double grace_s; const char *reason; } t[] = {
		{ "wait", 5, "stopped; killed by signal 15 (Terminated)" },
		{ "stubborn", 0.2, "stopped; killed by signal 9 (Killed)" },
		{ "stubborn", 0, "stopped; killed by signal 9 (Killed)" },
	};
	const char *const argv[] = { "/proc/self/exe", "--child", t[_i].part, NULL };
	struct seen s = { .stop_after = 1, .grace_s = t[_i].grace_s };
	const struct proc_cfg cfg = config(&s, argv);

	run(&s, &cfg);
	ck_assert(!s.ok);
	ck_assert_str_eq(s.reason, t[_i].reason);
}
END_TEST

START_TEST(a_grandchild_that_holds_the_pipe_delays_the_end_only_shortly)
{
	const uint64_t start = uv_hrtime();
	const struct seen s = play("leave");

	ck_assert(s.ok);
	ck_assert_int_eq(s.n_messages, 1);
	ck_assert_uint_lt(uv_hrtime() - start, 5000000000u);
}
END_TEST

START_TEST(a_program_that_does_not_exist_is_an_error_and_leaves_nothing)
{
	const char *const argv[] = { "/nonexistent/hone-train", NULL };
	struct seen s = { .n_messages = 0 };
	const struct proc_cfg cfg = config(&s, argv);
	struct hn_err err = { 0 };

	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(proc_start(&s.proc, &cfg, &err), HN_EIO);
	ck_assert_str_eq(err.text, "/nonexistent/hone-train: no such file or directory");
	ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	ck_assert_int_eq(s.n_exits, 0);
	ck_assert_ptr_null(s.proc);
}
END_TEST

START_TEST(a_child_takes_its_limits_from_its_environment)
{
	const char *const argv[] = { "/proc/self/exe", "--child", "limits", NULL };
	struct seen s = { .n_messages = 0 };
	struct proc_cfg cfg = config(&s, argv);
	struct t_child_limits l;

	ck_assert_int_eq(setenv("NOTIFY_SOCKET", "/run/not-for-children", 1), 0);
	ck_assert_int_eq(setenv("HONE_MEMORY_MAX", "1", 1), 0);  /* ours replaces it */
	cfg.memory_max = UINT64_C(1) << 40;
	cfg.idle = true;
	run(&s, &cfg);
	ck_assert_msg(s.ok, "%s", s.reason);
	memcpy(&l, s.text, sizeof l);
#ifndef __SANITIZE_ADDRESS__
	if (l.memory_max != UINT64_MAX)          /* the sanitizers set none */
		ck_assert_uint_eq(l.memory_max, UINT64_C(1) << 40);
#endif
	ck_assert_int_eq(l.nice, 19);
	ck_assert_int_eq(l.policy, SCHED_IDLE);
	ck_assert_int_eq(l.has_notify, 0);
	ck_assert_int_eq(l.ppid_dies, SIGKILL);
}
END_TEST

START_TEST(a_child_whose_parent_is_gone_ends_at_once)
{
	const pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		(void)setenv("HONE_PARENT", "1", 1);
		proc_apply_limits();
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
}
END_TEST

/* --- the service manager ---------------------------------------------------------------------- */

/* A datagram socket bound to `path`, whose first byte may stand for 0 ("@"). */
static int manager(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	memcpy(a.sun_path, path, strlen(path));
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&a,
	                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
	return fd;
}

static void notified(const char *path)
{
	const int fd = manager(path);
	char got[64] = "";

	notify_send("READY=1\nSTATUS=ok");
	ck_assert_int_eq(recv(fd, got, sizeof got - 1, 0), 17);
	ck_assert_str_eq(got, "READY=1\nSTATUS=ok");
	ck_assert_int_eq(close(fd), 0);
}

START_TEST(the_manager_is_told_through_a_file_or_an_abstract_socket)
{
	char dir[] = "/tmp/check_proc.XXXXXX", path[64];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/notify", dir);
	notified(path);
	ck_assert_int_eq(unlink(path), 0);
	notify_send("READY=1");          /* nobody is there: no harm */
	ck_assert_int_eq(rmdir(dir), 0);
	(void)snprintf(path, sizeof path, "@check_proc.%ld", (long)getpid());
	notified(path);
}
END_TEST

START_TEST(a_manager_that_does_not_read_never_blocks_us)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof path, "@check_proc.full.%ld", (long)getpid());
	fd = manager(path);
	for (int i = 0; i < 5000; i++)
		notify_send("WATCHDOG=1");
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_wrong_or_missing_socket_name_is_ignored)
{
	static char long_name[300] = "/";

	memset(long_name + 1, 'x', sizeof long_name - 2);
	ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
	notify_send("READY=1");
	for (int i = 0; i < 4; i++) {
		const char *const names[] = { "", "@", "relative", long_name };

		ck_assert_int_eq(setenv("NOTIFY_SOCKET", names[i], 1), 0);
		notify_send("READY=1");
	}
}
END_TEST

START_TEST(a_limited_child_opens_no_socket_and_still_opens_files)
{
	const pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int fd;

		proc_apply_limits();
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd >= 0 || errno != EACCES)
			_exit(1);
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		_exit(fd >= 0 ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(the_watchdog_is_due_at_half_its_time_and_only_for_its_process)
{
	static const struct { const char *usec; int64_t due; } t[] = {
		{ "30000000", 15000000 }, { "0", 0 }, { "-5", 0 }, { "x", 0 }, { "5x", 0 }, { "", 0 }
	};
	char pid[32];

	ck_assert_int_eq(unsetenv("WATCHDOG_PID"), 0);
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		ck_assert_int_eq(setenv("WATCHDOG_USEC", t[i].usec, 1), 0);
		ck_assert_int_eq(notify_watchdog_us(), t[i].due);
	}
	ck_assert_int_eq(setenv("WATCHDOG_USEC", "2000", 1), 0);
	(void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
	ck_assert_int_eq(setenv("WATCHDOG_PID", pid, 1), 0);
	ck_assert_int_eq(notify_watchdog_us(), 1000);
	ck_assert_int_eq(setenv("WATCHDOG_PID", "1", 1), 0);
	ck_assert_int_eq(notify_watchdog_us(), 0);
	ck_assert_int_eq(unsetenv("WATCHDOG_USEC"), 0);
	ck_assert_int_eq(notify_watchdog_us(), 0);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s;
	TCase *t;

	if (argc == 3 && strcmp(argv[1], "--child") == 0) {
		proc_apply_limits();
		return t_child_main(argv[2]);
	}
	s = suite_create("proc");
	t = tcase_create("proc");
	suite_add_tcase(s, t);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_child_gets_its_input_and_answers);
	tcase_add_test(t, a_large_input_arrives_whole_and_none_is_an_empty_file);
	tcase_add_test(t, a_child_that_reads_nothing_harms_nobody);
	tcase_add_test(t, messages_are_put_together_however_they_are_cut);
	tcase_add_test(t, a_flood_arrives_whole_and_in_order);
	tcase_add_test(t, a_large_message_arrives_whole);
	tcase_add_loop_test(t, a_bad_end_is_not_ok_and_says_why, 0,
	                    (int)(sizeof endings / sizeof endings[0]));
	tcase_add_test(t, a_child_that_takes_too_long_is_ended);
	tcase_add_loop_test(t, a_child_that_is_stopped_ends_politely_or_not, 0, 3);
	tcase_add_test(t, a_grandchild_that_holds_the_pipe_delays_the_end_only_shortly);
	tcase_add_test(t, a_program_that_does_not_exist_is_an_error_and_leaves_nothing);
	tcase_add_test(t, a_child_takes_its_limits_from_its_environment);
	tcase_add_test(t, a_child_whose_parent_is_gone_ends_at_once);
	tcase_add_test(t, the_manager_is_told_through_a_file_or_an_abstract_socket);
	tcase_add_test(t, a_manager_that_does_not_read_never_blocks_us);
	tcase_add_test(t, a_wrong_or_missing_socket_name_is_ignored);
	tcase_add_test(t, a_limited_child_opens_no_socket_and_still_opens_files);
	tcase_add_test(t, the_watchdog_is_due_at_half_its_time_and_only_for_its_process);
	return t_run(s);
}
