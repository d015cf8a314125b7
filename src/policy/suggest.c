/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Reading the names of groups.  A name is cut into words (words_of); a role or location is found when all words of its name, or of one
 * of its titles ("Physician or practitioner" are two), stand in the group's (find_name).  What is left over is a place if other groups
 * have it, too.  Read suggest_one first.
 */
#include "policy/suggest.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

#define WORDS_MAX 16
#define NAME_BYTES_MAX 64

struct word {
	const char *text;               /* folded */
	const char *stem;               /* without the s of a plural */
	bool is_used;
};

struct words {
	struct word v[WORDS_MAX];
	size_t n;
	bool is_cut;                    /* there were more */
};

/* Words of a name that say nothing about who is in the group. */
static const char *const fillers[] = { "gg", "gl", "gu", "dl", "sg", "ug", "grp", "grps", "group", "role", "team", "dept", "department",
	"staff", "user", "member", "app", "keyward", "and", "of", "the", "at", "in", "for" };
/* Words of groups that hold everybody, whatever else their name says. */
static const char *const wide_words[] = { "all", "every", "everyone", "everybody", "any", "domain", "authenticated" };

static bool
is_in(const char *const *list, size_t n, const struct word *word)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], word->text) || !strcmp(list[i], word->stem))
			return true;
	return false;
}

static const char *
stem_of(struct op *op, const char *word)
{
	size_t n = strlen(word);

	if (n > 4 && !strcmp(word + n - 3, "ies"))
		return op_printf(op, "%.*sy", (int)(n - 3), word);
	if (n > 3 && word[n - 1] == 's' && word[n - 2] != 's')
		return op_strndup(op, word, n - 1);
	return word;
}

static void
add_word(struct op *op, struct words *words, const char *start, size_t n)
{
	const char *folded = text_fold(op->mem, op_strndup(op, start, n));

	if (!folded || !*folded)
		return;
	if (words->n == WORDS_MAX) {
		words->is_cut = true;
		return;
	}
	words->v[words->n++] = (struct word){ .text = folded, .stem = stem_of(op, folded) };
}

