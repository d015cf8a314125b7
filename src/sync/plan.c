/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a run would change: a merge of the staged people with the known accounts, both ordered by external id, a page at a time.  Who
 * has not changed leaves no row.  Read plan_build, page_plan, then compare_person.
 */
#include "sync_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/group.h"
#include "store/user.h"

#define PAGE_PEOPLE 500
#define PUT_ROWS 256
#define LAST "~"                        /* behind every external id */

struct plan {
	struct run *run;
	struct graph *graph;
	struct group *known_groups;     /* ordered by id, with their number in the graph */
	size_t *known_numbers;
	size_t n_known;
	int64_t seq;
	unsigned char hash[SHA256_BYTES];
};

/* One page: everything about external ids after `after` up to `last`. */
struct page {
	struct plan *plan;
	struct sync_entry *entries;
	struct user_mark *marks;
	struct user **users;            /* aligned with entries: known accounts whose digest differs */
	struct sync_edge *edges;
	struct grant *grants;
	struct membership *memberships;
	size_t n_entries, n_marks, n_edges, n_grants, n_memberships;
	const char *after, *last;
	bool is_last;
	/* where the merge is */
	size_t at_edge, at_grant, at_membership;
	/* what it found */
	struct sync_plan_row *rows;
	size_t n_rows, room;
};

static void
buf_json(struct buf *buf, const char *text)
{
	buf_add_char(buf, '"');
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			buf_printf(buf, "\\%c", *c);
		else if ((unsigned char)*c < 0x20)
			buf_printf(buf, "\\u%04x", (unsigned)*c);
		else
			buf_add_char(buf, *c);
	}
	buf_add_char(buf, '"');
}

static void
add_row(struct op *op, struct page *page, const struct sync_plan_row *row)
{
	struct plan *plan = page->plan;
	const char *texts[] = { row->action, row->user_id ? row->user_id : "", row->external_id, row->login, row->display_name, row->why, row->body };
	struct hash_part parts[countof(texts) + 1];

	if (page->n_rows == page->room) {
		struct sync_plan_row *more = op_alloc(op, (page->room * 2 + 64) * sizeof(*more));

		if (page->n_rows)
			memcpy(more, page->rows, page->n_rows * sizeof(*more));
		page->rows = more;
		page->room = page->room * 2 + 64;
	}
	page->rows[page->n_rows] = *row;
	page->rows[page->n_rows++].seq = ++plan->seq;
	parts[0] = (struct hash_part){ plan->hash, sizeof(plan->hash) };
	for (size_t i = 0; i < countof(texts); i++)
		parts[i + 1] = (struct hash_part){ texts[i], strlen(texts[i]) + 1 };
	sha256_parts(parts, countof(parts), plan->hash);
}

/* ---- reading a page ---- */

static int
load_changed(struct op *op, struct page *page)
{
	const char **ids = op_alloc(op, page->n_entries * sizeof(*ids));
	size_t *places = op_alloc(op, page->n_entries * sizeof(*places)), n = 0, mark = 0;
	struct user **users;
	int rc;

	page->users = op_alloc(op, page->n_entries * sizeof(*page->users));
	for (size_t i = 0; i < page->n_entries; i++) {
		const struct sync_entry *entry = &page->entries[i];

		while (mark < page->n_marks && strcmp(page->marks[mark].external_id, entry->external_id) < 0)
			mark++;
		if (mark == page->n_marks || strcmp(page->marks[mark].external_id, entry->external_id) || entry->is_skipped)
			continue;
		if (!memcmp(page->marks[mark].digest, entry->digest, sizeof(entry->digest)) &&
		    page->marks[mark].directory_active == entry->is_active)
			continue;
		places[n] = i;
		ids[n++] = entry->external_id;
	}
	rc = db_user_find_many(op, page->plan->run->directory_id, ids, n, &users);
	for (size_t i = 0; !rc && i < n; i++)
		page->users[places[i]] = users[i];
	return rc;
}

