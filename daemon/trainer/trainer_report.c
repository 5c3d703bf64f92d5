#include "trainer_fit.h"

#include <math.h>

#include "hd_sha256.h"
#include "job.h"

/* Which labels made it: SHA-256 over (stream, end, class) of all windows, first 16 hex digits. */
static void label_hash(const struct fit *f, char out[17])
{
	struct hd_sha256 s;
	uint8_t digest[32];

	hd_sha256_init(&s);
	for (uint32_t i = 0; i < f->d->n; i++) {
		uint8_t b[16];

		hd_put32(b, (uint32_t)f->d->w[i].stream);
		hd_put32(b + 4, (uint32_t)f->d->w[i].label);
		hd_put32(b + 8, (uint32_t)f->d->w[i].end_us);
		hd_put32(b + 12, (uint32_t)((uint64_t)f->d->w[i].end_us >> 32));
		hd_sha256_add(&s, b, sizeof b);
	}
	hd_sha256_end(&s, digest);
	for (int i = 0; i < 8; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static json_t *tally_json(const struct tally *t)
{
	return json_pack("{si si si si}", "n", t->n, "champion", t->champion, "challenger", t->challenger,
	                 "both", t->both);
}

static json_t *errors_json(const struct hn_gate_errors *s)
{
	return json_pack("{si sf sf sf si si}", "n", s->n, "champion", s->champion, "challenger",
	                 s->challenger, "plain", s->plain, "wins", s->wins, "losses", s->losses);
}

static void add_errors(const struct fit *f, json_t *o)
{
	const struct measured *m = &f->measured;

	(void)json_object_update_new(o, json_pack("{s{so so} sf sf sf si sf s{si si} s{si si} si}",
		"sets", "recent", errors_json(&m->recent), "kept", errors_json(&m->kept),
		"float_error", m->float_error, "int8_error", m->int8_error, "plain_error", m->plain,
		"limit", m->limit, "quantile", f->job->quantile, "normal", "n", m->normal, "inside", m->inside,
		"anomalies", "n", m->outliers, "found", m->found, "left_out", (int)f->d->anomalous));
}

static json_t *confusion_json(const struct fit *f)
{
	json_t *rows = json_array();

	for (int t = 0; t < f->job->classes; t++) {
		json_t *row = json_array();

		for (int p = 0; p < f->job->classes; p++)
			json_array_append_new(row, json_integer(f->confusion[t][p]));
		json_array_append_new(rows, row);
	}
	return rows;
}

static void add_classes(const struct fit *f, json_t *o)
{
	(void)json_object_update_new(o, json_pack("{s{so so} si si si so}",
		"sets", "recent", tally_json(&f->recent), "kept", tally_json(&f->kept),
		"float_right", f->float_right, "int8_right", f->int8_right, "majority", f->majority,
		"confusion", confusion_json(f)));
}

/* What ailed a layer in any epoch, with advice; `last`: in the last one, too. */
static json_t *health_json(const struct fit *f)
{
	const struct hn_health *h = &f->result.health;
	json_t *list = json_array();

	for (unsigned i = 0; i < h->n_layers; i++)
		for (int ill = 0; ill < HN_ILLS; ill++) {
			char text[200];

			if (!(h->layer[i].ever & 1u << ill))
				continue;
			hn_health_text(&f->net, h, i, (enum hn_ill)ill, text, sizeof text);
			json_array_append_new(list, json_pack("{si ss sb ss}", "layer", (int)f->net.layer[i].number,
				"what", hn_ill_name((enum hn_ill)ill),
				"last", (int)(h->layer[i].ill >> ill & 1), "text", text));
		}
	return list;
}

/* Layer by layer: gradient norm, share of the weights that a step changed, silent units. */
static json_t *layers_json(const struct fit *f)
{
	const struct hn_health *h = &f->result.health;
	json_t *list = json_array();

	for (unsigned i = 0; i < h->n_layers; i++)
		json_array_append_new(list, json_pack("{ss sf sf si si}", "layer", f->net.layer[i].text,
			"gradient", h->layer[i].gradient, "update_ratio", h->layer[i].ratio,
			"units", (int)h->layer[i].units, "dead", (int)h->layer[i].dead));
	return list;
}

static json_t *update_json(const struct fit *f)
{
	return json_pack("{ss ss* si si}", "kind", hn_update_name(f->cfg.update),
		"not_updated", f->not_updated, "wire_bytes", f->wire_bytes, "runs", (int)f->search_runs);
}

void trainer_report(const struct fit *f, double seconds)
{
	char hash[17];
	json_t *o;

	label_hash(f, hash);
	o = json_pack("{sb s{si si si si si} "
		"si ss sI sI sI sI si si sf sf sf sf sI so si so so so s{si si}}",
		"recent_trained", (int)(f->job->holdout_recent == 0),
		"windows", "train", (int)f->n[HN_TRAIN], "valid",
		(int)f->n[HN_VALID], "holdout", (int)f->n[HN_HOLDOUT], "refused", (int)f->d->refused,
		"over", (int)f->d->over, "labels", (int)f->d->labels, "label_hash", hash,
		"t0_us", (json_int_t)f->t0_us, "t1_us", (json_int_t)f->t1_us, "plan_bytes", (json_int_t)f->plan,
		"peak_bytes", (json_int_t)f->arena.peak, "epochs", (int)f->result.epochs,
		"best_epoch", (int)f->result.best_epoch, "loss", f->result.train_loss,
		"valid_loss", isfinite(f->result.valid_loss) ? f->result.valid_loss : 0.0,
		"gradient_norm", f->result.grad_norm_max, "seconds", seconds, "seed", (json_int_t)f->job->seed,
		"int8", trainer_int8_json(f), "rollbacks", (int)f->result.rollbacks,
		"update", update_json(f), "health", health_json(f), "layers", layers_json(f), "checkpoints",
		"written", f->keep ? (int)f->keep->written : 0, "failed",
		f->keep ? (int)f->keep->failed : 0);
	if (o)
		(hn_tasks[f->job->task].classes ? add_classes : add_errors)(f, o);
	if (o && f->imported)
		json_object_set_new(o, "imported", json_true());
	trainer_say_json(JOB_REPORT, o);
}
