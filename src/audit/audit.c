/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Recording.  Read canonical_text first: it is the form that can never change; then audit_record (a change) and
 * audit_refusal (a refusal).
 */
#include "audit/audit.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "audit_int.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/text.h"
#include "base/time.h"
#include "base/uuid.h"
#include "crypt/random.h"
#include "store/audit.h"

#define FORM_VERSION 1
#define FACTS_MAX 32
#define REFUSAL_VALUE_BYTES 1024        /* what strangers send is cut here */
#define REFUSAL_TIME_MS 5000            /* a refusal is written even when its request's time is up */

enum event_kind { CHANGE, REFUSAL };

static const struct {
	const char *code;
	enum event_kind kind;
	const char *facts, *text;
} events[] = {
#define EVENT(name, code, kind, level, facts, text) { code, kind, facts, text },
#include "tables/events.def"
#undef EVENT
};

static const char *const actor_kinds[] = {
	[ACTOR_ANONYMOUS] = "anonymous", [ACTOR_USER] = "user", [ACTOR_APP] = "app", [ACTOR_ROOT] = "root", [ACTOR_SYSTEM] = "system",
};

const char *
event_code(enum event event)
{
	return events[event].code;
}

const char *
event_text(const char *code)
{
	for (size_t i = 0; i < EV_COUNT; i++)
		if (strcmp(events[i].code, code) == 0)
			return events[i].text;
	return NULL;
}

const char *const *
event_codes(size_t *ret_n)
{
	static const char *const codes[] = {
#define EVENT(name, code, kind, level, facts, text) code,
#include "tables/events.def"
#undef EVENT
	};

	*ret_n = countof(codes);
	return codes;
}

void
audit_open(struct op *op, const unsigned char commit_key[static 32])
{
	struct audit_log *audit = mem_new(sizeof(*audit));

	memcpy(audit->commit_key, commit_key, sizeof(audit->commit_key));
	audit->flood = flood_new();
	op->svc->audit = audit;
}

void
audit_close(struct audit_log *audit)
{
	if (!audit)
		return;
	flood_free(audit->flood);
	mem_wipe(audit, sizeof(*audit));
	mem_free(audit);
}

bool
audit_is_ready(struct audit_log *audit)
{
	return !atomic_load(&audit->is_failing);
}

/* ---- one row ---- */

