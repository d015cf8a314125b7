/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The tables, printed: documents and tests are made of them.  One row a line, fields parted by tabs; "openapi" is the description
 * of /api/v1 (print_openapi.c).  Read the list "tables" at the end first.
 */
#include "print.h"

#include <stdio.h>
#include <string.h>

#include "audit/audit.h"
#include "base/config.h"
#include "base/metric.h"
#include "jobs.h"
#include "routes.h"
#include "store/driver.h"

static const char *const method_names[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER" };

static void
print_sql_row(const struct sql *sql, void *arg)
{
	(void)arg;
	printf("%s\t", sql->name);
	for (const char *c = sql->text; *c; c++)
		putchar(*c == '\n' || *c == '\t' ? ' ' : *c);
	putchar('\n');
}

static void
print_sql(void)
{
	sql_each(print_sql_row, NULL);
}

static void
print_config(void)
{
	config_print_sample(stdout);
}

static void
print_manual(void)
{
	config_print_manual(stdout);
}

static void
print_routes(void)
{
	static const char *const faces[] = { "PAGE", "OAUTH", "API", "PROBE" };
	static const char *const guards[] = {
		"NONE",
#define PERM(name, text, words) text,
#include "tables/permissions.def"
#undef PERM
	};
	size_t n;
	const struct route *rows = routes_all(&n);

	for (size_t i = 0; i < n; i++)
		printf("%s\t%s\t%s\t%s\t%s\t%s\t%zu\t%s\t%s\t%s\t%s\n", method_names[rows[i].method], rows[i].path, faces[rows[i].face],
		    guards[rows[i].guard], rows[i].origin == ORIGIN_FORM ? "FORM" : "ANY", lane_name(rows[i].lane), rows[i].body_cap,
		    rows[i].body_shape ? rows[i].body_shape : "none", rows[i].answer_shape ? rows[i].answer_shape : "none",
		    rows[i].handler_name, rows[i].text);
}

static void
print_errors(void)
{
	for (int i = 1; i < ERR_NUMBER_COUNT; i++) {
		const struct error_row *row = error_row(-i);

		printf("%s\t%d\t%s\t%s\n", row->name, row->status, row->oauth, row->message);
	}
}

static void
print_events(void)
{
#define EVENT(name, code, kind, level, facts, text) printf("%s\t%s\t%s\t%s\n", code, #kind, facts, text);
#include "tables/events.def"
#undef EVENT
}

static void
print_permissions(void)
{
#define PERM(name, text, words) printf("%s\t%s\n", text, words);
#include "tables/permissions.def"
#undef PERM
}

static void
print_metrics(void)
{
	metrics_print_manual(stdout);
}

static void
print_lanes(void)
{
#define LANE(name, threads, queue, text) printf("%s\t%d\t%d\t%s\n", #name, threads, queue, text);
#include "tables/lanes.def"
#undef LANE
}

static void
print_jobs(void)
{
	jobs_print(stdout);
}

static void
print_sources(void)
{
#define SOURCE(name, kind, title, people, groups, id, id_form, login, other, display, mail, state, end, end_form, members) \
	printf("%s\t%s\nfilter\t%s\ngroup_filter\t%s\nid_attribute\t%s (%s)\nlogin_attribute\t%s\nother_login_attribute\t%s\n" \
	    "name_attribute\t%s\nmail_attribute\t%s\nexpires_attribute\t%s (%s)\nmember_attributes\t%s\n\n", \
	    #name, title, people, groups, id, #id_form, login, other, display, mail, end, #end_form, members);
#include "tables/sources.def"
#undef SOURCE
#define SOURCE_ID(name, text) printf("id_form\t%s\t%s\n", #name, text);
#include "tables/sources.def"
#undef SOURCE_ID
#define SOURCE_END(name, text) printf("expires_form\t%s\t%s\n", #name, text);
#include "tables/sources.def"
#undef SOURCE_END
}

static void
print_binds(void)
{
#define BIND(number, outcome, meaning, mend) printf("%x\t%s\t%s\n", number, meaning, mend);
#include "tables/binds.def"
#undef BIND
}

static void
print_shapes(void)
{
	static const char *const types[] = { "text", "lines", "choice", "number", "yes or no", "time", "texts", "object", "list", "any" };
	const struct shape *shape;

	for (size_t i = 0; (shape = shape_at(i)); i++) {
		printf("%s\t%s\n", shape->name, shape->text);
		for (size_t f = 0; f < shape->n; f++)
			printf("\t%s\t%s%s%s\t%s\t%s\n", shape->fields[f].name, types[shape->fields[f].type],
			    shape->fields[f].sub ? " " : "", shape->fields[f].sub ? shape->fields[f].sub()->name : "",
			    shape->fields[f].is_required ? "required" : "optional", shape->fields[f].text);
	}
}

static void print_help(void);

static const struct {
	const char *name;
	void (*print)(void);
	const char *text;
} tables[] = {
	{ "config",      print_config,      "the sample configuration file" },
	{ "manual",      print_manual,      "the configuration keys for the manual page" },
	{ "routes",      print_routes,      "every endpoint" },
	{ "openapi",     print_openapi,     "the administration API as OpenAPI 3.1" },
	{ "shapes",      print_shapes,      "the bodies of requests and answers, and the objects" },
	{ "errors",      print_errors,      "every way in which work can fail" },
	{ "events",      print_events,      "what the audit log can tell" },
	{ "sources",     print_sources,     "kinds of directory and what is preset for each" },
	{ "binds",       print_binds,       "why Active Directory refuses a sign-in, and how to mend it" },
	{ "permissions", print_permissions, "Keyward's own permissions" },
	{ "jobs",        print_jobs,        "work that comes round by itself" },
	{ "lanes",       print_lanes,       "worker threads" },
	{ "metrics",     print_metrics,     "what /metrics tells" },
	{ "sql",         print_sql,         "every statement" },
	{ "help",        print_help,        "this list" },
};

static void
print_help(void)
{
	for (size_t i = 0; i < countof(tables); i++)
		printf("%-12s %s\n", tables[i].name, tables[i].text);
}

int
print_table(const char *name)
{
	for (size_t i = 0; i < countof(tables); i++) {
		if (strcmp(tables[i].name, name) == 0) {
			tables[i].print();
			return 0;
		}
	}
	fprintf(stderr, "keywardd: there is no table %s; the tables are:\n", name);
	print_help();
	return -1;
}
