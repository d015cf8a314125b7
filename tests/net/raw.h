/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* For tests of the HTTP server: a server in the test's own process, and clients that send exactly the bytes they are told. */
#ifndef KW_TEST_NET_RAW_H
#define KW_TEST_NET_RAW_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/http.h"

#define RAW_BYTES (64u << 10)

struct raw_server {
	struct op *op;
	struct lanes *lanes;
	struct http_server *http;
	int port;
};

/* A connection from the given loopback address; -1 when refused. */
static inline int
raw_connect_from(const char *from, int port)
{
	struct sockaddr_in us = { .sin_family = AF_INET }, them = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct timeval patience = { .tv_sec = 50 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, from, &us.sin_addr);
	inet_pton(AF_INET, "127.0.0.1", &them.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	cr_assert_eq(bind(fd, (struct sockaddr *)&us, sizeof(us)), 0);
	if (connect(fd, (struct sockaddr *)&them, sizeof(them)) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline void
raw_send(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;         /* the server has closed: what it said is read next */
		bytes += sent;
		n -= (size_t)sent;
	}
}

/* What comes next.  A process that was stopped for a moment finds its wait interrupted, if that has a deadline (signal(7)). */
static inline ssize_t
raw_recv(int fd, char *bytes, size_t n)
{
	ssize_t got;

	do {
		got = recv(fd, bytes, n, 0);
	} while (got < 0 && errno == EINTR);
	return got;
}

/* Everything until the server closes; fails the test when it does not close. */
static inline size_t
raw_read_all(int fd, char text[static RAW_BYTES])
{
	size_t n = 0;

	while (n < RAW_BYTES - 1) {
		ssize_t got = raw_recv(fd, text + n, RAW_BYTES - 1 - n);

		if (got < 0 && errno == ECONNRESET)
			break;
		cr_expect_geq(got, 0, "the server did not close the connection (%s) after: %.*s", strerror(errno), (int)n, text);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	text[n] = '\0';
	return n;
}

/* Reads one answer with a Content-Length, and no more. */
static inline void
raw_read_one(int fd, char text[static RAW_BYTES])
{
	size_t n = 0, wanted = RAW_BYTES - 1;

	text[0] = '\0';
	while (n < wanted) {
		ssize_t got = raw_recv(fd, text + n, 1);
		const char *length, *end;

		if (got <= 0)
			break;
		text[n += (size_t)got] = '\0';
		end = n >= 4 && memcmp(text + n - 4, "\r\n\r\n", 4) == 0 && wanted == RAW_BYTES - 1 ? text + n : NULL;
		if (!end)
			continue;
		length = strstr(text, "Content-Length: ");
		cr_assert_not_null(length);
		wanted = n + strtoul(length + 16, NULL, 10);
	}
}

static inline int
raw_status(const char *answer)
{
	return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

/* Sends the bytes, reads until the close, gives the status of the first answer. */
static inline int
raw_ask_bytes(int port, const char *bytes, size_t size, char text[static RAW_BYTES])
{
	int fd = raw_connect_from("127.0.0.1", port);

	cr_assert_geq(fd, 0);
	raw_send(fd, bytes, size);
	raw_read_all(fd, text);
	close(fd);
	return raw_status(text);
}

static inline int
raw_ask(int port, const char *request, char text[static RAW_BYTES])
{
	return raw_ask_bytes(port, request, strlen(request), text);
}

static inline struct raw_server
raw_server_open(struct http_options options)
{
	struct raw_server s = { .op = op_begin(NULL, NULL), .lanes = lanes_new(2) };

	log_set_level(LOG_LEVEL_ERROR);
	options.listen = options.listen ? options.listen : "127.0.0.1:0";
	options.lanes = s.lanes;
	options.max_connections = options.max_connections ? options.max_connections : 60;
	options.threads = options.threads ? options.threads : 1;
	options.head_deadline_ms = options.head_deadline_ms ? options.head_deadline_ms : 60000;
	options.body_deadline_ms = options.body_deadline_ms ? options.body_deadline_ms : 60000;
	cr_assert_eq(http_open(s.op, &options, &s.http), 0, "%s", op_failure(s.op));
	s.port = http_port(s.http);
	return s;
}

static inline void
raw_server_close(struct raw_server *s)
{
	http_close(s->http, 5000);
	lanes_free(s->lanes);
	op_end(s->op);
}

#endif
