/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A PostgreSQL database for whoever looks after it: which server, may it be written, does a daemon work on it.  Read pg_examine. */
#include <stdlib.h>
#include <string.h>

#include "driver_pg_int.h"
#include "store/check.h"

static const char look_server[] =
    "SELECT current_setting('server_version'), CASE WHEN pg_is_in_recovery() THEN 'standby'"
    " WHEN current_setting('default_transaction_read_only') = 'on' THEN 'read-only' ELSE '' END,"
    " pg_database_size(current_database()), COALESCE(CAST(to_regclass('engine_lease') AS TEXT), ''),"
    " COALESCE(CAST(has_table_privilege(to_regclass('audit'), 'INSERT') AS TEXT), 'true')";
static const char look_lease[] =
    "SELECT 1 FROM engine_lease WHERE name = 'daemon' AND until_ms > CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";

static const char *
why_unwritable(struct op *op, const PGresult *result)
{
	const char *state = PQgetvalue(result, 0, 1);

	if (strcmp(state, "standby") == 0)
		return "this server is a standby; name the primary, or let a proxy lead there";
	if (*state)
		return "transactions of this user are read-only (default_transaction_read_only)";
	if (strcmp(PQgetvalue(result, 0, 4), "true") != 0)
		return op_strdup(op, "this user may not write the table audit; let the tables belong to the user of the daemon");
	return NULL;
}

/* What the server showed; without TLS (a socket of this machine) nothing. */
static int
read_certificate(struct op *op, struct pg_db *db, db_certificate_of *certificate_of, const char **ret)
{
	struct pg_connection *c;
	char *pem;
	int rc = pg_take(op, db, op->deadline_ms, &c);

	if (rc)
		return rc;
	if (PQsslInUse(c->conn) && certificate_of(op, PQgetssl(c->conn), &pem) == 0)
		*ret = pem;
	op_forgive(op);
	pg_give(db, c);
	return 0;
}

int
pg_examine(struct op *op, struct db *head, db_certificate_of *certificate_of, struct db_health *ret)
{
	struct pg_db *db = (struct pg_db *)head;
	bool has_lease;
	PGresult *result;
	int rc = pg_ask_alone(op, db, look_server, NULL, 0, &result);

	if (rc)
		return rc;
	ret->place = op_printf(op, "%s, PostgreSQL %s", db->dsn.place, PQgetvalue(result, 0, 0));
	ret->size_bytes = atoll(PQgetvalue(result, 0, 2));
	ret->unwritable = why_unwritable(op, result);
	/* the server itself checks its pages (data_checksums); there is no quick check of ours */
	ret->is_checked = false;
	has_lease = *PQgetvalue(result, 0, 3);
	PQclear(result);
	rc = read_certificate(op, db, certificate_of, &ret->certificate);
	if (rc)
		return rc;
	if (!has_lease)
		return 0;
	rc = pg_ask_alone(op, db, look_lease, NULL, 0, &result);
	if (rc)
		return rc;
	ret->is_claimed = PQntuples(result) > 0;
	PQclear(result);
	return 0;
}
