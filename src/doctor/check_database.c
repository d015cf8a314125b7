/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The database: is it there, whole, of this program's schema, and may it be written. */
#include "doctor_int.h"

#include <string.h>

#include "base/time.h"
#include "crypt/certificate.h"
#include "store/check.h"
#include "store/schema.h"

#define WAL_WARN_BYTES (INT64_C(256) << 20)

static void
look_at_schema(struct check *c, struct db *db)
{
	int version, wanted;

	if (db_schema(c->op, db, &version, &wanted))
		check_failed(c, "schema",
		    "if this is not Keyward's database, name the right one with the key \"database\"; if it is, restore a backup");
	else if (version == 0)
		check_warn(c, "schema", "start keywardd once: it makes the tables", "the database is empty");
	else if (version < wanted)
		check_warn(c, "schema", "restart keywardd: it changes the database to its own schema, and keeps a copy first",
		    "the database has schema %d, this program uses %d", version, wanted);
	else if (version > wanted)
		check_warn(c, "schema", "finish the upgrade, or run the release that made it",
		    "the database was made by a newer release: schema %d, this program knows %d", version, wanted);
	else
		check_ok(c, "schema", "schema %d, as this program wants it", version);
}

/* A server that is reached by TLS: without a good certificate no connection comes about. */
static void
look_at_certificate(struct check *c, const char *pem)
{
	struct certificate_facts facts;
	enum doctor_verdict verdict;
	const char *end;

	if (certificate_read(c->op, pem, &facts)) {
		check_failed(c, "certificate", "look at the server's TLS: psql with sslmode=verify-full");
		return;
	}
	verdict = check_end(c, facts.not_after_ms, &end);
	if (verdict == DOCTOR_PROBLEM)
		check_bad(c, "certificate", "renew the certificate on the database server today", "the certificate of %s %s",
		    facts.subject, end);
	else if (verdict == DOCTOR_WARNING)
		check_warn(c, "certificate", "renew the certificate on the database server; when it ends, nobody can sign in",
		    "the certificate of %s %s", facts.subject, end);
	else
		check_ok(c, "certificate", "the server's certificate is trusted and %s", end);
}

static void
look_at_health(struct check *c, const struct db_health *h)
{
	if (h->damage)
		check_bad(c, "integrity", "stop keywardd, keep a copy of the file as it is, and restore the newest good backup",
		    "the database is damaged: %s", h->damage);
	else if (!h->file)
		check_ok(c, "size", "%s on the server, which looks after its pages itself", bytes_text(c->op, h->size_bytes));
	else if (!h->is_checked)
		check_warn(c, "integrity", "run it again at a quiet time: keyward doctor database",
		    "the integrity check did not come to its end in time");
	else
		check_ok(c, "integrity", "the quick integrity check found nothing wrong");
	if (h->unwritable)
		check_bad(c, "writable",
		    "let file and folder belong to the user of the daemon, on a file system that is mounted read-write",
		    "the database cannot be written: %s", h->unwritable);
	else
		check_ok(c, "writable", "the database can be written");
	if (!h->file)
		return;
	if (h->wal_bytes > WAL_WARN_BYTES)
		check_warn(c, "log", "a program that reads for hours (a backup, a shell) keeps it from being merged: end that one",
		    "the write-ahead log beside the database has grown to %s", bytes_text(c->op, h->wal_bytes));
	else
		check_ok(c, "log", "%s, write-ahead log %s", bytes_text(c->op, h->size_bytes), bytes_text(c->op, h->wal_bytes));
}

static const char *
mend_opening(struct op *op)
{
	if (db_file(op->config->database))
		return "run the doctor as root or as the user of the daemon; if that is so, restore a backup";
	if (strstr(op_failure(op), "certificate"))
		return "renew the certificate of the database server, or name its authority with sslrootcert; to see it: "
		       "openssl s_client -starttls postgres -connect HOST:PORT";
	return "look whether the database server runs, whether it lets this machine in, and at the key \"database\"";
}

void
check_database(struct check *c)
{
	struct db_health health;
	struct db *db;
	int rc = db_open_reader(c->op, c->op->config->database, &db);

	if (rc == ERR_NOT_FOUND) {
		check_bad(c, "", "start keywardd once: it makes the database; or name the right file with the key \"database\"",
		    "there is no database: %s", op_failure(c->op));
		return;
	}
	if (rc) {
		check_failed(c, "", mend_opening(c->op));
		return;
	}
	if (db_examine(c->op, db, certificate_of_peer, &health)) {
		check_failed(c, "", "look whether the database answers at all, then run this again");
	} else {
		check_ok(c, "", "%s opens%s", health.place, health.is_claimed ? "; a daemon works on it" : "");
		look_at_schema(c, db);
		look_at_health(c, &health);
		if (health.certificate)
			look_at_certificate(c, health.certificate);
	}
	db_close(db);
}
