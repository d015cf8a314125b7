/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A PostgreSQL server that takes no writes for now: the disk of its tables is full, or it has become read-only.  Noted when a statement
 * fails for that, told once, and forgotten when there is room for a table of some size: a row of a page that has room would say too little.
 */
#include <string.h>

#include "base/log.h"
#include "driver_pg_int.h"

/* About 300 KB, gone with its own commit. */
static const char room_try[] =
    "CREATE TEMP TABLE kw_room ON COMMIT DROP AS SELECT repeat('x', 100) AS x FROM generate_series(1, 2000)";

const char *
pg_refusal(const char *code)
{
	/* PostgreSQL, Appendix A: disk_full, read_only_sql_transaction */
	return !strcmp(code, "53100") ? "the disk of the database server is full" :
	    !strcmp(code, "25006") ? "the database server is a standby, or only allows reading" : NULL;
}

void
pg_note_refusal(struct pg_db *db, const char *code)
{
	const char *why = pg_refusal(code);

	if (why && !atomic_exchange(&db->is_refusing, true))
		log_line(LOG_LEVEL_ERROR, "store.refuses", "why", why, NULL);
}

bool
pg_is_refusing(struct db *head)
{
	return atomic_load(&((struct pg_db *)head)->is_refusing);
}

int
pg_try_write(struct op *op, struct db *head)
{
	struct pg_db *db = (struct pg_db *)head;
	PGresult *result;
	int rc = pg_ask_alone(op, db, room_try, NULL, 0, &result);

	if (rc)
		return rc;
	PQclear(result);
	if (atomic_exchange(&db->is_refusing, false))
		log_line(LOG_LEVEL_NOTICE, "store.writable", "why", "the database server takes writes again", NULL);
	return 0;
}
