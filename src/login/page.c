/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Pages that belong to no flow: errors, signed out, the question before an application's sign-out, and the embedded files. 
 * Read page_send first: it is what every page of Keyward ends in.
 */
#include "login/page.h"

#include <string.h>

#include "base/config.h"
#include "login/session.h"
#include "page_int.h"

/* Strict: nothing but our own style, images and type; no script at all. */
#define POLICY "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; " \
	"form-action 'self'"
#define TYPE_HTML "text/html; charset=utf-8"

/* A missing message key does not compile. */
static const enum web_word error_words[] = {
#define ERR(name, status, oauth, level, message) [ERR_NUMBER_##name] = WEB_##message,
#include "tables/errors.def"
#undef ERR
};

const char *
page_word(const struct op *op, enum web_word word)
{
	return web_word(op->caller.language, word);
}

enum web_word
page_error_word(int code)
{
	return code < 0 && -code < ERR_NUMBER_COUNT ? error_words[-code] : WEB_msg_internal;
}

const char *
page_error_text(const struct op *op, int code)
{
	return page_word(op, page_error_word(code));
}

const char *
page_idle_minutes(struct op *op)
{
	return op_printf(op, "%lld", (long long)(op->config->session_idle / 60));
}

void
page_send(struct op *op, struct reply *reply, int status, const char *html, const char *form_action)
{
	reply_body(reply, status, TYPE_HTML, html, strlen(html));
	reply_header(reply, "Content-Security-Policy", op_printf(op, POLICY "%s%s", *form_action ? " " : "", form_action));
	/* "no-referrer" would make browsers send "Origin: null" with our own forms (Fetch 3.2.1), which form_check refuses */
	reply_header(reply, "Referrer-Policy", "same-origin");
	reply_header(reply, "Cache-Control", "no-store");
	reply_header(reply, "Content-Language", "en");
}

/*
 * The source expression of one address: https: for all https ones, host (any port on loopback, RFC 8252 7.3) or scheme of
 * others.
 */
static char *
source_of(struct op *op, const char *uri)
{
	const char *colon = strchr(uri, ':');
	size_t scheme = colon ? (size_t)(colon - uri) : 0, host;

	if (!scheme || strncmp(uri, "https:", 6) == 0)
		return op_strdup(op, "https:");
	if (strncmp(uri, "http://", 7) != 0)
		return op_strndup(op, uri, scheme + 1);
	host = strcspn(uri + 7, "/?#");
	if (strncmp(uri + 7, "127.0.0.1", 9) == 0)
		return op_strdup(op, "http://127.0.0.1:*");
	if (strncmp(uri + 7, "localhost", 9) == 0)
		return op_strdup(op, "http://localhost:*");
	return op_strndup(op, uri, 7 + host);
}

char *
page_form_action(struct op *op, const struct strings *uris)
{
	struct buf buf = buf_in(op->mem);
	size_t i;

	for (i = 0; uris && i < uris->n; i++) {
		char *source = source_of(op, uris->v[i]);

		/* nothing in it may end the directive */
		if (strpbrk(source, ";, \t\"'") || strstr(buf.text, source))
			continue;
		buf_printf(&buf, "%s%s", buf.length ? " " : "", source);
	}
	return buf.text;
}

int
page_error_with_app(struct op *op, const struct request *request, struct reply *reply, int code, const char *app_title)
{
	struct web_error page = { PAGE_FRAME(op), .app_title = app_title, .request_id = op->request_id,
		.heading = page_word(op, page_error_word(code)) };

	(void)request;
	page_send(op, reply, error_row(code)->status, web_error(op->mem, op->caller.language, &page), "");
	return 0;
}

int
page_error(struct op *op, const struct request *request, struct reply *reply, int code)
{
	return page_error_with_app(op, request, reply, code, NULL);
}

void
page_logout_confirm(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app,
    const struct http_pair *fields, size_t n)
{
	struct web_logout_confirm_fields *v = op_alloc(op, n * sizeof(*v));
	struct web_logout_confirm page = { PAGE_FRAME(op), .fields = v, .n_fields = n };
	size_t i;

	for (i = 0; i < n; i++)
		v[i] = (struct web_logout_confirm_fields){ fields[i].name, fields[i].value };
	if (app)
		page.app_title = app->body->title ? app->body->title : app->body->name;
	page.csrf = form_token(op, request, reply);
	page_send(op, reply, 200, web_logout_confirm(op->mem, op->caller.language, &page),
	    app ? page_form_action(op, &app->body->post_logout_uris) : "");
}

void
page_signed_out(struct op *op, const struct request *request, struct reply *reply)
{
	struct web_signed_out page = { PAGE_FRAME(op) };

	(void)request;
	page_send(op, reply, 200, web_signed_out(op->mem, op->caller.language, &page), "");
}

HANDLER(page_root)
{
	(void)op;
	(void)request;
	reply_redirect(reply, "/account");
	return 0;
}

HANDLER(page_asset)
{
	const char *name = route_param(request, "name");
	const struct web_asset *asset = name ? web_asset_find(name) : NULL;

	if (!asset)
		return op_fail(op, ERR_NOT_FOUND, "there is no such file");
	reply_body(reply, 200, asset->type, (const char *)asset->data, asset->size);
	reply->is_static = true;
	/* RFC 8246: the name holds the hash of the content */
	reply_header(reply, "Cache-Control", "public, max-age=31536000, immutable");
	return 0;
}
