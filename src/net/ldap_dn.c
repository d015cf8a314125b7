/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Names: escaping for filters and DNs, which are two different things, and the one form in which DNs are compared.  Servers
 * spell one DN in several ways (`\,` or `\2C`, case, blanks), so text comparison alone would lose members of groups.  Read
 * ldap_dn_normalise; the plain case, by far the most frequent one, is handled without libldap in plain_normalise and must come
 * out the same.
 */
#include "ldap_int.h"

#include <stdlib.h>
#include <string.h>

#define DN_MAX_BYTES 65536
#define RDN_PARTS_MAX 16

static const char hex_digits[] = "0123456789abcdef";

char *
ldap_filter_escape(struct op *op, const char *value, size_t n)
{
	char *escaped = op_alloc(op, n * 3 + 1), *to = escaped;

	/* RFC 4515 3: NUL ( ) * \ */
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c != 0 && c != '(' && c != ')' && c != '*' && c != '\\') {
			*to++ = (char)c;
			continue;
		}
		*to++ = '\\';
		*to++ = hex_digits[c >> 4];
		*to++ = hex_digits[c & 15];
	}
	return escaped;
}

/* RFC 4514 2.4, and '=' as well; controls, too, so that a DN is always one printable line. */
static bool
is_special(unsigned char c)
{
	return c < ' ' || c == 0x7f || strchr(",+\"\\<>;=#", c);
}

static void
add_escaped(struct buf *buf, const char *value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)value[i];
		bool is_edge_blank = c == ' ' && (i == 0 || i == n - 1);

		if (!is_special(c) && !is_edge_blank) {
			buf_add_char(buf, (char)c);
			continue;
		}
		buf_add_char(buf, '\\');
		buf_add_char(buf, hex_digits[c >> 4]);
		buf_add_char(buf, hex_digits[c & 15]);
	}
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Other spellings of the attribute types that names of people and groups are made of (RFC 4519, RFC 4512 1.4). */
static const char *
short_type(const char *type)
{
	static const struct { const char *other, *type; } types[] = {
		{ "2.5.4.3", "cn" }, { "commonname", "cn" }, { "2.5.4.4", "sn" }, { "surname", "sn" },
		{ "2.5.4.6", "c" }, { "countryname", "c" }, { "2.5.4.7", "l" }, { "localityname", "l" },
		{ "2.5.4.8", "st" }, { "stateorprovincename", "st" }, { "2.5.4.9", "street" }, { "streetaddress", "street" },
		{ "2.5.4.10", "o" }, { "organizationname", "o" }, { "2.5.4.11", "ou" }, { "organizationalunitname", "ou" },
		{ "0.9.2342.19200300.100.1.1", "uid" }, { "userid", "uid" },
		{ "0.9.2342.19200300.100.1.25", "dc" }, { "domaincomponent", "dc" },
	};

	if (strlen(type) < 6)           /* all others are longer, and most names come short already */
		return type;
	for (size_t i = 0; i < countof(types); i++)
		if (strcmp(types[i].other, type) == 0)
			return types[i].type;
	return type;
}

static bool
is_type_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

static bool
is_plain_char(char c)
{
	if (c < ' ' || c > '~')
		return false;
	switch (c) {
	case ',': case '+': case '"': case '\\': case '<': case '>': case ';': case '=': case '#':
		return false;
	default:
		return true;
	}
}

/* One "type=value" of plain ASCII at *from; copies it normalised to *to.  False when it is not that plain. */
static bool
plain_part(const char **from, char **to)
{
	const char *at = *from, *type;
	char *start = *to, *out = start;

	while (*at == ' ')
		at++;
	while (is_type_char(*at))
		*out++ = lower(*at++);
	*out = '\0';
	if (out == start || *at++ != '=')
		return false;
	type = short_type(start);
	if (type != start)
		out = stpcpy(start, type);
	*out++ = '=';
	start = out;
	/* RFC 4518 2.6.1: blanks at the ends are nothing, several inside are one */
	for (; is_plain_char(*at); at++)
		if (*at != ' ' || (out > start && out[-1] != ' '))
			*out++ = lower(*at);
	while (out > start && out[-1] == ' ')
		out--;
	if (out == start || (*at && *at != ','))
		return false;
	*from = at;
	*to = out;
	return true;
}

