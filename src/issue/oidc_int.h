/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the steps of the OpenID provider share: parameters, scopes, redirect URIs, PKCE, codes, client authentication, tokens.
 * Read in the order of a sign-in: param.c, redirect.c, scope.c, pkce.c, code.c, oidc_client.c, claims.c, token.c.
 */
#ifndef KW_ISSUE_OIDC_INT_H
#define KW_ISSUE_OIDC_INT_H

#include "audit/audit.h"
#include "base/config.h"
#include "base/json.h"
#include "base/text.h"
#include "crypt/hash.h"
#include "issue/live.h"
#include "issue/oidc.h"
#include "people/catalog.h"
#include "store/authorization.h"
#include "store/user.h"

/* ---- param.c: parameters of requests (RFC 6749 3.1, 3.2) ---- */

/* The value; NULL when absent or empty, which is the same (RFC 6749 3.1). */
const char *param(const struct http_pairs *pairs, const char *name);
/* True when the parameter occurs more than once. */
bool param_is_repeated(const struct http_pairs *pairs, const char *name);
/* Refuses any parameter that occurs twice, text that is not UTF-8, more than 64 parameters.  ERR_INVALID. */
int param_check(struct op *op, const struct http_pairs *pairs) MUST_CHECK;
/* name=value, form-encoded, with sep before it. */
void param_add(struct buf *buf, char sep, const char *name, const char *value);
/* application/x-www-form-urlencoded, for HTTP Basic (RFC 6749 2.3.1); NULL when a sequence is wrong or holds NUL. */
char *param_decode(struct op *op, const char *text, size_t n);

/* ---- redirect.c ---- */

/* RFC 9700 2.1, 4.1.3: letter by letter; RFC 8252 7.3: only the port may vary for http://127.0.0.1 and http://[::1]. */
bool redirect_is_registered(const struct strings *registered, const char *uri);
/* uri with pairs of name and value added to its query, ended by NULL; NULL values are left out. */
char *redirect_build(struct op *op, const char *uri, ...) __attribute__((sentinel));

/* ---- scope.c ---- */

bool scope_has(const char *scope, const char *name);
bool scope_is_within(const char *narrow, const char *wide);
/* The application may be given this scope: the standard ones, or those that its object lists. */
bool scope_is_allowed(const struct catalog_app *app, const char *name, size_t n);
/*
 * What is granted of what was asked for a person: unknown and not allowed ones are left out.  ERR_INVALID_SCOPE: bad
 * characters, or nothing left.
 */
int scope_settle(struct op *op, const struct catalog_app *app, const char *asked, char **ret) MUST_CHECK;
/*
 * The same for a service on its own behalf: only scopes that its object lists, never those that speak of a person.  asked
 * NULL: all of them.
 */
int scope_settle_service(struct op *op, const struct catalog_app *app, const char *asked, char **ret) MUST_CHECK;

/* ---- pkce.c (RFC 7636) ---- */

bool pkce_is_challenge(const char *challenge);
/*
 * False unless challenge is the S256 of the verifier; both NULL is true; one without the other is false (RFC 9700 2.1.1:
 * downgrade).
 */
bool pkce_fits(struct op *op, const char *challenge, const char *verifier);

/* ---- code.c: codes and refresh tokens ---- */

/* "id.secret" with the hash that is stored. */
char *code_new(struct op *op, const char *authorization_id, unsigned char ret_hash[static SHA256_BYTES]);
bool code_parse(struct op *op, const char *code, const char **ret_id, unsigned char ret_hash[static SHA256_BYTES]);
/* "id.seq.mac" */
char *refresh_write(struct op *op, const char *authorization_id, int64_t seq);
/* False unless we have made it. */
bool refresh_parse(struct op *op, const char *token, const char **ret_id, int64_t *ret_seq);
/* Inside db_run: ends the authorization with an audit row, and after the commit everything that hangs on it. */
int authorization_end(struct op *op, const char *id, const char *user_id, const char *why, enum event event, const char *client_id,
    const char *what) MUST_CHECK;

/* Nothing of the authorization has ended: itself, its time, its session, its person (ASVS 7.4.1, 7.4.2). */
bool authorization_is_alive(const struct op *op, const struct authorization *a);
/*
 * How long a refresh token made now may lie unused; at most until the absolute end after the sign-in.  Not after now: none
 * may be made.
 */
int64_t refresh_until(const struct op *op, const struct authorization *a);

/* Why a thing that is good once was not: by what the database says behind the refusal. */
enum single_use_end {
	SINGLE_USE_OVER,
	SINGLE_USE_REUSED,
	SINGLE_USE_GOOD,                /* it is good: its session moved at that very moment, and the update saw neither place */
};

/* A thing that is good once. */
struct single_use {
	/* Uses it up: its one conditional update gives ERR_STALE when it is not good (any more). */
	int (*use)(struct op *op, void *arg);
	/* Why not; ends what hangs on it when it was used before. */
	int (*refuse)(struct op *op, void *arg, enum single_use_end *ret);
	const char *reused, *over;      /* sentences */
};
/*
 * Uses it up as the last act of a request.  0 when that is done; ERR_INVALID_GRANT with one of the sentences (RFC 6749 5.2),
 * told only when the end that the refusal caused is durable.
 */
