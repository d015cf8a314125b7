/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Whether a server still works: asked as a client would ask, through its own listening socket, and by a look at handlers that
 * were called on the network loop and have not come back.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "http_int.h"

static const char question[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

bool
http_is_stuck(struct http_server *server, int64_t wait_ms)
{
	int64_t before = time_monotonic_ms() - wait_ms;
	bool is_stuck = false;

	pthread_mutex_lock(&server->lock);
	for (struct http_connection *c = server->connections; c && !is_stuck; c = c->next) {
		int64_t since = c->on_loop_since_ms;

		is_stuck = since && since < before;
	}
	pthread_mutex_unlock(&server->lock);
	return is_stuck;
}

static bool
wait_for(int fd, short events, int64_t until)
{
	struct pollfd wanted = { .fd = fd, .events = events };
	int64_t left = until - time_monotonic_ms();

	return left > 0 && poll(&wanted, 1, (int)left) == 1;
}

/* Any status will do: which one is not the loop's business. */
static bool
ask(int fd, int64_t until)
{
	char answer[8];
	size_t have = 0;

	if (!wait_for(fd, POLLOUT, until) || send(fd, question, strlen(question), MSG_NOSIGNAL) != (ssize_t)strlen(question))
		return false;
	while (have < sizeof(answer) - 1) {
		ssize_t got = wait_for(fd, POLLIN, until) ? recv(fd, answer + have, sizeof(answer) - 1 - have, 0) : -1;

		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return memcmp(answer, "HTTP/1.", sizeof(answer) - 1) == 0;
}

bool
http_answers(struct http_server *server, int64_t wait_ms)
{
	int64_t until = time_monotonic_ms() + wait_ms;
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	bool is_there;
	int fd;

	if (getsockname(server->fd, (struct sockaddr *)&address, &size) < 0)
		return false;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	is_there = connect(fd, (const struct sockaddr *)&address, size) == 0 || errno == EINPROGRESS;
	is_there = is_there && ask(fd, until);
	close(fd);
	return is_there;
}
