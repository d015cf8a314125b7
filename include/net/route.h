/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How a request finds its handler and a failure its face: the table routes.def, expanded in src/routes.c.
 *
 * A handler is   int NAME(struct op *op, struct request *request, struct reply *reply)
 * It fills the reply and returns 0, or returns a negative code, which src/routes.c turns into the face of the route.
 */
#ifndef KW_NET_ROUTE_H
#define KW_NET_ROUTE_H

#include "net/http.h"

#define HANDLER(name) int name(struct op *op, struct request *request, struct reply *reply)

/* Value of a {name} segment of the route's path; NULL when the path has none. */
const char *route_param(const struct request *request, const char *name);

#endif
