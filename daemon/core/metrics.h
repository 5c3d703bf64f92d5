/* metrics.h - counters and gauges for /metrics; one table, any module registers rows in it.
 *
 * Loop thread only, but metric_add may be called from any thread. */
#ifndef METRICS_H
#define METRICS_H

#include <stdio.h>

enum { METRICS_MAX = 1024 };

struct metric;

/* Find or create the series `name{labels}`; `labels` is "" or `stream="vib",reason="full"`.  Names
 * end in _total for counters.  Never NULL: when the table is full a shared overflow series is
 * returned, which is itself exported and counted. */
struct metric *metric_counter(const char *name, const char *labels, const char *help);
struct metric *metric_gauge(const char *name, const char *labels, const char *help);

void metric_add(struct metric *m, double v);
void metric_set(struct metric *m, double v);
double metric_value(const struct metric *m);

/* Prometheus text format, HELP and TYPE once a name. */
void metrics_write(FILE *out);
#endif
