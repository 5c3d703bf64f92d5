/* The recurrent layer by itself, against its definition in double: outputs, and the gradients of
 * weights and inputs over up to 64 frames. */
#include <check.h>
#include <math.h>
#include <string.h>
#include "hn_layer.h"
#include "hn_rng.h"
#include "t_run.h"

enum { LEN_MAX = 64, IN_MAX = 6, UNITS_MAX = 17, LANES = HN_LANES, USED = 3,
       W_MAX = 3 * UNITS_MAX * (IN_MAX + UNITS_MAX + 2), X_MAX = LEN_MAX * IN_MAX,
       Y_MAX = LEN_MAX * UNITS_MAX, KEEP_MAX = 1 << 18 };

static const struct { uint16_t len, in, units; bool seq; } shapes[] = {
	{ 1, 3, 5, false }, { 1, 3, 5, true }, { 2, 1, 1, false }, { 2, 6, 17, true },
	{ 9, 4, 16, false }, { 64, 3, 5, false }, { 64, 3, 5, true },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* Everything of one layer and one batch; samples lie (sample, value) for the reference. */
struct setting {
	struct hn_layer l;
	float w[W_MAX], g[W_MAX], rows[LANES * X_MAX + HN_LANES], x[X_MAX * LANES], y[Y_MAX * LANES];
	float dy[Y_MAX * LANES], dx[X_MAX * LANES], keep[KEEP_MAX];
};

static void set_up(struct setting *s, int i)
{
	struct hn_rng rng;

	memset(s, 0, sizeof *s);
	s->l = (struct hn_layer){ .type = hn_layer_find("gru", 3), .arg = { shapes[i].units },
	        .opt = { shapes[i].seq }, .in = { shapes[i].len, shapes[i].in } };
	ck_assert_int_eq(s->l.type->shape(&s->l, NULL), HN_OK);
	ck_assert_uint_le(s->l.n_w, W_MAX);
	ck_assert_uint_le(s->l.type->keep(&s->l, LANES, true), KEEP_MAX);
	hn_rng_seed(&rng, 77 + (uint64_t)i);
	for (size_t k = 0; k < s->l.n_w; k++)
		s->w[k] = (float)(0.5 * hn_rng_normal(&rng));
	for (size_t j = 0; j < USED; j++) {
		for (size_t k = 0; k < hn_size(s->l.in); k++)
			s->rows[j * hn_size(s->l.in) + k] = s->x[k * LANES + j] = (float)hn_rng_normal(&rng);
		for (size_t k = 0; k < hn_size(s->l.out); k++)
			s->dy[k * LANES + j] = (float)hn_rng_normal(&rng);
	}
}

static struct hn_pass pass_of(struct setting *s, const struct hn_kernels *kern, bool train)
{
	return (struct hn_pass){ .l = &s->l, .kern = kern, .lanes = LANES, .w = s->w, .x = s->x,
		.y = s->y, .keep = s->keep, .train = train, .dy = s->dy, .dx = s->dx, .g = s->g,
		.rows = s->rows };
}

static double sigmoid(double v)
{
	return 1 / (1 + exp(-v));
}

/* Gate k of units `n`: W row . v + bias. */
static double sum_of(const double *w, const double *v, size_t n, double bias)
{
	for (size_t i = 0; i < n; i++)
		bias += w[i] * v[i];
	return bias;
}

/* One sample through the definition, in the order of torch: states of all frames into y. */
static void reference(const struct hn_layer *l, const double *w, const double *x, double *y)
{
	const size_t n = l->out.ch, in = l->in.ch;
	const double *wx = w, *wh = wx + 3 * n * in, *bx = wh + 3 * n * n, *bh = bx + 3 * n;
	double h[UNITS_MAX] = { 0 }, next[UNITS_MAX];

	for (size_t t = 0; t < l->in.len; t++, x += in) {
		for (size_t u = 0; u < n; u++) {
			double a[3], b[3];

			for (size_t k = 0; k < 3; k++) {
				a[k] = sum_of(wx + (k * n + u) * in, x, in, bx[k * n + u]);
				b[k] = sum_of(wh + (k * n + u) * n, h, n, bh[k * n + u]);
			}
			a[0] = sigmoid(a[0] + b[0]);
			a[1] = sigmoid(a[1] + b[1]);
			a[2] = tanh(a[2] + a[0] * b[2]);
			next[u] = (1 - a[1]) * a[2] + a[1] * h[u];
		}
		memcpy(h, next, sizeof h);
		memcpy(y + t * n, h, n * sizeof *y);
	}
}

/* First state of the output among the states of all frames. */
static size_t out_from(const struct hn_layer *l)
{
	return (size_t)(l->in.len - l->out.len) * l->out.ch;
}

/* Sum over the outputs of dy * y, over all samples. */
static double value_at(const struct setting *s, const double *w, const double *x)
{
	const size_t in = hn_size(s->l.in), out = hn_size(s->l.out);
	double y[Y_MAX], sum = 0;

	for (size_t j = 0; j < USED; j++) {
		reference(&s->l, w, x + j * in, y);
		for (size_t k = 0; k < out; k++)
			sum += (double)s->dy[k * LANES + j] * y[out_from(&s->l) + k];
	}
	return sum;
}

static double difference(const struct setting *s, const double *w, const double *x, double *by)
{
	const double keep = *by, h = 1e-5;
	double up, down;

	*by = keep + h;
	up = value_at(s, w, x);
	*by = keep - h;
	down = value_at(s, w, x);
	*by = keep;
	return (up - down) / (2 * h);
}

static void as_doubles(const struct setting *s, double *w, double *x)
{
	for (size_t i = 0; i < s->l.n_w; i++)
		w[i] = (double)s->w[i];
	for (size_t i = 0; i < USED * hn_size(s->l.in); i++)
		x[i] = (double)s->rows[i];
}

START_TEST(states_follow_the_definition_trained_or_not)
{
	static struct setting s;
	static double w[W_MAX], x[X_MAX * USED], y[Y_MAX];

	for (size_t k = 0; hn_kernels_at(k); k++)
		for (int train = 0; train < 2; train++) {
			struct hn_pass p;

			set_up(&s, _i);
			as_doubles(&s, w, x);
			p = pass_of(&s, hn_kernels_at(k), train);
			s.l.type->forward(&p);
			for (size_t j = 0; j < USED; j++) {
				reference(&s.l, w, x + j * hn_size(s.l.in), y);
				for (size_t i = 0; i < hn_size(s.l.out); i++)
					ck_assert_double_eq_tol((double)s.y[i * LANES + j],
					                        y[out_from(&s.l) + i], 3e-6);
			}
		}
}
END_TEST

START_TEST(gradients_go_back_through_all_frames)
{
	static struct setting s;
	static double w[W_MAX], x[X_MAX * USED];
	struct hn_pass p;

	set_up(&s, _i);
	as_doubles(&s, w, x);
	p = pass_of(&s, hn_kernels_best(), true);
	s.l.type->forward(&p);
	s.l.type->backward(&p);
	for (size_t i = 0; i < s.l.n_w; i++) {
		const double d = difference(&s, w, x, &w[i]);

		ck_assert_msg(fabs(d - (double)s.g[i]) < 1e-5 * (1 + fabs(d)), "weight %zu of %u: %g, "
		              "difference %g", i, s.l.n_w, (double)s.g[i], d);
	}
	for (size_t j = 0; j < USED; j++)
		for (size_t i = 0; i < hn_size(s.l.in); i++) {
			const double d = difference(&s, w, x, &x[j * hn_size(s.l.in) + i]);

			ck_assert_msg(fabs(d - (double)s.dx[i * LANES + j]) < 1e-5 * (1 + fabs(d)),
			              "input %zu: %g, difference %g", i, (double)s.dx[i * LANES + j], d);
		}
}
END_TEST

START_TEST(all_levels_with_fused_multiply_add_give_the_same_bits)
{
	static struct setting a, b;

	for (size_t k = 2; hn_kernels_at(k); k++) {
		struct hn_pass p;

		set_up(&a, _i);
		set_up(&b, _i);
		p = pass_of(&a, hn_kernels_at(1), true);
		a.l.type->forward(&p);
		a.l.type->backward(&p);
		p = pass_of(&b, hn_kernels_at(k), true);
		b.l.type->forward(&p);
		b.l.type->backward(&p);
		ck_assert_mem_eq(a.y, b.y, sizeof a.y);
		ck_assert_mem_eq(a.g, b.g, sizeof a.g);
		ck_assert_mem_eq(a.dx, b.dx, sizeof a.dx);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gru");
	TCase *t = tcase_create("gru");

	tcase_add_loop_test(t, states_follow_the_definition_trained_or_not, 0, N_SHAPES);
	tcase_add_loop_test(t, gradients_go_back_through_all_frames, 0, N_SHAPES);
	tcase_add_loop_test(t, all_levels_with_fused_multiply_add_give_the_same_bits, 0, N_SHAPES);
	suite_add_tcase(s, t);
	return t_run(s);
}
