/* conf_row.h - macros that write one struct conf_row each; a member of the wrong C type does not
 * compile.  Define ROW_OF as the settings struct before the table, undefine it after.
 *
 *	#define ROW_OF struct my_settings
 *	static const struct conf_row rows[] = {
 *		TEXT("path", path, "/dev/ttyACM0", CONF_REQUIRED, "serial device"),
 *		INT("baud", baud, "115200", 300, 4000000, "", 0, "speed of the line"),
 *		CONF_END
 *	};
 *	#undef ROW_OF */
#ifndef CONF_ROW_H
#define CONF_ROW_H

#include "conf.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): members, types and initialisers take no parentheses. */
#define ROW_MEMBER(m) ((ROW_OF *)0)->m
/* Offset and size of a member whose type (an array counts as its pointer) must be `a` or `b`. */
#define ROW_AT2(a, b, m)                                                                   \
	.off = offsetof(ROW_OF, m) +                                                       \
	       0 * sizeof(char[_Generic(ROW_MEMBER(m), a : 1, b : 1, default : -1)]),      \
	.size = sizeof(ROW_MEMBER(m))
#define ROW_AT(a, m)                                                                       \
	.off = offsetof(ROW_OF, m) +                                                       \
	       0 * sizeof(char[_Generic(ROW_MEMBER(m), a : 1, default : -1)]),             \
	.size = sizeof(ROW_MEMBER(m))
#define ROW_COUNT(m)                                                                       \
	.off_count = offsetof(ROW_OF, m) +                                                 \
	             0 * sizeof(char[_Generic(ROW_MEMBER(m), int : 1, default : -1)])
#define ROW_LENGTH(m) ((int)(sizeof(ROW_MEMBER(m)) / sizeof(ROW_MEMBER(m)[0])))

#define BOOL(k, m, d, f, h)                                                                \
	{ .key = (k), .type = CONF_BOOL, ROW_AT(bool, m), .def = (d), .flags = (f), .help = (h) }
#define INT(k, m, d, lo, hi, u, f, h)                                                      \
	{ .key = (k), .type = CONF_INT, ROW_AT2(int, int64_t, m), .def = (d), .min = (lo), \
	  .max = (hi), .unit = (u), .flags = (f), .help = (h) }
#define REAL(k, m, d, lo, hi, u, f, h)                                                     \
	{ .key = (k), .type = CONF_REAL, ROW_AT(double, m), .def = (d), .min = (lo),       \
	  .max = (hi), .unit = (u), .flags = (f), .help = (h) }
#define TIME(k, m, d, lo, hi, f, h)                                                        \
	{ .key = (k), .type = CONF_TIME, ROW_AT(double, m), .def = (d), .min = (lo),       \
	  .max = (hi), .unit = "s", .flags = (f), .help = (h) }
#define SIZE(k, m, d, lo, hi, f, h)                                                        \
	{ .key = (k), .type = CONF_SIZE, ROW_AT(double, m), .def = (d), .min = (lo),       \
	  .max = (hi), .unit = "bytes", .flags = (f), .help = (h) }
#define TEXT(k, m, d, f, h)                                                                \
	{ .key = (k), .type = CONF_TEXT, ROW_AT(char *, m), .def = (d), .flags = (f), .help = (h) }
#define ENUM(k, m, d, names, f, h)                                                         \
	{ .key = (k), .type = CONF_ENUM, ROW_AT(int, m), .def = (d), .choices = (names),   \
	  .flags = (f), .help = (h) }
#define TEXTS(k, m, count, ex, f, h)                                                       \
	{ .key = (k), .type = CONF_TEXTS, ROW_AT(char(*)[HN_NAME_MAX], m),               \
	  .def = (ex), .flags = (f), .help = (h), ROW_COUNT(count), .max_items = ROW_LENGTH(m) }
#define LIST(k, m, item_struct, count, rows, f, h)                                         \
	{ .key = (k), .type = CONF_LIST, ROW_AT(item_struct *, m), .flags = (f), .help = (h), \
	  .item = (rows), ROW_COUNT(count), .max_items = ROW_LENGTH(m) }
/* NOLINTEND(bugprone-macro-parentheses) */
#endif
