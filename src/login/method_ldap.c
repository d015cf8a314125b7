/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Sign-in through the directories: search by login name, or mail, then bind with the DN that the directory gave.  Somebody is
 * signed in only if the name leads to exactly one entry in all of them together.  Read method_ldap_find, then
 * method_ldap_check.
 */
#include "method_int.h"

#include <string.h>

#include "audit/audit.h"
#include "base/log.h"
#include "base/time.h"
#include "crypt/random.h"

#define ACCOUNT_MS 500                  /* of a sign-in's time: for the account and the session, after the directories */
#define SHARE_MIN_MS 100                /* with less, a directory is not asked */

struct search {
	const char *name;
	struct method_result *result;
	int to_ask;                     /* directories, the one being asked included */
	int found;                      /* different people */
	bool is_ambiguous;
	bool is_by_mail;                /* the one found was found by mail */
	int failure;                    /* code of the first directory that could not tell */
	const char *failed;
};

static const char *
key_of(struct op *op, const struct catalog_directory *directory, const struct directory_person *person)
{
	return op_printf(op, "%s/%s", directory->id, person->change.person.external_id);
}

static void
add_person(struct op *op, struct search *s, const struct catalog_directory *directory, struct directory_person *person,
    bool by_mail)
{
	const char *key = key_of(op, directory, person);

	/* a login name that is the person's own mail address finds him twice */
	if (s->result->person_key && strcmp(s->result->person_key, key) == 0) {
		s->is_by_mail = false;
		return;
	}
	s->found++;
	s->is_by_mail = by_mail;
	s->result->directory = directory;
	s->result->person = person;
	s->result->person_key = key;
}

/* What directories may take together: the op's time but for what the account and the session need. */
static int64_t
time_for_directories(const struct op *op)
{
	int64_t left = op_left_ms(op) - ACCOUNT_MS;

	return left > 0 ? left : 0;
}

/*
 * Each directory that is still to be asked gets the same share, and so does the bind behind them: one that hangs costs its own share and
 * leaves the others theirs.
 */
static int
find_in_time(struct op *op, const struct search *s, const struct catalog_directory *directory, bool by_mail,
    struct directory_person **ret)
{
	int64_t whole = op->deadline_ms, share = time_for_directories(op) / (s->to_ask + 1);
	int rc;

	/* a directory must not be blamed for the time that others took */
	if (share < SHARE_MIN_MS)
		return op_fail(op, ERR_DEADLINE, "there is no time left to ask the directory %s", directory->body->name);
	op->deadline_ms = time_monotonic_ms() + share;
	rc = directory_find_person(op, directory, s->name, by_mail, ret);
	op->deadline_ms = whole;
	return rc;
}

/* What is too large or malformed in its answer is the directory's mistake, not that of who signs in. */
static int
fault_of_directory(int rc)
{
	return error_row(rc)->status < 500 ? ERR_LDAP : rc;
}

/* False when the directory could not tell: then it is not asked again. */
static bool
search_directory(struct op *op, struct search *s, const struct catalog_directory *directory, bool by_mail)
{
	struct directory_person *person;
	int rc = find_in_time(op, s, directory, by_mail, &person);

	if (rc == 0) {
		add_person(op, s, directory, person, by_mail);
		return true;
	}
	if (rc == ERR_AMBIGUOUS) {
		s->is_ambiguous = true;
	} else if (rc != ERR_NOT_FOUND) {
		log_line(LOG_LEVEL_WARNING, "login.directory", "directory", directory->body->name, "why", op_failure(op), "request",
		    op->request_id, NULL);
		s->failed = s->failure ? s->failed : op_strdup(op, op_failure(op));
		s->failure = s->failure ? s->failure : fault_of_directory(rc);
	}
	op_forgive(op);
	return rc == ERR_NOT_FOUND || rc == ERR_AMBIGUOUS;
}

struct mail_check {
	const char *key;                /* folded mail */
	const struct person *person;
	int others;                     /* out: other active accounts with that mail */
};

static int
mail_body(struct op *op, void *arg)
{
	struct mail_check *check = arg;
	struct user **users;
	size_t n, i;
	int rc = db_user_find_mail(op, check->key, &users, &n);

	check->others = 0;
	for (i = 0; !rc && i < n; i++)
		check->others += users[i]->is_active && (strcmp(users[i]->external_id, check->person->external_id) != 0 ||
		    strcmp(users[i]->directory_id, check->person->directory_id) != 0);
	return rc;
}

/*
 * People may write their own mail address in many directories: one that another account has, too, signs nobody in
 * (CVE-2023-3128).
 */
static int
check_mail(struct op *op, struct search *s)
{
	struct mail_check check = { .key = text_fold(op->mem, s->name) };
	int rc;

	if (s->found != 1 || !s->is_by_mail)
		return 0;
	check.person = &s->result->person->change.person;
	if (!check.key)
		return op_fail(op, ERR_INVALID, "the name is no UTF-8");
	rc = db_read(op, mail_body, &check);
	if (!rc && check.others > 0)
		s->is_ambiguous = true;
	return rc;
}

static void
nobody(struct op *op, struct search *s)
{
	bool is_conflict = s->found > 1 || s->is_ambiguous;

	*s->result = (struct method_result){ .outcome = METHOD_REFUSED, .reason = is_conflict ? "ambiguous" : "unknown" };
	if (is_conflict)
		audit_refusal(op, EV_IDENTITY_CONFLICT, NULL, FACTS(FACT("field", strchr(s->name, '@') ? "mail" : "login"),
		    PERSONAL("value", s->name), FACT("count", s->found > 1 ? op_printf(op, "%d", s->found) : NULL)));
}

