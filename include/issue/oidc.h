/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The OpenID provider: OpenID Connect Core and Discovery 1.0, RP-Initiated Logout 1.0, OAuth 2.0 (RFC 6749, 6750, 7009, 7636,
 * 7662, 8414, 9068, 9207) within the limits of RFC 9700.  A file a step in src/issue; src/issue/README says what is offered
 * and what was decided.
 */
#ifndef KW_ISSUE_OIDC_H
#define KW_ISSUE_OIDC_H

#include "net/route.h"

HANDLER(oidc_discovery);
HANDLER(oidc_jwks);
HANDLER(oidc_authorize);
HANDLER(oidc_token);
HANDLER(oidc_userinfo);
HANDLER(oidc_introspect);
HANDLER(oidc_check);
HANDLER(oidc_revoke);
HANDLER(oidc_logout);

/* Job, every minute and before the daemon ends: one audit row for each service that got tokens for itself since the last time. */
int oidc_flush(struct op *op) MUST_CHECK;
/* Job, every ten minutes or so: removes authorizations and revoked tokens that are over, and what memory held of them. */
int oidc_purge(struct op *op) MUST_CHECK;

#endif
