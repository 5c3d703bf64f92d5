#include "t_quant.h"

#include <check.h>
#include <string.h>
#include "hd_check.h"
#include "hn_train.h"

struct hn_scaler t_quant_scaler(uint16_t ch)
{
	struct hn_scaler s = { .n_ch = ch };

	for (int c = 0; c < ch; c++) {
		s.mean[c] = (float)(1000 * c - 2500);
		s.std[c] = 40.0f + 300.0f * (float)c;
	}
	return s;
}

void t_quant_train(const struct t_quant *t, const struct hn_net *net, uint32_t epochs)
{
	const struct hn_data data = { .train = { .n = t->n, .x = t->x, .label = t->label } };
	struct hn_train_result res;
	struct hn_train_cfg cfg;
	struct hn_err err = { HN_OK, "" };
	const size_t mark = t->arena->used;

	hn_train_defaults(&cfg, net);
	cfg.lr = 0.01f;
	cfg.epochs = epochs;
	ck_assert_msg(hn_train_run(&(struct hn_train_job){ .cfg = &cfg, .data = &data,
	              .arena = t->arena }, &res, &err) == HN_OK, "%s", err.text);
	memcpy(t->weights, res.weights, net->n_weights * sizeof *t->weights);
	hn_arena_reset(t->arena, mark);
}

size_t t_quant_image(const struct t_quant *t, const struct hn_quant_cfg *cfg,
                     struct hn_calib *calib)
{
	struct hn_err err = { HN_OK, "" };
	struct hd_net opened;
	size_t len = 0;

	ck_assert_msg(hn_calibrate(cfg, (struct hn_samples){ t->x, t->n }, t->arena, calib, &err)
	              == HN_OK, "%s", err.text);
	ck_assert_msg(hn_image_write(cfg, calib, t->image, &len, &err) == HN_OK, "%s", err.text);
	ck_assert_uint_eq(len, hn_image_need(cfg->net));
	ck_assert_int_eq(hd_net_check(&opened, t->image.p, (uint32_t)len), HD_OK);
	return len;
}
