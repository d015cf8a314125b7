/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Refreshing (RFC 6749 6, RFC 9700 4.14): every refresh token is good once.  Its number is in it under our MAC, the row knows
 * which number is good now; one conditional update moves it on.  An older number that is authentic means that somebody has a
 * copy: the whole authorization ends.  A forged one never gets as far as the database.
 */
#include "oidc_int.h"

#include <string.h>

struct refresh {
	const struct catalog_app *app;
	const char *id;
	int64_t seq;
	struct authorization *a;        /* NULL: there is none */
	struct subject *subject;        /* its grants */
};

static int
read_refresh(struct op *op, void *arg)
{
	struct refresh *r = arg;
	struct grant *grants;
	size_t n;
	int rc = db_authorization_read_grants(op, r->id, &r->a, &grants, &n);

	if (rc == ERR_NOT_FOUND) {
		op_forgive(op);
		return 0;
	}
	r->subject = op_alloc(op, sizeof(*r->subject));
	r->subject->grants = grants;
	r->subject->n_grants = n;
	return rc;
}

static int
rotate(struct op *op, void *arg)
{
	struct refresh *r = arg;
	int rc = db_authorization_refresh(op, r->id, r->app->id, r->seq, refresh_until(op, r->a));

	return rc ? rc : audit_record(op, EV_TOKEN_REFRESH, r->a->user_id, FACTS(FACT("app", r->app->body->name),
	    FACT("authorization", r->id), FACT("number", op_printf(op, "%lld", (long long)r->seq + 1))));
}

/* RFC 9700 4.14.2: an older number of this authorization is a copy in wrong hands, or the right one after theirs. */
static int
refuse_refresh(struct op *op, void *arg, enum single_use_end *ret)
{
	struct refresh *r = arg;
	struct authorization *now;
	int rc = db_authorization_read(op, r->id, &now);

	if (!rc && r->seq == now->refresh_seq && now->refresh_until_ms > op->now_ms && authorization_is_alive(op, now))
		*ret = SINGLE_USE_GOOD;
	if (rc || r->seq >= now->refresh_seq)
		return rc;
	*ret = SINGLE_USE_REUSED;
	return authorization_end(op, r->id, now->user_id, "refresh token reused", EV_TOKEN_REUSE, r->app->body->name, "refresh token");
}

static int
finish_refresh(struct op *op, struct refresh *r)
{
	static const struct single_use once = { rotate, refuse_refresh, "the refresh token was used before", "the refresh token is over" };

	return single_use_finish(op, &once, r);
}

/* RFC 6749 6: the same scope or less; and never more than the application may have today. */
static int
settle_scope(struct op *op, const struct request *request, const struct refresh *r, char **ret)
{
	const char *asked = param(&request->form, "scope");

	if (asked && !scope_is_within(asked, r->a->scope))
		return op_fail(op, ERR_INVALID_SCOPE, "the scope goes beyond what was granted");
	return scope_settle(op, r->app, asked ? asked : r->a->scope, ret);
}

static int
sign_refresh(struct op *op, const struct request *request, struct reply *reply, struct refresh *r)
{
	char *scope, *access_token;
	int64_t lifetime_sec;
	int rc = settle_scope(op, request, r, &scope);

	if (!rc)
		rc = token_access(op, r->app, r->a, r->subject, scope, r->seq + 1, &access_token, &lifetime_sec);
	if (!rc)
		rc = finish_refresh(op, r);
	if (rc)
		return rc;
	return client_reply_tokens(op, reply, access_token, lifetime_sec, scope, NULL, refresh_write(op, r->id, r->seq + 1));
}

int
grant_refresh(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app)
{
	struct refresh r = { .app = app };
	const char *token = param(&request->form, "refresh_token");
	int rc;

	if (!token)
		return op_fail(op, ERR_INVALID, "parameter refresh_token is missing");
	if (!refresh_parse(op, token, &r.id, &r.seq))
		return op_fail(op, ERR_INVALID_GRANT, "the refresh token is none of ours");
	rc = db_read(op, read_refresh, &r);
	if (rc)
		return rc;
	/* RFC 6749 6, 10.4: bound to the application */
	if (!r.a || strcmp(r.a->app_id, app->id) != 0)
		return op_fail(op, ERR_INVALID_GRANT, "the refresh token was issued to another application");
	op->caller.on_behalf_of = r.a->user_id;
	op->caller.session = r.a->session_id;
	/* what is over for ever needs no signature */
	if (r.seq < r.a->refresh_seq || r.a->ended_ms)
		return finish_refresh(op, &r);
	return sign_refresh(op, request, reply, &r);
}
