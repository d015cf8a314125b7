/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A login method of the shape "verify": name and secret in one step.  flow.c checks form and throttle around the two halves and
 * decides what the browser is told; a method only says what it found.
 */
#ifndef KW_LOGIN_METHOD_INT_H
#define KW_LOGIN_METHOD_INT_H

#include "sync/sync.h"

enum method_outcome {
	METHOD_OK,
	METHOD_REFUSED,                 /* told in one way, whatever the reason */
	METHOD_PASSWORD_EXPIRED,        /* these only after the right password */
	METHOD_MUST_CHANGE,
	METHOD_CLOSED,
	METHOD_ENDED,
	METHOD_HOURS,
	METHOD_WORKSTATION,
};

struct method_result {
	enum method_outcome outcome;
	bool is_unanswered;             /* a directory was given the password and said neither yes nor no */
	const char *reason;             /* for the audit: unknown, ambiguous, wrong_password, locked, disabled, ... */
	const char *detail;             /* for the help desk: what the directory said, what it means, how to mend it; NULL when it said nothing */
	const struct catalog_directory *directory;      /* NULL while nobody is found */
	struct directory_person *person;                /* NULL likewise */
	const char *person_key;                         /* the same for every spelling of one person's names; NULL likewise */
};

/*
 * First half: who is it?  Whoever is not found, or found twice, is METHOD_REFUSED with person NULL, and 0 is returned all the
 * same.  A directory that does not answer is a failure only if no other one knows the name.
 */
int method_ldap_find(struct op *op, const char *name, struct method_result *ret) MUST_CHECK;
/* Second half: asks the directory; without a person it asks about one who does not exist, so that both take the same way. */
int method_ldap_check(struct op *op, const char *password, struct method_result *result) MUST_CHECK;

#endif
