/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Names: one form for every spelling of a DN, and escaping that neither a filter nor a DN can be broken out of. */
#include "net/ldap.h"

#include <criterion/criterion.h>
#include <ldap.h>
#include <stdlib.h>
#include <string.h>

#define cr_assert_text(a, b) cr_assert_str_eq((a), (b))

static struct op *op;

static void
begin(void)
{
	op = op_begin(NULL, NULL);
}

static void
end(void)
{
	op_end(op);
}

TestSuite(ldap_dn, .init = begin, .fini = end);

static const char *
normal(const char *dn)
{
	char *key = NULL;
	int rc = ldap_dn_normalise(op, dn, &key);

	op_forgive(op);
	return rc ? "malformed" : key;
}

Test(ldap_dn, case_and_blanks_and_long_type_names_do_not_matter)
{
	const char *key = "cn=admins,ou=groups,dc=clinic,dc=test";

	cr_assert_text(normal("cn=admins,ou=groups,dc=clinic,dc=test"), key);
	cr_assert_text(normal("CN=Admins, OU=Groups , DC=clinic,DC=TEST"), key);
	cr_assert_text(normal("commonName=ADMINS,organizationalUnitName=groups,0.9.2342.19200300.100.1.25=clinic,dc=test"), key);
	cr_assert_text(normal("2.5.4.3=admins,ou=groups,domainComponent=clinic,dc=test"), key);
	cr_assert_text(normal("cn=\\20admins\\20,ou=groups,dc=clinic,dc=test"), key);
	cr_assert_text(normal("cn=\\61dmins,ou=groups,dc=clinic,dc=test"), key);
	cr_assert_text(normal("cn=all  the   staff,dc=test"), "cn=all the staff,dc=test");
	cr_assert_text(normal("cn=all\\20 the staff,dc=test"), "cn=all the staff,dc=test");
}

Test(ldap_dn, servers_spellings_of_special_characters_are_one)
{
	const char *key = "cn=o'brien\\2c eve \\2b co\\231,ou=people,dc=clinic,dc=test";

	cr_assert_text(normal("cn=O'Brien\\, Eve \\+ Co\\#1,ou=people,dc=clinic,dc=test"), key);
	cr_assert_text(normal("cn=O'Brien\\2C Eve \\2B Co#1,ou=people,dc=clinic,dc=test"), key);
	cr_assert_text(normal("cn=a=b,dc=test"), normal("cn=a\\3db,dc=test"));
}

Test(ldap_dn, composed_and_decomposed_letters_are_one)
{
	cr_assert_text(normal("cn=ren\xc3\xa9,dc=test"), normal("cn=rene\xcc\x81,dc=test"));
	cr_assert_text(normal("cn=REN\xc3\x89,dc=test"), normal("cn=ren\xc3\xa9,dc=test"));
	cr_assert_text(normal("cn=ren\\c3\\a9,dc=test"), normal("cn=ren\xc3\xa9,dc=test"));
}

Test(ldap_dn, values_of_one_component_have_no_order)
{
	cr_assert_text(normal("uid=a+cn=b,dc=test"), normal("cn=b+uid=a,dc=test"));
	cr_assert_text(normal("uid=a+cn=b,dc=test"), "cn=b+uid=a,dc=test");
}

Test(ldap_dn, different_names_stay_different)
{
	/* a component more or less, a comma inside or outside: the group an attacker may create is never the one of a rule */
	cr_assert_str_neq(normal("cn=admins,ou=sandbox,dc=test"), normal("cn=admins,ou=groups,dc=test"));
	cr_assert_str_neq(normal("cn=admins\\,ou=groups,dc=test"), normal("cn=admins,ou=groups,dc=test"));
	cr_assert_str_neq(normal("cn=admins+ou=groups,dc=test"), normal("cn=admins,ou=groups,dc=test"));
	cr_assert_str_neq(normal("cn=#0406616c6963,dc=test"), normal("cn=alic,dc=test"));
	cr_assert_str_neq(normal("cn=\\2361,dc=test"), normal("cn=#61,dc=test"));
	cr_assert_null(strchr(normal("cn=a\\,b") + 3, ','), "a value holds no bare comma");
}

