/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Connections to a directory: bound as its service account for searches (kept between uses), or fresh for the one bind that
 * checks a password.  Searching and reading are in directory_person.c and source_ldap.c.
 */
#include "directory_int.h"

#include <string.h>

#include "base/config.h"
#include "base/metric.h"
#include "base/time.h"
#include "net/ldap_pool.h"

/* Another version of the object, or another password, is another connection. */
static const char *
pool_key(struct op *op, const struct catalog_directory *directory)
{
	return op_printf(op, "%s/%lld/%s", directory->id, (long long)directory->version, directory->secret_id ? directory->secret_id : "-");
}

static struct ldap_pool *
pool_of(struct op *op)
{
	return op->svc ? op->svc->ldap_pool : NULL;
}

static int
open_link(struct op *op, const struct catalog_directory *directory, struct ldap_link **ret)
{
	const struct shape_directory *body = directory->body;
	const struct ldap_options options = {
		.url = body->url, .tls = body->starttls ? LDAP_TLS_START : LDAP_TLS_LDAPS, .ca_pem = body->ca,
		.timeout_ms = op->config ? op->config->ldap_timeout * 1000 : 0,
	};

	int rc = ldap_link_open(op, &options, ret);

	metric_set_at(METRIC_ldap_up, LABELS(catalog_directory_server(op, directory)), rc == 0);
	return rc;
}

static int
bind_service(struct op *op, const struct catalog_directory *directory, struct ldap_link *link)
{
	struct ldap_bind_result result;
	char *password;
	int rc = catalog_bind_password(op, directory, &password);

	if (rc)
		return rc;
	rc = ldap_link_bind(op, link, directory->body->bind_dn, password, &result);
	mem_wipe(password, strlen(password));
	if (rc)
		return rc;
	if (result.outcome != LDAP_BIND_OK)
		return op_fail(op, ERR_LDAP, "the directory %s refuses its service account %s: code %d %s", directory->body->name,
		    directory->body->bind_dn, result.code, result.why ? result.why : result.diagnostic);
	return 0;
}

int
directory_open_kerberos(struct op *op, const struct shape_directory *body, struct ldap_link **ret)
{
	const struct ldap_kerberos kerberos = { .principal = body->bind_dn, .keytab = body->keytab, .kdc = body->kdc };
	const struct ldap_options options = {
		.url = body->url, .tls = LDAP_SEAL_KERBEROS, .kerberos = &kerberos,
		.timeout_ms = op->config ? op->config->ldap_timeout * 1000 : 0,
	};

	return ldap_link_open(op, &options, ret);
}

static int
connect_anew(struct op *op, const struct catalog_directory *directory, struct ldap_link **ret)
{
	int rc;

	if (catalog_is_kerberos(directory->body)) {
		rc = directory_open_kerberos(op, directory->body, ret);
		metric_set_at(METRIC_ldap_up, LABELS(catalog_directory_server(op, directory)), rc == 0);
		return rc;
	}
	rc = open_link(op, directory, ret);
	if (rc)
		return rc;
	rc = bind_service(op, directory, *ret);
	if (rc) {
		ldap_link_close(*ret);
		*ret = NULL;
	}
	return rc;
}

int
directory_connect(struct op *op, const struct catalog_directory *directory, struct ldap_link **ret)
{
	struct ldap_pool *pool = pool_of(op);

	*ret = pool ? ldap_pool_take(pool, pool_key(op, directory)) : NULL;
	return *ret ? 0 : connect_anew(op, directory, ret);
}

void
directory_release(struct op *op, const struct catalog_directory *directory, struct ldap_link *link, bool is_good)
{
	struct ldap_pool *pool = pool_of(op);

	if (!link)
		return;
	if (pool && is_good)
		ldap_pool_keep(pool, pool_key(op, directory), link);
	else
		ldap_link_close(link);
}

int
directory_guarded(struct op *op, const struct catalog_directory *directory, int (*work)(struct op *op, void *arg), void *arg)
{
	struct ldap_pool *pool = pool_of(op);
	int64_t whole = op->deadline_ms, until = time_monotonic_ms() + DIRECTORY_SIGN_IN_MS;
	const char *key = pool_key(op, directory);
	int rc;

	if (pool && (rc = ldap_pool_enter(op, pool, key)) < 0)
		return rc;
	if (until < op->deadline_ms)
		op->deadline_ms = until;
	rc = work(op, arg);
	op->deadline_ms = whole;
	op_touch(op);
	if (pool)
		ldap_pool_leave(pool, key, rc);
	return rc;
}

struct check {
	const struct catalog_directory *directory;
	const char *dn, *password;
	struct ldap_bind_result *ret;
};

static int
check(struct op *op, void *arg)
{
	const struct check *c = arg;
	struct ldap_link *link;
	int rc = open_link(op, c->directory, &link);

	if (rc)
		return rc;
	rc = ldap_link_bind(op, link, c->dn, c->password, c->ret);
	ldap_link_close(link);
	return rc;
}

int
directory_check_password(struct op *op, const struct catalog_directory *directory, const char *dn, const char *password,
    struct ldap_bind_result *ret)
{
	struct check c = { directory, dn, password, ret };

	*ret = (struct ldap_bind_result){ .outcome = LDAP_BIND_REFUSED, .diagnostic = "" };
	/* RFC 4513 5.1.2: not even a connection for an empty password */
	if (!*password || !*dn)
		return 0;
	return directory_guarded(op, directory, check, &c);
}
