/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Everything that reads bytes of strangers, fed with seeds that were changed at random: what is accepted must hold what its
 * header promises (one form only, read back the same), and the sanitizers watch the rest.  In "make check" it is a fixed number of
 * rounds from a fixed start; by hand, longer:
 *     tests/fuzz/fuzz_parsers ROUNDS [START]
 * To add a target: a function, its seeds, a row in targets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/issue/oidc_int.h"
#include "../../src/net/http_int.h"
#include "base/node.h"
#include "base/shape.h"
#include "base/time.h"
#include "crypt/jws.h"
#include "net/ldap.h"
#include "net/ldap_ad.h"

#define INPUT_MAX 4096
#define ROUNDS 3000
#define NEED(condition) do { if (!(condition)) return #condition; } while (0)

/* A target gets n bytes, with a zero behind them; it gives NULL, or what was not as promised. */
typedef const char *fuzz_fn(struct op *op, const char *data, size_t n);

static const char *
fuzz_encodings(struct op *op, const char *data, size_t n)
{
	unsigned char *out;
	size_t m;

	if (base64url_decode(op->mem, data, n, &out, &m)) {
		char *again = base64url_encode(op->mem, out, m);

		/* RFC 7515 2: one text for one value */
		NEED(strlen(again) == n && !memcmp(again, data, n));
	}
	if (base64_decode(op->mem, data, n, &out, &m))
		NEED(n % 4 == 0 && m <= n / 4 * 3);
	if (hex_decode(op->mem, data, &out, &m))
		NEED(m * 2 == strlen(data) && text_equal_ascii_case(hex_encode(op->mem, out, m), data));
	if (text_is_utf8(data, n)) {
		char *folded = text_fold(op->mem, data);

		NEED(strlen(data) == n && folded && !strcmp(folded, text_fold(op->mem, folded)));
	}
	return NULL;
}

static const char *
fuzz_time(struct op *op, const char *data, size_t n)
{
	char text[TIME_TEXT_BYTES];
	int64_t ms, again;

	(void)op, (void)n;
	if (time_parse(data, &ms)) {
		NEED(time_parse(time_text(ms, text), &again));
		NEED(ms == again);
	}
	if (time_parse_generalized(data, &ms)) {
		NEED(time_parse(time_text(ms, text), &again));
		NEED(ms == again);
	}
	return NULL;
}

static const char *
fuzz_ad(struct op *op, const char *data, size_t n)
{
	char guid[UUID_TEXT_BYTES], sid[LDAP_AD_SID_BYTES], group[LDAP_AD_SID_BYTES];
	unsigned number;
	uint32_t value;
	int64_t ms;

	(void)op;
	if (ldap_ad_guid(data, n, guid))
		NEED(n == 16 && uuid_is_valid(guid));
	if (ldap_ad_sid(data, n, sid)) {
		NEED(n == 8 + 4 * (size_t)(unsigned char)data[1] && text_starts_with(sid, "S-1-") && strlen(sid) < sizeof(sid));
		if (ldap_ad_sid_of(sid, 513, group))
			NEED(strlen(group) < sizeof(group) && !strcmp(strrchr(group, '-'), "-513"));
	}
	if (ldap_ad_time(data, n, &ms))
		NEED(ms >= 0 && ms <= INT64_C(253402300799999) && strspn(data, "0123456789") == n);
	if (ldap_ad_number(data, n, &value))
		NEED(strspn(data, "-0123456789") == n);
	if (ldap_ad_refusal(data, &number))
		NEED(strstr(data, "AcceptSecurityContext error, data ") && !strpbrk(data, "\r\n"));
	return NULL;
}

