/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How the service is. */
#include <stddef.h>

#include "api_int.h"
#include "base/config.h"
#include "base/time.h"
#include "config.h"
#include "people/catalog.h"
#include "people/keyring.h"
#include "store/session.h"
#include "store/sync.h"
#include "store/user.h"

/* What the database counts. */
static int
count_body(struct op *op, void *arg)
{
	const struct catalog_snapshot *c = catalog_get(op);
	struct shape_status_view *view = arg;
	int64_t *sum = &view->users_active, all, active;
	int64_t synced_ms = 0, newest_ms = 0;
	char text[TIME_TEXT_BYTES];
	int rc = db_session_count(op, op->now_ms, op->now_ms - op->config->session_idle * 1000, &view->sessions_live);

	*sum = 0;
	for (size_t i = 0; i < c->n_directories && !rc; i++) {
		rc = db_user_count(op, c->directories[i].id, &all, &active);
		*sum += rc ? 0 : active;
		if (!rc)
			rc = db_sync_last_done(op, c->directories[i].id, &synced_ms);
		newest_ms = synced_ms > newest_ms ? synced_ms : newest_ms;
	}
	view->last_sync = newest_ms ? op_strdup(op, time_text(newest_ms, text)) : NULL;
	return rc;
}

HANDLER(api_status);
HANDLER(api_status)
{
	const struct catalog_snapshot *c = catalog_get(op);
	int rc;
	struct shape_status_view view = {
		.version = PACKAGE_VERSION,
		.organisation = op->config->organisation,
		.issuer = op->config->issuer,
		.now = op->now_ms,
		.master_key = master_key_id(keyring_master(op)),
		.directories = (int64_t)c->n_directories,
		.roles = (int64_t)c->n_roles,
		.locations = (int64_t)c->n_locations,
		.rules = (int64_t)c->n_rules,
		.apps = (int64_t)c->n_apps,
	};

	(void)request;
	rc = db_read(op, count_body, &view);
	if (!rc)
		reply_shape(op, reply, 200, shape_status_view(), &view);
	return rc;
}
