/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The service account by Kerberos against a KDC that is silent, endless or a liar, and with keytabs that will not do.  What works
 * is shown against a real domain controller: tests/flow/250-ad-kerberos.
 */
#include "net/ldap.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <krb5.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "net/dial.h"

#define TIMEOUT_MS 300          /* where nobody answers */
#define PATIENCE_MS 20000       /* where somebody does */
#define PRINCIPAL "keyward@CLINIC.TEST"

struct liar {
	int listener, port;
	const char *bytes;              /* sent to whoever connects, again and again */
	size_t n;
	int pause_ms;                   /* between bytes; 0: all at once, and once */
	pthread_t thread;
};

static struct services svc;
static struct op *op;
static char keytab[64];
static struct liar kdc, directory;

static void *
lie(void *arg)
{
	struct liar *liar = arg;
	int fd;

	while ((fd = accept(liar->listener, NULL, NULL)) >= 0) {
		char waste[4096];

		if (liar->n && !liar->pause_ms)
			send(fd, liar->bytes, liar->n, MSG_NOSIGNAL);
		for (size_t i = 0; liar->pause_ms; i++) {
			if (send(fd, liar->bytes + i % liar->n, 1, MSG_NOSIGNAL) < 1)
				break;
			usleep((useconds_t)liar->pause_ms * 1000);
		}
		while (recv(fd, waste, sizeof(waste), 0) > 0)
			;
		close(fd);
	}
	return NULL;
}

