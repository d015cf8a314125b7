/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Codes and refresh tokens.  Both carry the id of their row, so that they are found by it and never by a hash: a code then has a
 * random secret whose SHA-256 is stored, a refresh token its number and our MAC over both, so that nothing of it need be stored.
 */
#include "oidc_int.h"

#include <string.h>

#include "audit/audit.h"
#include "base/metric.h"
#include "base/uuid.h"
#include "crypt/random.h"
#include "people/keyring.h"
#include "people/user.h"

#define ID_LENGTH (UUID_TEXT_BYTES - 1)
#define SECRET_LENGTH 43                /* base64url of 256 bits */
#define NUMBER_LENGTH 10
#define REFRESH_PURPOSE "refresh token v1"

/* The id before the first dot; *ret_rest is what follows. */
static const char *
take_id(struct op *op, const char *text, const char **ret_rest)
{
	const char *id;

	if (strnlen(text, ID_LENGTH + 1) != ID_LENGTH + 1 || text[ID_LENGTH] != '.')
		return NULL;
	id = op_strndup(op, text, ID_LENGTH);
	*ret_rest = text + ID_LENGTH + 1;
	return uuid_is_valid(id) ? id : NULL;
}

char *
code_new(struct op *op, const char *authorization_id, unsigned char ret_hash[static SHA256_BYTES])
{
	const char *secret = random_secret(op);

	sha256(secret, strlen(secret), ret_hash);
	return op_printf(op, "%s.%s", authorization_id, secret);
}

bool
code_parse(struct op *op, const char *code, const char **ret_id, unsigned char ret_hash[static SHA256_BYTES])
{
	const char *secret;

	*ret_id = take_id(op, code, &secret);
	if (!*ret_id || strnlen(secret, SECRET_LENGTH + 1) != SECRET_LENGTH)
		return false;
	sha256(secret, SECRET_LENGTH, ret_hash);
	return true;
}

static char *
refresh_mac(struct op *op, const char *id, const char *number)
{
	unsigned char mac[SHA256_BYTES];
	const struct hash_part parts[] = {
		{ REFRESH_PURPOSE, sizeof(REFRESH_PURPOSE) }, { id, strlen(id) + 1 }, { number, strlen(number) + 1 },
	};

	keyring_mac(op, parts, countof(parts), mac);
	return base64url_encode(op->mem, mac, sizeof(mac));
}

char *
refresh_write(struct op *op, const char *authorization_id, int64_t seq)
{
	const char *number = op_printf(op, "%lld", (long long)seq);

	return op_printf(op, "%s.%s.%s", authorization_id, number, refresh_mac(op, authorization_id, number));
}

bool
refresh_parse(struct op *op, const char *token, const char **ret_id, int64_t *ret_seq)
{
	const char *number, *mac;
	size_t digits;

	*ret_id = take_id(op, token, &number);
	if (!*ret_id)
		return false;
	digits = strspn(number, "0123456789");
	/* one form of each number: no leading zeros */
	if (!digits || digits > NUMBER_LENGTH || number[0] == '0' || number[digits] != '.')
		return false;
	mac = number + digits + 1;
	number = op_strndup(op, number, digits);
	if (strnlen(mac, SECRET_LENGTH + 1) != SECRET_LENGTH || !bytes_equal(mac, refresh_mac(op, *ret_id, number), SECRET_LENGTH))
		return false;
	*ret_seq = 0;
	for (const char *c = number; *c; c++)
		*ret_seq = *ret_seq * 10 + (*c - '0');
	return true;
}

bool
authorization_is_alive(const struct op *op, const struct authorization *a)
{
	return !a->ended_ms && a->until_ms > op->now_ms && a->is_session_open && a->is_active;
}

int64_t
refresh_until(const struct op *op, const struct authorization *a)
{
	int64_t idle_ms = op->now_ms + op->config->refresh_idle * 1000, last_ms = a->auth_ms + op->config->refresh_absolute * 1000;

	return idle_ms < last_ms ? idle_ms : last_ms;
}

static void
tell_end(struct op *op, void *arg)
{
	if (op->svc->on_end)
		op->svc->on_end(op, &(struct end_notice){ .authorization_id = arg });
}

int
authorization_end(struct op *op, const char *id, const char *user_id, const char *why, enum event event, const char *client_id,
    const char *what)
{
	int64_t ended;
	int rc = db_authorization_end(op, id, why, &ended);

	if (rc || !ended)
		return rc;
	db_on_commit(op, tell_end, op_strdup(op, id));
	return audit_record(op, event, user_id, FACTS(FACT("app", client_id), FACT("what", what), FACT("authorization", id)));
}

struct refusal {
	const struct single_use *single;
	void *arg;
	enum single_use_end end;
};

static int
refuse(struct op *op, void *arg)
{
	struct refusal *refusal = arg;

	refusal->end = SINGLE_USE_OVER;
	return refusal->single->refuse(op, refusal->arg, &refusal->end);
}

int
single_use_finish(struct op *op, const struct single_use *single, void *arg)
{
	struct refusal refusal = { single, arg, SINGLE_USE_OVER };

	for (int tries = 0; tries < 2; tries++) {
		/* Whoever ends a person, session or application ends its authorizations: the row that the conditional update changes. */
		int rc = db_run_conditional(op, single->use, arg);

		if (rc != ERR_STALE)
			return rc;
		op_forgive(op);
		rc = db_run(op, refuse, &refusal);
		if (rc)
			return rc;
		if (refusal.end != SINGLE_USE_GOOD)
			break;
	}
	if (refusal.end == SINGLE_USE_REUSED)
		metric_add(METRIC_token_reuse_total, 1);
	return op_fail(op, ERR_INVALID_GRANT, "%s", refusal.end == SINGLE_USE_REUSED ? single->reused : single->over);
}