/* A page ends where the shorter of two full lists ends; what lies behind is read again with the next page. */
static void
page_bound(struct page *page)
{
	bool is_full = page->n_entries == PAGE_PEOPLE, is_full_known = page->n_marks == PAGE_PEOPLE;
	const char *a = is_full ? page->entries[PAGE_PEOPLE - 1].external_id : LAST;
	const char *b = is_full_known ? page->marks[PAGE_PEOPLE - 1].external_id : LAST;

	page->last = strcmp(a, b) < 0 ? a : b;
	page->is_last = !is_full && !is_full_known;
	while (page->n_entries && strcmp(page->entries[page->n_entries - 1].external_id, page->last) > 0)
		page->n_entries--;
	while (page->n_marks && strcmp(page->marks[page->n_marks - 1].external_id, page->last) > 0)
		page->n_marks--;
}

static int
load_body(struct op *op, void *arg)
{
	struct page *page = arg;
	const char *directory_id = page->plan->run->directory_id;
	int64_t number = page->plan->run->row->number;
	int rc = db_sync_entry_page(op, number, page->after, PAGE_PEOPLE, &page->entries, &page->n_entries);

	if (!rc)
		rc = db_user_marks(op, directory_id, page->after, PAGE_PEOPLE, &page->marks, &page->n_marks);
	if (rc)
		return rc;
	page_bound(page);
	rc = db_sync_edge_range(op, number, page->after, page->last, &page->edges, &page->n_edges);
	if (!rc)
		rc = db_grant_range_rules(op, directory_id, page->after, page->last, &page->grants, &page->n_grants);
	if (!rc)
		rc = db_membership_range(op, directory_id, page->after, page->last, &page->memberships, &page->n_memberships);
	return rc ? rc : load_changed(op, page);
}

/* ---- comparing ---- */

static bool
is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void
grant_json(struct buf *body, const char *role_id, const char *location_id, const char *rule_id)
{
	if (location_id)
		buf_printf(body, "{\"location\":\"%s\",", location_id);
	else
		buf_add(body, "{");
	buf_printf(body, "\"role\":\"%s\",\"rule\":\"%s\"}", role_id, rule_id);
}

static const char *
reason_words(const char *reason)
{
	return !strcmp(reason, "disabled") ? "disabled in the directory" :
	    !strcmp(reason, "expired") ? "the account's time is over" :
	    !strcmp(reason, "gone") ? "no longer in the directory" :
	    !strcmp(reason, "out_of_scope") ? "no longer in the part of the directory that is read" :
	    *reason ? reason : "active in the directory";
}

/* The row's head for a staged person. */
static struct sync_plan_row
row_of(const char *action, const struct sync_entry *entry, const char *user_id)
{
	return (struct sync_plan_row){
		.action = action, .user_id = user_id, .external_id = entry->external_id, .login = entry->login,
		.display_name = entry->display_name, .why = "", .body = "{}",
	};
}

static void
plan_create(struct op *op, struct page *page, const struct sync_entry *entry, const struct wanted_grant *wanted, size_t n)
{
	struct sync_plan_row row = row_of("create", entry, NULL);
	struct buf body = buf_in(op->mem);

	buf_add(&body, "{\"grants\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_add_char(&body, ',');
		grant_json(&body, wanted[i].role_id, wanted[i].location_id, wanted[i].rule_id);
	}
	buf_add(&body, "]");
	if (entry->mail) {
		buf_add(&body, ",\"mail\":");
		buf_json(&body, entry->mail);
	}
	buf_add(&body, "}");
	row.why = "new in the directory";
	row.body = body.text;
	add_row(op, page, &row);
	page->plan->run->counts.create++;
}

static void
field_json(struct buf *body, const char *name, const char *before, const char *after)
{
	if (is_same(before, after))
		return;
	buf_printf(body, "%s\"%s\":[", body->length > 1 ? "," : "", name);
	if (before)
		buf_json(body, before);
	else
		buf_add(body, "null");
	buf_add(body, ",");
	if (after)
		buf_json(body, after);
	else
		buf_add(body, "null");
	buf_add(body, "]");
}

static const char *
until_text(struct op *op, int64_t until_ms)
{
	return until_ms ? op_printf(op, "%lld", (long long)until_ms) : NULL;
}

