/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The real table of routes behind a server in the test's own process: whose requests are taken at which door (Host header,
 * API on the public door, strangers on the UNIX socket), and that no answer lacks the security headers.
 */
#include "../../src/routes.h"
#include "../net/raw.h"

#define ISSUER_HOST "keyward.clinic.test:8443"

static char text[RAW_BYTES];

struct house {
	struct program program;
	struct door door;
	struct raw_server server;
};

static void
house_open(struct house *house, enum door_kind kind)
{
	struct op *op = op_begin(NULL, NULL);
	struct problems problems = problems_in(op, "");
	const struct config *config;

	cr_assert_eq(config_load(op, NULL, &problems, &config), 0);
	op_end(op);
	memset(house, 0, sizeof(*house));
	program_init(&house->program, config);
	house->door = (struct door){ kind, &house->program, ISSUER_HOST, true };
	house->server = raw_server_open((struct http_options){ .hooks = &route_hooks, .tag = &house->door });
}

static void
house_close(struct house *house)
{
	raw_server_close(&house->server);
	program_clear(&house->program);
}

static int
ask(struct house *house, const char *method, const char *target, const char *host)
{
	char bytes[1024];

	snprintf(bytes, sizeof(bytes), "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", method, target, host);
	return raw_ask(house->server.port, bytes, text);
}

Test(A12, a_request_for_another_host_is_misdirected)
{
	static const char *const others[] = {
		"evil.test", "keyward.clinic.test", "keyward.clinic.test:443", "keyward.clinic.test:84430", "keyward.clinic.test.:8443",
		"xkeyward.clinic.test:8443", "keyward.clinic.test:8443.evil.test", "127.0.0.1:8443", "localhost", "",
	};
	struct house house;

	house_open(&house, DOOR_PUBLIC);
	for (size_t i = 0; i < countof(others); i++)
		cr_expect_eq(ask(&house, "GET", "/no-such-page", others[i]), 421, "%s", others[i]);
	cr_expect_eq(raw_ask(house.server.port, "GET /no-such-page HTTP/1.0\r\n\r\n", text), 421, "no Host at all");
	cr_expect_eq(ask(&house, "GET", "/no-such-page", ISSUER_HOST), 404);
	cr_expect_eq(ask(&house, "GET", "/no-such-page", "KEYWARD.clinic.TEST:8443"), 404);
	house_close(&house);
}

/* Headers by which a proxy may tell an outer name are not believed. */
Test(A12, forwarded_names_change_nothing)
{
	struct house house;

	house_open(&house, DOOR_PUBLIC);
	cr_expect_eq(raw_ask(house.server.port, "GET /no-such-page HTTP/1.1\r\nHost: evil.test\r\nX-Forwarded-Host: " ISSUER_HOST
	    "\r\nForwarded: host=" ISSUER_HOST "\r\nConnection: close\r\n\r\n", text), 421);
	cr_expect_eq(raw_ask(house.server.port, "GET /no-such-page HTTP/1.1\r\nHost: " ISSUER_HOST "\r\nX-Forwarded-Host: evil.test\r\n"
	    "X-Forwarded-Proto: http\r\nX-Original-URL: /api/v1/users\r\nConnection: close\r\n\r\n", text), 404);
	cr_expect_null(strstr(text, "evil.test"));
	house_close(&house);
}

Test(A12, an_issuer_without_a_port_means_443)
{
	struct house house;

	house_open(&house, DOOR_PUBLIC);
	house.door.authority = "keyward.clinic.test";
	cr_expect_eq(ask(&house, "GET", "/no-such-page", "keyward.clinic.test"), 404);
	cr_expect_eq(ask(&house, "GET", "/no-such-page", "keyward.clinic.test:443"), 404);
	cr_expect_eq(ask(&house, "GET", "/no-such-page", "keyward.clinic.test:80"), 421);
	cr_expect_eq(ask(&house, "GET", "/no-such-page", "keyward.clinic.test."), 421);
	house_close(&house);
}

Test(A12, paths_reach_the_table_in_one_form_only)
{
	static const char *const refused[] = {
		"/api/v1//users", "/api/v1/%2e%2e/admin", "/healthz;a=b", "/api%2fv1/users", "/healthz%00", "/./healthz", "//healthz", "/x/../healthz",
	};
	struct house house;

	house_open(&house, DOOR_OPS);
	cr_expect_eq(ask(&house, "GET", "/healthz", "a"), 200);
	cr_expect_eq(ask(&house, "HEAD", "/healthz", "a"), 200);
	cr_expect_eq(ask(&house, "GET", "/%68ealthz", "a"), 200);
	for (size_t i = 0; i < countof(refused); i++)
		cr_expect_eq(ask(&house, "GET", refused[i], "a"), 400, "%s", refused[i]);
	cr_expect_eq(ask(&house, "GET", "/healthz/", "a"), 404);
	cr_expect_eq(ask(&house, "GET", "/HEALTHZ", "a"), 404);
	cr_expect_eq(ask(&house, "GET", "/healthz.", "a"), 404);
	house_close(&house);
}

