/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The sign-in flow, independent of what comes after it.  An application's request waits in the query of /login: "then" is a path of our
 * own (checked to be one: never an open redirector), for example /oauth2/authorize?client_id=...
 */
#ifndef KW_LOGIN_FLOW_H
#define KW_LOGIN_FLOW_H

#include "login/session.h"

/* Sends the browser to /login with what it shall come back to; app_title (may be NULL) is shown, login_hint prefills.  is_again: even a
 * signed-in person must give the password again (prompt=login, max_age). */
void flow_start(struct op *op, struct reply *reply, const char *then, const char *app_title, const char *login_hint, bool is_again);

#endif
