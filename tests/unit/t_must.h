/* t_must.h - an assertion for hot loops: Check marks each call in a pipe, passed
 * or not; this one costs a comparison. */
#ifndef T_MUST_H
#define T_MUST_H

#include <check.h>

#define T_MUST(holds, ...)                                                                 \
	do {                                                                               \
		if (!(holds))                                                              \
			ck_abort_msg(__VA_ARGS__);                                         \
	} while (0)
#endif
