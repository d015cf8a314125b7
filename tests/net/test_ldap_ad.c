/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Values as only Active Directory writes them, and what must not pass for one. */
#include "net/ldap_ad.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/time.h"

Test(ldap_ad, a_guid_as_windows_shows_it)
{
	/* of a domain controller: objectGUID:: 0QBHVZH3g0mqvtQvzbw51w== */
	static const unsigned char bytes[] = { 0xd1, 0x00, 0x47, 0x55, 0x91, 0xf7, 0x83, 0x49, 0xaa, 0xbe, 0xd4, 0x2f, 0xcd, 0xbc, 0x39, 0xd7 };
	char text[UUID_TEXT_BYTES];

	cr_assert(ldap_ad_guid(bytes, sizeof(bytes), text));
	cr_assert_str_eq(text, "554700d1-f791-4983-aabe-d42fcdbc39d7");
	cr_assert_not(ldap_ad_guid(bytes, 15, text));
	cr_assert_not(ldap_ad_guid("554700d1-f791-4983-aabe-d42fcdbc39d7", 36, text), "text is none");
	cr_assert_not(ldap_ad_guid("", 0, text));
}

Test(ldap_ad, a_sid)
{
	/* objectSid:: AQUAAAAAAAUVAAAATc66sVFeid1uPrQSTgQAAA== */
	static const unsigned char bytes[] = { 1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0x4d, 0xce, 0xba, 0xb1, 0x51, 0x5e, 0x89, 0xdd, 0x6e, 0x3e, 0xb4,
		0x12, 0x4e, 4, 0, 0 };
	unsigned char longest[8 + 15 * 4] = { 1, 15, 0, 0, 0, 0, 0, 5 };
	char text[LDAP_AD_SID_BYTES], other[LDAP_AD_SID_BYTES];

	cr_assert(ldap_ad_sid(bytes, sizeof(bytes), text));
	cr_assert_str_eq(text, "S-1-5-21-2981809741-3716767313-313802350-1102");
	cr_assert(ldap_ad_sid_of(text, 513, other));
	cr_assert_str_eq(other, "S-1-5-21-2981809741-3716767313-313802350-513");
	for (size_t n = 0; n < sizeof(bytes); n++)
		cr_assert_not(ldap_ad_sid(bytes, n, text), "cut at %zu", n);
	memset(longest + 8, 0xff, sizeof(longest) - 8);
	cr_assert(ldap_ad_sid(longest, sizeof(longest), text), "the longest there is");
	cr_assert_lt(strlen(text), LDAP_AD_SID_BYTES);
	longest[1] = 16;
	cr_assert_not(ldap_ad_sid(longest, sizeof(longest), text));
	cr_assert_not(ldap_ad_sid((const unsigned char[]){ 2, 0, 0, 0, 0, 0, 0, 5 }, 8, text), "another revision");
	cr_assert_not(ldap_ad_sid_of("S-1-5-32", 513, other), "a SID without a domain");
}

Test(ldap_ad, numbers)
{
	static const struct { const char *text; bool is_good; uint32_t value; } rows[] = {
		{ "512", true, 512 }, { "66050", true, 66050 }, { "0", true, 0 }, { "-2147483646", true, 0x80000002u }, { "4294967295", true, 0xffffffffu },
		{ "4294967296", false, 0 }, { "-2147483649", false, 0 }, { "", false, 0 }, { "-", false, 0 }, { " 512", false, 0 }, { "512 ", false, 0 },
		{ "0x200", false, 0 }, { "+512", false, 0 }, { "5e2", false, 0 }, { "99999999999999999999999", false, 0 },
	};

	for (size_t i = 0; i < countof(rows); i++) {
		uint32_t value = 0;

		cr_expect_eq(ldap_ad_number(rows[i].text, strlen(rows[i].text), &value), rows[i].is_good, "\"%s\"", rows[i].text);
		cr_expect(!rows[i].is_good || value == rows[i].value, "\"%s\"", rows[i].text);
	}
	cr_expect_not(ldap_ad_number("51\0" "2", 4, &(uint32_t){ 0 }), "a NUL inside");
}

