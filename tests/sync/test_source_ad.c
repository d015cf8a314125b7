/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Entries of an Active Directory as a domain controller gives them, other directories with attributes of their own, and what people type. */
#include "../../src/sync/source_int.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW_MS INT64_C(1800000000000)   /* 2027-01-15 */
#define GUID "\xd1\x00\x47\x55\x91\xf7\x83\x49\xaa\xbe\xd4\x2f\xcd\xbc\x39\xd7"
#define ID "554700d1-f791-4983-aabe-d42fcdbc39d7"
#define SID "\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00\x4d\xce\xba\xb1\x51\x5e\x89\xdd\x6e\x3e\xb4\x12\x4e\x04\x00\x00"
#define DOMAIN_SID "S-1-5-21-2981809741-3716767313-313802350"
#define NEVER "9223372036854775807"

static struct op *op;
static struct shape_directory body;
static struct catalog_directory directory;
static struct source_rules rules;
static struct source_setup *setup;
static struct ldap_value values[64];
static struct ldap_attribute attributes[32];
static struct ldap_entry entry;
static size_t used;
static struct source_person got;
static const char *why;

static void
give_bytes(const char *name, const char *data, size_t n)
{
	values[used] = (struct ldap_value){ data, n };
	attributes[entry.n++] = (struct ldap_attribute){ name, &values[used++], 1 };
}

static void
give(const char *name, const char *value)
{
	give_bytes(name, value, strlen(value));
}

/* Another value, or none for NULL, for an attribute that is there. */
static void
set(const char *name, const char *value)
{
	for (size_t i = 0; i < entry.n; i++) {
		if (strcmp(attributes[i].name, name) != 0)
			continue;
		attributes[i].n = value != NULL;
		if (value)
			*attributes[i].v = (struct ldap_value){ value, strlen(value) };
		return;
	}
	if (value)
		give(name, value);
}

static void
make(void)
{
	cr_assert_eq(source_setup_make(op, &directory, &rules, &setup), 0, "%s", op_failure(op));
}

/* Alice as Samba gives her. */
static void
begin(void)
{
	static const char *const asked[] = { NULL };

	op = op_begin(NULL, NULL);
	body = (struct shape_directory){ .name = "clinic", .kind = "ad", .base = "DC=clinic,DC=test", .domain = "CLINIC" };
	directory = (struct catalog_directory){ .id = "D", .version = 1, .body = &body };
	rules.attributes = asked;
	make();
	entry = (struct ldap_entry){ .dn = "CN=O'Brien\\, Eve \\+ Co\\#1,OU=Downtown,OU=Staff,DC=clinic,DC=test", .attributes = attributes };
	used = 0;
	give_bytes("objectGUID", GUID, 16);
	give_bytes("objectSid", SID, 28);
	give("sAMAccountName", "eobrien");
	give("userPrincipalName", "eobrien@clinic.test");
	give("displayName", "Eve O'Brien");
	give("mail", "eobrien@clinic.test");
	give("department", "Front Desk");
	give("employeeID", "E1005");
	give("streetAddress", "1 Harbour Way");
	give("userAccountControl", "512");
	give("msDS-User-Account-Control-Computed", "0");
	give("pwdLastSet", "134398401482862320");
	give("primaryGroupID", "513");
	give("accountExpires", NEVER);
}

static void
end(void)
{
	op_end(op);
}

TestSuite(source_ad, .init = begin, .fini = end);

static int
take(void)
{
	return source_person_read(op, setup, &entry, NOW_MS, &got, &why);
}

Test(source_ad, a_whole_entry)
{
	cr_assert_eq(take(), 0, "%s", why);
	cr_assert_str_eq(got.person.external_id, ID);
	cr_assert_str_eq(got.person.login, "eobrien");
	cr_assert_str_eq(got.person.display_name, "Eve O'Brien");
	cr_assert_str_eq(got.person.mail, "eobrien@clinic.test");
	cr_assert_str_eq(got.person.attributes, "{\"department\":\"Front Desk\",\"employee_number\":\"E1005\",\"street\":\"1 Harbour Way\"}");
	cr_assert_str_eq(got.dn_key, "cn=o'brien\\2c eve \\2b co\\231,ou=downtown,ou=staff,dc=clinic,dc=test", "one form, whatever the server's escapes");
	cr_assert_str_eq(got.primary_group, DOMAIN_SID "-513");
	cr_assert(got.person.is_active && got.person.until == 0 && got.hold == LDAP_BIND_OK);
}