/* Data and state of a known person. */
static bool
plan_person(struct op *op, struct page *page, const struct sync_entry *entry, const struct user *user)
{
	struct sync_counts *counts = &page->plan->run->counts;
	struct sync_plan_row row;
	struct buf body = buf_in(op->mem);
	struct person person;
	const char *fields;
	bool is_reason = user->directory_active == entry->is_active && strcmp(user->directory_reason, entry->reason);

	person_from_entry(page->plan->run, entry, &person);
	fields = users_compare(op, user, &person);
	if (*fields || is_reason) {
		row = row_of("change", entry, user->id);
		buf_add(&body, "{");
		field_json(&body, "attributes", user->attributes, person.attributes);
		field_json(&body, "display_name", user->display_name, person.display_name);
		field_json(&body, "login", user->login, person.login);
		field_json(&body, "mail", user->mail, person.mail);
		if (is_reason)
			field_json(&body, "reason", user->directory_reason, person.reason);
		field_json(&body, "until", until_text(op, user->directory_until), until_text(op, person.until));
		buf_add(&body, "}");
		row.body = body.text;
		row.why = is_reason ? op_printf(op, "%s%sreason", fields, *fields ? " " : "") : fields;
		add_row(op, page, &row);
		counts->change++;
	}
	if (user->directory_active == entry->is_active)
		return *fields || is_reason;
	row = row_of(entry->is_active ? "enable" : "disable", entry, user->id);
	row.why = reason_words(entry->reason);
	row.body = op_printf(op, "{\"reason\":\"%s\"}", entry->reason);
	add_row(op, page, &row);
	if (entry->is_active)
		counts->enable++;
	else
		counts->disable++;
	if (!entry->is_active && user->is_active)
		counts->losing++;
	return true;
}

static void
plan_grant(struct op *op, struct page *page, const struct sync_plan_row *head, const char *action, const char *role_id,
    const char *location_id, const char *rule_id)
{
	struct sync_plan_row row = *head;
	struct buf body = buf_in(op->mem);

	grant_json(&body, role_id, location_id, rule_id);
	row.action = action;
	row.body = body.text;
	row.why = !strcmp(action, "grant") ? "a rule gives it" : "no rule gives it any more";
	add_row(op, page, &row);
}

static bool
is_grant(const struct grant *held, const struct wanted_grant *wanted)
{
	return !strcmp(held->source_id, wanted->rule_id) && !strcmp(held->role_id, wanted->role_id) &&
	    is_same(held->location_id, wanted->location_id);
}

static bool
plan_grants(struct op *op, struct page *page, const struct sync_plan_row *head, const struct grant *held, size_t n_held,
    const struct wanted_grant *wanted, size_t n_wanted)
{
	struct sync_counts *counts = &page->plan->run->counts;
	size_t n_before = page->n_rows, j;

	for (size_t i = 0; i < n_held; i++) {
		for (j = 0; j < n_wanted && !is_grant(&held[i], &wanted[j]); j++)
			;
		if (j < n_wanted)
			continue;
		plan_grant(op, page, head, "end", held[i].role_id, held[i].location_id, held[i].source_id);
		counts->end++;
	}
	for (size_t i = 0; i < n_wanted; i++) {
		for (j = 0; j < n_held && !is_grant(&held[j], &wanted[i]); j++)
			;
		if (j < n_held)
			continue;
		plan_grant(op, page, head, "grant", wanted[i].role_id, wanted[i].location_id, wanted[i].rule_id);
		counts->grant++;
	}
	return page->n_rows != n_before;
}

