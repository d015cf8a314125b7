/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the machine and whoever starts a program could say to libldap, GnuTLS and libgssapi behind our back.  Not in ldap.c, because it
 * changes the process and must run before there are threads.
 */
#include "net/ldap.h"

#include <stdlib.h>

void
ldap_forget_environment(void)
{
	/* libgssapi begins with a context of its own that would read KRB5_* (KRB5_TRACE writes keys into a file); so does GnuTLS
	 * with the keys of each connection */
	static const char *const names[] = { "KRB5CCNAME", "KRB5_KTNAME", "KRB5_CLIENT_KTNAME", "KRB5_TRACE", "KRB5RCACHETYPE",
		"KRB5RCACHENAME", "KRB5_KDC_PROFILE", "GSS_MECH_CONFIG", "SSLKEYLOGFILE" };

	for (size_t i = 0; i < countof(names); i++)
		unsetenv(names[i]);
	setenv("KRB5_CONFIG", "/dev/null", 1);
	/* no ldap.conf, no ~/.ldaprc, no LDAP*: set_options in ldap.c does not know each of them (TLS_CERT, TLS_CIPHER_SUITE, ...) */
	setenv("LDAPNOINIT", "1", 1);
}