int
method_ldap_find(struct op *op, const char *name, struct method_result *ret)
{
	const struct catalog_snapshot *c = catalog_get(op);
	struct search s = { .name = name, .result = ret };
	bool has_at = strchr(name, '@') != NULL;
	int rc;

	*ret = (struct method_result){ .outcome = METHOD_REFUSED };
	for (size_t i = 0; i < c->n_directories; i++)
		s.to_ask += c->directories[i].body->enabled;
	for (size_t i = 0; i < c->n_directories; i++) {
		if (!c->directories[i].body->enabled)
			continue;
		if (search_directory(op, &s, &c->directories[i], false) && has_at)
			search_directory(op, &s, &c->directories[i], true);
		s.to_ask--;
	}
	rc = check_mail(op, &s);
	if (rc)
		return rc;
	if (s.found == 1 && !s.is_ambiguous)
		return 0;
	if (s.found == 0 && !s.is_ambiguous && s.failure)
		return op_fail(op, s.failure, "%s", s.failed);
	nobody(op, &s);
	return 0;
}

/*
 * ASVS 6.3.8: an unknown name must cost what a known one costs: a connection of its own and a bind that is refused.  The DN
 * does not exist, so nobody can be locked out by it, and the real password is not sent.
 */
static void
check_nobody(struct op *op)
{
	const struct catalog_snapshot *c = catalog_get(op);
	struct ldap_bind_result bind;
	size_t i;

	for (i = 0; i < c->n_directories && !c->directories[i].body->enabled; i++)
		;
	if (i == c->n_directories)
		return;
	if (directory_check_password(op, &c->directories[i], op_printf(op, "uid=nobody-%s,%s", random_secret(op),
	    c->directories[i].body->base),
	    random_secret(op), &bind) < 0)
		op_forgive(op);
}

static const struct { enum method_outcome outcome; const char *reason; } meaning[] = {
	[LDAP_BIND_OK] = { METHOD_OK, "" },
	[LDAP_BIND_REFUSED] = { METHOD_REFUSED, "wrong_password" },
	/* told to a wrong password, too: never to the browser */
	[LDAP_BIND_LOCKED] = { METHOD_REFUSED, "locked" },
	[LDAP_BIND_DISABLED] = { METHOD_CLOSED, "disabled" },
	[LDAP_BIND_EXPIRED_ACCOUNT] = { METHOD_ENDED, "expired" },
	[LDAP_BIND_PASSWORD_EXPIRED] = { METHOD_PASSWORD_EXPIRED, "password_expired" },
	[LDAP_BIND_MUST_CHANGE] = { METHOD_MUST_CHANGE, "must_change" },
	[LDAP_BIND_HOURS] = { METHOD_HOURS, "hours" },
	[LDAP_BIND_WORKSTATION] = { METHOD_WORKSTATION, "workstation" },
};

/*
 * A yes that the entry contradicts (locked, password over) is none: then the bind did not apply the rules, and the password was
 * right all the same.
 */
static void
apply_hold(const struct directory_person *person, struct ldap_bind_result *bind)
{
	if (bind->outcome != LDAP_BIND_OK || person->hold == LDAP_BIND_OK)
		return;
	bind->outcome = person->hold;
	bind->why = "the entry says so (msDS-User-Account-Control-Computed, pwdLastSet), although the server accepted the password";
}

static int
judge(struct op *op, struct method_result *result, struct ldap_bind_result *bind)
{
	const struct person *person = &result->person->change.person;

	if ((size_t)bind->outcome >= countof(meaning))
		return op_fail(op, ERR_INTERNAL, "unknown outcome of a bind");
	apply_hold(result->person, bind);
	result->outcome = meaning[bind->outcome].outcome;
	result->reason = meaning[bind->outcome].reason;
	result->detail = bind->why;
	/*
	 * An account that the directory calls disabled or expired is told nothing about its password (but that it is closed, where
	 * the server says so itself); METHOD_OK goes on to be recorded.  slapd calls it "locked" whatever the password was: the
	 * entry tells more exactly.
	 */
	if (result->outcome != METHOD_OK && bind->outcome != LDAP_BIND_REFUSED && !person->is_active && result->outcome != METHOD_CLOSED &&
	    result->outcome != METHOD_ENDED) {
		result->outcome = METHOD_REFUSED;
		result->reason = person->reason;
	}
	return 0;
}

static int
check_password(struct op *op, const char *password, struct method_result *result)
{
	struct ldap_bind_result bind;
	int rc;

	if (!result->person) {
		check_nobody(op);
		return 0;
	}
	rc = directory_check_password(op, result->directory, result->person->dn, password, &bind);
	result->is_unanswered = bind.is_unanswered;
	if (!rc)
		rc = judge(op, result, &bind);
	if (rc)
		return rc;
	/* ASVS 6.3.8: groups are read only behind the right password: reading them tells by its time that there is somebody */
	return result->outcome == METHOD_OK ? directory_read_grants(op, result->person) : 0;
}

int
method_ldap_check(struct op *op, const char *password, struct method_result *result)
{
	int64_t whole = op->deadline_ms, share = time_for_directories(op);
	int rc;

	if (share < SHARE_MIN_MS)
		return op_fail(op, ERR_DEADLINE, "there is no time left to check the password");
	op->deadline_ms = time_monotonic_ms() + share;
	rc = check_password(op, password, result);
	op->deadline_ms = whole;
	if (rc)
		log_line(LOG_LEVEL_WARNING, "login.directory", "directory", result->directory ? result->directory->body->name : "", "why",
		    op_failure(op), "request", op->request_id, NULL);
	return rc ? fault_of_directory(rc) : 0;
}
