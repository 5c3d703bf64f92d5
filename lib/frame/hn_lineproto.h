/* hn_lineproto.h - one line of the InfluxDB line protocol, read in place.
 *
 *   measurement[,tag=value...] field=value[,field=value...] [time]
 *
 * Values: 1.5  1e3  nan  12i  12u  t  true  F  "text".  A backslash escapes comma, blank and equals
 * sign in names, quote and backslash in texts.  A text may not hold a newline: lines are cut first.
 * Tags are checked and skipped. */
#ifndef HN_LINEPROTO_H
#define HN_LINEPROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hn_status.h"

struct hn_lineproto {
	char *p, *end;                   /* private: what is not parsed yet                    */
	bool  done;                      /* private                                            */
	const char *measurement;
	/* Valid after the last field. */
	bool    has_time;
	int64_t time;                    /* as written                                         */
};

struct hn_lineproto_field {
	const char *key;
	double value;                    /* NaN for a text                                     */
};

/* Start on line (len,); line[len] must be 0, the line is modified and borrowed.  A line that is
 * empty or a comment: see hn_lineproto_blank.  Errors: HN_EFORMAT. */
hn_status hn_lineproto_begin(struct hn_lineproto *lp, char *line, size_t len);

/* The next field.  HN_ENOENT: there are no more and the rest of the line is right.  HN_EFORMAT: the
 * line is broken, fields given before are to be forgotten. */
hn_status hn_lineproto_next(struct hn_lineproto *lp, struct hn_lineproto_field *f);

/* True when the line holds nothing but blanks or a comment. */
bool hn_lineproto_blank(const char *line, size_t len);
#endif
