/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Proxies: only a trusted peer's word counts, and of it only the part that the proxy itself wrote.  127.0.0.9 is our proxy, 10.20.0.0/16 is
 * the row of proxies before it; 127.0.0.1 is nobody.
 */
#include "../net/hooks.h"

#include "base/network.h"

static char text[RAW_BYTES];

static struct raw_server
open_server(struct seen *seen, bool reads_forwarded, int max_per_address)
{
	static struct networks trusted;
	struct op *op = op_begin(NULL, NULL);
	const char *fault = networks_read(op->mem, "127.0.0.9, 10.20.0.0/16 2001:db8:7::/48", &trusted);
	struct raw_server s;

	cr_assert_null(fault, "%s", fault);
	s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = seen, .trusted = trusted, .reads_forwarded = reads_forwarded,
	    .max_per_address = max_per_address, .max_connections = 64, .threads = 1 });
	op_end(op);
	return s;
}

static int
ask_from(const char *from, int port, const char *headers)
{
	char bytes[4096];
	int fd = raw_connect_from(from, port);

	snprintf(bytes, sizeof(bytes), "GET /a HTTP/1.1\r\nHost: a\r\n%sConnection: close\r\n\r\n", headers);
	raw_send(fd, bytes, strlen(bytes));
	raw_read_all(fd, text);
	close(fd);
	return raw_status(text);
}

static void
expect_address(const char *from, int port, const char *headers, const char *address)
{
	char line[80];

	cr_expect_eq(ask_from(from, port, headers), 200, "%s", headers);
	snprintf(line, sizeof(line), "\naddress %s\n", address);
	cr_expect_not_null(strstr(text, line), "%s from %s gives %s", headers, from, strstr(text, "address"));
}

Test(forward, x_forwarded_for)
{
	static const struct { const char *headers, *address; } cases[] = {
		{ "", "127.0.0.9" },
		{ "X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7" },
		{ "x-forwarded-for: 192.0.2.7\r\n", "192.0.2.7" },
		/* what the client wrote himself stands left */
		{ "X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n", "192.0.2.7" },
		{ "X-Forwarded-For: 10.20.1.1, 192.0.2.7\r\n", "192.0.2.7" },
		{ "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7" },
		/* two proxies of ours */
		{ "X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.20.3.4\r\n", "192.0.2.7" },
		{ "X-Forwarded-For: 192.0.2.7, 10.20.3.4, 2001:db8:7::1\r\n", "192.0.2.7" },
		/* all are ours: the first of them */
		{ "X-Forwarded-For: 10.20.1.1, 10.20.3.4\r\n", "10.20.1.1" },
		{ "X-Forwarded-For: 2001:DB8:0:0::7\r\n", "2001:db8::7" },
		{ "X-Forwarded-For: ::ffff:192.0.2.7\r\n", "192.0.2.7" },
		{ "X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7" },
		{ "X-Forwarded-For: [2001:db8::7]:4711\r\n", "2001:db8::7" },
		{ "X-Forwarded-For: \t 192.0.2.7 \t\r\n", "192.0.2.7" },
		/* what nobody can read is nobody's address, and nothing left of it counts */
		{ "X-Forwarded-For: 192.0.2.7, unknown\r\n", "127.0.0.9" },
		{ "X-Forwarded-For: 192.0.2.7, \r\n", "127.0.0.9" },
		{ "X-Forwarded-For: 192.0.2.7, 10.20.3.4, clinic.test\r\n", "127.0.0.9" },
		{ "X-Forwarded-For: 192.0.2.7, clinic.test, 10.20.3.4\r\n", "10.20.3.4" },
		{ "X-Forwarded-For: 192.0.2.07\r\n", "127.0.0.9" },
		{ "X-Forwarded-For: 3221225991\r\n", "127.0.0.9" },
		{ "X-Forwarded-For: 192.0.519\r\n", "127.0.0.9" },
		{ "X-Forwarded-For: 0300.0.2.7\r\n", "127.0.0.9" },
		{ "X-Forwarded-For: fe80::1%eth0\r\n", "127.0.0.9" },
		{ "X-Forwarded-For: unix\r\n", "127.0.0.9" },
		/* the other headers are a client's, passed on as they came */
		{ "Forwarded: for=192.0.2.66\r\n", "127.0.0.9" },
		{ "Forwarded: for=192.0.2.66\r\nX-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7" },
		{ "X-Real-IP: 192.0.2.66\r\nClient-IP: 192.0.2.66\r\nTrue-Client-IP: 192.0.2.66\r\nCF-Connecting-IP: 192.0.2.66\r\n", "127.0.0.9" },
	};
	struct seen seen = { 0 };
	struct raw_server s = open_server(&seen, false, 0);

	for (size_t i = 0; i < countof(cases); i++) {
		expect_address("127.0.0.9", s.port, cases[i].headers, cases[i].address);
		/* the same words of somebody else */
		expect_address("127.0.0.1", s.port, cases[i].headers, "127.0.0.1");
		expect_address("127.0.0.8", s.port, cases[i].headers, "127.0.0.8");
	}
	raw_server_close(&s);
}

