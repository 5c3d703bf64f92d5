/* powercut_campaign.c - the long form of check_powercut.c: full and delta packages, every
 * operation, twice.
 *
 * First cut: before, inside (INSIDE_DRAWS draws of the torn bits) and after each flash operation of
 * a whole swap (BEGIN to CONFIRM and the erase after it).  Second cut: the same at each operation
 * of the boot and the swap that follow: all pairs, in all nine ways.  Torn cells are drawn again at
 * each read.  Where a write unit is one or two bytes the network is smaller, or there would be
 * millions of pairs more.
 * After each cut and boot the invariants I1..I6 of check_powercut.c are counted, not asserted.
 * Two processes share the geometries.  Arguments: the report to write; `-q` before it: two small
 * geometries, up to the first violation, to show that a faulty library is found out
 * (scripts/powercut-mutants). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "t_hd_gateway.h"

enum { SEED = 20250117, INSIDE_DRAWS = 3, WORKERS = 2, INVARIANTS = 8, RULES = 7, WIDE_UNIT = 4 };

static const struct t_image_spec small = { 4, 2, { { HD_OP_DENSE, 4 }, { HD_OP_DENSE, 3 } } };
static const struct t_image_spec least = { 1, 1, { { HD_OP_DENSE, 1 } } };

/* Version 1, in service at the start, and the next ones in full and as deltas; in two sizes. */
enum { CHAIN = 3 };
static struct set { struct t_package full[CHAIN], delta[CHAIN]; } sets[2];

static const struct t_geometry geometries[] = {
	{ 8, 128, 512, 0xff }, { 32, 128, 512, 0xff }, { 4, 256, 512, 0xff }, { 16, 128, 512, 0x00 },
	{ 1, 128, 512, 0xff }, { 1, 1024, 1024, 0x00 },
	{ 2, 256, 512, 0x00 }, { 2, 4096, 4096, 0xff },
	{ 4, 128, 512, 0x00 }, { 4, 1024, 1024, 0xff }, { 4, 16384, 16384, 0xff },
	{ 8, 256, 512, 0x00 }, { 8, 2048, 2048, 0xff }, { 8, 4096, 4096, 0x00 },
	{ 16, 512, 512, 0xff }, { 16, 4096, 4096, 0x00 },
	{ 32, 512, 512, 0x00 }, { 32, 1024, 1024, 0x00 }, { 32, 16384, 16384, 0xff }
};
enum { N_GEOMETRIES = sizeof geometries / sizeof *geometries, N_QUICK = 2 };

struct count {
	bool quick, failed;              /* quick: no further than the first violation */
	uint64_t single, second, bad[INVARIANTS];        /* bad[i]: Ii; bad[RULES]: programmed twice */
};

struct bench {
	struct t_flash start, mid, flash;        /* start: version 1 confirmed; mid: after the first cut */
	const struct t_package *chain;   /* (n,) versions 1..n                                 */
	uint32_t n, promised;            /* promised: highest floor that the device has told   */
	struct t_pair *pair;
	struct count *count;
};

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
	b->count->failed |= !ok;
	return ok;
}

static bool sound(struct bench *b)
{
	struct t_pair *p = b->pair;
	const struct hd_slots *s = &p->dev.slots;
	uint32_t k = 0;
	bool ok;

	if (!demand(b, 3, s->active <= 1))
		return false;
	while (k < b->n && !holds(p, s->active, &b->chain[k]))
		k++;
	if (!demand(b, 1, k < b->n)
	    || !demand(b, 2, s->floor >= b->promised && s->floor <= b->n && k + 1 >= s->floor))
		return false;
	ok = demand(b, 6, t_serves(p, &b->chain[k]));
	return ok & demand(b, 5, holds(p, 0, &b->chain[s->floor - 1])
	                         || holds(p, 1, &b->chain[s->floor - 1]));
}

static bool swap_one(struct bench *b, const struct t_package *k)
{
	if (!demand(b, 4, t_install(b->pair, k)) || !demand(b, 6, t_serves(b->pair, k))
	    || !demand(b, 4, t_confirm(b->pair, k->head.version)))
		return false;
	b->promised = k->head.version;
	t_pair_settle(b->pair);          /* the erase ahead of time */
	return true;
}

/* All swaps that are left, from whatever state the flash is in. */
static bool swap(struct bench *b)
{
	for (uint32_t k = 1; k < b->n; k++)
		if (b->pair->dev.slots.floor <= k && !swap_one(b, &b->chain[k]))
			return false;
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
		demand(b, 2, b->pair->dev.slots.floor == b->n);
	demand(b, RULES, b->flash.broken_rules == 0);
}

/* A second cut at each operation after the first, all ways. */
static void cut_again(struct bench *b)
{
	uint32_t promised = b->promised;

	t_flash_copy(&b->mid, &b->flash);
	for (enum t_cut how = T_CUT_BEFORE; how < T_CUTS; how++) {
		for (uint32_t op = 0; ; op++) {
			t_flash_copy(&b->flash, &b->mid);
			b->promised = promised;
			if (!run_until_cut(b, op, how))
				break;
			recover(b);
			b->count->second++;
			if (b->count->quick && b->count->failed)
				return;
		}
	}
}

static bool cut_first(struct bench *b, uint32_t op, enum t_cut how, bool second)
{
	t_flash_copy(&b->flash, &b->start);
	b->promised = 1;
	if (!run_until_cut(b, op, how))
		return false;
	if (second)
		cut_again(b);
	t_flash_copy(&b->flash, &b->start);
	b->promised = 1;
	if (!run_until_cut(b, op, how))
		return false;
	recover(b);
	b->count->single++;
	return true;
}

