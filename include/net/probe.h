/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Looking at what listens, as a client or a monitor would: for src/doctor.  Nothing is changed at the other end; every call ends with
 * the op's deadline.
 */
#ifndef KW_NET_PROBE_H
#define KW_NET_PROBE_H

#include <stdbool.h>
#include "base/op.h"
#include "net/ldap.h"

/* Reads "address:port" or "[address]:port"; an address that means all of them becomes the loopback one.  ERR_INVALID. */
int probe_address(struct op *op, const char *listen, const char **ret_host, int *ret_port) MUST_CHECK;
/* The addresses that a name stands for, "192.0.2.1, 2001:db8::1", and whether this machine has one of them.  ERR_UNREACHABLE. */
int probe_host(struct op *op, const char *host, bool *ret_is_ours, const char **ret_addresses) MUST_CHECK;
/* GET over plain HTTP; the status.  ERR_UNREACHABLE when nobody listens, ERR_MALFORMED for an answer that is no HTTP. */
int probe_http(struct op *op, const char *host, int port, const char *path, int *ret_status) MUST_CHECK;
/* Whether somebody accepts connections there. */
bool probe_connects(struct op *op, const char *host, int port);
/* Who listens on a UNIX socket: number of the process, 0 when the kernel does not tell.  ERR_UNREACHABLE. */
int probe_unix(struct op *op, const char *path, int *ret_pid) MUST_CHECK;
/* "nginx (process 812)": who holds a TCP port of this machine, as far as the kernel tells us; NULL when it does not. */
const char *probe_holder(struct op *op, int port);
/* Whether that process has a listener of this TCP port open: 1 or 0; -1 when the kernel does not tell us. */
int probe_holds(struct op *op, int pid, int port);
/* "nginx", the name of a process; NULL when it is gone. */
const char *probe_process(struct op *op, int pid);
/* What a TLS server shows, as ldap_peek; the connection is closed. */
int probe_tls(struct op *op, const char *host, int port, struct ldap_peek *ret) MUST_CHECK;

struct probe_mail {
	const char *greeting;           /* its first line; NULL with implicit TLS (port 465) */
	bool has_starttls;              /* or TLS from the start */
	struct ldap_peek tls;
};
/* Greeting, EHLO, STARTTLS and the certificates (RFC 5321, RFC 3207); nothing is sent to anybody.  ERR_UNREACHABLE, ERR_DEADLINE, ERR_MALFORMED. */
int probe_mail(struct op *op, const char *host, int port, struct probe_mail *ret) MUST_CHECK;

#endif