Test(source_ad, the_second_bit_disables_with_any_others)
{
	static const struct { const char *control; bool is_active; } rows[] = {
		{ "512", true }, { "514", false }, { "66048", true }, { "66050", false }, { "544", true }, { "546", false }, { "262656", true },
		{ "8389120", true }, { "590338", false }, { "-2147483134", false },
	};

	for (size_t i = 0; i < countof(rows); i++) {
		set("userAccountControl", rows[i].control);
		cr_assert_eq(take(), 0, "%s: %s", rows[i].control, why);
		cr_assert_eq(got.person.is_active, rows[i].is_active, "%s", rows[i].control);
		cr_assert_str_eq(got.person.reason, rows[i].is_active ? "" : "disabled");
	}
}

Test(source_ad, what_cannot_be_read_is_never_enabled)
{
	static const char *const needed[] = { "userAccountControl", "primaryGroupID", "objectSid", "accountExpires" };
	static const char *const bad[] = { "", "on", "0x200", "512 ", "99999999999" };

	for (size_t i = 0; i < countof(needed); i++) {
		set(needed[i], NULL);
		cr_assert_eq(take(), 1, "%s is hidden", needed[i]);
		cr_assert_str_eq(why, op_printf(op, SOURCE_HIDDEN "%s", needed[i]));
		cr_assert_str_eq(got.person.external_id, ID, "who is left aside is known not to be gone");
		end();
		begin();
	}
	for (size_t i = 0; i < countof(bad); i++) {
		set("userAccountControl", bad[i]);
		cr_assert_eq(take(), 1, "userAccountControl \"%s\"", bad[i]);
	}
	end();
	begin();
	attributes[9].n = 2;    /* two values, and the second one says enabled */
	cr_assert_str_eq(attributes[9].name, "userAccountControl");
	cr_assert_eq(take(), 1);
}

Test(source_ad, computers_and_trusts_are_nobody)
{
	static const char *const control[] = { "4096", "4098", "8192", "532480", "2048", "2080" };

	for (size_t i = 0; i < countof(control); i++) {
		set("userAccountControl", control[i]);
		cr_assert_eq(take(), 1, "%s", control[i]);
	}
	cr_assert(strstr(setup->filter, "(sAMAccountType=805306368)"), "and are not asked for");
}

Test(source_ad, the_end_of_an_account)
{
	static const struct { const char *text; int64_t until; bool is_active; } rows[] = {
		{ "0", 0, true }, { NEVER, 0, true },
		{ "131592384000000000", INT64_C(1514764800000), false },
		{ "1", 1, false },
		{ "2650467743999999999", INT64_C(253402300799999), true },
		{ "9223372036854775806", INT64_C(253402300799999), true },
		{ "132444736000000000", INT64_C(1600000000000), false },
		{ "134444736000000000", NOW_MS, false }, { "134444736000010000", NOW_MS + 1, true },
	};

	for (size_t i = 0; i < countof(rows); i++) {
		set("accountExpires", rows[i].text);
		cr_assert_eq(take(), 0, "%s: %s", rows[i].text, why);
		cr_assert_eq(got.person.until, rows[i].until, "%s: %lld", rows[i].text, (long long)got.person.until);
		cr_assert_eq(got.person.is_active, rows[i].is_active, "%s", rows[i].text);
		cr_assert_str_eq(got.person.reason, rows[i].is_active ? "" : "expired");
	}
	set("accountExpires", "whenever");
	cr_assert_eq(take(), 1, "an end that cannot be read is never 'no end'");
}

Test(source_ad, lockout_and_passwords_disable_nobody_and_hold_the_sign_in)
{
	static const struct { const char *control, *computed, *set; enum ldap_bind_outcome hold; } rows[] = {
		{ "512", "0", "134398401482862320", LDAP_BIND_OK },
		{ "512", "16", "134398401482862320", LDAP_BIND_LOCKED },
		{ "512", "8388608", "134398401482862320", LDAP_BIND_PASSWORD_EXPIRED },
		{ "512", "8388608", "0", LDAP_BIND_MUST_CHANGE },
		{ "512", "8388624", "0", LDAP_BIND_LOCKED },
		/* a server that does not compute it */
		{ "512", NULL, "0", LDAP_BIND_MUST_CHANGE },
		/* a password that never expires need not be changed, whatever pwdLastSet says */
		{ "66048", "0", "0", LDAP_BIND_OK },
		{ "512", "?", "134398401482862320", LDAP_BIND_LOCKED },
		{ "512", NULL, NULL, LDAP_BIND_OK },
	};

	for (size_t i = 0; i < countof(rows); i++) {
		set("userAccountControl", rows[i].control);
		set("msDS-User-Account-Control-Computed", rows[i].computed);
		set("pwdLastSet", rows[i].set);
		cr_assert_eq(take(), 0, "row %zu: %s", i, why);
		cr_assert(got.person.is_active, "row %zu", i);
		cr_assert_eq(got.hold, rows[i].hold, "row %zu: %d", i, got.hold);
	}
}

