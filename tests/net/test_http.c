/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The HTTP server: what a handler gets to see, paths in one form, lanes, UNIX sockets, stopping. */
#include "hooks.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>

static char text[RAW_BYTES];

static int
get(int port, const char *target)
{
	char bytes[2048];

	snprintf(bytes, sizeof(bytes), "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", target);
	return raw_ask(port, bytes, text);
}

Test(http, a_handler_sees_the_request)
{
	static const char post[] = "POST /lane/a%20b?x=1&x=2&y HTTP/1.1\r\nHost: clinic.test:80\r\nCookie: k=v\r\n"
	    "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: 7\r\nConnection: close\r\n\r\nf=g+%2B";
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });

	cr_assert_eq(raw_ask(s.port, post, text), 200);
	cr_expect_not_null(strstr(text, "method 2\npath /lane/a b\naddress 127.0.0.1\nuid 4294967295\nhost clinic.test:80\n"
	    "query x=1\nquery x=2\nquery y=\nform f=g +\ncookie k=v\nbody 7 f=g+%2B\n"), "%s", text);
	raw_server_close(&s);
}

Test(http, paths_have_one_form)
{
	static const char *const refused[] = {
		"//", "/a//b", "/a/../b", "/a/..", "/..", "/./a", "/a/.", "/a/%2e%2e/b", "/%2E%2e", "/a/%2e", "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b",
		"/a;b=c", "/a%3bb", "/a%00", "/a%0a", "/a%7f", "/a%ff", "/a%c0%af", "/a%ed%a0%80", "/a%", "/a%4", "/a%zz", "/a%c2%80",
	};
	static const char *const served[][2] = {
		{ "/", "path /\n" }, { "/a/b", "path /a/b\n" }, { "/a/", "path /a/\n" }, { "/%61", "path /a\n" }, { "/a%252fb", "path /a%2fb\n" },
		{ "/...", "path /...\n" }, { "/.a", "path /.a\n" }, { "/a?b//../c=%2f", "query b//../c=/\n" }, { "/%c3%a4", "path /\xc3\xa4\n" },
		{ "/a+b", "path /a+b\n" },
	};
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });

	for (size_t i = 0; i < countof(refused); i++)
		cr_expect_eq(get(s.port, refused[i]), 400, "%s", refused[i]);
	cr_expect_eq(seen.calls, 0);
	for (size_t i = 0; i < countof(served); i++) {
		cr_expect_eq(get(s.port, served[i][0]), 200, "%s", served[i][0]);
		cr_expect_not_null(strstr(text, served[i][1]), "%s: %s", served[i][0], text);
	}
	raw_server_close(&s);
}

Test(http, pipelined_requests_are_answered_in_order)
{
	static const char two[] = "GET /lane/a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });
	const char *first;

	cr_assert_eq(raw_ask(s.port, two, text), 200);
	first = strstr(text, "path /lane/a\n");
	cr_assert_not_null(first);
	cr_assert_not_null(strstr(first, "path /b\n"));
	raw_server_close(&s);
}

Test(http, head_has_no_body_but_its_length)
{
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });

	cr_assert_eq(raw_ask(s.port, "HEAD /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", text), 200);
	cr_assert_not_null(strstr(text, "Content-Length: "));
	cr_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
	raw_server_close(&s);
}

/* A lane whose threads are held and whose queue is full answers 503 at once; afterwards everything goes on. */
static pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int held;

static bool
held_handle(struct request *request, struct reply *reply)
{
	held++;
	pthread_mutex_lock(&hold);
	pthread_mutex_unlock(&hold);
	return test_handle(request, reply);
}

Test(http, a_full_lane_answers_503, .timeout = 60)
{
	static const struct http_hooks hooks = { test_lane, held_handle, test_refuse };
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &hooks, .tag = &seen, .max_connections = 480, .threads = 4 });
	int fds[258], status, n_good = 0;

	pthread_mutex_lock(&hold);
	for (size_t i = 0; i < countof(fds); i++) {
		fds[i] = raw_connect_from("127.0.0.1", s.port);
		raw_send(fds[i], "GET /lane/a HTTP/1.1\r\nHost: a\r\n\r\n", 34);
		/* the first two must be with the threads, or the queue would be full too early */
		while (i == 1 && held < 2)
			usleep(1000);
	}
	/* two run, 256 wait; requests beyond are told to come again.  Until all have arrived some may still be let in. */
	while (lane_depth(s.lanes, LANE_quick) < 256)
		usleep(1000);
	status = get(s.port, "/lane/a");
	cr_expect_eq(status, 503);
	cr_expect_not_null(strstr(text, "Retry-After: "), "%s", text);
	pthread_mutex_unlock(&hold);
	for (size_t i = 0; i < countof(fds); i++) {
		raw_read_one(fds[i], text);
		n_good += raw_status(text) == 200;
		cr_expect(raw_status(text) == 200 || raw_status(text) == 503);
		close(fds[i]);
	}
	/* two may have come before the workers took theirs */
	cr_expect(n_good >= 256, "%d", n_good);
	cr_expect_eq(get(s.port, "/lane/a"), 200);
	raw_server_close(&s);
}

