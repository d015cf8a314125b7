/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Revocation (RFC 7009) and tidying up.  A refresh token takes its whole authorization along, an access token only itself.
 * 200 is said only when the end is durable (the reply rides with the commit); a token that is unknown or another
 * application's is answered 200 without effect (RFC 7009 2.2).
 */
#include "oidc_int.h"

#include <string.h>

#include "issue/live.h"

#define PURGE_KEEP_MS 86400000          /* an authorization is kept a day beyond its end, to tell a reuse from a stranger */
#define PURGE_LIMIT 1000

struct revocation {
	const struct catalog_app *app;
	const char *id;                 /* of the authorization, for a refresh token */
	struct access access;
};

static int
revoke_refresh(struct op *op, void *arg)
{
	const struct revocation *r = arg;
	struct authorization *a;
	int rc = db_authorization_read(op, r->id, &a);

	if (rc == ERR_NOT_FOUND) {
		op_forgive(op);
		return 0;
	}
	/* RFC 7009 2.1: only the application that it was issued to */
	if (rc || strcmp(a->app_id, r->app->id) != 0)
		return rc;
	return authorization_end(op, r->id, a->user_id, "revoked", EV_TOKEN_REVOKE, r->app->body->name, "refresh token");
}

static void
forget_access(struct op *op, void *arg)
{
	live_drop(op->svc->live, &(struct live_ids){ .jti = arg });
}

static int
revoke_access(struct op *op, void *arg)
{
	const struct revocation *r = arg;
	int rc = db_revoked_add(op, r->access.jti, r->access.until_ms);

	if (rc)
		return rc;
	db_on_commit(op, forget_access, op_strdup(op, r->access.jti));
	return audit_record(op, EV_TOKEN_REVOKE, r->access.authorization_id ? r->access.sub : NULL, FACTS(FACT("app", r->app->body->name),
	    FACT("what", "access token"), FACT("authorization", r->access.authorization_id)));
}

static int
revoke(struct op *op, const struct request *request, const struct catalog_app *app)
{
	struct revocation r = { .app = app };
	const char *token = param(&request->form, "token");
	int64_t seq;
	int rc;

	if (!token)
		return op_fail(op, ERR_INVALID, "parameter token is missing");
	if (refresh_parse(op, token, &r.id, &seq))
		/* an end only ever adds to other ends */
		return db_run_conditional(op, revoke_refresh, &r);
	rc = token_verify_access(op, token, &r.access);
	if (rc == ERR_INVALID_TOKEN) {
		op_forgive(op);
		return 0;
	}
	/* RFC 7009 2.1: only the application that it was issued to */
	if (rc || strcmp(r.access.client_id, app->body->name) != 0)
		return rc;
	return db_run_conditional(op, revoke_access, &r);
}

HANDLER(oidc_revoke)
{
	const struct catalog_app *app;
	int rc = client_authenticate(op, request, reply, &app);

	if (!rc)
		rc = revoke(op, request, app);
	if (rc)
		return client_refused(op, app, rc);
	return client_reply(op, reply, json_own(op, json_object()));
}

static int
purge(struct op *op, void *arg)
{
	int64_t *n = arg;
	int rc = db_authorization_purge(op, op->now_ms - PURGE_KEEP_MS, PURGE_LIMIT, n);

	return rc ? rc : db_revoked_purge(op, op->now_ms);
}

int
oidc_purge(struct op *op)
{
	int64_t n = PURGE_LIMIT;
	int rc = 0;

	live_sweep(op);
	/* in pieces, so that nobody waits for long */
	while (!rc && n == PURGE_LIMIT)
		rc = db_run(op, purge, &n);
	return rc;
}
