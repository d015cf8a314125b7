/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Bytes and deadlines.  libldap reads with blocking calls in places that none of its timeouts reach (half a PDU, a TLS
 * handshake), so it gets a layer of ours below its TLS: whatever it does up there, a read or write of the socket ends at the
 * exchange's deadline.  The layer also reads ahead, which saves libldap's two calls a message.
 */
#include "ldap_int.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fault.h"
#include "base/time.h"

bool
ldap_io_wait(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int64_t left = deadline_ms - time_monotonic_ms();

		if (left <= 0)
			return false;
		/* An error on the socket counts as ready: the next call tells it. */
		if (poll(&p, 1, left > 60000 ? 60000 : (int)left) > 0)
			return true;
	}
}

static int
io_setup(Sockbuf_IO_Desc *sbiod, void *arg)
{
	sbiod->sbiod_pvt = arg;
	return 0;
}

static int
io_remove(Sockbuf_IO_Desc *sbiod)
{
	sbiod->sbiod_pvt = NULL;
	return 0;
}

static int
io_ctrl(Sockbuf_IO_Desc *sbiod, int option, void *arg)
{
	struct ldap_io *io = sbiod->sbiod_pvt;

	/* Else libldap would wait for a socket whose bytes are here already. */
	if (option == LBER_SB_OPT_DATA_READY && io->from < io->to)
		return 1;
	return LBER_SBIOD_CTRL_NEXT(sbiod, option, arg);
}

/* True when the caller shall try again: the socket became ready in time, or a signal came. */
static bool
may_go_on(struct ldap_io *io, short events)
{
	if (errno == EINTR)
		return true;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return false;
	if (ldap_io_wait(io->fd, events, io->deadline_ms))
		return true;
	io->has_timed_out = true;
	errno = ETIMEDOUT;
	return false;
}

static bool
is_late(struct ldap_io *io)
{
	if (time_monotonic_ms() < io->deadline_ms)
		return false;
	io->has_timed_out = true;
	errno = ETIMEDOUT;
	return true;
}

static ber_slen_t
io_read(Sockbuf_IO_Desc *sbiod, void *buffer, ber_len_t size)
{
	struct ldap_io *io = sbiod->sbiod_pvt;
	size_t n;

	if (io->from == io->to) {
		ssize_t got;

		/* A byte a second never runs out of time by waiting: so look at the clock before each read, too. */
		do {
			if (is_late(io))
				return -1;
			got = FAULT("ldap.read") ? 0 : recv(io->fd, io->ahead, sizeof(io->ahead), MSG_DONTWAIT);
		} while (got < 0 && may_go_on(io, POLLIN));
		if (got <= 0)
			return got;
		io->from = 0;
		io->to = (size_t)got;
	}
	n = io->to - io->from < size ? io->to - io->from : size;
	memcpy(buffer, io->ahead + io->from, n);
	io->from += n;
	return (ber_slen_t)n;
}

static ber_slen_t
io_write(Sockbuf_IO_Desc *sbiod, void *buffer, ber_len_t size)
{
	struct ldap_io *io = sbiod->sbiod_pvt;
	ssize_t put;

	do {
		if (is_late(io))
			return -1;
		put = send(io->fd, buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (put < 0 && may_go_on(io, POLLOUT));
	return put;
}

static int
io_close(Sockbuf_IO_Desc *sbiod)
{
	(void)sbiod;
	return 0;
}

int
ldap_io_attach(struct op *op, struct ldap_link *link)
{
	static const Sockbuf_IO layer = {
		.sbi_setup = io_setup, .sbi_remove = io_remove, .sbi_ctrl = io_ctrl,
		.sbi_read = io_read, .sbi_write = io_write, .sbi_close = io_close,
	};
	ber_len_t most = LDAP_ENTRY_MAX_BYTES;
	Sockbuf *sockbuf = NULL;

	if (ldap_get_option(link->ld, LDAP_OPT_SOCKBUF, &sockbuf) != LDAP_OPT_SUCCESS || !sockbuf ||
	    ber_sockbuf_add_io(sockbuf, (Sockbuf_IO *)(uintptr_t)&layer, LBER_SBIOD_LEVEL_PROVIDER + 1, &link->io) < 0 ||
	    ber_sockbuf_ctrl(sockbuf, LBER_SB_OPT_SET_MAX_INCOMING, &most) != 1)
		return op_fail(op, ERR_INTERNAL, "libldap does not take the layer that keeps its deadlines");
	return 0;
}

int
ldap_io_read(struct op *op, int fd, int64_t deadline_ms, void *data, size_t n)
{
	unsigned char *to = data;

	while (n > 0) {
		ssize_t got = recv(fd, to, n, MSG_DONTWAIT);

		if (got == 0)
			return op_fail(op, ERR_UNREACHABLE, "the directory closed the connection");
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return op_fail(op, ERR_UNREACHABLE, "the connection to the directory broke: %s", strerror(errno));
		if (got > 0) {
			to += got;
			n -= (size_t)got;
		}
		if (n > 0 && !ldap_io_wait(fd, POLLIN, deadline_ms))
			return op_fail(op, ERR_DEADLINE, "the directory did not answer in time");
	}
	return 0;
}

int
ldap_io_write(struct op *op, int fd, int64_t deadline_ms, const void *data, size_t n)
{
	const unsigned char *from = data;

	while (n > 0) {
		ssize_t put = send(fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put < 0 && errno != EAGAIN && errno != EINTR)
			return op_fail(op, ERR_UNREACHABLE, "the connection to the directory broke: %s", strerror(errno));
		if (put > 0) {
			from += put;
			n -= (size_t)put;
		}
		if (n > 0 && !ldap_io_wait(fd, POLLOUT, deadline_ms))
			return op_fail(op, ERR_DEADLINE, "the directory did not take a request in time");
	}
	return 0;
}
