/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Suggesting mapping rules: names of groups are read as words and compared with the names and titles of roles and locations.
 * "GG-Billing-North" is the role billing at the location north.  Pure: names in, suggestions out; whoever asks decides.
 *
 *     suggest(op, &(struct suggest_facts){ groups, n_groups, roles, n_roles, locations, n_locations }, &v);      // v[i] for groups[i]
 *
 * A suggestion never gives more than the name says: words that are not understood are no reason to let a role hold everywhere, a group
 * of everybody gets no role, and a role that may do everything is never sure.
 */
#ifndef KW_POLICY_SUGGEST_H
#define KW_POLICY_SUGGEST_H

#include "base/op.h"

struct suggest_name {
	const char *name, *title;       /* title may be NULL */
	bool is_wide;                   /* a role that may do everything */
};

struct suggest_facts {
	const char *const *groups;      /* their names, as the directory spells them */
	size_t n_groups;
	const struct suggest_name *roles;
	size_t n_roles;
	const struct suggest_name *locations;
	size_t n_locations;
};

struct suggestion {
	const char *role;               /* NULL: none is suggested; why says why */
	const char *location;           /* NULL: everywhere */
	bool is_new_location;           /* made of words that several groups share */
	bool is_sure;
	const char *why;
};

/* One suggestion for each group, in their order; *ret belongs to the op. */
void suggest(struct op *op, const struct suggest_facts *facts, struct suggestion **ret);

#endif
