/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a DSN may say.  libpq reads much from its surroundings (PGSSLMODE, service files, ~/.pgpass); here everything that decides who is
 * spoken to, and how safely, is settled from the DSN alone.  Read pg_dsn_read from the bottom up.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "driver_pg_int.h"

#define OPTIONS_MAX 64
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

/*
 * Belts on the server's side, should this program die or hang in a transaction.  Without sequential scans where there is an index: a
 * statement that was planned while its table was still empty would keep such a plan, and a scan of a whole table conflicts with
 * every writer of it under SERIALIZABLE.  Without compiling plans: what a scan that is there all the same is said to cost would set
 * that off, and it takes a tenth of a second for what is done in a thousandth.
 */
static const char session_options[] =
    "-c default_transaction_isolation=read\\ committed -c default_transaction_read_only=off -c lock_timeout=1500"
    " -c statement_timeout=65000 -c idle_in_transaction_session_timeout=65000 -c client_connection_check_interval=1000"
    " -c bytea_output=hex -c enable_seqscan=off -c jit=off -c default_statistics_target=20"
    " -c search_path=public -c client_min_messages=warning";

struct options {
	const char *names[OPTIONS_MAX], *values[OPTIONS_MAX];
	size_t n;
};

static const char *
get(const struct options *o, const char *name)
{
	for (size_t i = 0; i < o->n; i++)
		if (!strcmp(o->names[i], name))
			return o->values[i];
	return NULL;
}

static void
set(struct options *o, const char *name, const char *value)
{
	size_t i = 0;

	while (i < o->n && strcmp(o->names[i], name))
		i++;
	if (i == OPTIONS_MAX)
		return;
	o->names[i] = name;
	o->values[i] = value;
	if (i == o->n)
		o->n++;
}

static void
preset(struct options *o, const char *name, const char *value)
{
	if (!get(o, name))
		set(o, name, value);
}

/* Never out of this machine: a UNIX socket, or an address of loopback. */
static bool
is_local_one(const char *host, size_t n)
{
	return n && (host[0] == '/' || host[0] == '@' || (n == 9 && !strncmp(host, "localhost", 9)) ||
	    (n > 4 && !strncmp(host, "127.", 4) && strspn(host, "0123456789.") >= n) || (n == 3 && !strncmp(host, "::1", 3)));
}

static bool
is_local(const char *hosts)
{
	for (const char *at = hosts;; at++) {
		size_t n = strcspn(at, ",");

		if (!is_local_one(at, n))
			return false;
		at += n;
		if (!*at)
			return true;
	}
}

/* Whoever may sit between would read every account, and could write some: encryption alone does not say with whom. */
static int
settle_tls(struct op *op, struct options *o, bool is_opening)
{
	const char *hosts = get(o, "hostaddr"), *mode = get(o, "sslmode"), *roots = get(o, "sslrootcert");
	bool is_weak = mode && strcmp(mode, "verify-full") != 0;

	if (is_local(hosts ? hosts : get(o, "host"))) {
		preset(o, "sslmode", "prefer");
		return 0;
	}
	if (is_weak)
		return op_fail(op, ERR_CONFIG,
		    "the database is on another machine, and sslmode=%s does not check which one answers: leave sslmode out "
		    "(it is verify-full then), and name the authority of its certificate with sslrootcert=/path/of/ca.pem", mode);
	set(o, "sslmode", "verify-full");
	preset(o, "ssl_min_protocol_version", "TLSv1.2");
	if (is_opening && roots && access(roots, R_OK) < 0)
		return op_fail(op, ERR_CONFIG, "cannot read the certificate authority %s that sslrootcert names", roots);
	preset(o, "sslrootcert", SYSTEM_ROOTS);
	return 0;
}

static int
settle_password(struct op *op, struct options *o, bool is_opening)
{
	const char *reference = get(o, "password");
	char *password;
	int rc;

	if (!reference)
		return 0;
	if (secret_reference_problem(reference))
		return op_fail(op, ERR_CONFIG,
		    "a password does not stand in the address of the database: write password=@/path/of/file, or password=credential:NAME");
	if (!is_opening)
		return 0;
	rc = secret_read(op, reference, &password);
	if (!rc)
		set(o, "password", password);
	return rc;
}

