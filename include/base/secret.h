/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where a secret stands.  Files of configuration and of objects never hold one, only where to find it:
 *
 *     "@/etc/keyward/clinic.password"         a file
 *     credential:clinic.password              a credential of systemd (systemd.exec(5), LoadCredential=)
 */
#ifndef KW_BASE_SECRET_H
#define KW_BASE_SECRET_H

#include "base/op.h"

/* What is wrong with such a text, or NULL.  Nothing is opened. */
const char *secret_reference_problem(const char *text);
/*
 * The file that the text means, in the arena; any other text is the path itself.  A relative one lies in folder (NULL: as it is).
 * A credential stays as it is written when there is no $CREDENTIALS_DIRECTORY: only the service has one, and others read its
 * configuration, too.
 */
char *secret_path(struct arena *mem, const char *text, const char *folder);
/* One line of at most 1 KB, without its end; belongs to the op.  ERR_CONFIG with a sentence that names the file and never the secret. */
int secret_read(struct op *op, const char *reference, char **ret) MUST_CHECK;

#endif
