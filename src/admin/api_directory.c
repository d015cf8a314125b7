/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The API that adds a directory: it looks at the server first (certificates, sign-in of the service account, kind, a few people and
 * groups), so that what is written has been seen to work.  Read api_directory_create at the end, then probe().
 */
#include <string.h>

#include "api_int.h"
#include "base/time.h"
#include "net/ldap.h"
#include "people/catalog.h"
#include "people/object.h"
#include "sync/source.h"
#include "sync/sync.h"

#define PROBE_DEADLINE_MS 30000
#define PEOPLE_SHOWN 3
#define GROUPS_SHOWN 40
#define GROUPS_COUNTED 1000
#define WARN_CERTIFICATE_MS (30 * INT64_C(86400000))

struct probe {
	const struct shape_directory_new *in;
	struct ldap_options options;
	struct ldap_peek seen;
	struct shape_directory directory;       /* as it will be written */
	struct shape_directory_probe view;
	struct shape_probe_person people[PEOPLE_SHOWN];
	const struct source_kind *kind;
	const char *filter, *group_filter;
	const char *login_attribute, *name_attribute, *mail_attribute, *end_attribute, *id_attribute;
};

static void
warn(struct op *op, struct probe *probe, const char *sentence)
{
	struct strings *list = &probe->view.warnings;

	if (!list->v)
		list->v = op_alloc(op, 32 * sizeof(*list->v));
	if (list->n < 32)
		list->v[list->n++] = sentence;
}

static const char *
day(struct op *op, int64_t time_ms)
{
	char text[TIME_TEXT_BYTES];

	return op_strndup(op, time_text(time_ms, text), 10);
}

static int
look_at_certificates(struct op *op, struct probe *probe)
{
	const struct ldap_certificate *shown;
	struct shape_certificate_view *v;
	size_t n;
	int rc = ldap_peek(op, &probe->options, &probe->seen);

	if (rc)
		return rc;
	shown = probe->seen.v;
	n = probe->seen.n < 16 ? probe->seen.n : 16;
	v = op_alloc(op, (n + 1) * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		v[i] = (struct shape_certificate_view){
		    shown[i].subject, shown[i].issuer, shown[i].not_before_ms, shown[i].not_after_ms, shown[i].sha256,
		    shown[i].names, shown[i].is_ca, NULL };
		if (shown[i].not_after_ms < op->now_ms + WARN_CERTIFICATE_MS)
			warn(op, probe,
			    op_printf(op, "the certificate of %s ends on %s", shown[i].subject, day(op, shown[i].not_after_ms)));
	}
	probe->view.certificates = (struct shape_list){ v, n };
	return 0;
}

/* What the server showed belongs into the message when it is not trusted: it tells which CA file is missing. */
static int
refuse_certificate(struct op *op, const struct probe *probe, int rc)
{
	const struct shape_certificate_view *v = probe->view.certificates.v;
	struct buf text = buf_in(op->mem);

	if (rc != ERR_LDAP_TLS || !probe->view.certificates.n)
		return rc;
	if (probe->seen.problem)
		buf_printf(&text, "no secure connection to %s: %s; the server showed:", probe->options.url, probe->seen.problem);
	else
		buf_printf(&text, "%s; the server showed:", op_failure(op));
	for (size_t i = 0; i < probe->view.certificates.n; i++)
		buf_printf(&text, "\n  %s, signed by %s, until %s, SHA-256 %s", v[i].subject, v[i].issuer, day(op, v[i].until),
		    v[i].sha256);
	if (probe->seen.is_unknown)
		buf_printf(&text, "\n%s", probe->options.ca_pem ? "the file of --ca does not hold that CA: give its certificate" :
		    "give the certificate of that CA with --ca FILE");
	else
		buf_add(&text, "\nlet the server show a good certificate with the name that stands in the address");
	op_forgive(op);
	return op_fail(op, rc, "%s", text.text);
}

static const char *
outcome_text(enum ldap_bind_outcome outcome)
{
	switch (outcome) {
	case LDAP_BIND_OK: return "accepted";
	case LDAP_BIND_LOCKED: return "refused: the account is locked";
	case LDAP_BIND_DISABLED: return "refused: the account is disabled";
	case LDAP_BIND_EXPIRED_ACCOUNT: return "refused: the account has expired";
	case LDAP_BIND_PASSWORD_EXPIRED: return "refused: the password has expired";
	case LDAP_BIND_MUST_CHANGE: return "refused: the password must be changed first";
	case LDAP_BIND_HOURS: return "refused: the account may not sign in at this time";
	case LDAP_BIND_WORKSTATION: return "refused: the account may sign in only at certain computers";
	default: return "refused: wrong DN or password";
	}
}

