/* src_line.h - private to the line source: its state, its connections, its lines. */
#ifndef SRC_LINE_H
#define SRC_LINE_H

#include "hn_lines.h"
#include "source_drv.h"
#include "src_addr.h"

enum { LINE_CONNECTIONS_MAX = 64, LINE_BYTES_MAX = 65536, LINE_READ_BYTES = 16384 };

struct line_settings {
	char listen[CONF_TEXT_MAX];
	int precision;                   /* enum hn_csv_unit                                   */
	double idle_s;
};

union line_handle {
	uv_handle_t any;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
	uv_udp_t udp;
};

struct line_conn {                       /* heap; freed when its handle is closed              */
	union line_handle h;             /* data = this                                        */
	struct source *s;
	struct line_conn *prev, *next;
	struct hn_lines lines;
	uint64_t long_told, active_ms;   /* loop time of the last byte                         */
	char buf[LINE_BYTES_MAX + 2];
};

struct line_state {
	const struct line_settings *set;
	struct addr addr;
	union line_handle server;        /* data = source                                      */
	bool server_open;                /* from its init to its close callback                */
	uv_timer_t retry, sweep, drain;
	struct line_conn *conns;
	int n_conns;
	uint64_t unknown_fields;
	struct metric *m_unknown;
	struct hn_frame frame;           /* being decoded, or waiting for room                 */
	bool pending;                    /* it waits for room                                  */
	char datagram[LINE_BYTES_MAX];
};

/* One line of text (len,), text[len] = 0: to a frame and on, or counted as refused.  False: the
 * store is full, the frame waits in line_state.frame. */
bool line_take(struct source *s, char *text, size_t len);

/* Offer the waiting frame again, if any; true when none waits any more. */
bool line_retry(struct source *s);

/* Connections. */
void line_accept(struct source *s);
void line_conns_read(struct source *s, bool reading);    /* start or stop all                */
void line_conns_drain(struct source *s);         /* lines that were held back                  */
void line_conns_sweep(struct source *s);         /* close the silent ones                      */
void line_conns_close(struct source *s);
#endif
