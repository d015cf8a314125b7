/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a restore opens again: accounts that somebody disabled here, in Keyward, after the backup was made.  The directory still calls them
 * active, so that no synchronisation ends them.  Looks at the old database and at the restored one; changes neither.
 */
#include "keep_int.h"
#include "store/user.h"

#define DISABLED_MAX 100000

struct look {
	size_t limit, n;
	struct user **v;
};

static int
list_body(struct op *op, void *arg)
{
	struct look *look = arg;

	int rc = db_user_list_disabled_here(op, look->limit, &look->v, &look->n);

	/* to tell of some would look like all */
	return rc || look->n < look->limit ? rc : op_fail(op, ERR_TOO_LARGE, "too many accounts are disabled here to compare them");
}

/* Keeps those that are not disabled here in the restored one: active there, or not known there yet. */
static int
keep_body(struct op *op, void *arg)
{
	struct look *look = arg;
	struct user **kept = op_alloc(op, look->n * sizeof(*kept));
	size_t n = 0;

	for (size_t i = 0; i < look->n; i++) {
		struct user *now;
		int rc = db_user_read(op, look->v[i]->id, &now);

		if (rc && rc != ERR_NOT_FOUND)
			return rc;
		op_forgive(op);
		if (rc || now->local_active)
			kept[n++] = look->v[i];
	}
	look->v = kept;
	look->n = n;
	return 0;
}

static int
look_into(struct op *op, const char *file, int (*body)(struct op *op, void *arg), struct look *look)
{
	struct seat seat = { 0 };
	struct look found = *look;
	int rc;

	seat_take(&seat, op);
	rc = db_open_reader(seat.op, file, &seat.svc.db);
	if (!rc)
		rc = db_read(seat.op, body, &found);
	/* what was read belongs to the seat's op */
	look->n = rc ? 0 : found.n;
	look->v = op_alloc(op, look->n * sizeof(*look->v));
	for (size_t i = 0; i < look->n; i++) {
		look->v[i] = op_alloc(op, sizeof(**look->v));
		*look->v[i] = (struct user){ .id = op_strdup(op, found.v[i]->id), .login = op_strdup(op, found.v[i]->login) };
	}
	return seat_leave(op, &seat, rc);
}

void
reopened_find(struct op *op, const char *old, const char *restored, struct backup *ret)
{
	struct look look = { .limit = DISABLED_MAX };

	ret->is_compared = look_into(op, old, list_body, &look) == 0 && look_into(op, restored, keep_body, &look) == 0;
	op_forgive(op);
	ret->reopened = op_alloc(op, look.n * sizeof(*ret->reopened));
	ret->n_reopened = ret->is_compared ? look.n : 0;
	for (size_t i = 0; i < ret->n_reopened; i++)
		ret->reopened[i] = look.v[i]->login;
}
