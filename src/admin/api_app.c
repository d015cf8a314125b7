/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The API over applications: registering one, and giving it a new secret.  A secret's text leaves the daemon once, in the answer. */
#include <string.h>

#include "api_int.h"
#include "base/config.h"
#include "people/catalog.h"
#include "people/object.h"

/* All that a developer has to enter in his program. */
static struct shape_app_created
app_facts(struct op *op, const struct shape_app *app, const char *secret)
{
	const char *issuer = op->config->issuer;
	bool is_service = !strcmp(app->type, "service");

	return (struct shape_app_created){
		.client_id = app->name,
		.client_secret = secret,
		.type = app->type,
		.issuer = issuer,
		.discovery = op_printf(op, "%s/.well-known/openid-configuration", issuer),
		.authorization_endpoint = is_service ? NULL : op_printf(op, "%s/oauth2/authorize", issuer),
		.token_endpoint = op_printf(op, "%s/oauth2/token", issuer),
		.userinfo_endpoint = is_service ? NULL : op_printf(op, "%s/oauth2/userinfo", issuer),
		.introspection_endpoint = secret ? op_printf(op, "%s/oauth2/introspect", issuer) : NULL,
		.revocation_endpoint = is_service ? NULL : op_printf(op, "%s/oauth2/revoke", issuer),
		.end_session_endpoint = is_service ? NULL : op_printf(op, "%s/oauth2/logout", issuer),
		.jwks_uri = op_printf(op, "%s/oauth2/jwks", issuer),
		.redirect_uris = app->redirect_uris,
		.post_logout_uris = app->post_logout_uris,
		.audience = app->audience ? app->audience : app->name,
		.alg = app->alg,
		.typ = app->typ,
		.pkce_required = !is_service && !app->pkce_optional,
	};
}

HANDLER(api_app_create);
HANDLER(api_app_create)
{
	const struct shape_app *app = route_body(request);
	struct object_change change = { .kind = OBJECT_APP, .body = app, .must_be_new = true };
	const struct objects_options options = { .source = NULL };
	struct objects_result result;
	struct object_secret *stored;
	struct shape_app_created out;
	char *secret = NULL;
	int rc;

	if (strcmp(app->type, "public")) {
		secret = object_make_client_secret(op, &stored);
		change.secret = stored;
	}
	rc = objects_change(op, &change, 1, &options, &result);
	if (rc)
		return rc;
	out = app_facts(op, app, secret);
	reply_shape(op, reply, 201, shape_app_created(), &out);
	return 0;
}

HANDLER(api_app_secret);
HANDLER(api_app_secret)
{
	const struct catalog_app *app = catalog_app_by_name(catalog_get(op), route_param(request, "name"));
	struct object_secret *stored;
	struct shape_secret_view out;
	int rc;

	if (!app)
		return op_fail(op, ERR_NOT_FOUND, "there is no application called %s", route_param(request, "name"));
	out = (struct shape_secret_view){ app->body->name, object_make_client_secret(op, &stored) };
	rc = objects_set_secret(op, OBJECT_APP, app->body->name, stored);
	if (!rc)
		reply_shape(op, reply, 200, shape_secret_view(), &out);
	return rc;
}
