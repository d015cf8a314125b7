/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Request smuggling: whatever two programs could read differently is answered 400 and the connection is closed, so that
 * bytes behind it never become a request.  Each case is followed by a request for /mark, which must not be seen.
 */
#include "../net/hooks.h"

static const char mark[] = "GET /mark HTTP/1.1\r\nHost: a\r\n\r\n";

struct attempt {
	const char *name, *bytes;
	size_t n;                       /* 0: up to the end of the text */
};

static const struct attempt refused[] = {
	{ "CL and TE", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0 },
	{ "TE and CL", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 0 },
	{ "two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\nabc", 0 },
	{ "two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 0 },
	{ "length list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 0 },
	{ "signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 0 },
	{ "negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nabc", 0 },
	{ "hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", 0 },
	{ "empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nabc", 0 },
	{ "TE xchunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0 },
	{ "TE gzip", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 0 },
	{ "TE gzip, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0 },
	{ "TE identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 0 },
	{ "TE twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0 },
	{ "TE with a vertical tab", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", 0 },
	{ "TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0 },
	{ "blank before the colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc", 0 },
	{ "tab before the colon", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 0 },
	{ "two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 0 },
	{ "two equal hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 0 },
	{ "no host", "GET / HTTP/1.1\r\nX: a\r\n\r\n", 0 },
	{ "host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0 },
	{ "host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 0 },
	{ "lone CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n", 0 },
	{ "lone CR hides a header", "POST / HTTP/1.1\r\nHost: a\r\nX: 1\rContent-Length: 40\r\n\r\n", 0 },
	{ "control character in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01" "b\r\n\r\n", 0 },
	{ "DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f" "b\r\n\r\n", 0 },
	{ "NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\nY: c\r\n\r\n", 41 },
	{ "NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\0Y: b\r\n\r\n", 35 },
	{ "folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 0 },
	{ "folded line makes a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Leng: 40\r\n th\r\n\r\n", 0 },
	{ "folded encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 0 },
	{ "header without a name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 0 },
	{ "NUL in the last value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 35 },
	{ "bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 0 },
	{ "bare LF between headers", "GET / HTTP/1.1\r\nX: a\nHost: a\r\n\r\n", 0 },
	{ "bare LF hides a length", "POST / HTTP/1.1\r\nHost: a\r\nX: a\nContent-Length: 40\r\n\r\n", 0 },
	{ "bare LF at the end", "GET / HTTP/1.1\r\nHost: a\n\n", 0 },
	{ "bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 0 },
	{ "header without a colon", "GET / HTTP/1.1\r\nHost: a\r\nabc\r\n\r\n", 0 },
	{ "header name in brackets", "GET / HTTP/1.1\r\nHost: a\r\n(X): b\r\n\r\n", 0 },
	{ "absolute form", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
	{ "authority form", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
	{ "asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
	{ "fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
	{ "8-bit target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
	{ "control character in the target", "GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
	{ "blank in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
	{ "HTTP/1.9", "GET / HTTP/1.9\r\nHost: a\r\n\r\n", 0 },
	{ "two cookie headers", "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n", 0 },
	{ "strange method", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
};

/* Refused before a handler by the library or by us; the status is not always ours to choose. */
static const struct attempt never_served[] = {
	{ "HTTP/0.9", "GET /\r\n", 0 },
	{ "HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 0 },
	{ "HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 0 },
	{ "lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 0 },
	{ "chunk size in C", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 0 },
	{ "negative chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", 0 },
	{ "huge chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nabc\r\n0\r\n\r\n", 0 },
};

static size_t
with_mark(const struct attempt *attempt, char *out)
{
	size_t n = attempt->n ? attempt->n : strlen(attempt->bytes);

	memcpy(out, attempt->bytes, n);
	memcpy(out + n, mark, sizeof(mark) - 1);
	return n + sizeof(mark) - 1;
}

Test(H01, ambiguous_heads_are_refused_and_the_connection_closed)
{
	static char text[RAW_BYTES], bytes[4096];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });

	for (size_t i = 0; i < countof(refused); i++) {
		int status = raw_ask_bytes(s.port, bytes, with_mark(&refused[i], bytes), text);

		cr_expect_eq(status, 400, "%s: %d", refused[i].name, status);
		cr_expect_null(strstr(text, "200 OK"), "%s: a second answer", refused[i].name);
	}
	cr_expect_eq(seen.calls, 0);
	cr_expect_eq(seen.marks, 0);
	raw_server_close(&s);
}

Test(H01, malformed_requests_are_never_served)
{
	static char text[RAW_BYTES], bytes[4096];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });

	for (size_t i = 0; i < countof(never_served); i++) {
		int status = raw_ask_bytes(s.port, bytes, with_mark(&never_served[i], bytes), text);

		cr_expect_neq(status, 200, "%s", never_served[i].name);
	}
	cr_expect_eq(seen.calls, 0);
	raw_server_close(&s);
}

Test(H01, a_long_target_and_many_headers_are_refused)
{
	static char text[RAW_BYTES], bytes[64 << 10];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });
	int n;

	n = snprintf(bytes, sizeof(bytes), "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", 9000, 0);
	cr_expect_eq(raw_ask_bytes(s.port, bytes, (size_t)n, text), 400);
	n = snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n", 50000, 0);
	cr_expect_eq(raw_ask_bytes(s.port, bytes, (size_t)n, text), 431);
	n = snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 120; i++)
		n += snprintf(bytes + n, sizeof(bytes) - (size_t)n, "X-%d: a\r\n", i);
	n += snprintf(bytes + n, sizeof(bytes) - (size_t)n, "\r\n");
	cr_expect_eq(raw_ask_bytes(s.port, bytes, (size_t)n, text), 400);
	cr_expect_eq(seen.calls, 0);
	raw_server_close(&s);
}

/* The other side: what is sound is served, however it is cut into packets. */
Test(H01, sound_requests_are_served)
{
	static const char *const good[] = {
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET /?a=b|c{d} HTTP/1.1\r\nHost: [::1]:80\r\nX:\r\nY: \t a b \r\nConnection: close\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nUser-Agent: \xc3\xa4\xff\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
	};
	static char text[RAW_BYTES];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });

	for (size_t i = 0; i < countof(good); i++)
		cr_expect_eq(raw_ask(s.port, good[i], text), 200, "%zu: %s", i, text);
	for (size_t i = 0; i < countof(good); i++) {
		int fd = raw_connect_from("127.0.0.1", s.port);

		for (const char *c = good[i]; *c; c++) {
			raw_send(fd, c, 1);
			usleep(200);
		}
		raw_read_all(fd, text);
		cr_expect_eq(raw_status(text), 200, "%zu byte by byte: %s", i, text);
		close(fd);
	}
	raw_server_close(&s);
}

Test(H01, a_head_that_outgrows_its_buffer_is_read_rightly)
{
	static char text[RAW_BYTES], bytes[32 << 10];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });
	int n = snprintf(bytes, sizeof(bytes), "GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
	int fd = raw_connect_from("127.0.0.1", s.port);

	for (int i = 0; i < 80; i++)
		n += snprintf(bytes + n, sizeof(bytes) - (size_t)n, "X-%d: %0*d\r\n", i, 150, i);
	n += snprintf(bytes + n, sizeof(bytes) - (size_t)n, "\r\n");
	for (int at = 0; at < n; at += 1000) {
		raw_send(fd, bytes + at, (size_t)(n - at < 1000 ? n - at : 1000));
		usleep(3000);
	}
	raw_read_all(fd, text);
	cr_expect_eq(raw_status(text), 200, "%s", text);
	close(fd);
	raw_server_close(&s);
}
