/* A run's state as bytes, little-endian (as is the host), and back.
 *
 *   0  u32 magic "HNC1"     4  u32 format 1      8  SHA-256 over config and data
 *  40  u32 n_weights       44  u32 floats in all arrays
 *  48  the numbers of struct hn_stand, in the order of walk()
 *      f32 arrays: hn_fit.kept, in its order
 *      u32 CRC-32C over all before
 *
 * The digest stands for everything that the result depends on: a checkpoint of another net, config,
 * start or data, or of kernels that round otherwise, is foreign.  The order of the samples is not
 * written: it follows from the generator's state at the epoch's start. */
#include "hn_fit.h"

#include <math.h>
#include <string.h>
#include "hd_crc32c.h"
#include "hd_sha256.h"

enum { MAGIC = 0x31434e48, FORMAT = 1, HEAD = 48, STAND_MAX = 768, PIECE = 1 << 24 };

/* --- the numbers ------------------------------------------------------------------------------ */

/* One list for both directions. */
struct walk { uint8_t *at; bool write; };

static void item(struct walk *k, void *v, size_t n)
{
	if (k->write)
		memcpy(k->at, v, n);
	else
		memcpy(v, k->at, n);
	k->at += n;
}

/* Returns the bytes. */
static size_t walk(uint8_t *bytes, struct hn_stand *s, bool write)
{
	struct walk k = { bytes, write };

	item(&k, &s->epoch, sizeof s->epoch);
	item(&k, &s->at, sizeof s->at);
	item(&k, &s->best_epoch, sizeof s->best_epoch);
	item(&k, &s->rollbacks, sizeof s->rollbacks);
	item(&k, &s->step, sizeof s->step);
	item(&k, &s->safe_step, sizeof s->safe_step);
	item(&k, &s->samples, sizeof s->samples);
	item(&k, s->rng.s, sizeof s->rng.s);
	item(&k, &s->lr, sizeof s->lr);
	item(&k, &s->norm_max, sizeof s->norm_max);
	item(&k, &s->loss_sum, sizeof s->loss_sum);
	item(&k, &s->weight_sum, sizeof s->weight_sum);
	item(&k, &s->train_loss, sizeof s->train_loss);
	item(&k, &s->valid_loss, sizeof s->valid_loss);
	item(&k, &s->valid_score, sizeof s->valid_score);
	item(&k, s->grad_sum, sizeof s->grad_sum);
	item(&k, s->ratio_sum, sizeof s->ratio_sum);
	item(&k, &s->watched, sizeof s->watched);
	item(&k, &s->drops, sizeof s->drops);
	item(&k, &s->plateau_wait, sizeof s->plateau_wait);
	item(&k, &s->plateau_best, sizeof s->plateau_best);
	item(&k, s->ever, sizeof s->ever);
	return (size_t)(k.at - bytes);
}

static size_t kept_floats(const struct hn_fit *f)
{
	size_t n = 0;

	for (unsigned i = 0; i < f->n_kept; i++)
		n += f->kept[i].n;
	return n;
}

static void make_head(const struct hn_fit *f, uint8_t head[HEAD])
{
	hd_put32(head, MAGIC);
	hd_put32(head + 4, FORMAT);
	memcpy(head + 8, f->digest, sizeof f->digest);
	hd_put32(head + 40, (uint32_t)f->n_w);
	hd_put32(head + 44, (uint32_t)kept_floats(f));
}

/* --- writing ---------------------------------------------------------------------------------- */

struct out { hn_put put; void *ctx; uint32_t crc; bool ok; };

static void put(struct out *o, const void *p, size_t n)
{
	o->crc = hd_crc32c(o->crc, p, n);
	o->ok = o->ok && o->put(o->ctx, p, n);
}

