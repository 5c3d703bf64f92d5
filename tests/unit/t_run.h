/* t_run.h - the way a Check program ends: its suite runs, CK_VERBOSITY says how much is printed. */
#ifndef T_RUN_H
#define T_RUN_H

#include <check.h>

/* Run the suite `s`, which is freed.  The exit status of the program: 0 when every test passed. */
int t_run(Suite *s);
#endif
