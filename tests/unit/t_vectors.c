#include "t_vectors.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t t_vectors_hex(const char *dir, const char *file, const char *name, uint8_t *out, size_t cap)
{
	char path[512], line[256];
	FILE *f;
	bool mine = false;
	size_t n = 0, name_len = strlen(name);

	(void)snprintf(path, sizeof path, "%s/%s", dir, file);
	f = fopen(path, "re");
	if (!f)
		abort();                 /* run it from the root of the tree */
	while (fgets(line, sizeof line, f)) {
		const char *p = line;
		unsigned byte;

		if (strncmp(line, "  ", 2) != 0) {
			mine = strncmp(line, name, name_len) == 0 && strncmp(line + name_len, " =", 2) == 0;
			p += mine ? name_len + 2 : 0;
		}
		for (p += strspn(p, " "); mine && n < cap && sscanf(p, "%2x", &byte) == 1; p += 2)
			out[n++] = (uint8_t)byte;
	}
	(void)fclose(f);
	return n;
}