hn_status hn_checkpoint_write(const struct hn_fit *f, hn_put to, void *ctx)
{
	struct out o = { .put = to, .ctx = ctx, .ok = true };
	struct hn_stand s = f->s;
	uint8_t head[HEAD], stand[STAND_MAX], end[4];

	make_head(f, head);
	put(&o, head, sizeof head);
	put(&o, stand, walk(stand, &s, true));
	for (unsigned i = 0; i < f->n_kept; i++)
		put(&o, f->kept[i].v, f->kept[i].n * sizeof(float));
	hd_put32(end, o.crc);
	put(&o, end, sizeof end);
	return o.ok ? HN_OK : HN_EIO;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct in { hn_get get; void *ctx; uint32_t crc; struct hn_err *err; };

static hn_status get(struct in *in, void *p, size_t n)
{
	if (!in->get(in->ctx, p, n))
		return hn_fail(in->err, HN_EFORMAT, "the checkpoint is cut off");
	in->crc = hd_crc32c(in->crc, p, n);
	return HN_OK;
}

static hn_status read_head(struct in *in, const struct hn_fit *f)
{
	uint8_t want[HEAD], head[HEAD];
	hn_status rc = get(in, head, sizeof head);

	if (rc)
		return rc;
	make_head(f, want);
	if (memcmp(head, want, 8) != 0)
		return hn_fail(in->err, HN_EFORMAT, "the checkpoint is of another kind or version");
	if (memcmp(head + 8, want + 8, HEAD - 8) != 0)
		return hn_fail(in->err, HN_ESTATE, "the checkpoint is of other data, another network or "
		               "other settings");
	return HN_OK;
}

static bool plausible(const struct hn_fit *f, const struct hn_stand *s)
{
	const uint32_t n = f->data->train.n;
	const uint64_t *r = s->rng.s;

	return s->epoch >= 1 && s->epoch <= f->cfg->epochs && s->best_epoch <= s->epoch &&
	       s->at >= 1 && s->at <= n && (s->at == n || s->at % f->cfg->batch == 0) &&
	       s->rollbacks <= HN_TRAIN_TRIES_MAX && s->safe_step <= s->step &&
	       (r[0] | r[1] | r[2] | r[3]) != 0 && s->lr > 0 && s->lr <= (double)f->cfg->lr &&
	       s->norm_max >= 0 && isfinite(s->loss_sum) && isfinite(s->weight_sum) &&
	       s->weight_sum >= 0;
}

static bool all_finite(const float *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(v[i]))
			return false;
	return true;
}

static hn_status read_body(struct in *in, struct hn_fit *f)
{
	uint8_t stand[STAND_MAX], end[4], more;
	struct hn_stand s = { 0 };
	hn_status rc = get(in, stand, walk(stand, &f->s, true));
	uint32_t crc;

	for (unsigned i = 0; i < f->n_kept && !rc; i++)
		rc = get(in, f->kept[i].v, f->kept[i].n * sizeof(float));
	crc = in->crc;
	if (!rc)
		rc = get(in, end, sizeof end);
	if (rc)
		return rc;
	if (hd_get32(end) != crc || in->get(in->ctx, &more, 1))
		return hn_fail(in->err, HN_EFORMAT, "the checkpoint is damaged");
	(void)walk(stand, &s, false);
	for (unsigned i = 0; i < f->n_kept; i++)
		if (!all_finite(f->kept[i].v, f->kept[i].n))
			return hn_fail(in->err, HN_EFORMAT, "the checkpoint holds numbers that are not finite");
	if (!plausible(f, &s))
		return hn_fail(in->err, HN_EFORMAT, "the checkpoint holds impossible numbers");
	f->s = s;
	return HN_OK;
}

hn_status hn_checkpoint_read(struct hn_fit *f, hn_get from, void *ctx, struct hn_err *err)
{
	struct in in = { .get = from, .ctx = ctx, .err = err };
	const hn_status rc = read_head(&in, f);

	return rc ? rc : read_body(&in, f);
}

/* --- digest ----------------------------------------------------------------------------------- */

