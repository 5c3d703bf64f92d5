/* linkstorm.c - make linkstorm: thousands of seeded storms, and a cut at every byte of a transfer.
 *
 *   linkstorm REPORT [RUNS [FIRST_SEED]]     the campaign
 *   linkstorm --seed N                       one storm, and what of it is needed to fail */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "storm.h"

struct tally { unsigned runs, failures; double worst; };

static void print_faults(uint32_t faults)
{
	for (int i = 0; i < STORM_FAULTS; i++)
		if (faults >> i & 1)
			printf(" %s", storm_fault_names[i]);
}

static void print_run(const struct storm_spec *s, const struct storm_result *r)
{
	printf("seed %llu baud %u latency %d us storm %d ms level %u cut %s at %u:",
	       (unsigned long long)s->seed, (unsigned)s->baud, (int)s->latency_us,
	       (int)(s->storm_us / 1000), s->level, storm_cut_names[s->cut], (unsigned)s->at_byte);
	print_faults(s->faults);
	printf("\n  clean %.3f s, after the storm %.3f s (%.2f)%s, hurt %u, resets %u, repeats %u, "
	       "refusals %u%s%s\n", (double)r->clean_us * 1e-6, (double)r->after_us * 1e-6,
	       storm_ratio(r), r->done ? "" : " NEVER", (unsigned)r->hurt, (unsigned)r->resets,
	       (unsigned)r->repeats, (unsigned)r->refusals, r->broken[0] ? ", broken: " : "", r->broken);
	fflush(stdout);
}

/* Leave out what is not needed to fail. */
static struct storm_spec shrink(struct storm_spec s)
{
	struct storm_result r;

	for (int i = 0; i < STORM_FAULTS; i++) {
		struct storm_spec less = s;

		less.faults &= ~(1u << i);
		if (less.faults == s.faults)
			continue;
		storm_run(&less, &r);
		if (!storm_passed(&r))
			s = less;
	}
	return s;
}

static void run(const struct storm_spec *s, struct tally *t)
{
	struct storm_result r;

	storm_run(s, &r);
	t->runs++;
	if (storm_passed(&r)) {
		t->worst = storm_ratio(&r) > t->worst ? storm_ratio(&r) : t->worst;
		return;
	}
	if (t->failures++ < 20)
		print_run(s, &r);
	if (r.done && storm_ratio(&r) > t->worst)
		t->worst = storm_ratio(&r);
}

static void cuts(struct tally *t)
{
	struct storm_spec s = { .seed = 7, .baud = 115200, .latency_us = 1000 };
	struct storm_result clean;

	storm_run(&s, &clean);
	for (int cut = 1; cut < STORM_CUTS; cut++) {
		const uint32_t n = storm_is_down((enum storm_cut)cut) ? clean.down_bytes : clean.up_bytes;
		struct tally c = { .runs = 0 };

		s.cut = (enum storm_cut)cut;
		for (s.at_byte = 0; s.at_byte < n; s.at_byte++)
			run(&s, &c);
		printf("linkstorm: %s: %u of %u bytes, %u failures, worst %.2f of the clean time\n",
		       storm_cut_names[cut], c.runs, (unsigned)n, c.failures, c.worst);
		fflush(stdout);
		t->runs += c.runs;
		t->failures += c.failures;
		t->worst = c.worst > t->worst ? c.worst : t->worst;
	}
}

static int one_seed(uint64_t seed)
{
	struct storm_spec s = storm_draw(seed);
	struct storm_result r;

	storm_run(&s, &r);
	print_run(&s, &r);
	if (storm_passed(&r))
		return EXIT_SUCCESS;
	s = shrink(s);
	storm_run(&s, &r);
	printf("needed to fail:");
	print_faults(s.faults);
	printf("\n");
	print_run(&s, &r);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const unsigned runs = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5000;
	const uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	struct tally storms = { .runs = 0 }, bytes = { .runs = 0 };
	FILE *f;

	if (argc == 3 && strcmp(argv[1], "--seed") == 0)
		return one_seed(strtoull(argv[2], NULL, 10));
	if (argc < 2) {
		fprintf(stderr, "usage: linkstorm REPORT [RUNS [FIRST_SEED]] | --seed N\n");
		return EXIT_FAILURE;
	}
	for (uint64_t seed = first; seed < first + runs; seed++) {
		const struct storm_spec s = storm_draw(seed);

		run(&s, &storms);
	}
	printf("linkstorm: %u storms, seeds %llu to %llu, %u failures, worst %.2f of the clean time\n",
	       storms.runs, (unsigned long long)first, (unsigned long long)(first + runs - 1),
	       storms.failures, storms.worst);
	cuts(&bytes);
	f = fopen(argv[1], "we");
	if (!f) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	fprintf(f, "{\"runs\": %u, \"failures\": %u, \"worst_ratio\": %.3f,\n"
	        " \"storms\": %u, \"cuts_at_bytes\": %u, \"clock\": \"simulated\"}\n",
	        storms.runs + bytes.runs, storms.failures + bytes.failures,
	        storms.worst > bytes.worst ? storms.worst : bytes.worst, storms.runs, bytes.runs);
	if (fclose(f) != 0)
		return EXIT_FAILURE;
	return storms.failures + bytes.failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
