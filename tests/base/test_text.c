/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Text, encodings, times and ids. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/config.h"
#include "base/mem.h"
#include "base/op.h"
#include "base/text.h"
#include "base/time.h"
#include "base/uuid.h"

static struct op *op;

static void
setup(void)
{
	op = op_begin(NULL, NULL);
}

static void
teardown(void)
{
	op_end(op);
}

TestSuite(text, .init = setup, .fini = teardown);

Test(text, folding_joins_what_people_take_for_the_same)
{
	cr_assert_str_eq(text_fold(op->mem, "ALICE"), "alice");
	cr_assert_str_eq(text_fold(op->mem, "\xef\xbc\xa1lice"), "alice");          /* fullwidth A */
	cr_assert_str_eq(text_fold(op->mem, "Stra\xc3\x9f" "e"), "strasse");
	cr_assert_str_eq(text_fold(op->mem, "re\xcc\x81"), text_fold(op->mem, "r\xc3\xa9"));
	cr_assert_str_eq(text_fold(op->mem, ""), "");
}

Test(text, folding_keeps_apart_what_is_not_the_same)
{
	cr_assert_str_neq(text_fold(op->mem, "alice "), "alice");
	cr_assert_str_neq(text_fold(op->mem, "al\xc4\xb1" "ce"), "alice");              /* dotless i */
	cr_assert_null(text_fold(op->mem, "\xff"));
	cr_assert_null(text_fold(op->mem, "\xc0\x80"));
}

/* ASCII goes a short way of its own: an accent behind it takes the long one. */
Test(text, folding_is_the_same_both_ways)
{
	for (int c = 1; c < 0x80; c++) {
		char *shorter = text_fold(op->mem, op_printf(op, "%cx", c)), *longer = text_fold(op->mem, op_printf(op, "%cx\xc3\xa9", c));

		cr_assert_str_eq(op_printf(op, "%s\xc3\xa9", shorter), longer, "character %d", c);
	}
	cr_assert(text_is_utf8("plain text, and longer than a word", 34) && text_is_utf8("then an accent: \xc3\xa9", 18));
	cr_assert(!text_is_utf8("nothing\0behind", 14) && !text_is_utf8("good for a while, then \xff", 24));
}

Test(text, base64url_is_strict)
{
	static const char *const bad[] = { "QQ==", "Q Q", "QQ\n", "Q+A", "Q/A", "QR", "Q", "QUJ=" };
	unsigned char *data;
	size_t n;

	for (size_t i = 0; i < countof(bad); i++)
		cr_expect_not(base64url_decode(op->mem, bad[i], strlen(bad[i]), &data, &n), "%s", bad[i]);
	cr_assert(base64url_decode(op->mem, "QUI", 3, &data, &n));
	cr_assert_eq(n, 2);
	cr_assert_arr_eq(data, "AB", 2);
	for (size_t i = 0; i < 60; i++) {
		unsigned char bytes[60];
		char *text;

		memset(bytes, (int)(i * 37), i);
		text = base64url_encode(op->mem, bytes, i);
		cr_assert(base64url_decode(op->mem, text, strlen(text), &data, &n));
		cr_assert_eq(n, i);
		cr_assert_eq(memcmp(data, bytes, i), 0);
	}
}

Test(text, percent_coding_goes_both_ways)
{
	struct buf buf = buf_in(op->mem);
	char out[64];
	size_t n = 0;

	buf_add_percent(&buf, "a b/c?d=e&f+g%~-._\xc3\xa9");
	cr_assert_str_eq(buf.text, "a%20b%2Fc%3Fd%3De%26f%2Bg%25~-._%C3%A9");
	cr_assert(percent_decode(buf.text, strlen(buf.text), false, out, &n));
	cr_assert_str_eq(out, "a b/c?d=e&f+g%~-._\xc3\xa9");
	cr_assert_eq(n, strlen(out));
	cr_assert(percent_decode("a+b%2b", 6, true, out, &n) && strcmp(out, "a b+") == 0);
	cr_assert(percent_decode("a+b", 3, false, out, &n) && strcmp(out, "a+b") == 0);
	cr_assert(percent_decode("a%00b", 5, false, out, &n) && n == 3 && out[1] == '\0', "the caller is told of a NUL by the length");
}

Test(text, a_bad_percent_escape_is_refused)
{
	static const char *const bad[] = { "%", "%2", "a%", "a%4", "%zz", "%4g", "% 1" };
	char out[8];
	size_t n;

	for (size_t i = 0; i < countof(bad); i++)
		cr_assert_not(percent_decode(bad[i], strlen(bad[i]), true, out, &n), "%s", bad[i]);
	cr_assert_not(percent_decode("%41", 2, true, out, &n), "it looked behind the end");
}

