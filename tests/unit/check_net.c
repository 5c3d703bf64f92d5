#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "hn_layer.h"
#include "hn_net.h"
#include "hn_rng.h"
#include "t_run.h"

static const struct { const char *text; uint8_t n; uint32_t weights; } good[] = {
	{ "[conv1d 16x2 same stride 2, maxpool 2, flatten, dense 4]", 4, 16 * 7 + 17 * 4 },
	{ "dense 4", 1, 4 * 13 }, { "[dense 32, relu, dense 4]", 3, 32 * 13 + 33 * 4 },
	{ "  dense   32 ,relu,\tdense 4  ", 3, 32 * 13 + 33 * 4 },
	{ "dense 4, softmax", 1, 4 * 13 }, { "softmax, dense 4, softmax, tanh", 4, 4 * 13 },
	{ "separable 5x3 same, batch_norm, dense 4", 4, 3 * 4 + 5 * 4 + 4 * 5 + 4 * 21 },
	{ "tanh, separable 3x3 same, dropout 0.5, add 2, dense 4", 6, 3 * 4 + 3 * 4 + 4 * 13 },
	{ "[ tanh , dense 4 ]", 2, 4 * 13 },
};

START_TEST(texts_with_and_without_brackets_are_read)
{
	const struct hn_net_io io = { HN_CLASSIFY, 4, 3, 4 };
	struct hn_err err = { HN_OK, "" };
	struct hn_net net;

	ck_assert_msg(hn_net_parse(&net, good[_i].text, &io, &err) == HN_OK, "%s", err.text);
	ck_assert_uint_eq(net.n_layers, good[_i].n);
	ck_assert_uint_eq(net.n_weights, good[_i].weights);
	ck_assert_uint_eq(net.out_n, 4);
}
END_TEST