Test(ldap_dn, what_is_no_dn_is_refused)
{
	static const char *const bad[] = { "", "alice", "cn=", "=x,dc=test", "cn=a,,dc=test", "cn=a,", "cn=a\\", "cn=a\\0", "cn=\"a,dc=test", "cn=#zz,dc=test",
		"cn=\xff,dc=test", "cn=\\ff,dc=test", "cn=a\\00b,dc=test", "," };

	for (size_t i = 0; i < countof(bad); i++) {
		char *key;
		int rc = ldap_dn_normalise(op, bad[i], &key);

		/* an empty value is a DN to RFC 4514; it must only stay what it is */
		if (strcmp(bad[i], "cn=") == 0)
			cr_assert(rc == ERR_MALFORMED || strcmp(key, "cn=") == 0);
		else
			cr_assert_eq(rc, ERR_MALFORMED, "taken: %s", bad[i]);
	}
}

Test(ldap_dn, plain_and_parsed_names_come_out_alike)
{
	/* the short way for plain names and the long one through the parser: the same letters, one of them escaped to force the parser */
	static const char letters[] = "abcXYZ019 -_.'@()/:*&!$%^~`{}[]|?";

	srandom(7);
	for (int round = 0; round < 2000; round++) {
		char plain[64] = "CN=x", escaped[128] = "CN=\\78";
		size_t n = 4, e = 6;

		for (int i = 0; i < 20; i++) {
			char c = letters[(size_t)random() % (sizeof(letters) - 1)];

			plain[n++] = escaped[e++] = c;
		}
		strcpy(plain + n, "y,OU=A b,DC=test");
		strcpy(escaped + e, "y,OU=A b,DC=test");
		cr_assert_str_eq(normal(plain), normal(escaped), "%s", plain);
	}
}

Test(ldap_dn, below_means_whole_components)
{
	cr_assert(ldap_dn_is_under(normal("cn=a,ou=people,dc=test"), normal("ou=People,dc=test")));
	cr_assert(ldap_dn_is_under(normal("ou=people,dc=test"), normal("ou=people,dc=test")));
	cr_assert_not(ldap_dn_is_under(normal("cn=a,xou=people,dc=test"), normal("ou=people,dc=test")));
	cr_assert_not(ldap_dn_is_under(normal("cn=a\\,ou=people,dc=test"), normal("ou=people,dc=test")));
	cr_assert_not(ldap_dn_is_under(normal("dc=test"), normal("ou=people,dc=test")));
}

Test(ldap_dn, filter_values_cannot_leave_their_place)
{
	cr_assert_text(ldap_filter_escape(op, "*)(uid=*))(|(uid=*", 18), "\\2a\\29\\28uid=\\2a\\29\\29\\28|\\28uid=\\2a");
	cr_assert_text(ldap_filter_escape(op, "a\0b", 3), "a\\00b");
	cr_assert_text(ldap_filter_escape(op, "\\2a", 3), "\\5c2a");
	cr_assert_text(ldap_filter_escape(op, "ren\xc3\xa9", 5), "ren\xc3\xa9");
}

Test(ldap_dn, urls_are_read_strictly)
{
	static const char *const bad[] = { "http://a", "ldaps://", "ldaps://:636", "ldaps://a:0", "ldaps://a:65536", "ldaps://a:6x", "ldaps://a/dc=x", "ldaps://[::1",
		"ldaps://u@a", "ldap://a b", "ldapi://%2Fx", "ldaps://a:+5" };
	bool is_ldaps;
	char *host;
	int port;

	cr_assert_eq(ldap_url_read(op, "ldaps://dc1.clinic.test", &is_ldaps, &host, &port), 0);
	cr_assert(is_ldaps && port == 636);
	cr_assert_text(host, "dc1.clinic.test");
	cr_assert_eq(ldap_url_read(op, "ldap://[::1]:3389/", &is_ldaps, &host, &port), 0);
	cr_assert(!is_ldaps && port == 3389);
	cr_assert_text(host, "::1");
	for (size_t i = 0; i < countof(bad); i++)
		cr_assert_eq(ldap_url_read(op, bad[i], &is_ldaps, &host, &port), ERR_INVALID, "taken: %s", bad[i]);
}
