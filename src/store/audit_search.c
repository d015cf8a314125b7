/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Searching the audit log.  A statement takes every condition, each of which may be left out; so that an index can be used all the
 * same, there is one statement for each condition that has an index, and the narrowest of those given leads.  Read leads, then
 * db_audit_search.
 *
 *   $1, $2  ids between which rows lie     $3 limit     $4 event  $5 actor  $6 app  $7 request
 *   $8 address     $9 account     $10 login name
 */
#include <string.h>

#include "base/uuid.h"
#include "store/audit.h"

#define COLUMNS "a.id, a.at_ms, a.event, a.actor, a.target, a.request_id, a.canonical, a.app"

#define OF_ADDRESS                                                                                                                 \
	"a.id IN (SELECT p.audit_id FROM audit_personal p WHERE p.field = 'address' AND p.value = CAST($8 AS TEXT)"                \
	" AND p.audit_id > $1 AND p.audit_id < $2)"
#define OF_PERSON                                                                                                                  \
	"a.id IN (SELECT t.id FROM audit t WHERE t.target = CAST($9 AS TEXT) AND t.id > $1 AND t.id < $2"                          \
	" UNION SELECT c.id FROM audit c WHERE c.actor = CAST($9 AS TEXT) AND c.id > $1 AND c.id < $2"                             \
	" UNION SELECT l.audit_id FROM audit_personal l WHERE l.field = 'login' AND l.value = CAST($10 AS TEXT)"                   \
	" AND l.audit_id > $1 AND l.audit_id < $2)"
#define ALL_OTHERS                                                                                                                 \
	" AND (CAST($4 AS TEXT) IS NULL OR a.event = CAST($4 AS TEXT))"                                                            \
	" AND (CAST($5 AS TEXT) IS NULL OR a.actor = CAST($5 AS TEXT))"                                                            \
	" AND (CAST($6 AS TEXT) IS NULL OR a.app = CAST($6 AS TEXT))"                                                              \
	" AND (CAST($7 AS TEXT) IS NULL OR a.request_id = CAST($7 AS TEXT))"                                                       \
	" AND (CAST($8 AS TEXT) IS NULL OR " OF_ADDRESS ")"                                                                        \
	" AND (CAST($9 AS TEXT) IS NULL AND CAST($10 AS TEXT) IS NULL OR " OF_PERSON ")"
#define SEARCH(lead, order)                                                                                                        \
	"SELECT " COLUMNS " FROM audit a WHERE a.id > $1 AND a.id < $2" lead ALL_OTHERS " ORDER BY a.id " order                    \
	" LIMIT CAST($3 AS BIGINT)"

#define LEAD_REQUEST " AND a.request_id = CAST($7 AS TEXT)"
#define LEAD_ADDRESS " AND " OF_ADDRESS
#define LEAD_PERSON " AND " OF_PERSON
#define LEAD_ACTOR " AND a.actor = CAST($5 AS TEXT)"
#define LEAD_APP " AND a.app = CAST($6 AS TEXT)"
#define LEAD_EVENT " AND a.event = CAST($4 AS TEXT)"

SQL_DEFINE(audit_all_up, SEARCH("", "ASC"));
SQL_DEFINE(audit_all_down, SEARCH("", "DESC"));
SQL_DEFINE(audit_request_up, SEARCH(LEAD_REQUEST, "ASC"));
SQL_DEFINE(audit_request_down, SEARCH(LEAD_REQUEST, "DESC"));
SQL_DEFINE(audit_address_up, SEARCH(LEAD_ADDRESS, "ASC"));
SQL_DEFINE(audit_address_down, SEARCH(LEAD_ADDRESS, "DESC"));
SQL_DEFINE(audit_person_up, SEARCH(LEAD_PERSON, "ASC"));
SQL_DEFINE(audit_person_down, SEARCH(LEAD_PERSON, "DESC"));
SQL_DEFINE(audit_actor_up, SEARCH(LEAD_ACTOR, "ASC"));
SQL_DEFINE(audit_actor_down, SEARCH(LEAD_ACTOR, "DESC"));
SQL_DEFINE(audit_app_up, SEARCH(LEAD_APP, "ASC"));
SQL_DEFINE(audit_app_down, SEARCH(LEAD_APP, "DESC"));
SQL_DEFINE(audit_event_up, SEARCH(LEAD_EVENT, "ASC"));
SQL_DEFINE(audit_event_down, SEARCH(LEAD_EVENT, "DESC"));
SQL_DEFINE(audit_exists, "SELECT 1 FROM audit WHERE id = $1");

