/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Roles of people.  Each grant carries its source: what rules gave is compared as a whole and follows the directory; what was given
 * by hand is touched by hands alone.  An account belongs to one directory, so all its grants of rules are of that one's.
 */
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "base/time.h"
#include "people/user.h"
#include "user_int.h"

static bool
is_same_place(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* A later version of a rule that still gives the role makes no new grant. */
static bool
is_wanted(const struct grant *grant, const struct wanted_grant *wanted, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(grant->source_id, wanted[i].rule_id) && !strcmp(grant->role_id, wanted[i].role_id) &&
		    is_same_place(grant->location_id, wanted[i].location_id))
			return true;
	return false;
}

static bool
is_held(const struct wanted_grant *wanted, const struct grant *grants, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_wanted(&grants[i], wanted, 1))
			return true;
	return false;
}

static int
audit_grant(struct op *op, enum event event, const struct grant *grant, const char *run)
{
	bool is_rule = !strcmp(grant->source_kind, "rule");
	const char *version = op_printf(op, "%lld", (long long)grant->source_version);
	char until[TIME_TEXT_BYTES];

	if (event == EV_GRANT_END)
		return audit_record(op, event, grant->user_id,
		    FACTS(FACT("role", grant->role_id), FACT("location", grant->location_id), FACT("source", grant->source_kind),
		        FACT("rule", is_rule ? grant->source_id : NULL), FACT("rule_version", is_rule ? version : NULL), FACT("run", run)));
	return audit_record(op, event, grant->user_id,
	    FACTS(FACT("role", grant->role_id), FACT("location", grant->location_id),
	        FACT("until", grant->valid_until ? time_text(grant->valid_until, until) : NULL), FACT("source", grant->source_kind),
	        FACT("rule", is_rule ? grant->source_id : NULL), FACT("rule_version", is_rule ? version : NULL), FACT("run", run)));
}

static int
audit_grants(struct op *op, enum event event, const struct grant *grants, size_t n, const char *run)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = audit_grant(op, event, &grants[i], run);
	return rc;
}

static int
end_grants(struct op *op, const struct grant *grants, size_t n, const struct change_source *source)
{
	int rc = db_grant_end(op, grants, n);

	return rc ? rc : audit_grants(op, EV_GRANT_END, grants, n, source_run(source));
}

static int
by_user(const void *a, const void *b)
{
	return strcmp(((const struct grant *)a)->user_id, ((const struct grant *)b)->user_id);
}

/* The grants of one person in a sorted list. */
static size_t
grants_of(const struct grant *grants, size_t n, const char *user_id, const struct grant **ret)
{
	size_t low = 0, high = n, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(grants[middle].user_id, user_id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < n && !strcmp(grants[end].user_id, user_id); end++)
		;
	*ret = grants + low;
	return end - low;
}

/* Grants of the accounts that were known before; the new ones have none. */
static int
load_held(struct op *op, const struct user_change *v, size_t n, struct grant **ret, size_t *ret_n)
{
	const char **ids = op_alloc(op, n * sizeof(*ids));
	size_t n_ids = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		if (v[i].user_id && !v[i].was_created)
			ids[n_ids++] = v[i].user_id;
	rc = db_grant_list_rules(op, ids, n_ids, ret, ret_n);
	if (!rc && *ret_n)
		qsort(*ret, *ret_n, sizeof(**ret), by_user);
	return rc;
}

static void
compare_person(struct op *op, struct user_change *change, const struct grant *held, size_t n_held,
    struct grant *ended, size_t *n_ended, struct grant *given, size_t *n_given)
{
	size_t n_before = *n_ended + *n_given;