/* What the watchdog of the service manager asks (src/pulse.c). */
Test(http, a_blocked_loop_is_seen, .timeout = 60)
{
	static const struct http_hooks hooks = { test_lane, held_handle, test_refuse };
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &hooks, .tag = &seen, .max_connections = 16, .threads = 1 });
	int fd;

	cr_expect(http_answers(s.http, 10000));
	cr_expect(!http_is_stuck(s.http, 0));
	pthread_mutex_lock(&hold);
	/* on a lane a handler may take its time */
	fd = raw_connect_from("127.0.0.1", s.port);
	raw_send(fd, "GET /lane/a HTTP/1.1\r\nHost: a\r\n\r\n", 34);
	while (held < 2)
		usleep(1000);
	usleep(30000);
	cr_expect(!http_is_stuck(s.http, 10));
	cr_expect(!http_is_stuck(s.http, 10000));
	close(fd);
	/* on the loop it may not */
	fd = raw_connect_from("127.0.0.1", s.port);
	raw_send(fd, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 29);
	while (held < 3)
		usleep(1000);
	usleep(30000);
	cr_expect(http_is_stuck(s.http, 10));
	cr_expect(!http_is_stuck(s.http, 60000));
	cr_expect(!http_answers(s.http, 100));
	pthread_mutex_unlock(&hold);
	raw_read_one(fd, text);
	cr_expect_eq(raw_status(text), 200);
	cr_expect(http_answers(s.http, 10000));
	cr_expect(!http_is_stuck(s.http, 10));
	close(fd);
	raw_server_close(&s);
}

Test(http, clients_that_leave_while_suspended_do_no_harm)
{
	static const struct http_hooks hooks = { test_lane, held_handle, test_refuse };
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &hooks, .tag = &seen });

	pthread_mutex_lock(&hold);
	for (int i = 0; i < 40; i++) {
		int fd = raw_connect_from("127.0.0.1", s.port);

		raw_send(fd, "GET /lane/a HTTP/1.1\r\nHost: a\r\n\r\n", 34);
		close(fd);
	}
	pthread_mutex_unlock(&hold);
	cr_expect_eq(get(s.port, "/lane/a"), 200);
	raw_server_close(&s);
}

static int
unix_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

Test(http, a_unix_socket_tells_who_calls)
{
	char folder[] = "/tmp/keyward-http-XXXXXX", path[64], at[80], wanted[64];
	struct seen seen = { 0 };
	struct http_options options = { .hooks = &test_hooks, .tag = &seen, .listen = at };
	struct http_server *second;
	struct raw_server s;
	struct stat status;
	int fd;

	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	snprintf(at, sizeof(at), "unix:%s", path);
	s = raw_server_open(options);
	cr_expect_eq(stat(path, &status), 0);
	cr_expect_eq(status.st_mode & 0777, 0660);
	fd = unix_connect(path);
	raw_send(fd, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 48);
	raw_read_all(fd, text);
	close(fd);
	snprintf(wanted, sizeof(wanted), "address unix\nuid %u\n", geteuid());
	cr_expect_not_null(strstr(text, wanted), "%s", text);
	/* somebody answers: the name is not taken away from him */
	options.lanes = s.lanes;
	options.max_connections = options.threads = 1;
	cr_expect_lt(http_open(s.op, &options, &second), 0);
	cr_expect_not_null(strstr(op_failure(s.op), "another daemon"), "%s", op_failure(s.op));
	raw_server_close(&s);
	cr_expect_neq(stat(path, &status), 0, "the name is gone");
	rmdir(folder);
}

Test(http, a_stale_unix_socket_is_replaced_and_a_file_is_not)
{
	char folder[] = "/tmp/keyward-http-XXXXXX", path[64], at[80];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct seen seen = { 0 };
	struct http_options options = { .hooks = &test_hooks, .tag = &seen, .listen = at, .max_connections = 1, .threads = 1 };
	struct op *op = op_begin(NULL, NULL);
	struct http_server *server;
	struct raw_server s;
	FILE *file;
	int fd;

	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	snprintf(at, sizeof(at), "unix:%s", path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	s = raw_server_open(options);
	raw_server_close(&s);
	file = fopen(path, "w");
	fclose(file);
	cr_expect_lt(http_open(op, &options, &server), 0);
	cr_expect_eq(access(path, F_OK), 0);
	unlink(path);
	rmdir(folder);
	op_end(op);
}

Test(http, an_address_in_use_is_told)
{
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen });
	char at[32];
	struct http_options options = { .hooks = &test_hooks, .listen = at, .max_connections = 1, .threads = 1, .lanes = s.lanes };
	struct http_server *second;

	snprintf(at, sizeof(at), "127.0.0.1:%d", s.port);
	cr_expect_eq(http_open(s.op, &options, &second), ERR_SYSTEM);
	cr_expect_not_null(strstr(op_failure(s.op), "in use"), "%s", op_failure(s.op));
	raw_server_close(&s);
}

