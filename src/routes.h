/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The doors of the daemon and the table behind them. */
#ifndef KW_ROUTES_H
#define KW_ROUTES_H

#include "net/route.h"
#include "program.h"

enum face { FACE_PAGE, FACE_OAUTH, FACE_API, FACE_PROBE };
enum origin { ORIGIN_ANY, ORIGIN_FORM };

enum guard {
	GUARD_NONE,
#define PERM(name, text, words) GUARD_PERM_##name,
#include "tables/permissions.def"
#undef PERM
};

/* A row of routes.def. */
struct route {
	enum http_method method;
	const char *path;
	enum face face;
	enum guard guard;
	enum origin origin;
	enum lane lane;
	bool try_on_loop;
	size_t body_cap;
	const char *body_shape, *answer_shape;  /* NULL: none */
	int (*handler)(struct op *op, struct request *request, struct reply *reply);
	const char *handler_name, *text;
};

const struct route *routes_all(size_t *ret_n);

/* Where requests come in; http_options.tag.  The public door serves pages and OAuth, the socket the API, both others the probes. */
enum door_kind { DOOR_PUBLIC, DOOR_OPS, DOOR_SOCKET };

struct door {
	enum door_kind kind;
	struct program *program;
	const char *authority;                  /* host[:port] of the issuer; public door only */
	bool is_https;                          /* browsers reach it by TLS */
};

extern const struct http_hooks route_hooks;

/* faces.c: turns a failure into the route's face and logs its private sentence. */
void face_failure(struct op *op, struct request *request, struct reply *reply, int code);
/* faces.c: the headers that every reply carries. */
void face_headers(const struct door *door, struct reply *reply);
/* faces.c: http_hooks.refuse. */
void face_refuse(struct arena *mem, int status, struct reply *reply);

#endif