	for (size_t i = 0; i < n_held; i++)
		if (!is_wanted(&held[i], change->grants, change->n_grants))
			ended[(*n_ended)++] = held[i];
	for (size_t i = 0; i < change->n_grants; i++) {
		const struct wanted_grant *wanted = &change->grants[i];

		if (!is_held(wanted, held, n_held))
			given[(*n_given)++] = (struct grant){
				.user_id = change->user_id, .role_id = wanted->role_id, .location_id = wanted->location_id,
				.valid_from = op->now_ms, .source_kind = "rule", .source_id = wanted->rule_id,
				.source_version = wanted->rule_version,
			};
	}
	if (*n_ended + *n_given != n_before)
		change->has_changed = true;
}

int
user_grants_write(struct op *op, struct user_change *v, size_t n, const struct change_source *source)
{
	struct grant *held, *ended, *given;
	size_t n_held, n_wanted = 0, n_ended = 0, n_given = 0;
	int rc = load_held(op, v, n, &held, &n_held);

	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++)
		n_wanted += v[i].n_grants;
	ended = op_alloc(op, n_held * sizeof(*ended));
	given = op_alloc(op, n_wanted * sizeof(*given));
	for (size_t i = 0; i < n; i++) {
		const struct grant *his;
		size_t n_his;

		if (!v[i].user_id)
			continue;
		n_his = grants_of(held, n_held, v[i].user_id, &his);
		compare_person(op, &v[i], his, n_his, ended, &n_ended, given, &n_given);
	}
	rc = end_grants(op, ended, n_ended, source);
	if (!rc)
		rc = db_grant_add(op, given, n_given);
	return rc ? rc : audit_grants(op, EV_GRANT_GIVE, given, n_given, source_run(source));
}

int
user_grants_drop(struct op *op, const char *const *user_ids, size_t n, const struct change_source *source)
{
	struct grant *held;
	size_t n_held;
	int rc = db_grant_list_rules(op, user_ids, n, &held, &n_held);

	return rc ? rc : end_grants(op, held, n_held, source);
}

/* What was given by hand for exactly that role and place, or NULL. */
static int
find_hand(struct op *op, const char *user_id, const char *role_id, const char *location_id, const struct grant **ret)
{
	struct grant *grants;
	size_t n;
	int rc = db_grant_list(op, user_id, op->now_ms, &grants, &n);

	*ret = NULL;
	for (size_t i = 0; !rc && i < n; i++)
		if (!strcmp(grants[i].source_kind, "hand") && !strcmp(grants[i].role_id, role_id) &&
		    is_same_place(grants[i].location_id, location_id))
			*ret = &grants[i];
	return rc;
}

int
users_grant(struct op *op, const char *user_id, const char *role_id, const char *location_id, int64_t until_ms)
{
	struct grant grant = {
		.user_id = user_id, .role_id = role_id, .location_id = location_id, .valid_from = op->now_ms, .valid_until = until_ms,
		.source_kind = "hand", .source_id = op->caller.actor ? op->caller.actor : "",
	};
	const struct grant *held;
	struct user *user;
	int rc = db_user_read(op, user_id, &user);

	if (!rc)
		rc = find_hand(op, user_id, role_id, location_id, &held);
	if (rc)
		return rc;
	if (held)
		return op_fail(op, ERR_CONFLICT, "%s holds that role there by hand already", user->login);
	if (until_ms && until_ms <= op->now_ms)
		return op_fail(op, ERR_INVALID, "the end of a grant must lie ahead");
	rc = db_grant_add(op, &grant, 1);
	return rc ? rc : audit_grant(op, EV_GRANT_GIVE, &grant, NULL);
}

int
users_revoke(struct op *op, const char *user_id, const char *role_id, const char *location_id)
{
	const struct grant *held;
	int rc = find_hand(op, user_id, role_id, location_id, &held);

	if (rc)
		return rc;
	if (!held)
		return op_fail(op, ERR_NOT_FOUND, "nothing was given by hand for that role and location");
	rc = db_grant_end(op, held, 1);
	return rc ? rc : audit_grant(op, EV_GRANT_END, held, NULL);
}
