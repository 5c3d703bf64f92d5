/* powercut_campaign.c - the long form of check_powercut.c: every geometry, every operation, twice.
 *
 * First cut: before, inside (INSIDE_DRAWS draws of the torn bits) and after each flash operation of
 * a whole swap (BEGIN to CONFIRM and the erase after it).  Second cut: the same at each operation
 * of the boot and the swap that follow, before, inside and after: all pairs from units of 4 bytes
 * on; below only the first operations, those of the boot (`row.second`).
 * After each cut and boot the invariants I1..I6 of check_powercut.c are counted, not asserted.
 * Two processes share the geometries.  Arguments: the report to write. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "t_hd_gateway.h"

enum { SEED = 20250117, INSIDE_DRAWS = 3, WORKERS = 2, INVARIANTS = 8, RULES = 7 };

static const struct t_image_spec small = { 4, 2, { { HD_OP_DENSE, 4 }, { HD_OP_DENSE, 3 } } };
static struct t_package old_package, new_package;

/* second: operations of the recovery that are cut, in all nine ways of a pair. */
static const struct row { uint32_t unit, second; } units[] = {
	{ 1, 8 }, { 2, 12 }, { 4, T_NEVER }, { 8, T_NEVER }, { 16, T_NEVER }, { 32, T_NEVER }
};
static const uint32_t sectors[] = { 128, 256, 1024, 4096, 16384 };
enum { N_UNITS = sizeof units / sizeof *units, N_SECTORS = sizeof sectors / sizeof *sectors,
       N_GEOMETRIES = N_UNITS * N_SECTORS * 2 };

struct count {
	uint64_t single, second, bad[INVARIANTS];        /* bad[i]: Ii; bad[RULES]: programmed twice */
};

struct bench {
	struct t_flash start, mid, flash;        /* start: version 1 confirmed; mid: after the first cut */
	struct t_pair *pair;
	struct count *count;
};

static struct t_geometry geometry(int i)
{
	uint32_t sector = sectors[i / N_UNITS % N_SECTORS];

	return (struct t_geometry){ .unit = units[i % N_UNITS].unit, .sector = sector,
		.slot_bytes = sector < 512 ? 512 : sector,
		.erased = i < N_UNITS * N_SECTORS ? 0xff : 0x00 };
}

static bool holds(const struct t_pair *p, uint8_t slot, const struct t_package *k)
{
	const struct hd_flash *f = &p->flash->port;

	return memcmp(p->flash->mem + f->slot_at[slot], k->header, HD_PACKAGE_HEADER) == 0
		&& memcmp(p->flash->mem + hd_slots_payload_at(f, slot), k->payload, k->len) == 0;
}

/* Note a violation of I`i` unless `ok`. */
static bool demand(struct bench *b, int i, bool ok)
{
	b->count->bad[i] += !ok;
	return ok;
}

static bool sound(struct bench *b)
{
	struct t_pair *p = b->pair;
	const struct hd_slots *s = &p->dev.slots;
	const struct t_package *active;
	bool ok;

	if (!demand(b, 3, s->active <= 1))
		return false;
	active = holds(p, s->active, &new_package) ? &new_package : &old_package;
	ok = demand(b, 1, holds(p, s->active, active));
	ok &= demand(b, 2, s->floor >= 1 && active->head.version >= s->floor);
	ok &= demand(b, 6, t_serves(p, active));
	if (s->floor < new_package.head.version)
		ok &= demand(b, 5, holds(p, 0, &old_package));
	return ok;
}

/* The whole swap, from whatever state the flash is in. */
static bool swap(struct bench *b)
{
	if (!demand(b, 4, t_install(b->pair, &new_package)) ||
	    !demand(b, 6, t_serves(b->pair, &new_package)) ||
	    !demand(b, 4, t_confirm(b->pair, new_package.head.version)))
		return false;
	t_pair_settle(b->pair);          /* the erase ahead of time */
	return true;
}

static bool boot(struct bench *b)
{
	return demand(b, 3, t_pair_boot(b->pair) == HD_OK) && sound(b);
}

/* From power up to the end of the swap.  True when the planned cut happened. */
static bool run_until_cut(struct bench *b, uint32_t op, enum t_cut how)
{
	jmp_buf power;

	if (setjmp(power) != 0)
		return true;
	t_flash_power_up(&b->flash);
	t_flash_plan(&b->flash, &power, op, how);
	if (boot(b))
		(void)swap(b);
	b->flash.power = NULL;
	return false;
}

static void recover(struct bench *b)
{
	t_flash_power_up(&b->flash);
	if (!boot(b) || !swap(b) || !sound(b))
		return;
	t_flash_power_up(&b->flash);
	if (boot(b))
		demand(b, 2, b->pair->dev.slots.floor == new_package.head.version);
	demand(b, RULES, b->flash.broken_rules == 0);
}

/* A second cut at each of the `ops` operations after the first, all ways. */
static void cut_again(struct bench *b, uint32_t ops)
{
	t_flash_copy(&b->mid, &b->flash);
	for (enum t_cut how = T_CUT_BEFORE; how < T_CUTS; how++) {
		for (uint32_t op = 0; op < ops; op++) {
			t_flash_copy(&b->flash, &b->mid);
			if (!run_until_cut(b, op, how))
				break;
			recover(b);
			b->count->second++;
		}
	}
}