/* No number with a point: the canonical writer refuses those by assertion. */
static bool
is_exact(const json_t *value)
{
	const char *name;
	size_t i;
	json_t *item;

	if (json_is_real(value) || (json_is_integer(value) && llabs(json_integer_value(value)) > (1LL << 53)))
		return false;
	json_array_foreach(value, i, item)
		if (!is_exact(item))
			return false;
	json_object_foreach((json_t *)(uintptr_t)value, name, item)
		if (!is_exact(item))
			return false;
	return true;
}

static const char *
fuzz_json(struct op *op, const char *data, size_t n)
{
	struct problems problems = problems_in(op, NULL);
	json_t *value, *again;
	const void *body;
	struct node *node;
	char *text;

	if (json_read(op, data, n, &value))
		return NULL;
	if (is_exact(value)) {
		text = json_canonical(op, value);
		NEED(!json_read(op, text, strlen(text), &again) && json_equal(value, again));
		NEED(!strcmp(text, json_canonical(op, again)));
	}
	if (!node_from_json(op, value, &problems, &node)) {
		int rc = shape_read(op, shape_app(), node, &problems, &body);

		NEED(!rc == !problems.n);
	}
	return NULL;
}

static const char *
fuzz_yaml(struct op *op, const char *data, size_t n)
{
	struct problems problems = problems_in(op, "file");
	struct node *documents;
	const void *file;
	size_t count;

	if (node_read_yaml(op, data, n, &problems, &documents, &count))
		return problems.n ? NULL : "a refusal without a reason";
	for (size_t i = 0; i < count; i++)
		NEED(shape_read(op, shape_config_file(), &documents[i], &problems, &file) == 0 || problems.n);
	NEED(problems_text(op, &problems));
	return NULL;
}

static const char *
fuzz_http(struct op *op, const char *data, size_t n)
{
	const char *path = http_parse_path(op->mem, data, strlen(data));
	struct http_pairs pairs;

	/* A12: what is accepted means one thing only */
	if (path)
		NEED(path[0] == '/' && !strstr(path, "//") && !strstr(path, "/../") && !strpbrk(path, "\\;"));
	if (http_parse_pairs(op->mem, data, n, &pairs)) {
		NEED(pairs.n <= HTTP_MAX_PAIRS);
		for (size_t i = 0; i < pairs.n; i++)
			NEED(text_is_utf8(pairs.v[i].name, strlen(pairs.v[i].name)) && text_is_utf8(pairs.v[i].value, strlen(pairs.v[i].value)));
	}
	if (http_parse_cookies(op->mem, data, &pairs))
		NEED(pairs.n > 0 && pairs.n <= HTTP_MAX_COOKIES);
	return NULL;
}

static const char *
fuzz_jws(struct op *op, const char *data, size_t n)
{
	struct jws_header header;
	struct jwk *key;
	json_t *claims, *jwk;

	if (!jws_peek(op, data, n, &header))
		NEED(header.alg);
	NEED(!jwk_generate(op, "ES256", &key));
	/* T01, T02: nobody but the key signs */
	if (!jws_verify(op, key, NULL, data, n, &claims)) {
		jwk_free(key);
		return "a token of nobody was accepted";
	}
	jwk_free(key);
	if (!json_read(op, data, n, &jwk) && !jwk_from_public_json(op, jwk, &key))
		jwk_free(key);
	return NULL;
}

static const char *
fuzz_dn(struct op *op, const char *data, size_t n)
{
	char *dn, *again, *host;
	bool is_ldaps;
	int port;

	if (!ldap_dn_normalise(op, data, &dn)) {
		NEED(!ldap_dn_normalise(op, dn, &again));
		NEED(!strcmp(dn, again));
		NEED(ldap_dn_is_under(dn, dn));
	}
	/* L01: nothing of a filter's grammar is left */
	NEED(!strpbrk(ldap_filter_escape(op, data, n), "*()"));
	if (!ldap_url_read(op, data, &is_ldaps, &host, &port))
		NEED(*host && port > 0 && port < 65536);
	return NULL;
}

