/* hn_drift.h - drift detectors behind one interface.
 *
 * A detector is a pure state machine: (state, x) -> score.  The caller owns the state, which is
 * plain memory: copying its bytes saves it.  After an alarm a detector starts anew with the next
 * sample. */
#ifndef HN_DRIFT_H
#define HN_DRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include "hn_status.h"

enum hn_drift_kind {
	HN_DRIFT_INPUT,          /* real values                                                 */
	HN_DRIFT_ERROR           /* 0 = right, 1 = wrong                                        */
};
enum hn_drift_side { HN_BOTH_SIDES, HN_UP, HN_DOWN };

/* Each row uses some of them and ignores the rest; hn_drift_defaults fills in all of a row's. */
struct hn_drift_params {
	enum hn_drift_side side;
	double arl;              /* [samples] mean time between false alarms to aim at, > 1;    */
	                         /* 0 = `threshold` is given                                    */
	double threshold;        /* alarm level; units: see the row's help                      */
	double k;                /* slack (CUSUM: half the shift to find; Page-Hinkley: delta)  */
	double clip;             /* samples beyond +-clip are cut off there; 0 = never          */
	double alpha;            /* Page-Hinkley: forgetting factor, (0, 1]                     */
	double confidence;       /* HDDM: chance of a false alarm of one test                   */
	double p0, p1;           /* Bernoulli: usual error rate (0 = learn), rate to find (0 = from p0) */
	int    min_n;            /* samples before an alarm is possible, or to learn from       */
};

struct hn_detector {
	const char *name;        /* the word in the configuration                               */
	const char *help;
	const char *source;      /* publication, and the implementation whose meaning it has    */
	enum hn_drift_kind kind;
	bool   standard;         /* wants x in standard deviations of the reference             */
	size_t state_size;       /* bytes, max-aligned                                          */
	struct hn_drift_params defaults;
	/* Errors: HN_ERANGE (a parameter is impossible; state untouched). */
	hn_status (*init)(void *state, const struct hn_drift_params *p);
	/* One finite sample; *score >= 1 means drift.  Errors: HN_ENUMERIC, HN_ERANGE (not 0..1 where that
	 * is asked for): the state is as before. */
	hn_status (*step)(void *state, double x, double *score);
};

enum { HN_DRIFT_STATE_MAX = 256 };       /* no row needs more                                   */

extern const struct hn_detector *const hn_detectors[];   /* NULL-terminated                     */
const struct hn_detector *hn_detector_find(const char *name);    /* NULL: no such row           */

/* CUSUM threshold h in standard deviations for a mean time `arl` between false alarms of one side
 * at slack k > 0 on independent N(0, 1) samples.
 * Source: Siegmund 1985, "Sequential Analysis", (2.57): ARL = (e^b - b - 1) / (2 k^2) with
 * b = 2k(h + 1.166). */
double hn_cusum_threshold(double arl, double k);
double hn_cusum_arl(double h, double k);
#endif