/* Another one for each database that is opened: a daemon that takes over ends the connections of the one before by it. */
static char *
session_name(struct op *op)
{
	char id[UUID_TEXT_BYTES];

	uuid_new(id, op->now_ms);
	/* the second half of a UUIDv7 is random */
	return op_printf(op, "keyward-%ld-%s", (long)getpid(), id + 24);
}

static int
settle_rest(struct op *op, struct options *o)
{
	static const char *const unwanted[] = { "service", "passfile", "options", "replication", "client_encoding",
		"fallback_application_name", "gssencmode" };

	if (!get(o, "host") && !get(o, "hostaddr"))
		return op_fail(op, ERR_CONFIG,
		    "the address of the database names no host: write host=NAME, or host=/run/postgresql for a socket");
	if (!get(o, "dbname"))
		return op_fail(op, ERR_CONFIG, "the address of the database names no database: add dbname=keyward");
	for (size_t i = 0; i < countof(unwanted); i++)
		if (get(o, unwanted[i]))
			return op_fail(op, ERR_CONFIG, "%s has no place in the address of the database", unwanted[i]);
	preset(o, "user", "keyward");
	set(o, "application_name", session_name(op));
	preset(o, "target_session_attrs", "read-write");
	preset(o, "keepalives_idle", "5");
	preset(o, "keepalives_interval", "1");
	preset(o, "keepalives_count", "3");
	preset(o, "tcp_user_timeout", "5000");
	set(o, "client_encoding", "UTF8");
	/* no Kerberos cache of whoever started us */
	set(o, "gssencmode", "disable");
	set(o, "passfile", "/dev/null/none");
	set(o, "options", session_options);
	return 0;
}

static int
parse(struct op *op, const char *text, struct options *o, PQconninfoOption **ret_list)
{
	char *why = NULL;
	PQconninfoOption *list = PQconninfoParse(text, &why);

	/* its words may hold a piece of the text, a password among them */
	PQfreemem(why);
	if (!list)
		return op_fail(op, ERR_CONFIG, "the address of the database cannot be read; it looks like "
		    "postgresql://keyward@db.clinic.test/keyward?password=@/etc/keyward/database.password, "
		    "or host=/run/postgresql dbname=keyward");
	for (PQconninfoOption *one = list; one->keyword; one++)
		if (one->val && one->val[0])
			set(o, one->keyword, one->val);
	*ret_list = list;
	return 0;
}

static void
keep(const struct options *o, struct pg_dsn *ret)
{
	const char *host = get(o, "host") ? get(o, "host") : get(o, "hostaddr"), *port = get(o, "port");
	struct arena *mem = arena_new();

	ret->names = mem_new((o->n + 1) * sizeof(*ret->names));
	ret->values = mem_new((o->n + 1) * sizeof(*ret->values));
	for (ret->n = 0; ret->n < o->n; ret->n++) {
		ret->names[ret->n] = mem_strdup(o->names[ret->n]);
		ret->values[ret->n] = mem_strdup(o->values[ret->n]);
	}
	ret->place = mem_strdup(arena_printf(mem, "%s on %s%s%s", get(o, "dbname"), host, port ? " port " : "", port ? port : ""));
	arena_free(mem);
}

int
pg_dsn_read(struct op *op, const char *text, struct pg_dsn *ret)
{
	PQconninfoOption *list = NULL;
	struct options o = { .n = 0 };
	int rc = parse(op, text, &o, &list);

	if (rc)
		return rc;
	rc = settle_rest(op, &o);
	if (!rc)
		rc = settle_tls(op, &o, ret);
	if (!rc)
		rc = settle_password(op, &o, ret);
	if (!rc && ret)
		keep(&o, ret);
	PQconninfoFree(list);
	return rc;
}

void
pg_dsn_clear(struct pg_dsn *dsn)
{
	for (size_t i = 0; i < dsn->n; i++) {
		explicit_bzero(dsn->values[i], strlen(dsn->values[i]));
		mem_free(dsn->names[i]);
		mem_free(dsn->values[i]);
	}
	mem_free(dsn->names);
	mem_free(dsn->values);
	mem_free(dsn->place);
	*dsn = (struct pg_dsn){ .n = 0 };
}
