/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The clock.  Tokens, sessions and the audit log rest on it, and so do the directories' expiry dates. */
#include "doctor_int.h"

#include <errno.h>
#include <string.h>
#include <sys/timex.h>

#include "base/time.h"
#include "net/ldap.h"
#include "people/catalog.h"
#include "store/audit.h"

#define AHEAD_MS 2000 /* of what was written already */
#define APART_WARN_MS 30000
#define APART_BAD_MS 300000 /* Kerberos refuses more (RFC 4120 8.2) */
#define DIRECTORY_MS 5000

static const char mend_clock[] = "let a time service keep the clock: timedatectl set-ntp true, or install chrony";

static void
look_at_service(struct check *c)
{
	struct timex timex = { 0 };
	int state = adjtimex(&timex);

	if (state < 0)
		check_warn(c, "", "", "the system does not tell whether its clock is kept: %s", strerror(errno));
	else if (state == TIME_ERROR || (timex.status & STA_UNSYNC))
		check_warn(c, "", mend_clock, "no time service keeps the clock of this machine");
	else
		check_ok(c, "", "a time service keeps the clock of this machine");
}

static int
newest_body(struct op *op, void *arg)
{
	return db_audit_newest(op, arg);
}

static void
look_at_audit(struct check *c)
{
	int64_t newest_ms;
	char text[TIME_TEXT_BYTES];

	if (doctor_need(c->doctor, NEED_DATABASE))
		return;
	if (db_read(c->op, newest_body, &newest_ms))
		check_failed(c, "audit log", "look at the check \"database\"");
	else if (newest_ms > c->op->now_ms + AHEAD_MS)
		check_bad(c, "audit log", mend_clock,
		    "the clock stands %s before the newest row of the audit log (%s): it was put back",
		    length_text(c->op, newest_ms - c->op->now_ms), time_text(newest_ms, text));
	else if (newest_ms)
		check_ok(c, "audit log", "its newest row is %s old", length_text(c->op, c->op->now_ms - newest_ms));
}

static int
on_root(struct op *op, const struct ldap_entry *entry, void *arg)
{
	const char *text = ldap_value(entry, "currentTime");

	(void)op;
	if (text && !time_parse_generalized(text, arg))
		*(int64_t *)arg = 0;
	return 0;
}

/* What the server takes for now; 0 when it does not say (only Active Directory does) or does not answer, which another check tells.
 */
static int64_t
directory_time(struct op *op, const struct catalog_directory *directory)
{
	static const char *const attributes[] = { "currentTime", NULL };
	const struct ldap_options options = { .url = directory->body->url,
	    .ca_pem = directory->body->ca,
	    .timeout_ms = DIRECTORY_MS,
	    .tls = directory->body->starttls ? LDAP_TLS_START : LDAP_TLS_LDAPS };
	const struct ldap_query query = { .base = "", .scope = LDAP_BASE, .filter = "(objectClass=*)", .attributes = attributes };
	struct ldap_summary summary;
	struct ldap_link *link;
	int64_t time_ms = 0;

	if (ldap_link_open(op, &options, &link) == 0) {
		if (ldap_link_search(op, link, &query, on_root, &time_ms, &summary))
			time_ms = 0;
		ldap_link_close(link);
	}
	op_forgive(op);
	op_touch(op);
	return time_ms;
}

static void
look_at_directory(struct check *c, const struct catalog_directory *directory)
{
	int64_t time_ms = directory_time(c->op, directory), apart = time_ms - c->op->now_ms;
	const char *name = directory->body->name, *length = length_text(c->op, apart);

	apart = apart < 0 ? -apart : apart;
	if (!time_ms)
		return;
	if (apart >= APART_BAD_MS)
		check_bad(c, name, mend_clock, "the clocks of this machine and of the directory are %s apart", length);
	else if (apart >= APART_WARN_MS)
		check_warn(c, name, mend_clock, "the clocks of this machine and of the directory are %s apart", length);
	else
		check_ok(c, name, "agrees with the directory's clock");
}

void
check_clock(struct check *c)
{
	const struct catalog_snapshot *catalog;

	look_at_service(c);
	look_at_audit(c);
	if (doctor_need(c->doctor, NEED_DATABASE))
		return;
	catalog = catalog_get(c->op);
	for (size_t i = 0; i < catalog->n_directories && op_left_ms(c->op); i++)
		if (catalog->directories[i].body->enabled)
			look_at_directory(c, &catalog->directories[i]);
}
