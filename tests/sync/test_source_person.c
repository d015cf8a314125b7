/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One entry to one person: what makes an entry unusable, and what its account state is. */
#include "../../src/sync/source_int.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/json.h"

#define NOW_MS INT64_C(1800000000000)   /* 2027-01-15 */
#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"

static struct op *op;
static struct shape_directory body;
static struct catalog_directory directory;
static struct source_rules rules;
static struct source_setup *setup;
static struct ldap_value values[32];
static struct ldap_attribute attributes[32];
static struct ldap_entry entry;
static struct source_person got;
static const char *why;

/* Adds a value; several calls with one name make several values. */
static void
give(const char *name, const char *value)
{
	static size_t used;

	if (entry.n == 0)
		used = 0;
	if (entry.n == 0 || strcmp(attributes[entry.n - 1].name, name) != 0)
		attributes[entry.n++] = (struct ldap_attribute){ name, &values[used], 0 };
	values[used++] = (struct ldap_value){ value, strlen(value) };
	attributes[entry.n - 1].n++;
}

static void
begin(void)
{
	static const char *const asked[] = { "employeetype", NULL };

	op = op_begin(NULL, NULL);
	body = (struct shape_directory){ .name = "clinic", .kind = "openldap", .base = "ou=people,dc=clinic,dc=test" };
	directory = (struct catalog_directory){ .id = "D", .version = 1, .body = &body };
	rules.attributes = asked;
	cr_assert_eq(source_setup_make(op, &directory, &rules, &setup), 0);
	entry = (struct ldap_entry){ .dn = "uid=alice,ou=People,dc=clinic,dc=test", .attributes = attributes };
}

static void
end(void)
{
	op_end(op);
}

TestSuite(source_person, .init = begin, .fini = end);

static int
take(void)
{
	return source_person_read(op, setup, &entry, NOW_MS, &got, &why);
}

Test(source_person, a_whole_entry)
{
	give("entryUUID", "0F8FAD5B-D9CB-469F-A165-70867728950E");
	give("uid", "Alice");
	give("cn", "Alice Smith");
	give("mail", "z@clinic.test");
	give("mail", "alice@clinic.test");
	give("givenName", "Alice");
	give("sn", "Smith \"the\" \\ Bold");
	give("telephoneNumber", "+1 555 1");
	give("employeeType", "Inventory");
	cr_assert_eq(take(), 0);
	cr_assert_str_eq(got.person.external_id, ID);
	cr_assert_str_eq(got.person.login, "Alice");
	cr_assert_str_eq(got.person.display_name, "Alice Smith");
	cr_assert_str_eq(got.person.mail, "alice@clinic.test", "the order of values does not matter");
	cr_assert_str_eq(got.dn_key, "uid=alice,ou=people,dc=clinic,dc=test");
	cr_assert(got.person.is_active && got.person.until == 0);
	cr_assert_str_eq(got.person.reason, "");
	cr_assert_eq(got.n_values, 1);
	cr_assert_str_eq(got.values[0].name, "employeetype");
	cr_assert_str_eq(got.values[0].key, "inventory");
}

Test(source_person, attributes_are_canonical_json)
{
	json_t *value;

	give("entryUUID", ID);
	give("uid", "alice");
	give("sn", "Smith \"the\" \\ B\xc3\xb6ld");
	give("title", "Nurse");
	give("c", "DE");
	give("telephoneNumber", "+1\n555");
	cr_assert_eq(take(), 0);
	cr_assert_eq(json_read(op, got.person.attributes, strlen(got.person.attributes), &value), 0);
	cr_assert_str_eq(got.person.attributes, json_canonical(op, value));
	cr_assert_str_eq(json_get_text(value, "family_name"), "Smith \"the\" \\ B\xc3\xb6ld");
	cr_assert_null(json_get_text(value, "phone"), "a strange value is left out, the person stays");
}

Test(source_person, identity_must_be_there_once)
{
	give("uid", "alice");
	cr_assert_eq(take(), 1);
	give("entryUUID", "not-a-uuid");
	cr_assert_eq(take(), 1);
	end();
	begin();
	give("uid", "alice");
	give("entryUUID", ID);
	give("entryUUID", "1f8fad5b-d9cb-469f-a165-70867728950e");
	cr_assert_eq(take(), 1);
	cr_assert_null(got.person.external_id, "an entry with two ids has none that can be used");
	end();
	begin();
	give("uid", "alice");
	give("entryUUID", ID "x");
	cr_assert_eq(take(), 1);
}

