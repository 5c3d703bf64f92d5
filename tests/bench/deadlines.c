/* deadlines.c - does a swap ever cost an inference?  See deadline_rig.h.
 *
 * For each part: SWAPS_MIN swaps and DEADLINES inferences at least, aborted swaps included.  Then
 * the control: the same with a port that hides how long an erase takes must miss some, or the count
 * proves nothing.  Fails on a missed or wrong answer.  Argument: the report to write. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "deadline_rig.h"

enum { SWAPS_MIN = 1000, DEADLINES = 1000000, CONTROL_SWAPS = 50, SEED = 20250611 };

static void print(const char *name, const struct rig_tally *t)
{
	printf("%-9s %9" PRIu64 " due, %" PRIu64 " missed (%" PRIu64 " by its own count), %" PRIu64
	       " wrong; %u swaps (", name, t->due, t->missed, t->firmware_missed, t->wrong,
	       t->all_swaps);
	for (unsigned i = 0; i < SWAPS; i++)
		printf("%s%s %u", i ? ", " : "", swap_names[i], t->swaps[i]);
	printf("), %u astray; %u erases, %u chunks repeated; latest answer after %u us; %.1f days\n",
	       t->astray, t->erases, t->repeats, t->latest_us, t->days);
	(void)fflush(stdout);
}

static void write_part(FILE *f, const char *name, const struct rig_tally *t)
{
	fprintf(f, ",\n \"%s\": {\"deadlines\": %" PRIu64 ", \"missed\": %" PRIu64 ", \"wrong\": %" PRIu64
	        ", \"swaps\": %u, \"aborted\": %u, \"astray\": %u, \"erases\": %u, \"latest_us\": %u}",
	        name, t->due, t->missed, t->wrong, t->all_swaps,
	        t->all_swaps - t->swaps[SWAP_CONFIRM], t->astray, t->erases, t->latest_us);
}

int main(int argc, char **argv)
{
	struct rig_tally t[8], all = { .due = 0 }, control;
	struct rig_part blind;
	uint64_t control_missed = 0;
	bool sound = true;
	FILE *f;

	if (argc != 2) {
		fprintf(stderr, "usage: deadlines REPORT\n");
		return EXIT_FAILURE;
	}
	printf("seed %d\n", SEED);
	for (unsigned i = 0; i < rig_n_parts; i++) {
		deadline_rig_run(&rig_parts[i], SWAPS_MIN, DEADLINES, SEED + i, &t[i]);
		print(rig_parts[i].name, &t[i]);
		all.due += t[i].due;
		all.missed += t[i].missed + t[i].wrong;
		all.all_swaps += t[i].all_swaps;
		blind = rig_parts[i];
		blind.hides_erases = true;
		deadline_rig_run(&blind, CONTROL_SWAPS, 0, SEED + i, &control);
		print("control", &control);
		control_missed += control.missed;
		sound = sound && control.missed > 0 && t[i].astray == 0
		     && t[i].missed == t[i].firmware_missed;
	}
	f = fopen(argv[1], "we");
	if (!f) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	fprintf(f, "{\"deadlines\": %" PRIu64 ", \"swaps\": %u, \"missed\": %" PRIu64
	        ", \"control_missed\": %" PRIu64, all.due, all.all_swaps, all.missed, control_missed);
	for (unsigned i = 0; i < rig_n_parts; i++)
		write_part(f, rig_parts[i].name, &t[i]);
	fprintf(f, ",\n \"clock\": \"simulated\"}\n");
	if (fclose(f) != 0)
		return EXIT_FAILURE;
	return all.missed == 0 && sound ? EXIT_SUCCESS : EXIT_FAILURE;
}
