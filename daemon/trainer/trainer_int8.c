/* From float weights to the image and the version: the best grid, training for int8 when the model
 * asks for it, and what each layer costs. */
#include "trainer_fit.h"

#include <string.h>

/* Windows that int8 and float are compared on: enough for a tenth of a decibel. */
enum { COMPARE_MAX = 1024 };

static struct hn_quant_cfg quant_cfg(const struct fit *f)
{
	const struct hn_model *frozen = trainer_frozen(f);

	return (struct hn_quant_cfg){ .net = &f->folded, .weights = f->folded_w, .scaler = &f->scaler,
	                              .tail = 1e-4, .compare_max = COMPARE_MAX,
	                              .frozen = frozen ? frozen->image : NULL,
	                              .frozen_len = frozen ? frozen->image_len : 0,
	                              .rq_mode = (uint8_t)f->job->rounding };
}

static bool tunes(const struct fit *f)
{
	return f->job->quantise == TRAINER_QAT && !trainer_frozen(f);
}

/* At most as many epochs again, at a falling rate. */
static struct hn_train_cfg tune_cfg(const struct fit *f, const struct hn_fake *fake)
{
	struct hn_train_cfg cfg = f->cfg;

	cfg.net = &f->folded;
	cfg.fake = fake;
	cfg.start = f->folded_w;
	cfg.schedule = HN_COSINE;
	return cfg;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

hn_status trainer_int8_need(struct fit *f, const struct hn_data *data, size_t *bytes,
                            struct hn_err *err)
{
	const struct hn_quant_cfg q = quant_cfg(f);
	const struct hn_agree_job agree = { .cfg = &q };
	const struct hn_samples none = { NULL, 0 };
	const struct hn_fake any = { .cfg = NULL };
	const struct hn_train_cfg cfg = tune_cfg(f, &any);
	struct hn_arena choose, after;
	size_t tune = 0;
	hn_status rc;

