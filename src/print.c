/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The tables, printed: documents and tests are made of them. */
#include "print.h"

#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "store/driver.h"

static void
print_sql(const struct sql *sql, void *arg)
{
	(void)arg;
	printf("%s\t", sql->name);
	for (const char *c = sql->text; *c; c++)
		putchar(*c == '\n' || *c == '\t' ? ' ' : *c);
	putchar('\n');
}

int
print_table(const char *name)
{
	if (!strcmp(name, "sql"))
		sql_each(print_sql, NULL);
	else if (!strcmp(name, "config"))
		config_print_sample(stdout);
	else
		return -1;
	return 0;
}
