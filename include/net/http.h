/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The HTTP server: libmicrohttpd's epoll threads accept, parse and write; a request that may block is suspended,
 * run on a lane and resumed.  A guard refuses what smuggling needs (RFC 9112 6.3, 11.2), a sweeper cuts slow heads.
 *
 *     static const struct http_hooks hooks = { .lane = my_lane, .handle = my_handle };
 *     rc = http_open(op, &(struct http_options){ .listen = "127.0.0.1:7443", .hooks = &hooks, ... }, &server);
 *
 * lane() is asked once the head is read and says where to run handle() and how large the body may be;
 * handle() gets the whole request and fills the reply.  Neither sees a connection.
 */
#ifndef KW_NET_HTTP_H
#define KW_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/lane.h"
#include "base/network.h"
#include "base/op.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

struct http_pair {
	const char *name;               /* as sent; headers are compared without case */
	const char *value;
};

struct http_pairs {
	struct http_pair *v;
	size_t n;
};

struct request {
	struct arena *mem;              /* lives as long as the request */
	enum http_method method;
	const char *path;               /* decoded once, canonical: no "//", no dot segments, no NUL (else refused before) */
	const char *raw_query;          /* as sent, "" when none */
	struct http_pairs query;        /* decoded, in order, duplicates kept */
	struct http_pairs form;         /* application/x-www-form-urlencoded body, decoded; empty otherwise */
	struct http_pairs headers;
	struct http_pairs cookies;      /* RFC 6265; duplicates kept */
	const char *body;
	size_t body_size;
	const char *host;               /* Host header, port included */
	const char *address;            /* canonical text of the client's address: the peer's, or what a trusted proxy says; "unix" on a UNIX socket */
	bool is_unix;
	uint32_t peer_uid;              /* of a UNIX socket (SO_PEERCRED); UINT32_MAX otherwise */
	const void *listener;           /* http_options.tag of the server it came in by */
	void *route;                    /* whatever hooks.lane stored there */
	bool try_on_loop;               /* hooks.lane may set it with a lane: handle() is first called on the loop ... */
	bool wants_lane;                /* ... where it may set this instead of filling the reply, to be called again on the lane */
};

struct reply {
	struct arena *mem;              /* the request's */
	int status;
	struct http_pairs headers;
	const char *body;               /* in mem, or static when is_static */
	size_t body_size;
	bool is_static;                 /* body is constant data of the program: not copied */
	bool must_close;
};

struct http_hooks {
	/*
	 * Called on the network loop when the head is complete; must not block.  Returns the lane (or LANE_INLINE) and sets
	 * *ret_body_cap (bytes; a larger body is answered 413) and *ret_deadline_ms (from now).
	 */
	enum lane (*lane)(struct request *request, size_t *ret_body_cap, int64_t *ret_deadline_ms);
	/*
	 * Runs on that lane with the whole request; fills the reply.  True: it is sent now.  False (never on LANE_INLINE): it is sent when
	 * http_finish(request) is called, once, by whatever thread; neither request nor reply may be touched after that.
	 */
	bool (*handle)(struct request *request, struct reply *reply);
	/* The plain answer to something refused before a handler (400, 413, 421, 431, 503): fills status, headers, body. */
	void (*refuse)(struct arena *mem, int status, struct reply *reply);
};

struct http_options {
	const char *listen;             /* "address:port", "[::1]:port", or "unix:/path" */
	int fd;                         /* listening already (net/notify.h): taken, and nothing is bound; 0: none */
	const char *certificate_file;   /* "" = plain */
	const char *key_file;
	const char *host;               /* name that the certificate should be for; NULL: any */
	int max_connections;
	int max_per_address;            /* connections, and requests under way through proxies; 0: no limit */
	struct networks trusted;        /* proxies whose X-Forwarded-* is believed; copied */
	bool reads_forwarded;           /* they send Forwarded (RFC 7239) instead; never both, for a proxy passes on the other as it came */
	int64_t head_deadline_ms;       /* a head must be complete this long after its first byte or the connect; 10000 */
	int64_t body_deadline_ms;       /* and the body this long after the head; 30000 */
	int threads;                    /* epoll loops; connections are at most 120 each (libmicrohttpd stalls at 128) */
	struct lanes *lanes;
	const struct http_hooks *hooks;
	const void *tag;
};

struct http_server;

/* Of the certificate that a server shows; wall clock. */
struct http_certificate_facts {
	int64_t from_ms, until_ms;
	bool has_name;                  /* it is for http_options.host */
};

/* Binds and listens; ERR_SYSTEM with "cannot listen on ...: address in use". */
int http_open(struct op *op, const struct http_options *options, struct http_server **ret) MUST_CHECK;
/*
 * Reads certificate and key again when a file has changed since, or at any rate when forced.  1: the next handshake shows the new one, and
 * connections go on; 0: nothing new; ERR_CONFIG: unreadable, not a pair, or worse than what is in use, which then stays.  Not by two
 * threads at a time.
 */
int http_renew(struct op *op, struct http_server *server, bool is_forced) MUST_CHECK;
/* False without TLS. */
bool http_certificate(struct http_server *server, struct http_certificate_facts *ret);
/* Stops accepting; requests under way go on. */
void http_quiesce(struct http_server *server);
/* Waits at most wait_ms for requests under way and for those who have just connected, then closes everything. */
void http_close(struct http_server *server, int64_t wait_ms);
/* A handler has been on a loop for longer than wait_ms: nothing on a loop may block, for it blocks all connections of that loop. */
bool http_is_stuck(struct http_server *server, int64_t wait_ms);
/* GET /healthz through its own listening socket is answered within wait_ms, with whatever status.  Plain HTTP only; not from a loop. */
bool http_answers(struct http_server *server, int64_t wait_ms);
/* The port bound, for listen port 0. */
int http_port(const struct http_server *server);

void http_finish(struct request *request);

/* First header of that name, NULL when absent; *ret_count (may be NULL) how often it occurs. */
const char *http_header(const struct request *request, const char *name, size_t *ret_count);
const char *http_pair(const struct http_pairs *pairs, const char *name, size_t *ret_count);
/* None of these copies: texts and body must live in reply->mem, which is the op's too, or be static. */
void reply_header(struct reply *reply, const char *name, const char *value);
void reply_body(struct reply *reply, int status, const char *content_type, const char *body, size_t size);
/* 303 See Other (RFC 9700 4.12: never 307 after credentials). */
void reply_redirect(struct reply *reply, const char *location);

#endif