static const char *
fuzz_oauth(struct op *op, const char *data, size_t n)
{
	const char *registered[] = { "https://a.test/cb?x=1", "http://127.0.0.1:7/cb", "http://[::1]/cb" }, *id;
	struct shape_app body = { .name = "a", .scopes = { registered, 0 } };
	struct catalog_app app = { .body = &body };
	struct claims_request request;
	unsigned char hash[SHA256_BYTES];
	char *scope;

	/* O01: only the port of a loopback address may differ */
	if (redirect_is_registered(&(struct strings){ registered, countof(registered) }, data))
		NEED(!strcmp(data, registered[0]) || text_starts_with(data, "http://127.0.0.1") || text_starts_with(data, "http://[::1]"));
	if (!claims_read(op, data, &request) && request.asked)
		NEED(strlen(request.asked) <= 2 * n + 64);
	if (!scope_settle(op, &app, data, &scope))
		NEED(*scope && scope_is_within(scope, data) && scope_is_within(scope, "openid profile email phone address offline_access roles"));
	if (code_parse(op, data, &id, hash))
		NEED(strlen(id) == 36 && strlen(data) == 80);
	param_decode(op, data, n);
	return NULL;
}

static const struct target {
	const char *name;
	fuzz_fn *run;
	const char *seeds[6];
} targets[] = {
	{ "encodings", fuzz_encodings, { "QUJDRA", "QUJDRA==", "00ff7A", "Ren\xc3\xa9 M\xc3\xbcller", "\xef\xac\x81\xe2\x84\xaa\xc4\xb0", "-_-_" } },
	{ "time", fuzz_time, { "2026-11-22T13:40:00.123Z", "2026-11-22", "2024-02-29T23:59:60+14:00", "20261122134000Z", "20261122134000.5+0130",
	    "2026112213-12" } },
	{ "json", fuzz_json, { "{\"name\":\"a\",\"type\":\"public\",\"redirect_uris\":[\"https://a.test/cb\"],\"enabled\":true}",
	    "[1,-2,9007199254740992,\"\\u00e9\\ud83d\\ude00\",null,{\"a\":{}}]", "{\"\":[[[[[]]]]]}", "\"\\n\\t\\u0001\"", "{\"a\":1,\"a\":2}" } },
	{ "yaml", fuzz_yaml, { "roles:\n  - name: nurse\n    title: \"Nurse\"\n    permissions: [a, b]\n",
	    "apps:\n- name: x\n  type: public\n  enabled: no\n  redirect_uris:\n  - https://a.test/\n", "--- {a: [1, 'x', \"\\x41\"]}\n---\nb: |\n  text\n",
	    "a: &x 1\nb: *x\n", "? k\n: v\n", "locations: []\n#c\n" } },
	{ "http", fuzz_http, { "/oauth2/token", "/api/v1/users/%C3%A9", "/a/%2e%2e/b;c", "a=b&c=%20+&&d", "__Host-keyward=x.y; a=\"b\"", "=;&%00" } },
	{ "jws", fuzz_jws, { "eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.e30.AAAA", "eyJhbGciOiJub25lIn0.e30.", "..",
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}" } },
	{ "dn", fuzz_dn, { "uid=a\\, b+cn=\\c3\\a9,ou=People, dc=clinic,dc=test", "CN=\"x,y\"", "2.5.4.3=#0403616263,o=\\20 x \\ ", "cn=# ", "ldaps://[::1]:636",
	    "ldap://dc1.clinic.test" } },
	{ "ad", fuzz_ad, { "\x01\x02\x01\x01\x01\x01\x01\x05" "abcdefgh", "0123456789abcdef", "159984288000000000", "-2147483646", "9223372036854775807",
	    "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1" } },
	{ "oauth", fuzz_oauth, { "https://a.test/cb?x=1", "http://127.0.0.1:80/cb", "openid profile roles",
	    "{\"userinfo\":{\"email\":{\"essential\":true}},\"id_token\":{\"sub\":{\"value\":\"x\"},\"acr\":{\"values\":[\"pwd\"]}}}",
	    "01a203e0-42b6-7f15-9942-a8a671a6dda6.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "a%20b+c%zz" } },
};

/* xorshift: the same on every machine. */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One change: a byte, a piece taken out, doubled or repeated often, a sign with a meaning, or a piece of another seed. */
static size_t
change(uint64_t *random, const struct target *target, char *data, size_t n)
{
	static const char signs[] = "\0\"\\%&=;/.:,{}[]*()#+-_ \n\t\x7f\x80\xc3\xed\xf0\xff""0919";
	size_t at = next_random(random) % (n + 1), piece = next_random(random) % 16, copies = 1;
	const char *seed = target->seeds[next_random(random) % countof(target->seeds)];

	switch (next_random(random) % 6) {
	case 0:
		if (at < n)
			data[at] = (char)next_random(random);
		return n;
	case 1:
		piece = piece < n - at ? piece : n - at;
		memmove(data + at, data + at + piece, n - at - piece);
		return n - piece;
	case 2:
		copies = next_random(random) % 8 ? 1 : 64;
		piece = piece < n - at ? piece : n - at;
		for (; copies && n + piece <= INPUT_MAX; copies--, n += piece)
			memmove(data + at + piece, data + at, n - at);
		return n;
	case 3:
		seed = seed ? seed : "";
		piece = strlen(seed) ? next_random(random) % strlen(seed) : 0;
		if (n - at + piece <= INPUT_MAX - at)
			memcpy(data + at, seed, piece);
		return at + piece > n && at + piece <= INPUT_MAX ? at + piece : n;
	default:
		if (n < INPUT_MAX) {
			memmove(data + at + 1, data + at, n - at);
			data[at] = signs[next_random(random) % (sizeof(signs) - 1)];
			return n + 1;
		}
		return n;
	}
}

static const char *
run_one(const struct target *target, const char *data, size_t n)
{
	struct op *op = op_begin(NULL, NULL);
	/* a block of its own size, so that the sanitizer sees a byte too far */
	char *exact = op_alloc(op, n + 1);
	const char *wrong;

	memcpy(exact, data, n);
	wrong = target->run(op, exact, n);
	op_end(op);
	return wrong;
}

static void
tell(const struct target *target, const char *wrong, const char *data, size_t n)
{
	printf("# %s: %s fails for", target->name, wrong);
	for (size_t i = 0; i < n; i++)
		printf(" %02x", (unsigned char)data[i]);
	printf("\n");
}

static bool
run_target(const struct target *target, long rounds, uint64_t random)
{
	char data[2 * INPUT_MAX];
	const char *wrong = NULL;
	size_t n = 0;

	for (long round = 0; round < rounds && !wrong; round++) {
		const char *seed = target->seeds[round % (long)countof(target->seeds)];

		n = seed ? strlen(seed) : 0;
		memcpy(data, seed ? seed : "", n);
		/* the seeds themselves first */
		for (uint64_t i = round < (long)countof(target->seeds) ? 0 : 1 + next_random(&random) % 6; i; i--)
			n = change(&random, target, data, n);
		wrong = run_one(target, data, n);
	}
	if (wrong)
		tell(target, wrong, data, n);
	return !wrong;
}

int
main(int argc, char **argv)
{
	long rounds = argc > 1 && argv[1][0] != '-' ? atol(argv[1]) : ROUNDS;
	uint64_t start = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 88172645463325252ULL;
	int failed = 0;

	for (size_t i = 0; i < countof(targets); i++) {
		bool is_good = run_target(&targets[i], rounds, start + 2 * i);

		printf("%s - %s: %ld inputs\n", is_good ? "ok" : "not ok", targets[i].name, rounds);
		fflush(stdout);
		failed += !is_good;
	}
	return failed > 0;
}
