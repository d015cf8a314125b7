/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Simple bind with the password policy control, and what the answers mean: the control's (slapd) or the words' (Active Directory).
 */
#include "ldap_int.h"

#include <string.h>

#include "net/ldap_ad.h"

/* Codes by which a server says no to this person, as against saying that it cannot tell (RFC 4511 A.2). */
static bool
is_no(int code)
{
	switch (code) {
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_CONSTRAINT_VIOLATION:
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INVALID_DN_SYNTAX:
	case LDAP_INAPPROPRIATE_AUTH:
	case LDAP_INSUFFICIENT_ACCESS:
	case LDAP_UNWILLING_TO_PERFORM:
		return true;
	default:
		return false;
	}
}

/*
 * What the policy control adds.  Only a success may become "must change", and only a refusal the rest: a control never
 * turns a no into a yes.
 */
static enum ldap_bind_outcome
outcome_of(int code, LDAPPasswordPolicyError policy)
{
	if (code == LDAP_SUCCESS)
		return policy == PP_changeAfterReset ? LDAP_BIND_MUST_CHANGE : LDAP_BIND_OK;
	/* 389 Directory Server and its kin, to whom was refused too often: a no to this person, not the failure of a server */
	if (code == LDAP_CONSTRAINT_VIOLATION)
		return LDAP_BIND_LOCKED;
	switch (policy) {
	case PP_passwordExpired:
		return LDAP_BIND_PASSWORD_EXPIRED;
	case PP_accountLocked:
		return LDAP_BIND_LOCKED;
	case PP_changeAfterReset:
		return LDAP_BIND_MUST_CHANGE;
	default:
		return LDAP_BIND_REFUSED;
	}
}

static LDAPPasswordPolicyError
policy_of(LDAP *ld, LDAPControl **controls)
{
	LDAPControl *control = controls ? ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, NULL) : NULL;
	LDAPPasswordPolicyError policy = PP_noError;
	ber_int_t expires, grace;

	if (control && ldap_parse_passwordpolicy_control(ld, control, &expires, &grace, &policy) != LDAP_SUCCESS)
		return PP_noError;
	return policy;
}

/* Only a refusal is looked at: words never turn a no into a yes. */
static void
read_words(struct op *op, struct ldap_bind_result *ret)
{
	const struct ldap_ad_refusal *row;
	unsigned number;

	row = ret->code == LDAP_INVALID_CREDENTIALS ? ldap_ad_refusal(ret->diagnostic, &number) : NULL;
	if (!row)
		return;
	ret->outcome = row->outcome;
	ret->why = row->number == number ? op_printf(op, "%x: %s; %s", number, row->meaning, row->mend) :
	    op_printf(op, "%x: a reason that is not known here", number);
}

static int
read_answer(struct op *op, struct ldap_link *link, LDAPMessage *message, struct ldap_bind_result *ret)
{
	LDAPControl **controls = NULL;
	char *words = NULL;
	int rc = 0, code = LDAP_OTHER;
	int parsed = ldap_parse_result(link->ld, message, &code, NULL, &words, NULL, &controls, 0);

	ret->code = code;
	ret->diagnostic = ldap_words(op, words);
	ret->outcome = outcome_of(code, policy_of(link->ld, controls));
	read_words(op, ret);
	ldap_memfree(words);
	ldap_controls_free(controls);
	if (parsed != LDAP_SUCCESS)
		return ldap_link_fail(op, link, parsed, "the answer to a bind cannot be read");
	if (code != LDAP_SUCCESS && !is_no(code)) {
		ret->outcome = LDAP_BIND_REFUSED;
		rc = op_fail(op, ERR_LDAP, "the directory can neither accept nor refuse a bind: %s (%d) %s", ldap_err2string(code), code,
		    ret->diagnostic);
	}
	return rc;
}

int
ldap_link_bind(struct op *op, struct ldap_link *link, const char *dn, const char *password, struct ldap_bind_result *ret)
{
	struct berval secret = { strlen(password), (char *)(uintptr_t)password };
	LDAPControl *policy = NULL, *controls[2] = { NULL, NULL };
	LDAPMessage *message = NULL;
	int id, type, code, rc;

	*ret = (struct ldap_bind_result){ .outcome = LDAP_BIND_REFUSED, .code = LDAP_INVALID_CREDENTIALS, .diagnostic = "" };
	/* RFC 4513 5.1.2, 6.3.1: with an empty password or name many servers answer success to anybody */
	if (!*password || !*dn)
		return 0;
	if ((rc = ldap_link_begin(op, link)) < 0)
		return rc;
	if (ldap_create_passwordpolicy_control(link->ld, &policy) != LDAP_SUCCESS)
		return op_fail(op, ERR_INTERNAL, "libldap cannot make the password policy control");
	controls[0] = policy;
	code = ldap_sasl_bind(link->ld, dn, LDAP_SASL_SIMPLE, &secret, controls, NULL, &id);
	ldap_control_free(policy);
	ret->is_unanswered = true;
	if (code != LDAP_SUCCESS)
		return ldap_link_fail(op, link, code, "sending a bind");
	if ((rc = ldap_link_result(op, link, id, &type, &message)) < 0)
		return rc;
	ret->is_unanswered = type != LDAP_RES_BIND;
	if (type == LDAP_RES_BIND)
		rc = read_answer(op, link, message, ret);
	else
		rc = ldap_link_fail(op, link, LDAP_DECODING_ERROR, "a bind was answered by something else");
	ldap_msgfree(message);
	return rc;
}
