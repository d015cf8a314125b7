/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One entry to one person: identity and names here, state in source_state.c.  What identifies or names somebody must be there
 * exactly once and be sound, or the entry is left aside with a reason; a bad telephone number only loses the telephone number.
 * Read source_person_read.
 */
#include "source_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "crypt/hash.h"
#include "net/ldap_ad.h"

#define DN_MAX_BYTES 8192
#define ID_TEXT_MAX 64
#define ID_OCTETS_MAX 32

/* Members of person.attributes in the order of RFC 8785 3.2.3, and the attributes that they come from. */
static const struct { const char *member, *attribute, *ad; } kept_attributes[] = {
#define SOURCE_ATTRIBUTE(member, attribute, ad) { #member, attribute, ad },
#include "tables/sources.def"
#undef SOURCE_ATTRIBUTE
};

const char *
source_kept_attribute(const struct source_setup *setup, size_t index)
{
	if (index >= countof(kept_attributes))
		return NULL;
	return setup->kind->kind == LDAP_KIND_AD ? kept_attributes[index].ad : kept_attributes[index].attribute;
}

static bool
is_sound(const struct ldap_value *value, size_t max)
{
	return value->size > 0 && value->size <= max && text_is_utf8(value->data, value->size) && !text_has_control(value->data);
}

/* The sound value that sorts first: servers give the values of an attribute in any order.  NULL when there is none. */
static const char *
first_value(const struct ldap_entry *entry, const char *name, size_t max)
{
	const struct ldap_attribute *attribute = ldap_attribute(entry, name);
	const char *first = NULL;

	for (size_t i = 0; attribute && i < attribute->n; i++)
		if (is_sound(&attribute->v[i], max) && (!first || strcmp(attribute->v[i].data, first) < 0))
			first = attribute->v[i].data;
	return first;
}

