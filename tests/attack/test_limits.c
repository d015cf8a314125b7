/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Bodies, forms and cookies that are too large, too many or malformed: refused before memory is spent on them. */
#include "../net/hooks.h"

static char text[RAW_BYTES];

static int
post(int port, const char *headers, const char *body, size_t n)
{
	static char bytes[1 << 20];
	int head = snprintf(bytes, sizeof(bytes), "POST /lane/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
	    headers, n);

	memcpy(bytes + head, body, n);
	return raw_ask_bytes(port, bytes, (size_t)head + n, text);
}

static int
post_form(int port, const char *form)
{
	return post(port, "Content-Type: application/x-www-form-urlencoded\r\n", form, strlen(form));
}

static int
get_with(int port, const char *header)
{
	static char bytes[RAW_BYTES + 100];

	snprintf(bytes, sizeof(bytes), "GET /lane/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n\r\n", header);
	return raw_ask(port, bytes, text);
}

Test(H04, a_body_over_the_cap_is_refused_unread)
{
	static char body[2000];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });

	memset(body, 'a', sizeof(body));
	cr_expect_eq(post(s.port, "", body, 1000), 200);
	cr_expect_eq(post(s.port, "", body, 1001), 413);
	/* the length alone is enough */
	cr_expect_eq(raw_ask(s.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n", text), 413);
	cr_expect_eq(raw_ask(s.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", text) / 100, 4);
	cr_expect_eq(raw_ask(s.port, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n", text), 413);
	cr_expect_null(strstr(text, "100 Continue"));
	cr_expect_eq(seen.calls, 1);
	raw_server_close(&s);
}

Test(H04, a_chunked_body_over_the_cap_is_refused)
{
	static char body[1200 + 200];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });
	int n = snprintf(body, sizeof(body), "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4b0\r\n%01200d\r\n0\r\n\r\n", 0);

	cr_expect_eq(raw_ask_bytes(s.port, body, (size_t)n, text), 413);
	cr_expect_eq(seen.calls, 0);
	raw_server_close(&s);
}

/* A body that never ends is cut, not read for ever. */
Test(H04, an_endless_chunked_body_is_cut, .timeout = 60)
{
	static char chunk[8 + 4096];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });
	int fd = raw_connect_from("127.0.0.1", s.port), n;

	n = snprintf(chunk, sizeof(chunk), "400\r\n%01024d\r\n", 0);
	raw_send(fd, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 57);
	while (send(fd, chunk, (size_t)n, MSG_NOSIGNAL) > 0)
		;
	close(fd);
	cr_expect_eq(seen.calls, 0);
	raw_server_close(&s);
}

Test(H04, encoded_and_multipart_bodies_are_refused)
{
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });

	cr_expect_eq(post(s.port, "Content-Encoding: gzip\r\n", "\x1f\x8b", 2), 415);
	cr_expect_eq(post(s.port, "Content-Encoding: br\r\n", "a", 1), 415);
	cr_expect_eq(post(s.port, "Content-Type: multipart/form-data; boundary=a\r\n", "--a--", 5), 415);
	cr_expect_eq(post(s.port, "Content-Type: MultiPart/mixed\r\n", "--a--", 5), 415);
	cr_expect_eq(seen.calls, 0);
	raw_server_close(&s);
}

Test(H04, forms_have_limits)
{
	static char form[20000];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });
	size_t n = 0;

	for (int i = 0; i < 64; i++)
		n += (size_t)sprintf(form + n, "a=%d&", i);
	cr_expect_eq(post_form(s.port, form), 200);
	sprintf(form + n, "a=1");
	cr_expect_eq(post_form(s.port, form), 400, "65 fields");
	cr_expect_eq(post_form(s.port, "a=%zz"), 400, "bad escape");
	cr_expect_eq(post_form(s.port, "a=%4"), 400, "cut escape");
	cr_expect_eq(post_form(s.port, "a=%"), 400, "cut escape");
	cr_expect_eq(post_form(s.port, "a=%00"), 400, "NUL");
	cr_expect_eq(post_form(s.port, "a=%c0%80"), 400, "overlong");
	cr_expect_eq(post_form(s.port, "a=%ff"), 400, "no UTF-8");
	cr_expect_eq(seen.calls, 1);
	cr_expect_eq(post_form(s.port, "a=b+c%20d&&e&=f&a=%c3%a4"), 200);
	cr_expect_not_null(strstr(text, "form a=b c d\nform e=\nform =f\nform a=\xc3\xa4\n"), "%s", text);
	raw_server_close(&s);
}

Test(H04, queries_have_limits)
{
	static char bytes[RAW_BYTES];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });
	int n = snprintf(bytes, sizeof(bytes), "GET /?");

	for (int i = 0; i < 65; i++)
		n += snprintf(bytes + n, sizeof(bytes) - (size_t)n, "a=%d&", i);
	snprintf(bytes + n, sizeof(bytes) - (size_t)n, " HTTP/1.1\r\nHost: a\r\n\r\n");
	cr_expect_eq(raw_ask(s.port, bytes, text), 400);
	cr_expect_eq(raw_ask(s.port, "GET /?a=%00 HTTP/1.1\r\nHost: a\r\n\r\n", text), 400);
	cr_expect_eq(raw_ask(s.port, "GET /?a=%f HTTP/1.1\r\nHost: a\r\n\r\n", text), 400);
	cr_expect_eq(seen.calls, 0);
	raw_server_close(&s);
}

Test(P09, too_many_or_malformed_cookies_are_refused)
{
	static char header[RAW_BYTES];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });
	int n = snprintf(header, sizeof(header), "Cookie: a=b");

	for (int i = 0; i < 200; i++)
		n += snprintf(header + n, sizeof(header) - (size_t)n, "; c%d=d", i);
	cr_expect_eq(get_with(s.port, header), 400, "200 cookies");
	snprintf(header, sizeof(header), "Cookie: a=%060000d", 0);
	cr_expect_eq(get_with(s.port, header), 431, "60 kB");
	cr_expect_eq(get_with(s.port, "Cookie: ;=;"), 400);
	cr_expect_eq(get_with(s.port, "Cookie: ="), 400);
	cr_expect_eq(get_with(s.port, "Cookie: "), 400);
	cr_expect_eq(get_with(s.port, "Cookie: a"), 400);
	cr_expect_eq(get_with(s.port, "Cookie: a=b;"), 400);
	cr_expect_eq(get_with(s.port, "Cookie: a=b; =c"), 400);
	cr_expect_eq(get_with(s.port, "Cookie: a b=c"), 400);
	cr_expect_eq(get_with(s.port, "Cookie: a=b\r\nCookie: c=d"), 400);
	cr_expect_eq(seen.calls, 0);
	raw_server_close(&s);
}

/* Two cookies of one name are handed on as two: who asks for one by name learns that there are two. */
Test(P09, cookies_are_handed_on_as_sent)
{
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });

	cr_expect_eq(get_with(s.port, "Cookie: a=b=c; d=\"e f\";g=; a=%41"), 200);
	cr_expect_not_null(strstr(text, "cookie a=b=c\ncookie d=\"e f\"\ncookie g=\ncookie a=%41\n"), "%s", text);
	raw_server_close(&s);
}
