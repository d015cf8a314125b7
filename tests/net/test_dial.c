/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Connecting on loopback: addresses, names, and what happens when nobody answers. */
#include "net/dial.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/time.h"

static struct services svc;
static struct op *op;
static int listener, port;

static void
begin(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);

	svc.dialer = dialer_new();
	op = op_begin(&svc, NULL);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(listen(listener, 4), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &size), 0);
	port = ntohs(at.sin_port);
}

static void
end(void)
{
	close(listener);
	dialer_free(svc.dialer);
	op_end(op);
}

TestSuite(dial, .init = begin, .fini = end);

Test(dial, an_address_is_reached_without_blocking)
{
	int fd;

	cr_assert_eq(dial_tcp(op, "127.0.0.1", port, &fd), 0);
	cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

Test(dial, a_name_is_resolved_once_and_tried_at_every_address)
{
	/* localhost may be ::1 first, where nobody listens */
	for (int i = 0; i < 3; i++) {
		int fd;

		cr_assert_eq(dial_tcp(op, "localhost", port, &fd), 0, "%s", op_failure(op));
		close(fd);
	}
}

Test(dial, nobody_there_is_unreachable)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int fd, deaf = socket(AF_INET, SOCK_STREAM, 0);

	/* the port is taken, so that no other program gets it, and nobody listens there */
	cr_assert_eq(bind(deaf, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(getsockname(deaf, (struct sockaddr *)&at, &size), 0);
	cr_assert_eq(dial_tcp(op, "127.0.0.1", ntohs(at.sin_port), &fd), ERR_UNREACHABLE);
	cr_assert_eq(fd, -1);
	close(deaf);
}

Test(dial, a_name_that_is_none_is_unreachable)
{
	int fd;

	cr_assert_eq(dial_tcp(op, "nobody..invalid", port, &fd), ERR_UNREACHABLE);
	op_forgive(op);
	cr_assert_eq(dial_tcp(op, "127.0.0.1", 0, &fd), ERR_INVALID);
	op_forgive(op);
	cr_assert_eq(dial_tcp(op, "127.0.0.1", 65536, &fd), ERR_INVALID);
}

Test(dial, no_time_left_is_no_connection)
{
	int fd;

	op->deadline_ms = time_monotonic_ms() - 1;
	cr_assert_eq(dial_tcp(op, "127.0.0.1", port, &fd), ERR_DEADLINE);
}

Test(dial, many_names_do_not_fill_the_table_for_ever)
{
	/* more than the table holds, and malformed so that no name server is asked; each fails on its own, and a good name is still found afterwards */
	int fd;

	for (int i = 0; i < 100; i++) {
		int rc = dial_tcp(op, op_printf(op, "n%d..invalid", i), port, &fd);

		cr_assert(rc == ERR_UNREACHABLE || rc == ERR_BUSY);
		op_forgive(op);
		op->deadline_ms = time_monotonic_ms() + 10000;
	}
	cr_assert_eq(dial_tcp(op, "localhost", port, &fd), 0, "%s", op_failure(op));
	close(fd);
}

/* H07: a name may resolve to anything, so the address counts; 0.0.0.0 would reach the listener on this machine. */
Test(dial, odd_addresses_are_not_asked)
{
	static const char *const odd[] = { "0.0.0.0", "::", "169.254.169.254", "fe80::1", "::ffff:0.0.0.0", "::ffff:169.254.1.1", "224.0.0.1", "ff02::1",
		"255.255.255.255" };
	static const char *const loose[] = { "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.01", "fe80::1%lo" };
	int fd;

	for (size_t i = 0; i < countof(odd); i++) {
		cr_expect_eq(dial_tcp(op, odd[i], port, &fd), ERR_UNREACHABLE, "%s", odd[i]);
		cr_expect_not_null(strstr(op_failure(op), "nothing is asked there"), "%s", op_failure(op));
		cr_expect_eq(fd, -1);
		op_forgive(op);
	}
	for (size_t i = 0; i < countof(loose); i++) {
		cr_expect_eq(dial_tcp(op, loose[i], port, &fd), ERR_INVALID, "%s", loose[i]);
		op_forgive(op);
	}
}
