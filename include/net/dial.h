/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Dialling: the one place that resolves names and connects, never longer than the op's deadline.  Names are resolved on
 * a thread of their own (a hanging resolver cannot hang a lane) and kept for 60 s.
 */
#ifndef KW_NET_DIAL_H
#define KW_NET_DIAL_H

#include "base/op.h"

struct dialer;

struct dialer *dialer_new(void);
void dialer_free(struct dialer *dialer);
/* A connected, non-blocking TCP socket to host:port; tries every address.  ERR_UNREACHABLE, ERR_DEADLINE. */
int dial_tcp(struct op *op, const char *host, int port, int *ret_fd) MUST_CHECK;
/* The addresses of a name or address, without port; they belong to the op.  ERR_UNREACHABLE. */
struct sockaddr_storage;
int dial_resolve(struct op *op, const char *host, struct sockaddr_storage **ret, size_t *ret_n) MUST_CHECK;

#endif
