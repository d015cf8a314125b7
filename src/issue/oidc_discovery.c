/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What this provider can do, for OpenID Connect Discovery 1.0 and RFC 8414, and its keys.  Every line is true and is kept by
 * a test; what is not offered is not listed.
 */
#include "oidc_int.h"

#include <string.h>

#include "people/keyring.h"

#define KEYS_MAX_AGE "public, max-age=300"

static json_t *
list(const char *const *names)
{
	json_t *array = json_array();

	for (; *names; names++)
		json_array_append_new(array, json_string(*names));
	return array;
}

#define LIST_OF(...) list((const char *const[]){ __VA_ARGS__, NULL })

static void
add_endpoint(struct op *op, json_t *out, const char *name, const char *path)
{
	json_object_set_new(out, name, json_string(op_printf(op, "%s%s", op->config->issuer, path)));
}

static void
add_endpoints(struct op *op, json_t *out)
{
	add_endpoint(op, out, "issuer", "");
	add_endpoint(op, out, "authorization_endpoint", "/oauth2/authorize");
	add_endpoint(op, out, "token_endpoint", "/oauth2/token");
	add_endpoint(op, out, "userinfo_endpoint", "/oauth2/userinfo");
	add_endpoint(op, out, "jwks_uri", "/oauth2/jwks");
	add_endpoint(op, out, "introspection_endpoint", "/oauth2/introspect");
	add_endpoint(op, out, "revocation_endpoint", "/oauth2/revoke");
	add_endpoint(op, out, "end_session_endpoint", "/oauth2/logout");
}

static void
add_abilities(json_t *out)
{
	json_object_set_new(out, "scopes_supported",
	    LIST_OF("openid", "profile", "email", "phone", "address", "offline_access", "roles"));
	json_object_set_new(out, "response_types_supported", LIST_OF("code"));
	json_object_set_new(out, "response_modes_supported", LIST_OF("query"));
	json_object_set_new(out, "grant_types_supported", LIST_OF("authorization_code", "refresh_token", "client_credentials"));
	json_object_set_new(out, "subject_types_supported", LIST_OF("public"));
	json_object_set_new(out, "id_token_signing_alg_values_supported", LIST_OF("ES256", "RS256"));
	json_object_set_new(out, "acr_values_supported", LIST_OF("pwd"));
	json_object_set_new(out, "claim_types_supported", LIST_OF("normal"));
	json_object_set_new(out, "claims_supported", list(claims_names()));
	json_object_set_new(out, "token_endpoint_auth_methods_supported", LIST_OF("client_secret_basic", "client_secret_post", "none"));
	json_object_set_new(out, "revocation_endpoint_auth_methods_supported",
	    LIST_OF("client_secret_basic", "client_secret_post", "none"));
	json_object_set_new(out, "introspection_endpoint_auth_methods_supported", LIST_OF("client_secret_basic", "client_secret_post"));
	json_object_set_new(out, "code_challenge_methods_supported", LIST_OF("S256"));
	json_object_set_new(out, "claims_parameter_supported", json_true());
	json_object_set_new(out, "request_parameter_supported", json_false());
	/* true when absent (Discovery 3), so it must be said */
	json_object_set_new(out, "request_uri_parameter_supported", json_false());
	json_object_set_new(out, "authorization_response_iss_parameter_supported", json_true());
}

static int
reply_public(struct reply *reply, const char *text)
{
	reply_header(reply, "Cache-Control", KEYS_MAX_AGE);
	/* read by applications in browsers; there is no cookie in it */
	reply_header(reply, "Access-Control-Allow-Origin", "*");
	reply_body(reply, 200, "application/json", text, strlen(text));
	return 0;
}

HANDLER(oidc_discovery)
{
	json_t *out = json_own(op, json_object());

	(void)request;
	add_endpoints(op, out);
	add_abilities(out);
	return reply_public(reply, json_text(op, out));
}

HANDLER(oidc_jwks)
{
	(void)request;
	return reply_public(reply, keyring_jwks(op));
}
