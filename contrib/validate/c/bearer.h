/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Keyward's access tokens, checked in C with libjwt 1.10 (Debian 12).  Explained in doc/validate-c.md.
 *
 *     struct keys *keys = keys_new("https://keyward.clinic.test/oauth2/jwks", NULL);
 *     const char *why;
 *     json_t *claims = bearer_check(keys, "https://keyward.clinic.test", "https://records.clinic.test", token, &why);
 *
 *     if (claims && bearer_holds(claims, "manager", "hillside"))
 *             ...
 *     json_decref(claims);
 *
 * The application must be registered with --typ JWT and ES256: this libjwt refuses tokens whose type is at+jwt.
 * Not thread-safe: one struct keys for each thread, or a lock of yours around bearer_check.
 */
#ifndef BEARER_H
#define BEARER_H

#include <jansson.h>
#include <stdbool.h>

#define BEARER_LEEWAY_SEC 30            /* that two clocks may differ */
#define KEYS_GOOD_FOR_SEC 600           /* then they are fetched again, so that a withdrawn key goes away */
#define KEYS_REST_SEC 20                /* whatever strangers send, the keys are not fetched more often than this */

/* The keys that Keyward publishes. */
struct keys;
/* ca_file NULL: the system's.  Fetches nothing yet. */
struct keys *keys_new(const char *url, const char *ca_file);
void keys_free(struct keys *keys);
/* PEM of the ES256 key of that kid; NULL when there is none.  Good until the next call. */
const char *keys_find(struct keys *keys, const char *kid);

/* The claims of a good access token (json_decref), or NULL and why not: for your log, not for the caller. */
json_t *bearer_check(struct keys *keys, const char *issuer, const char *audience, const char *token, const char **ret_why);
/* Role and site of one and the same grant: who is physician at one site and manager at another manages only there. */
bool bearer_holds(const json_t *claims, const char *role, const char *site);

/* n characters of base64url without padding, at most ret_size bytes; the number of bytes, or -1 (RFC 7515 2). */
int base64url_read(const char *text, size_t n, unsigned char *ret, size_t ret_size);

#endif