/* A fresh connection, signed in as the service account. */
static int
connect_bound(struct op *op, struct probe *probe, struct ldap_link **ret)
{
	struct ldap_bind_result result;
	struct ldap_link *link;
	int rc = ldap_link_open(op, &probe->options, &link);

	if (rc)
		return refuse_certificate(op, probe, rc);
	if (catalog_is_kerberos(&probe->directory)) {
		/* that was what people's passwords will go through; this is the account's own */
		ldap_link_close(link);
		rc = directory_open_kerberos(op, &probe->directory, ret);
		probe->view.bind = rc ? NULL : "accepted by Kerberos, encrypted";
		return rc;
	}
	rc = ldap_link_bind(op, link, probe->in->bind_dn, probe->in->password, &result);
	if (!rc && result.outcome != LDAP_BIND_OK)
		rc = op_fail(op, ERR_INVALID, "the directory did not let %s in: %s%s%s", probe->in->bind_dn,
		    outcome_text(result.outcome), result.diagnostic && *result.diagnostic ? ": " : "",
		    result.diagnostic ? result.diagnostic : "");
	if (rc) {
		ldap_link_close(link);
		return rc;
	}
	probe->view.bind = outcome_text(LDAP_BIND_OK);
	*ret = link;
	return 0;
}

/* What a synchronisation needs of every entry and would miss. */
static void
warn_of_missing(struct op *op, struct probe *probe, const struct ldap_entry *entry)
{
	const char *const names[] = { probe->id_attribute, "userAccountControl", probe->end_attribute };
	/* elsewhere an account without marks is a usable one */
	size_t n = probe->kind->state == SOURCE_STATE_CONTROL ? countof(names) : 1;

	if (!ldap_value(entry, probe->login_attribute))
		warn(op, probe, op_printf(op, "%s has no %s, and could not sign in", entry->dn, probe->login_attribute));
	for (size_t i = 0; i < n; i++)
		if (!ldap_value(entry, names[i]))
			warn(op, probe, op_printf(op, "%s has no %s, or does not show it to %s: it would be left out", entry->dn,
			    names[i], probe->in->bind_dn));
}

static int
on_person(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct probe *probe = arg;
	size_t i = probe->view.people.n;
	const char *name = ldap_value(entry, probe->name_attribute);

	if (i == PEOPLE_SHOWN)
		return ERR_TOO_LARGE;
	probe->people[i] = (struct shape_probe_person){
		.dn = op_strdup(op, entry->dn),
		.login = op_strdup(op, ldap_value(entry, probe->login_attribute)),
		.name = op_strdup(op, name ? name : ldap_value(entry, "cn")),
		.mail = op_strdup(op, ldap_value(entry, probe->mail_attribute)),
	};
	warn_of_missing(op, probe, entry);
	probe->view.people = (struct shape_list){ probe->people, i + 1 };
	return 0;
}

static int
on_group(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct probe *probe = arg;
	struct strings *groups = &probe->view.groups;

	if (probe->view.group_count == GROUPS_COUNTED)
		return ERR_TOO_LARGE;
	probe->view.group_count++;
	if (!groups->v)
		groups->v = op_alloc(op, GROUPS_SHOWN * sizeof(*groups->v));
	if (groups->n < GROUPS_SHOWN)
		groups->v[groups->n++] = op_strdup(op, entry->dn);
	return 0;
}

/* A search that may stop early: more than wanted is as good as all. */
static int
look_at(struct op *op, struct probe *probe, const struct ldap_query *query,
    int (*on_entry)(struct op *op, const struct ldap_entry *entry, void *arg))
{
	struct ldap_summary summary = { 0 };
	struct ldap_link *link;
	int rc = connect_bound(op, probe, &link);

	if (rc)
		return rc;
	rc = ldap_link_search(op, link, query, on_entry, probe, &summary);
	ldap_link_close(link);
	if (rc == ERR_TOO_LARGE) {
		op_forgive(op);
		rc = 0;
	}
	if (rc == ERR_NOT_FOUND) {
		op_forgive(op);
		return op_fail(
		    op, ERR_INVALID, "the directory has no entry %s, or does not show it to %s", query->base, probe->in->bind_dn);
	}
	if (!rc && summary.referrals)
		warn(op, probe, op_printf(op, "below %s there are referrals to other servers; they are not followed", query->base));
	return rc;
}

