/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a run would change: a merge of the staged people with the known accounts, both ordered by external id, a page at a time.  Who
 * has not changed leaves no row.  Read plan_build, page_plan, then compare_person.
 */
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "base/text.h"
#include "plan_int.h"

#define PAGE_PEOPLE 1000
#define LAST "~"                        /* behind every external id */

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
		if (mark == page->n_marks || strcmp(page->marks[mark].external_id, entry->external_id) || entry->is_skipped ||
		    graph_part(page->plan->graph, entry->dn_hash) != page->plan->graph->part)
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
	int rc = db_sync_entry_page(op, page->plan->run->row->number, page->after, PAGE_PEOPLE, &page->entries, &page->n_entries);

	if (!rc)
		rc = db_user_marks(op, directory_id, page->after, PAGE_PEOPLE, &page->marks, &page->n_marks);
	if (rc)
		return rc;
	page_bound(page);
	rc = db_grant_range_rules(op, directory_id, page->after, page->last, &page->grants, &page->n_grants);
	if (!rc)
		rc = db_membership_range(op, directory_id, page->after, page->last, &page->memberships, &page->n_memberships);
	return rc ? rc : load_changed(op, page);
}

/* ---- comparing ---- */

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
	const struct graph *graph = page->plan->graph;
	struct sync_plan_row head = row_of("", entry, mark ? mark->id : NULL);
	struct wanted_grant *wanted;
	size_t grant, n_grants, member, n_members, n_wanted, n_groups, *groups;
	bool has_changed;
	int rc;

	if (graph_part(graph, entry->dn_hash) != graph->part)
		return 0;
	TAKE(page, grants, n_grants, at_grant, user_id, entry->external_id, &grant, &n_grants);
	TAKE(page, memberships, n_memberships, at_membership, member_id, entry->external_id, &member, &n_members);
	if (entry->is_skipped) {
		row_skip(op, page, entry);
		return 0;
	}
	if (!mark && !entry->is_active) {       /* nobody is created who may not sign in */
		page->plan->run->counts.inactive++;
		return 0;
	}
	graph_groups(op, graph, entry->dn_hash, &groups, &n_groups);
	rc = graph_grants(op, graph, entry, groups, n_groups, &wanted, &n_wanted);
	if (rc)
		return rc;
	if (!mark) {
		row_create(op, page, entry, wanted, n_wanted);
		return 0;
	}
	has_changed = page->users[at] && row_person(op, page, entry, page->users[at]);
	has_changed |= row_grants(op, page, &head, page->grants + grant, n_grants, wanted, n_wanted);
	has_changed |= row_member(op, page, &head, groups, n_groups, page->memberships + member, n_members);
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
		.display_name = "", .why = row_reason_words("gone"), .body = "{\"reason\":\"gone\"}",
	};
	static const unsigned char forgotten[32];
	size_t grant, n_grants;

	if (page->plan->graph->part)    /* told with the first part */
		return;
	TAKE(page, grants, n_grants, at_grant, user_id, mark->external_id, &grant, &n_grants);
	/* gone already: users_gone forgets the digest */
	if (!mark->directory_active && !memcmp(mark->digest, forgotten, sizeof(forgotten)))
		return;
	/* entries without an id were seen: one of them may be his */
	if (counts->nameless)
		return;
	row_add(op, page, &row);
	row_grants(op, page, &row, page->grants + grant, n_grants, NULL, 0);
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
	size_t from, to;
};

static int
put_body(struct op *op, void *arg)
{
	struct put *put = arg;
	const struct page *page = put->page;
	struct pace pace;
	int rc = 0;

	pace_begin(&pace);
	for (put->to = put->from; !rc && put->to < page->n_rows && pace_may_go_on(op, &pace);) {
		size_t left = page->n_rows - put->to, slice = pace_slice(op), n = left < slice ? left : slice;

		rc = db_sync_plan_add(op, page->plan->run->row->id, page->rows + put->to, n);
		put->to += n;
	}
	return rc;
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

/* Entries that could not be used: told once, not with every run. */
static void
audit_skipped(struct op *op, const struct page *page)
{
	const struct run *run = page->plan->run;
	const char *directory = run->directory ? run->directory->body->name : run->directory_id;

	for (size_t i = 0; i < page->n_rows; i++)
		if (!strcmp(page->rows[i].action, "skip"))
			audit_refusal(op, EV_SYNC_SKIPPED, page->rows[i].external_id,
			    FACTS(FACT("directory", directory), PERSONAL("dn", page->rows[i].display_name),
			        FACT("reason", page->rows[i].why)));
}

static int
page_plan(struct op *op, struct plan *plan, char **after, bool *ret_is_last)
{
	struct op *chunk = chunk_begin(op);
	struct page page = { .plan = plan, .after = *after };
	struct put put = { .page = &page };
	int rc = db_read(chunk, load_body, &page);

	if (!rc)
		rc = page_merge(chunk, &page);
	if (!rc && page.n_rows)
		rc = db_read(chunk, names_body, &page);
	if (!rc)
		rc = run_touch(chunk, plan->run);
	for (; !rc && put.from < page.n_rows; put.from = put.to)
		rc = db_run(chunk, put_body, &put);
	if (!rc && plan->want_skip_audit)
		audit_skipped(chunk, &page);
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

static int
skips_body(struct op *op, void *arg)
{
	struct plan *plan = arg;
	struct sync_run_row *rows;
	struct sync_counts last = { 0 };
	size_t n;
	int rc = db_sync_run_list(op, plan->run->directory_id, plan->run->row->id, 20, &rows, &n);

	for (size_t i = 0; !rc && i < n; i++) {
		if (strcmp(rows[i].purpose, "run") || strcmp(rows[i].state, "done"))
			continue;
		rc = counts_read(op, rows[i].counts, &last);
		break;
	}
	plan->want_skip_audit = !strcmp(plan->run->row->purpose, "run") && plan->run->counts.skipped != last.skipped;
	return rc;
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
	bool is_last;
	char *after;
	int rc;

	c->create = c->change = c->disable = c->enable = c->grant = c->end = c->member = c->unchanged = c->inactive = c->losing = 0;
	rc = drop_old(own, run);
	if (!rc)
		rc = db_read(own, skips_body, &plan);
	if (!rc)
		rc = graph_load(own, run, &plan.graph);
	if (!rc)
		rc = load_known(own, &plan);
	for (unsigned part = 0; !rc && part < plan.graph->n_parts; part++) {
		rc = graph_load_part(own, plan.graph, part);
		after = op_strdup(own, "");
		for (is_last = false; !rc && !is_last;)
			rc = page_plan(own, &plan, &after, &is_last);
	}
	c->planned = plan.seq;
	if (!rc)
		run->row->plan_hash = hex_encode(op->mem, plan.hash, sizeof(plan.hash));
	return chunk_end(op, own, rc);
}
