#include "hn_status.h"

#include <stdarg.h>
#include <stdio.h>

const char *hn_status_text(hn_status s)
{
#define X(name, value, text) case name: return text;
	switch (s) { HN_STATUS_TABLE(X) }
#undef X
	return "unknown status";
}

hn_status hn_fail(struct hn_err *err, hn_status code, const char *fmt, ...)
{
	va_list ap;

	if (!err || err->code != HN_OK)
		return code;
	err->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof err->text, fmt, ap); /* cut at the end, by intent */
	va_end(ap);
	return code;
}