/* Names and filters as a synchronisation will use them. */
static void
fit_to_kind(struct probe *probe)
{
	const struct shape_directory *d = &probe->directory;
	const struct source_kind *kind = source_kind_find(d->kind);

	probe->kind = kind;
	probe->filter = d->filter ? d->filter : kind->people;
	probe->group_filter = d->group_filter ? d->group_filter : kind->groups;
	probe->login_attribute = d->login_attribute ? d->login_attribute : kind->login;
	probe->name_attribute = d->name_attribute ? d->name_attribute : kind->display;
	probe->mail_attribute = d->mail_attribute ? d->mail_attribute : kind->mail;
	probe->end_attribute = d->expires_attribute ? d->expires_attribute : kind->end;
	probe->id_attribute = d->id_attribute ? d->id_attribute : kind->id;
}

static int
look_at_server(struct op *op, struct probe *probe)
{
	struct ldap_root_dse root;
	struct ldap_link *link;
	int rc = connect_bound(op, probe, &link);

	if (rc)
		return rc;
	rc = ldap_read_root_dse(op, link, &root);
	ldap_link_close(link);
	if (!rc && probe->directory.kind)
		rc = source_kind_check(op, &probe->directory, root.kind);
	if (rc)
		return rc;
	if (!probe->directory.kind)
		probe->directory.kind = source_kind_of(root.kind)->name;
	probe->view.kind = probe->directory.kind;
	fit_to_kind(probe);
	probe->view.naming_contexts = root.naming_contexts;
	if (probe->view.naming_contexts.n > 32)
		probe->view.naming_contexts.n = 32;
	if (!root.has_paged_results)
		warn(op, probe, "the server offers no paged results; a synchronisation ends at its size limit");
	return 0;
}

static int
look_at_people(struct op *op, struct probe *probe)
{
	const struct shape_directory *d = &probe->directory;
	const char *attributes[] = { probe->login_attribute, "cn", probe->name_attribute, probe->mail_attribute, probe->id_attribute,
		probe->end_attribute, "userAccountControl", NULL };
	static const char *const none[] = { "1.1", NULL };      /* RFC 4511 4.5.1.8: no attributes */
	const bool is_ad = probe->kind->kind == LDAP_KIND_AD;
	const struct ldap_query people = { .base = d->base, .scope = LDAP_SUBTREE, .filter = probe->filter, .attributes = attributes,
		.page_size = 50, .is_one_context = is_ad };
	const struct ldap_query groups = { .base = d->group_base ? d->group_base : d->base, .scope = LDAP_SUBTREE,
		.filter = probe->group_filter, .attributes = none, .page_size = 500, .is_one_context = is_ad };
	int rc = look_at(op, probe, &people, on_person);

	if (!rc && !probe->view.people.n)
		warn(op, probe, op_printf(op, "nobody below %s matches %s", people.base, people.filter));
	if (!rc)
		rc = look_at(op, probe, &groups, on_group);
	if (!rc && !probe->view.group_count)
		warn(op, probe, op_printf(op, "no group below %s matches %s", groups.base, groups.filter));
	return rc;
}

static int
probe_run(struct op *op, struct probe *probe)
{
	int rc = look_at_certificates(op, probe);

	if (!rc)
		rc = look_at_server(op, probe);
	if (!rc)
		rc = look_at_people(op, probe);
	op_touch(op);
	return rc;
}

/* The host of the URL, when no name was given. */
static const char *
name_of(struct op *op, const struct shape_directory_new *in)
{
	const char *host = strstr(in->url, "://");

	if (in->name)
		return in->name;
	host = host ? host + 3 : in->url;
	return op_strndup(op, host, *host == '[' ? strcspn(host, "]/") + 1 : strcspn(host, ":/"));
}