/* True when name is one of the words of the event's row. */
static bool
is_declared(enum event event, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = events[event].facts; (at = strstr(at, name)); at += n)
		if ((at == events[event].facts || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

static void
check_facts(enum event event, const struct fact *facts, size_t n)
{
	assert(n <= FACTS_MAX);
	for (size_t i = 0; i < n; i++) {
		assert(is_declared(event, facts[i].name));
		for (size_t k = 0; k < i; k++)
			assert(strcmp(facts[i].name, facts[k].name) != 0);
	}
}

/* HMAC-SHA-256(commit key, salt || id || 0x00 || name || 0x00 || value), base64url. */
static char *
commitment(struct op *op, const char *id, const struct audit_personal_row *row)
{
	unsigned char mac[SHA256_BYTES];
	const struct audit_log *audit = op->svc->audit;
	const struct hash_part parts[] = { { row->salt, AUDIT_SALT_BYTES }, { id, strlen(id) + 1 },
		{ row->field, strlen(row->field) + 1 }, { row->value, strlen(row->value) } };

	hmac_sha256(audit->commit_key, sizeof(audit->commit_key), parts, countof(parts), mac);
	return base64url_encode(op->mem, mac, sizeof(mac));
}

static const char *
recordable(struct op *op, const char *value)
{
	size_t n = strlen(value);

	return text_is_utf8(value, n) ? value : op_printf(op, "hex:%s", hex_encode(op->mem, value, n));
}

/* ---- the canonical text: members are written in the order of RFC 8785 3.2.3, so nothing has to be built and sorted first ---- */

static void
put_name(struct buf *out, const char *name)
{
	if (out->text[out->length - 1] != '{')
		buf_add_char(out, ',');
	json_put_text(out, name);
	buf_add_char(out, ':');
}

static void
put_text(struct op *op, struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	put_name(out, name);
	json_put_text(out, recordable(op, value));
}

static void
put_number(struct buf *out, const char *name, int64_t number)
{
	put_name(out, name);
	buf_printf(out, "%lld", (long long)number);
}

struct member { const char *name, *value; };

/* Names are lower-case ASCII, where the order of bytes is that of UTF-16. */
static void
put_members(struct op *op, struct buf *out, const char *name, struct member *v, size_t n)
{
	if (!n)
		return;
	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k && strcmp(v[k - 1].name, v[k].name) > 0; k--) {
			struct member member = v[k];

			v[k] = v[k - 1];
			v[k - 1] = member;
		}
	put_name(out, name);
	buf_add_char(out, '{');
	for (size_t i = 0; i < n; i++)
		put_text(op, out, v[i].name, v[i].value);
	buf_add_char(out, '}');
}

static void
put_facts(struct op *op, struct buf *out, const struct fact *facts, size_t n)
{
	struct member members[FACTS_MAX];
	size_t n_members = 0;

	for (size_t i = 0; i < n; i++)
		if (!facts[i].is_personal && facts[i].value)
			members[n_members++] = (struct member){ facts[i].name, facts[i].value };
	put_members(op, out, "facts", members, n_members);
}

static void
put_commitments(struct op *op, struct buf *out, const char *id, const struct audit_personal_row *personal, size_t n)
{
	struct member members[FACTS_MAX + 1];

	for (size_t i = 0; i < n; i++)
		members[i] = (struct member){ personal[i].field, commitment(op, id, &personal[i]) };
	put_members(op, out, "personal", members, n);
}

/* The row's text, in the form that audit/audit.h settles. */
static char *
canonical_text(struct op *op, const struct audit_row *row, const struct fact *facts, size_t n,
    const struct audit_personal_row *personal, size_t n_personal)
{
	struct buf out = buf_in(op->mem);

	buf_add(&out, "{\"actor\":{");
	put_text(op, &out, "id", op->caller.actor);
	put_text(op, &out, "kind", actor_kinds[op->caller.kind]);
	buf_add_char(&out, '}');
	put_number(&out, "at", row->at_ms);
	put_text(op, &out, "event", row->event);
	put_facts(op, &out, facts, n);
	put_text(op, &out, "id", row->id);
	put_text(op, &out, "on_behalf_of", op->caller.on_behalf_of);
	put_commitments(op, &out, row->id, personal, n_personal);
	put_text(op, &out, "request", row->request_id);
	put_text(op, &out, "session", op->caller.session);
	put_text(op, &out, "target", row->target);
	put_number(&out, "v", FORM_VERSION);
	buf_add_char(&out, '}');
	return out.text;
}

/* Fills v (room for n + 1) with the personal facts and the address, each with a salt; the number of them. */
static size_t
collect_personal(struct op *op, const char *address, const struct fact *facts, size_t n, struct audit_personal_row *v)
{
	unsigned char salts[(FACTS_MAX + 1) * AUDIT_SALT_BYTES];
	size_t count = 0;

	if (address)
		v[count++] = (struct audit_personal_row){ .field = "address", .value = recordable(op, address) };
	for (size_t i = 0; i < n; i++)
		if (facts[i].is_personal && facts[i].value)
			v[count++] = (struct audit_personal_row){ .field = facts[i].name, .value = recordable(op, facts[i].value) };
	random_fill(salts, count * AUDIT_SALT_BYTES);
	for (size_t i = 0; i < count; i++)
		memcpy(v[i].salt, salts + i * AUDIT_SALT_BYTES, AUDIT_SALT_BYTES);
	return count;
}

static int
record(struct op *op, enum event event, const char *target, const char *address, const struct fact *facts, size_t n)
{
	struct audit_personal_row personal[FACTS_MAX + 1];
	char id[UUID_TEXT_BYTES];
	struct audit_row row = { .id = id, .at_ms = op->now_ms, .event = event_code(event), .actor = op->caller.actor,
		.request_id = op->request_id };
	size_t n_personal = collect_personal(op, address, facts, n, personal);

	uuid_new(id, op->now_ms);
	if (row.actor)
		row.actor = recordable(op, row.actor);
	if (target)
		row.target = recordable(op, target);
	for (size_t i = 0; i < n; i++)
		if (!facts[i].is_personal && facts[i].value && strcmp(facts[i].name, "app") == 0)
			row.app = recordable(op, facts[i].value);
	row.canonical = canonical_text(op, &row, facts, n, personal, n_personal);
	return db_audit_create(op, &row, personal, n_personal);
}

int
audit_record(struct op *op, enum event event, const char *target, const struct fact *facts, size_t n)
{
	assert(db_is_inside(op));
	assert(events[event].kind == CHANGE);
	check_facts(event, facts, n);
	return record(op, event, target, op->caller.address, facts, n);
}

/* ---- refusals ---- */

struct refusal {
	enum event event;
	const char *target;
	struct fact facts[FACTS_MAX];
	size_t n;
};

static int
refusal_body(struct op *op, void *arg)
{
	const struct refusal *refusal = arg;

	return record(op, refusal->event, refusal->target, op->caller.address, refusal->facts, refusal->n);
}

/* At most REFUSAL_VALUE_BYTES of a value, not cut inside a character. */
static const char *
cut(struct op *op, const char *value)
{
	size_t n = value ? strnlen(value, REFUSAL_VALUE_BYTES + 1) : 0;

	if (n <= REFUSAL_VALUE_BYTES)
		return value;
	for (n = REFUSAL_VALUE_BYTES; n > REFUSAL_VALUE_BYTES - 4 && ((unsigned char)value[n] & 0xc0) == 0x80; n--)
		continue;
	return op_strndup(op, value, n);
}

/* Runs body in a transaction of its own, whatever the op's deadline and failure; both are as before afterwards. */
static int
run_apart(struct op *op, int (*body)(struct op *, void *), void *arg, const char *code)
{
	struct failure failure = op->failure;
	int64_t deadline_ms = op->deadline_ms, least_ms = time_monotonic_ms() + REFUSAL_TIME_MS;
	int rc;

	op_forgive(op);
	if (op->deadline_ms < least_ms)
		op->deadline_ms = least_ms;
	rc = db_run(op, body, arg);
	atomic_store(&op->svc->audit->is_failing, rc < 0);
	if (rc)
		log_line(LOG_LEVEL_ERROR, "audit.lost", "event", code, "why", op_failure(op), "request", op->request_id, NULL);
	op->deadline_ms = deadline_ms;
	op->failure = failure;
	return rc;
}

void
audit_refusal(struct op *op, enum event event, const char *target, const struct fact *facts, size_t n)
{
	struct refusal *refusal = op_alloc(op, sizeof(*refusal));

	assert(!db_is_inside(op));
	assert(events[event].kind == REFUSAL);
	check_facts(event, facts, n);
	if (!flood_admit(op->svc->audit->flood, event, target, op->caller.address, op->now_ms))
		return;
	refusal->event = event;
	refusal->target = cut(op, target);
	for (size_t i = 0; i < n; i++)
		refusal->facts[refusal->n++] = (struct fact){ facts[i].name, cut(op, facts[i].value), facts[i].is_personal };
	if (run_apart(op, refusal_body, refusal, event_code(event)) < 0)
		metric_add(METRIC_audit_lost_total, 1);
}

struct flush {
	const struct flood_count *v;
	size_t n;
};

static int
flush_body(struct op *op, void *arg)
{
	const struct flush *flush = arg;
	int rc = 0;

	for (size_t i = 0; i < flush->n && !rc; i++) {
		const struct flood_count *c = &flush->v[i];
		char since[TIME_TEXT_BYTES];
		const struct fact facts[] = { FACT("count", op_printf(op, "%lld", (long long)c->count)),
			FACT("since", time_text(c->minute_ms, since)) };

		rc = record(op, c->event, c->target[0] ? c->target : NULL, c->network[0] ? c->network : NULL, facts, countof(facts));
	}
	return rc;
}

static int
flush_before(struct op *op, int64_t now_ms)
{
	struct flood *flood = op->svc->audit->flood;
	struct flush flush = { 0 };
	int rc;

	assert(!db_is_inside(op));
	flush.v = flood_take(op, flood, now_ms, &flush.n);
	/* After a failure an empty transaction finds out whether rows can be written again. */
	if (!flush.n && audit_is_ready(op->svc->audit))
		return 0;
	rc = run_apart(op, flush_body, &flush, "counted refusals");
	if (rc < 0) {
		for (size_t i = 0; i < flush.n; i++)
			flood_return(flood, &flush.v[i]);
		return op_fail(op, rc, "the counts of refused attempts could not be written; they are kept for the next try");
	}
	return 0;
}

int
audit_flush(struct op *op)
{
	return flush_before(op, op->now_ms);
}

int
audit_flush_all(struct op *op)
{
	return flush_before(op, TIME_NEVER_MS);
}