/* An array by the hashes of its pieces: hd_sha256 counts bytes in 29 bits. */
static void add(struct hd_sha256 *s, const void *p, size_t n)
{
	const uint8_t *at = p;
	uint8_t one[32], present = p != NULL;

	hd_sha256_add(s, &present, 1);
	while (p && n > 0) {
		const size_t k = n < PIECE ? n : PIECE;
		struct hd_sha256 piece;

		hd_sha256_init(&piece);
		hd_sha256_add(&piece, at, k);
		hd_sha256_end(&piece, one);
		hd_sha256_add(s, one, sizeof one);
		at += k;
		n -= k;
	}
}

static void add_u32(struct hd_sha256 *s, uint32_t v)
{
	uint8_t b[4];

	hd_put32(b, v);
	hd_sha256_add(s, b, sizeof b);
}

static void add_real(struct hd_sha256 *s, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof bits);
	add_u32(s, bits);
}

static void add_set(struct hd_sha256 *s, const struct hn_net *net, const struct hn_set *set)
{
	const size_t n = set->n;

	add_u32(s, set->n);
	add(s, set->x, n * net->in.len * net->in.ch * sizeof *set->x);
	add(s, set->label, n * sizeof *set->label);
	add(s, set->target, n * net->out_n * sizeof *set->target);
	add(s, set->weight, n * sizeof *set->weight);
}

static void add_net(struct hd_sha256 *s, const struct hn_net *net)
{
	add_u32(s, net->task);
	add_u32(s, net->in.len);
	add_u32(s, net->in.ch);
	for (unsigned i = 0; i < net->n_layers; i++)
		add(s, net->layer[i].text, strlen(net->layer[i].text));
}

static void add_cfg(struct hd_sha256 *s, const struct hn_train_cfg *c)
{
	add(s, c->loss->name, strlen(c->loss->name));
	add(s, c->optim->name, strlen(c->optim->name));
	add(s, c->start, c->net->n_weights * sizeof *c->start);
	add(s, c->grid, c->net->n_weights * sizeof *c->grid);
	add(s, c->class_weight, c->net->out_n * sizeof *c->class_weight);
	add_u32(s, (uint32_t)c->seed);
	add_u32(s, (uint32_t)(c->seed >> 32));
	add_u32(s, c->schedule);
	add_u32(s, c->decay_epochs);
	add_u32(s, c->warmup);
	add_u32(s, c->update);
	add_u32(s, c->last_layers);
	add_u32(s, c->micro);
	add_u32(s, c->batch);
	add_u32(s, c->epochs);
	add_u32(s, c->patience);
	add_u32(s, c->in_order);
	add(s, c->fake ? c->fake->grid : NULL, c->fake ? sizeof c->fake->grid : 0);
	add_real(s, c->lr);
	add_real(s, c->weight_decay);
	add_real(s, c->momentum);
	add_u32(s, c->nesterov);
	add_real(s, c->delta);
	add_real(s, c->smoothing);
	add_real(s, c->clip_norm);
	add_real(s, c->min_delta);
	add_real(s, c->decay);
	add_real(s, c->ema);
	add_real(s, c->anchor);
	add_real(s, c->sparse);
}

void hn_fit_digest(struct hn_fit *f)
{
	struct hd_sha256 s;

	hd_sha256_init(&s);
	add(&s, f->run.kern->name, strlen(f->run.kern->name));
	add_net(&s, f->cfg->net);
	add_cfg(&s, f->cfg);
	add_set(&s, f->cfg->net, &f->data->train);
	add_set(&s, f->cfg->net, &f->data->valid);
	hd_sha256_end(&s, f->digest);
}

void hn_train_digest(const struct hn_train_cfg *cfg, const struct hn_data *data, uint8_t out[32])
{
	struct hn_fit f = { .cfg = cfg, .data = data };

	f.run.kern = cfg->kern ? cfg->kern : hn_kernels_best();
	hn_fit_digest(&f);
	memcpy(out, f.digest, sizeof f.digest);
}
