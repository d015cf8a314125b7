/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Listening sockets and the names of peers.  We open the sockets ourselves, so that "address in use" is told plainly and a
 * UNIX socket left behind by a crash is removed only when nobody answers on it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "http_int.h"

#define BACKLOG 512

static int
bound_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return 0;
	if (address.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
	return ntohs(((const struct sockaddr_in *)&address)->sin_port);
}

static int
listen_tcp(struct op *op, const char *listen_at, int *ret_fd, int *ret_port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	struct addrinfo *found;
	char host[ENDPOINT_HOST_BYTES], port[ENDPOINT_PORT_BYTES];
	int fd, on = 1, off = 0, failed;

	if (!endpoint_split(listen_at, host, port) || getaddrinfo(host, port, &hints, &found) != 0)
		return op_fail(op, ERR_CONFIG, "%s is no address to listen on: write for example 127.0.0.1:7443 or [::1]:7443", listen_at);
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (found->ai_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	}
	failed = fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0;
	failed = failed ? errno : 0;
	freeaddrinfo(found);
	if (failed) {
		if (fd >= 0)
			close(fd);
		return op_fail(op, ERR_SYSTEM, "cannot listen on %s: %s", listen_at, strerror(failed));
	}
	*ret_fd = fd;
	*ret_port = bound_port(fd);
	return 0;
}

/* Removes what a crash left behind; ERR_SYSTEM when it is something else or somebody answers. */
static int
remove_stale(struct op *op, const struct sockaddr_un *address)
{
	struct stat status;
	int fd, outcome;

	if (lstat(address->sun_path, &status) < 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return op_fail(op, ERR_SYSTEM, "cannot listen on %s: there is a file that is no socket", address->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return op_fail(op, ERR_SYSTEM, "cannot make a socket: %s", strerror(errno));
	outcome = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
	close(fd);
	if (outcome != ECONNREFUSED)
		return op_fail(op, ERR_SYSTEM, "cannot listen on %s: another daemon answers there", address->sun_path);
	if (unlink(address->sun_path) < 0)
		return op_fail(op, ERR_SYSTEM, "cannot remove the stale socket %s: %s", address->sun_path, strerror(errno));
	return 0;
}

static int
listen_unix(struct op *op, const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, rc, failed;

	if (strlen(path) >= sizeof(address.sun_path))
		return op_fail(op, ERR_CONFIG, "the path of the socket is too long: %s", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	rc = remove_stale(op, &address);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* chmod stands before listen: nobody can connect while the mode is not yet what it shall be */
	failed = fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0660) < 0 ||
	    listen(fd, BACKLOG) < 0;
	if (failed) {
		failed = errno;
		if (fd >= 0)
			close(fd);
		return op_fail(op, ERR_SYSTEM, "cannot listen on %s: %s", path, strerror(failed));
	}
	*ret_fd = fd;
	return 0;
}

int
http_listen(struct op *op, const char *listen_at, int *ret_fd, int *ret_port, char **ret_unix_path)
{
	int rc;

	*ret_port = 0;
	*ret_unix_path = NULL;
	if (!text_starts_with(listen_at, "unix:"))
		return listen_tcp(op, listen_at, ret_fd, ret_port);
	rc = listen_unix(op, listen_at + strlen("unix:"), ret_fd);
	if (!rc)
		*ret_unix_path = mem_strdup(listen_at + strlen("unix:"));
	return rc;
}

void
http_listen_taken(int fd, int *ret_port, bool *ret_is_unix)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t size = sizeof(address);

	*ret_is_unix = getsockname(fd, (struct sockaddr *)&address, &size) == 0 && address.ss_family == AF_UNIX;
	*ret_port = *ret_is_unix ? 0 : bound_port(fd);
}

void
http_address(const struct sockaddr *peer, char ret[static INET6_ADDRSTRLEN])
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)peer;
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)peer;

	memcpy(ret, "unix", sizeof("unix"));
	if (peer && peer->sa_family == AF_INET)
		inet_ntop(AF_INET, &four->sin_addr, ret, INET6_ADDRSTRLEN);
	else if (peer && peer->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], ret, INET6_ADDRSTRLEN);
	else if (peer && peer->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &six->sin6_addr, ret, INET6_ADDRSTRLEN);
}

uint32_t
http_peer_uid(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return UINT32_MAX;
	return peer.uid;
}
