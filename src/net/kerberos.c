/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * From a keytab to a ticket for the directory: two questions to the KDC, for a ticket-granting ticket and with it for the
 * service's.  libkrb5 makes and reads the messages step by step; we carry them (exchange).  Its context knows no krb5.conf and no
 * environment, so that a machine's settings weaken nothing.  Read kerberos_with_ticket at the end first.
 */
#include "kerberos_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <krb5.h>
#include <profile.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/time.h"
#include "ldap_int.h"
#include "net/dial.h"

#define STEPS_MAX 16
#define REPLY_MAX_BYTES (1 << 20)

/* What is open while a ticket is fetched. */
struct work {
	krb5_context context;
	const char *kdc_host;
	int kdc_port;
	int keytab_fd;
	krb5_keytab keytab;
	krb5_principal client, server;
	krb5_ccache tgt;                /* the ticket-granting ticket, for the second question only */
	krb5_ccache service;            /* the service's ticket, and nothing else */
};

/* RFC 8429: nothing but AES. */
static const krb5_enctype aes[] = {
	ENCTYPE_AES256_CTS_HMAC_SHA1_96, ENCTYPE_AES256_CTS_HMAC_SHA384_192, ENCTYPE_AES128_CTS_HMAC_SHA1_96,
	ENCTYPE_AES128_CTS_HMAC_SHA256_128, 0,
};

static const char *
advice(krb5_error_code code)
{
	switch (code) {
	case KRB5KDC_ERR_PREAUTH_FAILED:
	case KRB5KRB_AP_ERR_BAD_INTEGRITY:
		return "; the keytab is older than the account's password: make it anew";
	case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
		return "; is the principal written as in the directory, with its realm in capitals?";
	case KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN:
		return "; the url must have the controller's full name, as in its servicePrincipalName";
	case KRB5KRB_AP_ERR_SKEW:
	case KRB5_KDCREP_SKEW:
		return "; the clocks of this machine and of the directory differ by more than five minutes";
	case KRB5KDC_ERR_CLIENT_REVOKED:
		return "; the account is disabled, locked or has expired";
	default:
		return "";
	}
}

static int
fail(struct op *op, const struct work *work, krb5_error_code code, int rc, const char *what)
{
	const char *words = krb5_get_error_message(work->context, code);

	rc = op_fail(op, rc, "%s: %s%s", what, ldap_words(op, words), advice(code));
	krb5_free_error_message(work->context, words);
	return rc;
}

/* RFC 4120 7.2.2: over TCP, each message after its length. */
static int
exchange(struct op *op, const struct work *work, const krb5_data *request, krb5_data *ret_reply)
{
	uint32_t size = htonl(request->length);
	char *reply = NULL;
	int fd, rc = dial_tcp(op, work->kdc_host, work->kdc_port, &fd);

	if (rc)
		return rc;
	if ((rc = ldap_io_write(op, fd, op->deadline_ms, &size, sizeof(size))) == 0 &&
	    (rc = ldap_io_write(op, fd, op->deadline_ms, request->data, request->length)) == 0)
		rc = ldap_io_read(op, fd, op->deadline_ms, &size, sizeof(size));
	size = ntohl(size);
	if (!rc && (size == 0 || size > REPLY_MAX_BYTES))
		rc = op_fail(op, ERR_LDAP, "the Kerberos server %s announces an answer of %u bytes", work->kdc_host, size);
	if (!rc) {
		reply = op_alloc(op, size);
		rc = ldap_io_read(op, fd, op->deadline_ms, reply, size);
	}
	close(fd);
	*ret_reply = (krb5_data){ .length = size, .data = reply };
	return rc;
}

/* A step of the one or the other question; *ret_more while there is something to send. */
typedef krb5_error_code step_fn(krb5_context context, void *state, krb5_data *in, krb5_data *out, krb5_data *realm, bool *ret_more);

static krb5_error_code
step_tgt(krb5_context context, void *state, krb5_data *in, krb5_data *out, krb5_data *realm, bool *ret_more)
{
	unsigned flags = 0;
	krb5_error_code code = krb5_init_creds_step(context, state, in, out, realm, &flags);

	*ret_more = flags & KRB5_INIT_CREDS_STEP_FLAG_CONTINUE;
	return code;
}

static krb5_error_code
step_service(krb5_context context, void *state, krb5_data *in, krb5_data *out, krb5_data *realm, bool *ret_more)
{
	unsigned flags = 0;
	krb5_error_code code = krb5_tkt_creds_step(context, state, in, out, realm, &flags);

	*ret_more = flags & KRB5_TKT_CREDS_STEP_FLAG_CONTINUE;
	return code;
}

