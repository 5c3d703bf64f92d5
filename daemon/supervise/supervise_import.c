/* The file that a net is imported from: it waits beside the database until its job has ended. */
#include "supervise_private.h"

#include <unistd.h>

/* Where the file of an import waits for its job; it says that the job is one. */
static void import_path(const struct supervise *s, int64_t job, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%s-import-%lld", s->db_path, (long long)job);
}

hn_status import_write(const struct supervise *s, int64_t job, const struct job_request *q)
{
	char path[CONF_TEXT_MAX + 32];
	FILE *f;
	bool good;

	import_path(s, job, path, sizeof path);
	f = fopen(path, "wbe");
	if (!f)
		return HN_EIO;
	good = fwrite(q->import, 1, q->import_len, f) == q->import_len;
	good = fclose(f) == 0 && good;
	if (!good)
		(void)unlink(path);
	return good ? HN_OK : HN_EIO;
}

void import_forget(const struct supervise *s, int64_t job)
{
	char path[CONF_TEXT_MAX + 32];

	import_path(s, job, path, sizeof path);
	(void)unlink(path);              /* mostly there is none */
}

json_t *import_spec(const struct supervise *s, const struct job *j)
{
	const struct conf_model *m = &s->conf->models[j->model];
	const int k = conf_stream_find(s->conf, m->streams[0]);
	char path[CONF_TEXT_MAX + 32];
	json_t *scale, *offset;

	import_path(s, j->id, path, sizeof path);
	if (access(path, R_OK) != 0)
		return NULL;
	scale = json_array();
	offset = json_array();
	for (int c = 0; k >= 0 && c < s->conf->streams[k].n_channels; c++) {
		json_array_append_new(scale, json_real(s->conf->streams[k].channels[c].scale));
		json_array_append_new(offset, json_real(s->conf->streams[k].channels[c].offset));
	}
	return json_pack("{ss so so}", "path", path, "scale", scale, "offset", offset);
}
