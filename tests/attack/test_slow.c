/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Slow clients: as many as the limits let in, a byte now and then, must neither hold their connections for ever nor keep
 * others from being served.  Nothing here looks at a clock: without the limits these tests would wait until they are killed.
 * Where something is served besides, the deadline is long enough for that, however slow the machine.
 */
#include "../net/hooks.h"

#define LIMIT 60
#define SLOW_PER_ADDRESS 40
#define AMPLE_MS 5000

static const char ask[] = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/* All that is wanted of a slow client: send a little, look whether the server is still there. */
static bool
is_open(int fd)
{
	char c;

	raw_send(fd, "X", 1);
	return recv(fd, &c, 1, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static void
wait_until_cut(const int *fds, int n)
{
	for (int i = 0; i < n; i++) {
		while (is_open(fds[i]))
			usleep(20000);
		close(fds[i]);
	}
}

Test(H02, slow_heads_from_one_address_leave_room_for_others)
{
	static char text[RAW_BYTES];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen, .max_connections = LIMIT,
	    .max_per_address = SLOW_PER_ADDRESS });
	int fds[SLOW_PER_ADDRESS], one_more;

	for (int i = 0; i < SLOW_PER_ADDRESS; i++) {
		fds[i] = raw_connect_from("127.0.0.2", s.port);
		raw_send(fds[i], "GET /a HTT", 10);
	}
	/* the address has all it may have: its next connection is closed */
	one_more = raw_connect_from("127.0.0.2", s.port);
	cr_expect_eq(raw_read_all(one_more, text), 0);
	close(one_more);
	for (int i = 0; i < 50; i++)
		cr_assert_eq(raw_ask(s.port, ask, text), 200);
	for (int i = 0; i < SLOW_PER_ADDRESS; i++) {
		cr_expect(is_open(fds[i]));
		close(fds[i]);
	}
	raw_server_close(&s);
}

Test(H02, slow_heads_are_cut_at_the_deadline, .timeout = 60)
{
	static char text[RAW_BYTES];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen, .max_connections = LIMIT,
	    .head_deadline_ms = AMPLE_MS });
	int fds[LIMIT];

	for (int i = 0; i < LIMIT; i++) {
		fds[i] = raw_connect_from("127.0.0.2", s.port);
		raw_send(fds[i], "GET /a HTTP/1.1\r\nHost: a\r\nX: ", 30);
	}
	/* every place is taken: this one is served only because the slow ones are cut */
	cr_expect_eq(raw_ask(s.port, ask, text), 200);
	wait_until_cut(fds, LIMIT);
	cr_expect_eq(seen.calls, 1);
	raw_server_close(&s);
}

Test(H02, silent_connections_are_cut, .timeout = 60)
{
	static char text[RAW_BYTES];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen, .max_connections = LIMIT,
	    .head_deadline_ms = 300 });
	int fds[LIMIT];

	for (int i = 0; i < LIMIT; i++)
		fds[i] = raw_connect_from("127.0.0.2", s.port);
	for (int i = 0; i < LIMIT; i++) {
		cr_expect_eq(raw_read_all(fds[i], text), 0);
		close(fds[i]);
	}
	raw_server_close(&s);
}

Test(H02, idle_kept_connections_are_cut, .timeout = 60)
{
	static char text[RAW_BYTES];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen, .head_deadline_ms = AMPLE_MS });
	int fd = raw_connect_from("127.0.0.1", s.port);

	raw_send(fd, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 29);
	raw_read_one(fd, text);
	cr_expect_eq(raw_status(text), 200);
	raw_send(fd, "GET /b HT", 9);
	cr_expect_eq(raw_read_all(fd, text), 0);
	close(fd);
	raw_server_close(&s);
}

Test(H02, slow_bodies_are_cut, .timeout = 60)
{
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen, .max_connections = LIMIT,
	    .body_deadline_ms = 500 });
	int fds[LIMIT];

	for (int i = 0; i < LIMIT; i++) {
		fds[i] = raw_connect_from("127.0.0.2", s.port);
		raw_send(fds[i], "POST /lane/a HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n", 56);
	}
	wait_until_cut(fds, LIMIT);
	cr_expect_eq(seen.calls, 0);
	raw_server_close(&s);
}

/* A connection more than one loop may have waits outside; libmicrohttpd would stall at 128 ready ones. */
Test(H02, a_loop_takes_at_most_its_share, .timeout = 60)
{
	static char text[RAW_BYTES];
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen, .max_connections = 480 });
	int fds[200];
	char c;

	for (int i = 0; i < 200; i++) {
		fds[i] = raw_connect_from("127.0.0.2", s.port);
		raw_send(fds[i], "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 29);
	}
	for (int i = 0; i < 120; i++) {
		raw_read_one(fds[i], text);
		cr_assert_eq(raw_status(text), 200, "%d", i);
	}
	for (int i = 120; i < 200; i++)
		cr_expect_eq(recv(fds[i], &c, 1, MSG_DONTWAIT), -1);
	cr_expect_eq(seen.calls, 120);
	for (int i = 0; i < 120; i++)
		close(fds[i]);
	for (int i = 120; i < 200; i++) {
		raw_read_one(fds[i], text);
		cr_expect_eq(raw_status(text), 200, "%d", i);
		close(fds[i]);
	}
	raw_server_close(&s);
}
