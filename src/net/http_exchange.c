/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One request from head to answer.  libmicrohttpd calls http_exchange_go several times: once with the head, then with pieces of
 * the body, then without data.  Only in that last call the handler is run: here, or on a lane while the connection is
 * suspended; after the resume the same call comes again and finds the answer.  Read http_exchange_go, then upwards.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/metric.h"
#include "base/text.h"
#include "base/time.h"
#include "http_int.h"

#define WRITE_DEADLINE_MS 60000
/* a body without a length that turns out too large is read on so far, so that its sender can read our 413 */
#define MAX_DISCARDED_BYTES (256u << 10)

struct exchange {
	struct lane_task task;          /* first: a task is its exchange */
	struct request request;
	struct reply reply;
	struct http_server *server;
	struct http_connection *peer;
	struct MHD_Connection *connection;
	const char *target;             /* as sent */
	enum lane lane;
	size_t body_cap, body_room, discarded;
	char *body;
	int64_t deadline_ms;            /* the answer is wanted this long after the request */
	bool has_head, is_suspended;
	_Atomic bool is_done;           /* the reply is filled */
};

static void
exchange_until(struct exchange *x, int64_t ms)
{
	x->peer->deadline_ms = ms == TIME_NEVER_MS ? ms : time_monotonic_ms() + ms;
}

/* Fills the reply with a refusal; what is left of the request is not read. */
static void
exchange_refuse(struct exchange *x, int status, const char *why)
{
	metric_add(METRIC_http_refused_total, 1);
	log_line(LOG_LEVEL_INFO, "http.refused", "why", why, "address", x->request.address, NULL);
	x->reply.headers.n = 0;
	x->server->hooks->refuse(x->request.mem, status, &x->reply);
	x->reply.must_close = true;
}