Test(source_person, login_must_be_there_once_and_sound)
{
	static const char *const bad[] = { "", "a\nb", "a\x7f", "\xff\xfe", "a\xc2\x85" };
	char longest[SOURCE_LOGIN_MAX + 2];

	give("entryUUID", ID);
	cr_assert_eq(take(), 1, "no login");
	give("uid", "alice");
	give("uid", "alice2");
	cr_assert_eq(take(), 1, "two logins");
	for (size_t i = 0; i < countof(bad); i++) {
		end();
		begin();
		give("entryUUID", ID);
		give("uid", bad[i]);
		cr_assert_eq(take(), 1, "taken: %zu", i);
		cr_assert_str_eq(got.person.external_id, ID, "a skipped entry tells its id");
	}
	memset(longest, 'a', sizeof(longest));
	longest[SOURCE_LOGIN_MAX + 1] = '\0';
	end();
	begin();
	give("entryUUID", ID);
	give("uid", longest);
	cr_assert_eq(take(), 1, "too long");
	longest[SOURCE_LOGIN_MAX] = '\0';
	end();
	begin();
	give("entryUUID", ID);
	give("uid", longest);
	cr_assert_eq(take(), 0, "as long as may be");
}

Test(source_person, an_entry_from_elsewhere_is_not_taken)
{
	give("entryUUID", ID);
	give("uid", "alice");
	entry.dn = "uid=alice,ou=service,dc=clinic,dc=test";
	cr_assert_eq(take(), 1);
	entry.dn = "uid=alice\\,ou=people,dc=clinic,dc=test";
	cr_assert_eq(take(), 1);
	entry.dn = "";
	cr_assert_eq(take(), 1);
	entry.dn = "uid=alice\xff,ou=people,dc=clinic,dc=test";
	cr_assert_eq(take(), 1);
}

Test(source_person, locked_for_good_is_disabled_locked_for_a_while_is_not)
{
	give("entryUUID", ID);
	give("uid", "alice");
	give("pwdAccountLockedTime", "000001010000Z");
	cr_assert_eq(take(), 0);
	cr_assert_not(got.person.is_active);
	cr_assert_str_eq(got.person.reason, "disabled");
	end();
	begin();
	give("entryUUID", ID);
	give("uid", "alice");
	give("pwdAccountLockedTime", "20270115075959Z");
	give("pwdReset", "TRUE");
	cr_assert_eq(take(), 0);
	cr_assert(got.person.is_active);
}

Test(source_person, the_end_of_an_account_decides_by_the_clock)
{
	unsigned char before[32];

	give("entryUUID", ID);
	give("uid", "alice");
	cr_assert_eq(take(), 0);
	memcpy(before, got.person.digest, 32);
	give("pwdEndTime", "20270115080001Z");
	cr_assert_eq(take(), 0);
	cr_assert(got.person.is_active);
	cr_assert_eq(got.person.until, NOW_MS + 1000);
	cr_assert_neq(memcmp(before, got.person.digest, 32), 0, "the state is part of the digest");
	end();
	begin();
	give("entryUUID", ID);
	give("uid", "alice");
	give("pwdEndTime", "20270115080000Z");
	cr_assert_eq(take(), 0);
	cr_assert_not(got.person.is_active);
	cr_assert_str_eq(got.person.reason, "expired");
	end();
	begin();
	give("entryUUID", ID);
	give("uid", "alice");
	give("pwdEndTime", "soon");
	cr_assert_eq(take(), 1, "an end that cannot be read is never 'no end'");
}

Test(source_person, a_configured_mark_disables)
{
	body.disabled_attribute = "employeeType";
	body.disabled_value = "Disabled";
	cr_assert_eq(source_setup_make(op, &directory, &rules, &setup), 0);
	give("entryUUID", ID);
	give("uid", "alice");
	give("employeeType", "dISABLED");
	cr_assert_eq(take(), 0);
	cr_assert_not(got.person.is_active);
	values[2].data = "active";
	values[2].size = 6;
	cr_assert_eq(take(), 0);
	cr_assert(got.person.is_active);
	values[2].data = "\xff";
	values[2].size = 1;
	cr_assert_eq(take(), 0);
	cr_assert_not(got.person.is_active, "what cannot be read counts as disabled");
}

Test(source_person, values_with_a_nul_inside_are_not_cut)
{
	give("entryUUID", ID);
	give("uid", "alice");
	values[1] = (struct ldap_value){ "alice\0x", 7 };
	cr_assert_eq(take(), 1);
}

Test(source_person, digests_tell_fields_apart)
{
	unsigned char first[32];

	give("entryUUID", ID);
	give("uid", "ab");
	give("cn", "c");
	cr_assert_eq(take(), 0);
	memcpy(first, got.person.digest, 32);
	cr_assert_eq(take(), 0);
	cr_assert_eq(memcmp(first, got.person.digest, 32), 0, "the same entry, the same digest");
	end();
	begin();
	give("entryUUID", ID);
	give("uid", "a");
	give("cn", "bc");
	cr_assert_eq(take(), 0);
	cr_assert_neq(memcmp(first, got.person.digest, 32), 0);
}
