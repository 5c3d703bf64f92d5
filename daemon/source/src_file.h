/* src_file.h - private to the file source: its state, and the rows of a CSV file. */
#ifndef SRC_FILE_H
#define SRC_FILE_H

#include "hn_lines.h"
#include "label_ring.h"
#include "source_drv.h"

enum { FILE_COLUMNS_MAX = 1024, FILE_NAME_MAX = 64, FILE_LINE_MAX = (1 << 20) + 2 };

enum { PACE_FAST, PACE_REALTIME };
enum { LABELS_NONE, LABELS_ALL, LABELS_ASK };
enum { UNIT_AUTO, UNIT_RFC3339, UNIT_S, UNIT_MS, UNIT_US, UNIT_NS };

struct file_settings {
	char path[CONF_TEXT_MAX], stream[HN_NAME_MAX];
	char time[FILE_NAME_MAX], start[FILE_NAME_MAX], label[FILE_NAME_MAX];
	int time_unit, pace, labels;
	double period_s, speed, label_base, label_delay_s;
	bool loop;
};

struct file_state {
	const struct file_settings *set;
	const struct conf_stream *stream;
	int fd;                          /* -1 = closed                                        */
	char *buf;                       /* (FILE_LINE_MAX,)                                  */
	struct hn_lines lines;
	uint64_t long_told;
	bool eof, header_due;            /* header_due: the next line is the header again      */
	size_t n_columns;
	size_t column[HN_CHANNELS_MAX];  /* of each channel                                    */
	size_t time_column, label_column;        /* FILE_COLUMNS_MAX = none                    */
	char *field[FILE_COLUMNS_MAX];
	uv_idle_t idle;
	uv_timer_t timer;
	struct hn_frame frame;
	double label;                    /* of `frame`; NaN = none                             */
	bool loaded;                     /* `frame` waits to be given                          */
	uint64_t row;                    /* rows of this and earlier passes, bad ones too      */
	uint64_t given;                  /* frames since the pass began                        */
	int64_t start_us, shift_us;      /* shift: added to the time column by passes          */
	int64_t min_us, max_us, last_us, step_us;/* event times of this pass, last difference  */
	int64_t anchor_event_us, anchor_mono_us; /* realtime: this event is due at this time   */
	bool anchored;
	struct label_ring ring;
};

/* Open the file, read its header, find the columns.  Errors with text. */
hn_status file_rows_open(struct source *s, struct hn_err *err);
void file_rows_close(struct source *s);          /* accepts half-open                          */

/* One step towards the next row: one read and one line at most.  HN_OK: it is in `frame` and
 * `label`, `loaded` is set.  HN_EBUSY: call again.  HN_ENOENT: the end.  HN_EIO with errno. */
hn_status file_row_next(struct source *s);

/* Back to the first row.  HN_EIO with errno. */
hn_status file_rows_rewind(struct source *s);
#endif
