/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Browser sessions.  The cookie __Host-keyward is id.secret (Secure, HttpOnly, SameSite=Lax, Path=/); a new sign-in always makes a
 * new id (ASVS 7.2.4).  A session dies by idling, by age, by sign-out, and with its person.
 */
#ifndef KW_LOGIN_SESSION_H
#define KW_LOGIN_SESSION_H

#include "net/http.h"
#include "store/user.h"

struct session {
	const char *id, *user_id;
	int64_t auth_ms;                        /* auth_time */
	const char *amr;                        /* RFC 8176, blank separated: "pwd" */
	const char *address, *device;
	int64_t created_ms, seen_ms, until_ms;
};

/*
 * The session of the request's cookie, or NULL in *ret when there is none that lives: then 0 is returned all the same.  Two
 * cookies of that name are no session (RFC 6265 4.1.2: cookie tossing).  Fills op->caller (actor, session).  Renews seen_ms at
 * most once a minute.
 */
int session_find(struct op *op, const struct request *request, struct session **ret) MUST_CHECK;
/* Inside db_run: makes a session for the person; *ret_cookie is the cookie's value. */
int session_create(struct op *op, const char *user_id, const char *amr, struct session **ret, char **ret_cookie) MUST_CHECK;
/* Inside db_run: ends a session and the authorizations that came of it; op->svc->on_end after the commit. */
int session_end(struct op *op, const char *session_id, const char *why) MUST_CHECK;
/* Removes what is over for a day; a job calls it. */
int session_purge(struct op *op) MUST_CHECK;
/* The job that counts live sessions for /metrics. */
int session_measure(struct op *op) MUST_CHECK;
/*
 * Inside db_run: the person of old has signed in again and is next now.  The old id is dead (ASVS 7.2.4); what applications were allowed
 * goes on under the new one, since confirming a password must not sign anybody out elsewhere.
 */
int session_hand_over(struct op *op, const struct session *old, const struct session *next) MUST_CHECK;
void session_set_cookie(struct reply *reply, const char *cookie);
void session_clear_cookie(struct reply *reply);

/*
 * Anti-forgery token of a form: bound to the browser by the cookie __Host-keyward-form (made on first use; reply gets it) and
 * to the purpose, by HMAC.  src/routes.c checks field "csrf" and the Origin header of every ORIGIN=FORM route before its
 * handler.
 */
char *form_token(struct op *op, const struct request *request, struct reply *reply);
/* ERR_CSRF. */
int form_check(struct op *op, const struct request *request) MUST_CHECK;

#endif
