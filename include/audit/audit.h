/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The audit log: what happened, to whom, by whom, from where.  Events are rows of include/tables/events.def.
 *
 *     rc = audit_record(op, EV_USER_DISABLED, user->id, FACTS(FACT("reason", "gone"), PERSONAL("login", user->login)));
 *
 * CHANGE events are recorded inside the db_run body of the change: no event, no change.  REFUSAL events are recorded
 * after the refusal, in a transaction of their own (audit_refusal), and a flood of them is counted.
 *
 * The stored form cannot be migrated.  The canonical text of a row is RFC 8785 JSON with these members, absent when empty:
 *   v (1), id, at (ms), event, actor {kind, id}, on_behalf_of, session, address, request, target,
 *   facts {name: value}, personal {name: base64url HMAC-SHA-256(commit key, salt || id || 0x00 || name || 0x00 || value)}
 * actor.kind is one of anonymous, user, app, root, system.  The caller's address is personal and stands under personal.address.
 * Clear text and salt lie in audit_personal and can be erased.  A value that is no UTF-8 is recorded as "hex:" and its bytes.
 */
#ifndef KW_AUDIT_AUDIT_H
#define KW_AUDIT_AUDIT_H

#include "base/op.h"

enum event {
#define EVENT(name, code, kind, level, facts, text) EV_##name,
#include "tables/events.def"
#undef EVENT
	EV_COUNT
};

struct fact {
	const char *name;               /* must be listed in the event's row */
	const char *value;              /* NULL: left out */
	bool is_personal;
};

#define FACT(name, value) { (name), (value), false }
#define PERSONAL(name, value) { (name), (value), true }
#define FACTS(...) (const struct fact[]){ __VA_ARGS__ }, sizeof((const struct fact[]){ __VA_ARGS__ }) / sizeof(struct fact)
#define NO_FACTS NULL, 0

/* Makes op->svc->audit with the key of the commitments (32 bytes, copied); called by keyring_open before its first event. */
void audit_open(struct op *op, const unsigned char commit_key[static 32]);
void audit_close(struct audit_log *audit);

/* Inside db_run: part of the change.  target: id of what was changed, or NULL. */
int audit_record(struct op *op, enum event event, const char *target, const struct fact *facts, size_t n) MUST_CHECK;
/*
 * Outside db_run: a refusal, written in its own transaction.  The first 20 a target, network (/24, /64) and minute are
 * written in full, further ones as one row with a number when the minute is over (audit_flush).  Never fails the caller: a
 * row that cannot be written is logged and counts against readiness.
 */
void audit_refusal(struct op *op, enum event event, const char *target, const struct fact *facts, size_t n);
/*
 * Writes the numbers of minutes that are over, each as a row of the same event with the facts count and since (the minute's
 * start, RFC 3339); its personal.address is the network.  A job (jobs.def) calls it every few seconds.  Counts are kept in
 * memory, so a crash loses those of the last minute.
 */
int audit_flush(struct op *op) MUST_CHECK;
/* The same with the current minute, before the service ends. */
int audit_flush_all(struct op *op) MUST_CHECK;
/* False after a row could not be written, until one could again; for readiness. */
bool audit_is_ready(struct audit_log *audit);
/* "login.fail" */
const char *event_code(enum event event);
/* What the code means, in a sentence; NULL for a code that is none. */
const char *event_text(const char *code);
/* All codes, in order of the table. */
const char *const *event_codes(size_t *ret_n);

#endif
