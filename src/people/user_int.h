/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What user.c, user_grant.c and user_state.c share: one batch of changes on its way into the database. */
#ifndef KW_PEOPLE_USER_INT_H
#define KW_PEOPLE_USER_INT_H

#include "people/user.h"

/* The run's id where a synchronisation made the change, else NULL: fact "run" of the audit. */
const char *source_run(const struct change_source *source);

/* Writes the account's new state of the directory's side: history, end of sessions when he loses access, audit. */
int user_state_write(struct op *op, const struct user *before, const struct user *after, const struct change_source *source) MUST_CHECK;

/* Ends and gives roles of rules, so that each of the n people holds exactly the wanted ones; marks who changed. */
int user_grants_write(struct op *op, struct user_change *v, size_t n, const struct change_source *source) MUST_CHECK;
/* Takes every role that rules gave. */
int user_grants_drop(struct op *op, const char *const *user_ids, size_t n, const struct change_source *source) MUST_CHECK;

#endif
