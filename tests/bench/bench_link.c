/* bench_link.c - how close a transfer comes to the wire: in simulated time (bench_sim.h) and in
 * real time over a pty (bench_pty.h).
 *
 * The report's first figures are those of the pty, when the machine was quiet enough for its pump
 * to keep the time.  Argument: the report to write. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench_pty.h"
#include "bench_sim.h"

/* --- in real time ----------------------------------------------------------------------------- */

/* Later than that in one turn of a hundred: the line was slower than its rate. */
enum { LATE_MAX_US = 200 };

struct real {
	double ratio[2][2], delta_s[2];  /* [baud][adapter], [baud]                            */
	unsigned noop_rtts;
	int64_t late_us, worst_us;       /* the pump: 99 % of its turns, all of them           */
	bool paced;                      /* it kept the time: the figures hold                 */
};

static struct bench_pty_result real_swap(const struct bench_pty_plan *plan, struct bench_late *late)
{
	struct bench_pty_result r;

	if (!bench_pty_run(plan, late, &r))
		exit(EXIT_FAILURE);
	printf("%-9s %6u  %2d ms  %7.4f s  %7.4f s  %6.3f  %7.4f s  %4u  %5.1f ms  %u\n",
	       plan->second->full ? "delta" : "full", (unsigned)plan->baud,
	       (int)(plan->latency_us / 1000), plan->second->len * 10.0 / plan->baud, r.swap_s,
	       r.swap_s * plan->baud / 10 / plan->second->len, r.worst_s, (unsigned)r.repeats,
	       r.noop_s * 1e3, r.noop_said);
	return r;
}

static void real_full(const struct hd_config *device, struct bench_late *late, struct real *out)
{
	const struct hn_peer_package first = bench_view(&bench_packages[1]),
		second = bench_view(&bench_packages[2]),
		same = bench_view(&bench_packages[3]);

	for (int i = 0; i < 4; i++) {
		const struct bench_pty_plan plan = { device, bench_bauds[i >> 1], (i & 1) ? 16000 : 0,
			&first, &second, &same };
		const struct bench_pty_result r = real_swap(&plan, late);

		out->ratio[i >> 1][i & 1] = r.swap_s * plan.baud / 10 / second.len;
		out->noop_rtts = r.noop_said > out->noop_rtts ? r.noop_said : out->noop_rtts;
	}
}

/* After bench_sim_deltas: slots in RAM; an update of a sparse fit, and full sets. */
static void measure_real(struct real *out)
{
	struct hd_config device = { .key_id = 1, .credits = BENCH_CREDITS_RAM };
	static struct bench_late late;

	memcpy(device.uid, t_uid, HD_UID_LEN);
	memcpy(device.key, t_key, HD_KEY_LEN);
	*out = (struct real){ .noop_rtts = 0 };
	printf("\nin real time over a pty, slots in RAM, median of %d\n"
	       "            baud  adapter   wire      swap     ratio   worst  repeats   no-op  RTTs\n",
	       BENCH_PTY_RUNS);
	real_full(&device, &late, out);
	for (int b = 0; b < 2; b++) {
		const struct bench_pty_plan plan = { &device, bench_bauds[b], 0, &bench_old.full,
			&bench_next[BENCH_SPARSE].delta, NULL };

		out->delta_s[b] = real_swap(&plan, &late).swap_s;
	}
	out->late_us = bench_late_at(&late, 0.99);
	out->worst_us = late.worst_us;
	out->paced = out->late_us <= LATE_MAX_US;
	printf("the pump: 99 %% of its turns less than %d us late, the worst %d us%s\n",
	       (int)out->late_us, (int)out->worst_us,
	       out->paced ? "" : ": NOT PACED, the machine is too busy and these times do not count");
}

/* --- the report ------------------------------------------------------------------------------- */

struct figures {
	double ratio[2][2][2];           /* [ram][baud][adapter]                               */
	double delta_s[2];
	unsigned noop_rtts;
	struct bench_share share, alone;
};

static void write_simulated(FILE *f, const struct figures *s)
{
	fprintf(f, " \"simulated\": {\"full_115200_ratio\": %.4f, \"full_921600_ratio\": %.4f,\n"
	        "  \"full_115200_16ms_ratio\": %.4f, \"full_921600_16ms_ratio\": %.4f,\n"
	        "  \"nrf52840_115200_ratio\": %.4f, \"nrf52840_921600_ratio\": %.4f,\n"
	        "  \"nrf52840_115200_16ms_ratio\": %.4f, \"nrf52840_921600_16ms_ratio\": %.4f,\n"
	        "  \"delta_115200_s\": %.4f, \"delta_921600_s\": %.4f, \"noop_rtts\": %u},\n",
	        s->ratio[1][0][0], s->ratio[1][1][0], s->ratio[1][0][1], s->ratio[1][1][1],
	        s->ratio[0][0][0], s->ratio[0][1][0], s->ratio[0][0][1], s->ratio[0][1][1],
	        s->delta_s[0], s->delta_s[1], s->noop_rtts);
}

