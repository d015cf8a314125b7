/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What /metrics tells of directories.  The states (last success, frozen) are read from the database, so that they are right after a
 * start and whoever changed them; the certificates are looked at by a job.
 */
#include <string.h>

#include "base/config.h"
#include "base/metric.h"
#include "base/time.h"
#include "sync_int.h"

#define PEEK_MS 5000

struct state {
	const char *directory_id;
	int64_t done_ms;
	size_t n_frozen;
};

static int
state_body(struct op *op, void *arg)
{
	struct state *state = arg;
	struct sync_run_row *frozen;
	int rc = db_sync_last_done(op, state->directory_id, &state->done_ms);

	return rc ? rc : db_sync_run_frozen(op, state->directory_id, &frozen, &state->n_frozen);
}

static int
measure_directory(struct op *op, const struct catalog_directory *directory)
{
	struct state state = { .directory_id = directory->id };
	int rc = db_read(op, state_body, &state);

	if (rc)
		return rc;
	if (state.done_ms)
		metric_set_at(METRIC_sync_last_success_timestamp_seconds, LABELS(directory->body->name), state.done_ms);
	metric_set_at(METRIC_sync_frozen, LABELS(directory->body->name), state.n_frozen > 0);
	return 0;
}

int
sync_measure(struct op *op)
{
	const struct catalog_snapshot *catalog = catalog_get(op);
	int rc = 0;

	for (size_t i = 0; !rc && i < catalog->n_directories; i++)
		rc = measure_directory(op, &catalog->directories[i]);
	return rc;
}

void
measure_run(struct op *op, const struct catalog_directory *directory, const char *result)
{
	metric_add_at(METRIC_sync_runs_total, LABELS(directory ? directory->body->name : NULL, result), 1);
	/* the job looks again */
	if (directory && measure_directory(op, directory))
		op_forgive(op);
}

void
measure_changes(const struct run *run)
{
	const char *name = run->directory ? run->directory->body->name : NULL;
	const struct { const char *kind; int64_t n; } changes[] = {
		{ "create", run->counts.create }, { "change", run->counts.change }, { "disable", run->counts.disable },
		{ "enable", run->counts.enable }, { "grant", run->counts.grant }, { "end", run->counts.end },
		{ "member", run->counts.member },
	};

	for (size_t i = 0; i < countof(changes); i++)
		metric_add_at(METRIC_sync_changes_total, LABELS(name, changes[i].kind), changes[i].n);
}

int
sync_look_at_certificates(struct op *op)
{
	const struct catalog_snapshot *catalog = catalog_get(op);

	for (size_t i = 0; i < catalog->n_directories && !op->svc->is_stopping; i++) {
		const struct shape_directory *body = catalog->directories[i].body;
		const struct ldap_options options = { .url = body->url, .tls = body->starttls ? LDAP_TLS_START : LDAP_TLS_LDAPS,
			.timeout_ms = PEEK_MS };
		struct ldap_peek seen;
		int64_t end_ms = TIME_NEVER_MS;

		/* a server that does not answer keeps the end that was seen last; ldap_up tells that it is away */
		if (!body->enabled || ldap_peek(op, &options, &seen)) {
			op_forgive(op);
			continue;
		}
		for (size_t k = 0; k < seen.n; k++)
			end_ms = seen.v[k].not_after_ms < end_ms ? seen.v[k].not_after_ms : end_ms;
		metric_set_at(METRIC_cert_expiry_timestamp_seconds, LABELS(op_printf(op, "ldap:%s", body->name)), end_ms);
	}
	return 0;
}
