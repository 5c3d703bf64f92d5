/* conf_section.h - all tables of rows one after the other, for what is printed from them. */
#ifndef CONF_SECTION_H
#define CONF_SECTION_H

#include "conf.h"

enum { CONF_SECTIONS_MAX = 64 };

struct conf_section {
	char name[64];                   /* "", "streams[].channels[]", "sources[] type link"  */
	char id[64];                     /* unique word: "settings", "channels", "source_link" */
	const struct conf_row *rows;
	const struct conf_row *list;     /* the row whose items these are, or NULL             */
	const struct conf_driver *driver;        /* these are its rows, or NULL                */
};

/* The root, then every list under the one that holds it, then the drivers.  Returns the number. */
int conf_sections(struct conf_section *out, int cap);

/* What a user would write for the example of `r`: its default or, when required, its example. */
void conf_example(const struct conf_row *r, char *out, size_t cap);

/* Length of the group in a dotted key: 5 for "train.epochs", 0 for "name". */
size_t conf_group_length(const char *key);
#endif
