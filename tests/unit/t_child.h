/* t_child.h - what check_proc does when it is started as its own child. */
#ifndef T_CHILD_H
#define T_CHILD_H

#include <stdint.h>

/* Body of the message of the child "limits". */
struct t_child_limits { uint64_t memory_max; int32_t nice, policy, has_notify, ppid_dies; };

enum { T_CHILD_FLOOD = 3000, T_CHILD_FLOOD_BYTES = 8192, T_CHILD_LARGE = 5000000 };

/* Play the part; returns the exit status. */
int t_child_main(const char *part);
#endif
