/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Values in forms that only Active Directory has; what came from the server is checked byte by byte.  No connection is here. */
#include "net/ldap_ad.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SID_NUMBERS_MAX 15
#define EPOCH_MS INT64_C(11644473600000)        /* from 1601 to 1970 */
#define LAST_MS INT64_C(253402300799999)        /* the end of the year 9999 */

bool
ldap_ad_guid(const void *data, size_t n, char ret_text[static UUID_TEXT_BYTES])
{
	static const unsigned char order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	unsigned char bytes[16];

	if (n != sizeof(bytes))
		return false;
	for (size_t i = 0; i < n; i++)
		bytes[i] = ((const unsigned char *)data)[order[i]];
	uuid_format(bytes, ret_text);
	return true;
}

bool
ldap_ad_sid(const void *data, size_t n, char ret_text[static LDAP_AD_SID_BYTES])
{
	const unsigned char *b = data;
	uint64_t authority = 0;
	size_t at;

	if (n < 8 || b[0] != 1 || b[1] > SID_NUMBERS_MAX || n != 8 + 4 * (size_t)b[1])
		return false;
	for (int i = 2; i < 8; i++)
		authority = authority << 8 | b[i];
	at = (size_t)snprintf(ret_text, LDAP_AD_SID_BYTES, "S-1-%llu", (unsigned long long)authority);
	for (size_t i = 8; i < n; i += 4) {
		uint32_t number = (uint32_t)b[i] | (uint32_t)b[i + 1] << 8 | (uint32_t)b[i + 2] << 16 | (uint32_t)b[i + 3] << 24;

		at += (size_t)snprintf(ret_text + at, LDAP_AD_SID_BYTES - at, "-%lu", (unsigned long)number);
	}
	return true;
}

bool
ldap_ad_sid_of(const char *sid, uint32_t rid, char ret_text[static LDAP_AD_SID_BYTES])
{
	const char *last = strrchr(sid, '-');
	int dashes = 0;

	for (const char *c = sid; *c; c++)
		dashes += *c == '-';
	/* S-1-5-21-x-y-z-rid: a SID of a well-known group has no domain in front of its last number */
	if (!last || dashes < 4 || strlen(sid) + 11 > LDAP_AD_SID_BYTES)
		return false;
	snprintf(ret_text, LDAP_AD_SID_BYTES, "%.*s-%lu", (int)(last - sid), sid, (unsigned long)rid);
	return true;
}

/* Digits alone, not more than max; false for none. */
static bool
read_digits(const char *text, size_t n, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned digit = (unsigned)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	return n > 0;
}

bool
ldap_ad_number(const char *text, size_t n, uint32_t *ret)
{
	bool is_negative = n > 1 && text[0] == '-';
	uint64_t value;

	if (!read_digits(text + is_negative, n - is_negative, is_negative ? UINT64_C(1) << 31 : UINT32_MAX, &value))
		return false;
	*ret = is_negative ? (uint32_t)-(int64_t)value : (uint32_t)value;
	return true;
}

bool
ldap_ad_time(const char *text, size_t n, int64_t *ret_ms)
{
	uint64_t value;
	int64_t ms;

	if (!read_digits(text, n, LDAP_AD_NEVER, &value))
		return false;
	ms = (int64_t)(value / 10000) - EPOCH_MS;
	if (value == 0 || value == LDAP_AD_NEVER)
		*ret_ms = 0;
	else
		*ret_ms = ms < 1 ? 1 : ms > LAST_MS ? LAST_MS : ms;
	return true;
}

/* Takes exactly these words; NULL when others stand there. */
static const char *
take(const char *at, const char *words)
{
	return at && text_starts_with(at, words) ? at + strlen(words) : NULL;
}

/* Takes least to most hexadecimal digits. */
static const char *
take_hex(const char *at, int least, int most, unsigned *ret)
{
	int n = 0;

	*ret = 0;
	for (; at && n < most && isxdigit((unsigned char)at[n]); n++)
		*ret = *ret << 4 | (unsigned)(isdigit((unsigned char)at[n]) ? at[n] - '0' : (at[n] | 0x20) - 'a' + 10);
	return at && n >= least && !isxdigit((unsigned char)at[n]) ? at + n : NULL;
}

const struct ldap_ad_refusal *
ldap_ad_refusal(const char *diagnostic, unsigned *ret_number)
{
	static const struct ldap_ad_refusal rows[] = {
#define BIND(number, outcome, meaning, mend) { number, LDAP_BIND_##outcome, meaning, mend },
#include "tables/binds.def"
#undef BIND
	};
	const char *at = diagnostic;
	unsigned number, rest;

	at = take(take_hex(at, 8, 8, &rest), ": LdapErr: DSID-");
	at = take(take_hex(at, 8, 8, &rest), ", comment: AcceptSecurityContext error, data ");
	at = take(take_hex(at, 1, 8, &number), ", v");
	at = take_hex(at, 1, 8, &rest);
	if (!at || *at)
		return NULL;
	*ret_number = number;
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].number == number)
			return &rows[i];
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].number == 0x52e)
			return &rows[i];
	return NULL;
}
