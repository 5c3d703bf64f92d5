/* constant_time.c - for clang's memory sanitizer: key, MAC and message are marked as unknown, and
 * whatever branches on an unknown bit, or uses it as an address, ends the program.
 * Argument: `hmac`, `equal`; `early`: a comparison that stops at the first difference, to show that
 * such a thing is found.  Method: Langley 2010, ctgrind. */
#include <sanitizer/msan_interface.h>
#include <stdio.h>
#include <string.h>
#include "hd_sha256.h"

static bool early(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

int main(int argc, char **argv)
{
	uint8_t key[32] = { 1 }, message[200] = { 2 }, mac[32], other[32] = { 3 };
	const char *what = argc > 1 ? argv[1] : "";
	bool same = false;

	__msan_poison(key, sizeof key);
	__msan_poison(message, sizeof message);
	__msan_poison(other, sizeof other);
	hd_hmac(key, message, sizeof message, mac);
	if (strcmp(what, "equal") == 0)
		same = hd_equal(mac, other, sizeof mac);
	else if (strcmp(what, "early") == 0)
		same = early(mac, other, sizeof mac);
	__msan_unpoison(&same, sizeof same);
	__msan_unpoison(mac, sizeof mac);
	printf("constant-time: %s, %d %u\n", what, same, mac[0]);
	return 0;
}
