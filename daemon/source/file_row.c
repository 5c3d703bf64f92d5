/* Lines of a CSV file become frames of one stream. */
#include "src_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"
#include "hn_csv.h"

enum { READ_BYTES = 65536 };

/* Later times are taken for garbage; it keeps sums of times far from overflow. */
static const int64_t event_us_max = INT64_C(253402300800) * 1000000;         /* year 10000 */

/* Read once; HN_EIO with errno. */
static hn_status file_read(struct source *s)
{
	struct file_state *st = s->state;
	size_t room;
	char *to = hn_lines_room(&st->lines, &room);
	ssize_t n;

	do
		n = read(st->fd, to, room < READ_BYTES ? room : READ_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return HN_EIO;
	st->eof = n == 0;
	hn_lines_add(&st->lines, (size_t)n);
	source_bytes(s, (size_t)n);
	source_refuse(s, REFUSED_LONG, st->lines.too_long - st->long_told,
	              "line %llu is longer than 1 MB", (unsigned long long)st->lines.n + 1);
	st->row += st->lines.too_long - st->long_told;
	st->long_told = st->lines.too_long;
	return HN_OK;
}

/* HN_OK: a line.  HN_EBUSY: not yet.  HN_ENOENT: the end.  HN_EIO. */
static hn_status file_line(struct source *s, char **line, size_t *len)
{
	struct file_state *st = s->state;
	hn_status rc;

	if (hn_lines_next(&st->lines, line, len))
		return HN_OK;
	if (st->eof)
		return HN_ENOENT;
	rc = file_read(s);
	if (rc)
		return rc;
	if (hn_lines_next(&st->lines, line, len)
	    || (st->eof && hn_lines_last(&st->lines, line, len)))
		return HN_OK;
	return st->eof ? HN_ENOENT : HN_EBUSY;
}

static hn_status row_time(const struct file_state *st, int64_t *us)
{
	const char *text;
	hn_status rc;

	if (st->time_column == FILE_COLUMNS_MAX) {
		double at = (double)st->row * st->set->period_s;

		if (at > 1e11)
			return HN_ERANGE;
		*us = st->start_us + llround(at * 1e6);
		return HN_OK;
	}
	text = st->field[st->time_column];
	if (st->set->time_unit >= UNIT_S)
		rc = hn_csv_time(text, (enum hn_csv_unit)(st->set->time_unit - UNIT_S), us);
	else
		rc = clock_parse(text, us) == 0 ? HN_OK : HN_EFORMAT;
	if (rc)
		return rc;
	*us += st->shift_us;
	return *us < 0 || *us > event_us_max ? HN_ERANGE : HN_OK;
}

/* One line becomes `frame`, or is refused. */
static void row_take(struct source *s, char *line, size_t len)
{
	struct file_state *st = s->state;
	unsigned long long number = st->lines.n;
	struct hn_frame *f = &st->frame;
	char quoted[40];
	size_t n;

	if (len == 0)
		return;                         /* blank: not a row */
	if (hn_csv_split(line, len, st->field, FILE_COLUMNS_MAX, &n)) {
		source_refuse(s, REFUSED_FORMAT, 1, "line %llu: quotes or a zero byte", number);
	} else if (n != st->n_columns) {
		source_refuse(s, REFUSED_COLUMNS, 1, "line %llu has %zu values, the header %zu",
		              number, n, st->n_columns);
	} else if (row_time(st, &f->event_us)) {
		source_refuse(s, REFUSED_TIME, 1, "line %llu: '%s' is no time", number,
		              st->time_column == FILE_COLUMNS_MAX ? "row" : source_quote(quoted,
		              sizeof quoted, st->field[st->time_column]));
	} else {
		for (uint16_t i = 0; i < f->n; i++)
			hn_frame_set(f, i, &st->stream->channels[i],
			             hn_csv_number(st->field[st->column[i]]));
		st->label = st->label_column == FILE_COLUMNS_MAX ? (double)NAN
		          : hn_csv_number(st->field[st->label_column]) - st->set->label_base;
		st->loaded = true;
	}
	st->row++;
}

static hn_status column_find(const struct source *s, const char *name, const char *header,
                             size_t *out, struct hn_err *err)
{
	const struct file_state *st = s->state;
	size_t found = FILE_COLUMNS_MAX;

	for (size_t i = 0; i < st->n_columns; i++) {
		if (strcmp(st->field[i], name) != 0)
			continue;
		if (found != FILE_COLUMNS_MAX)
			return hn_fail(err, HN_EINVAL, "source %s: %s has two columns '%s'",
			               s->conf->name, st->set->path, name);
		found = i;
	}
	if (found == FILE_COLUMNS_MAX)
		return hn_fail(err, HN_ENOENT, "source %s: %s has no column '%s'; its header is: %s",
		               s->conf->name, st->set->path, name, header);
	*out = found;
	return HN_OK;
}

static hn_status columns_map(struct source *s, const char *header, struct hn_err *err)
{
	struct file_state *st = s->state;
	bool labelled = *st->set->label != '\0' && st->set->labels != LABELS_NONE;
	hn_status rc = HN_OK;

	st->time_column = st->label_column = FILE_COLUMNS_MAX;
	if (*st->set->time != '\0')
		rc = column_find(s, st->set->time, header, &st->time_column, err);
	if (rc == HN_OK && labelled)
		rc = column_find(s, st->set->label, header, &st->label_column, err);
	for (int i = 0; i < st->stream->n_channels && rc == HN_OK; i++)
		rc = column_find(s, st->stream->channels[i].name, header, &st->column[i], err);
	return rc;
}

static hn_status header_read(struct source *s, struct hn_err *err)
{
	struct file_state *st = s->state;
	char shown[120], *line;
	size_t len;
	hn_status rc;

	do
		rc = file_line(s, &line, &len);
	while (rc == HN_EBUSY && st->lines.too_long == 0);
	if (rc)
		return hn_fail(err, rc == HN_EIO ? rc : HN_EFORMAT,
		               "source %s: no line of column names in %s", s->conf->name, st->set->path);
	if (len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
		line += 3;                      /* byte order mark */
		len -= 3;
	}
	(void)source_quote(shown, sizeof shown, line);
	rc = hn_csv_split(line, len, st->field, FILE_COLUMNS_MAX, &st->n_columns);
	if (rc || st->n_columns > FILE_COLUMNS_MAX)
		return hn_fail(err, HN_EFORMAT, "source %s: %s does not begin with column names: %s",
		               s->conf->name, st->set->path, shown);
	return columns_map(s, shown, err);
}

hn_status file_rows_open(struct source *s, struct hn_err *err)
{
	struct file_state *st = s->state;
	struct stat info;
	int fd = open(st->set->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return hn_fail(err, errno == ENOENT ? HN_ENOENT : HN_EIO, "source %s: %s: %s",
		               s->conf->name, st->set->path, strerror(errno));
	st->fd = fd;
	if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
		return hn_fail(err, HN_EIO, "source %s: %s is not a regular file", s->conf->name,
		               st->set->path);
	st->buf = malloc(FILE_LINE_MAX);
	if (!st->buf)
		return hn_fail(err, HN_ENOMEM, "source %s: out of memory", s->conf->name);
	hn_lines_init(&st->lines, st->buf, FILE_LINE_MAX);
	return header_read(s, err);
}

hn_status file_row_next(struct source *s)
{
	struct file_state *st = s->state;
	char *line;
	size_t len;
	hn_status rc = file_line(s, &line, &len);

	if (rc)
		return rc;
	if (st->header_due)
		st->header_due = false;
	else
		row_take(s, line, len);
	return st->loaded ? HN_OK : HN_EBUSY;
}

hn_status file_rows_rewind(struct source *s)
{
	struct file_state *st = s->state;

	if (lseek(st->fd, 0, SEEK_SET) != 0)
		return HN_EIO;
	hn_lines_init(&st->lines, st->buf, FILE_LINE_MAX);
	st->eof = false;
	st->header_due = true;
	st->long_told = 0;
	return HN_OK;
}

void file_rows_close(struct source *s)
{
	struct file_state *st = s->state;

	if (st->fd >= 0)
		(void)close(st->fd);            /* read-only: nothing to lose */
	st->fd = -1;
	free(st->buf);
	st->buf = NULL;
}