static struct shape_directory
directory_of(struct op *op, const struct shape_directory_new *in)
{
	return (struct shape_directory){
		.name = name_of(op, in), .kind = strcmp(in->kind, "auto") ? in->kind : NULL,
		.url = in->url, .starttls = in->starttls, .ca = in->ca,
		.base = in->base, .filter = in->filter, .group_base = in->group_base, .group_filter = in->group_filter,
		.member_attributes = in->member_attributes, .bind_dn = in->bind_dn,
		.bind_method = in->bind_method, .keytab = in->keytab, .kdc = in->kdc,
		.id_attribute = in->id_attribute, .id_form = in->id_form, .login_attribute = in->login_attribute,
		.other_login_attribute = in->other_login_attribute, .domain = in->domain,
		.name_attribute = in->name_attribute, .mail_attribute = in->mail_attribute,
		.disabled_attribute = in->disabled_attribute, .disabled_value = in->disabled_value,
		.expires_attribute = in->expires_attribute, .expires_form = in->expires_form, .enabled = in->enabled,
	};
}

/* Checks and, unless it is a dry run, writes the object with its sealed password. */
static int
write_directory(struct op *op, struct probe *probe, bool is_dry_run, const struct object_secret *secret, const char **ret_id)
{
	struct object_change change = { .kind = OBJECT_DIRECTORY, .body = &probe->directory, .must_be_new = true, .secret = secret };
	const struct objects_options options = { .is_dry_run = is_dry_run };
	struct objects_result result;
	int rc = objects_change(op, &change, 1, &options, &result);

	*ret_id = change.id;
	return rc;
}

HANDLER(api_directory_create);
HANDLER(api_directory_create)
{
	const struct shape_directory_new *in = route_body(request);
	struct probe *probe = op_alloc(op, sizeof(*probe));
	struct object_secret *secret = NULL;
	const char *id;
	int rc;

	if (!in->password == !(in->bind_method && !strcmp(in->bind_method, "gssapi")))
		return op_fail(op, ERR_INVALID, in->password ? "a service account that signs in by Kerberos has a keytab and no password" :
		    "the service account needs its password (--password-file FILE), or bind_method gssapi and a keytab");
	op->deadline_ms = time_monotonic_ms() + PROBE_DEADLINE_MS;
	probe->in = in;
	probe->directory = directory_of(op, in);
	probe->view.name = probe->directory.name;
	probe->options =
	    (struct ldap_options){ .url = in->url, .tls = in->starttls ? LDAP_TLS_START : LDAP_TLS_LDAPS, .ca_pem = in->ca };
	rc = write_directory(op, probe, true, NULL, &id);
	if (!rc)
		rc = probe_run(op, probe);
	if (!rc && !in->dry_run) {
		rc = in->password ? object_seal_password(op, in->password, &secret) : 0;
		if (!rc)
			rc = write_directory(op, probe, false, secret, &id);
		probe->view.created = !rc;
		probe->view.id = id;
	}
	if (!rc)
		reply_shape(op, reply, in->dry_run ? 200 : 201, shape_directory_probe(), &probe->view);
	return rc;
}

/* The password is kept whatever comes of it: the server may be down, or change its own a minute later. */
static const char *
try_password(struct op *op, const char *name)
{
	const struct catalog_directory *directory = catalog_directory(catalog_get(op), name);
	struct ldap_link *link;
	const char *text;

	op->deadline_ms = time_monotonic_ms() + PROBE_DEADLINE_MS;
	if (!directory)
		return "";
	if (directory_connect(op, directory, &link) == 0) {
		ldap_link_close(link);
		return ", and the service account signs in with it";
	}
	text = op_printf(op, ", but the service account cannot sign in now: %.700s", op_failure(op));
	op_forgive(op);
	return text;
}

HANDLER(api_directory_password);
HANDLER(api_directory_password)
{
	const struct shape_password_new *in = route_body(request);
	const char *name = route_param(request, "name");
	const struct catalog_directory *directory = catalog_directory(catalog_get(op), name);
	struct object_secret *secret;
	int rc;

	if (directory && directory->body->password)
		return op_fail(op, ERR_CONFLICT,
		    "directory %s takes its password from %s; write it there, or take \"password\" out of the object",
		    directory->body->name, directory->body->password);
	rc = object_seal_password(op, in->password, &secret);
	if (!rc)
		rc = objects_set_secret(op, OBJECT_DIRECTORY, name, secret);
	if (!rc)
		api_done(op, reply, "the password of directory %s is set%s", name, try_password(op, name));
	return rc;
}
