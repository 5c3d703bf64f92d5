/* Our training beside PyTorch's, from the same weights and data: see gen_torch.py. */
#include <check.h>
#include <ctype.h>
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
	const char *loss, *optim;
	struct { float lr, decay, momentum, smoothing, delta; } real;
	bool nesterov, weighted;
	double mean[2];                  /* loss of the first and second epoch                 */
};

#include "golden_torch.h"
#include "t_run.h"

enum { N_MAX = 4096, N_GOLDEN = sizeof golden / sizeof *golden, X_MAX = N_MAX * 384,
       W_MAX = 1 << 17, T_MAX = 1 << 16 };

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

/* The last layer->out.ch weights of a layer are its bias: zero, except in a gru.  A norm starts as
 * it always does. */
static void draw_weights(const struct hn_net *net, uint32_t *s, float *w)
{
	for (unsigned i = 0; i < net->n_layers; i++) {
		const struct hn_layer *l = &net->layer[i];
		const size_t n = l->n_w ? l->n_w - l->out.ch : 0, in = n / l->out.ch;
		const bool depthwise = strcmp(l->type->name, "dwconv1d") == 0;
		const size_t out = l->n_args > 1 ? (size_t)(l->arg[0] * l->arg[1]) : l->out.ch;

		if (l->n_state)
			l->type->init(l, 1, NULL, w + l->w_at);
		else if (depthwise)
			draw(s, w + l->w_at, n, 2 * in);
		else if (strcmp(l->type->name, "gru") == 0)
			draw(s, w + l->w_at, l->n_w, 2 * (size_t)l->out.ch);
		else
			draw(s, w + l->w_at, n, in + out);
	}
}

static void draw_answers(const struct golden *g, const struct hn_net *net, uint32_t *s,
                         struct hn_set *set)
{
	static float target[T_MAX];
	static int32_t label[N_MAX];

	if (g->task == HN_CLASSIFY)
		set->label = label;
	else if (g->task == HN_REGRESS)
		set->target = target;
	ck_assert_uint_le(set->target ? g->n * net->out_n : 0, T_MAX);
	for (size_t i = 0; set->label && i < g->n; i++)
		label[i] = (int32_t)((next(s) >> 16) % net->out_n);
	for (size_t i = 0; set->target && i < g->n * net->out_n; i++) {
		target[i] = unit(s);
		if (strcmp(g->loss, "binary_cross_entropy") == 0)
			target[i] = (target[i] + 1) / 2;
	}
}

static void configure(const struct golden *g, const struct hn_net *net, struct hn_train_cfg *cfg)
{
	static float weight[HN_NET_OUT_MAX];

	hn_train_defaults(cfg, net);
	cfg->in_order = true;
	cfg->epochs = 2;
	cfg->loss = hn_loss_find(g->loss);
	cfg->optim = hn_optim_find(g->optim);
	ck_assert_ptr_nonnull(cfg->loss);
	ck_assert_ptr_nonnull(cfg->optim);
	cfg->lr = g->real.lr;
	cfg->weight_decay = g->real.decay;
	cfg->momentum = g->real.momentum;
	cfg->smoothing = g->real.smoothing;
	cfg->delta = g->real.delta;
	cfg->nesterov = g->nesterov;
	for (size_t c = 0; g->weighted && c < net->out_n; c++)
		weight[c] = 0.5f + (float)c;
	cfg->class_weight = g->weighted ? weight : NULL;
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
	const struct golden *g = &golden[_i];
	struct hn_data data = { .train = { .n = g->n, .x = x } };
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
	draw_answers(g, &net, &s, &data.train);
	configure(g, &net, &cfg);
	cfg.start = w;
	for (size_t k = 0; hn_kernels_at(k); k++) {
		cfg.kern = hn_kernels_at(k);
		ck_assert_int_eq(hn_train_need(&cfg, &data, &need, &err), HN_OK);
		mem = aligned_alloc(64, need);
		hn_arena_init(&arena, mem, need);
		ck_assert_msg(hn_train_run(&(struct hn_train_job){ .cfg = &cfg, .data = &data,
		              .arena = &arena, .progress = note, .ctx = &r }, &res, &err) == HN_OK,
		              "%s", err.text);
		for (int e = 0; e < 2; e++)
			ck_assert_msg(fabs(r.loss[e] / g->mean[e] - 1) < 5e-6, "%s, %s, epoch %d: %.9g, "
			              "torch %.9g", g->name, cfg.kern->name, e + 1, r.loss[e], g->mean[e]);
		free(mem);
	}
}
END_TEST

/* Does any net, loss or optimiser of the table have this name? */
static bool recorded(const char *name)
{
	const size_t n = strlen(name);

	for (size_t i = 0; i < N_GOLDEN; i++) {
		if (strcmp(golden[i].loss, name) == 0 || strcmp(golden[i].optim, name) == 0)
			return true;
		for (const char *at = strstr(golden[i].text, name); at; at = strstr(at + 1, name))
			if ((at == golden[i].text || at[-1] == ' ') && !isalnum((unsigned char)at[n]) && at[n] != '_')
				return true;
	}
	return false;
}

START_TEST(every_layer_loss_and_optimiser_is_recorded_once_at_least)
{
	for (size_t i = 0; hn_layers[i]; i++)
		ck_assert_msg(recorded(hn_layers[i]->name), "layer %s", hn_layers[i]->name);
	for (size_t i = 0; hn_losses[i]; i++)
		ck_assert_msg(recorded(hn_losses[i]->name), "loss %s", hn_losses[i]->name);
	for (size_t i = 0; hn_optims[i]; i++)
		ck_assert_msg(recorded(hn_optims[i]->name), "optimiser %s", hn_optims[i]->name);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("golden_train");
	TCase *t = tcase_create("golden_train");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, losses_follow_torch_to_five_digits, 0, N_GOLDEN);
	tcase_add_test(t, every_layer_loss_and_optimiser_is_recorded_once_at_least);
	suite_add_tcase(s, t);
	return t_run(s);
}
