/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The table of live access tokens in memory: a cache for introspection.  Filled when a token is seen for the first time,
 * emptied by settled commits before those are acknowledged (op->svc->on_end), bounded in size.  What is not in it is looked
 * up.
 *
 *     uint64_t mark = live_mark(live, &ids);          // before the database is read
 *     ... the database says that the token lives ...
 *     live_put(op, hash, &ids, mark, &token);         // kept, but not found if something ended since the mark
 *
 * How an end reaches it: ids fall into 65,536 slots, each with a counter.  An end moves the counters of its ids on; a token
 * remembers the sum of its counters and is found only while the sum is the same.  Two ids that share a slot cost a look-up,
 * never a wrong answer. Every function takes op->svc->live NULL: then nothing is kept.
 */
#ifndef KW_ISSUE_LIVE_H
#define KW_ISSUE_LIVE_H

#include "crypt/hash.h"
#include "people/user.h"

struct live;

/* What a token hangs on; members may be NULL. */
struct live_ids {
	const char *user_id, *session_id, *authorization_id, *jti;
};

struct live_token {
	const char *client_id;          /* of the application that the token was issued to */
	const char *audience;
	const char *answer;             /* introspection answer, JSON */
	int64_t until_ms;               /* the token's exp, or an earlier end of its authorization */
};

/*
 * Nothing is found while the database cannot vouch for what is kept (db_may_answer).  max_tokens bounds the memory: about 1 kB each. */
struct live *live_new(size_t max_tokens);
void live_free(struct live *live);

uint64_t live_mark(struct live *live, const struct live_ids *ids);
/* hash: SHA-256 of the token.  The strings of *ret belong to the op. */
bool live_find(struct op *op, const unsigned char hash[static SHA256_BYTES], struct live_token *ret);
void live_put(struct op *op, const unsigned char hash[static SHA256_BYTES], const struct live_ids *ids, uint64_t mark,
    const struct live_token *token);
/* Every token that hangs on one of the ids is forgotten; those being put now as well. */
void live_drop(struct live *live, const struct live_ids *ids);
/* Every token is forgotten; those being put now as well. */
void live_drop_all(struct live *live);
/* For op->svc->on_end. */
void live_on_end(struct op *op, const struct end_notice *notice);
/* Gives the memory of tokens back that are over; a job calls it. */
void live_sweep(struct op *op);

/* Tokens that services got for themselves, counted for the audit log until the next flush (oidc_flush of issue/oidc.h). */
struct live_count {
	const char *client_id;
	int64_t n;
};
void live_count_client(struct op *op, const char *client_id, int64_t n);
/* Takes the counts out; they belong to the op. */
void live_take_counts(struct op *op, struct live_count **ret, size_t *ret_n);

#endif
