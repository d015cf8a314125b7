/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Kept connections and the bulkhead in front of each directory: at most half of the bind lane waits for one directory, and one
 * that did not answer three times running is left alone for five seconds, and then tried by one.  key: the directory's id and version, so that a
 * changed one starts anew.
 *
 *     rc = ldap_pool_enter(op, pool, key);            // ERR_BUSY after a while, or ERR_UNREACHABLE while the circuit is open
 *     ...
 *     ldap_pool_leave(pool, key, rc);                 // tells how it went
 */
#ifndef KW_NET_LDAP_POOL_H
#define KW_NET_LDAP_POOL_H

#include "net/ldap.h"

#define LDAP_POOL_AT_ONCE 8             /* half of the lane "bind" */
#define LDAP_POOL_SEAT_MS 1000          /* one more than these waits so long for a seat, while the directory answers; else not at all */
#define LDAP_POOL_FAILURES 3
#define LDAP_POOL_REST_MS 5000
#define LDAP_POOL_IDLE_MS 60000         /* a kept link unused for this long is closed */

struct ldap_pool;

struct ldap_pool *ldap_pool_new(void);
void ldap_pool_free(struct ldap_pool *pool);

int ldap_pool_enter(struct op *op, struct ldap_pool *pool, const char *key) MUST_CHECK;
/* rc: what came of it; ERR_UNREACHABLE, ERR_DEADLINE and ERR_LDAP_TLS count against the directory, an answer resets the count. */
void ldap_pool_leave(struct ldap_pool *pool, const char *key, int rc);

/* A kept link, or NULL. */
struct ldap_link *ldap_pool_take(struct ldap_pool *pool, const char *key);
/* Keeps a link that is alive; closes it when enough are kept. */
void ldap_pool_keep(struct ldap_pool *pool, const char *key, struct ldap_link *link);

#endif
