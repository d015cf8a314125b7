/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Tables as bytes (store/copy.h).  The statements are made here, one a table: they follow from the columns of the schema, which
 * differ from version to version, so that they cannot be constants.  Read copy_read, then copy_write.
 */
#include "store/copy.h"

#include <string.h>

#include "base/text.h"
#include "store/driver_int.h"

#define PAGE_ROWS 500

static const char *const own_tables[] = { "schema_migrations", "schema_marks" };

/* ---- which tables ---- */

static bool
is_own(const char *table)
{
	for (size_t i = 0; i < countof(own_tables); i++)
		if (!strcmp(own_tables[i], table))
			return true;
	return false;
}

static bool
is_there(const struct schema_column *column, int version)
{
	return column->since <= version && (!column->until || column->until > version) && !is_own(column->table);
}

static struct copy_table *
find_table(struct copy_table *tables, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(tables[i].name, name))
			return &tables[i];
	return NULL;
}

static void
add_column(struct op *op, struct copy_table *table, const struct schema_column *column)
{
	size_t i = table->n_columns++;

	table->columns = i ? op_printf(op, "%s, %s", table->columns, column->name) : column->name;
	table->names[i] = column->name;
	table->types[i] = column->type;
	if (column->key) {
		table->keys[column->key - 1] = i;
		table->n_keys++;
	}
}

/* All tables that the columns of this one refer to are in ordered, or it is the table itself. */
static bool
may_follow(struct copy_table *ordered, size_t n, const char *table, int version)
{
	for (size_t i = 0; i < schema_column_count; i++) {
		const struct schema_column *c = &schema_columns[i];

		if (is_there(c, version) && !strcmp(c->table, table) && c->refers && strcmp(c->refers, table) &&
		    !find_table(ordered, n, c->refers))
			return false;
	}
	return true;
}

int
copy_tables(struct op *op, int version, struct copy_table **ret, size_t *ret_n)
{
	struct copy_table *all = op_alloc(op, schema_column_count * sizeof(*all));
	struct copy_table *ordered = op_alloc(op, schema_column_count * sizeof(*ordered));
	size_t n = 0, done = 0, before;

	for (size_t i = 0; i < schema_column_count; i++) {
		const struct schema_column *c = &schema_columns[i];
		struct copy_table *table = find_table(all, n, c->table);

		if (!is_there(c, version))
			continue;
		if (!table)
			*(table = &all[n++]) = (struct copy_table){ .name = c->table };
		if (table->n_columns == COPY_COLUMNS_MAX || c->key > COPY_KEYS_MAX)
			return op_fail(op, ERR_INTERNAL, "table %s has more columns than can be copied", c->table);
		add_column(op, table, c);
	}
	do {
		before = done;
		for (size_t i = 0; i < n; i++)
			if (!find_table(ordered, done, all[i].name) && may_follow(ordered, done, all[i].name, version))
				ordered[done++] = all[i];
	} while (done < n && done > before);
	if (done < n)
		return op_fail(op, ERR_INTERNAL, "tables refer to each other in a circle");
	*ret = ordered;
	*ret_n = n;
	return 0;
}

/* ---- rows as bytes ---- */

static void
put_number(struct buf *out, uint64_t number, int bytes)
{
	while (bytes--)
		buf_add_char(out, (char)(number >> 8 * bytes));
}

static uint64_t
get_number(const unsigned char *from, int bytes)
{
	uint64_t number = 0;

	while (bytes--)
		number = number << 8 | *from++;
	return number;
}

static void
put_value(struct buf *out, const struct db_value *value)
{
	static const char letters[] = { [DB_NULL] = 'n', [DB_INT] = 'i', [DB_TEXT] = 't', [DB_BLOB] = 'b' };

	buf_add_char(out, letters[value->type]);
	if (value->type == DB_INT)
		put_number(out, (uint64_t)value->number, 8);
	else if (value->type != DB_NULL) {
		put_number(out, value->size, 4);
		buf_add_bytes(out, value->data, value->size);
	}
}

