/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the two halves of the test page share. */
#ifndef KW_ISSUE_TEST_PAGE_INT_H
#define KW_ISSUE_TEST_PAGE_INT_H

#include "issue/test_page.h"
#include "oidc_int.h"

/* The application, while the page is open; NULL else. */
const struct catalog_app *test_page_app(struct op *op);
/* ERR_NOT_FOUND while it is closed. */
int test_page_check_open(struct op *op) MUST_CHECK;
const char *test_page_redirect_uri(struct op *op);
/* The browser's random value; NULL when it has none, or two. */
const char *test_page_secret(const struct request *request);
/* Takes it out of the browser. */
void test_page_forget(struct reply *reply);
/* "state", "nonce", "verifier": 43 characters that only this browser can know. */
const char *test_page_derive(struct op *op, const char *secret, const char *purpose);

#endif
