/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Whether an account is usable, until when, and what belongs to the sign-in alone.  What cannot be read counts as its strictest
 * meaning, or the entry is left aside: an account that looks usable because somebody took a right from our service account would
 * be the worst mistake of all.  Read source_state_read.
 */
#include "source_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "net/ldap_ad.h"

/* userAccountControl, [MS-ADTS] 2.2.16 */
#define CONTROL_DISABLED 0x2u
#define CONTROL_LOCKED 0x10u                    /* these two only in msDS-User-Account-Control-Computed */
#define CONTROL_PASSWORD_EXPIRED 0x800000u
#define CONTROL_NO_PERSON 0x3800u               /* trust of another domain, computer, domain controller */
#define CONTROL_NEVER_EXPIRES 0x10000u          /* the password */

#define DAY_MS INT64_C(86400000)
#define DAYS_MAX 2932896                        /* the end of the year 9999 */

static const char *const locks_attributes[] = { "pwdAccountLockedTime", "nsAccountLock", NULL };
static const char *const control_attributes[] = { "userAccountControl", "msDS-User-Account-Control-Computed", "pwdLastSet",
	"primaryGroupID", "objectSid", NULL };

const char *const *
source_state_attributes(const struct source_setup *setup)
{
	return setup->kind->state == SOURCE_STATE_CONTROL ? control_attributes : locks_attributes;
}

/* ---- the end ---- */

static bool
read_days(const char *text, size_t n, int64_t *ret)
{
	uint32_t days;

	if (!ldap_ad_number(text, n, &days))
		return false;
	/* shadow(5): an empty or negative field means never */
	*ret = (int32_t)days < 0 ? 0 : days > DAYS_MAX ? DAYS_MAX * DAY_MS : days ? days * DAY_MS : 1;
	return true;
}

/* 0 in *ret: never. */
static bool
read_time(const struct source_setup *setup, const struct ldap_value *value, int64_t *ret)
{
	switch (setup->expires_form) {
	case SOURCE_END_filetime:
		return ldap_ad_time(value->data, value->size, ret);
	case SOURCE_END_days:
		return read_days(value->data, value->size, ret);
	default:
		if (!text_is_utf8(value->data, value->size) || !time_parse_generalized(value->data, ret))
			return false;
		/* never 0, which means none; what is before 1970 has passed */
		*ret = *ret > 0 ? *ret : 1;
		return true;
	}
}

static const char *
read_end(const struct source_setup *setup, const struct ldap_entry *entry, struct person *person)
{
	const struct ldap_attribute *end = ldap_attribute(entry, setup->expires_attribute);

	for (size_t i = 0; end && i < end->n; i++) {
		int64_t at;

		if (!read_time(setup, &end->v[i], &at))
			return "the attribute with the end of the account holds no time";
		/* the earliest one */
		if (at && (!person->until || at < person->until))
			person->until = at;
	}
	return NULL;
}

/* ---- locks: OpenLDAP and others ---- */

/* draft-behera-ldap-password-policy 5.3.3: this time means locked for good, by an administrator; any other one passes by. */
static bool
is_locked_for_good(const struct ldap_entry *entry)
{
	const struct ldap_attribute *locked = ldap_attribute(entry, "pwdAccountLockedTime");

	for (size_t i = 0; locked && i < locked->n; i++)
		if (strncmp(locked->v[i].data, "00000101", 8) == 0)
			return true;
	return false;
}

/* nsAccountLock of the 389 Directory Server and its kin: anything but "false" locks. */
static bool
is_ns_locked(const struct ldap_entry *entry)
{
	const struct ldap_attribute *lock = ldap_attribute(entry, "nsAccountLock");

	for (size_t i = 0; lock && i < lock->n; i++)
		if (!text_equal_ascii_case(lock->v[i].data, "false"))
			return true;
	return false;
}

/* The object's own mark. */
static bool
is_marked(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry)
{
	const struct ldap_attribute *mark = setup->disabled_attribute ? ldap_attribute(entry, setup->disabled_attribute) : NULL;

	for (size_t i = 0; mark && i < mark->n; i++) {
		const char *key = text_is_utf8(mark->v[i].data, mark->v[i].size) ? text_fold(op->mem, mark->v[i].data) : NULL;

		/* what cannot be read counts as its strictest meaning */
		if (!setup->disabled_key || !key || strcmp(key, setup->disabled_key) == 0)
			return true;
	}
	return false;
}

