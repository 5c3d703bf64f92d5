/* libFuzzer: any bytes as a line of the line protocol.
 * Build: -fsanitize=fuzzer,address,undefined. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "hn_lineproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *line = malloc(len + 1);
	struct hn_lineproto lp;
	struct hn_lineproto_field f;
	size_t fields = 0;
	hn_status rc;

	if (!line)
		return 0;
	memcpy(line, data, len);
	line[len] = '\0';
	(void)hn_lineproto_blank(line, len);
	rc = hn_lineproto_begin(&lp, line, len);
	while (rc == HN_OK) {
		rc = hn_lineproto_next(&lp, &f);
		if (rc == HN_OK && (strlen(f.key) == 0 || strlen(f.key) > len || ++fields > len))
			abort();
	}
	if (rc != HN_ENOENT && rc != HN_EFORMAT)
		abort();
	if (rc == HN_ENOENT && (fields == 0 || *lp.measurement == '\0'))
		abort();
	free(line);
	return 0;
}
