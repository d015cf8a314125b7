/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the files of the HTTP server share.  In reading order: http_listen.c (sockets), http_tls.c (certificate), http.c (server, connections, sweeper),
 * http_exchange.c (one request from head to answer), http_guard.c (what is refused), http_forward.c (proxies), http_parse.c (texts into pairs);
 * http_probe.c (does it still answer).
 */
#ifndef KW_NET_HTTP_INT_H
#define KW_NET_HTTP_INT_H

#include <gnutls/abstract.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <microhttpd.h>
#include "net/http.h"

#define HTTP_MAX_TARGET_BYTES 8192
#define HTTP_MAX_HEADERS 100
#define HTTP_MAX_COOKIES 50
#define HTTP_MAX_PAIRS 64
#define HTTP_MAX_VALUE_BYTES 8192
#define HTTP_CONNECTIONS_PER_LOOP 120

/* A connection as the sweeper sees it. */
struct http_connection {
	struct http_connection *previous, *next;
	struct http_server *server;
	int fd;
	_Atomic int64_t deadline_ms;    /* monotonic; cut when it has passed; TIME_NEVER_MS while a handler works */
	int64_t since_ms;               /* monotonic */
	_Atomic bool has_answer;        /* at least one request was answered */
	_Atomic int64_t on_loop_since_ms;       /* monotonic: a handler runs on the loop; 0: none does */
	struct http_certificate *certificate;   /* shown at the handshake; a reference */
	uint32_t peer_uid;
	bool is_unix;
	bool is_proxy;                  /* a trusted one */
	char address[INET6_ADDRSTRLEN];
	char client[INET6_ADDRSTRLEN];  /* of the request under way that a proxy passes on; "" otherwise; under the server's lock */
};

struct http_server {
	struct MHD_Daemon *daemon;
	const struct http_hooks *hooks;
	struct lanes *lanes;
	const void *tag;
	int64_t head_deadline_ms, body_deadline_ms;
	int fd;                         /* listening socket; -1 after http_quiesce */
	int port, max_per_address;
	bool is_unix;
	struct networks trusted;
	bool reads_forwarded;
	char *unix_path;                /* removed at the end */
	char *certificate_file, *key_file, *host;
	struct stat marks[2];           /* of both files, when they were read last */
	struct http_certificate *certificate;   /* under the lock; NULL: plain HTTP, for ever */
	_Atomic int under_way;          /* requests from the end of the head to the end of the answer */
	_Atomic int suspended;          /* of these, on lanes */
	_Atomic bool is_quiet;          /* nobody new; whoever is there is told to leave with his answer */
	int64_t quiet_since_ms;
	pthread_mutex_t lock;           /* of the members below */
	pthread_cond_t wake;
	struct http_connection *connections;
	pthread_t sweeper;
	bool has_sweeper, is_ending;
};

/* http_listen.c */
int http_listen(struct op *op, const char *listen, int *ret_fd, int *ret_port, char **ret_unix_path) MUST_CHECK;
/* The same two results for a socket that listens already. */
void http_listen_taken(int fd, int *ret_port, bool *ret_is_unix);
/* IPv4, also when mapped into IPv6, as dotted quad; IPv6 as RFC 5952; "unix" otherwise. */
void http_address(const struct sockaddr *peer, char ret[static INET6_ADDRSTRLEN]);
uint32_t http_peer_uid(int fd);

/* http_tls.c: what http_open does for TLS, and its end; the certificate that GnuTLS shows at a handshake. */
int http_tls_load(struct op *op, struct http_server *server, const struct http_options *options) MUST_CHECK;
void http_tls_free(struct http_server *server);
void http_tls_unref(struct http_server *server, struct http_certificate *certificate);
int http_tls_show(gnutls_session_t session, const gnutls_datum_t *issuers, int n_issuers, const gnutls_pk_algorithm_t *algorithms,
    int n_algorithms, gnutls_pcert_st **ret_chain, unsigned int *ret_n, gnutls_privkey_t *ret_key);

/* http_exchange.c: libmicrohttpd's callbacks; cls is the server. */
void *http_exchange_begin(void *cls, const char *target, struct MHD_Connection *connection);
enum MHD_Result http_exchange_go(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *data, size_t *size, void **state);
void http_exchange_end(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why);

/* http_forward.c: reads what a trusted proxy says into address and host; NULL, or why the request is refused. */
const char *http_forward(struct request *request, const struct http_server *server);

/* http_guard.c: NULL when the head may be trusted, else why not. */
const char *http_guard(const struct request *request, const char *method, const char *version, const char *target);
/* True when the body has an encoding or type that nobody here reads (415). */
bool http_guard_is_foreign_body(const struct request *request);

/* http_parse.c: NULL and false on malformed input. */
const char *http_parse_path(struct arena *mem, const char *target, size_t n);
bool http_parse_pairs(struct arena *mem, const char *text, size_t n, struct http_pairs *ret);
bool http_parse_cookies(struct arena *mem, const char *text, struct http_pairs *ret);
enum http_method http_parse_method(const char *name);

#endif
