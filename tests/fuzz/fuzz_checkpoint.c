/* A checkpoint from anywhere: refused with a sentence or gone on from, never more.  The first byte
 * says how the rest is used: as the whole file, or over a real one with a CRC that fits. */
#include <stdlib.h>
#include <string.h>

#include "hd_crc32c.h"
#include "hn_train.h"

enum { SAMPLES = 24, CAP = 1 << 16 };

static struct hn_net net;
static struct hn_train_cfg cfg;
static struct hn_data data;
static float x[2 * SAMPLES];
static int32_t label[SAMPLES];

struct file { uint8_t bytes[CAP]; size_t len, at; int steps; };

static bool put(void *ctx, const void *bytes, size_t n)
{
	struct file *f = ctx;

	if (f->len + n > CAP)
		return false;
	memcpy(f->bytes + f->len, bytes, n);
	f->len += n;
	return true;
}

static bool get(void *ctx, void *bytes, size_t n)
{
	struct file *f = ctx;

	if (n > f->len - f->at)
		return false;
	memcpy(bytes, f->bytes + f->at, n);
	f->at += n;
	return true;
}

static bool after(void *ctx, const struct hn_fit *fit, uint64_t step)
{
	struct file *f = ctx;

	(void)step;
	if (f->len == 0)
		(void)hn_checkpoint_write(fit, put, f);
	return ++f->steps < 4;
}

static void run(struct file *f, hn_get resume)
{
	static _Alignas(HN_ARENA_ALIGN) unsigned char memory[1 << 18];
	struct hn_train_result res;
	struct hn_arena a;

	hn_arena_init(&a, memory, sizeof memory);
	f->steps = 0;
	f->at = 0;
	(void)hn_train_run(&(struct hn_train_job){ .cfg = &cfg, .data = &data, .arena = &a, .ctx = f,
	                   .after_step = after, .resume = resume }, &res, NULL);
}

static void once(struct file *real)
{
	const struct hn_net_io io = { HN_CLASSIFY, 1, 2, 2 };

	for (int i = 0; i < 2 * SAMPLES; i++)
		x[i] = (float)(i * 7 % 11) - 5;
	for (int i = 0; i < SAMPLES; i++)
		label[i] = i & 1;
	if (hn_net_parse(&net, "dense 6, relu, dense 2", &io, NULL) != HN_OK)
		abort();
	hn_train_defaults(&cfg, &net);
	cfg.batch = 8;
	cfg.ema = 0.5f;
	cfg.schedule = HN_PLATEAU;
	data.train = (struct hn_set){ .n = SAMPLES, .x = x, .label = label };
	run(real, NULL);
	if (real->len == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct file real, f;

	if (real.len == 0)
		once(&real);
	if (n < 3)
		return 0;
	if (p[0] & 1) {
		f.len = n - 1 < CAP ? n - 1 : CAP;
		memcpy(f.bytes, p + 1, f.len);
	} else {
		const size_t room = real.len - 52, at = 48 + (size_t)(p[1] | p[2] << 8) % room;

		f = real;
		for (size_t i = 3; i < n && at + i - 3 < real.len - 4; i++)
			f.bytes[at + i - 3] ^= p[i];
		hd_put32(f.bytes + f.len - 4, hd_crc32c(0, f.bytes, f.len - 4));
	}
	run(&f, get);
	return 0;
}
