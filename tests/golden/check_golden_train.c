/* Our training beside PyTorch's, from the same weights and data: see gen_torch.py. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "hn_layer.h"
#include "hn_train.h"

struct golden {
	const char *name, *text;
	enum hn_task task;
	uint16_t len, ch;
	uint32_t n;                      /* samples                                            */
	float decay, smoothing;
	double loss[2];                  /* mean of the first and second epoch                 */
};

#include "golden_torch.h"

enum { N_MAX = 4096, N_GOLDEN = sizeof golden / sizeof *golden, X_MAX = N_MAX * 384,
       W_MAX = 1 << 17 };

static uint32_t next(uint32_t *s)
{
	return *s = *s * 1664525u + 1013904223u;
}

static float unit(uint32_t *s)
{
	return (float)(next(s) >> 8) * 0x1p-23f - 1.0f;
}

static void net_of(const struct golden *g, struct hn_net *net)
{
	const struct hn_net_io io = { g->task, g->len, g->ch, 0 };
	struct hn_err err = { HN_OK, "" };

	ck_assert_msg(hn_net_parse(net, g->text, &io, &err) == HN_OK, "%s: %s", g->text, err.text);
	ck_assert_uint_le(net->n_weights, W_MAX);
	ck_assert_uint_le(g->n * hn_size(net->in), X_MAX);
}

static void draw(uint32_t *s, float *w, size_t n, size_t in_out)
{
	const int k = (int)floor(log2(sqrt((double)in_out / 6)) + 0.5);

	for (size_t j = 0; j < n; j++)
		w[j] = ldexpf(unit(s), -k);
}

/* The last layer->out.ch weights of a layer are its bias: zero, except in a gru. */
static void draw_weights(const struct hn_net *net, uint32_t *s, float *w)
{
	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer *l = &net->layer[i];
		const size_t n = l->n_w ? l->n_w - l->out.ch : 0, in = n / l->out.ch;
		const size_t out = l->n_args > 1 ? (size_t)(l->arg[0] * l->arg[1]) : l->out.ch;

		if (strcmp(l->type->name, "gru") == 0)
			draw(s, w + l->w_at, l->n_w, 2 * (size_t)l->out.ch);
		else
			draw(s, w + l->w_at, n, in + out);
	}
}

struct record { double loss[2]; };

static bool note(void *ctx, const struct hn_epoch *e)
{
	struct record *r = ctx;

	r->loss[e->epoch - 1] = e->train_loss;
	return true;
}

START_TEST(losses_follow_torch_to_five_digits)
{
	static float x[X_MAX], w[W_MAX];
	static int32_t label[N_MAX];
	const struct golden *g = &golden[_i];
	struct hn_data data = { .train = { .n = g->n, .x = x, .label = label } };
	struct hn_train_result res;
	struct hn_train_cfg cfg;
	struct hn_err err = { HN_OK, "" };
	struct hn_arena arena;
	struct record r;
	struct hn_net net;
	uint32_t s = 12345;
	size_t need;
	void *mem;

	net_of(g, &net);
	draw_weights(&net, &s, w);
	for (size_t i = 0; i < g->n * hn_size(net.in); i++)
		x[i] = unit(&s);
	for (size_t i = 0; i < g->n; i++)
		label[i] = (int32_t)((next(&s) >> 16) % net.out_n);
	hn_train_defaults(&cfg, &net);
	cfg.start = w;
	cfg.in_order = true;
	cfg.epochs = 2;
	cfg.weight_decay = g->decay;
	cfg.smoothing = g->smoothing;
	for (size_t k = 0; hn_kernels_at(k); k++) {
		cfg.kern = hn_kernels_at(k);
		ck_assert_int_eq(hn_train_need(&cfg, &data, &need, &err), HN_OK);
		mem = aligned_alloc(64, need);
		hn_arena_init(&arena, mem, need);
		ck_assert_msg(hn_train_run(&(struct hn_train_job){ .cfg = &cfg, .data = &data,
		              .arena = &arena, .progress = note, .ctx = &r }, &res, &err) == HN_OK,
		              "%s", err.text);
		for (int e = 0; e < 2; e++)
			ck_assert_msg(fabs(r.loss[e] / g->loss[e] - 1) < 5e-6, "%s, %s, epoch %d: %.9g, "
			              "torch %.9g", g->name, cfg.kern->name, e + 1, r.loss[e], g->loss[e]);
		free(mem);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("golden_train");
	TCase *t = tcase_create("golden_train");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, losses_follow_torch_to_five_digits, 0, N_GOLDEN);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