static char *
plain_normalise(struct op *op, const char *dn)
{
	/* the short names are shorter than what they stand for, so the result is never longer */
	char *key = op_alloc(op, strlen(dn) + 2), *to = key;

	for (;;) {
		if (!plain_part(&dn, &to))
			return NULL;
		*to = '\0';
		if (!*dn)
			return key;
		dn++;
		*to++ = ',';
	}
}

/* Takes insignificant blanks out of folded text, in place. */
static void
squeeze(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++)
		if (*from != ' ' || (to > text && to[-1] != ' '))
			*to++ = *from;
	while (to > text && to[-1] == ' ')
		to--;
	*to = '\0';
}

static int
part_to_text(struct op *op, const LDAPAVA *ava, char **ret)
{
	struct buf buf = buf_in(op->mem);
	char *type = op_strndup(op, ava->la_attr.bv_val, ava->la_attr.bv_len), *value;

	for (char *c = type; *c; c++)
		*c = lower(*c);
	buf_add(&buf, short_type(type));
	buf_add_char(&buf, '=');
	if (ava->la_flags & LDAP_AVA_BINARY) {
		/* RFC 4514 3: at least one pair of digits; libldap takes "#" alone for an empty value */
		if (!ava->la_value.bv_len)
			return op_fail(op, ERR_MALFORMED, "a DN has an empty value in hexadecimal form");
		buf_add_char(&buf, '#');
		buf_add(&buf, hex_encode(op->mem, ava->la_value.bv_val, ava->la_value.bv_len));
		*ret = buf.text;
		return 0;
	}
	if (!text_is_utf8(ava->la_value.bv_val, ava->la_value.bv_len))
		return op_fail(op, ERR_MALFORMED, "a DN has a value that is not UTF-8 text");
	value = text_fold(op->mem, op_strndup(op, ava->la_value.bv_val, ava->la_value.bv_len));
	if (!value)
		return op_fail(op, ERR_MALFORMED, "a DN has a value that is not UTF-8 text");
	squeeze(value);
	add_escaped(&buf, value, strlen(value));
	*ret = buf.text;
	return 0;
}

static int
compare_parts(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static int
add_rdn(struct op *op, LDAPRDN rdn, struct buf *buf)
{
	char *parts[RDN_PARTS_MAX];
	size_t n = 0;
	int rc;

	for (; rdn && rdn[n]; n++) {
		if (n == RDN_PARTS_MAX)
			return op_fail(op, ERR_MALFORMED, "a DN has more than %d values in one component", RDN_PARTS_MAX);
		if ((rc = part_to_text(op, rdn[n], &parts[n])) < 0)
			return rc;
	}
	if (n > 1)
		qsort(parts, n, sizeof(*parts), compare_parts);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(buf, '+');
		buf_add(buf, parts[i]);
	}
	return n ? 0 : op_fail(op, ERR_MALFORMED, "a DN has an empty component");
}

int
ldap_dn_normalise(struct op *op, const char *dn, char **ret)
{
	struct buf buf = buf_in(op->mem);
	LDAPDN parsed = NULL;
	int rc = 0;

	if (strlen(dn) > DN_MAX_BYTES)
		return op_fail(op, ERR_MALFORMED, "a DN has more than %d bytes", DN_MAX_BYTES);
	if ((*ret = plain_normalise(op, dn)))
		return 0;
	if (ldap_str2dn(dn, &parsed, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || !parsed || !parsed[0])
		rc = op_fail(op, ERR_MALFORMED, "%.200s is no DN", dn);
	for (size_t i = 0; !rc && parsed[i]; i++) {
		if (i > 0)
			buf_add_char(&buf, ',');
		rc = add_rdn(op, parsed[i], &buf);
	}
	ldap_dnfree(parsed);
	*ret = buf.text;
	return rc;
}

bool
ldap_dn_is_under(const char *dn_key, const char *base_key)
{
	size_t n = strlen(dn_key), base = strlen(base_key);

	if (base == 0)
		return true;
	if (n < base || strcmp(dn_key + n - base, base_key) != 0)
		return false;
	/* values hold no bare comma, so a comma here ends a component */
	return n == base || dn_key[n - base - 1] == ',';
}
