/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Searches: page after page, entry after entry, without a copy of what the message holds.  Read ldap_link_search, then
 * read_page, then read_entry.  Anything but a clean end of the last page is a failure, so that half an answer never passes for
 * a whole one.
 */
#include "ldap_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EMPTY_PAGES_MAX 100
#define RANGE_DIGITS_MAX 12
#define OID_DOMAIN_SCOPE "1.2.840.113556.1.4.1339"

struct reading {
	struct op *op;
	struct ldap_link *link;
	const struct ldap_query *query;
	int (*on_entry)(struct op *op, const struct ldap_entry *entry, void *arg);
	void *arg;
	struct arena *mem;                              /* of one entry */
	struct ldap_attribute attributes[LDAP_ATTRIBUTES_MAX];
	struct ldap_summary summary;
};

/* The first letter decides most comparisons, and there are many of them. */
static bool
is_name(const char *a, const char *b)
{
	return (*a | 0x20) == (*b | 0x20) && strcasecmp(a, b) == 0;
}

const struct ldap_attribute *
ldap_attribute(const struct ldap_entry *entry, const char *name)
{
	for (size_t i = 0; i < entry->n; i++)
		if (is_name(entry->attributes[i].name, name))
			return &entry->attributes[i];
	return NULL;
}

const char *
ldap_value(const struct ldap_entry *entry, const char *name)
{
	const struct ldap_attribute *attribute = ldap_attribute(entry, name);

	return attribute && attribute->n ? attribute->v[0].data : NULL;
}

/* "range=0-1499" or "range=1500-*", nothing before or behind it. */
static bool
read_range(const char *option, int64_t *ret_from, int64_t *ret_to)
{
	const char *at = option;
	int64_t numbers[2] = { 0, -1 };

	if (strncasecmp(at, "range=", 6) != 0)
		return false;
	at += 6;
	for (int i = 0; i < 2; i++) {
		size_t n = strspn(at, "0123456789");

		if (n > RANGE_DIGITS_MAX || (n == 0 && (i == 0 || *at != '*')))
			return false;
		if (n > 0)
			numbers[i] = strtoll(at, NULL, 10);
		at += n > 0 ? n : 1;
		if (*at++ != (i == 0 ? '-' : '\0'))
			return false;
	}
	*ret_from = numbers[0];
	*ret_to = numbers[1];
	return numbers[1] == -1 || numbers[1] >= numbers[0];
}

const struct ldap_attribute *
ldap_attribute_range(const struct ldap_entry *entry, const char *name, int64_t *ret_from, int64_t *ret_to)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < entry->n; i++) {
		const char *other = entry->attributes[i].name;

		if (strncasecmp(other, name, n) == 0 && other[n] == ';' && read_range(other + n + 1, ret_from, ret_to))
			return &entry->attributes[i];
	}
	return NULL;
}

/* Two ranges of one attribute are as bad as the attribute named twice. */
static bool
is_known(const struct reading *r, size_t n, const struct berval *name)
{
	size_t length = strcspn(name->bv_val, ";");

	for (size_t i = 0; i < n; i++) {
		const char *other = r->attributes[i].name;

		if (is_name(other, name->bv_val) ||
		    (name->bv_val[length] && strcspn(other, ";") == length && other[length] && !strncasecmp(other, name->bv_val, length)))
			return true;
	}
	return false;
}

/* 1: an attribute to take, 0: one to leave out. */
static int
check_options(struct reading *r, const char *dn, const char *name)
{
	const char *option = strchr(name, ';');
	int64_t from, to;

	if (!option)
		return 1;
	if (strncasecmp(option + 1, "range=", 6) != 0)
		return 0;       /* another attribute than the plain one */
	return read_range(option + 1, &from, &to) ? 1 :
	    op_fail(r->op, ERR_LDAP, "the directory sent a range of values that cannot be read, %.100s in %.500s", name, dn);
}

static int
take_values(struct reading *r, const char *dn, const char *name, const struct berval *values, struct ldap_attribute *ret)
{
	size_t n = 0;

	while (values && values[n].bv_val)
		n++;
	ret->name = name;
	ret->n = n;
	ret->v = arena_alloc(r->mem, n * sizeof(*ret->v));
	for (size_t i = 0; i < n; i++) {
		if (values[i].bv_len > LDAP_VALUE_MAX_BYTES)
			return op_fail(r->op, ERR_TOO_LARGE, "a value of %.100s in %.500s has more than %d bytes", name, dn,
			    LDAP_VALUE_MAX_BYTES);
		ret->v[i] = (struct ldap_value){ values[i].bv_val, values[i].bv_len };
	}
	return 0;
}

