/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The pages that people see.  HTML lies in the templates of src/web, words in src/web/messages; these functions fill the reply
 * with the page and its headers (content security policy, no-store, no framing).
 *
 *     return page_error(op, request, reply, ERR_NOT_FOUND);
 */
#ifndef KW_LOGIN_PAGE_H
#define KW_LOGIN_PAGE_H

#include "base/text.h"
#include "net/http.h"
#include "net/route.h"
#include "people/catalog.h"

/* The fields of frame_head and frame_foot, for the struct of a page. */
#define PAGE_FRAME_PLAIN(op) \
	.organisation = (op)->config->organisation, .source_url = (op)->config->source_url, \
	.service_desk = (op)->config->service_desk

/* The page of a failure: status and words of errors.def, and the request id to tell the service desk.  Returns 0. */
int page_error(struct op *op, const struct request *request, struct reply *reply, int code);
/* The public words of a failure, for answers that are no page. */
const char *page_error_text(const struct op *op, int code);
/* The same for an error that the OpenID provider may not send back to the application (unknown client or redirect URI, RFC 6749
 * 4.1.2.1): the words are those of code. */
int page_error_with_app(struct op *op, const struct request *request, struct reply *reply, int code, const char *app_title);

/*
 * "Do you want to sign out?", for RP-initiated logout without a matching id_token_hint.  The form posts to /oauth2/logout: the
 * given fields as they came, confirm=yes, and csrf (check it with form_check).  app may be NULL.
 */
void page_logout_confirm(struct op *op, const struct request *request, struct reply *reply, const struct catalog_app *app,
    const struct http_pair *fields, size_t n);
/* "You are signed out." */
void page_signed_out(struct op *op, const struct request *request, struct reply *reply);

/*
 * Finishes a reply with a page: html belongs to reply->mem.  form_action: sources beside 'self' that a form of the page may
 * lead to, "" for none.
 */
void page_send(struct op *op, struct reply *reply, int status, const char *html, const char *form_action);
/*
 * The sources that a form of our own may lead to when it ends at one of these addresses of an application (registered ones,
 * never those of a request).  Browsers check form-action on the redirects after a form, too, and an application may redirect
 * once more within https.
 */
char *page_form_action(struct op *op, const struct strings *uris);

HANDLER(page_root);
HANDLER(page_account);
HANDLER(page_sign_out);
HANDLER(page_session_end);
HANDLER(page_asset);

#endif
