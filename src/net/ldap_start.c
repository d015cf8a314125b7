/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * StartTLS by hand (RFC 4511 4.14), before libldap sees the connection: one request, exactly one answer, and not a byte behind
 * it.  What a meddler sends in clear text can therefore never be taken for an answer that came through TLS.
 */
#include "ldap_int.h"

#include <sys/socket.h>

#define ANSWER_MAX_BYTES 4096
#define ANSWER_TAG ((ber_tag_t)0x78)    /* ExtendedResponse, [APPLICATION 24] */

/* LDAPMessage { 1, ExtendedRequest { "1.3.6.1.4.1.1466.20037" } } */
static const unsigned char request[] = {
	0x30, 0x1d, 0x02, 0x01, 0x01, 0x77, 0x18, 0x80, 0x16,
	'1', '.', '3', '.', '6', '.', '1', '.', '4', '.', '1', '.', '1', '4', '6', '6', '.', '2', '0', '0', '3', '7',
};

/* Reads the outermost tag and length; *ret_size is what follows. */
static int
read_head(struct op *op, int fd, int64_t deadline_ms, unsigned char *head, size_t *ret_head, size_t *ret_size)
{
	size_t more, size = 0;
	int rc = ldap_io_read(op, fd, deadline_ms, head, 2);

	if (rc)
		return rc;
	*ret_head = 2;
	*ret_size = head[1];
	if (head[0] != 0x30)
		return op_fail(op, ERR_LDAP_TLS, "the directory answered StartTLS with something that is not LDAP");
	if (head[1] < 0x80)
		return 0;
	more = head[1] & 0x7f;
	if (more < 1 || more > 4)
		return op_fail(op, ERR_LDAP_TLS, "the directory answered StartTLS with a malformed length");
	if ((rc = ldap_io_read(op, fd, deadline_ms, head + 2, more)) < 0)
		return rc;
	for (size_t i = 0; i < more; i++)
		size = size << 8 | head[2 + i];
	*ret_head += more;
	*ret_size = size;
	return 0;
}

static int
check_answer(struct op *op, const unsigned char *data, size_t n)
{
	struct berval bytes = { n, (char *)(uintptr_t)data }, matched = { 0, NULL }, words = { 0, NULL };
	BerElement *ber = ber_init(&bytes);     /* copies */
	ber_int_t id = 0, code = -1;
	ber_tag_t tag = LBER_ERROR, end = LBER_ERROR;
	const char *said;

	if (ber && ber_scanf(ber, "{i", &id) != LBER_ERROR) {
		tag = ber_peek_tag(ber, &(ber_len_t){ 0 });
		end = ber_scanf(ber, "{emm", &code, &matched, &words);
	}
	said = words.bv_val ? ldap_words(op, op_strndup(op, words.bv_val, words.bv_len)) : "";
	if (ber)
		ber_free(ber, 1);
	/* An unasked-for message (id 0, or the answer to something later) is no reason to go on: RFC 4511 4.14.2 */
	if (end == LBER_ERROR || tag != ANSWER_TAG || id != 1)
		return op_fail(op, ERR_LDAP_TLS, "the directory sent something else than the answer to StartTLS");
	if (code != 0)
		return op_fail(op, ERR_LDAP_TLS, "the directory refuses StartTLS (code %d): %s", (int)code, said);
	return 0;
}

int
ldap_start_tls_exchange(struct op *op, int fd, int64_t deadline_ms)
{
	unsigned char answer[6 + ANSWER_MAX_BYTES], extra;
	size_t head = 0, size = 0;
	int rc;

	if ((rc = ldap_io_write(op, fd, deadline_ms, request, sizeof(request))) < 0 ||
	    (rc = read_head(op, fd, deadline_ms, answer, &head, &size)) < 0)
		return rc;
	if (size > ANSWER_MAX_BYTES)
		return op_fail(op, ERR_LDAP_TLS, "the directory's answer to StartTLS is too long (%zu bytes)", size);
	if ((rc = ldap_io_read(op, fd, deadline_ms, answer + head, size)) < 0 ||
	    (rc = check_answer(op, answer, head + size)) < 0)
		return rc;
	/* We speak first in TLS: bytes that are here already were put in before it (CVE-2011-0411 and its kin). */
	if (recv(fd, &extra, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		return op_fail(op, ERR_LDAP_TLS, "somebody put data between the answer to StartTLS and TLS");
	return 0;
}
