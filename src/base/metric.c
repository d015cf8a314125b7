/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The metrics table, expanded: every series that a row can have is a place in one struct, so that no value from outside can make
 * another.  Read place_of (labels to a place), then print_row.
 */
#include "base/metric.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/process.h"
#include "base/text.h"
#include "config.h"

#define NAME_BYTES 201
#define OTHER "other"

/* ---- labels: their values, and "other" behind them ---- */

#define METRIC(name, type, a, b, c, text)
#define WORDS(id, printed, ...) static const char *const words_##id[] = { __VA_ARGS__ };
#define OBJECTS(id, printed, most, what)
#include "tables/metrics.def"
#undef WORDS
#undef OBJECTS

enum {
	SIZE_none = 1,
#define WORDS(id, printed, ...) SIZE_##id = sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *) + 1,
#define OBJECTS(id, printed, most, what) SIZE_##id = (most) + 1,
#include "tables/metrics.def"
#undef WORDS
#undef OBJECTS
};

/* Names of objects; "" is a free place. */
struct names {
#define WORDS(id, printed, ...)
#define OBJECTS(id, printed, most, what) char id[most][NAME_BYTES];
#include "tables/metrics.def"
#undef WORDS
#undef OBJECTS
};

static const struct label {
	const char *printed;
	size_t size;                    /* with "other" */
	const char *const *words;       /* NULL: objects */
	size_t offset;                  /* of the names in struct names */
	const char *what;
} labels[LABEL_COUNT] = {
	[LABEL_none] = { "", 1, NULL, 0, "" },
#define WORDS(id, name, ...) [LABEL_##id] = { name, SIZE_##id, words_##id, 0, NULL },
#define OBJECTS(id, name, most, what) [LABEL_##id] = { name, SIZE_##id, NULL, offsetof(struct names, id), what },
#include "tables/metrics.def"
#undef WORDS
#undef OBJECTS
};
#undef METRIC

/* ---- rows ---- */

static const int64_t buckets_ms[] = { 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 900000, 3600000 };

enum type { counter, gauge, seconds, seconds_total, histogram };
/* A histogram's places: its buckets, the infinite one, the sum. */
#define SPARE_counter 0
#define SPARE_gauge 0
#define SPARE_seconds 0
#define SPARE_seconds_total 0
#define SPARE_histogram (countof(buckets_ms) + 1)

struct place {
	_Atomic int64_t value;
	atomic_bool is_used;
};

#define WORDS(id, printed, ...)
#define OBJECTS(id, printed, most, what)
struct places {
#define METRIC(name, type, a, b, c, text) struct place name[SIZE_##a * SIZE_##b * SIZE_##c + SPARE_##type];
#include "tables/metrics.def"
#undef METRIC
};

static const struct row {
	const char *name;
	enum type type;
	enum metric_label labels[3];
	size_t offset, places;
	const char *text;
} rows[METRIC_COUNT] = {
#define METRIC(name, type, a, b, c, text) \
	{ #name, type, { LABEL_##a, LABEL_##b, LABEL_##c }, offsetof(struct places, name), sizeof(((struct places *)0)->name) / \
	    sizeof(struct place), text },
#include "tables/metrics.def"
#undef METRIC
};
#undef WORDS
#undef OBJECTS

/* There is one process and one page of them (tests/house/globals.txt lists this global). */
static struct {
	struct places places;
	pthread_rwlock_t lock;          /* over names */
	struct names names;
} metric_values = { .lock = PTHREAD_RWLOCK_INITIALIZER };

static struct place *
first_of(enum metric metric)
{
	return (struct place *)(void *)((char *)&metric_values.places + rows[metric].offset);
}

static char *
object_name(const struct label *label, size_t i)
{
	return (char *)&metric_values.names + label->offset + i * NAME_BYTES;
}

/* Under the lock.  The last index is "other". */
static size_t
index_of(const struct label *label, const char *value)
{
	for (size_t i = 0; value && *value && i + 1 < label->size; i++)
		if (strcmp(label->words ? label->words[i] : object_name(label, i), value) == 0)
			return i;
	return label->size - 1;
}

/* Under the lock. */
static struct place *
place_of(enum metric metric, const char *const values[static 3])
{
	size_t index = 0;

	for (size_t i = 0; i < 3; i++) {
		const struct label *label = &labels[rows[metric].labels[i]];

		index = index * label->size + index_of(label, values[i]);
	}
	return &first_of(metric)[index];
}

void
metric_add_at(enum metric metric, const char *const values[static 3], int64_t n)
{
	struct place *place;

	pthread_rwlock_rdlock(&metric_values.lock);
	place = place_of(metric, values);
	atomic_fetch_add_explicit(&place->value, n, memory_order_relaxed);
	atomic_store_explicit(&place->is_used, true, memory_order_relaxed);
	pthread_rwlock_unlock(&metric_values.lock);
}