/* Letters beyond ASCII belong to words; a capital behind a small letter begins one ("FrontDesk"). */
static bool
is_letter(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static void
words_of(struct op *op, const char *name, struct words *ret)
{
	const char *start = NULL, *at;

	*ret = (struct words){ .n = 0 };
	for (at = name; *at; at++) {
		bool is_hump = start && isupper((unsigned char)*at) && islower((unsigned char)at[-1]);

		if (start && (!is_letter(*at) || is_hump)) {
			add_word(op, ret, start, (size_t)(at - start));
			start = NULL;
		}
		if (!start && is_letter(*at))
			start = at;
	}
	if (start)
		add_word(op, ret, start, (size_t)(at - start));
}

/* The word of the group that is this one, or is it together with its neighbours ("frontdesk" for "front desk"); unused ones only. */
static bool
use_word(struct words *group, const struct word *wanted)
{
	for (size_t i = 0; i < group->n; i++)
		if (!group->v[i].is_used && !strcmp(group->v[i].stem, wanted->stem)) {
			group->v[i].is_used = true;
			return true;
		}
	return false;
}

static bool
use_joined(struct op *op, struct words *group, const struct words *wanted)
{
	struct buf joined = buf_in(op->mem);

	for (size_t i = 0; i < wanted->n; i++)
		buf_add(&joined, wanted->v[i].text);
	for (size_t i = 0; i < group->n; i++)
		if (!group->v[i].is_used && !strcmp(group->v[i].stem, stem_of(op, joined.text))) {
			group->v[i].is_used = true;
			return true;
		}
	return false;
}

/* All wanted words stand in the group's; then they are marked as used and *ret_weight is their length. */
static bool
use_all(struct op *op, struct words *group, const struct words *wanted, size_t *ret_weight)
{
	struct words after = *group;
	bool is_found = wanted->n > 0;

	*ret_weight = 0;
	for (size_t i = 0; i < wanted->n; i++) {
		*ret_weight += strlen(wanted->v[i].stem);
		is_found = is_found && use_word(&after, &wanted->v[i]);
	}
	if (!is_found) {
		after = *group;
		is_found = wanted->n > 1 && use_joined(op, &after, wanted);
	}
	if (is_found)
		*group = after;
	return is_found;
}

/* "Physician or practitioner" is one title after the other; ends with NULL. */
static const char *
next_title(struct op *op, const char **at)
{
	const char *start = *at, *end;

	if (!start || !*start)
		return NULL;
	end = strstr(start, " or ");
	*at = end ? end + 4 : NULL;
	return end ? op_strndup(op, start, (size_t)(end - start)) : start;
}

struct found {
	const struct suggest_name *name;
	struct words rest;              /* the group's words, those of the name used */
	size_t weight;
	bool is_tied;                   /* another one fits as well */
};

static void
try_name(struct op *op, const struct words *group, const struct suggest_name *name, const char *text, struct found *best)
{
	struct words wanted, rest = *group;
	size_t weight;

	words_of(op, text, &wanted);
	if (!use_all(op, &rest, &wanted, &weight) || weight < best->weight)
		return;
	if (weight == best->weight && best->name && best->name != name) {
		best->is_tied = true;
		return;
	}
	if (weight > best->weight || !best->name)
		*best = (struct found){ name, rest, weight, false };
}

/* The name that explains most letters of the group's. */
static struct found
find_name(struct op *op, const struct words *group, const struct suggest_name *names, size_t n)
{
	struct found best = { .rest = *group };

	for (size_t i = 0; i < n; i++) {
		const char *at = names[i].title, *title;

		try_name(op, group, &names[i], names[i].name, &best);
		while ((title = next_title(op, &at)))
			try_name(op, group, &names[i], title, &best);
	}
	return best;
}

/* The words that nothing explains, as the name of a place; "" when there are none. */
static const char *
left_over(struct op *op, const struct words *rest)
{
	struct buf out = buf_in(op->mem);

	for (size_t i = 0; i < rest->n; i++)
		if (!rest->v[i].is_used && !is_in(fillers, countof(fillers), &rest->v[i]))
			buf_printf(&out, "%s%s", out.length ? "-" : "", rest->v[i].text);
	return out.text;
}

static bool
is_for_everybody(const struct words *group)
{
	for (size_t i = 0; i < group->n; i++)
		if (is_in(wide_words, countof(wide_words), &group->v[i]))
			return true;
	return false;
}

struct reading {
	struct words words;
	struct found role, location;
	const char *rest;
};

static struct reading
read_group(struct op *op, const struct suggest_facts *facts, const char *name)
{
	struct reading r;

	words_of(op, name, &r.words);
	r.role = find_name(op, &r.words, facts->roles, facts->n_roles);
	r.location = find_name(op, &r.role.rest, facts->locations, facts->n_locations);
	r.rest = left_over(op, &r.location.rest);
	return r;
}

/* Another group has the same words left over: they are a place, and no part of a name that was not understood. */
static bool
is_shared(const struct reading *all, size_t n, size_t self)
{
	for (size_t i = 0; i < n; i++)
		if (i != self && all[i].role.name && !all[i].location.name && !strcmp(all[i].rest, all[self].rest))
			return true;
	return false;
}

static const char *
nothing_because(struct op *op, const struct reading *r)
{
	if (r->words.is_cut)
		return "its name has too many words";
	if (is_for_everybody(&r->words))
		return "its name says that it holds everybody";
	if (!r->role.name)
		return "no role has such a name";
	if (r->role.is_tied)
		return op_printf(op, "its name fits the role %s and another one equally well", r->role.name->name);
	return NULL;
}

static struct suggestion
suggest_one(struct op *op, const struct reading *all, size_t n, size_t self)
{
	const struct reading *r = &all[self];
	const char *why_not = nothing_because(op, r), *role;
	struct suggestion s = { .why = why_not };

	if (why_not)
		return s;
	s.role = r->role.name->name;
	role = r->role.name->title ? r->role.name->title : s.role;
	if (r->location.name && !*r->rest) {
		s.location = r->location.name->name;
		s.why = op_printf(op, "its name has the words of \"%s\" and of the location \"%s\"", role, s.location);
	} else if (!*r->rest) {
		s.why = op_printf(op, "its name has the words of \"%s\" and no place", role);
	} else if (!r->location.name && strlen(r->rest) <= NAME_BYTES_MAX && is_shared(all, n, self)) {
		s.location = r->rest;
		s.is_new_location = true;
		s.why = op_printf(op, "its name has the words of \"%s\"; other groups have \"%s\", too: a place?", role, r->rest);
	} else {
		s.location = r->location.name ? r->location.name->name : NULL;
		s.why = op_printf(op, "its name has the words of \"%s\", but \"%s\" is not understood", role, r->rest);
		return s;
	}
	s.is_sure = !r->role.name->is_wide;
	return s;
}

void
suggest(struct op *op, const struct suggest_facts *facts, struct suggestion **ret)
{
	struct reading *all = op_alloc(op, (facts->n_groups + 1) * sizeof(*all));
	struct suggestion *v = op_alloc(op, (facts->n_groups + 1) * sizeof(*v));

	for (size_t i = 0; i < facts->n_groups; i++)
		all[i] = read_group(op, facts, facts->groups[i]);
	for (size_t i = 0; i < facts->n_groups; i++)
		v[i] = suggest_one(op, all, facts->n_groups, i);
	*ret = v;
}
