/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The clinic's directory: its address, whether its certificate may be trusted, the account that reads.  What was seen is shown before it
 * is added, and it is added switched off, so that nothing is synchronised and nobody signs in before that is said (step_sync.c).
 * Read step_directory at the end, then ask_server.
 */
#include "setup_int.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define FINGERPRINT_DIGITS 64

struct server {
	const char *url, *ca;           /* ca NULL: the system's authorities */
	bool is_starttls;
	json_t *seen;                   /* answer of the look */
};

/* ---- the address ---- */

static const char *
check_url(struct setup *s, const char *answer)
{
	(void)s;
	if (!strncmp(answer, "ldaps://", 8) || !strncmp(answer, "ldap://", 7))
		return NULL;
	return "please give ldaps://host, or ldap://host for StartTLS, for example ldaps://ldap.clinic.test";
}

static const char *
host_of(struct setup *s, const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return op_strndup(s->op, host, strcspn(host, ":/"));
}

static json_t *
look_body(struct setup *s, const struct server *server)
{
	json_t *body = json_own(s->op, json_pack("{s:s, s:b}", "url", server->url, "starttls", server->is_starttls));

	if (server->ca)
		json_object_set_new(body, "ca", json_string(server->ca));
	return body;
}

/* What an unreachable server usually means. */
static void
say_unreachable(struct setup *s, const char *url, const char *why)
{
	say_problem(s, "%s", why);
	say(s, "  Is the name right (try: getent hosts %s)?  Does the server run, and does a firewall let this computer "
	    "through to it?  ldaps:// is port 636, ldap:// is 389; write another one behind the name, as in "
	    "ldaps://host:1636.", host_of(s, url));
}

/* ---- its certificate ---- */

static const char *
grouped(struct setup *s, const char *digits)
{
	struct buf out = buf_in(s->op->mem);

	for (size_t i = 0; digits[i]; i++)
		buf_printf(&out, "%s%c", i && i % 8 == 0 ? " " : "", digits[i]);
	return out.text;
}

static void
show_certificates(struct setup *s, const json_t *list)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		const char *names = json_get_text(one, "names");

		say(s, "  %zu  %s", i + 1, json_get_text(one, "subject"));
		say(s, "     signed by %s, until %.10s", json_get_text(one, "issuer"), json_get_text(one, "until"));
		if (names)
			say(s, "     for %s", names);
		say(s, "     SHA-256 %s", grouped(s, json_get_text(one, "sha256")));
	}
}

/*
 * A whole fingerprint, in small hexadecimal digits alone; NULL when it is something else.  A part of it would not do: a certificate whose
 * fingerprint begins with given digits can be made by trying.
 */
static const char *
digits_of(struct setup *s, const char *answer)
{
	struct buf out = buf_in(s->op->mem);

	for (; *answer; answer++) {
		if (strchr(": ", *answer))
			continue;
		if (!isxdigit((unsigned char)*answer))
			return NULL;
		buf_add_char(&out, (char)tolower((unsigned char)*answer));
	}
	return out.length == FINGERPRINT_DIGITS ? out.text : NULL;
}

static const char *
check_trust(struct setup *s, const char *answer)
{
	if (!*answer || answer[0] == '/' || digits_of(s, answer))
		return NULL;
	return "please give the whole path of a file, or all 64 digits of the fingerprint, or nothing";
}

/* The shown certificate with this fingerprint. */
static const char *
shown_pem(struct setup *s, const json_t *list, const char *digits)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		const char *sha256 = json_get_text(one, "sha256");

		if (strcmp(sha256, digits) != 0)
			continue;
		say(s, "Accepted: %s", json_get_text(one, "subject"));
		if (!json_get_bool(one, "is_ca"))
			say(s, "This is the server's own certificate: when it is renewed, sign-ins stop until you accept the "
			    "next one.  The file of the CA lasts longer; put it into the directory's \"ca\" when you have it.");
		return op_strdup(s->op, json_get_text(one, "pem"));
	}
	say_problem(s, "no certificate that the server showed has this fingerprint.  If your directory's administrator gave "
	    "it to you, then this is not your directory: do not go on before you know why");
	return NULL;
}

/* NULL after a message: then another address may be given. */
static const char *
ca_text(struct setup *s, const char *file)
{
	const char *text = file_text(s, file);

	if (!text || strstr(text, "-----BEGIN CERTIFICATE-----"))
		return text;
	say_problem(s, "%s holds no certificate in PEM (a text that begins with -----BEGIN CERTIFICATE-----).  Of a file in DER "
	    "makes one: openssl x509 -inform der -in FILE -out ca.pem", file);
	return NULL;
}

