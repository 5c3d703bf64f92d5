/* Versions to and from .onnx and .tflite.  The daemon gives a version as it keeps it, and this
 * program writes the file; a file that comes in is read by a training job. */
#include "ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hn_export.h"
#include "hn_layer.h"

enum { FILE_MAX = 4 << 20 };

/* --- which version -------------------------------------------------------------------------- */

/* Id of version `number` of a model's answer, or of its champion (number 0); 0: there is none. */
static json_int_t version_id(const json_t *model, long number)
{
	const json_t *list = json_object_get(model, "versions"), *v;
	size_t i;

	if (number == 0)
		return json_integer_value(value_at(model, "champion.id"));
	json_array_foreach(list, i, v)
		if (json_integer_value(json_object_get(v, "number")) == number)
			return json_integer_value(json_object_get(v, "id"));
	return 0;
}

/* "pump-state", "pump-state:3" or an id. */
static int find_version(struct ctl *c, const char *text, json_int_t *id)
{
	const char *colon = strrchr(text, ':');
	const long number = colon ? strtol(colon + 1 + (colon[1] == 'v'), NULL, 10) : 0;
	char name[128], path[400];
	json_t *model = NULL;
	int code;

	*id = strspn(text, "0123456789") == strlen(text) ? strtoll(text, NULL, 10) : 0;
	if (*id > 0)
		return CTL_OK;
	(void)snprintf(name, sizeof name, "%.*s", (int)(colon ? (size_t)(colon - text) : strlen(text)), text);
	ctl_path(c, "models", name, "", path, sizeof path);
	code = ctl_ask(c, "GET", path, NULL, &model);
	if (code != CTL_OK)
		return code;
	*id = version_id(model, number);
	json_decref(model);
	if (*id > 0)
		return CTL_OK;
	fprintf(stderr, "honectl: no such version of %s; see honectl model %s\n", name, name);
	return CTL_NOT_FOUND;
}

/* --- writing -------------------------------------------------------------------------------- */

/* --format, or how the name of the file ends. */
static int find_format(const struct ctl *c, enum hn_format *format)
{
	const char *dot = strrchr(c->out, '.'), *name = c->format ? c->format : dot ? dot + 1 : "";

	if (hn_format_find(name, format) == HN_OK)
		return CTL_OK;
	fprintf(stderr, "honectl: %s: '%s' is no format: --format onnx or tflite\n", c->out, name);
	return CTL_USAGE;
}

static int save(const char *path, const unsigned char *p, size_t n)
{
	FILE *f = fopen(path, "wbe");
	const size_t done = f ? fwrite(p, 1, n, f) : 0;

	if (f && fclose(f) == 0 && done == n)
		return CTL_OK;
	fprintf(stderr, "honectl: %s: %s\n", path, strerror(errno));
	return CTL_REFUSED;
}

/* What an export is made from. */
struct work { struct hn_model m; struct hn_net net, folded; struct hn_calib calib; float *weights; };

static hn_status prepare(struct work *w, const struct ctl *c, struct hn_export *e, struct hn_err *err)
{
	const struct hn_net_io io = { .task = (enum hn_task)w->m.task, .in_len = w->m.in_len,
		.in_ch = w->m.in_ch, .out_n = w->m.out_n };
	hn_status rc = hn_net_parse(&w->net, w->m.net, &io, err);

	w->weights = malloc((w->m.n_weights + 1) * sizeof *w->weights);
	if (rc == HN_OK && !w->weights)
		rc = hn_fail(err, HN_ENOMEM, "out of memory");
	if (rc == HN_OK)
		rc = hn_net_fold(&w->net, w->m.weights, &w->folded, w->weights, err);
	if (rc != HN_OK)
		return rc;
	e->net = &w->folded;
	e->weights = w->weights;
	e->scaler = &w->m.scaler;
	if (!(c->given & OPT_INT8))
		return HN_OK;
	rc = hn_calib_of(&w->m, &w->folded, &w->calib);
	if (rc != HN_OK)
		return hn_fail(err, rc, "this version does not say the grids of its layers; train it again");
	e->calib = &w->calib;
	e->image = w->m.image;
	e->image_len = w->m.image_len;
	return HN_OK;
}

