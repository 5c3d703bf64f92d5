/* store_answers.c - labels and predictions. */
#include "store.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "store_private.h"

/* --- labels -------------------------------------------------------------------------------- */

static hn_status label_run(struct db_op *op, struct db *db)
{
	struct label_op *l = (struct label_op *)op;
	struct store *s = l->s;
	hn_status rc = store_writer_ready(&s->writer, db);
	sqlite3_stmt *stmt = db_stmt(db, "INSERT INTO label(stream,t0,t1,value,who,given) "
	                             "VALUES(?,?,?,?,?,?)");

	if (rc)
		return rc;
	if (!stmt || sqlite3_bind_int64(stmt, 1, s->writer.id[l->label.stream]) ||
	    sqlite3_bind_int64(stmt, 2, l->label.t0_us) || sqlite3_bind_int64(stmt, 3, l->label.t1_us) ||
	    sqlite3_bind_double(stmt, 4, l->label.value) ||
	    sqlite3_bind_text(stmt, 5, l->label.who, -1, SQLITE_STATIC) ||
	    sqlite3_bind_int64(stmt, 6, l->label.given_us))
		return HN_EIO;
	rc = db_step(db, stmt);
	l->label.id = sqlite3_last_insert_rowid(db_handle(db));
	return rc;
}

static void label_done(struct db_op *op, hn_status rc)
{
	struct label_op *l = (struct label_op *)op;
	struct store *s = l->s;

	if (rc)
		log_err("event=label_lost stream=%s error=\"%s\"", s->conf->streams[l->label.stream].name,
		        hn_status_text(rc));
	else if (s->hooks.on_label && !s->closing)
		s->hooks.on_label(s->hooks.ctx, &l->label);
	free(l);
	store_op_ended(s);
}

hn_status store_label(struct store *s, const struct store_label *l)
{
	struct label_op *op;
	hn_status rc;

	if (l->stream < 0 || l->stream >= s->conf->n_streams || l->t0_us > l->t1_us ||
	    !isfinite(l->value) || !memchr(l->who, 0, sizeof l->who))
		return HN_ERANGE;
	op = calloc(1, sizeof *op);
	if (!op)
		return HN_ENOMEM;
	op->op = (struct db_op){ .run = label_run, .done = label_done };
	op->s = s;
	op->label = *l;
	rc = store_submit(s, &op->op);
	if (rc)
		free(op);
	return rc;
}

/* --- predictions --------------------------------------------------------------------------- */

static hn_status predict_put(struct store *s, struct db *db, const struct store_prediction *p)
{
	sqlite3_stmt *stmt = db_stmt(db, "INSERT INTO prediction(stream,t,model,version,class,margin,"
	                             "device,made) VALUES(?,?,(SELECT id FROM model WHERE name=?),"
	                             "?,?,?,?,?)");

	if (!stmt || sqlite3_bind_int64(stmt, 1, s->writer.id[p->stream]) ||
	    sqlite3_bind_int64(stmt, 2, p->event_us) ||
	    sqlite3_bind_text(stmt, 3, s->conf->models[p->model].name, -1, SQLITE_STATIC) ||
	    sqlite3_bind_int64(stmt, 4, p->version) || sqlite3_bind_int(stmt, 5, p->class_index) ||
	    (p->margin >= 0 && sqlite3_bind_int(stmt, 6, p->margin)) ||
	    sqlite3_bind_int(stmt, 7, p->device) || sqlite3_bind_int64(stmt, 8, clock_now_us()))
		return HN_EIO;
	return db_step(db, stmt);
}

static void predict_take(struct predict_op *p)
{
	struct store *s = p->s;

	uv_mutex_lock(&s->lock);
	for (int i = 0; i < s->n_guesses; i++)
		s->guess_save[i] = s->guess[(s->guess_head + i) % PREDICTIONS_MAX];
	p->n = s->n_guesses;
	s->n_guesses = 0;
	uv_mutex_unlock(&s->lock);
	p->taken = true;
}

static hn_status predict_run(struct db_op *op, struct db *db)
{
	struct predict_op *p = (struct predict_op *)op;
	hn_status rc = store_writer_ready(&p->s->writer, db);

	if (!p->taken)
		predict_take(p);
	for (int i = 0; rc == HN_OK && i < p->n; i++)
		rc = predict_put(p->s, db, &p->s->guess_save[i]);
	return rc;
}

static void predict_queue(struct store *s)
{
	if (!s->predict_queued)
		s->predict_queued = store_submit(s, &s->predict.op) == HN_OK;
}

static void predict_done(struct db_op *op, hn_status rc)
{
	struct predict_op *p = (struct predict_op *)op;
	struct store *s = p->s;
	bool more;

	if (rc)
		metric_add(s->n_lost, p->n);
	p->taken = false;
	s->predict_queued = false;
	uv_mutex_lock(&s->lock);
	more = s->n_guesses > 0;
	uv_mutex_unlock(&s->lock);
	if (more)
		predict_queue(s);
	store_op_ended(s);
}

void store_predict(struct store *s, const struct store_prediction *p)
{
	bool lost = false;

	assert(p->stream >= 0 && p->stream < s->conf->n_streams);
	assert(p->model >= 0 && p->model < s->conf->n_models);
	uv_mutex_lock(&s->lock);
	if (s->n_guesses == PREDICTIONS_MAX) {
		s->guess_head = (s->guess_head + 1) % PREDICTIONS_MAX;
		s->n_guesses--;
		lost = true;
	}
	s->guess[(s->guess_head + s->n_guesses++) % PREDICTIONS_MAX] = *p;
	uv_mutex_unlock(&s->lock);
	if (lost)
		metric_add(s->n_lost, 1);
	predict_queue(s);
}

void store_predict_init(struct store *s)
{
	s->predict = (struct predict_op){ { .run = predict_run, .done = predict_done,
		.standing = true }, .s = s };
}