/* Something to trust from the person; *ret_again: he wants to give another address. */
static int
ask_trust(struct setup *s, struct server *server, bool *ret_again)
{
	const json_t *list = json_object_get(server->seen, "certificates");
	const char *answer;

	say_problem(s, "this connection is not safe yet: %s.", json_get_text(server->seen, "problem"));
	say(s, "The server showed, its own first:");
	show_certificates(s, list);
	say(s, "Give the PEM file of your directory's CA.  Or ask whoever runs the directory for the SHA-256 fingerprint of "
	    "one of these certificates, best the last one, and type what you are told: then exactly that one is trusted.  Do "
	    "not copy it from here: that would prove nothing.");
	answer = ask(s, Q_DIRECTORY_TRUST, NULL, check_trust);
	if (!answer)
		return ask_failed(s);
	*ret_again = !*answer;
	if (*answer == '/')
		server->ca = ca_text(s, answer);
	else if (*answer)
		server->ca = shown_pem(s, list, digits_of(s, answer));
	*ret_again = *ret_again || !server->ca;
	return *ret_again && !ask_is_person(s) ? EXIT_FAILED : EXIT_DONE;
}

static int
look(struct setup *s, struct server *server, bool *ret_is_there)
{
	struct answer answer;
	int rc = step_try(s, "POST", "/api/v1/directories-look", look_body(s, server), &answer);

	*ret_is_there = !rc;
	server->seen = answer.json;
	if (rc == EXIT_NO_DAEMON)
		say_problem(s, "%s", answer.why);
	else if (rc)
		say_unreachable(s, server->url, answer.why);
	return rc == EXIT_NO_DAEMON || (rc && !ask_is_person(s)) ? EXIT_FAILED : EXIT_DONE;
}

/* Asks until the certificate is trusted; *ret_is_good false: another address is wanted. */
static int
earn_trust(struct setup *s, struct server *server, bool *ret_is_good)
{
	bool is_there = true, has_tried = false, want_other;

	while (is_there && !json_get_bool(server->seen, "trusted")) {
		int rc;

		if (has_tried && !ask_is_person(s)) {
			say_problem(s, "%s", json_get_text(server->seen, "problem"));
			return EXIT_FAILED;
		}
		rc = ask_trust(s, server, &want_other);
		if (rc || want_other) {
			*ret_is_good = false;
			return rc;
		}
		has_tried = true;
		rc = look(s, server, &is_there);
		if (rc)
			return rc;
	}
	*ret_is_good = is_there;
	return EXIT_DONE;
}

/* A server whose certificate is trusted. */
static int
ask_server(struct setup *s, struct server *server)
{
	bool is_good = false;
	int rc = EXIT_DONE;

	while (!rc && !is_good) {
		*server = (struct server){ .url = ask(s, Q_DIRECTORY_URL, NULL, check_url) };
		if (!server->url)
			return ask_failed(s);
		server->is_starttls = !strncmp(server->url, "ldap://", 7);
		rc = look(s, server, &is_good);
		if (!rc && is_good)
			rc = earn_trust(s, server, &is_good);
	}
	return rc;
}

static void
show_server(struct setup *s, const struct server *server)
{
	static const struct { const char *kind, *words; } kinds[] = {
		{ "ad", "Active Directory" }, { "openldap", "OpenLDAP" }, { "generic", "an LDAP server" } };
	const json_t *leaf = json_array_get(json_object_get(server->seen, "certificates"), 0);
	const char *kind = json_get_text(server->seen, "kind");

	say(s, "The connection is safe: %s, until %.10s.", json_get_text(leaf, "subject"), json_get_text(leaf, "until"));
	say(s, "  SHA-256 %s", grouped(s, json_get_text(leaf, "sha256")));
	for (size_t i = 0; kind && i < countof(kinds); i++)
		if (!strcmp(kind, kinds[i].kind))
			say(s, "The server says that it is %s.", kinds[i].words);
}

/* ---- the account ---- */

static const char *
check_dn(struct setup *s, const char *answer)
{
	(void)s;
	return strchr(answer, '=') && strlen(answer) <= 1024 ? NULL :
	    "please give a distinguished name, for example cn=keyward,ou=services,dc=clinic,dc=test";
}

/* An account of Active Directory may also be given as name@domain or DOMAIN\name. */
static const char *
check_account(struct setup *s, const char *answer)
{
	return strpbrk(answer, "@\\") ? NULL : check_dn(s, answer);
}

static const char *
check_given(struct setup *s, const char *answer)
{
	(void)s;
	return !*answer ? "please type something" : strlen(answer) > 1024 ? "this is longer than 1024 bytes" : NULL;
}