/* 1: an attribute was read, 0: the end of the entry. */
static int
read_attribute(struct reading *r, LDAPMessage *message, BerElement *ber, struct ldap_entry *entry)
{
	struct berval name = { 0, NULL };
	BerVarray values = NULL;
	int rc = 0;

	if (ldap_get_attribute_ber(r->link->ld, message, ber, &name, &values) != LDAP_SUCCESS)
		return ldap_link_fail(r->op, r->link, LDAP_DECODING_ERROR, "an entry cannot be read");
	if (!name.bv_val)
		return 0;
	if (strlen(name.bv_val) != name.bv_len || name.bv_len == 0)
		rc = op_fail(r->op, ERR_LDAP, "the directory sent an attribute without a sound name in %.500s", entry->dn);
	else if ((rc = check_options(r, entry->dn, name.bv_val)) <= 0)
		;
	else if (entry->n == LDAP_ATTRIBUTES_MAX)
		rc = op_fail(r->op, ERR_TOO_LARGE, "%.500s has more than %d attributes", entry->dn, LDAP_ATTRIBUTES_MAX);
	else if (is_known(r, entry->n, &name))
		rc = op_fail(r->op, ERR_LDAP, "the directory named %.100s twice in %.500s", name.bv_val, entry->dn);
	else
		rc = take_values(r, entry->dn, name.bv_val, values, &r->attributes[entry->n++]);
	ber_memfree(values);
	return rc ? rc : 1;
}

static int
read_entry(struct reading *r, LDAPMessage *message)
{
	struct ldap_entry entry = { .attributes = r->attributes };
	struct berval dn = { 0, NULL };
	BerElement *ber = NULL;
	int rc;

	if (r->query->limit && r->summary.entries >= r->query->limit)
		return op_fail(r->op, ERR_TOO_LARGE, "the directory found more than %d entries", r->query->limit);
	if (ldap_get_dn_ber(r->link->ld, message, &ber, &dn) != LDAP_SUCCESS)
		return ldap_link_fail(r->op, r->link, LDAP_DECODING_ERROR, "an entry cannot be read");
	entry.dn = dn.bv_val ? dn.bv_val : "";
	rc = strlen(entry.dn) == dn.bv_len ? 1 : op_fail(r->op, ERR_LDAP, "the directory sent a DN with a NUL inside");
	while (rc > 0)
		rc = read_attribute(r, message, ber, &entry);
	if (!rc) {
		r->summary.entries++;
		rc = r->on_entry(r->op, &entry, r->arg);
	}
	ber_free(ber, 0);
	arena_reset(r->mem);
	return rc < 0 ? rc : 0;
}

static int
code_to_failure(struct reading *r, int code, const char *words)
{
	const char *base = *r->query->base ? r->query->base : "the root";

	switch (code) {
	case LDAP_SUCCESS:
		return 0;
	case LDAP_NO_SUCH_OBJECT:
		return op_fail(r->op, ERR_NOT_FOUND, "the directory has nothing at %.500s", base);
	case LDAP_SIZELIMIT_EXCEEDED:
	case LDAP_TIMELIMIT_EXCEEDED:
	case LDAP_ADMINLIMIT_EXCEEDED:
	case LDAP_REFERRAL:
		return op_fail(r->op, ERR_INCOMPLETE, "the directory answered only in part below %.500s: %s (%d) %s", base,
		    ldap_err2string(code), code, ldap_words(r->op, words));
	default:
		return op_fail(r->op, ERR_LDAP, "the directory refuses to search below %.500s: %s (%d) %s", base,
		    ldap_err2string(code), code, ldap_words(r->op, words));
	}
}

/* The cookie of the next page into *cookie, empty when this was the last. */
static int
read_cookie(struct reading *r, LDAPControl **controls, struct berval *cookie)
{
	LDAPControl *control = controls ? ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL) : NULL;
	struct berval next = { 0, NULL };
	ber_int_t estimate;

	/* RFC 2696 3: the control was critical, so an answer without it is none */
	if (!control || ldap_parse_pageresponse_control(r->link->ld, control, &estimate, &next) != LDAP_SUCCESS)
		return op_fail(r->op, ERR_LDAP, "the directory does not answer by pages");
	ber_memfree(cookie->bv_val);
	*cookie = next;
	return 0;
}

