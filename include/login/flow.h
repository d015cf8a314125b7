/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The sign-in flow, independent of what comes after it.  An application's request waits in the query of /login: "then" is a
 * path of our own (checked to be one: never an open redirector), for example /oauth2/authorize?client_id=...
 */
#ifndef KW_LOGIN_FLOW_H
#define KW_LOGIN_FLOW_H

#include "login/session.h"
#include "net/route.h"

/*
 * Sends the browser to /login with what it shall come back to: then is "/account", or "/oauth2/authorize?" and a query in its
 * encoded form. login_hint (may be NULL) prefills.  is_again: even a signed-in person must give the password again
 * (prompt=login, max_age).  The page shows the title of the application whose client_id stands in then; a title is not sent along,
 * since everybody could write one into a link.
 */
void flow_start(struct op *op, struct reply *reply, const char *then, const char *login_hint, bool is_again);

/* True for a path that a sign-in may lead to: "/account" exactly, or "/oauth2/authorize?..." of visible ASCII without backslash. */
bool flow_is_then(const char *then);

HANDLER(page_login);
HANDLER(page_login_post);

#endif
