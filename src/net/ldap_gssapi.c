/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The service account by Kerberos: a SASL bind with the mechanism GSSAPI (RFC 4752), after which each byte is encrypted and signed
 * with the key that both ends agreed on.  That takes the place of TLS: Active Directory refuses the one inside the other.
 * Libsasl's plug-ins are not used: they would choose a mechanism, resolve names and look into the environment by themselves.
 * Read ldap_gssapi_secure at the end first; the upper half is the layer that seals and opens packets.
 */
#include "ldap_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <string.h>

#include "kerberos_int.h"

#define ROUNDS_MAX 8
#define OUR_MOST 0xffff                 /* of a packet to us; servers may send more all the same */
#define PACKET_MAX_BYTES 0xffffff       /* RFC 4752 3.1: three bytes tell the size */
#define LAYER_CONFIDENTIAL 4

/* RFC 4121: Kerberos 5, 1.2.840.113554.1.2.2; and the name form "ldap/host@REALM" (RFC 1964 2.1.1), which resolves nothing */
static const gss_OID_desc krb5_mechanism = { 9, (void *)(uintptr_t)"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02" };
static const gss_OID_desc principal_name = { 10, (void *)(uintptr_t)"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01" };

struct ldap_seal {
	gss_ctx_id_t context;
	OM_uint32 most;                 /* plain bytes that one packet may carry to the server */
	unsigned char *packet;          /* being read */
	size_t room;
	gss_buffer_desc plain;          /* opened, given out from from */
	size_t from;
};

/* What was opened is wiped.  MIT 1.20 gives a byte of memory for an empty message and does not take back what has no length. */
static void
wipe(gss_buffer_desc *plain)
{
	OM_uint32 minor;

	if (plain->value)
		mem_wipe(plain->value, plain->length);
	if (plain->value && plain->length == 0)
		plain->length = 1;
	gss_release_buffer(&minor, plain);
}

/* ---- the layer */

static struct ldap_seal *
seal_new(void)
{
	return mem_new(sizeof(struct ldap_seal));
}

static void
seal_free(struct ldap_seal *seal)
{
	OM_uint32 minor;

	if (!seal)
		return;
	if (seal->context)
		gss_delete_sec_context(&minor, &seal->context, GSS_C_NO_BUFFER);
	wipe(&seal->plain);
	mem_free(seal->packet);
	mem_free(seal);
}

bool
ldap_gssapi_is_quiet(const struct ldap_seal *seal)
{
	return !seal || seal->from == seal->plain.length;
}

static int
layer_setup(Sockbuf_IO_Desc *sbiod, void *arg)
{
	sbiod->sbiod_pvt = arg;
	return 0;
}

static int
layer_remove(Sockbuf_IO_Desc *sbiod)
{
	seal_free(sbiod->sbiod_pvt);
	sbiod->sbiod_pvt = NULL;
	return 0;
}

static int
layer_ctrl(Sockbuf_IO_Desc *sbiod, int option, void *arg)
{
	if (option == LBER_SB_OPT_DATA_READY && !ldap_gssapi_is_quiet(sbiod->sbiod_pvt))
		return 1;
	return LBER_SBIOD_CTRL_NEXT(sbiod, option, arg);
}

/* Exactly n bytes from below, where the deadline is kept. */
static ber_slen_t
read_all(Sockbuf_IO_Desc *sbiod, unsigned char *to, size_t n)
{
	for (size_t have = 0; have < n;) {
		ber_slen_t got = LBER_SBIOD_READ_NEXT(sbiod, to + have, n - have);

		if (got <= 0)
			return got;
		have += (size_t)got;
	}
	return (ber_slen_t)n;
}