static bool bench_init(struct bench *b, const struct t_geometry *g, bool delta, struct count *count)
{
	const struct set *s = &sets[g->unit < WIDE_UNIT];

	/* Pages of four records: a second swap goes over the end of one. */
	*b = (struct bench){ .pair = malloc(sizeof *b->pair), .count = count,
	                     .chain = delta ? s->delta : s->full, .n = g->sector == 4 * g->unit ? 3 : 2 };
	if (!b->pair)
		abort();
	t_flash_init(&b->start, g, SEED);
	t_flash_init(&b->mid, g, SEED);
	t_flash_init(&b->flash, g, SEED + 1);
	if (t_pair_init(b->pair, &b->start, SEED) != HD_OK || !t_put_in_service(b->pair, &b->chain[0]))
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

static void campaign(int i, bool delta, struct count *total)
{
	const struct t_geometry *g = &geometries[i];
	struct count c = { .quick = total->quick };
	uint64_t bad = 0;
	struct bench b;

	if (bench_init(&b, g, delta, &c)) {
		for (enum t_cut how = T_CUT_BEFORE; how < T_CUTS; how++) {
			int draws = how == T_CUT_INSIDE ? INSIDE_DRAWS : 1;
			bool more = true;

			for (uint32_t op = 0; more; op++)
				for (int d = 0; d < draws && more; d++)
					more = cut_first(&b, op, how, d == 0) && !(c.quick && c.failed);
		}
	}
	bench_done(&b);
	for (int k = 0; k < INVARIANTS; k++) {
		bad += c.bad[k];
		total->bad[k] += c.bad[k];
	}
	total->single += c.single;
	total->second += c.second;
	printf("powercut: unit %2u sector %5u erased %02x %s: %6llu cuts, %7llu second cuts, "
	       "%llu violations\n", (unsigned)g->unit, (unsigned)g->sector, g->erased,
	       delta ? "delta" : "full ", (unsigned long long)c.single, (unsigned long long)c.second,
	       (unsigned long long)bad);
	fflush(stdout);
}

/* Worker `w`: its share of the work, the counts written to `fd`. */
static int work(int w, int n, int fd)
{
	struct count c = { .quick = n < N_GEOMETRIES };

	for (int i = 0; i < 2 * n; i++)
		if (i % WORKERS == (w + i / 2) % WORKERS)    /* a full and a delta of each size to each */
			campaign(i / 2, i % 2 != 0, &c);
	return write(fd, &c, sizeof c) == (ssize_t)sizeof c ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Add up what the workers found.  False when one of them died. */
static bool run_workers(int n, struct count *sum)
{
	bool ok = true;
	int fd[2];

	if (pipe(fd) != 0)
		return false;
	for (int w = 0; w < WORKERS; w++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(work(w, n, fd[1]));
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

static bool write_report(const char *path, const struct count *c, uint64_t bad, double seconds,
                         int n)
{
	FILE *f = fopen(path, "we");

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	fprintf(f, "{\"cuts\": %llu, \"violations\": %llu, \"geometries\": %d, \"seconds\": %.1f,\n"
	        " \"first_cuts\": %llu, \"second_cuts\": %llu, \"seed\": %d,\n \"violations_of\": {",
	        (unsigned long long)(c->single + c->second), (unsigned long long)bad, n,
	        seconds, (unsigned long long)c->single, (unsigned long long)c->second, SEED);
	for (int k = 1; k < RULES; k++)
		fprintf(f, "\"I%d\": %llu, ", k, (unsigned long long)c->bad[k]);
	fprintf(f, "\"program_once\": %llu}}\n", (unsigned long long)c->bad[RULES]);
	return fclose(f) == 0;
}

static void build_set(struct set *s, const struct t_image_spec *spec, uint16_t n_vectors)
{
	t_package_build(&s->full[0], spec, 1, n_vectors);
	s->delta[0] = s->full[0];
	for (uint32_t k = 1; k < CHAIN; k++) {
		t_package_nudge(&s->full[k], &s->full[k - 1], k + 1, n_vectors > 1 ? 2 : 1, SEED + k);
		s->delta[k] = s->full[k];
		t_package_delta(&s->delta[k], &s->full[k - 1]);
	}
}

int main(int argc, char **argv)
{
	bool quick = argc == 3 && strcmp(argv[1], "-q") == 0;
	int n = quick ? N_QUICK : N_GEOMETRIES;
	struct count c = { 0 };
	struct timespec from, to;
	uint64_t bad = 0;
	double seconds;
	bool ok;

	if (argc != 2 && !quick) {
		fprintf(stderr, "usage: powercut_campaign [-q] REPORT\n");
		return EXIT_FAILURE;
	}
	build_set(&sets[0], &small, 4);
	build_set(&sets[1], &least, 1);
	clock_gettime(CLOCK_MONOTONIC, &from);
	ok = run_workers(n, &c);
	clock_gettime(CLOCK_MONOTONIC, &to);
	seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
	for (int k = 0; k < INVARIANTS; k++)
		bad += c.bad[k];
	printf("powercut: %llu cuts, %llu violations, %d geometries, %.1f s, seed %d\n",
	       (unsigned long long)(c.single + c.second), (unsigned long long)bad, n, seconds, SEED);
	ok &= write_report(argv[argc - 1], &c, bad, seconds, n);
	return ok && bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
