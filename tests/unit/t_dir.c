#include "t_dir.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void t_dir_make(struct t_dir *d)
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(d->path, sizeof d->path, "%.200s/honed-check-XXXXXX", base ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(d->path));
	t_dir_file(d, "test.db", d->db);
}

void t_dir_file(const struct t_dir *d, const char *name, char out[T_PATH_MAX])
{
	const int n = snprintf(out, T_PATH_MAX, "%.300s/%s", d->path, name);

	ck_assert(n > 0 && n < T_PATH_MAX);
}

/* Visit every file; remove it, or count it when its name contains `part`. */
static int visit(const struct t_dir *d, const char *part)
{
	DIR *dir = opendir(d->path);
	const struct dirent *e;
	char name[T_PATH_MAX];
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	for (e = readdir(dir); e; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		n += part && strstr(e->d_name, part) != NULL;
		t_dir_file(d, e->d_name, name);
		if (!part)
			ck_assert_int_eq(unlink(name), 0);
	}
	(void)closedir(dir);
	return n;
}

int t_dir_count(const struct t_dir *d, const char *part)
{
	return visit(d, part);
}

void t_dir_remove(struct t_dir *d)
{
	(void)visit(d, NULL);
	ck_assert_int_eq(rmdir(d->path), 0);
}

static void on_tick(uv_timer_t *t)
{
	(void)t;                         /* only wakes the loop */
}

bool t_loop_until(uv_loop_t *loop, const bool *done, double seconds)
{
	const uint64_t end = uv_hrtime() + (uint64_t)(seconds * 1e9);
	uv_timer_t tick;

	ck_assert_int_eq(uv_timer_init(loop, &tick), 0);
	ck_assert_int_eq(uv_timer_start(&tick, on_tick, 5, 5), 0);
	while (!*done && uv_hrtime() < end)
		(void)uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&tick, NULL);
	(void)uv_run(loop, UV_RUN_NOWAIT);
	return *done;
}

void t_loop_end(uv_loop_t *loop)
{
	(void)uv_run(loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(loop), 0);
}
