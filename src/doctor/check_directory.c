/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Directories, in the order in which a synchronisation meets them: name, connection, certificate, sign-in of the service account,
 * kind, people and groups (read by the synchronisation's own reader), and when that last went well.  Read look_at.
 */
#include "doctor_int.h"

#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time.h"
#include "net/dial.h"
#include "net/ldap.h"
#include "people/catalog.h"
#include "store/sync.h"
#include "sync/source.h"
#include "sync/sync.h"

#define SKIPPED_SHOWN 3
#define ACCOUNTS_LOOKED_AT 50
#define LATE_FACTOR 4 /* this many intervals without a good synchronisation are worth a look */
#define LATE_LEAST_MS INT64_C(3600000)

static struct ldap_options
options_of(struct check *c, const struct catalog_directory *directory)
{
	return (struct ldap_options){ .url = directory->body->url,
	    .ca_pem = directory->body->ca,
	    .tls = directory->body->starttls ? LDAP_TLS_START : LDAP_TLS_LDAPS,
	    .timeout_ms = c->op->config->ldap_timeout * 1000 };
}

/* ---- the way there ---- */

static bool
can_connect(struct check *c, const struct catalog_directory *directory)
{
	const char *name = directory->body->name;
	bool is_ldaps;
	char *host;
	int port, fd;

	if (ldap_url_read(c->op, directory->body->url, &is_ldaps, &host, &port)) {
		check_failed(c, name, "correct the directory's url in the file of objects and apply it");
		return false;
	}
	if (dial_tcp(c->op, host, port, &fd)) {
		check_failed(c, name,
		    "look whether the server runs, whether this machine resolves its name (getent hosts NAME), and whether a "
		    "firewall lets it through");
		return false;
	}
	close(fd);
	return true;
}

/* The certificates as shown, verified or not; the one that ends first tells. */
static void
look_at_ends(struct check *c, const char *name, const struct ldap_certificate *shown, size_t n)
{
	const struct ldap_certificate *first = &shown[0];
	enum doctor_verdict verdict;
	const char *end;

	for (size_t i = 1; i < n; i++)
		if (shown[i].not_after_ms < first->not_after_ms)
			first = &shown[i];
	verdict = check_end(c, first->not_after_ms, &end);
	if (verdict == DOCTOR_PROBLEM)
		check_bad(c, name, "renew the certificate on the directory server today", "the certificate of %s %s",
		    first->subject, end);
	else if (verdict == DOCTOR_WARNING)
		check_warn(c, name, "renew the certificate on the directory server; when it ends, nobody can sign in",
		    "the certificate of %s %s", first->subject, end);
	else
		check_ok(c, name, "its certificate is trusted and %s", end);
}

static void
refused_certificate(struct check *c, const char *name, const struct ldap_peek *seen)
{
	const struct ldap_certificate *shown = seen->v;
	const size_t n = seen->n;
	struct buf text = buf_in(c->op->mem);
	char day[TIME_TEXT_BYTES];

	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s%s signed by %s, until %.10s", i ? "; " : "", shown[i].subject, shown[i].issuer,
		    time_text(shown[i].not_after_ms, day));
	check_bad(c, name,
	    seen->problem && !seen->is_unknown
		? "have the server's certificate renewed, with the name that stands in the directory's url"
		: "give the directory the certificate of the CA that signed it (key \"ca\"), or have the server's certificate "
		  "renewed with its name in it",
	    "%s; the server shows: %s", seen->problem ? seen->problem : op_failure(c->op), n ? text.text : "nothing");
	op_forgive(c->op);
}

static bool
can_trust(struct check *c, const struct catalog_directory *directory)
{
	const struct ldap_options options = options_of(c, directory);
	struct ldap_peek seen = { 0 };
	struct ldap_link *link;

	if (ldap_peek(c->op, &options, &seen)) {
		check_failed(c, directory->body->name, "look at the server's TLS: openssl s_client -connect HOST:PORT");
		return false;
	}
	op_touch(c->op);
	if (ldap_link_open(c->op, &options, &link)) {
		refused_certificate(c, directory->body->name, &seen);
		return false;
	}
	ldap_link_close(link);
	look_at_ends(c, directory->body->name, seen.v, seen.n);
	return true;
}

/* ---- signed in ---- */

static const char *
mend_bind(struct op *op, const struct shape_directory *body)
{
	if (catalog_is_kerberos(body))
		return "look at bind_dn, keytab and kdc of the directory; by hand: kinit -k -t KEYTAB NAME@REALM";
	if (body->password)
		return op_printf(
		    op, "look at the service account in the directory, at bind_dn, and at its password in %s", body->password);
	return op_printf(op,
	    "look at the service account in the directory, at bind_dn, and set its password anew: keyward directory password "
	    "%s --password-file FILE",
	    body->name);
}

static bool
can_bind(struct check *c, const struct catalog_directory *directory, struct ldap_link **ret)
{
	if (directory_connect(c->op, directory, ret) == 0)
		return true;
	check_failed(c, directory->body->name, mend_bind(c->op, directory->body));
	return false;
}