Test(source_ad, an_id_must_be_there_once_and_be_one)
{
	attributes[0].v[0].size = 15;
	cr_assert_eq(take(), 1);
	cr_assert_null(got.person.external_id);
	end();
	begin();
	set("objectGUID", ID);
	cr_assert_eq(take(), 1, "text is no objectGUID");
	end();
	begin();
	attributes[0].n = 2;
	cr_assert_eq(take(), 1);
}

Test(source_ad, groups_tell_their_sid)
{
	struct source_group group;

	entry.dn = "CN=Domain Users,CN=Users,DC=clinic,DC=test";
	give("cn", "Domain Users");
	cr_assert_eq(source_group_read(op, setup, &entry, false, &group, &why), 0, "%s", why);
	cr_assert_str_eq(group.sid, DOMAIN_SID "-1102");
	body.group_base = "OU=Groups,DC=clinic,DC=test";
	make();
	cr_assert_eq(source_group_read(op, setup, &entry, false, &group, &why), 1, "outside of the group base");
	cr_assert_eq(source_group_read(op, setup, &entry, true, &group, &why), 0, "but for a primary group");
}

/* ---- other directories ---- */

static void
plain_entry(void)
{
	entry = (struct ldap_entry){ .dn = "uid=eve,dc=clinic,dc=test", .attributes = attributes };
	used = 0;
	give("uid", "eve");
	give("cn", "Eve");
}

static void
generic(void)
{
	body = (struct shape_directory){ .name = "clinic", .kind = "generic", .base = "DC=clinic,DC=test" };
	make();
	plain_entry();
}

Test(source_ad, a_generic_directory_knows_entry_uuid_and_ns_account_lock)
{
	generic();
	give("entryUUID", "554700D1-f791-4983-aabe-d42fcdbc39d7");
	cr_assert_eq(take(), 0, "%s", why);
	cr_assert_str_eq(got.person.external_id, ID);
	cr_assert(got.person.is_active && !got.primary_group);
	give("nsAccountLock", "false");
	cr_assert_eq(take(), 0);
	cr_assert(got.person.is_active);
	set("nsAccountLock", "TRUE");
	cr_assert_eq(take(), 0);
	cr_assert_not(got.person.is_active);
	cr_assert_str_eq(got.person.reason, "disabled");
	set("nsAccountLock", "?");
	cr_assert_eq(take(), 0);
	cr_assert_not(got.person.is_active, "what cannot be read counts as its strictest meaning");
}

Test(source_ad, a_generic_directory_as_it_is_configured)
{
	static const char *const members[] = { "roleOccupant" };

	generic();
	body.id_attribute = "nsUniqueId";
	body.id_form = "text";
	body.name_attribute = "fullName";
	body.mail_attribute = "rfc822Mailbox";
	body.expires_attribute = "shadowExpire";
	body.expires_form = "days";
	body.disabled_attribute = "loginDisabled";
	body.disabled_value = "TRUE";
	body.member_attributes = (struct strings){ (const char **)(uintptr_t)members, 1 };
	make();
	give("nsUniqueId", "2B1C1D04-1dd211b2-8001d5e0-77c40000");
	give("fullName", "Eve Adams");
	give("rfc822Mailbox", "eve@clinic.test");
	give("shadowExpire", "20834");
	cr_assert_eq(take(), 0, "%s", why);
	cr_assert_str_eq(got.person.external_id, "2b1c1d04-1dd211b2-8001d5e0-77c40000");
	cr_assert_str_eq(got.person.display_name, "Eve Adams");
	cr_assert_str_eq(got.person.mail, "eve@clinic.test");
	cr_assert_eq(got.person.until, INT64_C(20834) * 86400000);
	cr_assert(got.person.is_active);
	cr_assert_str_eq(setup->members[0], "roleOccupant");
	cr_assert_null(setup->members[1]);
	set("shadowExpire", "20833");
	cr_assert_eq(take(), 0);
	cr_assert_not(got.person.is_active);
	set("shadowExpire", "-1");
	cr_assert_eq(take(), 0);
	cr_assert(got.person.is_active && got.person.until == 0);
	give("loginDisabled", "true");
	cr_assert_eq(take(), 0);
	cr_assert_not(got.person.is_active);
	set("nsUniqueId", "a b");
	cr_assert_eq(take(), 1);
}

Test(source_ad, ids_of_bytes)
{
	char longest[33] = { 0 };

	generic();
	body.id_attribute = "GUID";
	body.id_form = "octets";
	make();
	give_bytes("GUID", "\x00\x01\xfe", 3);
	cr_assert_eq(take(), 0, "%s", why);
	cr_assert_str_eq(got.person.external_id, "0001fe");
	plain_entry();
	give_bytes("GUID", longest, sizeof(longest));
	cr_assert_eq(take(), 1, "too long");
	plain_entry();
	give_bytes("GUID", "", 0);
	cr_assert_eq(take(), 1, "empty");
	body.id_form = "guesswork";
	cr_assert_eq(source_setup_make(op, &directory, &rules, &setup), ERR_INVALID);
}

