/* hn_task.h - what the output of a net means, one row a task. */
#ifndef HN_TASK_H
#define HN_TASK_H

#include <stdbool.h>
#include "hn_loss.h"
#include "hn_net.h"

enum { HN_TASKS = 4 };

struct hn_task_type {
	const char *name;
	bool trains;             /* the whole loop knows it; else a configuration is refused       */
	bool labels;             /* truth comes as labels; else it is in the frames themselves     */
	bool classes;            /* as many outputs as classes                                     */
	const struct hn_loss_type *loss;         /* unless told otherwise                         */
	const char *const *answers;      /* NULL-terminated names of what a window can be when the
	                                  * configuration gives none; NULL: it has to           */
	const char *measure;     /* what the gate compares, larger is better                       */
	const char *news;        /* what makes a job due: "8 new ..."                              */
	const char *served;      /* what counts in service: "95 % of 20 ..."                       */
};

/* By enum hn_task. */
extern const struct hn_task_type hn_tasks[HN_TASKS];

/* Outputs that a net of this task must have, 0 = its shape decides (hn_net_io.out_n). */
uint16_t hn_task_outputs(enum hn_task task, int classes);
#endif
