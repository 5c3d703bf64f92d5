/* hn_lineproto: one line of the InfluxDB line protocol. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hn_lineproto.h"
#include "t_run.h"

/* What a line means, as text: "measurement key=value ... @time", or NULL when it is refused. */
static const struct { const char *line, *means; } lines[] = {
	{ "vib x=1", "vib x=1" },
	{ "vib x=1 1700000000000000000", "vib x=1 @1700000000000000000" },
	{ "vib,host=a,rack=1 x=1.5,y=-2e3", "vib x=1.5 y=-2000" },
	{ "  vib   x=1   -5  ", "vib x=1 @-5" },
	{ "vib x=12i,y=7u", "vib x=12 y=7" },
	{ "vib x=-12i", "vib x=-12" },
	{ "vib x=9223372036854775807i", "vib x=9.22337e+18" },
	{ "vib x=99999999999999999999999i", "vib x=1e+23" },
	{ "vib x=1e999,y=-1e999", "vib x=inf y=-inf" },
	{ "vib x=NaN,y=+Inf", "vib x=nan y=inf" },
	{ "vib a=t,b=T,c=true,d=True,e=TRUE", "vib a=1 b=1 c=1 d=1 e=1" },
	{ "vib a=f,b=F,c=false,d=False,e=FALSE", "vib a=0 b=0 c=0 d=0 e=0" },
	{ "vib s=\"text\",x=2", "vib s=nan x=2" },
	{ "vib s=\"a,b =c\\\" \\\\\",x=2 3", "vib s=nan x=2 @3" },
	{ "vib s=\"\"", "vib s=nan" },
	{ "a\\ b\\,c x=1", "a b,c x=1" },
	{ "vib x\\ y\\,z\\=w=1", "vib x y,z=w=1" },
	{ "vib,t\\ a\\=g=v\\,al\\ ue x=1", "vib x=1" },
	{ "vib a\\b=1", "vib a\\b=1" },
	{ "vib,k==v x=1", NULL },
	{ "vib", NULL }, { "vib ", NULL }, { "vib x", NULL }, { "vib x=", NULL }, { "vib =1", NULL },
	{ "vib,host x=1", NULL }, { "vib, x=1", NULL }, { "vib,a= x=1", NULL }, { ",a=b x=1", NULL },
	{ "vib,a=b", NULL }, { "vib x=1,", NULL }, { "vib x=1,,y=2", NULL }, { "vib x=1 y=2", NULL },
	{ "vib x=1 12.5", NULL }, { "vib x=1 99999999999999999999", NULL }, { "vib x=1 2 3", NULL },
	{ "vib x=\"open", NULL }, { "vib x=\"a\"b", NULL }, { "vib x=i", NULL }, { "vib x=-i", NULL },
	{ "vib x=-1u", NULL }, { "vib x=1.5i", NULL }, { "vib x=0x1p3", NULL }, { "vib x=tru", NULL },
	{ "vib x=1 2i", NULL }, { "vib x=--1", NULL }, { "vib x=1e", NULL },
};

/* Parse a copy of exactly the right size, so that a sanitizer sees every step beyond it. */
static bool read_line(const char *text, size_t len, char *out, size_t cap)
{
	char *line = malloc(len + 1);
	struct hn_lineproto lp;
	struct hn_lineproto_field f;
	hn_status rc;
	size_t at;

	memcpy(line, text, len);
	line[len] = '\0';
	rc = hn_lineproto_begin(&lp, line, len);
	at = rc ? 0 : (size_t)snprintf(out, cap, "%s", lp.measurement);
	while (rc == HN_OK) {
		rc = hn_lineproto_next(&lp, &f);
		if (rc == HN_OK)
			at += (size_t)snprintf(out + at, cap - at, " %s=%g", f.key, f.value);
		ck_assert_uint_lt(at, cap);
	}
	ck_assert(rc == HN_ENOENT || rc == HN_EFORMAT);
	if (rc == HN_ENOENT && lp.has_time)
		(void)snprintf(out + at, cap - at, " @%lld", (long long)lp.time);
	free(line);
	return rc == HN_ENOENT;
}

START_TEST(a_line_means_what_the_protocol_says)
{
	char got[256] = "";
	bool ok = read_line(lines[_i].line, strlen(lines[_i].line), got, sizeof got);

	ck_assert_msg(ok == (lines[_i].means != NULL), "'%s' gave %s", lines[_i].line, got);
	if (ok)
		ck_assert_str_eq(got, lines[_i].means);
}
END_TEST

START_TEST(every_truncation_of_a_line_is_refused_or_a_shorter_line)
{
	const char *text = lines[_i].line;
	char got[256], again[256];

	for (size_t n = 0; n < strlen(text); n++) {
		bool ok = read_line(text, n, got, sizeof got);

		ck_assert(ok == read_line(text, n, again, sizeof again));
		ck_assert_msg(!ok || n >= strlen("m x=1"), "'%.*s'", (int)n, text);
	}
}
END_TEST

START_TEST(every_single_byte_change_is_survived)
{
	const char *text = "m\\ 1,tag=a\\,b f=1.5,g=\"s\\\"t\",h=-3i,k=T 1700000000";
	char copy[64], got[256];
	size_t n = strlen(text);
	int taken = 0;

	for (size_t i = 0; i < n; i++)
		for (int byte = 0; byte < 256; byte++) {
			memcpy(copy, text, n);
			copy[i] = (char)byte;
			taken += read_line(copy, n, got, sizeof got);
		}
	ck_assert_int_gt(taken, 0);
	ck_assert_int_lt(taken, (int)n * 256);
}
END_TEST

static const struct { const char *text; bool blank; } blanks[] = {
	{ "", true }, { "  \t", true }, { "# note", true }, { "  # note", true }, { "m x=1", false },
	{ " m", false },
};

START_TEST(comments_and_empty_lines_hold_nothing)
{
	ck_assert(hn_lineproto_blank(blanks[_i].text, strlen(blanks[_i].text)) == blanks[_i].blank);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("lineproto");
	TCase *t = tcase_create("lineproto");

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, a_line_means_what_the_protocol_says, 0, COUNT(lines));
	tcase_add_loop_test(t, every_truncation_of_a_line_is_refused_or_a_shorter_line, 0, COUNT(lines));
	tcase_add_test(t, every_single_byte_change_is_survived);
	tcase_add_loop_test(t, comments_and_empty_lines_hold_nothing, 0, COUNT(blanks));
	return t_run(s);
}
