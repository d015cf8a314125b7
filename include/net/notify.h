/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The two conversations with a service manager: what we tell it (sd_notify(3)) and the listening sockets that it opened for us
 * (sd_listen_fds(3)).  Both are a few variables of the environment and one datagram, so no library is needed; without a service
 * manager nothing happens.
 *
 *     notify_send("READY=1\nSTATUS=Serving https://sign-in.clinic.test");
 *     rc = notify_sockets(op, &sockets, &n);
 */
#ifndef KW_NET_NOTIFY_H
#define KW_NET_NOTIFY_H

#include "base/op.h"

/* A listening stream socket; it is ours to close, does not block and does not outlive an exec. */
struct notify_socket {
	int fd;                         /* 3 and up */
	const char *name;               /* FileDescriptorName=, "unknown" when the manager told none */
	const char *address;            /* "127.0.0.1:7443", "[::1]:7443" or "unix:/path" */
};

/* Sends lines of NAME=VALUE to $NOTIFY_SOCKET.  True when somebody was told. */
bool notify_send(const char *state);
/* How often the manager wants WATCHDOG=1 at the latest ($WATCHDOG_USEC, for this process); 0: not at all. */
int64_t notify_watchdog_ms(void);
/*
 * The sockets of $LISTEN_FDS, in the op's memory; none when they are meant for another process.  ERR_CONFIG when one of them is not a
 * listening stream socket.
 */
int notify_sockets(struct op *op, struct notify_socket **ret, size_t *ret_n) MUST_CHECK;

#endif