/* ---- control: Active Directory ---- */

static const char *
hidden(struct op *op, const char *attribute)
{
	return op_printf(op, SOURCE_HIDDEN "%s", attribute);
}

/* One value that must be there, as a number. */
static const char *
read_number(struct op *op, const struct ldap_entry *entry, const char *name, uint32_t *ret)
{
	const struct ldap_attribute *attribute = ldap_attribute(entry, name);

	if (!attribute || attribute->n == 0)
		return hidden(op, name);
	if (attribute->n > 1 || !ldap_ad_number(attribute->v[0].data, attribute->v[0].size, ret))
		return op_printf(op, "its %s is no number", name);
	return NULL;
}

static const char *
read_primary_group(struct op *op, const struct ldap_entry *entry, struct source_person *ret)
{
	const struct ldap_attribute *sid = ldap_attribute(entry, "objectSid");
	char own[LDAP_AD_SID_BYTES], group[LDAP_AD_SID_BYTES];
	uint32_t rid;
	const char *why = read_number(op, entry, "primaryGroupID", &rid);

	if (why)
		return why;
	if (!sid || sid->n == 0)
		return hidden(op, "objectSid");
	if (sid->n > 1 || !ldap_ad_sid(sid->v[0].data, sid->v[0].size, own) || !ldap_ad_sid_of(own, rid, group))
		return "its objectSid is none";
	ret->primary_group = op_strdup(op, group);
	return NULL;
}

/*
 * Lockout, an expired password and one that must be changed disable nobody: they pass by or are the person's own affair.  The bind
 * tells them; they are remembered for a server that says yes all the same.
 */
static enum ldap_bind_outcome
read_hold(const struct ldap_entry *entry, uint32_t control)
{
	const struct ldap_attribute *computed = ldap_attribute(entry, "msDS-User-Account-Control-Computed");
	const char *set = ldap_value(entry, "pwdLastSet");
	bool must_change = set && strcmp(set, "0") == 0 && !(control & CONTROL_NEVER_EXPIRES);
	uint32_t now = 0;

	if (computed && computed->n && !ldap_ad_number(computed->v[0].data, computed->v[0].size, &now))
		return LDAP_BIND_LOCKED;
	if (now & CONTROL_LOCKED)
		return LDAP_BIND_LOCKED;
	if (must_change)
		return LDAP_BIND_MUST_CHANGE;
	return now & CONTROL_PASSWORD_EXPIRED ? LDAP_BIND_PASSWORD_EXPIRED : LDAP_BIND_OK;
}

static const char *
read_control(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, struct source_person *ret,
    bool *ret_is_disabled)
{
	uint32_t control;
	const char *why = read_number(op, entry, "userAccountControl", &control);

	if (why)
		return why;
	if (control & CONTROL_NO_PERSON)
		return "it is the account of a computer or of another domain, not of a person";
	/* every account has one ([MS-SAMR] 3.1.1.8.5); a global catalog shows none, and nobody would ever expire */
	if (!ldap_value(entry, setup->expires_attribute))
		return hidden(op, setup->expires_attribute);
	ret->hold = read_hold(entry, control);
	*ret_is_disabled = control & CONTROL_DISABLED;
	return read_primary_group(op, entry, ret);
}

/* ---- all together ---- */

const char *
source_state_read(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, int64_t now_ms,
    struct source_person *ret)
{
	struct person *person = &ret->person;
	bool is_disabled = false;
	const char *why;

	if (setup->kind->state == SOURCE_STATE_CONTROL) {
		if ((why = read_control(op, setup, entry, ret, &is_disabled)))
			return why;
	} else {
		is_disabled = is_locked_for_good(entry) || is_ns_locked(entry);
	}
	if ((why = read_end(setup, entry, person)))
		return why;
	is_disabled |= is_marked(op, setup, entry);
	person->is_active = !is_disabled && !(person->until && person->until <= now_ms);
	person->reason = is_disabled ? "disabled" : person->is_active ? "" : "expired";
	return NULL;
}
