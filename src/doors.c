/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where requests come in.  Each door has a name, an address of the configuration and perhaps a socket that the service manager
 * has opened for it (so that port 443 needs no privilege, and connections wait in the socket while the daemon is restarted).
 * Read doors_open first.
 */
#include "doors.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "net/notify.h"
#include "routes.h"

#define HEAD_DEADLINE_MS 10000
#define BODY_DEADLINE_MS 30000
#define CONNECTIONS_PER_LOOP 120
#define DOORS 3

/* By enum door_kind; as FileDescriptorName= of a socket unit. */
static const char *const names[DOORS] = { [DOOR_PUBLIC] = "public", [DOOR_OPS] = "ops", [DOOR_SOCKET] = "socket" };

struct doors {
	const struct config *config;            /* of the start: doors point into it until the end */
	struct door doors[DOORS];
	struct http_server *servers[DOORS];
	int fds[DOORS];                         /* of the service manager; 0: none */
};

static const char *
listen_of(struct op *op, enum door_kind kind)
{
	switch (kind) {
	case DOOR_PUBLIC:
		return op->config->listen;
	case DOOR_OPS:
		return op->config->ops_listen;
	default:
		return op_printf(op, "unix:%s", op->config->socket);
	}
}

/* By name; a socket that has none of ours, by the address that a door would open. */
static int
door_of(struct op *op, const struct notify_socket *socket)
{
	for (int kind = 0; kind < DOORS; kind++)
		if (!strcmp(socket->name, names[kind]))
			return kind;
	for (int kind = 0; kind < DOORS; kind++)
		if (!strcmp(socket->address, listen_of(op, (enum door_kind)kind)))
			return kind;
	return -1;
}

static bool
is_local(const char *address)
{
	return text_starts_with(address, "127.") || text_starts_with(address, "[::1]:") || text_starts_with(address, "unix:");
}

static int
check_socket(struct op *op, const struct doors *doors, const struct notify_socket *socket, int kind)
{
	if (kind < 0)
		return op_fail(op, ERR_CONFIG, "the service manager passed the socket %s under the name %s, which is no door of ours: "
		    "write FileDescriptorName=public, ops or socket in its socket unit", socket->address, socket->name);
	if (doors->fds[kind])
		return op_fail(op, ERR_CONFIG, "the service manager passed two sockets for the door %s; the second is %s", names[kind],
		    socket->address);
	/* as for the keys ops_listen and socket: what is there is not for the network */
	if (kind != DOOR_PUBLIC && !is_local(socket->address))
		return op_fail(op, ERR_CONFIG, "the service manager passed %s for the door %s, which must be a loopback address or a UNIX "
		    "socket", socket->address, names[kind]);
	if (kind == DOOR_SOCKET && !text_starts_with(socket->address, "unix:"))
		return op_fail(op, ERR_CONFIG, "the service manager passed %s for the door socket, which must be a UNIX socket",
		    socket->address);
	return 0;
}

static int
take_sockets(struct op *op, struct doors *doors)
{
	struct notify_socket *sockets;
	size_t n;
	int rc = notify_sockets(op, &sockets, &n);

	for (size_t i = 0; i < n && !rc; i++) {
		int kind = door_of(op, &sockets[i]);

		rc = check_socket(op, doors, &sockets[i], kind);
		if (rc)
			return rc;
		doors->fds[kind] = sockets[i].fd;
		log_line(LOG_LEVEL_INFO, "door.taken", "door", names[kind], "address", sockets[i].address, NULL);
	}
	return rc;
}

static int
open_door(struct op *op, struct doors *doors, struct program *program, enum door_kind kind, struct http_options options)
{
	const char *issuer = doors->config->issuer, *authority = strstr(issuer, "://");
	struct door *door = &doors->doors[kind];
	int rc;

	door->kind = kind;
	door->program = program;
	if (kind == DOOR_PUBLIC) {
		door->authority = authority ? authority + 3 : issuer;
		door->is_https = text_starts_with(issuer, "https:");
	}
	options.listen = listen_of(op, kind);
	options.fd = doors->fds[kind];
	options.head_deadline_ms = HEAD_DEADLINE_MS;
	options.body_deadline_ms = BODY_DEADLINE_MS;
	options.threads = (options.max_connections + CONNECTIONS_PER_LOOP - 1) / CONNECTIONS_PER_LOOP;
	options.lanes = program->svc.lanes;
	options.hooks = &route_hooks;
	options.tag = door;
	rc = http_open(op, &options, &doors->servers[kind]);
	doors->fds[kind] = 0;                   /* the server's now, or closed by it */
	return rc;
}

int
doors_open(struct op *op, struct program *program, struct doors **ret)
{
	const struct config *config = op->config;
	struct doors *doors = mem_new(sizeof(*doors));
	int rc;

	*ret = doors;
	doors->config = config_ref(config);
	rc = take_sockets(op, doors);
	if (!rc)
		rc = open_door(op, doors, program, DOOR_OPS, (struct http_options){ .max_connections = 32 });
	if (!rc)
		rc = open_door(op, doors, program, DOOR_SOCKET, (struct http_options){ .max_connections = 64 });
	if (!rc)
		rc = open_door(op, doors, program, DOOR_PUBLIC, (struct http_options){
		    .certificate_file = config->tls_certificate, .key_file = config->tls_key,
		    .max_connections = (int)config->max_connections, .max_per_address = (int)config->max_connections_per_address });
	return rc;
}

void
doors_quiesce(struct doors *doors)
{
	if (doors->servers[DOOR_PUBLIC])
		http_quiesce(doors->servers[DOOR_PUBLIC]);
	if (doors->servers[DOOR_SOCKET])
		http_quiesce(doors->servers[DOOR_SOCKET]);
}

void
doors_close(struct doors *doors, int64_t until_ms)
{
	static const enum door_kind order[DOORS] = { DOOR_PUBLIC, DOOR_SOCKET, DOOR_OPS };

	if (!doors)
		return;
	for (size_t i = 0; i < countof(order); i++) {
		int64_t left = until_ms - time_monotonic_ms();

		http_close(doors->servers[order[i]], left > 0 ? left : 0);
		if (doors->fds[order[i]])
			close(doors->fds[order[i]]);
	}
	config_unref(doors->config);
	mem_free(doors);
}

const char *
doors_stuck(struct doors *doors, int64_t wait_ms)
{
	static const enum door_kind asked[] = { DOOR_OPS, DOOR_SOCKET };

	for (int kind = 0; kind < DOORS; kind++)
		if (http_is_stuck(doors->servers[kind], wait_ms))
			return names[kind];
	/* the public door is not asked: it may be full, and that is no reason to end */
	for (size_t i = 0; i < countof(asked); i++)
		if (!http_answers(doors->servers[asked[i]], wait_ms))
			return names[asked[i]];
	return NULL;
}
