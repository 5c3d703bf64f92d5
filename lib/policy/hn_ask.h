/* hn_ask.h - which windows of a running stream are worth a label, decided one prediction at a time.
 *
 * The budget of a period is spent where the champion is unsure: a window is asked for when the
 * margin of its prediction is below a threshold and the last question is some predictions back.
 * Both get stricter with every label used, so that the budget lasts when the length of a period is
 * not known; the first prediction of a period is always asked for.
 * Source: uncertainty sampling on a stream with a variable threshold, after Zliobaite, Bifet,
 * Pfahringer & Holmes 2014, "Active learning with drifting streaming data", IEEE TNNLS 25(1). */
#ifndef HN_ASK_H
#define HN_ASK_H

#include <stdbool.h>
#include <stdint.h>

struct hn_ask_cfg {
	int    budget;           /* labels a period                                             */
	double period_s;         /* periods begin at multiples of this since 1970               */
	double margin;           /* [0..1] threshold for the first question                     */
	double spacing;          /* predictions between two questions, at the least             */
};

struct hn_ask {                          /* plain memory; zero = fresh                          */
	int64_t  period;         /* number of the present period                                */
	int32_t  used;           /* questions in it                                             */
	uint32_t since;          /* predictions since the last question                         */
};

/* A prediction with this margin [0..1] at `now_us` (event time): ask for its label? */
bool hn_ask_step(struct hn_ask *a, const struct hn_ask_cfg *cfg, double margin, int64_t now_us);

/* Start of the present period, us; 0 before the first step. */
int64_t hn_ask_period_start(const struct hn_ask *a, const struct hn_ask_cfg *cfg);
#endif
