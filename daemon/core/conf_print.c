/* --help-config and docs/config.md. */
#include "conf.h"

#include <string.h>

#include "conf_diag.h"
#include "conf_section.h"
#include "conf_value.h"

void conf_print_help(FILE *out)
{
	struct conf_section s[CONF_SECTIONS_MAX];
	const int n = conf_sections(s, CONF_SECTIONS_MAX);
	char expect[CONF_SAY_MAX];

	for (int i = 0; i < n; i++) {
		if (i)
			(void)fprintf(out, "\n%s - %s\n", s[i].name,
			              s[i].driver ? s[i].driver->help : s[i].list->help);
		for (const struct conf_row *r = s[i].rows; r->key; r++) {
			conf_row_expect(r, expect, sizeof expect);
			(void)fprintf(out, "  %-26s %s%s\n  %-26s   (%s)\n", r->key, r->help,
			              r->flags & CONF_RELOAD ? "; reloadable" : "", "", expect);
		}
	}
}

/* --- markdown --------------------------------------------------------------------------------- */

static void put_cell(const char *s, FILE *out)
{
	for (; *s; s++) {
		if (*s == '|')
			(void)fputc('\\', out);
		(void)fputc(*s, out);
	}
}

static void docs_row(const struct conf_row *r, FILE *out)
{
	char expect[CONF_SAY_MAX];

	conf_row_expect(r, expect, sizeof expect);
	(void)fprintf(out, "| `%s` | ", r->key);
	put_cell(expect, out);
	(void)fprintf(out, " | %s | ", r->flags & CONF_RELOAD ? "reload" : "restart");
	put_cell(r->help, out);
	if (r->type == CONF_TEXTS || r->type == CONF_LIST)
		(void)fprintf(out, "; at most %d", r->max_items);
	if (r->flags & CONF_SECRET)
		(void)fputs("; never printed", out);
	(void)fputs(" |\n", out);
}

static void docs_section(const struct conf_section *s, FILE *out)
{
	if (s->list)
		(void)fprintf(out, "\n## `%s`: %s\n", s->name, s->list->help);
	else if (s->driver)
		(void)fprintf(out, "\n## `sources[]` of `type: %s`: %s\n", s->driver->name,
		              s->driver->help);
	else
		(void)fputs("\n## Settings\n", out);
	if (!s->rows[0].key) {
		(void)fputs("\nIt has no settings of its own.\n", out);
		return;
	}
	(void)fputs("\n| key | value | change needs | meaning |\n|---|---|---|---|\n", out);
	for (const struct conf_row *r = s->rows; r->key; r++)
		docs_row(r, out);
}

static const char docs_head[] =
	"# Configuration\n"
	"\n"
	"Written by `honed --docs` from the table that also reads the file; do not edit.\n"
	"\n"
	"The file is YAML: `/etc/honed/honed.yaml`, or the one given with `--config`. A key with a dot\n"
	"stands for nesting: `store.path` is `path:` under `store:`. `[]` is a list, each item begins\n"
	"with `- `. Check a file with `honed --check FILE`: every error is shown with its place, the\n"
	"source line and what was expected, and the exit code is 78. `SIGHUP` reloads; a file with\n"
	"errors leaves the running configuration as it is.\n"
	"\n"
	"* Times need a unit: `us`, `ms`, `s`, `min`, `h` or `d`, as in `1.5h`.\n"
	"* Sizes are bytes, or have a unit: `KB`, `MB`, `GB`, `TB`, each 1024 of the one before.\n"
	"* A name of a channel may hold one range: `S{01..16}_DR` stands for `S01_DR` to `S16_DR`, all\n"
	"  with the same settings. A plain text in place of a channel is its name: `[ax, ay, az]`.\n"
	"* Anchors, aliases, tags and second documents are not supported.\n"
	"\n"
	"Between settings: a name that is referred to exists; names of a list differ; a model has a\n"
	"stream, all its streams have the same number of channels, and window times channels is at\n"
	"most 16384; a model that classifies has 2 classes or more; each device has a `uid` of its\n"
	"own and a source of type `link` of its own, and its stream is added to its model's.\n";

void conf_print_docs(FILE *out)
{
	struct conf_section s[CONF_SECTIONS_MAX];
	const int n = conf_sections(s, CONF_SECTIONS_MAX);

	(void)fputs(docs_head, out);
	for (int i = 0; i < n; i++)
		docs_section(&s[i], out);
}
