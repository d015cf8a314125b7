/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A small service that lets people in with Keyward's access tokens (libmicrohttpd, one thread).
 *
 *     ISSUER=https://keyward.clinic.test AUDIENCE=https://records.clinic.test PORT=8080 ./service
 *
 *     GET  /me                    whose token it is
 *     POST /sites/SITE/refunds    only for managers of that site
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bearer.h"

struct service {
	const char *issuer, *audience;
	struct keys *keys;
};

struct bearer_headers {
	const char *value;
	int n;
};

static enum MHD_Result
reply(struct MHD_Connection *connection, unsigned int status, const char *challenge, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT);
	struct MHD_Response *response = MHD_create_response_from_buffer(text ? strlen(text) : 0, text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	json_decref(body);
	if (challenge)
		MHD_add_response_header(response, "WWW-Authenticate", challenge);
	MHD_add_response_header(response, "Content-Type", "application/json");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
count_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct bearer_headers *found = arg;

	(void)kind;
	if (strcasecmp(name, "Authorization") == 0) {
		found->value = value;
		found->n++;
	}
	return MHD_YES;
}

/* RFC 6750 2.1: one Authorization header with a bearer token. */
static json_t *
claims_of(const struct service *service, struct MHD_Connection *connection, const char **ret_challenge)
{
	struct bearer_headers found = { 0 };
	const char *why = "the Authorization header is not well formed";
	json_t *claims = NULL;

	MHD_get_connection_values(connection, MHD_HEADER_KIND, count_header, &found);
	*ret_challenge = "Bearer realm=\"records\"";
	if (!found.n)
		return NULL;
	*ret_challenge = "Bearer realm=\"records\", error=\"invalid_token\"";
	if (found.n == 1 && found.value && strncasecmp(found.value, "Bearer ", 7) == 0)
		claims = bearer_check(service->keys, service->issuer, service->audience, found.value + 7 + strspn(found.value + 7, " "), &why);
	if (!claims)
		fprintf(stderr, "refused: %s\n", why);
	return claims;
}

/* The SITE of /sites/SITE/refunds. */
static bool
read_site(const char *path, char ret[static 64])
{
	int end = 0;

	return sscanf(path, "/sites/%63[a-z0-9_-]/refunds%n", ret, &end) == 1 && end > 0 && !path[end];
}

static enum MHD_Result
serve(const struct service *service, struct MHD_Connection *connection, const char *path, bool is_post)
{
	const char *challenge;
	json_t *claims = claims_of(service, connection, &challenge);
	enum MHD_Result result;
	char site[64];

	if (!claims)
		return reply(connection, 401, challenge, json_pack("{s:s}", "error", "invalid_token"));
	if (!is_post && strcmp(path, "/me") == 0)
		result = reply(connection, 200, NULL, json_pack("{s:O, s:O, s:O*}", "sub", json_object_get(claims, "sub"), "client_id",
		    json_object_get(claims, "client_id"), "grants", json_object_get(claims, "grants")));
	else if (!is_post || !read_site(path, site))
		result = reply(connection, 404, NULL, json_pack("{s:s}", "error", "there is nothing here"));
	else if (bearer_holds(claims, "manager", site))
		result = reply(connection, 201, NULL, json_pack("{s:s, s:O, s:s}", "refund", "made", "by", json_object_get(claims, "sub"), "site", site));
	else
		result = reply(connection, 403, "Bearer realm=\"records\", error=\"insufficient_scope\"",
		    json_pack("{s:s}", "error", "only managers of this site"));
	json_decref(claims);
	return result;
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method, const char *version, const char *data,
    size_t *n_data, void **state)
{
	static int seen;

	(void)version;
	(void)data;
	/* called once for the head and again for each piece of a body, which this example throws away */
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (*n_data) {
		*n_data = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "POST") != 0)
		return reply(connection, 405, NULL, json_pack("{s:s}", "error", "GET or POST"));
	return serve(arg, connection, path, strcmp(method, "POST") == 0);
}

int
main(void)
{
	struct service service = { .issuer = getenv("ISSUER"), .audience = getenv("AUDIENCE") };
	const char *port = getenv("PORT"), *keys_url = getenv("KEYS_URL");
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct MHD_Daemon *daemon;
	char url[1024];
	sigset_t ends;
	int got;

	/* empty is not set: what is compared with nothing is not compared */
	if (!service.issuer || !*service.issuer || !service.audience || !*service.audience) {
		fprintf(stderr, "service: ISSUER and AUDIENCE must be set\n");
		return 2;
	}
	snprintf(url, sizeof(url), "%s/oauth2/jwks", service.issuer);
	service.keys = keys_new(keys_url ? keys_url : url, getenv("CA_FILE"));
	at.sin_port = htons((uint16_t)atoi(port ? port : "8080"));
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, &service, MHD_OPTION_SOCK_ADDR, &at,
	    MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_END);
	if (!service.keys || !daemon) {
		fprintf(stderr, "service: cannot listen on port %s\n", port ? port : "8080");
		return 1;
	}
	printf("listening on http://127.0.0.1:%u\n", (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
	fflush(stdout);
	sigwait(&ends, &got);
	MHD_stop_daemon(daemon);
	keys_free(service.keys);
	return 0;
}