Test(text, the_nearest_word_is_near)
{
	static const char *const words[] = { "session_idle", "session_absolute", "listen" };

	cr_assert_str_eq(text_nearest("sesion_idle", words, countof(words)), "session_idle");
	cr_assert_str_eq(text_nearest("lisetn", words, countof(words)), "listen");
	cr_assert_null(text_nearest("database", words, countof(words)));
}

Test(text, times_are_read_and_written)
{
	char text[TIME_TEXT_BYTES];
	int64_t ms;

	cr_assert(time_parse("2026-11-22T13:40:00+01:30", &ms));
	cr_assert_str_eq(time_text(ms, text), "2026-11-22T12:10:00.000Z");
	cr_assert(time_parse("2028-02-29", &ms));
	cr_assert_not(time_parse("2026-02-29", &ms));
	cr_assert_not(time_parse("2026-13-01", &ms));
	cr_assert_not(time_parse("2026-11-22T24:00:00Z", &ms));
	cr_assert_not(time_parse("2026-11-22T13:40:00", &ms));
	cr_assert(time_parse_generalized("20261122134000Z", &ms));
	cr_assert_str_eq(time_text(ms, text), "2026-11-22T13:40:00.000Z");
	cr_assert(time_parse_generalized("2026112213.5-0130", &ms));
	cr_assert_str_eq(time_text(ms, text), "2026-11-22T15:00:00.000Z");
	cr_assert(time_parse_generalized("000001010000Z", &ms));         /* what slapd writes for "disabled" */
	cr_assert(time_parse_generalized("99991231235959Z", &ms));
	cr_assert_not(time_parse_generalized("20261122134000", &ms));
	cr_assert_not(time_parse_generalized("2026112213400000Z", &ms));
	cr_assert_str_eq(time_text(INT64_MAX, text), "9999-12-31T23:59:59.999Z");
	cr_assert_str_eq(time_text(INT64_MIN, text), "0000-01-01T00:00:00.000Z");
}

Test(text, ids_grow)
{
	char last[UUID_TEXT_BYTES], next[UUID_TEXT_BYTES];

	uuid_new(last, time_now_ms());
	for (int i = 0; i < 20000; i++) {
		uuid_new(next, time_now_ms() - (i % 5));
		cr_assert_lt(strcmp(last, next), 0);
		cr_assert(uuid_is_valid(next));
		cr_assert_eq(next[14], '7');
		strcpy(last, next);
	}
	cr_assert_not(uuid_is_valid("0"));
	cr_assert_not(uuid_is_valid("0199AAAA-0000-7000-8000-000000000000"));
}

Test(text, a_password_in_the_address_of_a_database_is_not_shown)
{
	static const char *const pairs[][2] = {
		{ "postgresql://a:Tr0ub4dor@h/x", "postgresql://a:***@h/x" },
		{ "postgres://a:Tr0@ub/4?dor@h:5/x?password=@/p", "postgres://a:***@h:5/x?password=@/p" },
		{ "postgresql://a:Tr0ub4dor=@h/x", "postgresql://a:***@h/x" },
		{ "postgresql://a?b:Tr0ub4dor@h/x", "postgresql://a?b:***@h/x" },
		{ "postgresql://h:5432/x?password=@/p", "postgresql://h:5432/x?password=@/p" },
		{ "postgresql://a@h/x?user=b&password=Tr0ub4dor&sslmode=prefer", "postgresql://a@h/x?user=b&password=***&sslmode=prefer" },
		{ "postgresql://a@h/x?p%61ssword=Tr0ub4dor", "postgresql://a@h/x?p%61ssword=***" },
		{ "postgresql://a@h/x?password=credential:p", "postgresql://a@h/x?password=credential:p" },
		{ "host=h password=Tr0ub4dor dbname=x", "host=h password=*** dbname=x" },
		{ "host=h  password = 'Tr0 \\'ub4dor' dbname=x", "host=h  password = *** dbname=x" },
		{ "host=h password=Tr0\\ ub4dor", "host=h password=***" },
		{ "host=h sslpassword='Tr0ub4dor", "host=h sslpassword=***" },
		{ "host=h password=@/p dbname=x", "host=h password=@/p dbname=x" },
		{ "/var/lib/password=1.db", "/var/lib/password=1.db" },
		{ "host=", "host=" },
	};

	for (size_t i = 0; i < countof(pairs); i++)
		cr_expect_str_eq(config_database_shown(op->mem, pairs[i][0]), pairs[i][1]);
}
