/* cycle.h - private to the cycle's files: cycle.c decides, cycle_gate.c promotes, cycle_state.c
 * keeps. */
#ifndef CYCLE_H
#define CYCLE_H

#include "honed.h"

/* Queue the model's state for the database; a full queue is tried again by the next event. */
void cycle_save(struct honed *h, int model);

/* A question for a label, so that it can be answered after a restart. */
void cycle_save_question(struct honed *h, int model, const struct monitor_pick *p, const char *why);
#endif
