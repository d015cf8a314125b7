/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Directories: read, stage, map, plan, guard, apply (house flow).  One reader for a whole directory and for one person who signs
 * in.
 */
#ifndef KW_SYNC_SYNC_H
#define KW_SYNC_SYNC_H

#include "net/ldap.h"
#include "people/catalog.h"
#include "people/user.h"

/* A connection to a directory, bound as its service account (kept in op->svc->ldap_pool between uses). */
int directory_connect(struct op *op, const struct catalog_directory *directory, struct ldap_link **ret) MUST_CHECK;
/* The same of a directory that need not be in the catalog, by Kerberos (catalog_is_kerberos); fresh, and the caller closes it. */
int directory_open_kerberos(struct op *op, const struct shape_directory *body, struct ldap_link **ret) MUST_CHECK;
/* Gives it back; is_good false closes it. */
void directory_release(struct op *op, const struct catalog_directory *directory, struct ldap_link *link, bool is_good);

/* One person as read now, for a sign-in. */
struct directory_person {
	const char *dn;
	enum ldap_bind_outcome hold;            /* when not LDAP_BIND_OK: the entry says so, and a yes to the bind does not count */
	struct user_change change;              /* person and, after directory_read_grants, wanted grants, ready for users_change */
	struct finding *finding;                /* of directory_person.c */
};
/*
 * Search-then-bind, first half: the one person in scope whose login name (src/sync/source_name.c: which forms) or mail, when
 * by_mail, equals name.  ERR_NOT_FOUND, ERR_AMBIGUOUS (two or more), ERR_UNREACHABLE, ERR_INCOMPLETE.  State is current; groups
 * are not read yet: that takes longer for a person than for a name of nobody (ASVS 6.3.8).
 */
int directory_find_person(struct op *op, const struct catalog_directory *directory, const char *name, bool by_mail,
    struct directory_person **ret) MUST_CHECK;
/* Reads the groups of a person found so and fills change.grants.  ERR_UNREACHABLE, ERR_INCOMPLETE. */
int directory_read_grants(struct op *op, struct directory_person *person) MUST_CHECK;
/* Second half: is this his password?  A connection of its own, closed afterwards. */
int directory_check_password(struct op *op, const struct catalog_directory *directory, const char *dn, const char *password,
    struct ldap_bind_result *ret) MUST_CHECK;

/* What a run saw and plans; disabled_lately and limit are the guard's, once it was asked. */
struct sync_counts {
	int64_t read, skipped, groups;
	int64_t nameless;                               /* of the skipped: entries whose id could not be read */
	int64_t create, change, disable, enable, grant, end, member, unchanged;
	int64_t inactive;                               /* people without an account whom the directory calls disabled or expired */
	int64_t planned;                                /* rows of the plan */
	int64_t losing;                                 /* active accounts that are disabled, or get an end within a day */
	int64_t active_before, disabled_lately, limit;
};

/*
 * Makes the record of a run; sync_work or sync_queue go on with it.  cause: timer, hand, start.  ERR_CONFLICT while another run of
 * the directory is under way.  *ret_run: its id, in the op.
 */
int sync_start(struct op *op, const struct catalog_directory *directory, bool is_preview, const char *cause, char **ret_run) MUST_CHECK;
/*
 * Leads a run from the state it is in to its end (done, failed), to frozen (ERR_GUARD), or a preview to its plan.  Takes as long as
 * it takes.
 */
int sync_work(struct op *op, const char *run_id) MUST_CHECK;
/* sync_work on the lane "sync". */
int sync_queue(struct op *op, const char *run_id) MUST_CHECK;
/* Goes on with runs that a stop of the daemon interrupted; called once, before anything else starts one. */
int sync_resume(struct op *op) MUST_CHECK;
/* Jobs for /metrics: last success and frozen runs of each directory; the ends of the certificates that directories show. */
int sync_measure(struct op *op) MUST_CHECK;
int sync_look_at_certificates(struct op *op) MUST_CHECK;
/* For the timer: starts runs of directories that are due. */
int sync_tick(struct op *op) MUST_CHECK;
/*
 * Lets exactly this frozen plan be applied: sync_queue or sync_work go on with it.  ERR_CONFLICT when it is not frozen (any more)
 * or objects have changed since it was made.
 */
int sync_approve(struct op *op, const char *run_id) MUST_CHECK;

#endif
