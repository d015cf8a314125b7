/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Whether somebody may come in: two sides, the directory's and the local one, and only if both say active he is.  Losing access ends
 * sessions and authorizations in the same transaction.  Read user_state_write.
 */
#include <string.h>

#include "audit/audit.h"
#include "base/metric.h"
#include "base/time.h"
#include "people/user.h"
#include "store/ending.h"
#include "store/group.h"
#include "user_int.h"

#define EXPIRE_BATCH 100

static void
tell_end(struct op *op, void *notice)
{
	if (op->svc->on_end)
		op->svc->on_end(op, notice);
}

static void
notice_end(struct op *op, const char *user_id, const char *session_id, const char *authorization_id)
{
	struct end_notice *notice = op_alloc(op, sizeof(*notice));

	*notice = (struct end_notice){ .user_id = op_strdup(op, user_id), .session_id = session_id, .authorization_id = authorization_id };
	db_on_commit(op, tell_end, notice);
}

int
users_end_sessions(struct op *op, const char *user_id, const char *why, int64_t *ret_sessions, int64_t *ret_authorizations)
{
	const char **sessions, **authorizations;
	size_t n_sessions, n_authorizations;
	int rc = db_sessions_end_user(op, user_id, why, &sessions, &n_sessions);

	if (!rc)
		rc = db_authorizations_end_user(op, user_id, why, &authorizations, &n_authorizations);
	if (rc)
		return rc;
	*ret_sessions = (int64_t)n_sessions;
	*ret_authorizations = (int64_t)n_authorizations;
	notice_end(op, user_id, NULL, NULL);
	for (size_t i = 0; i < n_sessions; i++)
		notice_end(op, user_id, sessions[i], NULL);
	for (size_t i = 0; i < n_authorizations; i++)
		notice_end(op, user_id, NULL, authorizations[i]);
	return 0;
}

static int
audit_disabled(struct op *op, const struct user *user, const char *side, const char *reason, int64_t sessions, int64_t authorizations,
    const char *run)
{
	return audit_record(op, EV_USER_DISABLE, user->id,
	    FACTS(PERSONAL("login", user->login), FACT("side", side), FACT("reason", reason),
	        FACT("sessions", op_printf(op, "%lld", (long long)sessions)),
	        FACT("authorizations", op_printf(op, "%lld", (long long)authorizations)), FACT("run", run)));
}

static int
audit_enabled(struct op *op, const struct user *user, const char *side, const char *reason, const char *run)
{
	return audit_record(op, EV_USER_ENABLE, user->id,
	    FACTS(PERSONAL("login", user->login), FACT("side", side), FACT("reason", *reason ? reason : NULL), FACT("run", run)));
}

static void
measure_end(struct op *op, void *learned_ms)
{
	(void)op;
	metric_observe(METRIC_offboard_latency_seconds, time_now_ms() - *(int64_t *)learned_ms);
}

/* One side went from active to disabled or back. */
static int
side_turned(struct op *op, const struct user *after, const char *side, bool is_active, const char *reason, const char *run,
    int64_t learned_ms)
{
	int64_t sessions = 0, authorizations = 0;
	int rc = 0;

	if (is_active)
		return audit_enabled(op, after, side, reason, run);
	rc = users_end_sessions(op, after->id, "account disabled", &sessions, &authorizations);
	/* after the notices of users_end_sessions: when it runs, memory has forgotten them, too */
	if (!rc)
		db_on_commit(op, measure_end, op_memdup(op, &learned_ms, sizeof(learned_ms)));
	return rc ? rc : audit_disabled(op, after, side, reason, sessions, authorizations, run);
}

/* An end that lay ahead was known: it counts from the moment itself. */
static int64_t
learned_ms(const struct op *op, const struct user *after, const struct change_source *source)
{
	if (strcmp(source->kind, "clock") == 0 && after->directory_until)
		return after->directory_until;
	return source->learned_ms ? source->learned_ms : op->now_ms;
}

