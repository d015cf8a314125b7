/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Anti-forgery of forms (declared in login/session.h).  Two locks, both must open: the Origin header says that the browser
 * sends the form from a page of ours, and the form holds the MAC of a cookie that only this browser has.  The purpose in the
 * MAC keeps other things that are signed with the same key from being accepted here.
 */
#include <string.h>

#include "base/config.h"
#include "base/text.h"
#include "crypt/random.h"
#include "login/session.h"
#include "people/keyring.h"

#define FORM_COOKIE "__Host-keyward-form"
#define FORM_PURPOSE "keyward form v1"
#define FORM_COOKIE_LENGTH 43

static const char *
form_cookie(const struct request *request)
{
	size_t count = 0;
	const char *cookie = http_pair(&request->cookies, FORM_COOKIE, &count);

	return cookie && count == 1 && strlen(cookie) == FORM_COOKIE_LENGTH ? cookie : NULL;
}

static char *
token_of(struct op *op, const char *cookie)
{
	unsigned char mac[SHA256_BYTES];
	struct hash_part parts[] = { { FORM_PURPOSE, sizeof(FORM_PURPOSE) }, { cookie, strlen(cookie) } };

	keyring_mac(op, parts, countof(parts), mac);
	return base64url_encode(op->mem, mac, sizeof(mac));
}

char *
form_token(struct op *op, const struct request *request, struct reply *reply)
{
	const char *cookie = form_cookie(request);

	if (!cookie) {
		cookie = random_secret(op);
		reply_header(reply, "Set-Cookie",
		    arena_printf(reply->mem, FORM_COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Lax", cookie));
	}
	return token_of(op, cookie);
}

/*
 * RFC 6454 7: browsers name the origin of a form post; "null" and a missing one are not ours.  Fetch Metadata speaks where
 * Origin is left out.
 */
static bool
is_own_origin(struct op *op, const struct request *request)
{
	size_t n_origin = 0, n_site = 0;
	const char *origin = http_header(request, "Origin", &n_origin), *site = http_header(request, "Sec-Fetch-Site", &n_site);

	if (n_origin > 1 || n_site > 1 || (site && strcmp(site, "same-origin") != 0))
		return false;
	if (origin)
		return strcmp(origin, op->config->issuer) == 0;
	return site != NULL;
}

int
form_check(struct op *op, const struct request *request)
{
	size_t count = 0;
	const char *cookie = form_cookie(request), *given = http_pair(&request->form, "csrf", &count), *wanted;

	/* ASVS 3.5.1 */
	if (!is_own_origin(op, request))
		return op_fail(op, ERR_CSRF, "the form does not come from a page of ours (Origin, Sec-Fetch-Site)");
	if (!cookie || !given || count != 1)
		return op_fail(op, ERR_CSRF, "the form has no token, or the browser has lost its cookie");
	wanted = token_of(op, cookie);
	if (strlen(given) != strlen(wanted) || !bytes_equal(given, wanted, strlen(wanted)))
		return op_fail(op, ERR_CSRF, "the form's token is not that of this browser");
	return 0;
}
