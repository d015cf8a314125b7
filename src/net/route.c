/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What handlers use of the route table; the table itself is expanded upstairs in src/routes.c, which fills the match. */
#include "net/route.h"

#include <string.h>

const char *
route_param(const struct request *request, const char *name)
{
	const struct route_match *match = request->route;

	return match ? http_pair(&match->params, name, NULL) : NULL;
}

const void *
route_body(const struct request *request)
{
	const struct route_match *match = request->route;

	return match ? match->body : NULL;
}

bool
route_is_on_loop(const struct request *request)
{
	return request->try_on_loop;
}

int
route_take_lane(struct request *request)
{
	request->wants_lane = true;
	return 0;
}

void
reply_json(struct op *op, struct reply *reply, int status, const json_t *json)
{
	char *text = json_text(op, json);

	reply_body(reply, status, "application/json", text, strlen(text));
}

void
reply_shape(struct op *op, struct reply *reply, int status, const struct shape *shape, const void *data)
{
	reply_json(op, reply, status, shape_write(op, shape, data));
}