/* The statement of the condition that leaves the fewest rows, as a rule. */
static const struct sql *
leads(const struct audit_filter *f, bool is_down)
{
	if (f->request_id)
		return is_down ? &audit_request_down : &audit_request_up;
	if (f->user_id || f->login)
		return is_down ? &audit_person_down : &audit_person_up;
	if (f->address)
		return is_down ? &audit_address_down : &audit_address_up;
	if (f->actor)
		return is_down ? &audit_actor_down : &audit_actor_up;
	if (f->app)
		return is_down ? &audit_app_down : &audit_app_up;
	if (f->event)
		return is_down ? &audit_event_down : &audit_event_up;
	return is_down ? &audit_all_down : &audit_all_up;
}

/* The smallest text that an id made at that moment can have (RFC 9562 5.7: 48 bits of milliseconds come first). */
static const char *
id_at(struct op *op, int64_t time_ms)
{
	unsigned char bytes[16] = { 0 };
	char text[UUID_TEXT_BYTES];

	time_ms = time_ms < 0 ? 0 : time_ms;
	for (int i = 0; i < 6; i++)
		bytes[i] = (unsigned char)(time_ms >> (8 * (5 - i)));
	uuid_format(bytes, text);
	return op_strdup(op, text);
}

bool
db_audit_is_complete(struct op *op, const struct audit_filter *filter)
{
	return filter->before_id && filter->to_ms && strcmp(id_at(op, filter->to_ms), filter->before_id) <= 0;
}

int
db_audit_search(struct op *op, const struct audit_filter *filter, bool is_newest_first, const char *after, size_t limit,
    struct audit_row **ret, size_t *ret_n)
{
	const char *low = id_at(op, filter->from_ms), *high = filter->to_ms ? id_at(op, filter->to_ms) : "g";
	struct audit_row *v = op_alloc(op, (limit + 1) * sizeof(*v));
	struct db_rows *rows = NULL;
	size_t n = 0;
	int rc;

	if (filter->before_id && strcmp(filter->before_id, high) < 0)
		high = filter->before_id;
	if (after && is_newest_first && strcmp(after, high) < 0)
		high = after;
	if (after && !is_newest_first && strcmp(after, low) > 0)
		low = after;
	rc = db_query(op, leads(filter, is_newest_first),
	    ARGS(TEXT_(low), TEXT_(high), INT_((int64_t)limit), TEXT_(filter->event), TEXT_(filter->actor), TEXT_(filter->app),
		TEXT_(filter->request_id), TEXT_(filter->address), TEXT_(filter->user_id), TEXT_(filter->login)),
	    &rows);
	while (!rc && n < limit && (rc = db_next(rows)) > 0) {
		v[n++] = (struct audit_row){ db_text_dup(op, rows, 0), db_int(rows, 1), db_text_dup(op, rows, 2),
			db_text_dup(op, rows, 3), db_text_dup(op, rows, 4), db_text_dup(op, rows, 5), db_text_dup(op, rows, 6),
			db_text_dup(op, rows, 7) };
		rc = 0;
	}
	*ret = v;
	*ret_n = n;
	return db_end(rows, rc);
}

int
db_audit_exists(struct op *op, const char *id)
{
	struct db_rows *rows;
	int rc = db_query(op, &audit_exists, ARGS(TEXT_(id)), &rows);

	if (!rc)
		rc = db_next(rows);
	if (rc == 0)
		rc = op_fail(op, ERR_NOT_FOUND, "the audit log has no row %s", id);
	return db_end(rows, rc < 0 ? rc : 0);
}
