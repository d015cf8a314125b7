/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Certificates of our own service: what is made fits, and what does not fit is refused with the reason. */
#include <criterion/criterion.h>
#include <string.h>

#include "crypt/certificate.h"

#define DAY_MS INT64_C(86400000)

static const struct certificate_subject subject = { "Tarn Valley Clinic", "sign-in.clinic.test" };

struct made { char *key, *ca, *pem; };

static struct made
make(struct op *op, const struct certificate_subject *who, int days)
{
	struct made m;

	cr_assert_eq(certificate_key(op, &m.key), 0, "%s", op_failure(op));
	cr_assert_eq(certificate_self_made(op, m.key, who, days, &m.ca, &m.pem), 0, "%s", op_failure(op));
	return m;
}

Test(certificate, self_made_fits)
{
	struct op *op = op_begin(NULL, NULL);
	struct made m = make(op, &subject, 90);
	struct certificate_facts leaf, ca;

	cr_assert_eq(certificate_check(op, m.pem, m.key, "sign-in.clinic.test"), 0, "%s", op_failure(op));
	cr_assert_eq(certificate_read(op, m.pem, &leaf), 0);
	cr_assert_eq(certificate_read(op, m.ca, &ca), 0);
	cr_assert_str_eq(leaf.issuer, ca.subject);
	cr_assert_str_eq(ca.issuer, ca.subject);
	cr_assert(ca.is_ca && !leaf.is_ca);
	cr_assert_eq(strlen(leaf.sha256), 64);
	cr_assert(leaf.not_after_ms > op->now_ms + 89 * DAY_MS && leaf.not_after_ms < op->now_ms + 91 * DAY_MS);
	cr_assert(strstr(leaf.subject, "Tarn Valley Clinic"), "%s", leaf.subject);
	op_end(op);
}

Test(certificate, addresses_and_letters)
{
	struct op *op = op_begin(NULL, NULL);
	struct made m = make(op, &(struct certificate_subject){ "Kliniken Z\xc3\xbcrich, \xe2\x80\x9cNord\xe2\x80\x9d", "127.0.0.1" }, 1);
	struct certificate_facts facts;

	cr_assert_eq(certificate_check(op, m.pem, m.key, "127.0.0.1"), 0, "%s", op_failure(op));
	cr_assert_eq(certificate_read(op, m.pem, &facts), 0);
	cr_assert(strstr(facts.subject, "Z\xc3\xbcrich"), "%s", facts.subject);
	op_end(op);
}

static void
refused(struct op *op, const char *pem, const char *key, const char *host, const char *words)
{
	cr_expect_eq(certificate_check(op, pem, key, host), ERR_INVALID);
	cr_expect(strstr(op_failure(op), words), "\"%s\" is not in: %s", words, op_failure(op));
	op_forgive(op);
}

Test(certificate, what_does_not_fit_is_refused)
{
	struct op *op = op_begin(NULL, NULL);
	struct made m = make(op, &subject, 90), other = make(op, &subject, 90);
	int64_t now_ms = op->now_ms;

	refused(op, m.pem, other.key, subject.host, "does not belong");
	refused(op, m.pem, m.key, "other.clinic.test", "does not name");
	refused(op, m.pem, m.key, "clinic.test", "does not name");
	refused(op, "nothing", m.key, subject.host, "no certificate");
	refused(op, m.pem, "nothing", subject.host, "private key cannot be read");
	op->now_ms = now_ms + 91 * DAY_MS;
	refused(op, m.pem, m.key, subject.host, "ended on");
	op->now_ms = now_ms - DAY_MS;
	refused(op, m.pem, m.key, subject.host, "good only from");
	op_end(op);
}

/* What OpenSSL's own words would take for another name or section. */
Test(certificate, hosts_that_are_none)
{
	static const char *const hosts[] = { "", "a.test,DNS:b.test", "@section", "a b", "a;b", "a\nb", "*.clinic.test", "dirName:x/y" };
	struct op *op = op_begin(NULL, NULL);
	char *key, *ca, *pem;

	cr_assert_eq(certificate_key(op, &key), 0);
	for (size_t i = 0; i < countof(hosts); i++) {
		const struct certificate_subject bad = { "Clinic", hosts[i] };

		cr_expect_eq(certificate_self_made(op, key, &bad, 1, &ca, &pem), ERR_INVALID, "%s", hosts[i]);
		op_forgive(op);
		cr_expect_eq(certificate_request(op, key, &bad, &pem), ERR_INVALID, "%s", hosts[i]);
		op_forgive(op);
	}
	op_end(op);
}

Test(certificate, request)
{
	struct op *op = op_begin(NULL, NULL);
	char *key, *pem;

	cr_assert_eq(certificate_key(op, &key), 0);
	cr_assert_eq(certificate_request(op, key, &subject, &pem), 0, "%s", op_failure(op));
	cr_assert(strstr(pem, "BEGIN CERTIFICATE REQUEST"));
	op_end(op);
}
