/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An authorization request once its parameters are understood. */
#ifndef KW_ISSUE_AUTHORIZE_INT_H
#define KW_ISSUE_AUTHORIZE_INT_H

#include "oidc_int.h"

struct authorize {
	const struct http_pairs *given;
	const struct catalog_app *app;
	const char *redirect_uri;       /* registered */
	const char *state, *nonce, *challenge, *login_hint;
	char *scope;                    /* what is granted of it */
	const char *hint_sub;           /* of id_token_hint */
	struct claims_request claims;
	int64_t max_age_sec;            /* -1: not given */
	bool is_silent;                 /* prompt=none */
	bool want_login;                /* prompt=login */
};

/* Reads everything but client_id and redirect_uri; the failure's sentence may be shown to the application. */
int authorize_read(struct op *op, struct authorize *a) MUST_CHECK;

#endif
