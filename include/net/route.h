/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How a request finds its handler and a failure its face: the table routes.def, expanded in src/routes.c.
 *
 * A handler is   int NAME(struct op *op, struct request *request, struct reply *reply)
 * It fills the reply and returns 0, or returns a negative code, which src/routes.c turns into the face of the route.  Headers
 * that the handler set before it failed are dropped, but for Set-Cookie, WWW-Authenticate and Retry-After.  The op lives
 * until the reply is sent, so that a body may lie in op->mem.
 *
 *     int
 *     api_user_grant(struct op *op, struct request *request, struct reply *reply)
 *     {
 *             const struct shape_grant_change *in = route_body(request);
 *             const char *user = route_param(request, "user");
 *             ...
 *             reply_shape(op, reply, 200, shape_user_view(), &view);
 *             return 0;
 *     }
 *
 * Every reply gets the security headers; a handler that sets Content-Security-Policy or Cache-Control itself keeps its own.
 */
#ifndef KW_NET_ROUTE_H
#define KW_NET_ROUTE_H

#include "base/shape.h"
#include "net/http.h"

#define HANDLER(name) int name(struct op *op, struct request *request, struct reply *reply)

struct route;

/* What src/routes.c found out about a request; request->route points to it. */
struct route_match {
	const struct route *route;      /* NULL: no such path */
	struct http_pairs params;
	const void *body;
	struct problems *problems;      /* of the body; NULL when none were found */
	int refusal;                    /* negative code when no handler shall run */
	const char *allow;              /* of a 405 */
	int64_t deadline_ms;            /* monotonic */
};

/* Value of a {name} segment of the route's path; NULL when the path has none. */
const char *route_param(const struct request *request, const char *name);
/* The body as the struct of the route's body shape; NULL when the row names none. */
const void *route_body(const struct request *request);

/*
 * A row with lane TRY_x is first run on the network loop, where it may look at memory only (no database, no network, nothing that waits).
 *
 *     if (!found && route_is_on_loop(request))
 *             return route_take_lane(request);         // called again from the start on lane x
 */
bool route_is_on_loop(const struct request *request);
int route_take_lane(struct request *request);

/* Answers with JSON (UTF-8, compact); json belongs to the op. */
void reply_json(struct op *op, struct reply *reply, int status, const json_t *json);
/* Answers with a struct of the shape as JSON. */
void reply_shape(struct op *op, struct reply *reply, int status, const struct shape *shape, const void *data);

#endif