static enum MHD_Result
exchange_send(struct exchange *x)
{
	struct reply *reply = &x->reply;
	struct MHD_Response *response;
	enum MHD_Result result;

	/* PERSISTENT: the body lives in the request's memory, which http_exchange_end frees after the last byte */
	union { const char *in; void *out; } body = { .in = reply->body_size ? reply->body : "" };
	response = MHD_create_response_from_buffer(reply->body_size, body.out, MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	for (size_t i = 0; i < reply->headers.n; i++) {
		/* libmicrohttpd refuses line ends in values; a header that is missing could mean harm, so nothing is sent */
		if (MHD_add_response_header(response, reply->headers.v[i].name, reply->headers.v[i].value) != MHD_YES) {
			log_line(LOG_LEVEL_ERROR, "http.bad_header", "header", reply->headers.v[i].name, NULL);
			MHD_destroy_response(response);
			return MHD_NO;
		}
	}
	if (reply->must_close || x->server->is_quiet)
		MHD_add_response_header(response, "Connection", "close");
	exchange_until(x, WRITE_DEADLINE_MS);
	metric_add(METRIC_http_requests_total, 1);
	result = MHD_queue_response(x->connection, (unsigned int)reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static void
task_run(struct lane_task *task)
{
	struct exchange *x = (struct exchange *)task;

	if (x->server->hooks->handle(&x->request, &x->reply))
		http_finish(&x->request);
}

void
http_finish(struct request *request)
{
	struct exchange *x = (struct exchange *)(void *)((char *)request - offsetof(struct exchange, request));

	x->is_done = true;
	/* the very last act: the loop may end the exchange at once */
	MHD_resume_connection(x->connection);
}

static void
task_drop(struct lane_task *task)
{
	struct exchange *x = (struct exchange *)task;

	exchange_refuse(x, 503, "deadline passed in the queue");
	reply_header(&x->reply, "Retry-After", "1");
	x->is_done = true;
	MHD_resume_connection(x->connection);
}

static enum MHD_Result
exchange_suspend(struct exchange *x)
{
	x->task = (struct lane_task){ task_run, task_drop, time_monotonic_ms() + x->deadline_ms };
	x->is_suspended = true;
	x->server->suspended++;
	/* suspended before it is put: the worker may be done before lane_put returns */
	MHD_suspend_connection(x->connection);
	if (lane_put(x->server->lanes, x->lane, &x->task) < 0) {
		metric_add(METRIC_http_busy_total, 1);
		exchange_refuse(x, 503, "lane full");
		reply_header(&x->reply, "Retry-After", "1");
		x->is_done = true;
		MHD_resume_connection(x->connection);
	}
	return MHD_YES;
}

static bool
is_form(const struct request *request)
{
	static const char form[] = "application/x-www-form-urlencoded";
	const char *type = http_header(request, "Content-Type", NULL);

	if (!type || strncasecmp(type, form, strlen(form)) != 0)
		return false;
	type += strlen(form);
	return type[strspn(type, " \t")] == '\0' || type[strspn(type, " \t")] == ';';
}

/* The request is complete. */
static enum MHD_Result
exchange_run(struct exchange *x)
{
	struct request *request = &x->request;
	bool is_filled;

	exchange_until(x, TIME_NEVER_MS);
	request->body = x->body ? x->body : "";
	if (x->discarded) {
		exchange_refuse(x, 413, "body too large");
		return exchange_send(x);
	}
	if (is_form(request) && !http_parse_pairs(request->mem, request->body, request->body_size, &request->form)) {
		exchange_refuse(x, 400, "malformed form");
		return exchange_send(x);
	}
	if (x->lane != LANE_INLINE && !request->try_on_loop)
		return exchange_suspend(x);
	x->peer->on_loop_since_ms = time_monotonic_ms();
	is_filled = x->server->hooks->handle(request, &x->reply);
	x->peer->on_loop_since_ms = 0;
	if (!is_filled)
		return MHD_NO;
	if (request->wants_lane && x->lane != LANE_INLINE) {
		request->try_on_loop = request->wants_lane = false;
		x->reply = (struct reply){ .mem = request->mem, .status = 500, .body = "" };
		return exchange_suspend(x);
	}
	return exchange_send(x);
}

static enum MHD_Result
exchange_body(struct exchange *x, const char *data, size_t *size)
{
	size_t wanted = x->request.body_size + *size;

	if (x->discarded || wanted > x->body_cap) {
		x->discarded += *size;
		*size = 0;
		return x->discarded > MAX_DISCARDED_BYTES ? MHD_NO : MHD_YES;
	}
	if (wanted + 1 > x->body_room) {
		size_t room = wanted * 2 < x->body_cap ? wanted * 2 : x->body_cap;
		char *grown = arena_alloc(x->request.mem, room + 1);

		if (x->request.body_size)
			memcpy(grown, x->body, x->request.body_size);
		x->body = grown;
		x->body_room = room + 1;
	}
	memcpy(x->body + x->request.body_size, data, *size);
	x->request.body_size = wanted;
	*size = 0;
	return MHD_YES;
}

static enum MHD_Result
add_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct http_pairs *headers = arg;

	(void)kind;
	headers->v[headers->n++] = (struct http_pair){ name, value ? value : "" };
	return headers->n < HTTP_MAX_HEADERS ? MHD_YES : MHD_NO;
}

/* Parts of a head that the guard found sound; NULL, or why it is refused after all. */
static const char *
parse_head(struct request *request, const char *target)
{
	const char *question = strchr(target, '?');
	const char *cookie = http_header(request, "Cookie", NULL);
	size_t n = question ? (size_t)(question - target) : strlen(target);

	request->raw_query = question ? question + 1 : "";
	request->path = http_parse_path(request->mem, target, n);
	if (!request->path)
		return "path in no canonical form";
	if (question && !http_parse_pairs(request->mem, request->raw_query, strlen(request->raw_query), &request->query))
		return "malformed query";
	if (cookie && !http_parse_cookies(request->mem, cookie, &request->cookies))
		return "malformed cookies";
	return NULL;
}

static const char *
read_head(struct exchange *x, const char *method, const char *version)
{
	struct request *request = &x->request;
	int n = MHD_get_connection_values(x->connection, MHD_HEADER_KIND, NULL, NULL);
	const char *why, *host;

	request->headers.v = arena_alloc(request->mem,
	    (size_t)(n > HTTP_MAX_HEADERS ? HTTP_MAX_HEADERS : n) * sizeof(struct http_pair) + 1);
	MHD_get_connection_values(x->connection, MHD_HEADER_KIND, add_header, &request->headers);
	request->method = http_parse_method(method);
	why = http_guard(request, method, version, x->target);
	if (!why)
		why = parse_head(request, x->target);
	host = why ? NULL : http_header(request, "Host", NULL);
	request->host = host ? host : "";
	return why || !x->peer->is_proxy ? why : http_forward(request, x->server);
}

/* Notes whose request this connection of a proxy carries; false when he has as many under way as he may have connections. */
static bool
note_client(struct exchange *x, const char *client)
{
	struct http_server *server = x->server;
	int n = 0;

	if (!x->peer->is_proxy)
		return true;
	pthread_mutex_lock(&server->lock);
	for (const struct http_connection *c = server->connections; c && *client; c = c->next)
		n += strcmp(c->client, client) == 0;
	snprintf(x->peer->client, sizeof(x->peer->client), "%s", client);
	pthread_mutex_unlock(&server->lock);
	return server->max_per_address <= 0 || n < server->max_per_address;
}

/* The head is complete: refuse, or say where it will run. */
static enum MHD_Result
exchange_head(struct exchange *x, const char *method, const char *version)
{
	const char *why = read_head(x, method, version);
	const char *length;

	x->has_head = true;
	x->server->under_way++;
	if (why) {
		exchange_refuse(x, 400, why);
		return exchange_send(x);
	}
	if (!note_client(x, x->request.address)) {
		exchange_refuse(x, 503, "too many requests of one address");
		reply_header(&x->reply, "Retry-After", "1");
		return exchange_send(x);
	}
	if (http_guard_is_foreign_body(&x->request)) {
		exchange_refuse(x, 415, "content encoding or multipart");
		return exchange_send(x);
	}
	x->lane = x->server->hooks->lane(&x->request, &x->body_cap, &x->deadline_ms);
	length = http_header(&x->request, "Content-Length", NULL);
	if (length && strtoull(length, NULL, 10) > x->body_cap) {
		exchange_refuse(x, 413, "body too large");
		return exchange_send(x);
	}
	exchange_until(x, x->server->body_deadline_ms);
	return MHD_YES;
}

enum MHD_Result
http_exchange_go(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
    const char *data, size_t *size, void **state)
{
	struct exchange *x = *state;

	(void)cls, (void)connection, (void)url;
	if (!x->has_head)
		return exchange_head(x, method, version);
	if (*size > 0)
		return exchange_body(x, data, size);
	if (!x->is_suspended)
		return exchange_run(x);
	if (!x->is_done)
		return MHD_YES;
	x->is_suspended = false;
	x->server->suspended--;
	return exchange_send(x);
}

void *
http_exchange_begin(void *cls, const char *target, struct MHD_Connection *connection)
{
	struct arena *mem = arena_new();
	struct exchange *x = arena_alloc(mem, sizeof(*x));
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	x->server = cls;
	x->peer = info->socket_context;
	x->connection = connection;
	x->target = arena_strdup(mem, target ? target : "");
	x->lane = LANE_INLINE;
	x->request.mem = mem;
	x->request.path = "";
	x->request.raw_query = "";
	x->request.host = "";
	x->request.body = "";
	x->request.address = x->peer->address;
	x->request.is_unix = x->peer->is_unix;
	x->request.peer_uid = x->peer->peer_uid;
	x->request.listener = x->server->tag;
	x->reply.mem = mem;
	x->reply.status = 500;
	x->reply.body = "";
	return x;
}

void
http_exchange_end(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *state;

	(void)cls, (void)connection, (void)why;
	if (!x)
		return;
	if (x->is_suspended)
		x->server->suspended--;
	if (x->has_head) {
		x->server->under_way--;
		note_client(x, "");
	}
	x->peer->has_answer = true;
	/* the next request on this connection has as long for its head */
	exchange_until(x, x->server->head_deadline_ms);
	*state = NULL;
	arena_free(x->request.mem);
}