Test(http, ipv6_and_mapped_addresses_are_canonical)
{
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen, .listen = "[::]:0" });

	cr_assert_eq(get(s.port, "/a"), 200);
	cr_expect_not_null(strstr(text, "address 127.0.0.1\n"), "%s", text);
	raw_server_close(&s);
}

static bool
bad_header_handle(struct request *request, struct reply *reply)
{
	test_handle(request, reply);
	reply_header(reply, "X-Name", "a\r\nSet-Cookie: b=c");
	return true;
}

Test(http, a_reply_header_with_a_line_end_is_never_sent)
{
	static const struct http_hooks hooks = { test_lane, bad_header_handle, test_refuse };
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &hooks, .tag = &seen });

	cr_expect_neq(get(s.port, "/a"), 200);
	cr_expect_null(strstr(text, "b=c"));
	raw_server_close(&s);
}

Test(http, closing_waits_for_requests_under_way, .timeout = 60)
{
	static const struct http_hooks hooks = { test_lane, held_handle, test_refuse };
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &hooks, .tag = &seen });
	int fd = raw_connect_from("127.0.0.1", s.port);

	pthread_mutex_lock(&hold);
	raw_send(fd, "GET /lane/a HTTP/1.1\r\nHost: a\r\n\r\n", 34);
	while (!held)
		usleep(1000);
	http_quiesce(s.http);
	cr_expect_eq(raw_connect_from("127.0.0.1", s.port), -1);
	pthread_mutex_unlock(&hold);
	raw_read_all(fd, text);
	cr_expect_eq(raw_status(text), 200);
	cr_expect_not_null(strstr(text, "Connection: close"));
	close(fd);
	raw_server_close(&s);
}

static enum lane
try_lane(struct request *request, size_t *ret_body_cap, int64_t *ret_deadline_ms)
{
	test_lane(request, ret_body_cap, ret_deadline_ms);
	request->try_on_loop = true;
	return LANE_quick;
}

/* Answers /loop on the loop and sends everything else to the lane. */
static bool
try_handle(struct request *request, struct reply *reply)
{
	if (request->try_on_loop && strcmp(request->path, "/loop") != 0) {
		reply_header(reply, "X-First", "1");
		request->wants_lane = true;
		return true;
	}
	test_handle(request, reply);
	reply_header(reply, "X-Where", request->try_on_loop ? "loop" : request->wants_lane ? "lane, for another" : "lane");
	return true;
}

Test(http, what_the_loop_cannot_answer_goes_to_the_lane)
{
	static const struct http_hooks hooks = { try_lane, try_handle, test_refuse };
	struct seen seen = { 0 };
	struct raw_server s = raw_server_open((struct http_options){ .hooks = &hooks, .tag = &seen });

	cr_expect_eq(get(s.port, "/loop"), 200);
	cr_expect_not_null(strstr(text, "X-Where: loop\r\n"), "%s", text);
	cr_expect_eq(get(s.port, "/other"), 200);
	cr_expect_not_null(strstr(text, "X-Where: lane\r\n"), "%s", text);
	cr_expect_null(strstr(text, "X-First"), "%s", text);
	cr_expect_eq(seen.calls, 2);
	raw_server_close(&s);
}

/* Those who connect all the time, until told to end. */
static _Atomic bool is_enough;
static _Atomic int crowd_port;

static void *
crowd(void *arg)
{
	(void)arg;
	while (!is_enough) {
		struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)crowd_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
			(void)!write(fd, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 28);
		close(fd);
	}
	return NULL;
}

/* A loop of libmicrohttpd and the thread that stops the door may take the listening socket out at the same time. */
Test(http, a_stop_under_load_is_a_stop, .timeout = 60)
{
	int (*found)(int, int, int, struct epoll_event *) = (int (*)(int, int, int, struct epoll_event *))dlsym(RTLD_DEFAULT, "epoll_ctl");
	int set = epoll_create1(EPOLL_CLOEXEC), other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct seen seen = { 0 };
	pthread_t threads[4];

	/* what the library finds: the second to take it out is none who fails, and everything else is as it was */
	cr_expect_eq(found(set, EPOLL_CTL_DEL, other, NULL), 0);
	cr_expect_eq(found(set, EPOLL_CTL_DEL, -1, NULL), 0);
	cr_expect_eq(found(set, EPOLL_CTL_MOD, other, &(struct epoll_event){ 0 }), -1);
	close(other);
	close(set);
	for (int round = 0; round < 60; round++) {
		struct raw_server s = raw_server_open((struct http_options){ .hooks = &test_hooks, .tag = &seen, .max_connections = 480, .threads = 4 });

		crowd_port = s.port;
		for (size_t i = 0; i < countof(threads) && !round; i++)
			pthread_create(&threads[i], NULL, crowd, NULL);
		usleep(2000);
		http_quiesce(s.http);
		raw_server_close(&s);
	}
	is_enough = true;
	for (size_t i = 0; i < countof(threads); i++)
		pthread_join(threads[i], NULL);
}
