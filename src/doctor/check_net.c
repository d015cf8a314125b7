/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What others reach us by, and what we reach: listeners, our own certificate, the mail server. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "crypt/certificate.h"
#include "doctor_int.h"
#include "net/probe.h"

#define PEM_BYTES_MAX (256 << 10)
#define RESTART_OR_OTHER \
	"systemctl restart keywardd; when that does not mend it, the daemon was started with another configuration than this one"
#define MAIL_PORTS "587 (STARTTLS) or 465 (TLS)"

/* ---- listeners ---- */

/* The socket of the command line; *ret_pid is who listens there, 0 when the kernel does not tell. */
static bool
look_at_socket(struct check *c, int *ret_pid)
{
	const char *socket = c->op->config->socket, *name;
	int rc = probe_unix(c->op, socket, ret_pid);

	if (rc == ERR_FORBIDDEN)
		check_warn(c, "socket", "run the doctor as root or as the user of the daemon", "%s", op_failure(c->op));
	op_forgive(c->op);
	name = *ret_pid ? probe_process(c->op, *ret_pid) : NULL;
	if (rc == 0)
		check_ok(c, "socket", "%s answers%s%s", socket, name ? ", held by " : "", name ? name : "");
	return rc == 0 || rc == ERR_FORBIDDEN;
}

/* The operations door; false when nobody of ours answers there. */
static bool
look_at_ops(struct check *c)
{
	const char *listen = c->op->config->ops_listen, *host;
	int port, status = 0;

	if (probe_address(c->op, listen, &host, &port) || probe_http(c->op, host, port, "/readyz", &status))
		op_forgive(c->op);
	if (status == 200)
		check_ok(c, "ops_listen", "%s answers: ready", listen);
	else if (status == 503)
		check_bad(c, "ops_listen", "keyward's log (journalctl -u keywardd) says why",
		    "%s answers that the service is not ready (status %d)", listen, status);
	return status == 200 || status == 503;
}

/* One door answers and the other does not: the configuration is not that of the daemon that runs, or its socket's file is gone. */
static bool
is_running(struct check *c, int *ret_pid)
{
	const struct config *config = c->op->config;
	bool has_socket, has_ops;

	*ret_pid = 0;
	has_socket = look_at_socket(c, ret_pid);
	has_ops = look_at_ops(c);
	if (has_ops && !has_socket)
		check_bad(c, "socket", RESTART_OR_OTHER,
		    "the daemon runs, but nobody answers at %s: the command line cannot reach it", config->socket);
	if (has_socket && !has_ops)
		check_bad(c, "ops_listen", RESTART_OR_OTHER,
		    "the daemon runs, but does not answer on %s: monitoring cannot reach it", config->ops_listen);
	return has_socket || has_ops;
}

/* A port that somebody else has keeps the daemon from starting. */
static void
look_at_free(struct check *c, const char *key, const char *listen)
{
	const char *host, *holder;
	int port;

	if (probe_address(c->op, listen, &host, &port)) {
		check_failed(c, key, "correct it in the configuration");
		return;
	}
	if (!probe_connects(c->op, host, port)) {
		check_ok(c, key, "%s is free", listen);
		return;
	}
	holder = probe_holder(c->op, port);
	check_bad(c, key, op_printf(c->op, "end that program, or give keywardd another port with the key \"%s\"", key),
	    "%s is held by %s", listen, holder ? holder : "another program");
}

static void
look_at_public(struct check *c, int pid)
{
	const char *listen = c->op->config->listen, *host, *holder;
	int port;

	if (probe_address(c->op, listen, &host, &port)) {
		check_failed(c, "listen", "correct it in the configuration");
		return;
	}
	if (pid && probe_holds(c->op, pid, port) == 0 && (holder = probe_holder(c->op, port)))
		check_bad(c, "listen", "end that program, or give keywardd another port with the key \"listen\"; then restart keywardd",
		    "%s is held by %s and not by keywardd", listen, holder);
	else if (probe_connects(c->op, host, port))
		check_ok(c, "listen", "%s accepts connections", listen);
	else
		check_bad(c, "listen", "restart keywardd; its log (journalctl -u keywardd) says why it does not listen there",
		    "the daemon runs, but nobody listens on %s", listen);
}

/* Where browsers go must lead here, be it through a proxy. */
static void
look_at_issuer(struct check *c)
{
	const char *host = c->op->config->issuer + strlen("https://"), *addresses;
	bool is_ours;

	host = op_strndup(c->op, host, strcspn(host, ":/"));
	if (probe_host(c->op, host, &is_ours, &addresses))
		check_failed(c, "issuer", op_printf(c->op, "enter %s in the clinic's name server", host));
	else if (!is_ours)
		check_warn(c, "issuer",
		    "this is right when a proxy or a router stands before keywardd; else correct the name server",
		    "%s leads to %s, which is not this machine", host, addresses);
	else
		check_ok(c, "issuer", "%s leads to this machine (%s)", host, addresses);
}

