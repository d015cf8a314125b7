/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Which application calls (RFC 6749 2.3): exactly one method, a secret compared as SHA-256 in constant time, the applications from
 * the catalog in memory.  Read client_authenticate first.
 */
#include "oidc_int.h"

#include <string.h>
#include <strings.h>

#define BASIC_MAX_BYTES 4096

bool
client_has_secret(const struct catalog_app *app)
{
	return strcmp(app->body->type, "public") != 0;
}

const char *
client_audience(const struct catalog_app *app)
{
	return app->body->audience ? app->body->audience : app->body->name;
}

/* What the request says about its sender, before any of it is believed. */
struct credentials {
	const char *client_id, *secret; /* secret NULL: none */
};

/* RFC 7617, with both parts form-encoded (RFC 6749 2.3.1). */
static int
read_basic(struct op *op, const char *value, struct credentials *ret)
{
	unsigned char *data;
	const char *colon;
	size_t n;

	value += strlen("Basic ");
	value += strspn(value, " ");
	if (strlen(value) > BASIC_MAX_BYTES || !base64_decode(op->mem, value, strlen(value), &data, &n) ||
	    !(colon = memchr(data, ':', n)))
		return op_fail(op, ERR_INVALID_CLIENT, "the Authorization header is not well formed");
	ret->client_id = param_decode(op, (const char *)data, (size_t)(colon - (const char *)data));
	ret->secret = param_decode(op, colon + 1, n - (size_t)(colon + 1 - (const char *)data));
	if (!ret->client_id || !ret->secret)
		return op_fail(op, ERR_INVALID_CLIENT, "the Authorization header is not well formed");
	return 0;
}

static int
read_header(struct op *op, const struct request *request, const char *header, struct credentials *ret)
{
	const char *client_id = param(&request->form, "client_id");
	int rc;

	if (strncasecmp(header, "Basic ", strlen("Basic ")) != 0)
		return op_fail(op, ERR_INVALID_CLIENT, "applications authenticate by client_secret_basic, client_secret_post or none");
	/* RFC 6749 2.3: not more than one method in a request */
	if (param(&request->form, "client_secret"))
		return op_fail(op, ERR_INVALID, "the application authenticated in two ways");
	rc = read_basic(op, header, ret);
	if (!rc && client_id && strcmp(client_id, ret->client_id) != 0)
		return op_fail(op, ERR_INVALID, "client_id differs from the Authorization header");
	return rc;
}

static int
read_credentials(struct op *op, const struct request *request, struct credentials *ret)
{
	size_t count;
	const char *header = http_header(request, "Authorization", &count);

	if (count > 1)
		return op_fail(op, ERR_INVALID, "more than one Authorization header");
	if (param(&request->form, "client_assertion") || param(&request->form, "client_assertion_type"))
		return op_fail(op, ERR_INVALID_CLIENT, "client assertions are not offered");
	if (header)
		return read_header(op, request, header, ret);
	ret->client_id = param(&request->form, "client_id");
	ret->secret = param(&request->form, "client_secret");
	if (!ret->client_id)
		return op_fail(op, ERR_INVALID_CLIENT, "the application did not say who it is");
	return 0;
}

/* RFC 6749 2.3.1: the secret is random, so its SHA-256 is enough; an unknown application costs the same work. */
static bool
is_secret_right(const struct catalog_app *app, const char *secret)
{
	static const unsigned char nobody[SHA256_BYTES];
	const unsigned char *known = app && app->secret_hash ? app->secret_hash : nobody;
	unsigned char hash[SHA256_BYTES];
	bool is_equal;

	sha256(secret, strlen(secret), hash);
	is_equal = bytes_equal(hash, known, SHA256_BYTES);
	return is_equal && known != nobody;
}

static int
check_credentials(struct op *op, const struct credentials *given, const struct catalog_app **ret)
{
	const struct catalog_app *app = catalog_app(catalog_get(op), given->client_id);
	bool is_right = given->secret && is_secret_right(app, given->secret);

	*ret = app;
	if (!app || !app->body->enabled)
		return op_fail(op, ERR_INVALID_CLIENT, "the application is not known, or its secret is wrong");
	/* RFC 6749 2.3.1: a public application has no secret, so whoever sends one takes it for another */
	if (!client_has_secret(app))
		return given->secret ? op_fail(op, ERR_INVALID_CLIENT, "a public application sent a secret") : 0;
	if (!is_right)
		return op_fail(op, ERR_INVALID_CLIENT, "the application is not known, or its secret is wrong");
	return 0;
}

int
client_authenticate(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app **ret)
{
	struct credentials given = { 0 };
	int rc = param_check(op, &request->form);

	*ret = NULL;
	if (!rc)
		rc = read_credentials(op, request, &given);
	if (!rc)
		rc = check_credentials(op, &given, ret);
	/* RFC 6749 5.2 */
	if (rc == ERR_INVALID_CLIENT)
		reply_header(reply, "WWW-Authenticate", "Basic realm=\"keyward\"");
	if (rc)
		return rc;
	op->caller.kind = ACTOR_APP;
	op->caller.actor = (*ret)->body->name;
	return 0;
}

int
client_refused(struct op *op, const struct catalog_app *app, int rc)
{
	const struct error_row *row = error_row(rc);

	if (rc < 0 && row->status < 500)
		audit_refusal(op, EV_TOKEN_REFUSED, app ? app->id : NULL,
		    FACTS(FACT("app", app ? app->body->name : NULL), FACT("error", row->oauth), FACT("reason", op_failure(op))));
	return rc;
}

int
client_reply_tokens(struct op *op, struct reply *reply, const char *access_token, int64_t lifetime_sec, const char *scope,
    const char *id_token, const char *refresh_token)
{
	json_t *body = json_own(op, json_object());

	/* tokens are base64url: no need to look for bad UTF-8 in them */
	json_object_set_new(body, "access_token", json_string_nocheck(access_token));
	json_object_set_new(body, "token_type", json_string("Bearer"));
	json_object_set_new(body, "expires_in", json_integer(lifetime_sec));
	if (*scope)
		json_object_set_new(body, "scope", json_string(scope));
	if (id_token)
		json_object_set_new(body, "id_token", json_string_nocheck(id_token));
	if (refresh_token)
		json_object_set_new(body, "refresh_token", json_string_nocheck(refresh_token));
	return client_reply(op, reply, body);
}

int
client_reply(struct op *op, struct reply *reply, const json_t *body)
{
	char *text = json_text(op, body);

	reply_header(reply, "Cache-Control", "no-store");
	reply_body(reply, 200, "application/json", text, strlen(text));
	return 0;
}
