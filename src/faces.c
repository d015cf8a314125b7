/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How a failure looks from outside: a page, an OAuth error (RFC 6749 5.2, RFC 6750 3.1), problem+json (RFC 9457) or plain text.  The
 * private sentence goes to the log, and to the administrator on the UNIX socket; others get the public words.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "audit/audit.h"
#include "base/log.h"
#include "login/page.h"
#include "routes.h"

static const char content_security_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/* RFC 9110 15 */
static const char *
status_text(int status)
{
	switch (status) {
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 409: return "Conflict";
	case 413: return "Content Too Large";
	case 415: return "Unsupported Media Type";
	case 421: return "Misdirected Request";
	case 429: return "Too Many Requests";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	default: return "Error";
	}
}

static bool
has_header(const struct reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->headers.n; i++) {
		if (strcasecmp(reply->headers.v[i].name, name) == 0)
			return true;
	}
	return false;
}

static void
default_header(struct reply *reply, const char *name, const char *value)
{
	if (!has_header(reply, name))
		reply_header(reply, name, value);
}

void
face_headers(const struct door *door, struct reply *reply)
{
	default_header(reply, "Content-Security-Policy", content_security_policy);
	default_header(reply, "X-Content-Type-Options", "nosniff");
	default_header(reply, "Referrer-Policy", "no-referrer");
	/* RFC 9111 5.2.2.5: nothing of ours is for a cache, unless the handler knows better */
	default_header(reply, "Cache-Control", "no-store");
	/* RFC 6797 6.1 */
	if (door && door->is_https)
		default_header(reply, "Strict-Transport-Security", "max-age=31536000");
}

void
face_refuse(struct arena *mem, int status, struct reply *reply)
{
	char *text = arena_printf(mem, "%d %s\n", status, status_text(status));

	reply_body(reply, status, "text/plain; charset=utf-8", text, strlen(text));
	face_headers(NULL, reply);
}

/* RFC 6750 3, RFC 6749 5.2 */
static void
challenge(struct op *op, struct reply *reply, int code)
{
	const struct error_row *row = error_row(code);

	if (has_header(reply, "WWW-Authenticate"))
		return;
	if (code == ERR_INVALID_CLIENT)
		reply_header(reply, "WWW-Authenticate", "Basic realm=\"keyward\", charset=\"UTF-8\"");
	else if (code == ERR_UNAUTHENTICATED)
		/* RFC 6750 3.1: a request without any token is told no error code */
		reply_header(reply, "WWW-Authenticate", "Bearer realm=\"keyward\"");
	else if (row->status == 401 || code == ERR_INSUFFICIENT_SCOPE)
		reply_header(reply, "WWW-Authenticate", op_printf(op, "Bearer realm=\"keyward\", error=\"%s\"", row->oauth));
}

