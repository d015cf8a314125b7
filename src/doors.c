/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where requests come in.  Each door has a name, an address of the configuration and perhaps a socket that the service manager
 * has opened for it (so that port 443 needs no privilege, and connections wait in the socket while the daemon is restarted).
 * Read doors_open first.
 */
#include "doors.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metric.h"
#include "base/text.h"
#include "base/time.h"
#include "net/notify.h"
#include "routes.h"

#define HEAD_DEADLINE_MS 10000
#define BODY_DEADLINE_MS 30000
#define CONNECTIONS_PER_LOOP 120
#define DOORS 3
#define OPS_CONNECTIONS 32
#define SOCKET_CONNECTIONS 64
#define FILES_AT_LEAST 64
#define FILES_RESERVED 256

/* By enum door_kind; as FileDescriptorName= of a socket unit. */
static const char *const names[DOORS] = { [DOOR_PUBLIC] = "public", [DOOR_OPS] = "ops", [DOOR_SOCKET] = "socket" };

struct doors {
	const struct config *config;            /* of the start: doors point into it until the end */
	struct door doors[DOORS];
	struct http_server *servers[DOORS];
	int fds[DOORS];                         /* of the service manager; 0: none */
	pthread_mutex_t lock;                   /* of what follows: a job and SIGHUP renew */
	int warned;                             /* how near the certificate's end was when that was told; a row of warnings + 1 */
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

/* The nearest last. */
static const struct { int64_t days; int level; const char *words; } warnings[] = {
	{ 30, LOG_LEVEL_WARNING, "it ends within 30 days" },
	{ 7, LOG_LEVEL_WARNING, "it ends within 7 days" },
	{ 1, LOG_LEVEL_ERROR, "it ends within a day" },
	{ 0, LOG_LEVEL_ERROR, "it has ended: browsers refuse it" },
};

/* Each nearness is told once; a new certificate begins anew. */
static void
warn_of_end(struct op *op, struct doors *doors)
{
	struct http_certificate_facts facts;
	char at[TIME_TEXT_BYTES];
	int near = 0;

	if (!http_certificate(doors->servers[DOOR_PUBLIC], &facts))
		return;
	metric_set_at(METRIC_cert_expiry_timestamp_seconds, LABELS("https"), facts.until_ms);
	while (near < (int)countof(warnings) && facts.until_ms - op->now_ms <= warnings[near].days * 86400000)
		near++;
	if (near > doors->warned)
		log_line(warnings[near - 1].level, "certificate.ends", "file", doors->config->tls_certificate,
		    "ends", time_text(facts.until_ms, at), "why", warnings[near - 1].words, NULL);
	doors->warned = near;
}

/* What a start takes all the same, because without a certificate there would be no service at all. */
static void
warn_at_start(struct op *op, struct doors *doors)
{
	struct http_certificate_facts facts;
	char at[TIME_TEXT_BYTES];

	if (!http_certificate(doors->servers[DOOR_PUBLIC], &facts))
		return;
	if (facts.from_ms > op->now_ms)
		log_line(LOG_LEVEL_ERROR, "certificate.early", "file", doors->config->tls_certificate,
		    "good_from", time_text(facts.from_ms, at), "why", "it is not good yet: browsers refuse it; is the clock right?", NULL);
	if (!facts.has_name)
		log_line(LOG_LEVEL_WARNING, "certificate.name", "file", doors->config->tls_certificate, "issuer", doors->config->issuer,
		    "why", "it is not for the host of the issuer: browsers refuse it unless a proxy shows another", NULL);
	warn_of_end(op, doors);
}

static bool
renew(struct op *op, bool is_forced)
{
	struct doors *doors = op->svc->doors;
	struct http_certificate_facts before = { 0 }, after = { 0 };
	int rc;

	pthread_mutex_lock(&doors->lock);
	http_certificate(doors->servers[DOOR_PUBLIC], &before);
	rc = http_renew(op, doors->servers[DOOR_PUBLIC], is_forced);
	if (rc < 0)
		log_line(LOG_LEVEL_ERROR, "certificate.refused", "why", op_failure(op), "instead", "the old one stays in use", NULL);
	if (rc > 0) {
		log_line(LOG_LEVEL_NOTICE, "certificate.renewed", "file", doors->config->tls_certificate, NULL);
		/* the same one read again has been told of already */
		http_certificate(doors->servers[DOOR_PUBLIC], &after);
		if (after.from_ms != before.from_ms || after.until_ms != before.until_ms)
			doors->warned = 0;
	}
	warn_of_end(op, doors);
	pthread_mutex_unlock(&doors->lock);
	return rc >= 0;
}

int
doors_renew(struct op *op)
{
	/* told already, in words of its own */
	if (!renew(op, false))
		op_forgive(op);
	return 0;
}

bool
doors_reload(struct op *op)
{
	return renew(op, true);
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

/* Without port and brackets. */
static const char *
issuer_host(struct op *op)
{
	const char *host = strstr(op->config->issuer, "://");

	host = host ? host + 3 : op->config->issuer;
	if (*host == '[')
		return op_strndup(op, host + 1, strcspn(host + 1, "]"));
	return op_strndup(op, host, strcspn(host, ":/"));
}

struct room {
	int64_t ops, socket, public;            /* connections */
};

/*
 * Connections never use up the descriptors that the database, the directories and the log need: when all that are left for a door are in
 * use, new connections wait in its socket.  ERR_CONFIG when there are too few for any work.
 */
static int
share_files(struct op *op, struct room *room)
{
	struct rlimit limit;
	int64_t files, left;

	*room = (struct room){ OPS_CONNECTIONS, SOCKET_CONNECTIONS, op->config->max_connections };
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return op_fail(op, ERR_SYSTEM, "cannot read the limit of open files: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	files = limit.rlim_cur > INT_MAX ? INT_MAX : (int64_t)limit.rlim_cur;
	if (files < FILES_AT_LEAST)
		return op_fail(op, ERR_CONFIG, "only %lld files may be open at a time; at least %d are needed: LimitNOFILE= of the unit, "
		    "or ulimit -n", (long long)files, FILES_AT_LEAST);
	left = files - (files / 2 + 8 < FILES_RESERVED ? files / 2 + 8 : FILES_RESERVED);
	if (left >= room->ops + room->socket + room->public)
		return 0;
	room->ops = left / 6 < room->ops ? left / 6 : room->ops;
	room->socket = left / 6 < room->socket ? left / 6 : room->socket;
	room->public = left - room->ops - room->socket;
	log_line(LOG_LEVEL_WARNING, "door.few_files", "files", op_printf(op, "%lld", (long long)files),
	    "connections", op_printf(op, "%lld", (long long)room->public),
	    "why", "the limit of open files allows no more connections than this: LimitNOFILE= of the unit, or ulimit -n", NULL);
	return 0;
}

int
doors_open(struct op *op, struct program *program, struct doors **ret)
{
	const struct config *config = op->config;
	struct doors *doors = mem_new(sizeof(*doors));
	struct networks trusted;
	struct room room;
	const char *fault = networks_read(op->mem, config->trusted_proxies, &trusted);
	int rc;

	*ret = doors;
	doors->config = config_ref(config);
	pthread_mutex_init(&doors->lock, NULL);
	rc = fault ? op_fail(op, ERR_CONFIG, "trusted_proxies: %s", fault) : take_sockets(op, doors);
	if (!rc)
		rc = share_files(op, &room);
	if (!rc)
		rc = open_door(op, doors, program, DOOR_OPS, (struct http_options){ .max_connections = (int)room.ops });
	if (!rc)
		rc = open_door(op, doors, program, DOOR_SOCKET, (struct http_options){ .max_connections = (int)room.socket });
	if (!rc)
		rc = open_door(op, doors, program, DOOR_PUBLIC, (struct http_options){
		    .certificate_file = config->tls_certificate, .key_file = config->tls_key, .host = issuer_host(op),
		    .trusted = trusted, .reads_forwarded = config->proxies_send_forwarded,
		    .max_connections = (int)room.public, .max_per_address = (int)config->max_connections_per_address });
	if (!rc) {
		program->svc.doors = doors;
		warn_at_start(op, doors);
	}
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
	pthread_mutex_destroy(&doors->lock);
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