void
check_ports(struct check *c)
{
	int pid;

	if (is_running(c, &pid)) {
		look_at_public(c, pid);
	} else {
		check_bad(c, "daemon", "systemctl start keywardd; its log (journalctl -u keywardd) says why it does not run",
		    "keywardd is not running");
		look_at_free(c, "listen", c->op->config->listen);
		look_at_free(c, "ops_listen", c->op->config->ops_listen);
	}
	look_at_issuer(c);
}

/* ---- our certificate ---- */

static const char *
pem_of(struct check *c, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char *text = op_alloc(c->op, PEM_BYTES_MAX + 1);
	ssize_t n = fd < 0 ? -1 : file_read(fd, text, PEM_BYTES_MAX);

	if (fd >= 0)
		close(fd);
	return n < 0 || n == PEM_BYTES_MAX ? NULL : text;
}

/* What browsers are shown now: a new file is of no use before the daemon has read it. */
static void
look_at_shown(struct check *c, const struct certificate_facts *file)
{
	const char *host;
	struct ldap_peek seen;
	int port;

	if (probe_address(c->op, c->op->config->listen, &host, &port) || probe_tls(c->op, host, port, &seen) || !seen.n) {
		op_forgive(c->op);
		return;
	}
	if (strcmp(seen.v[0].sha256, file->sha256) != 0)
		check_warn(c, "", "systemctl reload keywardd", "the service still shows another certificate than %s holds",
		    c->op->config->tls_certificate);
}

/* Whoever reads it can be this service (RFC 9325 7.4: private keys are protected). */
static void
look_at_key(struct check *c, const char *file)
{
	struct stat st;

	if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07))
		check_bad(c, "key",
		    op_printf(c->op, "chmod o= %s; if others had an account here meanwhile, get a new key and certificate", file),
		    "the private key %s can be read by everybody on this machine (mode %04o)", file, (unsigned)(st.st_mode & 07777));
}

static void
tell_end(struct check *c, const struct certificate_facts *facts)
{
	const char *end;
	enum doctor_verdict verdict = check_end(c, facts->not_after_ms, &end);

	if (verdict == DOCTOR_PROBLEM)
		check_bad(c, "", "get a new certificate today; browsers refuse one that has ended", "the certificate %s", end);
	else if (verdict == DOCTOR_WARNING)
		check_warn(c, "", "renew it before", "the certificate %s", end);
	else
		check_ok(c, "", "the certificate fits the issuer's name and %s", end);
}

void
check_certificate(struct check *c)
{
	const struct config *config = c->op->config;
	const char *host = config->issuer + strlen("https://"), *pem, *key;
	struct certificate_facts facts;

	if (!*config->tls_certificate) {
		check_ok(c, "", "plain HTTP on %s: the proxy before keywardd has the certificate", config->listen);
		return;
	}
	pem = pem_of(c, config->tls_certificate);
	key = pem_of(c, config->tls_key);
	if (!pem || !key) {
		check_bad(c, "", "put the file there, readable for the user of the daemon; run the doctor as root or as that user",
		    "%s cannot be read", pem ? config->tls_key : config->tls_certificate);
		return;
	}
	look_at_key(c, config->tls_key);
	host = op_strndup(c->op, host, *host == '[' ? strcspn(host, "]") : strcspn(host, ":/"));
	host += *host == '[';
	if (certificate_read(c->op, pem, &facts)) {
		check_failed(c, "", "the file must hold the certificate in PEM, the server's own first");
		return;
	}
	if (certificate_check(c->op, pem, key, host))
		check_failed(c, "", "get a certificate for the issuer's name: keyward setup makes a request for one");
	else
		tell_end(c, &facts);
	look_at_shown(c, &facts);
}

/* ---- mail ---- */

static void
tell_mail(struct check *c, const struct probe_mail *mail)
{
	const char *server = c->op->config->mail_server, *end;

	if (!mail->has_starttls) {
		check_bad(c, "", "let it offer STARTTLS, or name its port " MAIL_PORTS,
		    "%s offers no TLS; messages would go in clear", server);
		return;
	}
	if (mail->tls.problem)
		check_bad(c, "", "have its certificate renewed for its name, or let this machine trust its CA", "%s: %s", server,
		    mail->tls.problem);
	else if (mail->tls.n && check_end(c, mail->tls.v[0].not_after_ms, &end) != DOCTOR_OK)
		check_warn(c, "", "renew the certificate on the mail server", "the certificate of %s %s", server, end);
	else
		check_ok(c, "", "%s answers, with TLS and a good certificate", server);
}

void
check_mail(struct check *c)
{
	const struct config *config = c->op->config;
	struct probe_mail mail;
	const char *host;
	int port;

	if (!*config->mail_server) {
		check_ok(c, "", "not configured: nothing needs it");
		return;
	}
	if (!strchr(config->mail_from, '@'))
		check_warn(
		    c, "from", "name the sender with the key \"mail_from\"", "mail_server is set, but mail_from is no address");
	if (probe_address(c->op, config->mail_server, &host, &port))
		check_failed(c, "", "write mail_server as host:port, for example mail.clinic.test:587");
	else if (probe_mail(c->op, host, port, &mail))
		check_failed(c, "", "look whether the mail server runs and whether a firewall lets this machine through");
	else
		tell_mail(c, &mail);
}
