/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The token endpoint (RFC 6749 3.2): who calls, which grant, and the two grants that are short, a code and a service's own.  The
 * third, a refresh, is in oidc_refresh.c.  Signatures are made before the transaction that decides whether they are handed out.
 */
#include "oidc_int.h"

#include <string.h>

#include "base/clock.h"
#include "issue/live.h"

static const struct {
	const char *name;
	int (*grant)(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app);
} grants[] = {
	{ "authorization_code", grant_code },
	{ "refresh_token", grant_refresh },
	{ "client_credentials", grant_service },
};

static int
run_grant(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app)
{
	const char *type = param(&request->form, "grant_type");
	int rc = clock_check(op);

	if (rc)
		return rc;
	if (!type)
		return op_fail(op, ERR_INVALID, "parameter grant_type is missing");
	for (size_t i = 0; i < countof(grants); i++)
		if (!strcmp(grants[i].name, type))
			return grants[i].grant(op, request, reply, app);
	return op_fail(op, ERR_GRANT_TYPE, "this grant_type is not offered");
}

/* Only a service's own token needs no database. */
static bool
is_for_loop(const struct request *request)
{
	const char *type = param(&request->form, "grant_type");

	return type && !strcmp(type, "client_credentials");
}

HANDLER(oidc_token)
{
	const struct catalog_app *app;
	int rc;

	if (route_is_on_loop(request) && !is_for_loop(request))
		return route_take_lane(request);
	rc = client_authenticate(op, request, reply, &app);
	if (!rc)
		rc = run_grant(op, request, reply, app);
	/* every refusal is audited, which needs the database */
	if (rc && route_is_on_loop(request))
		return route_take_lane(request);
	return client_refused(op, app, rc);
}

/* ---- a code ---- */

struct redemption {
	const struct catalog_app *app;
	const char *redirect_uri;       /* as given now */
	const char *id;                 /* from the code */
	unsigned char hash[SHA256_BYTES];
	struct authorization *a;        /* NULL: there is none */
	struct subject *subject;
};

static int
read_redemption(struct op *op, void *arg)
{
	struct redemption *r = arg;
	int rc = db_authorization_read(op, r->id, &r->a);

	if (rc == ERR_NOT_FOUND) {
		op_forgive(op);
		return 0;
	}
	return rc ? rc : subject_read(op, r->a->user_id, &r->subject);
}

static int
check_redemption(struct op *op, const struct request *request, const struct redemption *r)
{
	const struct authorization *a = r->a;

	if (!a || !bytes_equal(a->code_hash, r->hash, SHA256_BYTES))
		return op_fail(op, ERR_INVALID_GRANT, "the code is unknown");
	/* RFC 6749 4.1.3: issued to this application, with this redirect URI */
	if (strcmp(a->app_id, r->app->id) != 0)
		return op_fail(op, ERR_INVALID_GRANT, "the code was issued to another application");
	if (!r->redirect_uri || strcmp(r->redirect_uri, a->redirect_uri) != 0)
		return op_fail(op, ERR_INVALID_GRANT, "redirect_uri differs from that of the request");
	if (!pkce_fits(op, a->code_challenge, param(&request->form, "code_verifier")))
		return op_fail(op, ERR_INVALID_GRANT, "code_verifier does not fit the challenge of the request");
	return 0;
}

/* The one place that decides. */
static int
redeem(struct op *op, void *arg)
{
	struct redemption *r = arg;
	bool has_refresh = scope_has(r->a->scope, "offline_access") && refresh_until(op, r->a) > op->now_ms;
	int rc = db_authorization_use_code(op, r->id, r->app->id, r->redirect_uri, has_refresh ? 1 : 0,
	    has_refresh ? refresh_until(op, r->a) : 0);

	return rc ? rc : audit_record(op, EV_TOKEN_ISSUE, r->a->user_id, FACTS(FACT("app", r->app->body->name),
	    FACT("grant_type", "authorization_code"), FACT("scope", r->a->scope), FACT("authorization", r->a->id)));
}

/* Who comes second ends the authorization (RFC 6749 4.1.2, ASVS 10.4.2). */
static int
refuse_redemption(struct op *op, void *arg, enum single_use_end *ret)
{
	struct redemption *r = arg;
	struct authorization *now;
	int rc = db_authorization_read(op, r->id, &now);

	if (!rc && !now->code_used_ms && now->code_until_ms > op->now_ms && authorization_is_alive(op, now))
		*ret = SINGLE_USE_GOOD;
	if (rc || !now->code_used_ms)
		return rc;
	*ret = SINGLE_USE_REUSED;
	return authorization_end(op, r->id, now->user_id, "code reused", EV_TOKEN_REUSE, r->app->body->name, "code");
}

