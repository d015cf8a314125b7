/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What may happen to people: accounts are created, changed, disabled and enabled; roles are given and taken.  Every function
 * takes many changes at once and is called inside db_run; each writes history and audit rows with the change.
 */
#ifndef KW_PEOPLE_USER_H
#define KW_PEOPLE_USER_H

#include "policy/map.h"            /* struct wanted_grant */
#include "store/user.h"

/* A person as a directory tells of him, after mapping; all strings UTF-8 without control characters. */
struct person {
	const char *directory_id, *external_id;
	const char *login, *display_name, *mail;        /* mail NULL when none */
	const char *attributes;                         /* canonical JSON: given_name, family_name, phone, street, locality, postal_code, country, ... */
	unsigned char digest[32];                       /* over everything above and the state */
	bool is_active;
	const char *reason;                             /* "", disabled, expired, gone, out_of_scope */
	int64_t until;                                  /* end of the account, 0: none; may lie ahead */
};

struct user_change {
	struct person person;
	const struct wanted_grant *grants;
	size_t n_grants;
	const char *user_id;                            /* out: the account's id; given when known already */
	bool was_created;                               /* out */
	bool has_changed;                               /* out: a row of his was written */
};

struct change_source {
	const char *kind;                               /* sync, login, clock, root */
	const char *id;                                 /* run id, session id, ... */
	int64_t learned_ms;                             /* when it could be known at the earliest: the start of a run; 0: op->now_ms */
};

/*
 * Makes accounts be as the directory tells (all of one directory): creates who is new (never who is disabled and was not known), changes, disables,
 * enables, gives and takes roles of rules; roles given by hand stay.  Disabling ends sessions and authorizations in the same
 * transaction.  Unchanged people cost one look and no write.
 */
int users_change(struct op *op, struct user_change *v, size_t n, const struct change_source *source) MUST_CHECK;
/* Names of the data in which the account differs from the person, blank separated; "" when none do.  Belongs to the op. */
const char *users_compare(struct op *op, const struct user *user, const struct person *person);
/* The account is gone from the directory or out of its scope: reason "gone" or "out_of_scope". */
int users_gone(struct op *op, const char *const *user_ids, size_t n, const char *reason, const struct change_source *source) MUST_CHECK;
/* The local side: stands beside the directory's. */
int users_set_local(struct op *op, const char *user_id, bool is_active, const char *reason) MUST_CHECK;
/* By hand.  until 0: no end.  ERR_CONFLICT when already held, ERR_NOT_FOUND when nothing by hand is there to take. */
int users_grant(struct op *op, const char *user_id, const char *role_id, const char *location_id, int64_t until_ms) MUST_CHECK;
int users_revoke(struct op *op, const char *user_id, const char *role_id, const char *location_id) MUST_CHECK;
/* Ends all sessions and authorizations of a person; with db_on_commit for the table of live ones. */
int users_end_sessions(struct op *op, const char *user_id, const char *why, int64_t *ret_sessions, int64_t *ret_authorizations) MUST_CHECK;
/* Up to 100 accounts whose directory_until has passed by: disabled now (a job calls it; the directory sends no event for it). */
int users_expire(struct op *op, int64_t *ret_count) MUST_CHECK;
/* The job: all of them, outside db_run. */
int user_expire_job(struct op *op) MUST_CHECK;

/* What ended; op->svc->on_end is told after the commit, one call for each (people may not look upstairs to issue/live.c). */
struct end_notice { const char *user_id, *session_id, *authorization_id; };

#endif
