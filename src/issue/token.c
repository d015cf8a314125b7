/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Access tokens (RFC 9068) and ID tokens (OpenID Connect Core 2): what they say, and whether one that comes back is ours and
 * alive. The two are told apart by client_id, which every access token has and no ID token ever (RFC 8725 3.11, 3.12),
 * because an application may ask for access tokens of typ JWT.
 */
#include "oidc_int.h"

#include <string.h>

#include "base/metric.h"
#include "base/uuid.h"
#include "people/keyring.h"

#define TOKEN_MAX_BYTES 65536

static json_t *
common_claims(struct op *op, const char *sub, const char *audience, int64_t until_sec)
{
	json_t *claims = json_own(op, json_object());

	json_object_set_new(claims, "iss", json_string(op->config->issuer));
	json_object_set_new(claims, "sub", json_string(sub));
	json_object_set_new(claims, "aud", json_string(audience));
	json_object_set_new(claims, "exp", json_integer(until_sec));
	json_object_set_new(claims, "iat", json_integer(op->now_ms / 1000));
	return claims;
}

static int
sign_access(struct op *op, const struct catalog_app *app, const json_t *claims, const char *grant, char **ret)
{
	int rc = keyring_sign(op, app->body->alg, app->body->typ, claims, ret);

	if (!rc)
		metric_add_at(METRIC_token_issued_total, LABELS(grant), 1);
	return rc;
}

int
token_access(struct op *op, const struct catalog_app *app, const struct authorization *a, const struct subject *subject,
    const char *scope, int64_t number, char **ret, int64_t *ret_lifetime_sec)
{
	int64_t now_sec = op->now_ms / 1000, until_sec = now_sec + op->config->access_lifetime;
	json_t *claims;

	if (until_sec > a->until_ms / 1000)
		until_sec = a->until_ms / 1000;
	claims = common_claims(op, a->user_id, client_audience(app), until_sec);
	json_object_set_new(claims, "jti", json_string(op_printf(op, "%s.%lld", a->id, (long long)number)));
	json_object_set_new(claims, "client_id", json_string(app->body->name));
	json_object_set_new(claims, "scope", json_string(scope));
	json_object_set_new(claims, "auth_time", json_integer(a->auth_ms / 1000));
	json_object_set_new(claims, "sid", json_string(a->session_id));
	if (scope_has(scope, "roles"))
		claims_add_roles(op, claims, subject);
	*ret_lifetime_sec = until_sec - now_sec;
	return sign_access(op, app, claims, number ? "refresh_token" : "authorization_code", ret);
}

int
token_service(struct op *op, const struct catalog_app *app, const char *scope, char **ret, int64_t *ret_lifetime_sec)
{
	char jti[UUID_TEXT_BYTES];
	json_t *claims;

	/* RFC 9700 4.15: the sub of an application must not be taken for a person's */
	if (uuid_is_valid(app->body->name))
		return op_fail(op, ERR_UNAUTHORIZED_CLIENT, "a service whose name has the form of a person's id gets no tokens");
	*ret_lifetime_sec = op->config->access_lifetime;
	claims = common_claims(op, app->body->name, client_audience(app), op->now_ms / 1000 + *ret_lifetime_sec);
	uuid_new(jti, op->now_ms);
	json_object_set_new(claims, "jti", json_string(jti));
	json_object_set_new(claims, "client_id", json_string(app->body->name));
	json_object_set_new(claims, "scope", json_string(scope));
	return sign_access(op, app, claims, "client_credentials", ret);
}

/* OpenID Connect Core 3.1.3.6: the left half of the digest that alg uses; SHA-256 for both of ours. */
static char *
at_hash(struct op *op, const char *access_token)
{
	unsigned char hash[SHA256_BYTES];

	sha256(access_token, strlen(access_token), hash);
	return base64url_encode(op->mem, hash, sizeof(hash) / 2);
}

static json_t *
amr_array(struct op *op, const char *amr)
{
	json_t *array = json_array();
	char *copy = op_strdup(op, amr), *save = NULL;

	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		json_array_append_new(array, json_string(word));
	return array;
}