static int
ask(struct op *op, const struct work *work, step_fn *step, void *state, const char *what)
{
	krb5_data in = { 0 };

	for (int i = 0; i < STEPS_MAX; i++) {
		krb5_data out = { 0 }, realm = { 0 };
		bool want_more = false, is_ours;
		krb5_error_code code = step(work->context, state, &in, &out, &realm, &want_more);
		int rc = 0;

		is_ours = realm.length == work->client->realm.length && !memcmp(realm.data, work->client->realm.data, realm.length);
		if (code)
			rc = fail(op, work, code, ERR_LDAP, what);
		else if (want_more && !is_ours)
			rc = op_fail(op, ERR_LDAP, "%s: the Kerberos server sends us on to another realm", what);
		else if (want_more)
			rc = exchange(op, work, &out, &in);
		krb5_free_data_contents(work->context, &out);
		krb5_free_data_contents(work->context, &realm);
		if (rc || !want_more)
			return rc;
	}
	return op_fail(op, ERR_LDAP, "%s: the Kerberos server never comes to an end", what);
}

/* As ssh does with private keys: who may read the file can be the service account. */
static int
open_keytab(struct op *op, struct work *work, const char *reference)
{
	const char *path = secret_path(op->mem, reference, NULL);
	krb5_error_code code;
	struct stat file;

	work->keytab_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (work->keytab_fd < 0 || fstat(work->keytab_fd, &file) < 0)
		return op_fail(op, ERR_CONFIG, "cannot open the keytab %s: %s", path, strerror(errno));
	if (!S_ISREG(file.st_mode) || (file.st_mode & 077))
		return op_fail(op, ERR_CONFIG, "the keytab %s must be a file that nobody but its owner may read: chmod 0400 %s", path,
		    path);
	/* the file that was looked at, not whatever has its name by now */
	code = krb5_kt_resolve(work->context, op_printf(op, "FILE:/proc/self/fd/%d", work->keytab_fd), &work->keytab);
	return code ? fail(op, work, code, ERR_CONFIG, "the keytab cannot be used") : 0;
}

/* What libkrb5 would find out only after it has asked. */
static int
check_keytab(struct op *op, const struct work *work, const char *principal)
{
	for (size_t i = 0; aes[i]; i++) {
		krb5_keytab_entry entry;

		if (krb5_kt_get_entry(work->context, work->keytab, work->client, 0, aes[i], &entry))
			continue;
		krb5_free_keytab_entry_contents(work->context, &entry);
		return 0;
	}
	return op_fail(op, ERR_CONFIG, "the keytab has no AES key of %s", principal);
}

static int
read_kdc(struct op *op, struct work *work, const char *kdc, const char *host)
{
	const char *port = strrchr(kdc ? kdc : "", ':');
	bool is_ldaps;
	char *name;
	int rc;

	work->kdc_host = host;
	work->kdc_port = 88;
	if (!kdc)
		return 0;
	rc = ldap_url_read(op, op_printf(op, "ldap://%s%s", kdc, port && !strchr(port, ']') ? "" : ":88"), &is_ldaps, &name,
	    &work->kdc_port);
	work->kdc_host = name;
	return rc;
}

static int
begin(struct op *op, struct work *work, const struct ldap_kerberos *kerberos, const char *host)
{
	krb5_error_code code = ENOMEM;
	profile_t empty = NULL;
	int rc;

	*work = (struct work){ .keytab_fd = -1 };
	if (profile_init(NULL, &empty) == 0) {
		code = krb5_init_context_profile(empty, KRB5_INIT_CONTEXT_SECURE, &work->context);
		profile_release(empty);
	}
	if (code)
		return op_fail(op, ERR_INTERNAL, "libkrb5 cannot begin");
	if ((rc = read_kdc(op, work, kerberos->kdc, host)) < 0)
		return rc;
	code = krb5_parse_name_flags(work->context, kerberos->principal, KRB5_PRINCIPAL_PARSE_REQUIRE_REALM, &work->client);
	if (code)
		return fail(op, work, code, ERR_CONFIG, "the principal of the service account is none");
	code = krb5_build_principal(work->context, &work->server, work->client->realm.length, work->client->realm.data, "ldap", host, NULL);
	if (!code)
		code = krb5_set_default_tgs_enctypes(work->context, aes);
	if (!code)
		code = krb5_cc_new_unique(work->context, "MEMORY", NULL, &work->tgt);
	if (!code)
		code = krb5_cc_initialize(work->context, work->tgt, work->client);
	if (code)
		return fail(op, work, code, ERR_INTERNAL, "libkrb5 cannot prepare a question");
	rc = open_keytab(op, work, kerberos->keytab);
	return rc ? rc : check_keytab(op, work, kerberos->principal);
}