/* The number in the graph of a recorded group; MAP_NO_GROUP when it was not read this time. */
static size_t
known_number(const struct plan *plan, const char *group_id)
{
	for (size_t low = 0, high = plan->n_known; low < high;) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(plan->known_groups[middle].id, group_id);

		if (!order)
			return plan->known_numbers[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return MAP_NO_GROUP;
}

static void
name_json(struct buf *list, const char *name)
{
	if (list->length)
		buf_add_char(list, ',');
	buf_json(list, name);
}

/* Direct groups: one row that says which he joins and leaves. */
static bool
plan_member(struct op *op, struct page *page, const struct sync_plan_row *head, const size_t *groups, size_t n,
    const struct membership *held, size_t n_held)
{
	const struct graph *graph = page->plan->graph;
	struct buf joins = buf_in(op->mem), leaves = buf_in(op->mem);
	struct sync_plan_row row = *head;
	bool *is_found = op_alloc(op, n);

	for (size_t i = 0; i < n_held; i++) {
		size_t number = known_number(page->plan, held[i].group_id), j;

		for (j = 0; j < n && groups[j] != number; j++)
			;
		if (j < n)
			is_found[j] = true;
		else
			name_json(&leaves, number == MAP_NO_GROUP ? "a group that is gone" : graph->groups[number].name);
	}
	for (size_t j = 0; j < n; j++)
		if (!is_found[j])
			name_json(&joins, graph->groups[groups[j]].name);
	if (!joins.length && !leaves.length)
		return false;
	row.action = "member";
	row.why = "groups in the directory";
	row.body = op_printf(op, "{\"join\":[%s],\"leave\":[%s]}", joins.length ? joins.text : "", leaves.length ? leaves.text : "");
	add_row(op, page, &row);
	page->plan->run->counts.member++;
	return true;
}

static void
plan_skip(struct op *op, struct page *page, const struct sync_entry *entry)
{
	struct sync_plan_row row = row_of("skip", entry, NULL);

	row.why = entry->reason;
	add_row(op, page, &row);
}

/* Moves a cursor over the rows of one external id and gives the first; lists are ordered by it. */
#define TAKE(page, list, n_list, at, field, id, ret_first, ret_n) \
	do { \
		while ((page)->at < (page)->n_list && strcmp((page)->list[(page)->at].field, (id)) < 0) \
			(page)->at++; \
		*(ret_first) = (page)->at; \
		while ((page)->at < (page)->n_list && !strcmp((page)->list[(page)->at].field, (id))) \
			(page)->at++; \
		*(ret_n) = (page)->at - *(ret_first); \
	} while (0)

static int
compare_person(struct op *op, struct page *page, size_t at, const struct user_mark *mark)
{
	const struct sync_entry *entry = &page->entries[at];
	struct sync_plan_row head = row_of("", entry, mark ? mark->id : NULL);
	struct wanted_grant *wanted;
	size_t edge, n_edges, grant, n_grants, member, n_members, n_wanted, n_groups = 0, *groups;
	bool has_changed;
	int rc;

	TAKE(page, edges, n_edges, at_edge, external_id, entry->external_id, &edge, &n_edges);
	TAKE(page, grants, n_grants, at_grant, user_id, entry->external_id, &grant, &n_grants);
	TAKE(page, memberships, n_memberships, at_membership, member_id, entry->external_id, &member, &n_members);
	if (entry->is_skipped) {
		plan_skip(op, page, entry);
		return 0;
	}
	if (!mark && !entry->is_active)         /* nobody is created who may not sign in */
		return 0;
	groups = op_alloc(op, n_edges * sizeof(*groups));
	for (size_t i = edge; i < edge + n_edges; i++)
		if ((groups[n_groups] = graph_group(page->plan->graph, page->edges[i].group_seq)) != MAP_NO_GROUP)
			n_groups++;
	rc = graph_grants(op, page->plan->graph, entry, groups, n_groups, &wanted, &n_wanted);
	if (rc)
		return rc;
	if (!mark) {
		plan_create(op, page, entry, wanted, n_wanted);
		return 0;
	}
	has_changed = page->users[at] && plan_person(op, page, entry, page->users[at]);
	has_changed |= plan_grants(op, page, &head, page->grants + grant, n_grants, wanted, n_wanted);
	has_changed |= plan_member(op, page, &head, groups, n_groups, page->memberships + member, n_members);
	if (!has_changed)
		page->plan->run->counts.unchanged++;
	return 0;
}

/* An account whom the complete answer does not hold: disabled, and what rules gave is taken. */
static void
plan_gone(struct op *op, struct page *page, const struct user_mark *mark)
{
	struct sync_counts *counts = &page->plan->run->counts;
	struct sync_plan_row row = {
		.action = mark->directory_active ? "disable" : "change", .user_id = mark->id, .external_id = mark->external_id, .login = "",
		.display_name = "", .why = reason_words("gone"), .body = "{\"reason\":\"gone\"}",
	};
	static const unsigned char forgotten[32];
	size_t grant, n_grants;

	TAKE(page, grants, n_grants, at_grant, user_id, mark->external_id, &grant, &n_grants);
	/* gone already: users_gone forgets the digest */
	if (!mark->directory_active && !memcmp(mark->digest, forgotten, sizeof(forgotten)))
		return;
	/* entries without an id were seen: one of them may be his */
	if (counts->nameless)
		return;
	add_row(op, page, &row);
	plan_grants(op, page, &row, page->grants + grant, n_grants, NULL, 0);
	if (mark->directory_active)
		counts->disable++;
	else
		counts->change++;
	if (mark->is_active)
		counts->losing++;
}

static int
page_merge(struct op *op, struct page *page)
{
	size_t mark = 0, at = 0;
	int rc = 0;

	while (!rc && (at < page->n_entries || mark < page->n_marks)) {
		int order = at == page->n_entries ? 1 : mark == page->n_marks ? -1 :
		    strcmp(page->entries[at].external_id, page->marks[mark].external_id);

		if (order > 0)
			plan_gone(op, page, &page->marks[mark++]);
		else
			rc = compare_person(op, page, at++, order ? NULL : &page->marks[mark++]);
	}
	return rc;
}

/* ---- writing ---- */

struct put {
	struct page *page;
	size_t from;
};

static int
put_body(struct op *op, void *arg)
{
	const struct put *put = arg;
	size_t n = put->page->n_rows - put->from;

	return db_sync_plan_add(op, put->page->plan->run->row->id, put->page->rows + put->from, n < PUT_ROWS ? n : PUT_ROWS);
}

/* Names of those who are gone: their entries cannot tell them. */
static int
names_body(struct op *op, void *arg)
{
	struct page *page = arg;
	int rc = 0;

	for (size_t i = 0; !rc && i < page->n_rows; i++) {
		struct sync_plan_row *row = &page->rows[i];
		struct user *user;

		if (*row->login || !row->user_id)
			continue;
		rc = db_user_read(op, row->user_id, &user);
		if (rc)
			break;
		row->login = user->login;
		row->display_name = user->display_name;
	}
	return rc;
}

static int
page_plan(struct op *op, struct plan *plan, char **after, bool *ret_is_last)
{
	struct op *chunk = chunk_begin(op);
	struct page page = { .plan = plan, .after = *after };
	struct put put = { &page, 0 };
	int rc = db_read(chunk, load_body, &page);

	if (!rc)
		rc = page_merge(chunk, &page);
	if (!rc && page.n_rows)
		rc = db_read(chunk, names_body, &page);
	if (!rc)
		rc = run_touch(chunk, plan->run);
	for (; !rc && put.from < page.n_rows; put.from += PUT_ROWS)
		rc = db_run(chunk, put_body, &put);
	if (!rc) {
		*ret_is_last = page.is_last;
		*after = op_strdup(op, page.last);
	}
	return chunk_end(op, chunk, rc);
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->id, ((const struct group *)b)->id);
}

