#include "hn_lineproto.h"

#include <math.h>
#include <string.h>
#include "hn_number.h"

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* Read a name up to one of `stops` that is not escaped, undo its escapes, close it with a 0.
 * Returns the stop, 0 at the end of the line; lp->p is then behind the stop. */
static char name(struct hn_lineproto *lp, const char *stops, const char **out)
{
	char *w = lp->p, stop = '\0';

	*out = w;
	while (lp->p < lp->end) {
		char c = *lp->p++;

		if (is_one_of(c, stops)) {
			stop = c;
			break;
		}
		if (c == '\\' && lp->p < lp->end && is_one_of(*lp->p, ",= "))
			c = *lp->p++;
		*w++ = c;
	}
	*w = '\0';
	return stop;
}

static void skip_blanks(struct hn_lineproto *lp)
{
	while (lp->p < lp->end && *lp->p == ' ')
		lp->p++;
}

/* Behind the comma after the measurement; afterwards behind the blank that ends the tags. */
static hn_status skip_tags(struct hn_lineproto *lp)
{
	const char *key, *value;
	char stop;

	do {
		stop = name(lp, ",= ", &key);
		if (stop != '=' || *key == '\0')
			return HN_EFORMAT;
		stop = name(lp, ",= ", &value);
		if (*value == '\0')
			return HN_EFORMAT;
	} while (stop == ',');
	return stop == ' ' ? HN_OK : HN_EFORMAT;
}

bool hn_lineproto_blank(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && (line[i] == ' ' || line[i] == '\t'))
		i++;
	return i == len || line[i] == '#';
}

hn_status hn_lineproto_begin(struct hn_lineproto *lp, char *line, size_t len)
{
	hn_status rc = HN_OK;
	char stop;

	*lp = (struct hn_lineproto){ .p = line, .end = line + len };
	if (memchr(line, '\0', len))
		return HN_EFORMAT;
	skip_blanks(lp);
	stop = name(lp, ", ", &lp->measurement);
	if (*lp->measurement == '\0' || stop == '\0')
		return HN_EFORMAT;
	if (stop == ',')
		rc = skip_tags(lp);
	skip_blanks(lp);
	return rc;
}

/* Behind the opening quote; afterwards behind the closing one. */
static hn_status skip_text(struct hn_lineproto *lp)
{
	while (lp->p < lp->end) {
		char c = *lp->p++;

		if (c == '"')
			return HN_OK;
		if (c == '\\' && lp->p < lp->end)
			lp->p++;
	}
	return HN_EFORMAT;
}

static bool truth(const char *text, double *v)
{
	static const char *const words[2][5] = {
		{ "f", "F", "false", "False", "FALSE" }, { "t", "T", "true", "True", "TRUE" },
	};

	for (size_t i = 0; i < 10; i++)
		if (strcmp(text, words[i / 5][i % 5]) == 0) {
			*v = i / 5 ? 1.0 : 0.0;
			return true;
		}
	return false;
}

/* text (len,), text[len] = 0. */
static bool scalar(char *text, size_t len, double *v)
{
	bool integer = len > 1 && (text[len - 1] == 'i' || text[len - 1] == 'u');

	if (!integer)
		return truth(text, v) || hn_number(text, len, v);
	if (text[len - 1] == 'u' && text[0] == '-')
		return false;
	text[--len] = '\0';
	return strspn(text + (text[0] == '-'), "0123456789") == len - (text[0] == '-')
	    && hn_number(text, len, v);
}

/* Afterwards lp->p is behind the comma or blank that ends the value: *stop, 0 at the end. */
static hn_status value(struct hn_lineproto *lp, double *v, char *stop)
{
	char *text = lp->p;
	hn_status rc;

	if (lp->p < lp->end && *lp->p == '"') {
		lp->p++;
		rc = skip_text(lp);
		if (rc || (lp->p < lp->end && !is_one_of(*lp->p, ", ")))
			return HN_EFORMAT;
		*v = (double)NAN;
	} else {
		while (lp->p < lp->end && !is_one_of(*lp->p, ", "))
			lp->p++;
	}
	*stop = *lp->p;
	*lp->p = '\0';
	if (*text != '"' && !scalar(text, (size_t)(lp->p - text), v))
		return HN_EFORMAT;
	if (*stop != '\0')
		lp->p++;
	return HN_OK;
}

/* What follows the fields: nothing, or a time. */
static hn_status trailer(struct hn_lineproto *lp)
{
	skip_blanks(lp);
	while (lp->end > lp->p && is_one_of(lp->end[-1], " \t"))
		lp->end--;
	*lp->end = '\0';
	lp->done = true;
	if (lp->p == lp->end)
		return HN_OK;
	lp->has_time = hn_number_int(lp->p, (size_t)(lp->end - lp->p), &lp->time);
	return lp->has_time ? HN_OK : HN_EFORMAT;
}

hn_status hn_lineproto_next(struct hn_lineproto *lp, struct hn_lineproto_field *f)
{
	struct hn_lineproto_field got = { .value = (double)NAN };
	hn_status rc;
	char stop;

	if (lp->done)
		return HN_ENOENT;
	stop = name(lp, ",= ", &got.key);
	if (stop != '=' || *got.key == '\0')
		return HN_EFORMAT;
	rc = value(lp, &got.value, &stop);
	if (rc == HN_OK && stop != ',')
		rc = trailer(lp);
	if (rc == HN_OK)
		*f = got;
	return rc;
}