static int
read_result(struct reading *r, LDAPMessage *message, struct berval *cookie)
{
	LDAPControl **controls = NULL;
	char *words = NULL;
	int code = LDAP_OTHER, rc;
	int parsed = ldap_parse_result(r->link->ld, message, &code, NULL, &words, NULL, &controls, 0);

	if (parsed != LDAP_SUCCESS)
		rc = ldap_link_fail(r->op, r->link, parsed, "the end of a search cannot be read");
	else
		rc = code_to_failure(r, code, words);
	if (!rc && r->query->page_size)
		rc = read_cookie(r, controls, cookie);
	ldap_memfree(words);
	ldap_controls_free(controls);
	return rc;
}

static int
send_page(struct reading *r, struct berval *cookie, int *ret_id)
{
	static const int scopes[] = { [LDAP_BASE] = LDAP_SCOPE_BASE, [LDAP_ONE] = LDAP_SCOPE_ONELEVEL,
		[LDAP_SUBTREE] = LDAP_SCOPE_SUBTREE };
	const struct ldap_query *q = r->query;
	LDAPControl scope = { .ldctl_oid = (char *)(uintptr_t)OID_DOMAIN_SCOPE, .ldctl_iscritical = 1 };
	LDAPControl *paging = NULL, *controls[3] = { NULL, NULL, NULL }, **next = controls;
	int code;

	if (q->page_size) {
		code = ldap_create_page_control(r->link->ld, q->page_size, cookie->bv_val ? cookie : NULL, 1, &paging);
		if (code != LDAP_SUCCESS)
			return ldap_link_fail(r->op, r->link, code, "making the paging control");
		*next++ = paging;
	}
	if (q->is_one_context)
		*next = &scope;
	code = ldap_search_ext(r->link->ld, q->base, scopes[q->scope], q->filter, (char **)(uintptr_t)q->attributes, 0, controls, NULL,
	    NULL, LDAP_NO_LIMIT, ret_id);
	ldap_control_free(paging);
	if (code == LDAP_FILTER_ERROR)
		return op_fail(r->op, ERR_INVALID, "%.500s is no LDAP filter", q->filter);
	return code == LDAP_SUCCESS ? 0 : ldap_link_fail(r->op, r->link, code, "sending a search");
}

/* One page.  A failure in the middle leaves messages on the wire, so the link is given up. */
static int
read_page(struct reading *r, struct berval *cookie)
{
	int id, type, rc;

	if ((rc = ldap_link_begin(r->op, r->link)) < 0 || (rc = send_page(r, cookie, &id)) < 0)
		return rc;
	for (;;) {
		LDAPMessage *message;

		if ((rc = ldap_link_result(r->op, r->link, id, &type, &message)) < 0)
			return rc;
		if (type == LDAP_RES_SEARCH_ENTRY)
			rc = read_entry(r, message);
		else if (type == LDAP_RES_SEARCH_REFERENCE)
			r->summary.referrals++;         /* never followed: it could lead our credentials anywhere */
		else if (type == LDAP_RES_SEARCH_RESULT)
			rc = read_result(r, message, cookie);
		else if (type != LDAP_RES_INTERMEDIATE)
			rc = ldap_link_fail(r->op, r->link, LDAP_DECODING_ERROR, "a search was answered by something else");
		ldap_msgfree(message);
		if (rc && type != LDAP_RES_SEARCH_RESULT)
			r->link->is_dead = true;
		if (rc || type == LDAP_RES_SEARCH_RESULT)
			return rc;
	}
}

int
ldap_link_search(struct op *op, struct ldap_link *link, const struct ldap_query *query,
    int (*on_entry)(struct op *op, const struct ldap_entry *entry, void *arg), void *arg, struct ldap_summary *ret)
{
	struct reading r = { .op = op, .link = link, .query = query, .on_entry = on_entry, .arg = arg, .mem = arena_new() };
	struct berval cookie = { 0, NULL };
	int rc, empty = 0;

	do {
		int64_t before = r.summary.entries;

		rc = read_page(&r, &cookie);
		empty = r.summary.entries > before ? 0 : empty + 1;
		if (!rc && cookie.bv_len && empty > EMPTY_PAGES_MAX)
			rc = op_fail(op, ERR_LDAP, "the directory sends page after page without an entry");
	} while (!rc && cookie.bv_len);
	ber_memfree(cookie.bv_val);
	arena_free(r.mem);
	*ret = r.summary;
	return rc;
}