int
user_state_write(struct op *op, const struct user *before, const struct user *after, const struct change_source *source)
{
	struct user_state state = {
		.user_id = after->id, .side = "directory", .is_active = after->directory_active, .reason = after->directory_reason,
		.valid_from = op->now_ms, .valid_until = after->directory_active ? after->directory_until : 0,
		.source_kind = source->kind, .source_id = source->id,
	};
	int rc = db_user_state_end(op, after->id, "directory");

	if (!rc)
		rc = db_user_state_add(op, &state, 1);
	if (!rc && before->directory_active != after->directory_active)
		return side_turned(op, after, "directory", after->directory_active, after->directory_reason, source_run(source),
		    learned_ms(op, after, source));
	if (!rc && strcmp(before->directory_reason, after->directory_reason))
		rc = audit_record(op, EV_USER_CHANGE, after->id,
		    FACTS(PERSONAL("login", after->login), FACT("fields", "reason"), FACT("why", after->directory_reason),
		        FACT("run", source_run(source))));
	return rc;
}

/* The directory's side of known accounts becomes disabled. */
static int
disable_all(struct op *op, struct user *const *users, size_t n, const char *reason, bool is_forgotten, const struct change_source *source)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++) {
		struct user *after;

		if (!users[i] || (!users[i]->directory_active && !strcmp(users[i]->directory_reason, reason)))
			continue;
		after = op_memdup(op, users[i], sizeof(*after));
		after->directory_active = after->is_active = false;
		after->directory_reason = reason;
		after->changed_ms = op->now_ms;
		/* so that an entry that comes back as it was is seen as another one */
		if (is_forgotten)
			memset(after->digest, 0, sizeof(after->digest));
		rc = db_user_update(op, (const struct user *const *)&after, 1);
		if (!rc)
			rc = user_state_write(op, users[i], after, source);
	}
	return rc;
}

static int
leave_groups(struct op *op, const char *const *user_ids, size_t n)
{
	struct membership *edges;
	const char **ids;
	size_t n_edges;
	int rc = db_membership_list_users(op, user_ids, n, &edges, &n_edges);

	if (rc)
		return rc;
	ids = op_alloc(op, n_edges * sizeof(*ids));
	for (size_t i = 0; i < n_edges; i++)
		ids[i] = edges[i].id;
	return db_membership_end(op, ids, n_edges);
}

int
users_gone(struct op *op, const char *const *user_ids, size_t n, const char *reason, const struct change_source *source)
{
	struct user **users;
	int rc = db_user_read_many(op, user_ids, n, &users);

	if (!rc)
		rc = disable_all(op, users, n, reason, true, source);
	if (!rc)
		rc = leave_groups(op, user_ids, n);
	return rc ? rc : user_grants_drop(op, user_ids, n, source);
}

int
users_expire(struct op *op, int64_t *ret_count)
{
	static const struct change_source clock = { .kind = "clock", .id = "users_expire" };
	struct user **users;
	size_t n;
	int rc = db_user_list_over(op, op->now_ms, EXPIRE_BATCH, &users, &n);

	*ret_count = 0;
	if (!rc)
		rc = disable_all(op, users, n, "expired", false, &clock);
	if (!rc)
		*ret_count = (int64_t)n;
	return rc;
}

static const char *
actor_kind_text(const struct op *op)
{
	switch (op->caller.kind) {
	case ACTOR_ROOT:
		return "root";
	case ACTOR_USER:
		return "user";
	case ACTOR_APP:
		return "app";
	default:
		return "system";
	}
}

int
users_set_local(struct op *op, const char *user_id, bool is_active, const char *reason)
{
	struct user_state state = {
		.user_id = user_id, .side = "local", .is_active = is_active, .reason = reason ? reason : "", .valid_from = op->now_ms,
		.source_kind = actor_kind_text(op), .source_id = op->caller.actor ? op->caller.actor : "",
	};
	struct user *before, *after;
	int rc = db_user_read(op, user_id, &before);

	if (rc || before->local_active == is_active)
		return rc;
	after = op_memdup(op, before, sizeof(*after));
	after->local_active = is_active;
	after->is_active = after->directory_active && after->local_active;
	after->was_active |= after->is_active;
	rc = db_user_update(op, (const struct user *const *)&after, 1);
	if (!rc)
		rc = db_user_state_end(op, user_id, "local");
	if (!rc)
		rc = db_user_state_add(op, &state, 1);
	return rc ? rc : side_turned(op, after, "local", is_active, state.reason, NULL, op->now_ms);
}

struct expired {
	int64_t count;
};

static int
expire_body(struct op *op, void *arg)
{
	return users_expire(op, &((struct expired *)arg)->count);
}

int
user_expire_job(struct op *op)
{
	struct expired expired;
	int rc;

	do {
		rc = db_run(op, expire_body, &expired);
	} while (!rc && expired.count == EXPIRE_BATCH);
	return rc;
}