void
metric_set_at(enum metric metric, const char *const values[static 3], int64_t value)
{
	struct place *place;

	pthread_rwlock_rdlock(&metric_values.lock);
	place = place_of(metric, values);
	atomic_store_explicit(&place->value, value, memory_order_relaxed);
	atomic_store_explicit(&place->is_used, true, memory_order_relaxed);
	pthread_rwlock_unlock(&metric_values.lock);
}

int64_t
metric_read_at(enum metric metric, const char *const values[static 3])
{
	int64_t value;

	pthread_rwlock_rdlock(&metric_values.lock);
	value = atomic_load_explicit(&place_of(metric, values)->value, memory_order_relaxed);
	pthread_rwlock_unlock(&metric_values.lock);
	return value;
}

/* Without labels there is one place and nothing to look up. */
void
metric_add(enum metric metric, int64_t n)
{
	assert(rows[metric].places == 1);
	atomic_fetch_add_explicit(&first_of(metric)->value, n, memory_order_relaxed);
}

void
metric_set(enum metric metric, int64_t value)
{
	assert(rows[metric].places == 1);
	atomic_store_explicit(&first_of(metric)->value, value, memory_order_relaxed);
}

int64_t
metric_read(enum metric metric)
{
	assert(rows[metric].places == 1);
	return atomic_load_explicit(&first_of(metric)->value, memory_order_relaxed);
}

void
metric_observe(enum metric metric, int64_t ms)
{
	struct place *first = first_of(metric);
	size_t i = 0;

	assert(rows[metric].type == histogram);
	ms = ms < 0 ? 0 : ms;
	while (i < countof(buckets_ms) && ms > buckets_ms[i])
		i++;
	atomic_fetch_add_explicit(&first[i].value, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&first[countof(buckets_ms) + 1].value, ms, memory_order_relaxed);
}

/* ---- which objects there are ---- */

/* Under the lock: whatever is counted under the index of a label, in every row that has it. */
static void
forget(enum metric_label label, size_t index)
{
	for (int metric = 0; metric < METRIC_COUNT; metric++) {
		const struct row *row = &rows[metric];
		struct place *first = first_of(metric);

		for (size_t i = 0; i < row->places && row->type != histogram; i++) {
			size_t rest = i;

			for (size_t k = 3; k-- > 0; rest /= labels[row->labels[k]].size)
				if (row->labels[k] == label && rest % labels[row->labels[k]].size == index) {
					atomic_store(&first[i].value, 0);
					atomic_store(&first[i].is_used, false);
				}
		}
	}
}