static void
liar_begin(struct liar *liar)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);

	*liar = (struct liar){ .listener = socket(AF_INET, SOCK_STREAM, 0) };
	cr_assert_eq(bind(liar->listener, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(listen(liar->listener, 8), 0);
	cr_assert_eq(getsockname(liar->listener, (struct sockaddr *)&at, &size), 0);
	liar->port = ntohs(at.sin_port);
	pthread_create(&liar->thread, NULL, lie, liar);
}

static void
liar_end(struct liar *liar)
{
	shutdown(liar->listener, SHUT_RDWR);
	pthread_join(liar->thread, NULL);
	close(liar->listener);
}

/* A keytab with an AES key of ours. */
static void
write_keytab(const char *principal, krb5_enctype enctype, size_t key_bytes)
{
	krb5_keytab_entry entry = { .vno = 1 };
	krb5_octet key[32] = "0123456789abcdef0123456789abcde";
	krb5_context context;
	krb5_keytab file;

	strcpy(keytab, "/tmp/keyward-keytab-XXXXXX");
	close(mkstemp(keytab));
	cr_assert_eq(unlink(keytab), 0);
	cr_assert_eq(krb5_init_secure_context(&context), 0);
	cr_assert_eq(krb5_kt_resolve(context, keytab, &file), 0);
	cr_assert_eq(krb5_parse_name(context, principal, &entry.principal), 0);
	entry.key = (krb5_keyblock){ .enctype = enctype, .length = (unsigned)key_bytes, .contents = key };
	cr_assert_eq(krb5_kt_add_entry(context, file, &entry), 0);
	krb5_free_principal(context, entry.principal);
	krb5_kt_close(context, file);
	krb5_free_context(context);
	cr_assert_eq(chmod(keytab, 0400), 0);
}

static void
begin(void)
{
	svc.dialer = dialer_new();
	op = op_begin(&svc, NULL);
	liar_begin(&kdc);
	liar_begin(&directory);
	write_keytab(PRINCIPAL, ENCTYPE_AES256_CTS_HMAC_SHA1_96, 32);
}

static void
end(void)
{
	liar_end(&kdc);
	liar_end(&directory);
	unlink(keytab);
	op_end(op);
	dialer_free(svc.dialer);
}

TestSuite(kerberos, .init = begin, .fini = end, .timeout = 60);

static int timeout_ms = PATIENCE_MS;

/* Opens and says what came of it. */
static int
open_link(const char *principal)
{
	const struct ldap_kerberos kerberos = {
		.principal = principal, .keytab = op_printf(op, "@%s", keytab), .kdc = op_printf(op, "127.0.0.1:%d", kdc.port) };
	const struct ldap_options options = { .url = op_printf(op, "ldap://127.0.0.1:%d", directory.port), .tls = LDAP_SEAL_KERBEROS,
		.kerberos = &kerberos, .timeout_ms = timeout_ms };
	struct ldap_link *link = NULL;
	int rc = ldap_link_open(op, &options, &link);

	cr_expect_null(link);
	return rc;
}

static void
says(const char *words)
{
	cr_expect(strstr(op_failure(op), words), "said: %s", op_failure(op));
}

/* Such a KDC lets go of nobody: whoever is back after less than twenty times what was allowed has let go himself. */
static void
costs_the_deadline(void)
{
	int64_t before = time_monotonic_ms();

	timeout_ms = TIMEOUT_MS;
	cr_expect_eq(open_link(PRINCIPAL), ERR_DEADLINE);
	cr_expect_lt(time_monotonic_ms() - before, 20 * TIMEOUT_MS);
}

Test(kerberos, a_silent_kdc_costs_the_deadline)
{
	costs_the_deadline();
}

Test(kerberos, a_kdc_that_drips_costs_the_deadline)
{
	static const char head[] = "\0\0\x10\0" "abcdefgh";

	kdc.bytes = head;
	kdc.n = sizeof(head) - 1;
	kdc.pause_ms = 20;
	costs_the_deadline();
}

Test(kerberos, an_answer_of_a_gigabyte_is_not_awaited)
{
	kdc.bytes = "\x40\0\0\0";
	kdc.n = 4;
	cr_expect_eq(open_link(PRINCIPAL), ERR_LDAP);
	says("1073741824 bytes");
}

Test(kerberos, garbage_is_no_ticket)
{
	kdc.bytes = "\0\0\0\x0d" "HTTP/1.1 200 ";
	kdc.n = 17;
	cr_expect_eq(open_link(PRINCIPAL), ERR_LDAP);
	says("Kerberos does not let the service account in");
}

Test(kerberos, a_kdc_that_is_not_there_is_told)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int deaf = socket(AF_INET, SOCK_STREAM, 0), port = kdc.port;

	/* the port is taken, so that no other program gets it, and nobody listens there */
	cr_assert_eq(bind(deaf, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(getsockname(deaf, (struct sockaddr *)&at, &size), 0);
	kdc.port = ntohs(at.sin_port);
	cr_expect_eq(open_link(PRINCIPAL), ERR_UNREACHABLE);
	kdc.port = port;
	close(deaf);
}

Test(kerberos, a_keytab_that_others_may_read_is_refused)
{
	cr_assert_eq(chmod(keytab, 0440), 0);
	cr_expect_eq(open_link(PRINCIPAL), ERR_CONFIG);
	says("chmod 0400");
}

Test(kerberos, a_keytab_must_be_a_file)
{
	cr_assert_eq(unlink(keytab), 0);
	cr_expect_eq(open_link(PRINCIPAL), ERR_CONFIG);
	says(keytab);
	cr_assert_eq(mkdir(keytab, 0700), 0);
	cr_expect_eq(open_link(PRINCIPAL), ERR_CONFIG);
	cr_assert_eq(rmdir(keytab), 0);
}

Test(kerberos, a_keytab_without_an_aes_key_of_the_principal_is_refused)
{
	cr_expect_eq(open_link("somebody@CLINIC.TEST"), ERR_CONFIG);
	says("no AES key");
	op_forgive(op);
	unlink(keytab);
	/* RFC 8429: RC4 is over */
	write_keytab(PRINCIPAL, ENCTYPE_ARCFOUR_HMAC, 16);
	cr_expect_neq(open_link(PRINCIPAL), 0);
	says("no AES key");
}

Test(kerberos, a_principal_needs_its_realm)
{
	cr_expect_eq(open_link("keyward"), ERR_CONFIG);
	says("principal");
}

Test(kerberos, tls_and_kerberos_are_not_mixed)
{
	const struct ldap_kerberos kerberos = { PRINCIPAL, "@/nowhere", NULL };
	const struct ldap_options options = { .url = "ldaps://127.0.0.1", .tls = LDAP_SEAL_KERBEROS, .kerberos = &kerberos };
	struct ldap_link *link;

	cr_expect_eq(ldap_link_open(op, &options, &link), ERR_INVALID);
}