/* The next packet, opened.  1, 0 at the end, -1 */
static int
open_packet(Sockbuf_IO_Desc *sbiod, struct ldap_seal *seal)
{
	OM_uint32 major, minor, size;
	gss_buffer_desc sealed;
	gss_qop_t qop;
	int is_secret = 0;
	ber_slen_t got;

	wipe(&seal->plain);
	seal->from = 0;
	if ((got = read_all(sbiod, (unsigned char *)&size, sizeof(size))) <= 0)
		return (int)got;
	size = ntohl(size);
	errno = EBADMSG;
	if (size == 0 || size > PACKET_MAX_BYTES)
		return -1;
	if (size > seal->room)
		seal->packet = mem_resize(seal->packet, seal->room = size);
	if ((got = read_all(sbiod, seal->packet, size)) <= 0)
		return (int)got;
	sealed = (gss_buffer_desc){ size, seal->packet };
	major = gss_unwrap(&minor, seal->context, &sealed, &seal->plain, &is_secret, &qop);
	errno = EBADMSG;
	/*
	 * RFC 2743 1.2.3: a repeated, old or missing packet is told by bits besides; a packet in clear text, or an empty one, is none
	 * of this connection
	 */
	return major == GSS_S_COMPLETE && is_secret && seal->plain.length > 0 ? 1 : -1;
}

static ber_slen_t
layer_read(Sockbuf_IO_Desc *sbiod, void *buffer, ber_len_t size)
{
	struct ldap_seal *seal = sbiod->sbiod_pvt;
	size_t n;

	while (seal->from == seal->plain.length) {
		int rc = open_packet(sbiod, seal);

		if (rc <= 0)
			return rc;
	}
	n = seal->plain.length - seal->from < size ? seal->plain.length - seal->from : size;
	memcpy(buffer, (char *)seal->plain.value + seal->from, n);
	seal->from += n;
	return (ber_slen_t)n;
}

static ber_slen_t
write_all(Sockbuf_IO_Desc *sbiod, const void *data, size_t n)
{
	for (size_t done = 0; done < n;) {
		ber_slen_t put = LBER_SBIOD_WRITE_NEXT(sbiod, (char *)(uintptr_t)data + done, n - done);

		if (put <= 0)
			return -1;
		done += (size_t)put;
	}
	return (ber_slen_t)n;
}

static ber_slen_t
layer_write(Sockbuf_IO_Desc *sbiod, void *buffer, ber_len_t size)
{
	struct ldap_seal *seal = sbiod->sbiod_pvt;
	gss_buffer_desc plain = { size < seal->most ? size : seal->most, buffer }, sealed = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, head;
	int is_secret = 0;
	bool is_good;

	is_good = gss_wrap(&minor, seal->context, 1, GSS_C_QOP_DEFAULT, &plain, &is_secret, &sealed) == GSS_S_COMPLETE && is_secret;
	head = htonl((uint32_t)sealed.length);
	errno = EBADMSG;
	is_good = is_good && write_all(sbiod, &head, sizeof(head)) > 0 && write_all(sbiod, sealed.value, sealed.length) > 0;
	gss_release_buffer(&minor, &sealed);
	return is_good ? (ber_slen_t)plain.length : -1;
}

static int
layer_close(Sockbuf_IO_Desc *sbiod)
{
	(void)sbiod;
	return 0;
}

/* From here on the layer owns seal. */
static int
attach(struct op *op, struct ldap_link *link, struct ldap_seal *seal)
{
	static const Sockbuf_IO sealing = {
		.sbi_setup = layer_setup, .sbi_remove = layer_remove, .sbi_ctrl = layer_ctrl,
		.sbi_read = layer_read, .sbi_write = layer_write, .sbi_close = layer_close,
	};
	Sockbuf *sockbuf = NULL;

	if (ldap_get_option(link->ld, LDAP_OPT_SOCKBUF, &sockbuf) != LDAP_OPT_SUCCESS || !sockbuf ||
	    ber_sockbuf_add_io(sockbuf, (Sockbuf_IO *)(uintptr_t)&sealing, LBER_SBIOD_LEVEL_APPLICATION, seal) < 0) {
		seal_free(seal);
		return op_fail(op, ERR_INTERNAL, "libldap does not take the layer that seals the connection");
	}
	link->seal = seal;
	return 0;
}

/* ---- the bind */