static bool cut_first(struct bench *b, uint32_t op, enum t_cut how, uint32_t second)
{
	t_flash_copy(&b->flash, &b->start);
	if (!run_until_cut(b, op, how))
		return false;
	if (second > 0)
		cut_again(b, second);
	t_flash_copy(&b->flash, &b->start);
	if (!run_until_cut(b, op, how))
		return false;
	recover(b);
	b->count->single++;
	return true;
}

static bool bench_init(struct bench *b, const struct t_geometry *g, struct count *count)
{
	*b = (struct bench){ .pair = malloc(sizeof *b->pair), .count = count };
	if (!b->pair)
		abort();
	t_flash_init(&b->start, g, SEED);
	t_flash_init(&b->mid, g, SEED);
	t_flash_init(&b->flash, g, SEED + 1);
	if (t_pair_init(b->pair, &b->start, SEED) != HD_OK || !t_put_in_service(b->pair, &old_package))
		return demand(b, 4, false);
	b->pair->flash = &b->flash;
	b->pair->cfg.flash = &b->flash.port;
	return true;
}

static void bench_done(struct bench *b)
{
	t_flash_done(&b->start);
	t_flash_done(&b->mid);
	t_flash_done(&b->flash);
	free(b->pair);
}

static void campaign(int i, struct count *total)
{
	const struct t_geometry g = geometry(i);
	struct count c = { 0 };
	uint64_t bad = 0;
	struct bench b;

	if (bench_init(&b, &g, &c)) {
		for (enum t_cut how = T_CUT_BEFORE; how < T_CUTS; how++) {
			int draws = how == T_CUT_INSIDE ? INSIDE_DRAWS : 1;
			bool more = true;

			for (uint32_t op = 0; more; op++)
				for (int d = 0; d < draws && more; d++)
					more = cut_first(&b, op, how, d == 0 ? units[i % N_UNITS].second : 0);
		}
	}
	bench_done(&b);
	for (int k = 0; k < INVARIANTS; k++) {
		bad += c.bad[k];
		total->bad[k] += c.bad[k];
	}
	total->single += c.single;
	total->second += c.second;
	printf("powercut: unit %2u sector %5u erased %02x: %6llu cuts, %7llu second cuts, "
	       "%llu violations\n", (unsigned)g.unit, (unsigned)g.sector, g.erased,
	       (unsigned long long)c.single, (unsigned long long)c.second, (unsigned long long)bad);
	fflush(stdout);
}

/* Worker `w`: its share of the geometries, the counts written to `fd`. */
static int work(int w, int fd)
{
	struct count c = { 0 };

	for (int i = 0; i < N_GEOMETRIES; i++)
		if ((i + i / N_UNITS) % WORKERS == w)    /* no unit all to one worker */
			campaign(i, &c);
	return write(fd, &c, sizeof c) == (ssize_t)sizeof c ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Add up what the workers found.  False when one of them died. */
static bool run_workers(struct count *sum)
{
	bool ok = true;
	int fd[2];

	if (pipe(fd) != 0)
		return false;
	for (int w = 0; w < WORKERS; w++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(work(w, fd[1]));
		ok &= pid > 0;
	}
	close(fd[1]);
	for (int w = 0; w < WORKERS; w++) {
		struct count c;

		if (read(fd[0], &c, sizeof c) != (ssize_t)sizeof c)
			return false;
		sum->single += c.single;
		sum->second += c.second;
		for (int k = 0; k < INVARIANTS; k++)
			sum->bad[k] += c.bad[k];
	}
	close(fd[0]);
	for (int status = 0; wait(&status) > 0; )
		ok &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return ok;
}

static bool write_report(const char *path, const struct count *c, uint64_t bad, double seconds)
{
	FILE *f = fopen(path, "we");

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	fprintf(f, "{\"cuts\": %llu, \"violations\": %llu, \"geometries\": %d, \"seconds\": %.1f,\n"
	        " \"first_cuts\": %llu, \"second_cuts\": %llu, \"seed\": %d,\n \"violations_of\": {",
	        (unsigned long long)(c->single + c->second), (unsigned long long)bad, N_GEOMETRIES,
	        seconds, (unsigned long long)c->single, (unsigned long long)c->second, SEED);
	for (int k = 1; k < RULES; k++)
		fprintf(f, "\"I%d\": %llu, ", k, (unsigned long long)c->bad[k]);
	fprintf(f, "\"program_once\": %llu}}\n", (unsigned long long)c->bad[RULES]);
	return fclose(f) == 0;
}

int main(int argc, char **argv)
{
	struct count c = { 0 };
	struct timespec from, to;
	uint64_t bad = 0;
	double seconds;
	bool ok;

	if (argc != 2) {
		fprintf(stderr, "usage: powercut_campaign REPORT\n");
		return EXIT_FAILURE;
	}
	t_package_build(&old_package, &small, 1, 4);
	t_package_build(&new_package, &small, 2, 4);
	clock_gettime(CLOCK_MONOTONIC, &from);
	ok = run_workers(&c);
	clock_gettime(CLOCK_MONOTONIC, &to);
	seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
	for (int k = 0; k < INVARIANTS; k++)
		bad += c.bad[k];
	printf("powercut: %llu cuts, %llu violations, %d geometries, %.1f s, seed %d\n",
	       (unsigned long long)(c.single + c.second), (unsigned long long)bad, N_GEOMETRIES, seconds,
	       SEED);
	ok &= write_report(argv[1], &c, bad, seconds);
	return ok && bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
