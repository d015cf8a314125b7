/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Looking at listeners: names, HTTP, UNIX sockets, TLS and mail servers.  Who holds a port is in probe_holder.c. */
#include "net/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/time.h"
#include "ldap_int.h"
#include "net/dial.h"

#define ANSWER_BYTES_MAX 4096
#define LINES_MAX 100
#define PORT_SMTPS 465 /* RFC 8314 7.3: TLS from the start */

int
probe_address(struct op *op, const char *listen, const char **ret_host, int *ret_port)
{
	const char *colon = strrchr(listen, ':');
	char *host;
	size_t n;

	if (!colon || colon == listen)
		return op_fail(op, ERR_INVALID, "\"%s\" must be host:port", listen);
	*ret_port = atoi(colon + 1);
	if (*ret_port < 1 || *ret_port > 65535 || strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return op_fail(op, ERR_INVALID, "\"%s\" has no port behind its colon", listen);
	host = op_strndup(op, listen, (size_t)(colon - listen));
	n = strlen(host);
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		host++;
	}
	*ret_host = !strcmp(host, "0.0.0.0") || !strcmp(host, "*") ? "127.0.0.1" : !strcmp(host, "::") ? "::1" : host;
	return 0;
}

/* ---- names ---- */

static bool
is_same_address(const struct sockaddr *a, const struct sockaddr *b)
{
	if (!a || a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
	return a->sa_family == AF_INET6 &&
	       memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
		   &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

static bool
is_ours(const struct ifaddrs *interfaces, const struct sockaddr *address)
{
	for (const struct ifaddrs *i = interfaces; i; i = i->ifa_next)
		if (is_same_address(i->ifa_addr, address))
			return true;
	/* all of 127.0.0.0/8 is ours, whatever the interface is given */
	return address->sa_family == AF_INET &&
	       ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
}

int
probe_host(struct op *op, const char *host, bool *ret_is_ours, const char **ret_addresses)
{
	struct buf text = buf_in(op->mem);
	struct sockaddr_storage *addresses;
	struct ifaddrs *interfaces = NULL;
	size_t n;
	int rc = dial_resolve(op, host, &addresses, &n);

	*ret_is_ours = false;
	if (rc)
		return rc;
	if (getifaddrs(&interfaces) < 0)
		return op_fail(op, ERR_SYSTEM, "the addresses of this machine cannot be read: %s", strerror(errno));
	for (size_t i = 0; i < n; i++) {
		char line[INET6_ADDRSTRLEN] = "";
		const struct sockaddr *a = (const struct sockaddr *)&addresses[i];

		inet_ntop(a->sa_family,
		    a->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)(const void *)a)->sin_addr
					    : (const void *)&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
		    line, sizeof(line));
		buf_printf(&text, "%s%s", i ? ", " : "", line);
		*ret_is_ours |= is_ours(interfaces, a);
	}
	freeifaddrs(interfaces);
	*ret_addresses = text.text;
	return 0;
}

/* ---- bytes ---- */

static int64_t
until_of(const struct op *op)
{
	return time_monotonic_ms() + op_left_ms(op);
}

static int
say(struct op *op, int fd, const char *text)
{
	size_t done = 0, n = strlen(text);

	while (done < n) {
		ssize_t sent = send(fd, text + done, n - done, MSG_NOSIGNAL);

		if (sent > 0)
			done += (size_t)sent;
		else if (errno != EAGAIN && errno != EINTR)
			return op_fail(op, ERR_UNREACHABLE, "the server closed the connection: %s", strerror(errno));
		else if (!ldap_io_wait(fd, POLLOUT, until_of(op)))
			return op_fail(op, ERR_DEADLINE, "the server took nothing in time");
	}
	return 0;
}

/* One line without its end; longer ones are cut. */
static int
hear(struct op *op, int fd, char **ret)
{
	char *line = op_alloc(op, ANSWER_BYTES_MAX + 1);
	size_t n = 0;
	char c;

	*ret = line;
	for (;;) {
		ssize_t got = recv(fd, &c, 1, 0);

		if (got == 0)
			return op_fail(op, ERR_UNREACHABLE, "the server closed the connection");
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return op_fail(op, ERR_UNREACHABLE, "the server closed the connection: %s", strerror(errno));
		if (got < 0 && !ldap_io_wait(fd, POLLIN, until_of(op)))
			return op_fail(op, ERR_DEADLINE, "the server said nothing in time");
		if (got < 0)
			continue;
		if (c == '\n')
			break;
		if (n == ANSWER_BYTES_MAX)
			return op_fail(op, ERR_MALFORMED, "the server sends a line without end");
		line[n++] = c;
	}
	line[n && line[n - 1] == '\r' ? n - 1 : n] = '\0';
	return 0;
}