static int
known_body(struct op *op, void *arg)
{
	struct plan *plan = arg;

	return db_group_list(op, plan->run->directory_id, &plan->known_groups, &plan->n_known);
}

static int
load_known(struct op *op, struct plan *plan)
{
	int rc = db_read(op, known_body, plan);

	if (rc)
		return rc;
	if (plan->n_known)
		qsort(plan->known_groups, plan->n_known, sizeof(*plan->known_groups), by_id);
	plan->known_numbers = op_alloc(op, plan->n_known * sizeof(*plan->known_numbers));
	for (size_t i = 0; i < plan->n_known; i++)
		plan->known_numbers[i] = map_find_group(plan->graph->map, plan->known_groups[i].external_id);
	return 0;
}

struct drop {
	const char *run_id;
	bool has_more;
};

static int
drop_body(struct op *op, void *arg)
{
	struct drop *drop = arg;

	return db_sync_plan_drop(op, drop->run_id, &drop->has_more);
}

/* A planning that was interrupted begins anew. */
static int
drop_old(struct op *op, const struct run *run)
{
	struct drop drop = { run->row->id, true };
	int rc = 0;

	while (!rc && drop.has_more)
		rc = db_run(op, drop_body, &drop);
	return rc;
}

int
plan_build(struct op *op, struct run *run)
{
	struct plan plan = { .run = run };
	struct sync_counts *c = &run->counts;
	struct op *own = chunk_begin(op);
	char *after = op_strdup(own, "");
	bool is_last = false;
	int rc;

	c->create = c->change = c->disable = c->enable = c->grant = c->end = c->member = c->unchanged = c->losing = 0;
	rc = drop_old(own, run);
	if (!rc)
		rc = graph_load(own, run, &plan.graph);
	if (!rc)
		rc = load_known(own, &plan);
	while (!rc && !is_last)
		rc = page_plan(own, &plan, &after, &is_last);
	c->planned = plan.seq;
	if (!rc)
		run->row->plan_hash = hex_encode(op->mem, plan.hash, sizeof(plan.hash));
	return chunk_end(op, own, rc);
}
