/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The rows of a plan: one for each thing that changes, with what it was, what it becomes and why, as canonical JSON (RFC 8785: members
 * in order, no blanks).  Each row goes into the plan's hash.
 */
#include <string.h>

#include "base/json.h"
#include "plan_int.h"

void
row_add(struct op *op, struct page *page, const struct sync_plan_row *row)
{
	struct plan *plan = page->plan;
	const char *texts[] = {
		row->action, row->user_id ? row->user_id : "", row->external_id, row->login, row->display_name, row->why, row->body,
	};
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

const char *
row_reason_words(const char *reason)
{
	return !strcmp(reason, "disabled") ? "disabled in the directory" :
	    !strcmp(reason, "expired") ? "the account's time is over" :
	    !strcmp(reason, "gone") ? "no longer found in the directory" :
	    !strcmp(reason, "out_of_scope") ? "no longer in the part of the directory that is read" :
	    *reason ? reason : "active in the directory";
}

/* The row's head for a staged person. */
struct sync_plan_row
row_of(const char *action, const struct sync_entry *entry, const char *user_id)
{
	return (struct sync_plan_row){
		.action = action, .user_id = user_id, .external_id = entry->external_id, .login = entry->login,
		.display_name = entry->display_name, .why = "", .body = "{}",
	};
}

void
row_create(struct op *op, struct page *page, const struct sync_entry *entry, const struct wanted_grant *wanted, size_t n)
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
		json_put_text(&body, entry->mail);
	}
	buf_add(&body, "}");
	row.why = "new in the directory";
	row.body = body.text;
	row_add(op, page, &row);
	page->plan->run->counts.create++;
}

static void
field_json(struct buf *body, const char *name, const char *before, const char *after)
{
	if (is_same(before, after))
		return;
	buf_printf(body, "%s\"%s\":[", body->length > 1 ? "," : "", name);
	if (before)
		json_put_text(body, before);
	else
		buf_add(body, "null");
	buf_add(body, ",");
	if (after)
		json_put_text(body, after);
	else
		buf_add(body, "null");
	buf_add(body, "]");
}

static const char *
until_text(struct op *op, int64_t until_ms)
{
	return until_ms ? op_printf(op, "%lld", (long long)until_ms) : NULL;
}

/* The directory names an end that is near and was not: as good as disabled. */
static bool
is_ending(const struct op *op, const struct user *user, const struct person *person)
{
	int64_t soon_ms = op->now_ms + GUARD_DAY_MS;

	return user->is_active && person->is_active && person->until && person->until <= soon_ms &&
	    (!user->directory_until || user->directory_until > soon_ms);
}

/* Data and state of a known person. */
bool
row_person(struct op *op, struct page *page, const struct sync_entry *entry, const struct user *user)
{
	struct sync_counts *counts = &page->plan->run->counts;
	struct sync_plan_row row;
	struct buf body = buf_in(op->mem);
	struct person person;
	const char *fields;
	bool is_reason = user->directory_active == entry->is_active && strcmp(user->directory_reason, entry->reason);

	person_from_entry(page->plan->run, entry, &person);
	fields = users_compare(op, user, &person);
	if (is_ending(op, user, &person))
		counts->losing++;
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
		row_add(op, page, &row);
		counts->change++;
	}
	if (user->directory_active == entry->is_active)
		return *fields || is_reason;
	row = row_of(entry->is_active ? "enable" : "disable", entry, user->id);
	row.why = row_reason_words(entry->reason);
	row.body = op_printf(op, "{\"reason\":\"%s\"}", entry->reason);
	row_add(op, page, &row);
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
	row_add(op, page, &row);
}

static bool
is_grant(const struct grant *held, const struct wanted_grant *wanted)
{
	return !strcmp(held->source_id, wanted->rule_id) && !strcmp(held->role_id, wanted->role_id) &&
	    is_same(held->location_id, wanted->location_id);
}

bool
row_grants(struct op *op, struct page *page, const struct sync_plan_row *head, const struct grant *held, size_t n_held,
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
	json_put_text(list, name);
}

/* Direct groups: one row that says which he joins and leaves. */
bool
row_member(struct op *op, struct page *page, const struct sync_plan_row *head, const size_t *groups, size_t n,
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
	row_add(op, page, &row);
	page->plan->run->counts.member++;
	return true;
}

void
row_skip(struct op *op, struct page *page, const struct sync_entry *entry)
{
	struct sync_plan_row row = row_of("skip", entry, NULL);

	row.why = entry->reason;
	row_add(op, page, &row);
}