static void
look_at_kind(struct check *c, const struct catalog_directory *directory, struct ldap_link *link)
{
	static const char *const names[] = {
	    [LDAP_KIND_GENERIC] = "generic", [LDAP_KIND_OPENLDAP] = "openldap", [LDAP_KIND_AD] = "ad" };
	const char *name = directory->body->name, *kind = directory->body->kind;
	struct ldap_root_dse root;

	if (ldap_read_root_dse(c->op, link, &root)) {
		check_failed(c, name, "let the service account read the server's root entry");
		return;
	}
	if (kind && strcmp(kind, names[root.kind]) != 0 && root.kind != LDAP_KIND_GENERIC && strcmp(kind, "generic") != 0)
		check_bad(c, name, op_printf(c->op, "write kind: %s in the file of objects and apply it", names[root.kind]),
		    "the server is of kind %s, configured is %s: account states would be read wrongly", names[root.kind], kind);
	if (!root.has_paged_results)
		check_warn(c, name, "allow paged results on the server",
		    "the server offers no paged results: a synchronisation ends at its size limit");
	if (root.kind == LDAP_KIND_AD)
		check_ok(c, name,
		    "accounts that vanish are noticed only by reading everything, since a service account sees no deletions: this "
		    "is "
		    "so by design");
}

/* ---- rights ---- */

/* What Active Directory holds of every account, and what it is for; what nobody's entry shows is hidden from the service account.
 */
static const struct {
	const char *name, *what;
	bool must_be;
} of_ad[] = {
    { "userAccountControl", "whether an account is disabled", true },
    { "accountExpires", "when an account ends", true },
    { "pwdLastSet", "whether a password must be changed", false },
    { "msDS-User-Account-Control-Computed", "whether an account is locked", false },
    { "memberOf", "nothing that is needed: groups are read from their own entries", false },
};

struct rights {
	int entries, seen[countof(of_ad)];
};

static int
on_account(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct rights *rights = arg;

	(void)op;
	rights->entries++;
	for (size_t i = 0; i < countof(of_ad); i++)
		rights->seen[i] += ldap_value(entry, of_ad[i].name) != NULL;
	return 0;
}

