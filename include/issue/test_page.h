/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The test page: a small application of our own at ISSUER/test-app, for seeing what an application would get.  Whoever signs in there
 * sees the tokens made for himself, in words and as they are, and nothing of anybody else.
 *
 * It is closed unless an administrator has opened it, for an hour at most; a restart closes it.  While it is closed its paths do not
 * exist.  Its tokens name the test page as their audience, so that no application takes them; they are revoked before they are shown,
 * and shown without their signatures; there is no refresh token.
 *
 * It is a registered public application like others (name TEST_PAGE_APP) and goes through the same authorization and token code; the
 * object is made when the page is opened and removed when it closes.
 */
#ifndef KW_ISSUE_TEST_PAGE_H
#define KW_ISSUE_TEST_PAGE_H

#include "net/route.h"
#include "people/object.h"

#define TEST_PAGE_APP OBJECT_TEST_PAGE
#define TEST_PAGE_SEC_MAX 3600

/* Opens it for this long from now, whether it is open or not.  ERR_CONFLICT: an application of another sort has its name. */
int test_page_open(struct op *op, int64_t sec) MUST_CHECK;
/* Closes it at once; what it was given ends. */
int test_page_close(struct op *op) MUST_CHECK;
/* Milliseconds that it stays open; 0: it is closed. */
int64_t test_page_left_ms(const struct op *op);
/* Where people find it. */
const char *test_page_address(struct op *op);
/* The job: takes away what an opened page leaves when its time is over, or a stop of the daemon. */
int test_page_tidy(struct op *op) MUST_CHECK;

HANDLER(page_test);
HANDLER(page_test_start);
HANDLER(page_test_callback);

#endif
