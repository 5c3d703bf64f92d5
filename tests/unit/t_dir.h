/* t_dir.h - a directory of its own for a test, and a turn of the loop until something is true. */
#ifndef T_DIR_H
#define T_DIR_H

#include <stdbool.h>
#include <uv.h>

enum { T_PATH_MAX = 512 };

struct t_dir { char path[T_PATH_MAX], db[T_PATH_MAX]; };         /* db: <path>/test.db */

void t_dir_make(struct t_dir *d);
void t_dir_remove(struct t_dir *d);      /* with the files in it */

/* <path>/<name> into out. */
void t_dir_file(const struct t_dir *d, const char *name, char out[T_PATH_MAX]);

/* Number of files in it whose name contains `part`. */
int t_dir_count(const struct t_dir *d, const char *part);

/* Turn the loop until *done or `seconds` of real time are over; returns *done. */
bool t_loop_until(uv_loop_t *loop, const bool *done, double seconds);

/* Close a loop that owns no more active handle. */
void t_loop_end(uv_loop_t *loop);
#endif
