/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Forms of values that only Active Directory has: GUIDs, SIDs, times since 1601, and the words of a refused bind.  Pure functions.
 *
 *     char id[UUID_TEXT_BYTES];
 *     if (ldap_ad_guid(value->data, value->size, id)) ...
 */
#ifndef KW_NET_LDAP_AD_H
#define KW_NET_LDAP_AD_H

#include "base/uuid.h"
#include "net/ldap.h"

#define LDAP_AD_SID_BYTES 192           /* text of a SID and its end: 15 numbers of ten digits at most */
#define LDAP_AD_NEVER INT64_MAX         /* FILETIME, [MS-ADA1] 2.1 */

/*
 * objectGUID, [MS-DTYP] 2.3.4.2: 16 bytes, the first three fields with their lowest byte first; to the text that Windows shows, in
 * lower case.
 */
bool ldap_ad_guid(const void *data, size_t n, char ret_text[static UUID_TEXT_BYTES]);
/* objectSid, [MS-DTYP] 2.4.2.2: "S-1-5-21-1-2-3-1106".  False when it is none. */
bool ldap_ad_sid(const void *data, size_t n, char ret_text[static LDAP_AD_SID_BYTES]);
/*
 * The SID of the same domain that ends with rid: that of somebody's primary group ([MS-ADA3] 2.117).  False for a SID without a
 * domain.
 */
bool ldap_ad_sid_of(const char *sid, uint32_t rid, char ret_text[static LDAP_AD_SID_BYTES]);
/* A decimal integer of 32 bits, signed as Active Directory shows it. */
bool ldap_ad_number(const char *text, size_t n, uint32_t *ret);
/*
 * A FILETIME in decimal: hundreds of nanoseconds since 1601, no sign.  *ret_ms is 0 for never (0 and the maximum), else at least 1
 * (a time before 1970 has passed) and at most the end of the year 9999.  False when it is no time.
 */
bool ldap_ad_time(const char *text, size_t n, int64_t *ret_ms);

/* A row of tables/binds.def. */
struct ldap_ad_refusal {
	unsigned number;
	enum ldap_bind_outcome outcome;
	const char *meaning, *mend;
};
/*
 * What the words of a refused bind (result code 49) say, read strictly: "80090308: LdapErr: DSID-hhhhhhhh, comment:
 * AcceptSecurityContext error, data hhh, vhhhh".  NULL when they are others; a number that is not in the table gives the row of
 * 52e.
 */
const struct ldap_ad_refusal *ldap_ad_refusal(const char *diagnostic, unsigned *ret_number);

#endif
