/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The server itself: opens libmicrohttpd with its loops, keeps a list of connections, and sweeps those that are too slow
 * (libmicrohttpd's own timeout starts anew with every byte, so that one byte a second holds a connection for ever).
 * Read http_open first.
 */
#include "net/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metric.h"
#include "base/text.h"
#include "base/time.h"
#include "http_int.h"

#define CONNECTION_MEMORY_BYTES (32u << 10)
#define SWEEP_MS 500
#define KEPT_LINGER_MS 500
#define NEW_LINGER_MS 3000
/* RFC 9325 3.1.1, 4.2: TLS 1.2 and 1.3, forward secrecy, no CBC with SHA-1 */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-SHA1:-AES-128-CBC:-AES-256-CBC:%SERVER_PRECEDENCE"

const char *
http_pair(const struct http_pairs *pairs, const char *name, size_t *ret_count)
{
	const char *found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < pairs->n; i++) {
		if (strcmp(pairs->v[i].name, name) == 0 && count++ == 0)
			found = pairs->v[i].value;
	}
	if (ret_count)
		*ret_count = count;
	return found;
}

static bool
is_same_name(const char *a, const char *b)
{
	/* most differ in their first letter */
	return (a[0] | 0x20) == (b[0] | 0x20) && strcasecmp(a, b) == 0;
}

const char *
http_header(const struct request *request, const char *name, size_t *ret_count)
{
	const char *found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < request->headers.n; i++) {
		if (is_same_name(request->headers.v[i].name, name) && count++ == 0)
			found = request->headers.v[i].value;
	}
	if (ret_count)
		*ret_count = count;
	return found;
}

void
reply_header(struct reply *reply, const char *name, const char *value)
{
	/* the array grows in steps of eight */
	if (reply->headers.n % 8 == 0) {
		struct http_pair *grown = arena_alloc(reply->mem, (reply->headers.n + 8) * sizeof(*grown));

		if (reply->headers.n)
			memcpy(grown, reply->headers.v, reply->headers.n * sizeof(*grown));
		reply->headers.v = grown;
	}
	reply->headers.v[reply->headers.n++] = (struct http_pair){ name, value };
}

void
reply_body(struct reply *reply, int status, const char *content_type, const char *body, size_t size)
{
	reply->status = status;
	reply->body = body;
	reply->body_size = size;
	reply_header(reply, "Content-Type", content_type);
}

void
reply_redirect(struct reply *reply, const char *location)
{
	reply->status = 303;
	reply->body = "";
	reply->body_size = 0;
	reply_header(reply, "Location", location);
}

static bool
has_too_many(const struct http_server *server, const struct http_connection *c)
{
	int n = 0;

	if (server->max_per_address <= 0 || c->is_unix || c->is_proxy)
		return false;
	for (const struct http_connection *other = server->connections; other; other = other->next)
		n += strcmp(other->address, c->address) == 0;
	return n >= server->max_per_address;
}

/* A connection begins or ends: keep the list that the sweeper reads. */
static void
on_connection(void *cls, struct MHD_Connection *mhd, void **state, enum MHD_ConnectionNotificationCode what)
{
	struct http_server *server = cls;
	struct http_connection *c = *state;
	struct address address;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		c = mem_new(sizeof(*c));
		c->server = server;
		c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		c->is_unix = server->is_unix;
		c->peer_uid = c->is_unix ? http_peer_uid(c->fd) : UINT32_MAX;
		http_address(c->is_unix ? NULL : MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, c->address);
		c->since_ms = time_monotonic_ms();
		c->deadline_ms = c->since_ms + server->head_deadline_ms;
		*state = c;
		c->is_proxy = !c->is_unix && address_read(c->address, &address) && networks_have(&server->trusted, &address);
		pthread_mutex_lock(&server->lock);
		/* a proxy stands for many; its requests are counted one by one (http_exchange.c) */
		if (has_too_many(server, c)) {
			metric_add(METRIC_http_refused_total, 1);
			shutdown(c->fd, SHUT_RDWR);
		}
		c->next = server->connections;
		if (c->next)
			c->next->previous = c;
		server->connections = c;
		pthread_mutex_unlock(&server->lock);
		return;
	}
	/* the descriptor is closed after this call: the sweeper must not know it any more */
	pthread_mutex_lock(&server->lock);
	if (c->previous)
		c->previous->next = c->next;
	else
		server->connections = c->next;
	if (c->next)
		c->next->previous = c->previous;
	pthread_mutex_unlock(&server->lock);
	http_tls_unref(server, c->certificate);
	mem_free(c);
	*state = NULL;
}

