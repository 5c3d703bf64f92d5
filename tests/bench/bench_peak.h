/* bench_peak.h - the fused multiply-adds that one core can do: the limit of every product. */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

/* Float operations a second (an FMA is two), best of several rounds by the given CPU clock. */
double bench_peak(double (*cpu_s)(void));
#endif
