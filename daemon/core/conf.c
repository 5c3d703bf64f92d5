/* Loading, --set, reload's comparison.  A file is read whole: messages show its lines. */
#include "conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf_bind.h"
#include "conf_hint.h"
#include "conf_value.h"

struct conf *conf_new(void)
{
	struct conf *c = calloc(1, sizeof *c);

	if (c)
		conf_value_defaults(conf_rows, c);
	return c;
}

static int load(struct conf **out, struct conf_diag *diag, FILE *to)
{
	struct conf_doc doc = { 0 };
	struct conf *c = conf_new();
	hn_status rc = c ? conf_doc_read(&doc, diag) : HN_ENOMEM;

	if (rc) {
		(void)fprintf(to, "%s: error: out of memory\n", diag->file);
		free(c);
		return -1;
	}
	conf_bind(&doc, c, diag);
	if (doc.complete)
		conf_check(&doc, c, diag);
	conf_doc_done(&doc);
	if (diag->n_errors) {
		conf_diag_print(diag, to);
		free(c);
	} else {
		*out = c;
	}
	return diag->n_errors;
}

int conf_load_text(struct conf **out, const char *name, const char *text, size_t len, FILE *to)
{
	struct conf_diag *diag;
	int n;

	if (len > CONF_FILE_MAX) {
		(void)fprintf(to, "%s: error: the file is larger than 1 MB\n", name);
		return -1;
	}
	diag = calloc(1, sizeof *diag);
	if (!diag) {
		(void)fprintf(to, "%s: error: out of memory\n", name);
		return -1;
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {        /* a byte order mark */
		text += 3;
		len -= 3;
	}
	diag->file = name;
	diag->text = text;
	diag->len = len;
	n = load(out, diag, to);
	free(diag);
	return n;
}

/* All of `fd`, at most cap bytes; -1 with errno. */
static ssize_t read_all(int fd, char *buf, size_t cap)
{
	size_t n = 0;
	ssize_t k = 1;

	while (k && n < cap) {
		k = read(fd, buf + n, cap - n);
		if (k < 0 && errno != EINTR)
			return -1;
		if (k > 0)
			n += (size_t)k;
	}
	return (ssize_t)n;
}

int conf_load(struct conf **out, const char *file, FILE *to)
{
	const size_t cap = CONF_FILE_MAX + 1;
	char *text = malloc(cap);
	ssize_t n = -1;
	int fd = -1, rc = -1;

	if (!text) {
		(void)fprintf(to, "%s: error: out of memory\n", file);
		return -1;
	}
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read_all(fd, text, cap);
	if (n < 0)
		(void)fprintf(to, "%s: error: %s\n", file, strerror(errno));
	else
		rc = conf_load_text(out, file, text, (size_t)n, to);
	if (fd >= 0)
		(void)close(fd);         /* read-only: nothing to lose */
	free(text);
	return rc;
}

hn_status conf_set(struct conf *c, const char *assignment, struct hn_err *err)
{
	const char *eq = strchr(assignment, '=');
	char key[64], why[CONF_WHY_MAX], hint[CONF_SAY_MAX];
	const struct conf_row *r;
	struct conf_near near;

	if (!eq || eq == assignment || (size_t)(eq - assignment) >= sizeof key)
		return hn_fail(err, HN_EFORMAT, "'%.60s' is not of the form key=value", assignment);
	memcpy(key, assignment, (size_t)(eq - assignment));
	key[eq - assignment] = '\0';
	r = conf_row_find(conf_rows, key);
	if (!r) {
		conf_near_init(&near, key);
		for (const struct conf_row *k = conf_rows; k->key; k++)
			conf_near_try(&near, k->key);
		return hn_fail(err, HN_ENOENT, "unknown setting '%s'%s%s%s", key,
		               near.best ? ", did you mean '" : ", see honed --help-config",
		               near.best ? near.best : "", near.best ? "'?" : "");
	}
	if (r->type == CONF_LIST)
		return hn_fail(err, HN_EINVAL, "'%s' is a list: it can only be set in the file", key);
	if (conf_value_set(r, c, eq + 1, why))
		return HN_OK;
	conf_hint_row(r, NULL, hint);
	return hn_fail(err, HN_ERANGE, "%s: %s %s", key,
	               r->flags & CONF_SECRET ? "not valid" : why, hint);
}