static int
fail(struct op *op, OM_uint32 major, OM_uint32 minor, const char *what)
{
	gss_buffer_desc general = GSS_C_EMPTY_BUFFER, special = GSS_C_EMPTY_BUFFER;
	OM_uint32 unused, more = 0;
	int rc;

	gss_display_status(&unused, major, GSS_C_GSS_CODE, GSS_C_NO_OID, &more, &general);
	more = 0;
	gss_display_status(&unused, minor, GSS_C_MECH_CODE, (gss_OID)(uintptr_t)&krb5_mechanism, &more, &special);
	rc = op_fail(op, ERR_LDAP, "%s: %.*s: %.*s", what, (int)general.length, (char *)general.value, (int)special.length,
	    (char *)special.value);
	gss_release_buffer(&unused, &general);
	gss_release_buffer(&unused, &special);
	return rc;
}

/* One round: our token, and the server's.  want_end: whether the server shall say yes now; else it shall go on. */
static int
round_trip(struct op *op, struct ldap_link *link, const gss_buffer_desc *token, bool want_end, gss_buffer_desc *ret)
{
	struct berval ours = { token->length, token->value ? token->value : (char *)(uintptr_t)"" }, *theirs = NULL;
	int wanted = want_end ? LDAP_SUCCESS : LDAP_SASL_BIND_IN_PROGRESS, id, type, rc, code;
	LDAPMessage *message = NULL;
	char *words = NULL;

	code = ldap_sasl_bind(link->ld, "", "GSSAPI", &ours, NULL, NULL, &id);
	if (code != LDAP_SUCCESS)
		return ldap_link_fail(op, link, code, "sending a Kerberos bind");
	if ((rc = ldap_link_result(op, link, id, &type, &message)) < 0)
		return rc;
	if (type != LDAP_RES_BIND || ldap_parse_result(link->ld, message, &code, NULL, &words, NULL, NULL, 0) != LDAP_SUCCESS)
		rc = ldap_link_fail(op, link, LDAP_DECODING_ERROR, "a Kerberos bind was answered by something else");
	/* RFC 4752 3.1: a yes before the layers are agreed on would leave the connection open to anybody on the way */
	else if (code != wanted)
		rc = op_fail(op, ERR_LDAP, "the directory %s: %s (%d) %s", code == LDAP_SUCCESS ?
		    "said yes to a Kerberos bind before it proved who it is" : "refuses its service account's Kerberos bind",
		    ldap_err2string(code), code, ldap_words(op, words));
	else if (ldap_parse_sasl_bind_result(link->ld, message, &theirs, 0) == LDAP_DECODING_ERROR)
		rc = ldap_link_fail(op, link, LDAP_DECODING_ERROR, "the answer to a Kerberos bind cannot be read");
	*ret = (gss_buffer_desc){ 0, NULL };
	if (!rc && theirs)
		*ret = (gss_buffer_desc){ theirs->bv_len, op_memdup(op, theirs->bv_val, theirs->bv_len) };
	ber_bvfree(theirs);
	ldap_memfree(words);
	ldap_msgfree(message);
	return rc;
}

struct names {
	gss_cred_id_t ours;
	gss_name_t theirs;
};

static int
read_names(struct op *op, const struct kerberos_ticket *ticket, struct names *ret)
{
	gss_key_value_element_desc element = { "ccache", ticket->ccache_name };
	const gss_key_value_set_desc store = { 1, &element };
	gss_OID_set_desc mechanisms = { 1, (gss_OID)(uintptr_t)&krb5_mechanism };
	gss_buffer_desc target = { strlen(ticket->target), (char *)(uintptr_t)ticket->target };
	OM_uint32 minor, major = gss_import_name(&minor, &target, (gss_OID)(uintptr_t)&principal_name, &ret->theirs);

	if (major == GSS_S_COMPLETE)
		major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, 0, &mechanisms, GSS_C_INITIATE, &store, &ret->ours, NULL, NULL);
	return major == GSS_S_COMPLETE ? 0 : fail(op, major, minor, "the Kerberos ticket cannot be used");
}

