/* Every single allocation of a load fails once, those of libyaml too: the failure is reported, the
 * result is untouched, and no block stays behind.
 *
 * The allocator of the C library is replaced by the program's own (symbol interposition), which
 * needs no linker flag and reaches shared libraries.  The sanitizers bring their own allocator:
 * under them only the undisturbed load is tried. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "t_conf.h"
#include "t_run.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_ALLOCATOR 0
#endif
#endif
#ifndef OWN_ALLOCATOR
#define OWN_ALLOCATOR 1
#endif

static long left = -1;           /* allocations until one fails, -1 = none fails               */
static long n_blocks;            /* allocated and not freed                                    */

#if OWN_ALLOCATOR
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

static int fails(void)
{
	return left >= 0 && left-- == 0;
}

static void *counted(void *p)
{
	if (p)
		n_blocks++;
	return p;
}

void *malloc(size_t n)
{
	return fails() ? NULL : counted(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
	if (fails())
		return NULL;
	return p ? __libc_realloc(p, n) : counted(__libc_realloc(NULL, n));
}

void free(void *p)
{
	if (p)
		n_blocks--;
	__libc_free(p);
}
#endif

static char said[65536];

/* Load with the n-th allocation failing; the number of errors.  *hit: it was reached. */
static int load_failing(const char *text, long n, struct conf **c, bool *hit)
{
	FILE *to = fmemopen(said, sizeof said, "w");
	int errors;

	ck_assert_ptr_nonnull(to);
	left = n;
	errors = conf_load_text(c, "t.yaml", text, strlen(text), to);
	*hit = left < 0;
	left = -1;
	ck_assert_int_eq(fclose(to), 0);
	return errors;
}

/* Every allocation of a load of `text` in turn; how many there are. */
static long all_of(const char *text, int undisturbed)
{
	bool hit = true;
	long n = 0;

	conf_set_drivers(t_drivers);
	for (; n < 100000; n++) {
		const long before = n_blocks;
		struct conf *c = NULL;
		const int errors = load_failing(text, n, &c, &hit);

		if (!hit) {
			ck_assert_int_eq(errors, undisturbed);
			free(c);
			break;
		}
		/* qsort(3) does without the memory it asks for: then all errors are there. */
		ck_assert_msg(errors == -1 || (undisturbed && errors == undisturbed),
		              "allocation %ld: not reported: %s", n, said);
		ck_assert_msg(errors > 0 || strstr(said, "out of memory"), "allocation %ld: %s", n,
		              said);
		ck_assert_msg(c == NULL, "allocation %ld: a result", n);
		ck_assert_msg(n_blocks == before, "allocation %ld: %ld blocks are left", n,
		              n_blocks - before);
	}
	ck_assert_msg(!hit, "no end");
	return n;
}

START_TEST(a_good_file_survives_every_single_failure)
{
	const long n = all_of(t_conf_good, 0);

	printf("  %ld allocations failed one after the other\n", n);
	ck_assert_int_ge(n, OWN_ALLOCATOR ? 100 : 0);
}
END_TEST

START_TEST(a_bad_file_survives_every_single_failure)
{
	ck_assert_int_ge(all_of("store:\n  pth: [&a x, *a, !t y]\nsources:\n  - {name: a, type: b}\n", 5),
	                 OWN_ALLOCATOR ? 50 : 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf_alloc");
	TCase *t = tcase_create("conf_alloc");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_good_file_survives_every_single_failure);
	tcase_add_test(t, a_bad_file_survives_every_single_failure);
	return t_run(s);
}
