/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of kinds (tables/sources.def) as rows, and the words that choose among forms. */
#include "source_int.h"

#include <string.h>

static const struct source_kind kinds[] = {
#define SOURCE(name, kind, title, people, groups, id, id_form, login, other, display, mail, state, end, end_form, members) \
	{ #name, LDAP_KIND_##kind, title, people, groups, id, SOURCE_ID_##id_form, login, other, display, mail, SOURCE_STATE_##state, end, \
	  SOURCE_END_##end_form, members },
#include "tables/sources.def"
#undef SOURCE
};

const struct source_kind *
source_kind_find(const char *name)
{
	/* what is not said is the first row, as in the shape */
	for (size_t i = 0; name && i < countof(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return name ? NULL : &kinds[0];
}

const struct source_kind *
source_kind_of(enum ldap_kind kind)
{
	for (size_t i = 0; i < countof(kinds); i++)
		if (kinds[i].kind == kind)
			return &kinds[i];
	return &kinds[0];
}

const struct source_kind *
source_kind_at(size_t index)
{
	return index < countof(kinds) ? &kinds[index] : NULL;
}

static const char *const id_forms[] = {
#define SOURCE_ID(name, text) [SOURCE_ID_##name] = #name,
#include "tables/sources.def"
#undef SOURCE_ID
};

static const char *const end_forms[] = {
#define SOURCE_END(name, text) [SOURCE_END_##name] = #name,
#include "tables/sources.def"
#undef SOURCE_END
};

static bool
find_word(const char *const *words, size_t n, const char *word, int *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i], word) != 0)
			continue;
		*ret = (int)i;
		return true;
	}
	return false;
}

bool
source_id_form(const char *word, enum source_id *ret)
{
	int at = *ret;
	bool is_found = !word || !*word || find_word(id_forms, countof(id_forms), word, &at);

	*ret = (enum source_id)at;
	return is_found;
}

bool
source_end_form(const char *word, enum source_end *ret)
{
	int at = *ret;
	bool is_found = !word || !*word || find_word(end_forms, countof(end_forms), word, &at);

	*ret = (enum source_end)at;
	return is_found;
}

static const char *
word_of(const struct shape_directory *body)
{
	return body->kind && *body->kind ? body->kind : kinds[0].name;
}

int
source_kind_check(struct op *op, const struct shape_directory *body, enum ldap_kind seen)
{
	const struct source_kind *said = source_kind_find(word_of(body)), *is = source_kind_of(seen);

	/* Whoever says "generic" says what he wants of an ordinary server; a server may hide that it is OpenLDAP. */
	if (!said || (said->kind != LDAP_KIND_AD && is->kind != LDAP_KIND_AD) || said->kind == is->kind)
		return 0;
	return op_fail(op, ERR_INVALID, "the server at %s is %s, but the directory %s has kind: %s; write kind: %s, or correct "
	    "the url", body->url, is->title, body->name, said->name, is->name);
}