/* Text of an id: lower case, so that one entry has one. */
static bool
text_id(struct op *op, const struct ldap_value *value, const char **ret)
{
	char *text = op_strndup(op, value->data, value->size < ID_TEXT_MAX + 1 ? value->size : ID_TEXT_MAX + 1);

	for (char *c = text; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	*ret = text;
	return *text && strlen(text) == value->size && value->size <= ID_TEXT_MAX &&
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-._") == value->size;
}

static bool
read_form(struct op *op, const struct ldap_value *value, enum source_id form, const char **ret)
{
	char guid[UUID_TEXT_BYTES];

	switch (form) {
	case SOURCE_ID_uuid:
		return text_id(op, value, ret) && uuid_is_valid(*ret);
	case SOURCE_ID_guid:
		if (!ldap_ad_guid(value->data, value->size, guid))
			return false;
		*ret = op_strdup(op, guid);
		return true;
	case SOURCE_ID_octets:
		*ret = hex_encode(op->mem, value->data, value->size <= ID_OCTETS_MAX ? value->size : 0);
		return value->size > 0 && value->size <= ID_OCTETS_MAX;
	default:
		return text_id(op, value, ret);
	}
}

/* Exactly once (RFC 4530 for entryUUID, [MS-ADA3] 2.44 for objectGUID). */
const char *
source_id_read(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, const char **ret)
{
	const struct ldap_attribute *id = ldap_attribute(entry, setup->id_attribute);
	const char *text;

	if (!id || id->n == 0)
		return op_printf(op, "it has no %s", setup->id_attribute);
	if (id->n > 1)
		return op_printf(op, "it has two values of %s", setup->id_attribute);
	if (!read_form(op, &id->v[0], setup->id_form, &text))
		return op_printf(op, "its %s is none", setup->id_attribute);
	*ret = text;
	return NULL;
}

static const char *
read_dn(struct op *op, const struct ldap_entry *entry, const char *base_key, const char **ret_dn, const char **ret_key)
{
	size_t size = strlen(entry->dn);
	char *key;

	if (size == 0 || size > DN_MAX_BYTES || !text_is_utf8(entry->dn, size) || text_has_control(entry->dn))
		return "its DN is empty, too long, or has strange characters";
	if (ldap_dn_normalise(op, entry->dn, &key) < 0) {
		op_forgive(op);
		return "its DN cannot be read";
	}
	if (!ldap_dn_is_under(key, base_key))
		return "it does not lie below the base that was searched";
	*ret_dn = op_strdup(op, entry->dn);
	*ret_key = key;
	return NULL;
}

static const char *
read_login(struct op *op, const struct ldap_entry *entry, const char *name, const char **ret)
{
	const struct ldap_attribute *login = ldap_attribute(entry, name);

	if (!login || login->n == 0)
		return "it has no login name";
	if (login->n > 1)
		return "it has several login names";
	if (!is_sound(&login->v[0], SOURCE_LOGIN_MAX))
		return "its login name is empty, too long, or has strange characters";
	*ret = op_strdup(op, login->v[0].data);
	return NULL;
}

static const char *
read_display_name(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, const char *login, const char **ret)
{
	const char *const names[] = { setup->name_attribute, "cn" };

	*ret = login;
	for (size_t i = 0; i < countof(names); i++) {
		const struct ldap_attribute *name = ldap_attribute(entry, names[i]);
		const char *first = first_value(entry, names[i], SOURCE_NAME_MAX);

		if (first) {
			*ret = op_strdup(op, first);
			return NULL;
		}
		if (name && name->n)
			return "its name is empty, too long, or has strange characters";
	}
	return NULL;
}

/* Flat and of strings without controls, so its canonical form (RFC 8785) can be written straight away. */
static char *
attributes_text(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry)
{
	struct buf buf = buf_in(op->mem);

	buf_add_char(&buf, '{');
	for (size_t i = 0; i < countof(kept_attributes); i++) {
		const char *value = first_value(entry, source_kept_attribute(setup, i), SOURCE_VALUE_MAX);

		if (!value)
			continue;
		if (buf.length > 1)
			buf_add_char(&buf, ',');
		buf_add_char(&buf, '"');
		buf_add(&buf, kept_attributes[i].member);
		buf_add(&buf, "\":\"");
		for (const char *c = value; *c; c++) {
			if (*c == '"' || *c == '\\')
				buf_add_char(&buf, '\\');
			buf_add_char(&buf, *c);
		}
		buf_add_char(&buf, '"');
	}
	buf_add_char(&buf, '}');
	return buf.text;
}

/* No field holds a NUL, so fields with their ends cannot be shifted against each other. */
static void
make_digest(struct op *op, struct person *person)
{
	const char *until = op_printf(op, "%lld", (long long)person->until), *mail = person->mail ? person->mail : "";
	const struct hash_part parts[] = {
		{ person->login, strlen(person->login) + 1 },
		{ person->display_name, strlen(person->display_name) + 1 },
		{ mail, strlen(mail) + 1 },
		{ person->attributes, strlen(person->attributes) + 1 },
		{ person->reason, strlen(person->reason) + 1 },
		{ until, strlen(until) + 1 },
		{ person->is_active ? "1" : "0", 1 },
	};

	sha256_parts(parts, countof(parts), person->digest);
}

static void
read_values(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, struct source_person *ret)
{
	struct map_value *values = NULL;
	size_t n = 0;

	for (const char *const *name = setup->rules->attributes; *name; name++) {
		const struct ldap_attribute *attribute = ldap_attribute(entry, *name);

		if (attribute && !values)
			values = op_alloc(op, SOURCE_VALUES_MAX * sizeof(*values));
		for (size_t i = 0; attribute && i < attribute->n && n < SOURCE_VALUES_MAX; i++)
			if (is_sound(&attribute->v[i], SOURCE_VALUE_MAX))
				values[n++] = (struct map_value){ *name, text_fold(op->mem, attribute->v[i].data) };
	}
	ret->values = values;
	ret->n_values = n;
}

int
source_person_read(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, int64_t now_ms,
    struct source_person *ret, const char **ret_why)
{
	struct person *person = &ret->person;
	const char *mail;

	*ret = (struct source_person){ 0 };
	person->directory_id = setup->directory->id;
	/* the id first: a skipped entry that has one is known not to be gone */
	if ((*ret_why = source_id_read(op, setup, entry, &person->external_id)) ||
	    (*ret_why = read_dn(op, entry, setup->base_key, &ret->dn, &ret->dn_key)) ||
	    (*ret_why = read_login(op, entry, setup->login_attribute, &person->login)) ||
	    (*ret_why = read_display_name(op, setup, entry, person->login, &person->display_name)) ||
	    (*ret_why = source_state_read(op, setup, entry, now_ms, ret)))
		return 1;
	mail = first_value(entry, setup->mail_attribute, SOURCE_MAIL_MAX);
	person->mail = mail ? op_strdup(op, mail) : NULL;
	person->attributes = attributes_text(op, setup, entry);
	make_digest(op, person);
	read_values(op, setup, entry, ret);
	return 0;
}

static const char *
read_sid(struct op *op, const struct ldap_entry *entry)
{
	const struct ldap_attribute *sid = ldap_attribute(entry, "objectSid");
	char text[LDAP_AD_SID_BYTES];

	return sid && sid->n == 1 && ldap_ad_sid(sid->v[0].data, sid->v[0].size, text) ? op_strdup(op, text) : NULL;
}

int
source_group_read(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, bool is_anywhere,
    struct source_group *ret, const char **ret_why)
{
	const char *name;

	*ret = (struct source_group){ 0 };
	if ((*ret_why = source_id_read(op, setup, entry, &ret->external_id)) ||
	    (*ret_why = read_dn(op, entry, is_anywhere ? "" : setup->group_base_key, &ret->dn, &ret->dn_key)))
		return 1;
	name = first_value(entry, "cn", SOURCE_NAME_MAX);
	ret->name = name ? op_strdup(op, name) : ret->dn;
	if (setup->kind->kind == LDAP_KIND_AD)
		ret->sid = read_sid(op, entry);
	return 0;
}
