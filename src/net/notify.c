/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The service manager's protocol: datagrams to $NOTIFY_SOCKET, sockets from $LISTEN_FDS.  Written here rather than taken from
 * libsystemd, which would bring six libraries into a process that holds keys.  Read notify_send, then notify_sockets.
 */
#include "net/notify.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

#define FIRST_FD 3
#define SOCKETS_MAX 16

bool
notify_send(const char *state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;
	ssize_t sent;
	int fd;

	if (n < 2 || n >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return false;
	memcpy(address.sun_path, path, n);
	/* a name of the abstract namespace begins with NUL, has no end and counts by its length (unix(7)) */
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/')));
	close(fd);
	return sent >= 0;
}

/* A number of the environment; -1 when there is none. */
static int64_t
environment_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long long value;

	if (!text || !*text || strspn(text, "0123456789") != strlen(text))
		return -1;
	errno = 0;
	value = strtoll(text, &end, 10);
	return errno ? -1 : value;
}

int64_t
notify_watchdog_ms(void)
{
	int64_t pid = environment_number("WATCHDOG_PID"), usec = environment_number("WATCHDOG_USEC");

	if (usec <= 0 || (pid >= 0 && pid != getpid()))
		return 0;
	return usec / 1000 > 0 ? usec / 1000 : 1;
}

/* As listen= in the configuration is written. */
static char *
address_text(struct op *op, const struct sockaddr_storage *address, socklen_t size)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	const struct sockaddr_un *path = (const struct sockaddr_un *)address;
	char text[INET6_ADDRSTRLEN];

	if (address->ss_family == AF_INET && inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text)))
		return op_printf(op, "%s:%d", text, ntohs(four->sin_port));
	if (address->ss_family == AF_INET6 && inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text)))
		return op_printf(op, "[%s]:%d", text, ntohs(six->sin6_port));
	if (address->ss_family == AF_UNIX && size > offsetof(struct sockaddr_un, sun_path))
		return op_printf(op, "unix:%.*s", (int)(size - offsetof(struct sockaddr_un, sun_path)), path->sun_path);
	return op_strdup(op, "an unnamed socket");
}

static int
take_socket(struct op *op, struct notify_socket *socket)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address), type_size = sizeof(int), listens_size = sizeof(int);
	int type = 0, listens = 0, flags = fcntl(socket->fd, F_GETFL);

	memset(&address, 0, sizeof(address));
	if (getsockopt(socket->fd, SOL_SOCKET, SO_TYPE, &type, &type_size) < 0 || type != SOCK_STREAM ||
	    getsockopt(socket->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) < 0 || !listens ||
	    getsockname(socket->fd, (struct sockaddr *)&address, &size) < 0)
		return op_fail(op, ERR_CONFIG, "the service manager passed descriptor %d (%s), which is no listening stream socket: its "
		    "socket unit must say ListenStream= and Accept=no", socket->fd, socket->name);
	if (flags < 0 || fcntl(socket->fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(socket->fd, F_SETFD, FD_CLOEXEC) < 0)
		return op_fail(op, ERR_SYSTEM, "cannot prepare the socket %d of the service manager: %s", socket->fd, strerror(errno));
	socket->address = address_text(op, &address, size);
	return 0;
}

int
notify_sockets(struct op *op, struct notify_socket **ret, size_t *ret_n)
{
	int64_t pid = environment_number("LISTEN_PID"), n = environment_number("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	int rc = 0;

	*ret = NULL;
	*ret_n = 0;
	if (pid != getpid() || n <= 0)
		return 0;
	if (n > SOCKETS_MAX)
		return op_fail(op, ERR_CONFIG, "the service manager passed %lld sockets; at most %d have a use", (long long)n, SOCKETS_MAX);
	*ret = op_alloc(op, (size_t)n * sizeof(**ret));
	for (int i = 0; i < n && !rc; i++) {
		size_t length = names ? strcspn(names, ":") : 0;

		(*ret)[i].fd = FIRST_FD + i;
		(*ret)[i].name = length ? op_strndup(op, names, length) : "unknown";
		names = names && names[length] ? names + length + 1 : NULL;
		rc = take_socket(op, &(*ret)[i]);
	}
	*ret_n = rc ? 0 : (size_t)n;
	return rc;
}
