/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Introspection for proxies that see nothing of an answer but its status (nginx auth_request and its kin): is this access token good here,
 * and does its bearer hold this role at this place?  204, 401 or 403.
 *
 * The proxy authenticates as the application that the tokens are meant for.  Its own mistakes are a 400, never the 401 that a
 * proxy would pass on to the person in front of it.  Read oidc_check from the bottom up.
 */
#include "oidc_int.h"

#include <string.h>

#include "base/metric.h"

static bool
is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* A grant reaches what it names and what it lists; everything when it names no place (src/issue/README). */
static bool
reaches(const json_t *grant, const char *location)
{
	const json_t *named = json_object_get(grant, "location"), *one;
	size_t i;

	if (!named || is_text(named, location))
		return true;
	json_array_foreach(json_object_get(grant, "locations"), i, one)
		if (is_text(one, location))
			return true;
	return false;
}

/* The role and the place must be those of one and the same grant. */
static bool
holds(const json_t *answer, const char *role, const char *location)
{
	const json_t *grant;
	size_t i;

	json_array_foreach(json_object_get(answer, "grants"), i, grant)
		if (is_text(json_object_get(grant, "role"), role) && (!location || reaches(grant, location)))
			return true;
	return false;
}

static int
check_role(struct op *op, const struct request *request, const json_t *answer)
{
	const char *role = param(&request->form, "role"), *location = param(&request->form, "location");

	if (role && !holds(answer, role, location))
		return op_fail(op, ERR_INSUFFICIENT_SCOPE, "the bearer does not hold the role %.100s%s%.100s", role, location ? " at " : "",
		    location ? location : "");
	return 0;
}

static int
check_token(struct op *op, const struct request *request, const struct catalog_app *app, json_t **ret_answer)
{
	const char *token = param(&request->form, "token");
	struct live_token found;
	int rc;

	if (!token)
		return op_fail(op, ERR_UNAUTHENTICATED, "there is no access token");
	rc = introspect_find(op, request, token, &found);
	if (rc)
		return rc;
	/* RFC 9068 4: a token for somebody else is no token here, whoever it was issued to */
	if (!found.answer || strcmp(client_audience(app), found.audience) != 0)
		return op_fail(op, ERR_INVALID_TOKEN, "the token is not alive, or not for this application");
	return json_read(op, found.answer, strlen(found.answer), ret_answer);
}

/*
 * Empty values count as absent (RFC 6749 3.1), but a proxy that sends "role=" has a variable that is not set: nobody may pass
 * because of it.
 */
static int
check_form(struct op *op, const struct request *request)
{
	bool has_role = http_pair(&request->form, "role", NULL), has_location = http_pair(&request->form, "location", NULL);

	if (has_location && !has_role)
		return op_fail(op, ERR_INVALID, "parameter location needs parameter role");
	if ((has_role && !param(&request->form, "role")) || (has_location && !param(&request->form, "location")))
		return op_fail(op, ERR_INVALID, "parameter role or location is empty");
	return 0;
}

static int
check(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app)
{
	json_t *answer;
	int rc = check_form(op, request);

	if (!rc)
		rc = check_token(op, request, app, &answer);
	if (!rc)
		rc = check_role(op, request, answer);
	if (rc)
		return rc;
	reply_header(reply, "Cache-Control", "no-store");
	reply_header(reply, "Keyward-Subject", json_get_text(answer, "sub"));
	reply_header(reply, "Keyward-Client", json_get_text(answer, "client_id"));
	reply->status = 204;
	return 0;
}

/* RFC 7662 4: only an application that proves who it is may ask. */
static int
authenticate(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app **ret)
{
	int rc = client_authenticate(op, request, reply, ret);

	if (!rc && !client_has_secret(*ret))
		rc = op_fail(op, ERR_INVALID_CLIENT, "a public application may not ask for tokens");
	if (rc != ERR_INVALID_CLIENT || route_is_on_loop(request))
		return rc;
	client_refused(op, *ret, rc);
	op_forgive(op);
	return op_fail(op, ERR_UNAUTHORIZED_CLIENT, "the proxy that asks about tokens did not prove which application it is");
}

HANDLER(oidc_check)
{
	const struct catalog_app *app;
	int rc = authenticate(op, request, reply, &app);

	if (!rc)
		rc = check(op, request, reply, app);
	if (rc && route_is_on_loop(request))
		return route_take_lane(request);
	metric_add(METRIC_introspect_total, 1);
	return rc;
}