Test(ldap_ad, times_from_1601_to_9999)
{
	static const struct { const char *text; bool is_good; const char *shown; } rows[] = {
		{ "131592384000000000", true, "2018-01-01T00:00:00.000Z" },
		{ "159984288000000000", true, "2107-12-22T00:00:00.000Z" },
		/* passed, though it is before every clock of ours */
		{ "1", true, "1970-01-01T00:00:00.001Z" }, { "116444736000000000", true, "1970-01-01T00:00:00.001Z" },
		{ "2650467743999999999", true, "9999-12-31T23:59:59.999Z" }, { "2650467744000000000", true, "9999-12-31T23:59:59.999Z" },
		{ "9223372036854775806", true, "9999-12-31T23:59:59.999Z" },
		{ "0", true, NULL }, { "9223372036854775807", true, NULL }, { "000", true, NULL },
		{ "9223372036854775808", false, NULL }, { "-1", false, NULL }, { "", false, NULL }, { "20270101000000Z", false, NULL },
		{ "18446744073709551616", false, NULL }, { "never", false, NULL },
	};
	char shown[TIME_TEXT_BYTES];

	for (size_t i = 0; i < countof(rows); i++) {
		int64_t at = -1;

		cr_expect_eq(ldap_ad_time(rows[i].text, strlen(rows[i].text), &at), rows[i].is_good, "%s", rows[i].text);
		if (!rows[i].is_good)
			continue;
		if (rows[i].shown)
			cr_expect_str_eq(time_text(at, shown), rows[i].shown, "%s: %s", rows[i].text, shown);
		else
			cr_expect_eq(at, 0, "%s is never", rows[i].text);
	}
}

#define WORDS(number) "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data " number ", v1db1"

Test(ldap_ad, every_refusal)
{
	static const struct { const char *words; enum ldap_bind_outcome outcome; } rows[] = {
		{ WORDS("52e"), LDAP_BIND_REFUSED }, { WORDS("525"), LDAP_BIND_REFUSED }, { WORDS("530"), LDAP_BIND_HOURS },
		{ WORDS("531"), LDAP_BIND_WORKSTATION }, { WORDS("532"), LDAP_BIND_PASSWORD_EXPIRED },
		{ WORDS("533"), LDAP_BIND_DISABLED }, { WORDS("701"), LDAP_BIND_EXPIRED_ACCOUNT },
		{ WORDS("773"), LDAP_BIND_MUST_CHANGE },
		/* told to a wrong password, too */
		{ WORDS("775"), LDAP_BIND_LOCKED },
		/* what nobody has heard of is a plain refusal */
		{ WORDS("52f"), LDAP_BIND_REFUSED }, { WORDS("0"), LDAP_BIND_REFUSED },
	};

	for (size_t i = 0; i < countof(rows); i++) {
		unsigned number;
		const struct ldap_ad_refusal *row = ldap_ad_refusal(rows[i].words, &number);

		cr_assert(row, "%s", rows[i].words);
		cr_expect_eq(row->outcome, rows[i].outcome, "%s", rows[i].words);
		cr_expect(*row->meaning && *row->mend, "%s", rows[i].words);
	}
}

Test(ldap_ad, other_words_are_no_refusal_of_that_kind)
{
	static const char *const words[] = {
		"", "Invalid credentials", "data 773", " " WORDS("773"), WORDS("773") " ", WORDS("773") "\n", WORDS(""), WORDS("77g"), WORDS("0x773"),
		WORDS("123456789"), "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 773",
		"80090308: LdapErr: DSID-0C0903A9, comment: something else, data 773, v1db1",
		"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, data 773, v1db1",
		"8009030: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 773, v1db1",
	};
	unsigned number;

	for (size_t i = 0; i < countof(words); i++)
		cr_expect_null(ldap_ad_refusal(words[i], &number), "\"%s\"", words[i]);
}
