/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * From a request to its handler: the table routes.def, expanded.  route_lane runs on the network loop as soon as the head is
 * read: it finds the row and the lane.  route_handle runs on that lane: it makes the op, checks guard, origin and body, calls the
 * handler and gives a failure its face (faces.c).  Read route_handle first.
 */
#include "routes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "login/session.h"
#include "store/driver.h"

#define ROUTE(method, path, face, guard, origin, lane, cap, body, answer, handler, text) HANDLER(handler);
#include "tables/routes.def"
#undef ROUTE

/* the lane column "TRY_quick" */
#define LANE_TRY_quick LANE_quick

#define SHAPE_NAME(name) (#name[0] == 'n' && sizeof(#name) == sizeof("none") ? NULL : #name)
static const struct route rows[] = {
#define ROUTE(method, path, face, guard, origin, lane, cap, body, answer, handler, text) \
	{ HTTP_##method, path, FACE_##face, GUARD_##guard, ORIGIN_##origin, LANE_##lane, #lane[0] == 'T', cap, SHAPE_NAME(body), \
	    SHAPE_NAME(answer), handler, #handler, text },
#include "tables/routes.def"
#undef ROUTE
};

/* From the end of the head to the answer; the op's deadline, which every network call below respects. */
static const int64_t lane_deadline_ms[LANE_COUNT] = { [LANE_quick] = 10000, [LANE_bind] = 20000, [LANE_sync] = 600000 };
/* Of a sign-in: somebody waits in front of the page, whatever directories do. */
#define SIGN_IN_DEADLINE_MS 5000

const struct route *
routes_all(size_t *ret_n)
{
	*ret_n = countof(rows);
	return rows;
}

static bool
door_has_face(const struct door *door, enum face face)
{
	switch (face) {
	case FACE_PAGE:
	case FACE_OAUTH:
		return door->kind == DOOR_PUBLIC;
	case FACE_API:
		return door->kind == DOOR_SOCKET;
	case FACE_PROBE:
		return door->kind != DOOR_PUBLIC;
	}
	return false;
}

/* Compares segment by segment; {name} segments go into params. */
static bool
path_matches(struct arena *mem, const char *pattern, const char *path, struct http_pairs *params)
{
	while (*pattern == '/' && *path == '/') {
		size_t wanted = strcspn(++pattern, "/"), given = strcspn(++path, "/");

		if (pattern[0] == '{') {
			if (given == 0)
				return false;
			if (!params->v)
				params->v = arena_alloc(mem, 4 * sizeof(*params->v));
			params->v[params->n++] = (struct http_pair){ arena_strndup(mem, pattern + 1, wanted - 2),
				arena_strndup(mem, path, given) };
		} else if (wanted != given || memcmp(pattern, path, given) != 0) {
			return false;
		}
		pattern += wanted;
		path += given;
	}
	return *pattern == '\0' && *path == '\0';
}

static const char *
method_name(enum http_method method)
{
	static const char *const names[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER" };

	return names[method];
}

static void
allow_add(struct arena *mem, struct route_match *match, enum http_method method)
{
	const char *more = method == HTTP_GET ? "GET, HEAD" : method_name(method);

	match->allow = match->allow ? arena_printf(mem, "%s, %s", match->allow, more) : more;
}

/* Fills the match; a path of the table that lacks the method gives 405 and Allow (RFC 9110 15.5.6). */
static void
route_find(const struct door *door, const struct request *request, struct route_match *match)
{
	enum http_method method = request->method == HTTP_HEAD ? HTTP_GET : request->method;

	for (size_t i = 0; i < countof(rows); i++) {
		struct http_pairs params = { 0 };

		if (!door_has_face(door, rows[i].face) || !path_matches(request->mem, rows[i].path, request->path, &params))
			continue;
		match->route = &rows[i];
		match->params = params;
		if (rows[i].method == method) {
			match->refusal = 0;
			return;
		}
		match->refusal = ERR_METHOD;
		allow_add(request->mem, match, rows[i].method);
	}
	if (!match->route)
		match->refusal = ERR_NOT_FOUND;
}

/* RFC 9110 7.4: a request for another name is not ours; links are made from the issuer, never from Host. */
static bool
is_our_host(const struct door *door, const char *host)
{
	size_t n = strlen(door->authority);

	if (strncasecmp(host, door->authority, n) != 0)
		return false;
	return host[n] == '\0' || (strcmp(host + n, ":443") == 0 && !strrchr(door->authority + strcspn(door->authority, "]"), ':'));
}

static enum lane
route_lane(struct request *request, size_t *ret_body_cap, int64_t *ret_deadline_ms)
{
	const struct door *door = request->listener;
	struct route_match *match = arena_alloc(request->mem, sizeof(*match));
	enum lane lane = LANE_INLINE;

	request->route = match;
	*ret_body_cap = 16384;
	*ret_deadline_ms = 10000;
	if (door->kind == DOOR_PUBLIC && !is_our_host(door, request->host))
		match->refusal = ERR_MISDIRECTED;
	else
		route_find(door, request, match);
	if (!match->refusal) {
		lane = match->route->lane;
		request->try_on_loop = match->route->try_on_loop;
		*ret_body_cap = match->route->body_cap;
		if (lane != LANE_INLINE)
			*ret_deadline_ms = lane_deadline_ms[lane];
		if (lane == LANE_bind && match->route->face == FACE_PAGE)
			*ret_deadline_ms = SIGN_IN_DEADLINE_MS;
	}
	match->deadline_ms = time_monotonic_ms() + *ret_deadline_ms;
	return lane;
}

/* The UNIX socket is the administrator's: root and the daemon's own user hold every permission, others none. */
static int
check_guard(struct op *op, const struct request *request, const struct route *route)
{
	if (route->face != FACE_API)
		return 0;
	op->caller.actor = op_printf(op, "uid:%u", request->peer_uid);
	if (!request->is_unix || (request->peer_uid != 0 && request->peer_uid != geteuid()))
		return op_fail(op, ERR_FORBIDDEN, "uid %u may not administer: only root and the user of the daemon may", request->peer_uid);
	op->caller.kind = ACTOR_ROOT;
	return 0;
}

static bool
is_json(const char *type)
{
	static const char json[] = "application/json";

	if (!type || strncasecmp(type, json, strlen(json)) != 0)
		return false;
	type += strlen(json);
	return type[strspn(type, " \t")] == '\0' || type[strspn(type, " \t")] == ';';
}

/* The body as the struct of the row's shape. */
static int
read_body(struct op *op, const struct request *request, struct route_match *match)
{
	const struct shape *shape = match->route->body_shape ? shape_find(match->route->body_shape) : NULL;
	struct node *node = NULL;
	json_t *json;
	int rc;

	if (!shape)
		return 0;
	if (!is_json(http_header(request, "Content-Type", NULL)))
		return op_fail(op, ERR_MEDIA_TYPE, "the body must be application/json");
	rc = json_read(op, request->body, request->body_size, &json);
	if (rc)
		return rc;
	match->problems = op_alloc(op, sizeof(*match->problems));
	*match->problems = problems_in(op, NULL);
	rc = node_from_json(op, json, match->problems, &node);
	return rc ? rc : shape_read(op, shape, node, match->problems, &match->body);
}

static void
fill_caller(struct op *op, const struct request *request)
{
	const char *device = http_header(request, "User-Agent", NULL);

	op->caller.kind = ACTOR_ANONYMOUS;
	op->caller.address = request->address;
	op->caller.language = "en";
	/* cut at 200 bytes, on a character */
	for (size_t n = device ? strnlen(device, 200) : 0; n > 0 && !op->caller.device; n--) {
		if (text_is_utf8(device, n))
			op->caller.device = op_strndup(op, device, n);
	}
}

static int
run_route(struct op *op, struct request *request, struct reply *reply)
{
	struct route_match *match = request->route;
	int rc;

	switch (match->refusal) {
	case 0:
		break;
	case ERR_MISDIRECTED:
		return op_fail(op, ERR_MISDIRECTED, "the request is for host %s, not for the issuer's", request->host);
	case ERR_METHOD:
		return op_fail(op, ERR_METHOD, "this path has no such method");
	default:
		return op_fail(op, match->refusal, "there is no such path here");
	}
	rc = check_guard(op, request, match->route);
	/* RFC 9700 4.7, ASVS 3.5.1: a form must come from a page of ours */
	if (!rc && match->route->origin == ORIGIN_FORM)
		rc = form_check(op, request);
	if (!rc)
		rc = read_body(op, request, match);
	return rc ? rc : match->route->handler(op, request, reply);
}

/* What every answer gets last. */
static void
finish_reply(struct op *op, const struct door *door, struct reply *reply)
{
	reply_header(reply, "X-Request-Id", op->request_id);
	face_headers(door, reply);
}

struct riding {
	struct request *request;
	struct reply *reply;
};

/* The commit that the reply waited for is settled. */
static void
ride_complete(struct op *op, int rc, void *arg)
{
	struct riding *riding = arg;
	const struct door *door = riding->request->listener;

	if (rc) {
		*riding->reply = (struct reply){ .mem = riding->reply->mem };
		face_failure(op, riding->request, riding->reply, rc);
	}
	finish_reply(op, door, riding->reply);
	http_finish(riding->request);
}

static bool
route_handle(struct request *request, struct reply *reply)
{
	const struct door *door = request->listener;
	const struct route_match *match = request->route;
	/* the op ends with the request, after the reply has been sent: its body may lie in the op's memory */
	struct op *op = program_op_in(door->program, request->mem);
	struct riding *riding = op_alloc(op, sizeof(*riding));
	int rc;

	op->deadline_ms = match->deadline_ms;
	fill_caller(op, request);
	rc = run_route(op, request, reply);
	/* what the loop found is thrown away: on the lane all begins anew */
	if (request->wants_lane)
		return true;
	*riding = (struct riding){ request, reply };
	if (!rc && db_ride(op, ride_complete, riding))
		return false;
	if (rc && db_settle(op))
		log_line(LOG_LEVEL_ERROR, "route.settle", "request", op->request_id, "why", op_failure(op), NULL);
	if (rc)
		face_failure(op, request, reply, rc);
	finish_reply(op, door, reply);
	return true;
}

const struct http_hooks route_hooks = { .lane = route_lane, .handle = route_handle, .refuse = face_refuse };