/* ---- listeners ---- */

bool
probe_connects(struct op *op, const char *host, int port)
{
	int fd, rc = dial_tcp(op, host, port, &fd);

	if (rc)
		op_forgive(op);
	else
		close(fd);
	return rc == 0;
}

int
probe_http(struct op *op, const char *host, int port, const char *path, int *ret_status)
{
	char *line;
	int fd, rc = dial_tcp(op, host, port, &fd);

	if (rc)
		return rc;
	rc = say(op, fd, op_printf(op, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path));
	if (!rc)
		rc = hear(op, fd, &line);
	close(fd);
	if (rc)
		return rc;
	if (strncmp(line, "HTTP/1.", 7) || strlen(line) < 12)
		return op_fail(op, ERR_MALFORMED, "what listens on port %d does not speak HTTP", port);
	*ret_status = atoi(line + 9);
	return 0;
}

int
probe_unix(struct op *op, const char *path, int *ret_pid)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), cause;
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	*ret_pid = 0;
	if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
		if (fd >= 0)
			close(fd);
		return op_fail(op, ERR_SYSTEM, "%s cannot be looked at", path);
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	/* a full queue (EAGAIN) is somebody, too */
	cause = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 && errno != EAGAIN ? errno : 0;
	if (!cause && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		*ret_pid = peer.pid;
	close(fd);
	return cause ? op_fail(op, cause == EACCES ? ERR_FORBIDDEN : ERR_UNREACHABLE, "%s: %s", path, strerror(cause)) : 0;
}

int
probe_tls(struct op *op, const char *host, int port, struct ldap_peek *ret)
{
	int fd, rc = dial_tcp(op, host, port, &fd);

	if (rc)
		return rc;
	rc = ldap_peek_at(op, fd, host, NULL, until_of(op), ret);
	close(fd);
	return rc;
}

/* ---- mail ---- */

/* All lines of a reply (RFC 5321 4.2.1); its code, and whether a line is the word. */
static int
reply_of(struct op *op, int fd, const char *word, int *ret_code, bool *ret_has, const char **ret_first)
{
	char *line = NULL;
	int rc = 0;

	*ret_has = false;
	*ret_first = "";
	for (int i = 0; i < LINES_MAX && !rc; i++) {
		rc = hear(op, fd, &line);
		if (rc)
			break;
		if (strspn(line, "0123456789") != 3 || (line[3] != ' ' && line[3] != '-' && line[3] != '\0'))
			return op_fail(op, ERR_MALFORMED, "what listens there is no mail server");
		*ret_code = atoi(line);
		if (!i)
			*ret_first = line;
		*ret_has |= line[3] && text_equal_ascii_case(line + 4, word);
		if (line[3] != '-')
			return 0;
	}
	return rc ? rc : op_fail(op, ERR_MALFORMED, "the mail server's answer has no end");
}

static int
talk(struct op *op, int fd, const char *host, struct probe_mail *ret)
{
	const char *first;
	int code, rc = reply_of(op, fd, "", &code, &ret->has_starttls, &ret->greeting);

	if (!rc && code != 220)
		return op_fail(op, ERR_MALFORMED, "the mail server refuses with: %s", ret->greeting);
	if (!rc)
		rc = say(op, fd, "EHLO localhost\r\n");
	if (!rc)
		rc = reply_of(op, fd, "STARTTLS", &code, &ret->has_starttls, &first);
	if (rc || !ret->has_starttls)
		return rc;
	rc = say(op, fd, "STARTTLS\r\n");
	if (!rc)
		rc = reply_of(op, fd, "", &code, &(bool){ false }, &first);
	if (!rc && code != 220)
		return op_fail(op, ERR_MALFORMED, "the mail server offers STARTTLS and refuses it with: %s", first);
	return rc ? rc : ldap_peek_at(op, fd, host, NULL, until_of(op), &ret->tls);
}

int
probe_mail(struct op *op, const char *host, int port, struct probe_mail *ret)
{
	int fd, rc = dial_tcp(op, host, port, &fd);

	*ret = (struct probe_mail){ 0 };
	if (rc)
		return rc;
	if (port == PORT_SMTPS) {
		ret->has_starttls = true;
		rc = ldap_peek_at(op, fd, host, NULL, until_of(op), &ret->tls);
	} else {
		rc = talk(op, fd, host, ret);
	}
	close(fd);
	return rc;
}
