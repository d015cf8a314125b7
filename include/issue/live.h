/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The table of live access tokens in memory: a cache for introspection and userinfo.  Filled when a token is seen for the
 * first time, emptied by settled commits before those are acknowledged (op->svc->on_end), bounded in size.  What is not in it is looked up.
 */
#ifndef KW_ISSUE_LIVE_H
#define KW_ISSUE_LIVE_H

#include "crypt/hash.h"
#include "people/user.h"

struct live;

struct live *live_new(size_t max_tokens);
void live_free(struct live *live);
/* For op->svc->on_end. */
void live_on_end(struct op *op, const struct end_notice *notice);

#endif