/* One value at *at; false when the bytes end before it does. */
static bool
get_value(const unsigned char *row, size_t size, size_t *at, struct db_value *ret)
{
	unsigned char letter;
	size_t left;

	if (*at >= size)
		return false;
	letter = row[(*at)++];
	left = size - *at;
	*ret = (struct db_value){ .type = letter == 'i' ? DB_INT : letter == 't' ? DB_TEXT : letter == 'b' ? DB_BLOB : DB_NULL };
	if (letter == 'n')
		return true;
	if (letter == 'i' && left >= 8) {
		ret->number = (int64_t)get_number(row + *at, 8);
		*at += 8;
		return true;
	}
	if ((letter != 't' && letter != 'b') || left < 4)
		return false;
	ret->size = (size_t)get_number(row + *at, 4);
	ret->data = row + *at + 4;
	if (ret->size > left - 4)
		return false;
	*at += 4 + ret->size;
	return true;
}

/* Texts among the values of a statement end with a zero, as everywhere; those in a batch do not. */
static void
end_texts(struct op *op, struct db_value *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (values[i].type == DB_TEXT)
			values[i].data = op_strndup(op, values[i].data, values[i].size);
}

/* Every column of a row; false when it is none of this table. */
static bool
get_row(const struct copy_table *table, const unsigned char *row, size_t size, struct db_value *values)
{
	size_t at = 0;

	for (size_t i = 0; i < table->n_columns; i++)
		if (!get_value(row, size, &at, &values[i]) || (values[i].type != DB_NULL && values[i].type != table->types[i]))
			return false;
	return at == size;
}

bool
copy_next(const struct copy_batch *batch, size_t *at, const unsigned char **ret_row, size_t *ret_size)
{
	if (batch->size - *at < 4)
		return false;
	*ret_size = (size_t)get_number(batch->bytes + *at, 4);
	if (*ret_size > batch->size - *at - 4)
		return false;
	*ret_row = batch->bytes + *at + 4;
	*at += 4 + *ret_size;
	return true;
}

const char *
copy_row_name(struct op *op, const struct copy_table *table, const unsigned char *row, size_t size)
{
	struct db_value values[COPY_COLUMNS_MAX];
	struct buf out = buf_in(op->mem);

	buf_add(&out, table->name);
	for (size_t i = 0; i < table->n_keys && get_row(table, row, size, values); i++) {
		const struct db_value *value = &values[table->keys[i]];

		buf_printf(&out, ", %s ", table->names[table->keys[i]]);
		if (value->type == DB_TEXT)
			buf_add_bytes(&out, value->data, value->size);
		else
			buf_printf(&out, "%lld", (long long)value->number);
	}
	return out.text;
}

/* ---- reading ---- */

static char *
key_list(struct op *op, const struct copy_table *table)
{
	char *list = op_strdup(op, table->names[table->keys[0]]);

	for (size_t i = 1; i < table->n_keys; i++)
		list = op_printf(op, "%s, %s", list, table->names[table->keys[i]]);
	return list;
}

static char *
dollar_list(struct op *op, size_t n)
{
	char *list = op_strdup(op, "$1");

	for (size_t i = 1; i < n; i++)
		list = op_printf(op, "%s, $%zu", list, i + 1);
	return list;
}

struct reading {
	const struct copy_table *table;
	struct sql first, next;
	struct buf bytes;
	struct buf last_key;            /* key of the last row */
	struct buf asked_key;           /* the one that the page under way begins behind: it must stay as it is while rows come */
	size_t rows;                    /* in bytes */
	int (*take)(void *arg, const struct copy_batch *batch);
	void *arg;
};

static void
make_reads(struct op *op, struct reading *r)
{
	const struct copy_table *t = r->table;
	const char *keys = key_list(op, t);

	r->first = (struct sql){ .name = "copy_first",
	    .text = op_printf(op, "SELECT %s FROM %s ORDER BY %s LIMIT %d", t->columns, t->name, keys,
	    PAGE_ROWS) };
	r->next = (struct sql){ .name = "copy_next",
	    .text = op_printf(op, "SELECT %s FROM %s WHERE (%s) > (%s) ORDER BY %s LIMIT %d", t->columns, t->name,
	    keys, dollar_list(op, t->n_keys), keys, PAGE_ROWS) };
}

/* Where the next page begins. */
static void
keep_key(struct reading *r, const struct db_value *values)
{
	r->last_key.length = 0;
	for (size_t i = 0; i < r->table->n_keys; i++)
		put_value(&r->last_key, &values[r->table->keys[i]]);
}

