/* The checkpoint as a file.  It is written beside its place, made durable, then renamed: a cut at
 * any moment leaves the old one or the new one.  That it cannot be written costs the checkpoint,
 * never the job. */
#include "trainer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "hd_crc32c.h"

enum { STEPS_A_LOOK = 8, MAGIC = 0x32544e48 };  /* the clock is asked every so many steps      */

struct head { uint32_t magic, n_streams; int64_t job; uint32_t phase, bytes; };

static bool put(void *ctx, const void *bytes, size_t n)
{
	const int *fd = ctx;
	const char *at = bytes;

	while (n > 0) {
		const ssize_t k = write(*fd, at, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

/* The rename is durable once the folder is. */
static bool sync_folder(const char *path)
{
	char folder[CONF_TEXT_MAX + 32];
	char *end;
	bool ok;
	int fd;

	(void)snprintf(folder, sizeof folder, "%s", path);
	end = strrchr(folder, '/');
	if (end)
		*end = '\0';
	fd = open(end ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = fsync(fd) == 0;
	(void)close(fd);                 /* read-only: nothing to lose */
	return ok;
}

static uint32_t piece_bytes(const struct trainer_keep *k)
{
	size_t n = 0;

	for (int i = 0; i < TRAINER_PIECES; i++)
		n += k->piece[i].n;
	return (uint32_t)n;
}

static uint32_t piece_crc(const struct trainer_keep *k)
{
	uint32_t crc = hd_crc32c(0, k->digest, sizeof k->digest);

	for (int i = 0; i < TRAINER_PIECES; i++)
		if (k->piece[i].n)
			crc = hd_crc32c(crc, k->piece[i].p, k->piece[i].n);
	return crc;
}

/* digest, pieces, u32 CRC-32C over both; nothing in the phase without pieces. */
static bool write_pieces(const struct trainer_keep *k, int *fd)
{
	const uint32_t crc = piece_crc(k);
	bool ok;

	if (k->phase == PHASE_FIT)
		return true;
	ok = put(fd, k->digest, sizeof k->digest);
	for (int i = 0; i < TRAINER_PIECES; i++)
		ok = ok && put(fd, k->piece[i].p, k->piece[i].n);
	return ok && put(fd, &crc, sizeof crc);
}

static bool write_file(const struct trainer_keep *k, const struct hn_fit *fit)
{
	const struct head head = { MAGIC, (uint32_t)k->n_streams, k->job, k->phase, piece_bytes(k) };
	char next[CONF_TEXT_MAX + 32];
	int fd;
	bool ok;

	(void)snprintf(next, sizeof next, "%s.new", k->path);
	fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	ok = put(&fd, &head, sizeof head) &&
	     put(&fd, k->until_us, (size_t)k->n_streams * sizeof *k->until_us) &&
	     write_pieces(k, &fd) && hn_checkpoint_write(fit, put, &fd) == HN_OK && fsync(fd) == 0;
	ok = close(fd) == 0 && ok;
	if (ok)
		ok = rename(next, k->path) == 0 && sync_folder(k->path);
	else
		(void)unlink(next);      /* half of one is of no use */
	return ok;
}

void trainer_keep_step(struct trainer_keep *k, const struct hn_fit *fit, uint64_t step)
{
	int64_t now;

	if (!k->path[0] || step % STEPS_A_LOOK != 0)
		return;
	now = clock_mono_us();
	if (now - k->last_us < k->every_us)
		return;
	k->last_us = now;
	if (write_file(k, fit))
		k->written++;
	else
		k->failed++;
}

bool trainer_keep_read(struct trainer_keep *k, void *bytes, size_t n)
{
	char *at = bytes;

	while (n > 0) {
		const ssize_t got = read(k->fd, at, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

void trainer_keep_close(struct trainer_keep *k)
{
	if (k->fd >= 0)
		(void)close(k->fd);      /* read-only: nothing to lose */
	k->fd = -1;
}

bool trainer_keep_match(struct trainer_keep *k, const uint8_t digest[32])
{
	uint8_t in_file[32];

	memcpy(k->digest, digest, sizeof k->digest);
	if (k->fd < 0 || k->found == PHASE_FIT)
		return true;
	if (trainer_keep_read(k, in_file, sizeof in_file) &&
	    memcmp(in_file, digest, sizeof in_file) == 0)
		return true;
	trainer_keep_close(k);
	return false;
}

bool trainer_keep_begin(struct trainer_keep *k, enum trainer_phase phase,
                        const struct trainer_piece piece[TRAINER_PIECES])
{
	uint32_t crc;

	k->phase = phase;
	memcpy(k->piece, piece, sizeof k->piece);
	if (k->fd < 0 || k->found != (uint32_t)phase)
		return false;
	if (phase == PHASE_FIT)
		return true;
	for (int i = 0; i < TRAINER_PIECES; i++)
		if (!trainer_keep_read(k, piece[i].p, piece[i].n))
			goto bad;
	if (trainer_keep_read(k, &crc, sizeof crc) && crc == piece_crc(k))
		return true;
bad:
	trainer_keep_close(k);
	return false;
}

/* A file that begins otherwise is read as no file: the job begins anew. */
void trainer_keep_open(struct trainer_keep *k, const struct trainer_job *job,
                       struct trainer_data *d)
{
	struct head head = { .phase = PHASE_FIT };
	const size_t n = (size_t)job->n_streams * sizeof d->until_us[0];

	*k = (struct trainer_keep){ .path = job->checkpoint, .fd = -1, .last_us = clock_mono_us(),
		.every_us = (int64_t)(job->checkpoint_s * 1e6), .until_us = d->until_us,
		.n_streams = job->n_streams, .job = job->id };
	for (int i = 0; i < job->n_streams; i++)
		d->until_us[i] = INT64_MAX;
	if (job->checkpoint[0])
		k->fd = open(job->checkpoint, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (k->fd < 0)
		return;
	if (!trainer_keep_read(k, &head, sizeof head) || head.magic != MAGIC || head.job != job->id ||
	    head.n_streams != (uint32_t)job->n_streams || head.phase >= PHASES ||
	    !trainer_keep_read(k, d->until_us, n))
		trainer_keep_close(k);
	k->found = head.phase;
}
