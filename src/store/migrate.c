/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Migrations: the files of src/store/schema in their order, each in a transaction of its own together with the row that says so, forward
 * only.  Killed anywhere, the next start goes on with the step that is not there.  Step 0, the lists of steps and marks, runs every time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "store/driver_int.h"
#include "store/schema.h"

SQL_DEFINE(migrations_last, "SELECT COALESCE(MAX(version), 0) FROM schema_migrations");
SQL_DEFINE(migrations_add, "INSERT INTO schema_migrations (version, name, applied_ms) VALUES ($1, $2, $3)");
SQL_DEFINE(marks_read, "SELECT name, value FROM schema_marks");
SQL_DEFINE(marks_write, "INSERT INTO schema_marks (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value");
SQL_DEFINE(marks_remove, "DELETE FROM schema_marks WHERE name = $1");

#define MARK_OLDEST "oldest"
#define MARK_UNFINISHED "unfinished"

/* Replaces @tokens by the engine's types. */
static char *
expand(struct op *op, const struct db_engine *engine, const char *text)
{
	const struct { const char *token, *type; } tokens[] = {
		{ "@int", engine->type_int }, { "@text", engine->type_text },
		{ "@blob", engine->type_blob }, { "@strict", engine->type_strict }, { "@keyed", engine->type_keyed },
	};
	struct buf out = buf_in(op->mem);

	while (*text) {
		size_t plain = strcspn(text, "@"), i;

		buf_add_bytes(&out, text, plain);
		text += plain;
		for (i = 0; *text && i < countof(tokens); i++)
			if (text_starts_with(text, tokens[i].token)) {
				buf_add(&out, tokens[i].type);
				text += strlen(tokens[i].token);
				break;
			}
		if (*text == '@' && i == countof(tokens))
			buf_add_char(&out, *text++);
	}
	return out.text;
}

static int
read_version(struct op *op, void *ret)
{
	struct db_rows *rows;
	int rc = db_query(op, &migrations_last, NO_ARGS, &rows);

	if (!rc && (rc = db_next(rows)) > 0)
		*(int *)ret = (int)db_int(rows, 0);
	return db_end(rows, rc);
}

static int
read_marks(struct op *op, struct db_schema *schema)
{
	struct db_rows *rows;
	int rc = db_query(op, &marks_read, NO_ARGS, &rows);

	while (!rc && (rc = db_next(rows)) > 0) {
		if (!strcmp(db_text(rows, 0), MARK_OLDEST))
			schema->oldest = atoi(db_text(rows, 1));
		else if (!strcmp(db_text(rows, 0), MARK_UNFINISHED))
			schema->unfinished = db_text_dup(op, rows, 1);
		rc = 0;
	}
	return db_end(rows, rc);
}

static int
begin_body(struct op *op, void *arg)
{
	struct db_schema *schema = arg;
	const struct db_engine *engine = op->txn->db->engine;
	int rc = engine->own_schema ? engine->script(op, op->txn, engine->own_schema) : 0;

	*schema = (struct db_schema){ 0 };
	if (!rc)
		rc = engine->script(op, op->txn, expand(op, engine, schema_steps[0].text));
	if (!rc)
		rc = read_version(op, &schema->version);
	return rc ? rc : read_marks(op, schema);
}

/* Which programs may still use the schema of this version: the strictest of its steps says it. */
static int
oldest_program(int version)
{
	int oldest = 1;

	for (size_t i = 0; i < schema_step_count && schema_steps[i].version <= version; i++)
		if (schema_steps[i].oldest > oldest)
			oldest = schema_steps[i].oldest;
	return oldest;
}

int
db_pulse(struct op *op)
{
	int version;

	return db_read(op, read_version, &version);
}

static int
step_body(struct op *op, void *arg)
{
	const struct schema_step *step = arg;
	int rc = op->txn->db->engine->script(op, op->txn, expand(op, op->txn->db->engine, step->text));

	if (!rc)
		rc = db_exec(op, &marks_write, ARGS(TEXT_(MARK_OLDEST), TEXT_(op_printf(op, "%d", oldest_program(step->version)))), NULL);
	return rc ? rc : db_exec(op, &migrations_add, ARGS(INT_(step->version), TEXT_(step->name), INT_(op->now_ms)), NULL);
}

int
db_schema(struct op *op, struct db *db, int *ret_version, int *ret_wanted)
{
	*ret_version = 0;
	*ret_wanted = db_schema_newest();
	return db_run_on(op, db, db_read, read_version, ret_version);
}

int
db_schema_newest(void)
{
	return schema_steps[schema_step_count - 1].version;
}

int
db_schema_read(struct op *op, struct db *db, struct db_schema *ret)
{
	return db_run_on(op, db, db_run, begin_body, ret);
}

/* Expand in one release, contract in the next: a newer schema says itself which programs still fit it. */
static int
check_newer(struct op *op, const struct db_schema *schema)
{
	if (schema->version <= db_schema_newest())
		return 0;
	if (schema->oldest > db_schema_newest())
		return op_fail(op, ERR_STORE, "the database has schema %d, made by a newer release; this program knows schema %d and would "
		    "damage it; start the newer release, or restore the backup that was made before the upgrade", schema->version,
		    db_schema_newest());
	log_line(LOG_LEVEL_WARNING, "store.newer", "why", "the database was migrated by a newer release; this one may still use it", NULL);
	return 0;
}

int
db_migrate_to(struct op *op, struct db *db, int version)
{
	struct db_schema schema;
	int rc = db_schema_read(op, db, &schema);

	if (!rc)
		rc = check_newer(op, &schema);
	if (!rc && schema.version && schema.version < version && !schema.unfinished && db->engine->copy)
		rc = db->engine->copy(op, db, schema.version);
	for (size_t i = 1; i < schema_step_count && !rc; i++) {
		if (schema_steps[i].version <= schema.version || schema_steps[i].version > version)
			continue;
		rc = db_run_on(op, db, db_run, step_body, (void *)(uintptr_t)&schema_steps[i]);
		if (!rc)
			log_line(LOG_LEVEL_NOTICE, "store.migrated", "step", schema_steps[i].name, NULL);
	}
	return rc;
}

int
db_migrate(struct op *op, struct db *db)
{
	struct db_schema schema;
	int rc = db_schema_read(op, db, &schema);

	if (!rc && schema.unfinished)
		return op_fail(op, ERR_STORE, "this database is not complete: %s did not come to its end; run that command again, or name "
		    "another database in the key database of the configuration", schema.unfinished);
	return rc ? rc : db_migrate_to(op, db, db_schema_newest());
}

int
db_schema_mark_unfinished(struct op *op, const char *what)
{
	if (!what)
		return db_exec(op, &marks_remove, ARGS(TEXT_(MARK_UNFINISHED)), NULL);
	return db_exec(op, &marks_write, ARGS(TEXT_(MARK_UNFINISHED), TEXT_(what)), NULL);
}