static int
give_batch(struct reading *r)
{
	struct copy_batch batch = { (unsigned char *)r->bytes.text, r->bytes.length, r->rows };

	r->bytes.length = 0;
	r->rows = 0;
	return batch.rows ? r->take(r->arg, &batch) : 0;
}

static int
take_row(struct db_rows *rows, struct reading *r)
{
	struct db_value values[COPY_COLUMNS_MAX];
	size_t start = r->bytes.length, size;

	put_number(&r->bytes, 0, 4);
	for (size_t i = 0; i < r->table->n_columns; i++) {
		values[i] = rows->txn->db->engine->value(rows, (int)i);
		put_value(&r->bytes, &values[i]);
	}
	size = r->bytes.length - start - 4;
	for (int i = 0; i < 4; i++)
		r->bytes.text[start + (size_t)i] = (char)(size >> 8 * (3 - i));
	r->rows++;
	keep_key(r, values);
	return r->bytes.length < COPY_BATCH_BYTES ? 0 : give_batch(r);
}

static int
ask_next(struct op *op, struct reading *r, struct db_rows **ret)
{
	struct db_value after[COPY_KEYS_MAX];
	size_t at = 0;

	r->asked_key.length = 0;
	buf_add_bytes(&r->asked_key, r->last_key.text, r->last_key.length);
	for (size_t i = 0; i < r->table->n_keys; i++)
		get_value((unsigned char *)r->asked_key.text, r->asked_key.length, &at, &after[i]);
	end_texts(op, after, r->table->n_keys);
	return db_query(op, &r->next, after, r->table->n_keys, ret);
}

static int
read_page(struct op *op, struct reading *r, bool is_first, size_t *ret_rows)
{
	struct db_rows *rows = NULL;
	int rc = is_first ? db_query(op, &r->first, NO_ARGS, &rows) : ask_next(op, r, &rows);

	*ret_rows = 0;
	while (!rc && (rc = db_next(rows)) > 0) {
		rc = take_row(rows, r);
		++*ret_rows;
	}
	return db_end(rows, rc);
}

int
copy_read(struct op *op, const struct copy_table *table, int (*take)(void *, const struct copy_batch *), void *arg)
{
	struct reading r = { .table = table, .take = take, .arg = arg, .bytes = buf_in(op->mem),
		.last_key = buf_in(op->mem), .asked_key = buf_in(op->mem) };
	size_t rows;
	int rc;

	make_reads(op, &r);
	rc = read_page(op, &r, true, &rows);
	while (!rc && rows == PAGE_ROWS)
		rc = read_page(op, &r, false, &rows);
	return rc ? rc : give_batch(&r);
}

/* ---- writing ---- */

struct writing {
	struct op *op;
	const struct copy_table *table;
	const unsigned char **rows;
	size_t *sizes;
};

static void
fill_row(void *arg, size_t row, struct db_value *values)
{
	struct writing *w = arg;

	get_row(w->table, w->rows[row], w->sizes[row], values);
	end_texts(w->op, values, w->table->n_columns);
}

int
copy_write(struct op *op, const struct copy_table *table, const struct copy_batch *batch)
{
	struct writing w = { op, table, op_alloc(op, batch->rows * sizeof(*w.rows)), op_alloc(op, batch->rows * sizeof(*w.sizes)) };
	struct db_value values[COPY_COLUMNS_MAX];
	struct sql sql = { .name = "copy_put", .text = op_printf(op, "INSERT INTO %s (%s) VALUES (%s)", table->name, table->columns,
	    dollar_list(op, table->n_columns)) };
	size_t at = 0, n = 0;

	while (n < batch->rows && copy_next(batch, &at, &w.rows[n], &w.sizes[n]) && get_row(table, w.rows[n], w.sizes[n], values))
		n++;
	if (n != batch->rows || at != batch->size)
		return op_fail(op, ERR_MALFORMED, "the bytes are no rows of the table %s", table->name);
	return db_put_many(op, &sql, table->n_columns, n, fill_row, &w);
}

int
copy_clear(struct op *op, const struct copy_table *tables, size_t n)
{
	int rc = 0;

	while (n-- && !rc) {
		struct sql sql = { .name = "copy_clear", .text = op_printf(op, "DELETE FROM %s", tables[n].name) };

		rc = db_exec(op, &sql, NO_ARGS, NULL);
	}
	return rc;
}
