/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The published keys: fetched with libcurl when they are old or when a token names one that is not known yet, kept as PEM, which is
 * what libjwt takes.  Read keys_find first.
 */
#include <curl/curl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bearer.h"

#define ANSWER_MAX (1 << 20)
#define KEYS_MAX 16
#define COORDINATE_BYTES 32             /* RFC 7518 6.2.1.2, for P-256 */

struct keys {
	char *url, *ca_file;
	struct key { char *kid, *pem; } v[KEYS_MAX];
	size_t n;
	time_t fetched, tried;          /* monotonic seconds; 0: never */
};

struct answer {
	char *data;
	size_t n;
};

static time_t
monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + 1;
}

struct keys *
keys_new(const char *url, const char *ca_file)
{
	struct keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		return NULL;
	keys->url = strdup(url);
	keys->ca_file = ca_file ? strdup(ca_file) : NULL;
	return keys;
}

static void
forget(struct keys *keys)
{
	for (size_t i = 0; i < keys->n; i++) {
		free(keys->v[i].kid);
		free(keys->v[i].pem);
	}
	keys->n = 0;
}

void
keys_free(struct keys *keys)
{
	if (!keys)
		return;
	forget(keys);
	free(keys->url);
	free(keys->ca_file);
	free(keys);
}

static size_t
collect(char *data, size_t size, size_t n, void *arg)
{
	struct answer *answer = arg;
	char *grown = answer->n + n > ANSWER_MAX ? NULL : realloc(answer->data, answer->n + n + 1);

	(void)size;
	if (!grown)
		return 0;
	memcpy(grown + answer->n, data, n);
	answer->data = grown;
	answer->n += n;
	return n;
}

static json_t *
fetch(const struct keys *keys)
{
	CURL *curl = curl_easy_init();
	struct answer answer = { 0 };
	json_t *json = NULL;
	CURLcode code;

	if (!curl)
		return NULL;
	curl_easy_setopt(curl, CURLOPT_URL, keys->url);
	/* whoever could change the keys could make tokens: https only, verified (libcurl does), and nowhere else */
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 5L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	if (keys->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, keys->ca_file);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		json = json_loadb(answer.data ? answer.data : "", answer.n, JSON_REJECT_DUPLICATES, NULL);
	if (!json)
		fprintf(stderr, "keys of %s: %s\n", keys->url, code ? curl_easy_strerror(code) : "no JSON");
	curl_easy_cleanup(curl);
	free(answer.data);
	return json;
}

static bool
is_text(const json_t *object, const char *name, const char *wanted)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text && strcmp(text, wanted) == 0;
}

static bool
read_coordinate(const json_t *jwk, const char *name, unsigned char *ret)
{
	const char *text = json_string_value(json_object_get(jwk, name));

	return text && base64url_read(text, strlen(text), ret, COORDINATE_BYTES) == COORDINATE_BYTES;
}

static char *
pem_of_pkey(EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *pem = NULL;
	long n;

	if (bio && PEM_write_bio_PUBKEY(bio, pkey) && (n = BIO_get_mem_data(bio, &data)) > 0)
		pem = strndup(data, (size_t)n);
	BIO_free(bio);
	return pem;
}

/* The point x, y as OpenSSL takes it: 04 x y.  OpenSSL refuses one that is not on the curve. */
static char *
pem_of_point(unsigned char *point, size_t n)
{
	char group[] = "P-256";
	OSSL_PARAM params[] = { OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group) - 1),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, n), OSSL_PARAM_END };
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *pkey = NULL;
	char *pem = NULL;

	if (ctx && EVP_PKEY_fromdata_init(ctx) > 0 && EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) > 0)
		pem = pem_of_pkey(pkey);
	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
	return pem;
}

/* NULL for keys that are not ours to use: another algorithm, another curve, for encryption. */
static char *
pem_of(const json_t *jwk)
{
	unsigned char point[1 + 2 * COORDINATE_BYTES] = { 0x04 };

	/* RFC 8725 3.1: a key is for one algorithm */
	if (!is_text(jwk, "kty", "EC") || !is_text(jwk, "crv", "P-256") || !is_text(jwk, "alg", "ES256") || !is_text(jwk, "use", "sig") ||
	    !read_coordinate(jwk, "x", point + 1) || !read_coordinate(jwk, "y", point + 1 + COORDINATE_BYTES))
		return NULL;
	return pem_of_point(point, sizeof(point));
}

static void
take(struct keys *keys, const json_t *listed)
{
	const json_t *jwk;
	size_t i;

	forget(keys);
	json_array_foreach(listed, i, jwk) {
		const char *kid = json_string_value(json_object_get(jwk, "kid"));
		char *pem = kid && keys->n < KEYS_MAX ? pem_of(jwk) : NULL;

		if (pem)
			keys->v[keys->n++] = (struct key){ strdup(kid), pem };
	}
}

static const char *
known(const struct keys *keys, const char *kid)
{
	for (size_t i = 0; i < keys->n; i++)
		if (strcmp(keys->v[i].kid, kid) == 0)
			return keys->v[i].pem;
	return NULL;
}

const char *
keys_find(struct keys *keys, const char *kid)
{
	time_t now = monotonic();
	bool is_old = !keys->fetched || now - keys->fetched > KEYS_GOOD_FOR_SEC;
	json_t *json;

	if ((!is_old && known(keys, kid)) || (keys->tried && now - keys->tried <= KEYS_REST_SEC))
		return known(keys, kid);
	keys->tried = now;
	json = fetch(keys);
	/* the old keys stay good while Keyward cannot be reached */
	if (json_is_array(json_object_get(json, "keys"))) {
		take(keys, json_object_get(json, "keys"));
		keys->fetched = now;
	}
	json_decref(json);
	return known(keys, kid);
}