static void *
sweeper_main(void *arg)
{
	struct http_server *server = arg;

	pthread_mutex_lock(&server->lock);
	while (!server->is_ending) {
		int64_t now = time_monotonic_ms();
		struct timespec until = time_in(SWEEP_MS);

		for (struct http_connection *c = server->connections; c; c = c->next) {
			if (c->deadline_ms > now)
				continue;
			c->deadline_ms = TIME_NEVER_MS;
			shutdown(c->fd, SHUT_RDWR);
		}
		pthread_cond_timedwait(&server->wake, &server->lock, &until);
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

static void
server_free(struct http_server *server)
{
	if (server->fd >= 0)
		close(server->fd);
	/* after http_quiesce the name may be another daemon's */
	if (server->unix_path && !server->is_quiet)
		unlink(server->unix_path);
	http_tls_free(server);
	mem_free(server->trusted.v);
	mem_free(server->unix_path);
	pthread_cond_destroy(&server->wake);
	pthread_mutex_destroy(&server->lock);
	mem_free(server);
}

static struct http_server *
server_new(const struct http_options *options)
{
	struct http_server *server = mem_new(sizeof(*server));

	server->hooks = options->hooks;
	server->lanes = options->lanes;
	server->tag = options->tag;
	server->head_deadline_ms = options->head_deadline_ms;
	server->body_deadline_ms = options->body_deadline_ms;
	server->max_per_address = options->max_per_address;
	server->reads_forwarded = options->reads_forwarded;
	server->trusted.n = options->trusted.n;
	if (options->trusted.n) {
		server->trusted.v = mem_new(options->trusted.n * sizeof(*server->trusted.v));
		memcpy(server->trusted.v, options->trusted.v, options->trusted.n * sizeof(*server->trusted.v));
	}
	server->fd = -1;
	pthread_mutex_init(&server->lock, NULL);
	time_condition_init(&server->wake);
	return server;
}

/* What the library has to tell is at most of interest when something is sought. */
static void
on_library_log(void *cls, const char *format, va_list args)
{
	char line[256];

	(void)cls;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(line, sizeof(line), format, args);
#pragma GCC diagnostic pop
	line[strcspn(line, "\r\n")] = '\0';
	log_line(LOG_LEVEL_DEBUG, "http.library", "text", line, NULL);
}

/* Paths and queries are decoded by us, once (http_parse.c). */
static size_t
no_unescape(void *cls, struct MHD_Connection *connection, char *text)
{
	(void)cls, (void)connection;
	return strlen(text);
}

static struct MHD_Daemon *
start_daemon(struct http_server *server, const struct http_options *options)
{
	int loops = options->threads > 0 ? options->threads : 1;
	int cap = loops * HTTP_CONNECTIONS_PER_LOOP;
	int most = options->max_connections < cap ? options->max_connections : cap;
	unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem more[8];
	int n = 0;

	if (loops > 1)
		more[n++] = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, loops, NULL };
	if (server->certificate) {
		flags |= MHD_USE_TLS;
		union { const char *in; void *out; } priorities = { .in = TLS_PRIORITIES };
		union { gnutls_certificate_retrieve_function2 *in; void *out; } show = { .in = http_tls_show };
		more[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0, priorities.out };
		more[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, show.out };
	}
	more[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	return MHD_start_daemon(flags, 0, NULL, NULL, http_exchange_go, server,
	    MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
	    MHD_OPTION_LISTEN_SOCKET, server->fd,
	    /* it would refuse a part of what http_guard refuses, with answers of its own */
	    MHD_OPTION_STRICT_FOR_CLIENT, 0,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned int)most,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
	    MHD_OPTION_URI_LOG_CALLBACK, http_exchange_begin, server,
	    MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, http_exchange_end, server,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
	    MHD_OPTION_ARRAY, more, MHD_OPTION_END);
}

static int
open_socket(struct op *op, struct http_server *server, const struct http_options *options)
{
	int rc;

	if (options->fd > 0) {
		server->fd = options->fd;
		http_listen_taken(server->fd, &server->port, &server->is_unix);
		return 0;
	}
	rc = http_listen(op, options->listen, &server->fd, &server->port, &server->unix_path);
	server->is_unix = server->unix_path != NULL;
	return rc;
}

int
http_open(struct op *op, const struct http_options *options, struct http_server **ret)
{
	struct http_server *server = server_new(options);
	int rc = http_tls_load(op, server, options);

	if (!rc)
		rc = open_socket(op, server, options);
	if (!rc) {
		server->daemon = start_daemon(server, options);
		if (!server->daemon)
			rc = op_fail(op, ERR_CONFIG, "cannot start the HTTP server at %s", options->listen);
	}
	if (!rc && pthread_create(&server->sweeper, NULL, sweeper_main, server) != 0)
		rc = op_fail(op, ERR_SYSTEM, "cannot start a thread: %s", strerror(errno));
	if (rc) {
		if (server->daemon)
			MHD_stop_daemon(server->daemon);
		/* a daemon that was started has closed the socket */
		if (server->daemon)
			server->fd = -1;
		server_free(server);
		return rc;
	}
	server->has_sweeper = true;
	*ret = server;
	return 0;
}

int
http_port(const struct http_server *server)
{
	return server->port;
}

/*
 * libmicrohttpd finds this one before that of libc.  MHD_quiesce_daemon takes the listening socket out of each loop's set, and a loop that
 * sees that it is to be quiet does so, too; whoever comes second finds it gone, and the library (0.9.75) then ends the process.  That
 * was a stop under load, once in several hundred.  What is out is out.
 */
__attribute__((visibility("default"))) int
epoll_ctl(int set, int what, int fd, struct epoll_event *event)
{
	int before = errno;
	int rc = (int)syscall(SYS_epoll_ctl, set, what, fd, event);

	if (rc < 0 && what == EPOLL_CTL_DEL && (errno == ENOENT || errno == EBADF)) {
		errno = before;
		return 0;
	}
	return rc;
}

void
http_quiesce(struct http_server *server)
{
	int fd;

	server->quiet_since_ms = time_monotonic_ms();
	server->is_quiet = true;
	fd = MHD_quiesce_daemon(server->daemon);
	if (fd >= 0)
		close(fd);
	server->fd = -1;
	if (server->unix_path)
		unlink(server->unix_path);
}

/*
 * Somebody waits for an answer, or is about to ask: who has just connected (his handshake or head is on its way), and for a moment
 * everybody on a kept connection, where a request may be on the wire already.
 */
static bool
is_wanted(struct http_server *server, int64_t now_ms)
{
	bool is_lingering = now_ms - server->quiet_since_ms < KEPT_LINGER_MS, is_wanted = server->under_way > 0;

	pthread_mutex_lock(&server->lock);
	for (struct http_connection *c = server->connections; c && !is_wanted; c = c->next)
		is_wanted = is_lingering || (!c->has_answer && now_ms - c->since_ms < NEW_LINGER_MS);
	pthread_mutex_unlock(&server->lock);
	return is_wanted;
}

static void
stop_sweeper(struct http_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->is_ending = true;
	pthread_mutex_unlock(&server->lock);
	pthread_cond_signal(&server->wake);
	pthread_join(server->sweeper, NULL);
}

void
http_close(struct http_server *server, int64_t wait_ms)
{
	int64_t until = time_monotonic_ms() + wait_ms;

	if (!server)
		return;
	if (!server->is_quiet)
		http_quiesce(server);
	while (is_wanted(server, time_monotonic_ms()) && time_monotonic_ms() < until)
		usleep(5000);
	stop_sweeper(server);
	/* libmicrohttpd must not be stopped while it has suspended connections: then it is left to the end of the process */
	if (server->suspended > 0) {
		log_line(LOG_LEVEL_WARNING, "http.left_open", "why", "requests did not end in time", NULL);
		return;
	}
	MHD_stop_daemon(server->daemon);
	server_free(server);
}
