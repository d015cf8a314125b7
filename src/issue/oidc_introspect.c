/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Introspection (RFC 7662).  An access token is looked for in memory by its hash; only on a miss it is verified and the
 * database asked whether it lives.  The application comes from the catalog, so a hit touches neither database nor signature.
 */
#include "oidc_int.h"

#include <string.h>

#include "base/metric.h"

/* RFC 7662 2.2, 4: whom it was issued to, or whom it is meant for; nobody else learns that it exists. */
static bool
may_see(const struct catalog_app *app, const char *client_id, const char *audience)
{
	return !strcmp(app->body->name, client_id) || !strcmp(client_audience(app), audience);
}

/* The application that a token was issued to must still be there. */
static bool
is_enabled(struct op *op, const char *client_id)
{
	const struct catalog_app *app = catalog_app(catalog_get(op), client_id);

	return app && app->body->enabled;
}

static int
reply_inactive(struct op *op, struct reply *reply)
{
	return client_reply(op, reply, json_own(op, json_pack("{s:b}", "active", 0)));
}

static int
reply_text(struct reply *reply, const char *text)
{
	reply_header(reply, "Cache-Control", "no-store");
	reply_body(reply, 200, "application/json", text, strlen(text));
	return 0;
}

/* ---- access tokens ---- */

struct look_up {
	struct access access;
	struct authorization *a;
	bool is_alive;
};

static int
look_up_access(struct op *op, void *arg)
{
	struct look_up *l = arg;

	return token_is_alive(op, &l->access, &l->is_alive, &l->a);
}

static char *
write_answer(struct op *op, const struct access *access)
{
	json_t *answer = json_own(op, json_copy((json_t *)(uintptr_t)access->claims));

	json_object_set_new(answer, "active", json_true());
	json_object_set_new(answer, "token_type", json_string("Bearer"));
	return json_text(op, answer);
}

/* On a miss: verify once, ask the database, keep the answer.  *ret->answer NULL when the token is not alive. */
static int
find_access(struct op *op, const char *token, const unsigned char *hash, struct live_token *ret)
{
	struct look_up l = { 0 };
	struct live_ids ids;
	uint64_t mark;
	int rc = token_verify_access(op, token, &l.access);

	*ret = (struct live_token){ 0 };
	if (rc == ERR_INVALID_TOKEN) {
		op_forgive(op);
		return 0;
	}
	if (rc)
		return rc;
	ids = (struct live_ids){ l.access.authorization_id ? l.access.sub : NULL, l.access.session_id, l.access.authorization_id,
		l.access.jti };
	/* before the database is read: what ends from here on is seen by live_find */
	mark = live_mark(op->svc->live, &ids);
	rc = db_read(op, look_up_access, &l);
	if (rc || !l.is_alive)
		return rc;
	*ret = (struct live_token){ l.access.client_id, l.access.audience, write_answer(op, &l.access), l.access.until_ms };
	if (l.a && l.a->until_ms < ret->until_ms)
		ret->until_ms = l.a->until_ms;
	/* after a new sign-in the authorization hangs on another session than the token names: its end would not find the entry */
	if (!l.a || !strcmp(l.a->session_id, l.access.session_id))
		live_put(op, hash, &ids, mark, ret);
	return 0;
}

int
introspect_find(struct op *op, const struct request *request, const char *token, struct live_token *ret)
{
	unsigned char hash[SHA256_BYTES];
	int rc = 0;

	sha256(token, strlen(token), hash);
	if (live_find(op, hash, ret))
		metric_add(METRIC_introspect_memory_total, 1);
	else if (route_is_on_loop(request))
		return op_fail(op, ERR_BUSY, "the token is not in memory");
	else
		rc = find_access(op, token, hash, ret);
	if (!rc && ret->answer && !is_enabled(op, ret->client_id))
		ret->answer = NULL;
	return rc;
}

static int
introspect_access(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app, const char *token)
{
	struct live_token found;
	int rc = introspect_find(op, request, token, &found);

	if (rc)
		return rc;
	if (!found.answer || !may_see(app, found.client_id, found.audience))
		return reply_inactive(op, reply);
	return reply_text(reply, found.answer);
}

/* ---- refresh tokens: only for the application itself ---- */

struct refresh_look_up {
	const char *id;
	struct authorization *a;
};

static int
look_up_refresh(struct op *op, void *arg)
{
	struct refresh_look_up *l = arg;
	int rc = db_authorization_read(op, l->id, &l->a);

	if (rc == ERR_NOT_FOUND) {
		op_forgive(op);
		return 0;
	}
	return rc;
}

static int
introspect_refresh(struct op *op, struct reply *reply, const struct catalog_app *app, const char *id, int64_t seq)
{
	struct refresh_look_up l = { .id = id };
	int64_t until_ms;
	int rc = db_read(op, look_up_refresh, &l);

	if (rc)
		return rc;
	if (!l.a || strcmp(l.a->app_id, app->id) != 0 || seq != l.a->refresh_seq || l.a->refresh_until_ms <= op->now_ms ||
	    !authorization_is_alive(op, l.a))
		return reply_inactive(op, reply);
	until_ms = l.a->refresh_until_ms < l.a->until_ms ? l.a->refresh_until_ms : l.a->until_ms;
	return client_reply(op, reply, json_own(op, json_pack("{s:b, s:s, s:s, s:s, s:s, s:I}", "active", 1, "client_id", app->body->name,
	    "sub", l.a->user_id, "scope", l.a->scope, "iss", op->config->issuer, "exp", (json_int_t)(until_ms / 1000))));
}

static int
introspect(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app)
{
	const char *token = param(&request->form, "token"), *id;
	int64_t seq;

	/* RFC 7662 4: a public application proves nothing, so anybody could ask in its name */
	if (!client_has_secret(app))
		return op_fail(op, ERR_INVALID_CLIENT, "a public application may not introspect");
	if (!token)
		return op_fail(op, ERR_INVALID, "parameter token is missing");
	if (!refresh_parse(op, token, &id, &seq))
		return introspect_access(op, request, reply, app, token);
	return route_is_on_loop(request) ? ERR_BUSY : introspect_refresh(op, reply, app, id, seq);
}

HANDLER(oidc_introspect)
{
	const struct catalog_app *app;
	int rc = client_authenticate(op, request, reply, &app);

	if (!rc)
		rc = introspect(op, request, reply, app);
	/* what memory does not know, and every refusal, which is audited, needs the database */
	if (rc && route_is_on_loop(request))
		return route_take_lane(request);
	metric_add(METRIC_introspect_total, 1);
	return client_refused(op, app, rc);
}
