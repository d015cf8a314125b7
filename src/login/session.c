/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Browser sessions: found by the cookie, made at a sign-in, ended.  The cookie is id.secret, 36 and 43 characters; the database
 * has only the secret's SHA-256, so that whoever reads the database cannot take a session over.
 */
#include "login/session.h"

#include <string.h>

#include "audit/audit.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/metric.h"
#include "base/time.h"
#include "base/uuid.h"
#include "crypt/hash.h"
#include "crypt/random.h"
#include "people/user.h"
#include "store/authorization.h"
#include "store/session.h"

#define COOKIE "__Host-keyward"
/*
 * RFC 6265bis 4.1.3.2: __Host- keeps other hosts of the domain from setting it; Secure stands even behind a proxy that does the
 * TLS
 */
#define COOKIE_FLAGS "; Path=/; Secure; HttpOnly; SameSite=Lax"
#define ID_LENGTH (UUID_TEXT_BYTES - 1)
#define SECRET_LENGTH 43
#define TOUCH_MS 60000
/* kept this long after their end, for whoever asks what happened yesterday; in pieces, so that no writer waits long */
#define PURGE_KEEP_MS INT64_C(86400000)
#define PURGE_LIMIT 500

struct finding {
	const char *id;
	const char *secret;
	struct session_row *row;        /* out; NULL when there is no such living session */
};

static bool
is_alive(const struct op *op, const struct session_row *row)
{
	return !row->ended_ms && row->until_ms > op->now_ms && row->seen_ms + op->config->session_idle * 1000 > op->now_ms;
}

static int
find_body(struct op *op, void *arg)
{
	struct finding *finding = arg;
	unsigned char hash[SHA256_BYTES];
	struct session_row *row;
	struct user *user;
	int rc = db_session_read(op, finding->id, &row);

	finding->row = NULL;
	if (rc == ERR_NOT_FOUND) {
		op_forgive(op);
		return 0;
	}
	if (rc)
		return rc;
	sha256(finding->secret, SECRET_LENGTH, hash);
	if (!bytes_equal(hash, row->secret_hash, sizeof(hash)) || !is_alive(op, row))
		return 0;
	/* disabling ends sessions in its transaction; this is the second lock (ASVS 7.4.2) */
	rc = db_user_read(op, row->user_id, &user);
	if (!rc && user->is_active)
		finding->row = row;
	return rc;
}

static int
touch_body(struct op *op, void *arg)
{
	return db_session_touch(op, arg, op->now_ms);
}

/* Exactly one cookie of that name, exactly of that form (RFC 6265 5.4: which of two comes first says nothing). */
static bool
read_cookie(struct op *op, const struct request *request, struct finding *ret)
{
	size_t count = 0;
	const char *cookie = http_pair(&request->cookies, COOKIE, &count);

	if (!cookie || count != 1 || strlen(cookie) != ID_LENGTH + 1 + SECRET_LENGTH || cookie[ID_LENGTH] != '.')
		return false;
	ret->id = op_strndup(op, cookie, ID_LENGTH);
	ret->secret = op_strdup(op, cookie + ID_LENGTH + 1);
	return uuid_is_valid(ret->id);
}

static struct session *
session_of(struct op *op, const struct session_row *row)
{
	struct session *session = op_alloc(op, sizeof(*session));

	*session = (struct session){ .id = row->id, .user_id = row->user_id, .auth_ms = row->auth_ms, .amr = row->amr,
	    .address = row->address,
		.device = row->device, .created_ms = row->created_ms, .seen_ms = row->seen_ms, .until_ms = row->until_ms };
	return session;
}

int
session_find(struct op *op, const struct request *request, struct session **ret)
{
	struct finding finding = { 0 };
	int rc;

	*ret = NULL;
	if (!read_cookie(op, request, &finding))
		return 0;
	rc = db_read(op, find_body, &finding);
	if (!rc && finding.row && finding.row->seen_ms + TOUCH_MS <= op->now_ms)
		rc = db_run(op, touch_body, op_strdup(op, finding.id));
	if (rc || !finding.row)
		return rc;
	*ret = session_of(op, finding.row);
	op->caller.kind = ACTOR_USER;
	op->caller.actor = finding.row->user_id;
	op->caller.session = finding.row->id;
	return 0;
}

int
session_create(struct op *op, const char *user_id, const char *amr, struct session **ret, char **ret_cookie)
{
	char *id = op_alloc(op, UUID_TEXT_BYTES), *secret = random_secret(op);
	struct session_row row = { .user_id = user_id, .auth_ms = op->now_ms, .amr = amr, .created_ms = op->now_ms,
		.seen_ms = op->now_ms };
	int rc = clock_check(op);

	if (rc)
		return rc;
	uuid_new(id, op->now_ms);
	row.id = id;
	row.until_ms = op->now_ms + op->config->session_absolute * 1000;
	row.address = op->caller.address ? op->caller.address : "";
	row.device = op->caller.device ? op->caller.device : "";
	sha256(secret, strlen(secret), row.secret_hash);
	rc = db_session_insert(op, &row);
	if (rc)
		return rc;
	*ret = session_of(op, &row);
	*ret_cookie = op_printf(op, "%s.%s", id, secret);
	return 0;
}

static void
tell_end(struct op *op, void *notice)
{
	if (op->svc->on_end)
		op->svc->on_end(op, notice);
}

static int
end_row(struct op *op, const char *session_id, const char *why)
{
	struct end_notice *notice = op_alloc(op, sizeof(*notice));
	bool has_ended = false;
	int rc = db_session_end(op, session_id, op->now_ms, why, &has_ended);

	if (rc || !has_ended)
		return rc;
	rc = audit_record(op, EV_SESSION_END, session_id, FACTS(FACT("reason", why)));
	*notice = (struct end_notice){ .session_id = op_strdup(op, session_id) };
	db_on_commit(op, tell_end, notice);
	return rc;
}

int
session_end(struct op *op, const char *session_id, const char *why)
{
	int rc = end_row(op, session_id, why);

	return rc ? rc : db_authorization_end_session(op, session_id, why, NULL);
}

int
session_hand_over(struct op *op, const struct session *old, const struct session *next)
{
	int rc = end_row(op, old->id, "new sign-in");

	if (rc)
		return rc;
	/* another person at the same browser takes nothing over */
	if (strcmp(old->user_id, next->user_id) != 0)
		return db_authorization_end_session(op, old->id, "new sign-in", NULL);
	return db_authorization_move(op, old->id, next->id, next->user_id);
}

void
session_set_cookie(struct reply *reply, const char *cookie)
{
	reply_header(reply, "Set-Cookie", arena_printf(reply->mem, COOKIE "=%s" COOKIE_FLAGS, cookie));
}

void
session_clear_cookie(struct reply *reply)
{
	reply_header(reply, "Set-Cookie", COOKIE "=" COOKIE_FLAGS "; Max-Age=0");
}

static int
purge_body(struct op *op, void *count)
{
	return db_session_purge(op, op->now_ms - PURGE_KEEP_MS, PURGE_LIMIT, count);
}

int
session_purge(struct op *op)
{
	int64_t count = PURGE_LIMIT;
	int rc = 0;

	while (!rc && count == PURGE_LIMIT)
		rc = db_run(op, purge_body, &count);
	return rc;
}

static int
count_body(struct op *op, void *count)
{
	return db_session_count(op, op->now_ms, op->now_ms - op->config->session_idle * 1000, count);
}

int
session_measure(struct op *op)
{
	int64_t count;
	int rc = db_read(op, count_body, &count);

	if (!rc)
		metric_set(METRIC_sessions_active, count);
	return rc;
}