/* Both ends prove who they are and agree on a key; *ret_offer is the server's list of layers. */
static int
agree(struct op *op, struct ldap_link *link, const struct names *names, gss_ctx_id_t *context, gss_buffer_desc *ret_offer)
{
	const OM_uint32 needed = GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_INTEG_FLAG | GSS_C_CONF_FLAG;
	OM_uint32 major = GSS_S_CONTINUE_NEEDED, minor, flags = 0;
	gss_buffer_desc in = GSS_C_EMPTY_BUFFER;
	int rc = 0;

	for (int i = 0; !rc && i < ROUNDS_MAX && major == GSS_S_CONTINUE_NEEDED; i++) {
		gss_buffer_desc out = GSS_C_EMPTY_BUFFER;

		major = gss_init_sec_context(&minor, names->ours, context, names->theirs, (gss_OID)(uintptr_t)&krb5_mechanism, needed, 0,
		    GSS_C_NO_CHANNEL_BINDINGS, &in, NULL, &out, &flags, NULL);
		if (GSS_ERROR(major))
			rc = fail(op, major, minor, "the directory did not prove by Kerberos who it is");
		else
			rc = round_trip(op, link, &out, false, &in);
		gss_release_buffer(&minor, &out);
	}
	if (!rc && (major != GSS_S_COMPLETE || (flags & needed) != needed))
		rc = op_fail(op, ERR_LDAP, "the directory does not agree to a Kerberos connection that is encrypted and signed");
	*ret_offer = in;
	return rc;
}

/* RFC 4752 3.1: the server offers layers, sealed; we take confidentiality or leave. */
static int
choose_layer(struct op *op, struct ldap_link *link, gss_buffer_desc *offer, struct ldap_seal *seal)
{
	unsigned char answer[4] = { LAYER_CONFIDENTIAL, OUR_MOST >> 16 & 0xff, OUR_MOST >> 8 & 0xff, OUR_MOST & 0xff };
	gss_buffer_desc plain = GSS_C_EMPTY_BUFFER, ours = { sizeof(answer), answer }, sealed = GSS_C_EMPTY_BUFFER, nothing;
	OM_uint32 minor, most, major = gss_unwrap(&minor, seal->context, offer, &plain, NULL, NULL);
	const unsigned char *offered = plain.value;
	int rc = 0;

	if (major != GSS_S_COMPLETE)
		rc = fail(op, major, minor, "the directory's offer of Kerberos layers is not its own");
	else if (plain.length != 4 || !(offered[0] & LAYER_CONFIDENTIAL))
		rc = op_fail(op, ERR_LDAP_TLS, "the directory offers no encryption of a Kerberos connection");
	most = rc ? 0 : (OM_uint32)offered[1] << 16 | (OM_uint32)offered[2] << 8 | offered[3];
	wipe(&plain);
	if (!rc && (gss_wrap_size_limit(&minor, seal->context, 1, GSS_C_QOP_DEFAULT, most, &seal->most) != GSS_S_COMPLETE || !seal->most))
		rc = op_fail(op, ERR_LDAP, "the directory takes Kerberos packets of %u bytes only", most);
	if (!rc && (major = gss_wrap(&minor, seal->context, 0, GSS_C_QOP_DEFAULT, &ours, NULL, &sealed)) != GSS_S_COMPLETE)
		rc = fail(op, major, minor, "the answer to the offer of Kerberos layers cannot be made");
	if (!rc)
		rc = round_trip(op, link, &sealed, true, &nothing);
	gss_release_buffer(&minor, &sealed);
	return rc;
}

static int
bind_and_seal(struct op *op, const struct kerberos_ticket *ticket, void *arg)
{
	struct ldap_seal *seal = seal_new();
	struct ldap_link *link = arg;
	struct names names = { 0 };
	gss_buffer_desc offer;
	OM_uint32 minor;
	int rc = read_names(op, ticket, &names);

	if (!rc)
		rc = agree(op, link, &names, &seal->context, &offer);
	if (!rc)
		rc = choose_layer(op, link, &offer, seal);
	gss_release_name(&minor, &names.theirs);
	gss_release_cred(&minor, &names.ours);
	link->good_until_ms = ticket->end_ms;
	if (!rc)
		return attach(op, link, seal);
	seal_free(seal);
	return rc;
}

int
ldap_gssapi_secure(struct op *op, struct ldap_link *link, const struct ldap_options *options, const char *host)
{
	int64_t whole = op->deadline_ms;
	int rc = ldap_link_begin(op, link);

	if (rc)
		return rc;
	op->deadline_ms = link->io.deadline_ms;
	rc = kerberos_with_ticket(op, options->kerberos, host, bind_and_seal, link);
	op->deadline_ms = whole;
	return rc;
}