static int convert(struct ctl *c, enum hn_format format)
{
	struct work *w = calloc(1, sizeof *w);
	struct hn_export e = { .format = format };
	struct hn_err err = { .code = HN_OK };
	unsigned char *out = NULL;
	size_t len = 0;
	hn_status rc = w ? hn_model_read(&w->m, (const uint8_t *)c->answer, c->answer_len, &err) : HN_ENOMEM;
	int code = CTL_REFUSED;

	if (rc == HN_OK)
		rc = prepare(w, c, &e, &err);
	if (rc == HN_OK)
		rc = hn_export_write(&e, (struct hn_bytes){ NULL, 0 }, &len, &err);
	out = rc == HN_OK ? malloc(len) : NULL;
	if (out)
		rc = hn_export_write(&e, (struct hn_bytes){ out, len }, &len, &err);
	if (out && rc == HN_OK)
		code = save(c->out, out, len);
	else
		fprintf(stderr, "honectl: %s\n", err.text[0] ? err.text : hn_status_text(HN_ENOMEM));
	if (code == CTL_OK)
		printf("%s: %zu bytes, %s\n", c->out, len, e.net->n_layers && e.image ? "int8" : "float");
	free(out);
	free(w ? w->weights : NULL);
	free(w);
	return code;
}

int run_export(struct ctl *c, char **argv)
{
	enum hn_format format;
	json_int_t id = 0;
	char path[120];
	int code;

	code = find_format(c, &format);
	if (code == CTL_OK)
		code = find_version(c, argv[0], &id);
	if (code != CTL_OK)
		return code;
	(void)snprintf(path, sizeof path, "/api/v1/versions/%lld", (long long)id);
	code = ctl_ask(c, "GET", path, NULL, NULL);
	return code == CTL_OK ? convert(c, format) : code;
}

/* --- reading -------------------------------------------------------------------------------- */

static int load(const char *path, unsigned char **bytes, size_t *len)
{
	FILE *f = fopen(path, "rbe");

	*bytes = malloc(FILE_MAX + 1);
	*len = f && *bytes ? fread(*bytes, 1, FILE_MAX + 1, f) : 0;
	if (!f || !*bytes || ferror(f)) {
		fprintf(stderr, "honectl: %s: %s\n", path, strerror(errno));
	} else if (*len == 0 || *len > FILE_MAX) {
		fprintf(stderr, "honectl: %s: %s\n", path, *len ? "above 4 MB" : "empty");
		*len = 0;
	}
	if (f)
		(void)fclose(f);         /* read only */
	return *len ? CTL_OK : CTL_REFUSED;
}

int run_import(struct ctl *c, char **argv)
{
	struct ctl_file file = { NULL, 0 };
	unsigned char *bytes = NULL;
	json_t *job = NULL;
	char path[1200], *reason;
	int code;

	if (!c->name) {
		fputs("honectl: model import FILE --name MODEL\n", stderr);
		return CTL_USAGE;
	}
	code = load(argv[0], &bytes, &file.len);
	file.bytes = bytes;
	if (code == CTL_OK)
		code = job_before(c);
	ctl_path(c, "models", c->name, "/import", path, sizeof path);
	reason = c->reason && c->curl ? curl_easy_escape(c->curl, c->reason, 0) : NULL;
	if (reason)
		(void)snprintf(path + strlen(path), sizeof path - strlen(path), "?reason=%s", reason);
	curl_free(reason);
	if (code == CTL_OK)
		code = ctl_send(c, path, &file, &job);
	free(bytes);
	return code == CTL_OK ? job_started(c, c->name, job) : code;
}
