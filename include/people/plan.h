/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Files of objects: what a YAML file (shape config_file) would change, doing it, and the file that describes what is there.
 *
 *     rc = plan_file(op, &(struct plan_request){ .source = "clinic.yaml", .text = text, .size = n }, &plan);
 *     ... plan->items says what would be created, changed (before and after of each field) and removed ...
 *
 * Objects that the file does not name are kept, unless want_prune.  Planning what export wrote gives no changes.  The test page has no place in either.
 */
#ifndef KW_PEOPLE_PLAN_H
#define KW_PEOPLE_PLAN_H

#include "people/object.h"

struct plan_request {
	const char *source;             /* name of the file, for messages */
	const char *text;               /* YAML, one or more documents */
	size_t size;
	bool want_prune;
	bool want_apply;
	const char *mark;               /* NULL, or the mark of a plan: ERR_CONFLICT when objects have changed since */
};

/* Outside db_run.  ERR_INVALID with every problem of the file, file:line:column each; ERR_CONFLICT; see people/object.h. */
int plan_file(struct op *op, const struct plan_request *request, const struct shape_plan_view **ret) MUST_CHECK;
/* Every current object as YAML that plan_file reads; belongs to the op.  Secrets are not in it. */
int plan_export(struct op *op, char **ret_yaml) MUST_CHECK;

#endif
