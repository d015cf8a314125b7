/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The certificate of the service: one that is there, or one for trying out, perhaps with a request for the clinic's own authority.  The
 * private key is written first and kept, so that a certificate that comes later still fits it.
 */
#include "setup_int.h"

#include <libgen.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "crypt/certificate.h"

#define TRIAL_DAYS 90

static int
failed(struct setup *s)
{
	say_problem(s, "%s", op_failure(s->op));
	op_forgive(s->op);
	return EXIT_FAILED;
}

static const char *
beside(struct setup *s, const char *name)
{
	return op_printf(s->op, "%s/%s", dirname(op_strdup(s->op, s->config->tls_certificate)), name);
}

/* The key of the file, made when there is none. */
static int
need_key(struct setup *s, char **ret_pem)
{
	const char *file = s->config->tls_key;
	int rc = EXIT_DONE;

	if (!file_exists(file)) {
		if (certificate_key(s->op, ret_pem))
			return failed(s);
		rc = file_write(s, file, *ret_pem, 0400, true);
	}
	if (!rc)
		rc = file_give(s, file);
	*ret_pem = rc ? NULL : file_text(s, file);
	return *ret_pem ? EXIT_DONE : EXIT_FAILED;
}

static int
make_trial(struct setup *s, const char *key, const struct certificate_subject *subject)
{
	char *ca, *pem;
	int rc;

	if (certificate_self_made(s->op, key, subject, TRIAL_DAYS, &ca, &pem))
		return failed(s);
	rc = file_write(s, beside(s, "ca.pem"), ca, 0644, false);
	/* the chain for those who trust the CA is the certificate alone: they have the CA */
	return rc ? rc : file_write(s, s->config->tls_certificate, pem, 0644, true);
}

static int
make_request(struct setup *s, const char *key, const struct certificate_subject *subject)
{
	char *pem;
	int rc;

	if (certificate_request(s->op, key, subject, &pem))
		return failed(s);
	rc = file_write(s, beside(s, "server.csr"), pem, 0644, false);
	if (!rc)
		say(s, "The request for your own CA is %s: give it to whoever runs that CA, put the answer (with its chain) "
		    "into %s; %s", beside(s, "server.csr"), s->config->tls_certificate, step_how_to_reload(s));
	return rc;
}

static void
explain_trial(struct setup *s)
{
	say(s, "This is a certificate for trying out, good for %d days.  It was signed by a CA made only for it, whose key "
	    "is gone already.  Browsers warn until they trust %s; import it on the computers that you try from (browser "
	    "settings, certificates, authorities), and on no others.", TRIAL_DAYS, beside(s, "ca.pem"));
	say(s, "Before people work with it, replace it by one of your own CA: put the certificate with its chain into %s and "
	    "its key into %s; %s", s->config->tls_certificate, s->config->tls_key, step_how_to_reload(s));
}

static int
make(struct setup *s)
{
	const struct certificate_subject subject = { s->config->organisation, config_host(s) };
	char *key;
	int rc;

	/* taken up again: what was answered then is not known any more */
	if (!s->certificate || !strcmp(s->certificate, "files") || !strcmp(s->certificate, "proxy"))
		s->certificate = ask(s, Q_CERTIFICATE, NULL, NULL);
	if (!s->certificate)
		return ask_failed(s);
	if (strcmp(s->certificate, "try") != 0 && strcmp(s->certificate, "request") != 0) {
		say_problem(s, "the configuration names %s, which is not there: put it there, or change tls_certificate and "
		    "tls_key in %s",
		    s->config->tls_certificate, s->config_file);
		return EXIT_FAILED;
	}
	rc = folder_make(s, dirname(op_strdup(s->op, s->config->tls_certificate)), 0755);
	if (!rc)
		rc = need_key(s, &key);
	if (!rc && !strcmp(s->certificate, "request"))
		rc = make_request(s, key, &subject);
	if (!rc)
		rc = make_trial(s, key, &subject);
	if (!rc)
		explain_trial(s);
	return rc;
}

static int
look(struct setup *s)
{
	const char *pem = file_text(s, s->config->tls_certificate), *key = pem ? file_text(s, s->config->tls_key) : NULL;
	struct certificate_facts facts;
	char day[TIME_TEXT_BYTES];

	if (!key)
		return EXIT_FAILED;
	op_touch(s->op);
	if (certificate_check(s->op, pem, key, config_host(s)) || certificate_read(s->op, pem, &facts))
		return failed(s);
	say(s, "%s", facts.subject);
	say(s, "  signed by %s, until %.10s", facts.issuer, time_text(facts.not_after_ms, day));
	say(s, "  SHA-256 %s", facts.sha256);
	return EXIT_DONE;
}

int
step_certificate(struct setup *s)
{
	bool is_kept;
	int rc = EXIT_DONE;

	if (!*s->config->tls_certificate) {
		say(s, "None here: a proxy on this computer does HTTPS for %s and hands on to %s.", s->config->issuer,
		    s->config->listen);
		step_note(s, "kept", "proxy");
		return EXIT_DONE;
	}
	is_kept = file_exists(s->config->tls_certificate);
	if (!is_kept)
		rc = make(s);
	if (!rc)
		rc = look(s);
	if (!rc)
		step_note(s, is_kept ? "kept" : "done", s->config->tls_certificate);
	return rc;
}
