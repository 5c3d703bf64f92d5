/* trainer_fit.h - the state of one fit; private to trainer_fit.c, trainer_compare.c and
 * trainer_report.c. */
#ifndef TRAINER_FIT_H
#define TRAINER_FIT_H

#include "hn_quant.h"
#include "trainer.h"

struct fit {
	const struct trainer_job *job;
	const struct trainer_data *d;
	struct hn_net net;
	struct hn_scaler scaler;
	struct hn_train_cfg cfg;
	struct hn_arena arena;
	void *memory;
	size_t plan;                     /* bytes of the arena                                    */
	uint32_t n[HN_PARTS];
	float *x[HN_PARTS];              /* (n, values) scaled                                    */
	int32_t *y[HN_PARTS];
	float *weight;                   /* (n[HN_TRAIN],)                                        */
	uint8_t *image, *blob;
	size_t image_len, blob_len, blob_cap;
	int64_t t0_us, t1_us;
	int confusion[HN_CLASSES_MAX][HN_CLASSES_MAX];
	int float_right, int8_right, majority;
	struct tally { int n, champion, challenger, both; } recent, kept;
	struct hn_train_result result;
	struct trainer_keep *keep;
	int64_t said_us;                 /* last progress message                                 */
	struct hn_agreement agreement;
};

static inline size_t values_of(const struct fit *f)
{
	return (size_t)f->job->window * f->d->ch;
}

/* Champion and challenger over the held-back windows, both as int8 images, exactly as a device
 * runs them; then the challenger in float32. */
hn_status trainer_compare(struct fit *f, const struct trainer_champion *champion);

void trainer_report(const struct fit *f, double seconds);
#endif