Test(forward, rfc_7239)
{
	static const struct { const char *headers, *address; } cases[] = {
		{ "Forwarded: for=192.0.2.7\r\n", "192.0.2.7" },
		{ "Forwarded: for=198.51.100.1, for=192.0.2.7;proto=https;by=10.20.0.1\r\n", "192.0.2.7" },
		{ "Forwarded: proto=https; For=\"[2001:db8::7]:4711\"\r\n", "2001:db8::7" },
		{ "Forwarded: for=198.51.100.1, for=192.0.2.7, for=10.20.3.4\r\n", "192.0.2.7" },
		{ "Forwarded: for=192.0.2.7, for=_hidden\r\n", "127.0.0.9" },
		{ "Forwarded: for=192.0.2.7, for=unknown\r\n", "127.0.0.9" },
		{ "Forwarded: for=192.0.2.7, proto=https\r\n", "127.0.0.9" },
		{ "Forwarded: xfor=192.0.2.7\r\n", "127.0.0.9" },
		/* the proxy passes the Host on that the client wrote: what stands in quotes is no element and no parameter of its own */
		{ "Forwarded: for=192.0.2.7;host=\"a,for=192.0.2.66\"\r\n", "192.0.2.7" },
		{ "Forwarded: host=\"a;for=192.0.2.66\";for=192.0.2.7\r\n", "192.0.2.7" },
		{ "Forwarded: host=\"a\\\";for=192.0.2.66;x=\\\"\";for=192.0.2.7\r\n", "192.0.2.7" },
		{ "Forwarded: for=192.0.2.66;for=192.0.2.67, for=192.0.2.7\r\n", "192.0.2.7" },
		{ "X-Forwarded-For: 192.0.2.66\r\nForwarded: for=192.0.2.7\r\n", "192.0.2.7" },
		{ "X-Forwarded-For: 192.0.2.66\r\n", "127.0.0.9" },
	};
	struct seen seen = { 0 };
	struct raw_server s = open_server(&seen, true, 0);

	for (size_t i = 0; i < countof(cases); i++) {
		expect_address("127.0.0.9", s.port, cases[i].headers, cases[i].address);
		expect_address("127.0.0.1", s.port, cases[i].headers, "127.0.0.1");
	}
	cr_expect_eq(ask_from("127.0.0.9", s.port, "Forwarded: for=192.0.2.7;host=b.test;proto=https\r\n"), 200);
	cr_expect_not_null(strstr(text, "\nhost b.test\n"), "%s", text);
	cr_expect_eq(ask_from("127.0.0.9", s.port, "Forwarded: for=192.0.2.7;proto=http\r\n"), 400);
	/* which of the two it means nobody knows */
	cr_expect_eq(ask_from("127.0.0.9", s.port, "Forwarded: host=a;for=192.0.2.66;for=192.0.2.7\r\n"), 400);
	cr_expect_eq(ask_from("127.0.0.9", s.port, "Forwarded: for=192.0.2.7;proto=https;proto=http\r\n"), 400);
	/* a quote that the client opened, and the proxy's own words behind it */
	cr_expect_eq(ask_from("127.0.0.9", s.port, "Forwarded: for=192.0.2.66;x=\"\r\nForwarded: for=192.0.2.7\r\n"), 400);
	raw_server_close(&s);
}

