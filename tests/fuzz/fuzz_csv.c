/* libFuzzer: the first byte sizes the line buffer and the pieces, the rest is a CSV file.
 * Build: -fsanitize=fuzzer,address,undefined. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "hn_csv.h"
#include "hn_lines.h"

enum { FIELDS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void use(char *line, size_t len)
{
	char *field[FIELDS];
	int64_t us;
	size_t n;

	if (line[len] != '\0')
		abort();
	if (hn_csv_split(line, len, field, FIELDS, &n) != HN_OK)
		return;
	if (n == 0 || n > len + 1)
		abort();
	for (size_t i = 0; i < n && i < FIELDS; i++) {
		if (strlen(field[i]) > len)
			abort();
		(void)hn_csv_number(field[i]);
		for (int unit = HN_CSV_S; unit <= HN_CSV_NS; unit++)
			if (hn_csv_time(field[i], (enum hn_csv_unit)unit, &us) == HN_OK && us < 0)
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t cap = len ? 2 + data[0] : 2, at = 1, n, got;
	char *buf = malloc(cap), *line;
	struct hn_lines l;

	if (!buf)
		return 0;
	hn_lines_init(&l, buf, cap);
	while (at < len) {
		char *to = hn_lines_room(&l, &n);

		n = n < len - at ? n : len - at;
		n = n > 1 && n > data[0] % 13u + 1 ? data[0] % 13u + 1 : n;
		memcpy(to, data + at, n);
		hn_lines_add(&l, n);
		at += n;
		while (hn_lines_next(&l, &line, &got))
			use(line, got);
	}
	if (hn_lines_last(&l, &line, &got))
		use(line, got);
	free(buf);
	return 0;
}