static void
end(struct work *work)
{
	if (!work->context)
		return;
	if (work->keytab)
		krb5_kt_close(work->context, work->keytab);
	if (work->keytab_fd >= 0)
		close(work->keytab_fd);
	if (work->tgt)
		krb5_cc_destroy(work->context, work->tgt);
	if (work->service)
		krb5_cc_destroy(work->context, work->service);
	krb5_free_principal(work->context, work->client);
	krb5_free_principal(work->context, work->server);
	krb5_free_context(work->context);
}

/* The first question: who we are, proved by the key in the keytab. */
static int
get_tgt(struct op *op, struct work *work)
{
	static const char what[] = "Kerberos does not let the service account in";
	krb5_get_init_creds_opt *options = NULL;
	krb5_init_creds_context state = NULL;
	krb5_creds creds = { 0 };
	krb5_error_code code = krb5_get_init_creds_opt_alloc(work->context, &options);
	int rc;

	if (!code) {
		krb5_get_init_creds_opt_set_etype_list(options, (krb5_enctype *)(uintptr_t)aes, (int)countof(aes) - 1);
		code = krb5_init_creds_init(work->context, work->client, NULL, NULL, 0, options, &state);
	}
	if (!code)
		code = krb5_init_creds_set_keytab(work->context, state, work->keytab);
	rc = code ? fail(op, work, code, ERR_CONFIG, "the keytab cannot be used") : ask(op, work, step_tgt, state, what);
	if (!rc && ((code = krb5_init_creds_get_creds(work->context, state, &creds)) != 0 ||
	    (code = krb5_cc_store_cred(work->context, work->tgt, &creds)) != 0))
		rc = fail(op, work, code, ERR_LDAP, what);
	krb5_free_cred_contents(work->context, &creds);
	if (state)
		krb5_init_creds_free(work->context, state);
	if (options)
		krb5_get_init_creds_opt_free(work->context, options);
	return rc;
}

/* Puts the service's ticket where only libgssapi of this process finds it. */
static int
keep(struct op *op, struct work *work, krb5_creds *creds, struct kerberos_ticket *ticket)
{
	krb5_error_code code = krb5_cc_new_unique(work->context, "MEMORY", NULL, &work->service);
	char *cache = NULL, *target = NULL;

	if (!code)
		code = krb5_cc_initialize(work->context, work->service, work->client);
	if (!code)
		code = krb5_cc_store_cred(work->context, work->service, creds);
	if (!code)
		code = krb5_cc_get_full_name(work->context, work->service, &cache);
	if (!code)
		code = krb5_unparse_name(work->context, work->server, &target);
	if (code) {
		krb5_free_string(work->context, cache);
		return fail(op, work, code, ERR_INTERNAL, "libkrb5 cannot keep a ticket");
	}
	*ticket = (struct kerberos_ticket){
		.ccache_name = op_strdup(op, cache), .target = op_strdup(op, target),
		.end_ms = time_monotonic_ms() + ((int64_t)(uint32_t)creds->times.endtime * 1000 - op->now_ms),
	};
	krb5_free_string(work->context, cache);
	krb5_free_unparsed_name(work->context, target);
	return 0;
}

/* The second question: a ticket for the directory. */
static int
get_service(struct op *op, struct work *work, struct kerberos_ticket *ticket)
{
	static const char what[] = "Kerberos gives no ticket for the directory";
	krb5_creds wanted = { .client = work->client, .server = work->server }, creds = { 0 };
	krb5_tkt_creds_context state = NULL;
	krb5_error_code code = krb5_tkt_creds_init(work->context, work->tgt, &wanted, 0, &state);
	int rc = code ? fail(op, work, code, ERR_LDAP, what) : ask(op, work, step_service, state, what);

	if (!rc && (code = krb5_tkt_creds_get_creds(work->context, state, &creds)) != 0)
		rc = fail(op, work, code, ERR_LDAP, what);
	if (!rc)
		rc = keep(op, work, &creds, ticket);
	krb5_free_cred_contents(work->context, &creds);
	if (state)
		krb5_tkt_creds_free(work->context, state);
	return rc;
}

int
kerberos_with_ticket(struct op *op, const struct ldap_kerberos *kerberos, const char *host,
    int (*use)(struct op *op, const struct kerberos_ticket *ticket, void *arg), void *arg)
{
	struct kerberos_ticket ticket;
	struct work work;
	int rc = begin(op, &work, kerberos, host);

	if (!rc)
		rc = get_tgt(op, &work);
	if (!rc)
		rc = get_service(op, &work, &ticket);
	if (!rc)
		rc = use(op, &ticket, arg);
	end(&work);
	return rc;
}