	hn_arena_init(&choose, NULL, 0);
	hn_arena_init(&after, NULL, 0);
	rc = hn_calib_choose(&q, none, &choose, &f->choice, err);
	if (rc == HN_OK)
		rc = hn_quant_hurts(&q, &f->choice.calib, none, &after, &f->hurts);
	if (rc == HN_OK && tunes(f))
		rc = hn_train_need(&cfg, data, &tune, err);
	if (rc == HN_OK && (tune > 0 || q.frozen))
		rc = hn_agree(&agree, &after, &f->choice.agreement);
	if (rc == HN_OK)
		*bytes = larger(*bytes + choose.peak, (tune > 0 ? tune : *bytes) + after.peak);
	return rc;
}

static void tune_pieces(struct fit *f, struct trainer_piece piece[TRAINER_PIECES])
{
	piece[0] = (struct trainer_piece){ &f->result, sizeof f->result };
	piece[1] = (struct trainer_piece){ f->tuned, f->net.n_weights * sizeof *f->tuned };
}

bool trainer_int8_found(struct fit *f)
{
	struct trainer_piece piece[TRAINER_PIECES];

	tune_pieces(f, piece);
	if (trainer_keep_begin(f->keep, PHASE_INT8, piece) && f->result.stop <= HN_STOP_ABORT &&
	    f->result.health.n_layers <= f->net.n_layers) {
		f->result.weights = f->tuned;
		return true;
	}
	trainer_refuse("the checkpoint is damaged");
	f->result = (struct hn_train_result){ .weights = NULL };
	return false;
}

/* Go on from the weights of the fit, seeing what int8 will make of them.  They take the fit's place
 * in the arena. */
static hn_status tune(struct fit *f, const struct hn_data *data, struct hn_err *err)
{
	struct hn_quant_cfg q = quant_cfg(f);
	struct hn_fake fake = { .cfg = NULL };
	struct hn_train_result before, after;
	struct trainer_piece piece[TRAINER_PIECES];
	struct hn_train_job job = trainer_hooks(f, f->fitted);
	struct hn_train_cfg cfg;
	hn_status rc = hn_fake_init(&fake, &q, &f->choice.calib);

	if (rc != HN_OK)
		return rc;
	cfg = tune_cfg(f, &fake);
	if (!f->fitted) {
		memcpy(f->tuned, f->result.weights, f->net.n_weights * sizeof *f->tuned);
		f->result.weights = f->tuned;
		tune_pieces(f, piece);
		(void)trainer_keep_begin(f->keep, PHASE_INT8, piece);
	}
	before = f->result;              /* the report is about the fit */
	hn_arena_reset(&f->arena, f->fit_mark);
	job.cfg = &cfg;
	job.data = data;
	rc = hn_train_run(&job, &after, err);
	if (rc != HN_OK)
		return rc;
	memcpy(f->folded_w, after.weights, f->folded.n_weights * sizeof *f->folded_w);
	hn_net_unfold(&f->net, &f->folded, f->folded_w, f->tuned);
	f->tuned_epochs = after.epochs;
	f->result = before;
	return HN_OK;
}

static hn_status write_image(struct fit *f, const struct hn_quant_cfg *q, struct hn_err *err)
{
	const hn_status rc = hn_image_write(q, &f->choice.calib,
	                                    (struct hn_bytes){ f->image, hn_image_need(&f->folded) },
	                                    &f->image_len, err);

	return rc == HN_OK ? rc : hn_fail(err, rc, "quantisation: %s", hn_status_text(rc));
}

hn_status trainer_version(struct fit *f, struct hn_err *err)
{
	struct hn_model m = { .task = (uint8_t)f->job->task, .in_len = (uint16_t)f->job->window,
		.in_ch = f->d->ch, .out_n = f->net.out_n, .seed = f->job->seed, .scaler = f->scaler,
		.weights = f->result.weights, .n_weights = f->net.n_weights, .image = f->image };
	hn_status rc;

	(void)snprintf(m.net, sizeof m.net, "%s", f->job->net);
	hn_calib_keep(&f->choice.calib, &f->folded, &m);
	m.image_len = (uint32_t)f->image_len;
	rc = hn_model_write(&m, f->blob, f->blob_cap, &f->blob_len);
	return rc == HN_OK ? rc : hn_fail(err, rc, "version: %s", hn_status_text(rc));
}

hn_status trainer_int8(struct fit *f, const struct hn_data *data, struct hn_err *err)
{
	const struct hn_samples all = { data->train.x, data->train.n };
	const struct hn_quant_cfg q = quant_cfg(f);
	hn_status rc = hn_net_fold(&f->net, f->result.weights, &f->folded, f->folded_w, err);

	if (rc == HN_OK && f->given)
		f->choice.calib = *f->given;
	else if (rc == HN_OK && !q.frozen)       /* else it is the champion's */
		rc = hn_calib_choose(&q, all, &f->arena, &f->choice, err);
	if (rc == HN_OK && tunes(f))
		rc = tune(f, data, err);
	if (rc == HN_OK)
		rc = write_image(f, &q, err);
	if (all.n == 0)                  /* an imported file with grids, before any frame came */
		return rc;
	if (rc == HN_OK && (f->tuned_epochs > 0 || f->given || q.frozen))
		rc = hn_agree(&(struct hn_agree_job){ &q, &f->choice.calib, f->image,
		              (uint32_t)f->image_len, all }, &f->arena, &f->choice.agreement);
	if (rc == HN_OK)
		rc = hn_quant_hurts(&q, &f->choice.calib, all, &f->arena, &f->hurts);
	return rc == HN_OK ? rc : hn_fail(err, rc, "quantisation: %s", hn_status_text(rc));
}

static json_t *layer_json(const struct fit *f, unsigned i)
{
	return json_pack("{ss sf sf}", "layer", f->folded.layer[i].text, "snr_db",
	                 f->choice.agreement.snr_db[i], "alone_db", f->hurts.snr_db[i + 1]);
}

json_t *trainer_int8_json(const struct fit *f)
{
	static const char *const rules[HN_CALIB_RULES] = { "minmax", "percentile", "mse" };
	const struct hn_agreement *a = &f->choice.agreement;
	const unsigned most = f->hurts.most;
	json_t *layers = json_array();

	for (unsigned i = 0; i < f->folded.n_layers; i++)
		if (!hn_quant_skips(&f->folded, i))
			json_array_append_new(layers, layer_json(f, i));
	json_t *o = json_pack("{ss ss si si sf ss so}", "method", f->tuned_epochs ? "qat" : "ptq",
		"calibration", rules[f->choice.rule], "tuned_epochs", (int)f->tuned_epochs,
		"compared", (int)a->n, "input_alone_db", f->hurts.snr_db[0],
		"hurts_most", most ? f->folded.layer[most - 1].text : "input", "layers", layers);
	if (o && hn_tasks[f->job->task].classes)
		json_object_set_new(o, "same", json_integer(a->same_argmax));
	return o;
}