int
token_id(struct op *op, const struct catalog_app *app, const struct authorization *a, const struct subject *subject,
    const char *access_token, char **ret)
{
	json_t *claims = common_claims(op, a->user_id, app->body->name, op->now_ms / 1000 + op->config->id_token_lifetime);

	json_object_set_new(claims, "auth_time", json_integer(a->auth_ms / 1000));
	if (a->nonce)
		json_object_set_new(claims, "nonce", json_string(a->nonce));
	json_object_set_new(claims, "at_hash", json_string(at_hash(op, access_token)));
	json_object_set_new(claims, "amr", amr_array(op, a->amr));
	if (claims_acr(a->amr))
		json_object_set_new(claims, "acr", json_string(claims_acr(a->amr)));
	json_object_set_new(claims, "sid", json_string(a->session_id));
	if (scope_has(a->scope, "roles"))
		claims_add_roles(op, claims, subject);
	claims_add_asked(op, claims, subject, app, a->claims, "id_token");
	return keyring_sign(op, app->body->alg, "JWT", claims, ret);
}

/* Signature by one of our published keys; the header's typ is one of allowed. */
static int
verify(struct op *op, const char *token, const char *allowed, json_t **ret_claims)
{
	struct jws_header header;
	size_t n = strnlen(token, TOKEN_MAX_BYTES + 1);
	int rc;

	if (n > TOKEN_MAX_BYTES)
		return op_fail(op, ERR_INVALID_TOKEN, "the token is longer than 64 kB");
	rc = jws_peek(op, token, n, &header);
	if (rc)
		return rc;
	if (!header.typ || !scope_has(allowed, header.typ))
		return op_fail(op, ERR_INVALID_TOKEN, "the token is of another type");
	rc = keyring_verify(op, header.typ, token, n, ret_claims);
	if (rc)
		return rc;
	if (!json_get_text(*ret_claims, "iss") || strcmp(json_get_text(*ret_claims, "iss"), op->config->issuer) != 0)
		return op_fail(op, ERR_INVALID_TOKEN, "the token is of another issuer");
	return 0;
}

/* jti of a person's token is the authorization's id and a number. */
static const char *
authorization_of(struct op *op, const char *jti)
{
	const char *id = op_strndup(op, jti, UUID_TEXT_BYTES - 1);

	return strlen(jti) > UUID_TEXT_BYTES && jti[UUID_TEXT_BYTES - 1] == '.' && uuid_is_valid(id) ? id : NULL;
}

int
token_verify_access(struct op *op, const char *token, struct access *ret)
{
	json_t *claims;
	int rc = verify(op, token, "at+jwt JWT", &claims);

	if (rc)
		return rc;
	*ret = (struct access){
		.claims = claims, .sub = json_get_text(claims, "sub"), .client_id = json_get_text(claims, "client_id"),
		.audience = json_get_text(claims, "aud"), .scope = json_get_text(claims, "scope"), .jti = json_get_text(claims, "jti"),
		.session_id = json_get_text(claims, "sid"), .until_ms = json_get_int(claims, "exp") * 1000,
	};
	/* RFC 9068 2.2, RFC 8725 3.12: an ID token is no access token */
	if (!ret->sub || !ret->client_id || !ret->audience || !ret->scope || !ret->jti)
		return op_fail(op, ERR_INVALID_TOKEN, "the token is no access token");
	if (ret->until_ms <= op->now_ms)
		return op_fail(op, ERR_INVALID_TOKEN, "the token is over");
	ret->authorization_id = authorization_of(op, ret->jti);
	if (!ret->authorization_id != !ret->session_id)
		return op_fail(op, ERR_INVALID_TOKEN, "the token is no access token");
	return 0;
}

int
token_is_alive(struct op *op, const struct access *access, bool *ret_alive, struct authorization **ret_a)
{
	bool is_revoked;
	int rc = db_revoked_has(op, access->jti, &is_revoked);

	*ret_alive = false;
	*ret_a = NULL;
	if (rc || is_revoked)
		return rc;
	if (!access->authorization_id) {
		*ret_alive = true;
		return 0;
	}
	rc = db_authorization_read(op, access->authorization_id, ret_a);
	if (rc == ERR_NOT_FOUND) {
		op_forgive(op);
		return 0;
	}
	if (!rc)
		*ret_alive = authorization_is_alive(op, *ret_a) && !strcmp((*ret_a)->user_id, access->sub);
	return rc;
}

int
token_verify_hint(struct op *op, const char *token, json_t **ret_claims)
{
	int rc = verify(op, token, "JWT", ret_claims);

	if (rc)
		return rc;
	if (json_object_get(*ret_claims, "client_id") || !json_get_text(*ret_claims, "sub") || !json_get_text(*ret_claims, "aud"))
		return op_fail(op, ERR_INVALID_TOKEN, "the hint is no ID token");
	return 0;
}
