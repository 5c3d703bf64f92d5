/* Any bytes as a configuration file: a result or errors, never a crash.  A result is checked for
 * what the rest of the daemon relies on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "t_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_model(const struct conf *c, const struct conf_model *m)
{
	require(m->hop >= 1 && m->window >= 1 && m->n_streams >= 1);
	for (int i = 0; i < m->n_streams; i++) {
		const int s = conf_stream_find(c, m->streams[i]);

		require(s >= 0 && c->streams[s].n_channels * m->window <= 16384);
	}
}

static void require_valid(const struct conf *c)
{
	for (int i = 0; i < c->n_streams; i++) {
		require(c->streams[i].n_channels <= HN_CHANNELS_MAX);
		require(conf_stream_find(c, c->streams[i].name) == i);
		require(conf_source_find(c, c->streams[i].source) >= 0);
	}
	for (int i = 0; i < c->n_models; i++)
		require_model(c, &c->models[i]);
	for (int i = 0; i < c->n_devices; i++) {
		require(strlen(c->devices[i].uid) == 16);
		require(conf_model_find(c, c->devices[i].model) >= 0);
		require(conf_stream_find(c, c->devices[i].stream) >= 0);
		require(conf_source_find(c, c->devices[i].source) >= 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *null;
	struct conf *c = NULL;
	int errors;

	if (!null)
		null = fopen("/dev/null", "we");
	if (!null)
		abort();
	conf_set_drivers(t_drivers);
	errors = conf_load_text(&c, "fuzz.yaml", (const char *)data, size, null);
	require((errors == 0) == (c != NULL));
	if (c) {
		require_valid(c);
		require(conf_diff(c, c, null) == 0);
	}
	free(c);
	return 0;
}
