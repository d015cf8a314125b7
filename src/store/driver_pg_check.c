/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a PostgreSQL server says of itself that matters to us: one question, one row for each thing that is not as it has to be.
 * Read the questions.
 */
#include <string.h>

#include "driver_pg_int.h"
#include "store/check.h"

/* A question whose rows are what is wrong: their only column goes into the sentence. */
static const struct {
	enum db_verdict verdict;
	const char *text, *sentence, *fine;
} questions[] = {
	{ DB_DAMAGED, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"
	    " AND pg_encoding_to_char(encoding) <> 'UTF8'",
	    "the encoding is %s: make a database with --encoding=UTF8 and move there with keyward db copy", "the encoding is UTF8" },
	{ DB_DAMAGED, "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
	    " JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_collation l ON l.oid = a.attcollation"
	    " WHERE n.nspname = 'public' AND c.relkind = 'r' AND a.attnum > 0 AND l.collname <> 'C'"
	    " AND c.relname NOT LIKE 'engine!_%' ESCAPE '!'",
	    "column %s is not compared byte by byte (COLLATE \"C\"): move into a new database with keyward db copy",
	    "text is compared byte by byte" },
	{ DB_DAMAGED, "SELECT conrelid::regclass || ': ' || conname FROM pg_constraint"
	    " WHERE connamespace = 'public'::regnamespace AND NOT convalidated",
	    "constraint %s was never checked: ALTER TABLE ... VALIDATE CONSTRAINT", "every constraint holds" },
	{ DB_DAMAGED, "SELECT indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
	    " WHERE c.relnamespace = 'public'::regnamespace AND NOT indisvalid",
	    "index %s is not valid: REINDEX INDEX", "every index is valid" },
	{ DB_WARNING, "SELECT current_setting('fsync') WHERE current_setting('fsync') <> 'on'",
	    "fsync is %s on the server: at a power cut it loses what was acknowledged, or all; set it to on",
	    "commits reach the disk (fsync)" },
	{ DB_WARNING, "SELECT current_setting('full_page_writes') WHERE current_setting('full_page_writes') <> 'on'",
	    "full_page_writes is %s on the server: a power cut can tear pages; set it to on",
	    "pages survive a power cut (full_page_writes)" },
	/* ours is set for the session; others that write here would not wait */
	{ DB_WARNING, "SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit' AND reset_val = 'off'",
	    "synchronous_commit is %s on the server; Keyward's own commits wait all the same, other programs' do not",
	    "commits are waited for (synchronous_commit)" },
	{ DB_WARNING, "SELECT 'off' WHERE current_setting('data_checksums') <> 'on'",
	    "data_checksums are %s: a page that the disk has changed is not noticed; pg_checksums --enable, at a stop of the server",
	    "the server checks its pages (data_checksums)" },
};

static int
ask(struct op *op, struct pg_db *db, size_t i, struct db_findings *ret)
{
	PGresult *result;
	int rc = pg_ask_alone(op, db, questions[i].text, NULL, 0, &result), n;

	if (rc)
		return rc;
	n = PQntuples(result);
	for (int row = 0; row < n; row++) {
		const char *sentence = questions[i].sentence, *at = strstr(sentence, "%s");

		db_finding_add(op, ret, questions[i].verdict, "engine", "%.*s%s%s", (int)(at - sentence), sentence,
		    PQgetvalue(result, row, 0), at + 2);
	}
	if (!n)
		db_finding_add(op, ret, DB_GOOD, "engine", "%s", questions[i].fine);
	PQclear(result);
	return 0;
}

int
pg_check(struct op *op, struct db *head, struct db_findings *ret)
{
	int rc = 0;

	for (size_t i = 0; i < countof(questions) && !rc; i++)
		rc = ask(op, (struct pg_db *)head, i, ret);
	return rc;
}
