/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Migrations: the files of src/store/schema in their order, each in a transaction of its own, forward only.  Step 0, the list of steps
 * itself, runs every time.
 */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "store/driver_int.h"

SQL_DEFINE(migrations_last, "SELECT COALESCE(MAX(version), 0) FROM schema_migrations");
SQL_DEFINE(migrations_add, "INSERT INTO schema_migrations (version, name, applied_ms) VALUES ($1, $2, $3)");

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
begin_body(struct op *op, void *arg)
{
	struct db_rows *rows;
	const struct db_engine *engine = op->txn->db->engine;
	int rc = engine->own_schema ? engine->script(op, op->txn, engine->own_schema) : 0;

	if (!rc)
		rc = engine->script(op, op->txn, expand(op, engine, schema_steps[0].text));
	if (rc)
		return rc;
	rc = db_query(op, &migrations_last, NO_ARGS, &rows);
	if (!rc && (rc = db_next(rows)) > 0)
		*(int *)arg = (int)db_int(rows, 0);
	return db_end(rows, rc);
}

static int
pulse_body(struct op *op, void *arg)
{
	struct db_rows *rows;
	int rc = db_query(op, &migrations_last, NO_ARGS, &rows);

	(void)arg;
	if (!rc)
		rc = db_next(rows);
	return db_end(rows, rc);
}

int
db_pulse(struct op *op)
{
	return db_read(op, pulse_body, NULL);
}

static int
step_body(struct op *op, void *arg)
{
	const struct schema_step *step = arg;
	int rc = op->txn->db->engine->script(op, op->txn, expand(op, op->txn->db->engine, step->text));

	return rc ? rc : db_exec(op, &migrations_add, ARGS(INT_(step->version), TEXT_(step->name), INT_(op->now_ms)), NULL);
}

static int
schema_body(struct op *op, void *arg)
{
	struct db_rows *rows;
	int rc = db_query(op, &migrations_last, NO_ARGS, &rows);

	if (!rc && (rc = db_next(rows)) > 0)
		*(int *)arg = (int)db_int(rows, 0);
	return db_end(rows, rc);
}

int
db_schema(struct op *op, struct db *db, int *ret_version, int *ret_wanted)
{
	struct db *saved = op->svc->db;
	int rc;

	*ret_version = 0;
	*ret_wanted = schema_steps[schema_step_count - 1].version;
	op->svc->db = db;
	rc = db_read(op, schema_body, ret_version);
	op->svc->db = saved;
	return rc;
}

int
db_migrate(struct op *op, struct db *db)
{
	struct db *saved = op->svc->db;
	int version = 0, rc;

	op->svc->db = db;
	rc = db_run(op, begin_body, &version);
	if (!rc && version && version < schema_steps[schema_step_count - 1].version && db->engine->copy)
		rc = db->engine->copy(op, db, version);
	for (size_t i = 1; i < schema_step_count && !rc; i++) {
		if (schema_steps[i].version <= version)
			continue;
		rc = db_run(op, step_body, (void *)(uintptr_t)&schema_steps[i]);
		if (!rc)
			log_line(LOG_LEVEL_NOTICE, "store.migrated", "step", schema_steps[i].name, NULL);
	}
	/* a newer schema is one that this release still runs on: migrations expand first and contract a release later */
	if (!rc && version > schema_steps[schema_step_count - 1].version)
		log_line(LOG_LEVEL_WARNING, "store.newer", "why", "the database was migrated by a newer release", NULL);
	op->svc->db = saved;
	return rc;
}