/* Text, task, classes, code, and what the error must name. */
static const struct {
	const char *text; enum hn_task task; uint16_t out_n; hn_status rc; const char *names[3];
} bad[] = {
	{ "", HN_CLASSIFY, 4, HN_EFORMAT, { "no layers" } },
	{ "[]", HN_CLASSIFY, 4, HN_EFORMAT, { "no layers" } },
	{ "[dense 4", HN_CLASSIFY, 4, HN_EFORMAT, { "']'" } },
	{ "dense 4,", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 2" } },
	{ "dense 8, dens 4", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 2", "'dens 4'", "dense" } },
	{ "dense", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1", "dense OUTPUTS" } },
	{ "dense 4 5", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1" } },
	{ "dense 4z", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1" } },
	{ "dense 0x4", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1" } },
	{ "dense nan", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1" } },
	{ "dense 0", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1", "(4, 3)" } },
	{ "dense -4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1" } },
	{ "dense 2.5", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1" } },
	{ "dense 1e30", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1" } },
	{ "relu 3, dense 4", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1", "'relu'" } },
	{ "dense 32, relu, dense 6", HN_CLASSIFY, 4, HN_ERANGE,
	  { "layer 3 'dense 6'", "(1, 32) to (1, 6)", "4 outputs" } },
	{ "dense 8, dense 11", HN_AUTOENCODE, 0, HN_ERANGE, { "layer 2", "(1, 11)", "12 outputs" } },
	{ "dense 16000, dense 16000, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 2", "weights" } },
	{ "dense 300", HN_REGRESS, 0, HN_ERANGE, { "300 outputs" } },
	{ "dense 1", HN_CLASSIFY, 0, HN_ERANGE, { "2 to 32" } },
	{ "conv1d 4x5, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1", "(4, 3)", "5 frames" } },
	{ "conv1d 4x2 stride, dense 4", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1", "FILTERSxKERNEL" } },
	{ "conv1d 4x2 pad 3, dense 4", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1" } },
	{ "conv1d 4x2 stride 0, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "stride" } },
	{ "conv1d 4x1024 dilation 1024 same, dense 9", HN_CLASSIFY, 4, HN_ERANGE, { "layer 2" } },
	{ "dense 4 same", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1" } },
	{ "maxpool 5, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "pools 5", "4" } },
	{ "maxpool 2 stride 0.5, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "stride" } },
	{ "leaky_relu 2, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "slope" } },
	{ "softmax", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1", "needs 4 outputs" } },
	{ "add 1, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1 'add 1'", "back 1" } },
	{ "tanh, add 2, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 2", "1 to 1" } },
	{ "tanh, add 0.5, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 2" } },
	{ "conv1d 5x1, tanh, add 2, dense 4", HN_CLASSIFY, 4, HN_ERANGE,
	  { "(4, 5) of layer 2 'tanh'", "(4, 3) of layer 0 'input'", "layer 3 'add 2'" } },
	{ "tanh, separable 5x3 same, add 1, dense 4", HN_CLASSIFY, 4, HN_ERANGE,
	  { "(4, 5) of layer 2 'separable 5x3 same'", "(4, 3) of layer 1 'tanh'" } },
	{ "separable 5x9, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1 'separable 5x9'", "9 frames" } },
	{ "separable 1025x3 same, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1", "filters" } },
	{ "dwconv1d 5, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1", "(4, 3)", "5 frames" } },
	{ "dwconv1d 0, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1", "kernel" } },
	{ "dropout, dense 4", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1", "dropout PROBABILITY" } },
	{ "dropout 1, dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 1", "probability" } },
	{ "batch_norm 3, dense 4", HN_CLASSIFY, 4, HN_EFORMAT, { "layer 1" } },
	{ "relu,relu,relu,relu,relu,relu,relu,relu,relu,relu,relu,relu,relu,relu,relu,relu,relu,relu,"
	  "relu,relu,relu,relu,relu,relu,dense 4", HN_CLASSIFY, 4, HN_ERANGE, { "layer 25", "24" } },
	{ "dense 000000000000000000000000000000000000000000004", HN_CLASSIFY, 4, HN_EFORMAT,
		{ "layer 1" } },
};

START_TEST(errors_name_the_layer_its_text_and_the_shapes)
{
	const struct hn_net_io io = { bad[_i].task, 4, 3, bad[_i].out_n };
	struct hn_err err = { HN_OK, "" };
	struct hn_net net = { .n_layers = 99 };

	ck_assert_msg(hn_net_parse(&net, bad[_i].text, &io, &err) == bad[_i].rc, "'%s': %d %s",
	              bad[_i].text, err.code, err.text);
	for (int k = 0; k < 3 && bad[_i].names[k]; k++)
		ck_assert_msg(strstr(err.text, bad[_i].names[k]), "'%s': %s", bad[_i].text, err.text);
	ck_assert_uint_eq(net.n_layers, 99);
}
END_TEST

START_TEST(random_texts_never_harm)
{
	static const char *const parts[] = { "dense ", "relu", ",", "4", "[", "]", " ", "tanh", "x",
		"-", ".", "e9", "softmax", "\xff", "\n", "%s", "16x5", "conv1d ", "stride ", "same",
		"dilation ", "maxpool ", "globalavgpool", "flatten", "add ", "separable ", "dwconv1d ",
		"batch_norm", "dropout ", "gru ", "seq" };
	struct hn_rng r;

	hn_rng_seed(&r, 1);
	for (int i = 0; i < 20000; i++) {
		const struct hn_net_io io = { (enum hn_task)hn_rng_below(&r, 5),
			(uint16_t)hn_rng_below(&r, 6), (uint16_t)hn_rng_below(&r, 300), 0 };
		char text[600] = "";
		struct hn_net net;

		for (uint32_t n = hn_rng_below(&r, 90); n; n--) {
			const char *p = parts[hn_rng_below(&r, sizeof parts / sizeof *parts)];

			memcpy(text + strlen(text), p, strlen(p) + 1);
		}
		if (hn_net_parse(&net, text, &io, NULL) == HN_OK)
			ck_assert_uint_le(net.n_layers, HN_NET_LAYERS_MAX);
	}
}
END_TEST

START_TEST(fresh_weights_depend_on_the_seed_only)
{
	const struct hn_net_io io = { HN_CLASSIFY, 1, 16, 4 };
	static float a[4096], b[4096];
	struct hn_net net;
	double sq = 0;

	ck_assert_int_eq(hn_net_parse(&net, "dense 128, relu, dense 4", &io, NULL), HN_OK);
	hn_net_init(&net, 1, a);
	hn_net_init(&net, 1, b);
	ck_assert_mem_eq(a, b, sizeof a);
	hn_net_init(&net, 2, b);
	ck_assert_mem_ne(a, b, sizeof a);
	for (int i = 0; i < 128 * 16; i++)
		sq += (double)a[i] * (double)a[i];
	ck_assert_double_eq_tol(sq / (128 * 16), 2.0 / 16, 0.01);       /* He: variance 2 / fan in */
	for (int i = 128 * 16; i < 128 * 17; i++)
		ck_assert(a[i] == 0);
	ck_assert_uint_eq(hn_net_macs(&net), 16 * 128 + 128 * 4);
}
END_TEST

START_TEST(tasks_have_names)
{
	enum hn_task t;

	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(hn_task_find(hn_task_name((enum hn_task)i), &t), HN_OK);
		ck_assert_int_eq((int)t, i);
	}
	ck_assert_int_eq(hn_task_find("guess", &t), HN_ENOENT);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("net");
	TCase *t = tcase_create("net");

	tcase_add_loop_test(t, texts_with_and_without_brackets_are_read, 0,
	                    (int)(sizeof good / sizeof *good));
	tcase_add_loop_test(t, errors_name_the_layer_its_text_and_the_shapes, 0,
	                    (int)(sizeof bad / sizeof *bad));
	tcase_add_test(t, random_texts_never_harm);
	tcase_add_test(t, fresh_weights_depend_on_the_seed_only);
	tcase_add_test(t, tasks_have_names);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return t_run(suite());
}