static void write_real(FILE *f, const struct real *r)
{
	fprintf(f, " \"pty\": {\"full_115200_ratio\": %.4f, \"full_921600_ratio\": %.4f,\n"
	        "  \"full_115200_16ms_ratio\": %.4f, \"full_921600_16ms_ratio\": %.4f,\n"
	        "  \"delta_115200_s\": %.4f, \"delta_921600_s\": %.4f, \"noop_rtts\": %u, \"runs\": %d,\n"
	        "  \"pump_late_p99_us\": %d, \"pump_late_worst_us\": %d, \"paced\": %s},\n",
	        r->ratio[0][0], r->ratio[1][0], r->ratio[0][1], r->ratio[1][1], r->delta_s[0],
	        r->delta_s[1], r->noop_rtts, BENCH_PTY_RUNS, (int)r->late_us, (int)r->worst_us,
	        r->paced ? "true" : "false");
}

/* The figures at the top: of the pty when it was paced. */
static void write_report(FILE *f, const struct figures *s, const struct real *r)
{
	const double (*ratio)[2] = r->paced ? r->ratio : s->ratio[1];
	const struct bench_set *sparse = &bench_next[BENCH_SPARSE];
	const double *delta_s = r->paced ? r->delta_s : s->delta_s;

	fprintf(f, "{\"payload_bytes\": %u, \"clock\": \"%s\",\n"
	        " \"full_115200_ratio\": %.4f, \"full_921600_ratio\": %.4f,\n"
	        " \"full_115200_16ms_ratio\": %.4f, \"full_921600_16ms_ratio\": %.4f,\n"
	        " \"delta_115200_s\": %.4f, \"delta_921600_s\": %.4f, \"noop_rtts\": %u,\n",
	        (unsigned)bench_packages[2].len, r->paced ? "real" : "simulated", ratio[0][0], ratio[1][0],
	        ratio[0][1], ratio[1][1], delta_s[0], delta_s[1],
	        r->paced ? r->noop_rtts : s->noop_rtts);
	write_real(f, r);
	write_simulated(f, s);
	fprintf(f, " \"delta_bytes\": %u, \"delta_loss\": %.5f, \"full_fit_loss\": %.5f,\n"
	        " \"drifted_loss\": %.5f, \"telemetry_alone_worst_ms\": %.2f,\n"
	        " \"telemetry_beside_transfer_worst_ms\": %.2f, \"swap_beside_telemetry_s\": %.4f}\n",
	        (unsigned)sparse->delta.len, sparse->loss, bench_next[BENCH_FULL].loss, sparse->before,
	        s->alone.worst_ms, s->share.worst_ms, s->share.swap_s);
}

static void measure_full(struct figures *s)
{
	static const char *const names[] = { "nrf52840", "ram" };

	printf("in simulated time, payload %u bytes, %d credits, %d with slots in RAM\n"
	       "flash       baud  adapter   wire      swap     ratio  sent/B repeats no-op RTTs\n",
	       (unsigned)bench_packages[2].len, BENCH_CREDITS, BENCH_CREDITS_RAM);
	for (int i = 0; i < 8; i++) {
		const int ram = !(i >> 2), baud = i >> 1 & 1, late = i & 1;
		unsigned rtts = 0;

		s->ratio[ram][baud][late] = bench_sim_full(names[ram], ram, bench_bauds[baud],
		                                            late ? 16000 : 0, &rtts);
		s->noop_rtts = rtts > s->noop_rtts ? rtts : s->noop_rtts;
	}
}

int main(int argc, char **argv)
{
	struct figures s = { .noop_rtts = 0 };
	struct real r;
	FILE *f;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_link REPORT\n");
		return EXIT_FAILURE;
	}
	bench_packages_build();
	measure_full(&s);
	bench_sim_deltas(s.delta_s);
	bench_sim_shares(&s.share, &s.alone);
	measure_real(&r);
	f = fopen(argv[1], "we");
	if (!f) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	write_report(f, &s, &r);
	return fclose(f) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
