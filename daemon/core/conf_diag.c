#include "conf_diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Of a longer source line a part around the error is shown. */
enum { SHOW_MAX = 120, SHOW_BEFORE = 60 };

void conf_diag_add(struct conf_diag *d, const struct conf_place *at, const char *hint,
                   const char *fmt, ...)
{
	struct conf_error *e;
	va_list ap;

	if (d->n_errors >= CONF_ERRORS_MAX) {
		d->n_errors++;
		return;
	}
	e = &d->error[d->n_errors];
	e->at = *at;
	e->order = d->n_errors++;
	va_start(ap, fmt);
	(void)vsnprintf(e->what, sizeof e->what, fmt, ap);
	va_end(ap);
	(void)snprintf(e->hint, sizeof e->hint, "%s", hint);
}

void conf_diag_secret(struct conf_diag *d, const struct conf_place *at)
{
	if (d->n_secrets < CONF_SECRETS_MAX)
		d->secret[d->n_secrets++] = *at;
}

static int by_place(const void *a, const void *b)
{
	const struct conf_error *x = a, *y = b;

	if (x->at.line != y->at.line)
		return x->at.line < y->at.line ? -1 : 1;
	if (x->at.col != y->at.col)
		return x->at.col < y->at.col ? -1 : 1;
	return x->order - y->order;
}

/* Bytes of the line break at `s`, 0 = none; YAML 1.1 knows five. */
static size_t line_break(const unsigned char *s, size_t n)
{
	if (s[0] == '\r' && n > 1 && s[1] == '\n')
		return 2;
	if (s[0] == '\r' || s[0] == '\n')
		return 1;
	if (n > 1 && s[0] == 0xc2 && s[1] == 0x85)
		return 2;
	if (n > 2 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9))
		return 3;
	return 0;
}

static size_t line_length(const unsigned char *s, size_t n)
{
	size_t i = 0;

	while (i < n && !line_break(s + i, n - i))
		i++;
	return i;
}

/* First byte of line `line`, or the end. */
static size_t line_start(const unsigned char *s, size_t n, uint32_t line)
{
	size_t at = 0;

	for (; line && at < n; line--) {
		at += line_length(s + at, n - at);
		if (at < n)
			at += line_break(s + at, n - at);
	}
	return at;
}

/* True when a secret covers column `col` of line `line`. */
static bool is_secret(const struct conf_diag *d, uint32_t line, uint32_t col)
{
	for (int i = 0; i < d->n_secrets; i++) {
		const struct conf_place *s = &d->secret[i];

		if (line < s->line || line > s->last || (line == s->line && col < s->col))
			continue;
		if (s->line != s->last || col < s->col + s->len)
			return true;
	}
	return false;
}

static void put_char(const struct conf_diag *d, const struct conf_error *e, uint32_t col,
                     unsigned char c, FILE *out)
{
	if (is_secret(d, e->at.line, col))
		(void)fputc('*', out);
	else if (c == 0x7f || (c < 0x20 && c != '\t'))
		(void)fputc('?', out);
	else
		(void)fputc(c, out);
}

/* The source line, numbered, then carets under the place.  Columns are characters: bytes that
 * continue a UTF-8 sequence do not count. */
static void show_line(const struct conf_diag *d, const struct conf_error *e, FILE *out)
{
	const unsigned char *all = (const unsigned char *)d->text;
	const size_t start = line_start(all, d->len, e->at.line);
	const unsigned char *s = all + start;
	const size_t n = line_length(s, d->len - start);
	const uint32_t from = e->at.col > SHOW_MAX - 20 ? e->at.col - SHOW_BEFORE : 0;
	uint32_t col = 0, carets = e->at.len ? e->at.len : 1;

	(void)fprintf(out, "%5lu | ", (unsigned long)e->at.line + 1);
	for (size_t i = 0; i < n && col < from + SHOW_MAX; i++) {
		if (col >= from)
			put_char(d, e, col, s[i], out);
		if (i + 1 == n || (s[i + 1] & 0xc0) != 0x80)
			col++;
	}
	(void)fputs("\n      | ", out);
	col = 0;
	for (size_t i = 0; i < n && col < e->at.col; i++)
		if ((s[i] & 0xc0) != 0x80 && col++ >= from)
			(void)fputc(s[i] == '\t' ? '\t' : ' ', out);
	(void)fputc('^', out);
	if (carets > from + SHOW_MAX - e->at.col)
		carets = from + SHOW_MAX - e->at.col;
	while (--carets)
		(void)fputc('~', out);
}

static void put_text(const char *s, FILE *out)
{
	for (; *s; s++)
		(void)fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, out);
}

void conf_diag_print(struct conf_diag *d, FILE *out)
{
	const int n = d->n_errors < CONF_ERRORS_MAX ? d->n_errors : CONF_ERRORS_MAX;

	qsort(d->error, (size_t)n, sizeof d->error[0], by_place);
	for (int i = 0; i < n; i++) {
		const struct conf_error *e = &d->error[i];

		(void)fprintf(out, "%s:%lu:%lu: error: ", d->file, (unsigned long)e->at.line + 1,
		              (unsigned long)e->at.col + 1);
		put_text(e->what, out);
		(void)fputc('\n', out);
		show_line(d, e, out);
		if (e->hint[0])
			(void)fputc(' ', out);
		put_text(e->hint, out);
		(void)fputc('\n', out);
	}
	(void)fprintf(out, "%d error%s in %s", d->n_errors, d->n_errors == 1 ? "" : "s", d->file);
	if (d->n_errors > n)
		(void)fprintf(out, " (%d are shown)", n);
	(void)fputc('\n', out);
}

/* --- did you mean ----------------------------------------------------------------------------- */

enum { WORD_MAX = 48 };          /* longer words are never near */

static size_t min3(size_t a, size_t b, size_t c)
{
	const size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Optimal string alignment distance: one row for each of the last two letters of `a`.
 * Source: Damerau 1964, "A technique for computer detection and correction of spelling errors". */
static size_t distance(const char *a, const char *b)
{
	const size_t la = strlen(a), lb = strlen(b);
	size_t row[3][WORD_MAX + 1], *t;
	size_t *two = row[0], *one = row[1], *now = row[2];

	for (size_t j = 0; j <= lb; j++)
		one[j] = j;
	for (size_t i = 1; i <= la; i++) {
		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			now[j] = min3(one[j] + 1, now[j - 1] + 1, one[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = min3(now[j], two[j - 2] + 1, now[j]);
		}
		t = two;
		two = one;
		one = now;
		now = t;
	}
	return one[lb];
}

void conf_near_init(struct conf_near *n, const char *word)
{
	const size_t len = strlen(word), most = len < 2 ? 0 : len < 6 ? 1 : len / 3;

	*n = (struct conf_near){ .word = word, .distance = most + 1 };
}

void conf_near_try(struct conf_near *n, const char *candidate)
{
	size_t d;

	if (strlen(n->word) > WORD_MAX || strlen(candidate) > WORD_MAX || !candidate[0])
		return;
	d = distance(n->word, candidate);
	if (d < n->distance) {
		n->distance = d;
		n->best = candidate;
	}
}