Test(forward, host_and_scheme)
{
	struct seen seen = { 0 };
	struct raw_server s = open_server(&seen, false, 0);

	cr_expect_eq(ask_from("127.0.0.9", s.port, "X-Forwarded-Host: evil.test, clinic.test\r\n"), 200);
	cr_expect_not_null(strstr(text, "\nhost clinic.test\n"), "%s", text);
	cr_expect_eq(ask_from("127.0.0.1", s.port, "X-Forwarded-Host: clinic.test\r\n"), 200);
	cr_expect_not_null(strstr(text, "\nhost a\n"), "%s", text);
	cr_expect_eq(ask_from("127.0.0.9", s.port, "X-Forwarded-Proto: https\r\n"), 200);
	cr_expect_eq(ask_from("127.0.0.9", s.port, "X-Forwarded-Proto: HTTPS\r\n"), 200);
	cr_expect_eq(ask_from("127.0.0.9", s.port, "X-Forwarded-Proto: http\r\n"), 400);
	/* the browser may not talk the proxy's word away */
	cr_expect_eq(ask_from("127.0.0.9", s.port, "X-Forwarded-Proto: https, http\r\n"), 400);
	cr_expect_eq(ask_from("127.0.0.1", s.port, "X-Forwarded-Proto: http\r\n"), 200);
	raw_server_close(&s);
}

/* A hundred addresses behind one proxy are not one address, and one behind it is. */
Test(forward, limits_count_the_client)
{
	struct seen seen = { 0 };
	struct raw_server s = open_server(&seen, false, 4);
	const char half[] = "POST /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\nContent-Length: 5\r\n\r\n12";
	int fds[16], status;

	for (size_t i = 0; i < countof(fds); i++) {
		fds[i] = raw_connect_from("127.0.0.9", s.port);
		cr_assert_geq(fds[i], 0);
	}
	/* four requests of one client are under way */
	for (int i = 0; i < 4; i++)
		raw_send(fds[i], half, strlen(half));
	do {
		status = ask_from("127.0.0.9", s.port, "X-Forwarded-For: 192.0.2.7\r\n");
	} while (status == 200);
	cr_expect_eq(status, 503);
	cr_expect_not_null(strstr(text, "Retry-After: "), "%s", text);
	cr_expect_eq(ask_from("127.0.0.9", s.port, "X-Forwarded-For: 192.0.2.8\r\n"), 200);
	cr_expect_eq(ask_from("127.0.0.9", s.port, "X-Forwarded-For: 192.0.2.7, 192.0.2.9\r\n"), 200);
	for (int i = 0; i < 4; i++) {
		raw_send(fds[i], "345", 3);
		raw_read_one(fds[i], text);
		cr_expect_eq(raw_status(text), 200);
	}
	cr_expect_eq(ask_from("127.0.0.9", s.port, "X-Forwarded-For: 192.0.2.7\r\n"), 200);
	for (size_t i = 0; i < countof(fds); i++)
		close(fds[i]);
	/* without a proxy connections count, as ever */
	for (size_t i = 0; i < 4; i++) {
		fds[i] = raw_connect_from("127.0.0.1", s.port);
		raw_send(fds[i], half, strlen(half));
	}
	cr_expect_neq(ask_from("127.0.0.1", s.port, ""), 200);
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
	raw_server_close(&s);
}

Test(forward, networks)
{
	static const char *const wrong[] = { "10.0.0.0/33", "10.0.0.1/8", "10.0.0/8", "0.0.0.0/0", "::/0", "::ffff:0:0/0", "clinic.test", "10.0.0.0/", "10.0.0.0/-1",
		"10.0.0.0/8x", "127.1", "2130706433", "fe80::1%eth0", "2001:db8::1/32", "2001:db8::/129", "/8", "010.0.0.0/8" };
	struct op *op = op_begin(NULL, NULL);
	struct networks networks;
	struct address address;

	for (size_t i = 0; i < countof(wrong); i++)
		cr_expect_not_null(networks_read(op->mem, wrong[i], &networks), "%s", wrong[i]);
	cr_expect_null(networks_read(op->mem, "", &networks));
	cr_expect_eq(networks.n, 0);
	cr_expect_null(networks_read(op->mem, "10.0.0.0/9,192.0.2.7\t2001:db8::/33", &networks));
	cr_expect_eq(networks.n, 3);
	cr_expect(address_read("10.127.255.255", &address) && networks_have(&networks, &address));
	cr_expect(address_read("10.128.0.0", &address) && !networks_have(&networks, &address));
	cr_expect(address_read("::ffff:192.0.2.7", &address) && networks_have(&networks, &address));
	cr_expect(address_read("192.0.2.6", &address) && !networks_have(&networks, &address));
	cr_expect(address_read("2001:db8:7fff::", &address) && networks_have(&networks, &address));
	cr_expect(address_read("2001:db8:8000::", &address) && !networks_have(&networks, &address));
	op_end(op);
}