static const char *
check_name(struct setup *s, const char *answer)
{
	(void)s;
	return *answer && strlen(answer) <= 64 && !strchr(answer, '/') ? NULL : "please give a short name of at most 64 "
	    "letters";
}

/* The first tree that is no housekeeping of the server. */
static const char *
likely_base(struct setup *s, const json_t *seen)
{
	static const char *const others[] = { "cn=", "dc=domaindnszones,", "dc=forestdnszones," };
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(seen, "naming_contexts"), i, one) {
		const char *dn = json_string_value(one);
		bool is_other = false;

		for (size_t k = 0; k < countof(others); k++)
			is_other = is_other || !strncasecmp(dn, others[k], strlen(others[k]));
		if (!is_other)
			return op_strdup(s->op, dn);
	}
	return NULL;
}

static json_t *
ask_account(struct setup *s, const struct server *server)
{
	const char *base, *bind_dn, *password;
	json_t *body = look_body(s, server);

	if (!(base = ask(s, Q_DIRECTORY_BASE, likely_base(s, server->seen), check_dn)) ||
	    !(bind_dn = ask(s, Q_DIRECTORY_BIND_DN, NULL, check_account)) ||
	    !(password = ask(s, Q_DIRECTORY_PASSWORD, NULL, check_given)))
		return NULL;
	json_object_set_new(body, "base", json_string(base));
	json_object_set_new(body, "bind_dn", json_string(bind_dn));
	json_object_set_new(body, "password", json_string(password));
	/* nobody is synchronised before that is said */
	json_object_set_new(body, "enabled", json_false());
	json_object_set_new(body, "dry_run", json_true());
	return body;
}

static void
say_refused(struct setup *s, const char *why)
{
	say_problem(s, "%s", why);
	if (strstr(why, "did not let"))
		say(s, "  Either the account's name or its password is wrong; servers do not tell which.  Try it by hand "
		    "with ldapwhoami -x -W -D ACCOUNT -H ADDRESS.");
	else if (strstr(why, "has no entry"))
		say(s, "  Check the spelling of the tree, and that this account may read below it.");
}

/* Signs in and shows what is there, until that is what the person wants. */
static int
ask_until_good(struct setup *s, const struct server *server, json_t **ret_body)
{
	struct answer probe;
	bool is_wanted = false;
	int rc = EXIT_DONE;

	while (!rc && !is_wanted) {
		*ret_body = ask_account(s, server);
		if (!*ret_body)
			return ask_failed(s);
		rc = step_try(s, "POST", "/api/v1/directories", *ret_body, &probe);
		if (rc) {
			say_refused(s, probe.why);
			rc = rc == EXIT_NO_DAEMON || !ask_is_person(s) ? EXIT_FAILED : EXIT_DONE;
			continue;
		}
		view_probe(s->cli, probe.json);
		rc = ask_yes(s, Q_DIRECTORY_ADD, NULL, &is_wanted);
		if (!rc && !is_wanted && !ask_is_person(s))
			rc = EXIT_LEFT;
	}
	return rc;
}

static int
add(struct setup *s)
{
	struct server server;
	struct answer answer;
	const char *name;
	json_t *body;
	int rc = ask_server(s, &server);

	if (rc)
		return rc;
	show_server(s, &server);
	rc = ask_until_good(s, &server, &body);
	name = rc ? NULL : ask(s, Q_DIRECTORY_NAME, NULL, check_name);
	if (!name)
		return rc ? rc : ask_failed(s);
	json_object_set_new(body, "name", json_string(name));
	json_object_del(body, "dry_run");
	rc = step_call(s, "POST", "/api/v1/directories", body, &answer);
	if (rc)
		return rc;
	s->directory = op_strdup(s->op, name);
	say(s, "Added the directory %s, switched off until you have seen what it would bring.", name);
	return EXIT_DONE;
}

int
step_directory(struct setup *s)
{
	struct answer answer;
	json_t *first;
	bool is_wanted;
	int rc = step_call(s, "GET", "/api/v1/directories", NULL, &answer);

	if (rc)
		return rc;
	first = json_array_get(json_object_get(answer.json, "items"), 0);
	if (first) {
		s->directory = op_strdup(s->op, json_get_text(first, "name"));
		say(s, "The directory %s is there: %s", s->directory, json_get_text(first, "url"));
		step_note(s, "kept", s->directory);
		return EXIT_DONE;
	}
	say(s, "Keyward only reads: it searches people and groups, and signs in as a person to check a password.  It changes "
	    "nothing in your directory, and its account there needs no right to.");
	rc = ask_yes(s, Q_DIRECTORY, NULL, &is_wanted);
	if (!rc && is_wanted)
		rc = add(s);
	if (!rc)
		step_note(s, is_wanted ? "done" : "skipped", s->directory);
	return rc;
}