static const char *
filter_of(const struct shape_directory *body)
{
#define SOURCE(id, number, words, people, ...)                                                                                     \
	if (!body->filter && body->kind && !strcmp(body->kind, #id))                                                               \
		return people;
#include "tables/sources.def"
#undef SOURCE
	return body->filter ? body->filter : "(objectClass=person)";
}

/* Other kinds hold an attribute only where it says something, so that its absence tells nothing. */
static void
look_at_rights(struct check *c, const struct catalog_directory *directory, struct ldap_link *link)
{
	const char *attributes[countof(of_ad) + 1] = { NULL }, *name = directory->body->name;
	const struct ldap_query query = { .base = directory->body->base,
	    .scope = LDAP_SUBTREE,
	    .filter = filter_of(directory->body),
	    .attributes = attributes,
	    .limit = ACCOUNTS_LOOKED_AT };
	struct ldap_summary summary;
	struct rights rights = { 0 };
	int rc;

	if (!directory->body->kind || strcmp(directory->body->kind, "ad") != 0)
		return;
	for (size_t i = 0; i < countof(of_ad); i++)
		attributes[i] = of_ad[i].name;
	rc = ldap_link_search(c->op, link, &query, on_account, &rights, &summary);
	op_forgive(c->op);
	/* what is wrong with the search itself is told by the reading of all people */
	if ((rc && rc != ERR_TOO_LARGE) || !rights.entries)
		return;
	for (size_t i = 0; i < countof(of_ad); i++)
		if (!rights.seen[i] && of_ad[i].must_be)
			check_bad(c, name,
			    "give the service account the right to read account restrictions of people (in Active Directory: read "
			    "all properties)",
			    "it cannot read %s: %s", of_ad[i].name, of_ad[i].what);
		else if (!rights.seen[i])
			check_warn(c, name, "give the service account the right to read all properties of people",
			    "it cannot read %s: %s", of_ad[i].name, of_ad[i].what);
}

/* ---- people and groups ---- */

struct reading {
	struct op *op;
	const char *skipped[SKIPPED_SHOWN];
	size_t n_skipped;
};

static int
on_skipped(struct op *op, const char *external_id, const char *dn, const char *reason, void *arg)
{
	struct reading *r = arg;

	(void)op, (void)external_id;
	if (r->n_skipped < SKIPPED_SHOWN)
		r->skipped[r->n_skipped++] = op_printf(r->op, "%s: %s", dn, reason);
	return 0;
}

static void
tell_people(
    struct check *c, const struct catalog_directory *directory, const struct source_summary *summary, const struct reading *r)
{
	const char *name = directory->body->name;

	if (!summary->people)
		check_bad(c, name, "look at base and filter, and whether the service account may read there",
		    "nobody is found below %s", directory->body->base);
	else if (!summary->groups)
		check_warn(c, name, "look at group_base and group_filter; without groups only attribute rules give roles",
		    "%lld people, but no group is found", (long long)summary->people);
	else
		check_ok(
		    c, name, "%lld people and %lld groups can be read", (long long)summary->people, (long long)summary->groups);
	if (summary->skipped)
		check_warn(c, name, "give these entries what they lack, or let the filter leave them out",
		    "%lld entries cannot be used, for example %s%s%s", (long long)summary->skipped, r->skipped[0],
		    r->n_skipped > 1 ? "; " : "", r->n_skipped > 1 ? r->skipped[1] : "");
}

static void
look_at_people(struct check *c, const struct catalog_directory *directory)
{
	struct reading reading = { .op = c->op };
	const struct source_reader reader = { .skipped = on_skipped, .arg = &reading };
	struct source_summary summary = { 0 };
	struct source_rules *rules;
	int rc = source_rules_make(c->op, directory, &rules);

	if (!rc)
		rc = source_read(c->op, directory, rules, &reader, &summary);
	if (rc == ERR_DEADLINE && summary.people) {
		check_warn(c, directory->body->name,
		    "look at the load of the directory server; a synchronisation has more time than the doctor",
		    "reading did not come to its end in time; until then %lld people were read", (long long)summary.people);
		op_forgive(c->op);
	} else if (rc) {
		check_failed(c, directory->body->name, "look at base, filter and the rights of the service account");
	} else {
		tell_people(c, directory, &summary, &reading);
	}
}

/* ---- synchronisation ---- */

struct history {
	const char *directory_id;
	int64_t done_ms;
	struct sync_run_row *frozen, *last;
	size_t n_frozen, n_last;
};

static int
history_body(struct op *op, void *arg)
{
	struct history *h = arg;
	int rc = db_sync_last_done(op, h->directory_id, &h->done_ms);

	if (!rc)
		rc = db_sync_run_frozen(op, h->directory_id, &h->frozen, &h->n_frozen);
	return rc ? rc : db_sync_run_list(op, h->directory_id, NULL, 1, &h->last, &h->n_last);
}

static void
look_at_history(struct check *c, const struct catalog_directory *directory)
{
	struct history h = { .directory_id = directory->id };
	const char *name = directory->body->name;
	int64_t late_ms = c->op->config->sync_interval * 1000 * LATE_FACTOR, age_ms;
	char text[TIME_TEXT_BYTES];

	if (db_read(c->op, history_body, &h)) {
		check_failed(c, name, "look at the check \"database\"");
		return;
	}
	if (h.n_frozen)
		check_bad(c, name,
		    op_printf(c->op, "look at it: keyward sync plan %s; let it go on: keyward sync approve %s", h.frozen[0].id,
			h.frozen[0].id),
		    "a synchronisation waits for approval since it would disable too many people");
	late_ms = late_ms < LATE_LEAST_MS ? LATE_LEAST_MS : late_ms;
	age_ms = c->op->now_ms - h.done_ms;
	if (!h.done_ms)
		check_warn(c, name, "keyward sync preview, then keyward sync run", "it has never been synchronised%s%s",
		    h.n_last && h.last[0].failure ? "; the last try: " : "",
		    h.n_last && h.last[0].failure ? h.last[0].failure : "");
	else if (age_ms > late_ms)
		check_warn(c, name, "is keywardd running? keyward sync status tells more",
		    "the last good synchronisation was %s ago (%s)%s%s", length_text(c->op, age_ms), time_text(h.done_ms, text),
		    h.n_last && h.last[0].failure ? "; since then: " : "", h.n_last && h.last[0].failure ? h.last[0].failure : "");
	else
		check_ok(c, name, "last synchronised %s ago", length_text(c->op, age_ms));
}

static void
look_at(struct check *c, const struct catalog_directory *directory)
{
	struct ldap_link *link;

	if (!directory->body->enabled) {
		check_ok(c, directory->body->name, "switched off: neither synchronised nor used for sign-in");
		return;
	}
	if (can_connect(c, directory) && can_trust(c, directory) && can_bind(c, directory, &link)) {
		look_at_kind(c, directory, link);
		look_at_rights(c, directory, link);
		directory_release(c->op, directory, link, false);
		look_at_people(c, directory);
	}
	look_at_history(c, directory);
}

void
check_directories(struct check *c)
{
	const struct catalog_snapshot *catalog = catalog_get(c->op);
	int64_t whole = c->op->deadline_ms;

	if (!catalog->n_directories)
		check_warn(c, "", "keyward setup, or keyward directory add", "no directory is connected: nobody can sign in");
	for (size_t i = 0; i < catalog->n_directories; i++) {
		int64_t now = time_monotonic_ms();

		/* none takes the time of the others */
		c->op->deadline_ms = now + (whole - now) / (int64_t)(catalog->n_directories - i);
		look_at(c, &catalog->directories[i]);
	}
}