/* ---- kinds ---- */

Test(source_ad, every_kind_is_a_word_of_the_shapes)
{
	static const char *const shapes[] = { "directory", "directory_new", "directory_probe" };
	size_t n = 0;

	for (; source_kind_at(n); n++) {
		const struct source_kind *kind = source_kind_at(n);

		cr_assert_eq(source_kind_find(kind->name), kind);
		for (size_t s = 0; s < countof(shapes); s++) {
			const struct shape *shape = shape_find(shapes[s]);
			size_t f = 0;

			while (strcmp(shape->fields[f].name, "kind") != 0)
				f++;
			cr_assert(strstr(shape->fields[f].words, kind->name), "%s in %s", kind->name, shapes[s]);
		}
	}
	cr_assert_geq(n, 3);
	cr_assert_null(source_kind_find("novell"));
	cr_assert_str_eq(source_kind_find(NULL)->name, "openldap", "what is not said is what the shape presets");
}

Test(source_ad, a_kind_that_is_another_is_a_plain_error)
{
	static const struct { const char *said; enum ldap_kind is; int rc; } rows[] = {
		{ "ad", LDAP_KIND_AD, 0 }, { "ad", LDAP_KIND_OPENLDAP, ERR_INVALID }, { "ad", LDAP_KIND_GENERIC, ERR_INVALID },
		{ "openldap", LDAP_KIND_AD, ERR_INVALID }, { "generic", LDAP_KIND_AD, ERR_INVALID }, { NULL, LDAP_KIND_AD, ERR_INVALID },
		{ "openldap", LDAP_KIND_GENERIC, 0 }, { "generic", LDAP_KIND_OPENLDAP, 0 }, { "openldap", LDAP_KIND_OPENLDAP, 0 },
	};

	for (size_t i = 0; i < countof(rows); i++) {
		body.kind = rows[i].said;
		cr_assert_eq(source_kind_check(op, &body, rows[i].is), rows[i].rc, "row %zu", i);
		op_forgive(op);
	}
}

/* ---- what people type ---- */

static char *
names(const char *typed)
{
	struct source_names list;
	struct buf text = buf_in(op->mem);

	/* the NetBIOS name is configured, so no server is asked */
	cr_assert_eq(source_names_make(op, setup, NULL, typed, &list), 0, "%s", op_failure(op));
	for (size_t i = 0; i < list.n; i++)
		buf_printf(&text, "%s%s=%s", i ? " " : "", list.v[i].attribute, list.v[i].value);
	return text.text;
}

Test(source_ad, names_in_every_form)
{
	static const struct { const char *typed, *names; } rows[] = {
		{ "eve", "sAMAccountName=eve" },
		{ "CLINIC\\eve", "sAMAccountName=eve" }, { "clinic\\EVE", "sAMAccountName=EVE" }, { "Clinic.Test\\eve", "sAMAccountName=eve" },
		{ "OTHER\\eve", "" }, { "\\eve", "" }, { "CLINIC\\", "" }, { "CLINIC \\eve", "" }, { "clinic.test.evil\\eve", "" },
		{ "CLINIC\\OTHER\\eve", "sAMAccountName=OTHER\\eve" },
		{ "eve@clinic.test", "sAMAccountName=eve@clinic.test userPrincipalName=eve@clinic.test sAMAccountName=eve" },
		{ "eve@CLINIC.TEST", "sAMAccountName=eve@CLINIC.TEST userPrincipalName=eve@CLINIC.TEST sAMAccountName=eve" },
		{ "eve@other.test", "sAMAccountName=eve@other.test userPrincipalName=eve@other.test" },
		{ "eve@x@clinic.test", "sAMAccountName=eve@x@clinic.test userPrincipalName=eve@x@clinic.test sAMAccountName=eve@x" },
		{ "@clinic.test", "sAMAccountName=@clinic.test userPrincipalName=@clinic.test" },
		{ "eve ", "sAMAccountName=eve " },
	};

	for (size_t i = 0; i < countof(rows); i++)
		cr_expect_str_eq(names(rows[i].typed), rows[i].names, "%s: %s", rows[i].typed, names(rows[i].typed));
	generic();
	cr_expect_str_eq(names("CLINIC\\eve"), "uid=CLINIC\\eve", "elsewhere a backslash is a letter like others");
	cr_expect_str_eq(names("eve@clinic.test"), "uid=eve@clinic.test");
	body.other_login_attribute = "eduPersonPrincipalName";
	make();
	cr_expect_str_eq(names("eve@clinic.test"), "uid=eve@clinic.test eduPersonPrincipalName=eve@clinic.test");
}