/* RFC 6749 5.2: printable ASCII without quote and backslash. */
static char *
description(struct op *op, int code)
{
	char *text = op_strdup(op, page_error_text(op, code));

	for (char *c = text; *c; c++) {
		if (*c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\')
			*c = ' ';
	}
	return text;
}

static void
face_oauth(struct op *op, struct reply *reply, int code)
{
	const struct error_row *row = error_row(code);
	json_t *json = json_own(op, json_pack("{s:s, s:s}", "error", row->oauth, "error_description", description(op, code)));

	challenge(op, reply, code);
	reply_json(op, reply, row->status, json);
	/* RFC 6749 5.1 */
	default_header(reply, "Pragma", "no-cache");
}

static json_t *
problem_list(const struct problems *problems)
{
	json_t *list = json_array();

	for (size_t i = 0; problems && i < problems->n; i++)
		json_array_append_new(list, json_pack("{s:s*, s:s}", "path", problems->v[i].path, "detail", problems->v[i].sentence));
	return list;
}

static char *
lower(struct op *op, const char *name)
{
	char *text = op_strdup(op, name);

	for (char *c = text; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	return text;
}

/* RFC 9457 3.  The administrator on the UNIX socket is told the private sentence. */
static void
face_api(struct op *op, const struct request *request, struct reply *reply, int code)
{
	const struct error_row *row = error_row(code);
	const struct route_match *match = request->route;
	const char *name = lower(op, row->name);
	const char *detail = op->failure.sentence ? op->failure.sentence : status_text(row->status);
	json_t *json = json_own(op, json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "type", op_printf(op, "urn:keyward:error:%s", name),
	    "title", page_error_text(op, code), "status", row->status, "detail", detail, "code", name, "request_id", op->request_id));

	if (match && match->problems && match->problems->n)
		json_object_set_new(json, "errors", problem_list(match->problems));
	reply_json(op, reply, row->status, json);
	reply->headers.v[reply->headers.n - 1].value = "application/problem+json";
}

static void
face_probe(struct op *op, struct reply *reply, int code)
{
	char *text = op_printf(op, "%s\n", status_text(error_row(code)->status));

	reply_body(reply, error_row(code)->status, "text/plain; charset=utf-8", text, strlen(text));
}

/* What a handler set before it failed is of no use any more, but for these. */
static void
keep_few_headers(struct reply *reply)
{
	static const char *const kept[] = { "Set-Cookie", "WWW-Authenticate", "Retry-After" };
	struct http_pairs old = reply->headers;

	reply->headers = (struct http_pairs){ 0 };
	for (size_t i = 0; i < old.n; i++) {
		for (size_t k = 0; k < countof(kept); k++) {
			if (strcasecmp(old.v[i].name, kept[k]) == 0)
				reply_header(reply, old.v[i].name, old.v[i].value);
		}
	}
}

static enum face
face_of(const struct request *request)
{
	const struct route_match *match = request->route;
	const struct door *door = request->listener;

	if (match && match->route)
		return match->route->face;
	if (door->kind == DOOR_PUBLIC)
		return text_starts_with(request->path, "/oauth2/") || text_starts_with(request->path, "/.well-known/")
		    ? FACE_OAUTH : FACE_PAGE;
	return door->kind == DOOR_SOCKET ? FACE_API : FACE_PROBE;
}

static void
log_failure(const struct op *op, const struct request *request, int code)
{
	const struct error_row *row = error_row(code);
	char line[16];

	snprintf(line, sizeof(line), "%d", op->failure.line);
	log_line(row->level, "request.failed", "error", row->name, "why", op_failure(op), "path", request->path,
	    "address", request->address, "actor", op->caller.actor, "request", op->request_id, "file", op->failure.file,
	    "line", op->failure.file ? line : NULL, NULL);
}

/* Who was not let in to the administration is of interest to the auditors. */
static void
audit_failure(struct op *op, const struct request *request, int code)
{
	const struct route_match *match = request->route;

	if (code == ERR_FORBIDDEN && op->svc->audit && match->route && match->route->face == FACE_API)
		audit_refusal(op, EV_API_REFUSED, NULL, FACTS(FACT("route", match->route->path), FACT("error", error_row(code)->name)));
}

void
face_failure(struct op *op, struct request *request, struct reply *reply, int code)
{
	const struct route_match *match = request->route;

	log_failure(op, request, code);
	audit_failure(op, request, code);
	keep_few_headers(reply);
	switch (face_of(request)) {
	case FACE_OAUTH:
		face_oauth(op, reply, code);
		break;
	case FACE_API:
		face_api(op, request, reply, code);
		break;
	case FACE_PROBE:
		face_probe(op, reply, code);
		break;
	case FACE_PAGE:
		page_error(op, request, reply, code);
		break;
	}
	if (match && match->allow)
		default_header(reply, "Allow", match->allow);
	if (error_row(code)->status == 503)
		default_header(reply, "Retry-After", "1");
}
