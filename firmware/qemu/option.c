#include "option.h"

#include <string.h>

enum { RATE_MIN = 10, RATE_MAX = 10000 };

struct row {
	const char *name;
	size_t at;                       /* of the member                                     */
	size_t bytes;                    /* of hex digits / 2; 0 = decimal uint32_t           */
};

static const struct row rows[] = {
	{ "uid", offsetof(struct option, uid), HD_UID_LEN },
	{ "key", offsetof(struct option, key), HD_KEY_LEN },
	{ "key_id", offsetof(struct option, key_id), 0 },
	{ "seed", offsetof(struct option, seed), 0 },
	{ "rate", offsetof(struct option, rate_hz), 0 },
	{ "ramp_ms", offsetof(struct option, ramp_ms), 0 },
	{ "deadline_us", offsetof(struct option, deadline_us), 0 },
	{ "trial", offsetof(struct option, trial), 0 },
	{ "nonce", offsetof(struct option, nonce), 0 },
};

struct text { const char *at; size_t left; };

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(struct text t, uint8_t *out, size_t n)
{
	if (t.left != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = digit(t.at[2 * i]), lo = digit(t.at[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static bool read_decimal(struct text t, uint32_t *out)
{
	uint64_t v = 0;

	if (t.left == 0 || t.left > 10)
		return false;
	for (size_t i = 0; i < t.left; i++) {
		if (t.at[i] < '0' || t.at[i] > '9')
			return false;
		v = 10 * v + (uint32_t)(t.at[i] - '0');
	}
	if (v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* The next word of `t`, which shrinks; empty at the end. */
static struct text next_word(struct text *t)
{
	struct text w;

	while (t->left > 0 && (*t->at == ' ' || *t->at == '\n' || *t->at == '\r' || *t->at == '\t')) {
		t->at++;
		t->left--;
	}
	w = (struct text){ t->at, 0 };
	while (t->left > 0 && *t->at > ' ' && *t->at <= '~') {
		w.left++;
		t->at++;
		t->left--;
	}
	return w;
}

static bool take(struct option *o, struct text w)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		size_t n = strlen(r->name);
		uint8_t *member = (uint8_t *)o + r->at;
		struct text value;
		uint32_t v;

		if (w.left <= n || w.at[n] != '=' || memcmp(w.at, r->name, n) != 0)
			continue;
		value = (struct text){ w.at + n + 1, w.left - n - 1 };
		if (r->bytes > 0)
			return read_hex(value, member, r->bytes);
		if (!read_decimal(value, &v))
			return false;
		memcpy(member, &v, sizeof v);
		return true;
	}
	return false;
}

bool option_read(struct option *o, const char *text, size_t max)
{
	struct text t = { text, max };
	bool good = true;

	*o = (struct option){
		.uid = { 0, 0, 0, 0, 0, 0, 0x03, 0x86 }, .seed = 386, .rate_hz = 400,
		.ramp_ms = 3000, .trial = 750,
	};
	for (struct text w = next_word(&t); w.left > 0; w = next_word(&t))
		good = take(o, w) && good;
	if (o->rate_hz < RATE_MIN || o->rate_hz > RATE_MAX || 1000000 % o->rate_hz != 0) {
		o->rate_hz = 400;
		good = false;
	}
	return good;
}
