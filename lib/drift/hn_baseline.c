/* hn_baseline.c - see the header.  Prewhitening of charts: Alwan & Roberts 1988,
 * doi:10.1080/07350015.1988.10509640; variance of a block mean of an AR(1) series: Bartlett
 * 1946. */
#include "hn_baseline.h"

#include <math.h>
#include <string.h>

enum { LEARN_MIN = 16, BLOCK_SHARE = 8 };

static const double phi_block = 0.95;    /* above it block means are used                       */
static const double phi_max = 0.999;     /* an estimate beyond it is a random walk to us        */
static const double block_spans = 10.0;  /* block length in correlation times 1 / (1 - phi)     */

hn_status hn_baseline_init(struct hn_baseline *b, const struct hn_baseline_cfg *cfg)
{
	if (cfg->learn < LEARN_MIN || cfg->bins > HN_BASELINE_BINS || !(cfg->step >= 0.0))
		return HN_ERANGE;
	*b = (struct hn_baseline){ .cfg = *cfg };
	return HN_OK;
}

static unsigned n_bins(const struct hn_baseline *b)
{
	return b->cfg.bins ? b->cfg.bins : 1;
}

static void learn_bins(struct hn_baseline *b, double x, double phase)
{
	const unsigned n = n_bins(b);
	unsigned i = (unsigned)(phase * n);

	i = i < n ? i : n - 1;
	if (b->n == 0)
		b->first = x;
	b->bin[i] += x - b->first;
	b->bin_n[i]++;
}

/* Sums to means; a bin that saw nothing takes the mean of its neighbours' nearest filled ones. */
static void close_bins(struct hn_baseline *b)
{
	const unsigned n = n_bins(b);

	for (unsigned i = 0; i < n; i++)
		if (b->bin_n[i])
			b->bin[i] /= b->bin_n[i];
	for (unsigned i = 0; i < n; i++) {
		unsigned left = i, right = i;

		if (b->bin_n[i])
			continue;
		for (unsigned k = 0; k < n && !b->bin_n[left]; k++)
			left = (left + n - 1) % n;
		for (unsigned k = 0; k < n && !b->bin_n[right]; k++)
			right = (right + 1) % n;
		b->bin[i] = 0.5 * (b->bin[left] + b->bin[right]);
	}
}

/* Seasonal level at a phase: linear between the middles of the bins, around the clock. */
static double level(const struct hn_baseline *b, double phase)
{
	const unsigned n = n_bins(b);
	const double at = phase * n - 0.5;
	const double low = floor(at), w = at - low;
	unsigned i, j;

	if (n == 1)
		return b->bin[0];
	i = (unsigned)((long)low + (long)n) % n;
	j = (i + 1) % n;
	return b->bin[i] + w * (b->bin[j] - b->bin[i]);
}

static void learn_rest(struct hn_baseline *b, double r)
{
	b->sum += r;
	b->sum2 += r * r;
	if (b->has_last) {
		b->lag += r * b->last;
		b->pairs++;
	}
	b->last = r;
	b->has_last = true;
}

/* Variance of the mean of m values of an AR(1) series of variance 1. */
static double block_var(double phi, double m)
{
	return (1.0 + phi) / (1.0 - phi) / m
	     - 2.0 * phi * (1.0 - pow(phi, m)) / (m * m * (1.0 - phi) * (1.0 - phi));
}

/* Observations of the first half: they give the level, the others the spread. */
static uint32_t first_half(const struct hn_baseline *b)
{
	return b->cfg.learn / 2;
}

static void arm(struct hn_baseline *b)
{
	const double n = b->cfg.learn - first_half(b);
	const double mean = b->sum / n, floor_sd = b->cfg.step / sqrt(12.0);
	const double var = fmax(b->sum2 / n - mean * mean, 0.0) * n / (n - 1.0);
	double cov = b->pairs ? b->lag / b->pairs - mean * mean : 0.0;

	/* Without a season both halves know the level; with one, the second only corrects the sum. */
	b->mean = b->cfg.bins ? mean : mean * n / b->cfg.learn;
	b->sd = fmax(sqrt(var), fmax(floor_sd, fabs(b->first) * 1e-12));
	b->sd = b->sd > 0.0 ? b->sd : 1e-12;
	b->phi = var > 0.0 ? fmin(fmax(cov / var, -0.9), phi_max) : 0.0;
	if (b->phi > phi_block) {
		const double want = ceil(block_spans / (1.0 - b->phi));
		const uint32_t most = b->cfg.learn / BLOCK_SHARE;       /* >= 2: LEARN_MIN */

		b->block = (uint32_t)fmin(want, most);
		b->out_sd = b->sd * sqrt(block_var(b->phi, b->block));
	} else {
		b->out_sd = fmax(b->sd * sqrt(1.0 - b->phi * b->phi), floor_sd);
	}
	b->armed = true;
	b->has_last = false;
}

static hn_status residual(struct hn_baseline *b, double r, double *z)
{
	if (b->block) {
		b->block_sum += r;
		if (++b->block_n < b->block)
			return HN_EDATA;
		*z = b->block_sum / b->block / b->out_sd;
		b->block_sum = 0.0;
		b->block_n = 0;
		return HN_OK;
	}
	/* Without a predecessor the value itself is the best there is. */
	*z = b->has_last ? (r - b->phi * b->last) / b->out_sd : r / b->sd;
	b->last = r;
	b->has_last = true;
	return HN_OK;
}

hn_status hn_baseline_step(struct hn_baseline *b, double x, double phase, double *z)
{
	if (!isfinite(x) || !(phase >= 0.0 && phase <= 1.0))
		return HN_ENUMERIC;
	if (b->armed)
		return residual(b, x - b->first - level(b, phase) - b->mean, z);
	if (b->n < first_half(b)) {
		learn_bins(b, x, phase);
		if (++b->n == first_half(b))
			close_bins(b);
		return HN_EDATA;
	}
	learn_rest(b, x - b->first - level(b, phase));
	if (++b->n == b->cfg.learn)
		arm(b);
	return HN_EDATA;
}

void hn_baseline_break(struct hn_baseline *b)
{
	b->has_last = false;
	b->block_n = 0;
	b->block_sum = 0.0;
}

void hn_baseline_rearm(struct hn_baseline *b)
{
	const struct hn_baseline_cfg cfg = b->cfg;

	*b = (struct hn_baseline){ .cfg = cfg };
}

bool hn_baseline_armed(const struct hn_baseline *b)
{
	return b->armed;
}

uint32_t hn_baseline_pace(const struct hn_baseline *b)
{
	return b->block ? b->block : 1;
}

/* The standard error of the level is sd sqrt((1 + phi) / ((1 - phi) n)); prewhitened it becomes
 * 1 / sqrt(n), in block means sqrt(block / n).  With a season only half the values made the
 * bins. */
double hn_baseline_slack(const struct hn_baseline *b)
{
	const double n = b->cfg.bins ? first_half(b) : b->cfg.learn;

	return sqrt(hn_baseline_pace(b) / n);
}