static bool
is_among(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

void
metric_objects(enum metric_label which, const char *const *names, size_t n)
{
	const struct label *label = &labels[which];

	assert(!label->words && which != LABEL_none);
	pthread_rwlock_wrlock(&metric_values.lock);
	for (size_t i = 0; i + 1 < label->size; i++)
		if (*object_name(label, i) && !is_among(object_name(label, i), names, n)) {
			forget(which, i);
			*object_name(label, i) = '\0';
		}
	for (size_t i = 0; i < n; i++) {
		size_t free_at = 0;

		if (!*names[i] || !strcmp(names[i], OTHER) || strlen(names[i]) >= NAME_BYTES || index_of(label, names[i]) + 1 < label->size)
			continue;
		while (free_at + 1 < label->size && *object_name(label, free_at))
			free_at++;
		if (free_at + 1 < label->size)
			memcpy(object_name(label, free_at), names[i], strlen(names[i]) + 1);
	}
	pthread_rwlock_unlock(&metric_values.lock);
}

/* ---- the page: Prometheus text format 0.0.4 ---- */

static const char *
prefix_of(const struct row *row)
{
	return text_starts_with(row->name, "process_") ? "" : "keyward_";
}

static bool
is_in_ms(const struct row *row)
{
	return row->type == seconds || row->type == seconds_total || row->type == histogram;
}

static const char *
type_name(const struct row *row)
{
	static const char *const names[] = {
		[counter] = "counter", [gauge] = "gauge", [seconds] = "gauge", [seconds_total] = "counter", [histogram] = "histogram",
	};

	return names[row->type];
}

/* In a label's value \ " and line feed are escaped; in a help text the quote is not. */
static void
put_escaped(struct buf *out, const char *text, bool is_value)
{
	for (; *text; text++) {
		if (*text == '\n')
			buf_add(out, "\\n");
		else if (*text == '\\' || (*text == '"' && is_value))
			buf_printf(out, "\\%c", *text);
		else
			buf_add_char(out, *text);
	}
}

static void
put_value(struct buf *out, const struct row *row, int64_t value)
{
	if (is_in_ms(row))
		buf_printf(out, " %s%lld.%03lld\n", value < 0 ? "-" : "", (long long)(value < 0 ? -value : value) / 1000,
		    (long long)(value < 0 ? -value : value) % 1000);
	else
		buf_printf(out, " %lld\n", (long long)value);
}

/* {result="ok",method="password"} */
static void
put_labels(struct buf *out, const struct row *row, size_t place)
{
	size_t indexes[3], n = 0;

	for (size_t k = 3; k-- > 0; place /= labels[row->labels[k]].size)
		indexes[k] = place % labels[row->labels[k]].size;
	for (size_t k = 0; k < 3; k++) {
		const struct label *label = &labels[row->labels[k]];
		bool is_other = indexes[k] + 1 == label->size;

		if (row->labels[k] == LABEL_none)
			continue;
		buf_printf(out, "%c%s=\"", n++ ? ',' : '{', label->printed);
		put_escaped(out, is_other ? OTHER : label->words ? label->words[indexes[k]] : object_name(label, indexes[k]), true);
		buf_add_char(out, '"');
	}
	if (n)
		buf_add_char(out, '}');
}

static void
print_histogram(struct buf *out, const struct row *row, const struct place *first)
{
	int64_t count = 0;

	for (size_t i = 0; i <= countof(buckets_ms); i++) {
		count += atomic_load_explicit(&first[i].value, memory_order_relaxed);
		buf_printf(out, "%s%s_bucket{le=\"", prefix_of(row), row->name);
		if (i == countof(buckets_ms))
			buf_add(out, "+Inf");
		else
			buf_printf(out, "%.10g", (double)buckets_ms[i] / 1000);
		buf_printf(out, "\"} %lld\n", (long long)count);
	}
	buf_printf(out, "%s%s_sum", prefix_of(row), row->name);
	put_value(out, row, atomic_load_explicit(&first[countof(buckets_ms) + 1].value, memory_order_relaxed));
	buf_printf(out, "%s%s_count %lld\n", prefix_of(row), row->name, (long long)count);
}

static void
print_row(struct buf *out, enum metric metric)
{
	const struct row *row = &rows[metric];
	const struct place *first = first_of(metric);

	buf_printf(out, "# HELP %s%s ", prefix_of(row), row->name);
	put_escaped(out, row->text, false);
	buf_printf(out, "\n# TYPE %s%s %s\n", prefix_of(row), row->name, type_name(row));
	if (row->type == histogram) {
		print_histogram(out, row, first);
		return;
	}
	for (size_t i = 0; i < row->places; i++) {
		if (row->places > 1 && !atomic_load_explicit(&first[i].is_used, memory_order_relaxed))
			continue;
		buf_printf(out, "%s%s", prefix_of(row), row->name);
		put_labels(out, row, i);
		put_value(out, row, atomic_load_explicit(&first[i].value, memory_order_relaxed));
	}
}

static void
look_at_process(void)
{
	struct process_numbers p;

	process_read(&p);
	metric_set(METRIC_process_cpu_seconds_total, p.cpu_ms);
	metric_set(METRIC_process_resident_memory_bytes, p.resident_bytes);
	metric_set(METRIC_process_virtual_memory_bytes, p.virtual_bytes);
	metric_set(METRIC_process_open_fds, p.open_fds);
	metric_set(METRIC_process_max_fds, p.max_fds);
	metric_set(METRIC_process_start_time_seconds, p.start_ms);
	metric_set_at(METRIC_build_info, LABELS(PACKAGE_VERSION), 1);
}

char *
metrics_text(struct op *op)
{
	struct buf out = buf_in(op->mem);

	look_at_process();
	pthread_rwlock_rdlock(&metric_values.lock);
	for (int metric = 0; metric < METRIC_COUNT; metric++)
		print_row(&out, metric);
	pthread_rwlock_unlock(&metric_values.lock);
	return out.text;
}

/* ---- the manual ---- */

static void
print_label_manual(FILE *out, const struct label *label)
{
	fprintf(out, "`%s`: ", label->printed);
	if (!label->words) {
		fprintf(out, "%s, at most %zu, else `" OTHER "`", label->what, label->size - 1);
		return;
	}
	for (size_t i = 0; i + 1 < label->size; i++)
		fprintf(out, "%s`%s`", i ? ", " : "", strcmp(label->words[i], PACKAGE_VERSION) ? label->words[i] : "VERSION");
}

void
metrics_print_manual(FILE *out)
{
	fputs("# What Keyward measures\n\nMade from include/tables/metrics.def by `make docs`.\n\n"
	      "`/metrics` on the address `ops_listen` (loopback) answers in the Prometheus text format. A label takes no value but those\n"
	      "named here, so that nobody outside can make the page grow. A series with labels appears with its first event.\n\n"
	      "| metric | type | labels | what |\n|---|---|---|---|\n", out);
	for (int metric = 0; metric < METRIC_COUNT; metric++) {
		const struct row *row = &rows[metric];

		fprintf(out, "| `%s%s` | %s | ", prefix_of(row), row->name, type_name(row));
		for (size_t k = 0; k < 3; k++)
			if (row->labels[k] != LABEL_none) {
				fputs(k ? "; " : "", out);
				print_label_manual(out, &labels[row->labels[k]]);
			}
		fprintf(out, " | %s |\n", row->text);
	}
}