int single_use_finish(struct op *op, const struct single_use *single, void *arg) MUST_CHECK;

/* ---- oidc_client.c ---- */

/*
 * Who calls the token endpoint and its kin: client_secret_basic, client_secret_post, or none for public applications.
 * ERR_INVALID_CLIENT (and the WWW-Authenticate header), ERR_INVALID.  Fills op->caller.
 */
int client_authenticate(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app **ret) MUST_CHECK;
bool client_has_secret(const struct catalog_app *app);
const char *client_audience(const struct catalog_app *app);
/* Writes the refusal into the audit log, unless it is our own failure; returns rc. */
int client_refused(struct op *op, const struct catalog_app *app, int rc);
/* What the token endpoint answers (RFC 6749 5.1); id_token and refresh_token may be NULL.  Returns 0. */
int client_reply_tokens(struct op *op, struct reply *reply, const char *access_token, int64_t lifetime_sec, const char *scope,
    const char *id_token, const char *refresh_token);
/* A JSON answer that nobody may store (RFC 6749 5.1); returns 0. */
int client_reply(struct op *op, struct reply *reply, const json_t *body);

/* ---- claims.c: what we say of a person ---- */

struct subject {
	const struct user *user;
	const struct grant *grants;
	size_t n_grants;
	bool is_mail_unique;
};

/* Inside db_run or db_read. */
int subject_read(struct op *op, const char *user_id, struct subject **ret) MUST_CHECK;
/* Sets roles, locations and grants; needs nothing else of the subject. */
void claims_add_roles(struct op *op, json_t *claims, const struct subject *subject);
/* Sets the claims of each scope (OpenID Connect Core 5.4) but sub. */
void claims_add_scope(struct op *op, json_t *claims, const struct subject *subject, const char *scope);
/* Sets the claims that the claims parameter asked for at "userinfo" or "id_token"; asked as stored by claims_read, may be NULL. */
void claims_add_asked(struct op *op, json_t *claims, const struct subject *subject, const struct catalog_app *app, const char *asked,
    const char *place);

struct claims_request {
	const char *asked;              /* to be stored: canonical {"id_token":[names],"userinfo":[names]}; NULL when nothing is left */
	const char *sub;                /* the person that it must be; NULL: any */
	bool is_acr_unmet;              /* an essential acr that we cannot give */
};
/* Reads the claims parameter (OpenID Connect Core 5.5); unknown members and names are left out.  ERR_INVALID. */
int claims_read(struct op *op, const char *text, struct claims_request *ret) MUST_CHECK;
/* The names that may be in claims_supported, ended by NULL. */
const char *const *claims_names(void);
/* "pwd": how the person signed in (OpenID Connect Core 2, acr), from the session's amr. */
const char *claims_acr(const char *amr);

/* ---- token.c ---- */

/* An access token of ours, taken apart (RFC 9068). */
struct access {
	const json_t *claims;
	const char *sub, *client_id, *audience, *scope, *jti;
	const char *session_id, *authorization_id;      /* NULL for a service on its own behalf */
	int64_t until_ms;
};

/* Signs the access token of an authorization; number makes its jti: 0 for the code, then the refresh token's. */
int token_access(struct op *op, const struct catalog_app *app, const struct authorization *a, const struct subject *subject,
    const char *scope, int64_t number, char **ret, int64_t *ret_lifetime_sec) MUST_CHECK;
/* For a service on its own behalf (RFC 6749 4.4). */
int token_service(struct op *op, const struct catalog_app *app, const char *scope, char **ret, int64_t *ret_lifetime_sec) MUST_CHECK;
/* OpenID Connect Core 2; access_token gives at_hash. */
int token_id(struct op *op, const struct catalog_app *app, const struct authorization *a, const struct subject *subject,
    const char *access_token, char **ret) MUST_CHECK;
/* Signature, class, issuer and time; whether it is still alive says token_is_alive.  ERR_INVALID_TOKEN. */
int token_verify_access(struct op *op, const char *token, struct access *ret) MUST_CHECK;
/*
 * Inside db_read: not revoked, and authorization, session and person alive; *ret_a is then the authorization, NULL for a
 * service's token.
 */
int token_is_alive(struct op *op, const struct access *access, bool *ret_alive, struct authorization **ret_a) MUST_CHECK;
/* An ID token of ours as a hint: expired is fine (OpenID Connect Core 3.1.2.1).  ERR_INVALID_TOKEN. */
int token_verify_hint(struct op *op, const char *token, json_t **ret_claims) MUST_CHECK;

/* ---- oidc_introspect.c ---- */

/*
 * An access token of an application that is enabled; ret->answer NULL when it is none of ours or not alive.  On the network loop
 * ERR_BUSY when memory does not know it.
 */
int introspect_find(struct op *op, const struct request *request, const char *token, struct live_token *ret) MUST_CHECK;

/* ---- grants of the token endpoint: fill the reply, or fail ---- */

int grant_code(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app) MUST_CHECK;
int grant_refresh(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app) MUST_CHECK;
int grant_service(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app) MUST_CHECK;

#endif
