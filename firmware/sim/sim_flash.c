#include "sim_flash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

/* A rule of the part was broken, or the file cannot be written: going on would hide it. */
static void die(const struct sim_flash *f, const char *what, uint32_t at)
{
	(void)sim_fail(0, "flash: %s at 0x%x (erases %u, programs %u, violations %u): %s", what, at,
	               f->nor.erases, f->nor.programs, f->nor.violations,
	               f->nor.violations ? "a bug of the device library" : strerror(errno));
	abort();
}

static void write_back(struct sim_flash *f, uint32_t at, uint32_t n)
{
	uint32_t done = 0;

	while (done < n) {
		ssize_t w = pwrite(f->fd, f->nor.mem + at + done, n - done, at + done);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			die(f, "cannot write the file", at);
		done += (uint32_t)w;
	}
}

static int flash_read(void *ctx, uint32_t at, void *buf, uint32_t n)
{
	struct sim_flash *f = ctx;

	if (!nor_inside(&f->nor, at, n))
		return -1;
	memcpy(buf, f->nor.mem + at, n);
	return 0;
}

/* The process really stands still for erase_us: single-bank parts stall the core while they erase,
 * and that stall is what the scheduling of erases has to be tested against. */
static void stall(uint32_t us)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += us / 1000000;
	t.tv_nsec += (long)(us % 1000000 * 1000);
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		continue;
}

static int flash_erase(void *ctx, uint32_t sector_at)
{
	struct sim_flash *f = ctx;

	if (!nor_erase(&f->nor, sector_at))
		die(f, "bad erase", sector_at);
	write_back(f, sector_at, f->nor.sector);
	stall(f->port.erase_us);
	if (f->stalled)
		f->stalled(f->port.erase_us);
	return 0;
}

static int flash_program(void *ctx, uint32_t at, const void *buf, uint32_t n)
{
	struct sim_flash *f = ctx;

	if (!nor_program(&f->nor, at, buf, n))
		die(f, "bad program", at);
	write_back(f, at, n);
	return 0;
}

static const uint8_t *flash_map(void *ctx, uint32_t at)
{
	const struct sim_flash *f = ctx;

	return f->nor.mem + at;
}

static void flash_barrier(void *ctx)
{
	const struct sim_flash *f = ctx;

	if (f->durable && fdatasync(f->fd) != 0)
		die(f, "cannot sync the file", 0);
}

static int read_all(struct sim_flash *f, const char *path)
{
	uint32_t done = 0;

	while (done < f->nor.size) {
		ssize_t r = pread(f->fd, f->nor.mem + done, f->nor.size - done, done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return sim_fail(EX_IOERR, "--flash %s: cannot read: %s", path,
			                r < 0 ? strerror(errno) : "it shrank");
		done += (uint32_t)r;
	}
	return 0;
}

static int load(struct sim_flash *f, const char *path)
{
	struct stat st;

	f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f->fd < 0 || fstat(f->fd, &st) != 0)
		return sim_fail(EX_CANTCREAT, "--flash %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return sim_fail(EX_DATAERR, "--flash %s: not a regular file", path);
	if (flock(f->fd, LOCK_EX | LOCK_NB) != 0)
		return sim_fail(EX_UNAVAILABLE, "--flash %s: in use by another hone-sim: give each its "
		                "own file", path);
	if (st.st_size == 0) {
		memset(f->nor.mem, f->nor.erased, f->nor.size);
		write_back(f, 0, f->nor.size);
		return 0;
	}
	if (st.st_size != (off_t)f->nor.size)
		return sim_fail(EX_DATAERR, "--flash %s: %lld bytes, but this --geometry needs %u: "
		                "give the geometry it was made with, or remove the file", path,
		                (long long)st.st_size, f->nor.size);
	return read_all(f, path);
}

int sim_flash_open(struct sim_flash *f, const struct sim_options *o)
{
	uint32_t size;

	*f = (struct sim_flash){
		.port = {
			.ctx = f, .read = flash_read, .erase = flash_erase, .program = flash_program,
			.map = flash_map, .barrier = flash_barrier, .sector = o->sector,
			.unit = o->unit, .erase_us = o->erase_us, .erased = 0xff,
			.slot_bytes = o->slot_bytes,
		},
		.fd = -1, .durable = o->durable,
	};
	size = nor_layout(&f->port);
	if (size == 0)
		return sim_fail(EX_USAGE, "--geometry: UNIT a power of two up to 32, SECTOR one from "
		                "128, SLOT_BYTES a multiple of SECTOR");
	f->nor = (struct nor){ .mem = malloc(size), .size = size, .sector = o->sector,
	                       .unit = o->unit, .erased = 0xff };
	if (!f->nor.mem)
		return sim_fail(EX_OSERR, "no memory for %u bytes of flash", size);
	return load(f, o->flash);
}

void sim_flash_done(struct sim_flash *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);     /* every write was checked when it was made */
	f->fd = -1;
	free(f->nor.mem);
	f->nor.mem = NULL;
}