static int
finish_redemption(struct op *op, struct redemption *r)
{
	static const struct single_use once = { redeem, refuse_redemption, "the code was used before",
		"the code is over, or its session or person is" };

	return single_use_finish(op, &once, r);
}

static int
sign_redemption(struct op *op, struct reply *reply, struct redemption *r)
{
	const struct authorization *a = r->a;
	char *access_token, *id_token = NULL, *refresh_token = NULL;
	int64_t lifetime_sec;
	int rc = token_access(op, r->app, a, r->subject, a->scope, 0, &access_token, &lifetime_sec);

	if (!rc && scope_has(a->scope, "openid"))
		rc = token_id(op, r->app, a, r->subject, access_token, &id_token);
	if (rc)
		return rc;
	if (scope_has(a->scope, "offline_access") && refresh_until(op, a) > op->now_ms)
		refresh_token = refresh_write(op, a->id, 1);
	rc = finish_redemption(op, r);
	return rc ? rc : client_reply_tokens(op, reply, access_token, lifetime_sec, a->scope, id_token, refresh_token);
}

int
grant_code(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app)
{
	struct redemption r = { .app = app, .redirect_uri = param(&request->form, "redirect_uri") };
	const char *code = param(&request->form, "code");
	int rc;

	if (!strcmp(app->body->type, "service"))
		return op_fail(op, ERR_UNAUTHORIZED_CLIENT, "a service signs nobody in");
	if (!code)
		return op_fail(op, ERR_INVALID, "parameter code is missing");
	if (!code_parse(op, code, &r.id, r.hash))
		return op_fail(op, ERR_INVALID_GRANT, "the code is unknown");
	rc = db_read(op, read_redemption, &r);
	if (!rc)
		rc = check_redemption(op, request, &r);
	if (rc)
		return rc;
	op->caller.on_behalf_of = r.a->user_id;
	op->caller.session = r.a->session_id;
	/* what is over for ever needs no signature */
	if (r.a->code_used_ms || r.a->code_until_ms <= op->now_ms || r.a->ended_ms)
		return finish_redemption(op, &r);
	return sign_redemption(op, reply, &r);
}

/* ---- a service on its own behalf (RFC 6749 4.4) ---- */

int
grant_service(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app)
{
	char *scope, *token;
	int64_t lifetime_sec;
	int rc;

	/* an ES256 signature takes about as long as the way to a lane and back, an RS256 one ten times that */
	if (route_is_on_loop(request) && strcmp(app->body->alg, "ES256") != 0)
		return op_fail(op, ERR_BUSY, "too long for the network loop");
	if (strcmp(app->body->type, "service") != 0)
		return op_fail(op, ERR_UNAUTHORIZED_CLIENT, "only an application of type service gets tokens for itself");
	/* answered from memory alone: not while another daemon may have changed what it rests on */
	if (op->svc->db && !db_may_answer(op->svc->db))
		return op_fail(op, ERR_STORE, "the database cannot be reached, or a commit is not known yet");
	rc = scope_settle_service(op, app, param(&request->form, "scope"), &scope);
	if (!rc)
		rc = token_service(op, app, scope, &token, &lifetime_sec);
	if (rc)
		return rc;
	live_count_client(op, app->body->name, 1);
	/* RFC 6749 4.4.3: no refresh token */
	return client_reply_tokens(op, reply, token, lifetime_sec, scope, NULL, NULL);
}

struct flush {
	struct live_count *counts;
	size_t n;
};

static int
write_counts(struct op *op, void *arg)
{
	const struct flush *flush = arg;
	const struct catalog_snapshot *c = catalog_get(op);
	int rc = 0;

	for (size_t i = 0; !rc && i < flush->n; i++) {
		const struct catalog_app *app = catalog_app(c, flush->counts[i].client_id);

		rc = audit_record(op, EV_TOKEN_CLIENT, app ? app->id : NULL, FACTS(FACT("app", flush->counts[i].client_id),
		    FACT("count", op_printf(op, "%lld", (long long)flush->counts[i].n))));
	}
	return rc;
}

int
oidc_flush(struct op *op)
{
	struct flush flush;
	int rc;

	live_take_counts(op, &flush.counts, &flush.n);
	if (!flush.n)
		return 0;
	rc = db_run(op, write_counts, &flush);
	for (size_t i = 0; rc && i < flush.n; i++)
		live_count_client(op, flush.counts[i].client_id, flush.counts[i].n);
	return rc;
}
