/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What libjwt 1.10 does for us is the signature.  What it does not do is here: it lets the token choose the algorithm, looks at no
 * time, no issuer, no audience, and ignores crit.  Read bearer_check from the bottom up.
 */
#include "bearer.h"

#include <jwt.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOKEN_MAX 16384
#define HEAD_MAX 1024

int
base64url_read(const char *text, size_t n, unsigned char *ret, size_t ret_size)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned long bits = 0;
	size_t used = 0;

	if (n % 4 == 1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const char *place = text[i] ? strchr(alphabet, text[i]) : NULL;

		if (!place)
			return -1;
		bits = (bits << 6 | (unsigned long)(place - alphabet)) & 0xffffff;
		if (i % 4 == 0)
			continue;
		if (used == ret_size)
			return -1;
		ret[used++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
	}
	return (int)used;
}

static bool
is_text(const json_t *value, const char *wanted)
{
	return json_is_string(value) && strcmp(json_string_value(value), wanted) == 0;
}

/* The first part of the token, which must be read before the key is known. */
static json_t *
read_head(const char *token)
{
	unsigned char head[HEAD_MAX];
	const char *dot = strchr(token, '.');
	int n = dot ? base64url_read(token, (size_t)(dot - token), head, sizeof(head)) : -1;

	return n > 0 ? json_loadb((char *)head, (size_t)n, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

/* kid in the head, or NULL. */
static const char *
check_head(const json_t *head, const char **ret_why)
{
	/* RFC 8725 3.1: the algorithm is what we agreed on, never what the token says; this refuses "none" and HS256, too */
	if (!is_text(json_object_get(head, "alg"), "ES256"))
		*ret_why = "the token has another algorithm";
	/* RFC 7515 4.1.11: libjwt ignores extensions, and so would accept what it does not understand */
	else if (json_object_get(head, "crit"))
		*ret_why = "the token has extensions that we do not know";
	else if (!json_string_value(json_object_get(head, "kid")))
		*ret_why = "the token names no key";
	else
		return json_string_value(json_object_get(head, "kid"));
	return NULL;
}

static json_t *
check_signature(struct keys *keys, const char *token, const char *kid, const char **ret_why)
{
	const char *pem = keys_find(keys, kid);
	json_t *claims = NULL;
	jwt_t *jwt = NULL;
	char *text = NULL;

	*ret_why = "the signature is not good";
	/* never without a key: libjwt then takes the token for one that is not signed, and is content */
	if (!pem)
		*ret_why = "the token is signed with a key that is not published";
	else if (jwt_decode(&jwt, token, (const unsigned char *)pem, (int)strlen(pem)) == 0 && jwt_get_alg(jwt) == JWT_ALG_ES256 &&
	    (text = jwt_get_grants_json(jwt, NULL)))
		claims = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	jwt_free(jwt);
	return claims;
}

/* RFC 7519 4.1.3: one name, or a list with ours in it. */
static bool
is_for(const json_t *aud, const char *audience)
{
	const json_t *one;
	size_t i;

	if (is_text(aud, audience))
		return true;
	json_array_foreach(aud, i, one)
		if (is_text(one, audience))
			return true;
	return false;
}

static bool
is_in_time(const json_t *claims, const char **ret_why)
{
	const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf"), *iat = json_object_get(claims, "iat");
	json_int_t now = time(NULL);

	if (!json_is_integer(exp) || json_integer_value(exp) <= now - BEARER_LEEWAY_SEC)
		*ret_why = "the token has expired";
	else if ((nbf && !json_is_integer(nbf)) || json_integer_value(nbf) > now + BEARER_LEEWAY_SEC || !json_is_integer(iat) ||
	    json_integer_value(iat) > now + BEARER_LEEWAY_SEC)
		*ret_why = "the token is not good yet";
	else
		return true;
	return false;
}

static bool
check_claims(const json_t *claims, const char *issuer, const char *audience, const char **ret_why)
{
	if (!is_text(json_object_get(claims, "iss"), issuer))
		*ret_why = "the token is of another issuer";
	else if (!is_for(json_object_get(claims, "aud"), audience))
		*ret_why = "the token is for somebody else";
	/* access tokens and ID tokens are both of type JWT here; only access tokens have a client_id (RFC 8725 3.12) */
	else if (!json_string_value(json_object_get(claims, "client_id")) || !json_string_value(json_object_get(claims, "jti")) ||
	    !json_string_value(json_object_get(claims, "sub")))
		*ret_why = "the token is no access token";
	else
		return is_in_time(claims, ret_why);
	return false;
}

json_t *
bearer_check(struct keys *keys, const char *issuer, const char *audience, const char *token, const char **ret_why)
{
	json_t *head = NULL, *claims = NULL;
	const char *kid = NULL;

	*ret_why = "the token is not well formed";
	if (strnlen(token, TOKEN_MAX + 1) <= TOKEN_MAX && (head = read_head(token)))
		kid = check_head(head, ret_why);
	if (kid)
		claims = check_signature(keys, token, kid, ret_why);
	json_decref(head);
	if (claims && !check_claims(claims, issuer, audience, ret_why)) {
		json_decref(claims);
		return NULL;
	}
	return claims;
}

static bool
reaches(const json_t *grant, const char *site)
{
	const json_t *named = json_object_get(grant, "location"), *one;
	size_t i;

	if (!named || is_text(named, site))
		return true;
	json_array_foreach(json_object_get(grant, "locations"), i, one)
		if (is_text(one, site))
			return true;
	return false;
}

bool
bearer_holds(const json_t *claims, const char *role, const char *site)
{
	const json_t *grant;
	size_t i;

	json_array_foreach(json_object_get(claims, "grants"), i, grant)
		if (is_text(json_object_get(grant, "role"), role) && reaches(grant, site))
			return true;
	return false;
}