Test(routes, a_wrong_method_is_told_the_right_ones)
{
	static const char *const wrong[] = { "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND" };
	struct house house;

	house_open(&house, DOOR_OPS);
	for (size_t i = 0; i < countof(wrong); i++) {
		cr_expect_eq(ask(&house, wrong[i], "/healthz", "a"), 405, "%s", wrong[i]);
		cr_expect_not_null(strstr(text, "Allow: GET, HEAD\r\n"), "%s", text);
	}
	house_close(&house);
}

/* Every row answers 404 at the doors that are not its own. */
Test(routes, each_face_has_its_own_door)
{
	struct house house;
	size_t n;
	const struct route *rows = routes_all(&n);

	for (int kind = DOOR_PUBLIC; kind <= DOOR_SOCKET; kind++) {
		house_open(&house, kind);
		for (size_t i = 0; i < n; i++) {
			bool is_own = rows[i].face == FACE_API ? kind == DOOR_SOCKET :
			    rows[i].face == FACE_PROBE ? kind != DOOR_PUBLIC : kind == DOOR_PUBLIC;
			bool has_param = strchr(rows[i].path, '{');

			if (!is_own && !has_param)
				cr_expect_eq(ask(&house, "GET", rows[i].path, ISSUER_HOST), 404, "%s at door %d", rows[i].path, kind);
		}
		house_close(&house);
	}
}

/* A path that the pattern matches: {name} becomes x. */
static const char *
path_of(const char *pattern)
{
	static char path[256];
	size_t n = 0;

	for (const char *p = pattern; *p; p++) {
		if (*p == '{') {
			path[n++] = 'x';
			p += strcspn(p, "}");
		} else {
			path[n++] = *p;
		}
	}
	path[n] = '\0';
	return path;
}

/* A stranger is refused by every row of the API: here everybody is one, since the door is no UNIX socket. */
Test(routes, the_api_refuses_strangers)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
	struct house house;
	size_t n, tried = 0;
	const struct route *rows = routes_all(&n);

	house_open(&house, DOOR_SOCKET);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].face != FACE_API)
			continue;
		tried++;
		cr_expect_neq(rows[i].guard, GUARD_NONE, "%s", rows[i].path);
		cr_expect_eq(ask(&house, methods[rows[i].method], path_of(rows[i].path), "a"), 403, "%s", rows[i].path);
		cr_expect_not_null(strstr(text, "\"code\":\"forbidden\""), "%s", text);
	}
	cr_expect_gt(tried, 0);
	house_close(&house);
}

Test(routes, every_answer_has_the_security_headers)
{
	static const char *const wanted[] = {
		"\r\nContent-Security-Policy: default-src 'none';", "\r\nX-Content-Type-Options: nosniff\r\n", "\r\nReferrer-Policy: ",
		"\r\nCache-Control: no-store\r\n",
	};
	static const char *const requests[] = {
		"GET /no-such-page HTTP/1.1\r\nHost: " ISSUER_HOST "\r\nConnection: close\r\n\r\n",
		"GET /no-such-page HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n",
		"POST /no-such-page HTTP/1.1\r\nHost: " ISSUER_HOST "\r\nContent-Length: 99999\r\n\r\n",
		"GET /a//b HTTP/1.1\r\nHost: " ISSUER_HOST "\r\n\r\n",
		"GET /oauth2/no-such-path HTTP/1.1\r\nHost: " ISSUER_HOST "\r\nConnection: close\r\n\r\n",
	};
	struct house house;

	house_open(&house, DOOR_PUBLIC);
	for (size_t i = 0; i < countof(requests); i++) {
		cr_expect_geq(raw_ask(house.server.port, requests[i], text), 400);
		for (size_t k = 0; k < countof(wanted); k++)
			cr_expect_not_null(strstr(text, wanted[k]), "%s in answer to %s", wanted[k], requests[i]);
	}
	raw_ask(house.server.port, requests[0], text);
	cr_expect_not_null(strstr(text, "\r\nStrict-Transport-Security: max-age="));
	house_close(&house);
}
