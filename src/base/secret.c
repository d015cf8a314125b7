/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* References to secrets, so that no file of configuration holds one.  Read secret_path, then secret_read. */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

#define SECRET_MAX_BYTES 1024
#define CREDENTIAL "credential:"

const char *
secret_reference_problem(const char *text)
{
	const char *name = text + strlen(CREDENTIAL);

	if (text[0] == '@')
		return text[1] == '/' ? NULL : "must name a file by its whole path, for example \"@/etc/keyward/clinic.password\"";
	if (!text_starts_with(text, CREDENTIAL))
		return "a secret does not stand here: name its file as \"@/path/of/file\", or a systemd credential as credential:NAME";
	return *name && *name != '.' && !strchr(name, '/') ? NULL : "must name a credential, for example credential:clinic.password";
}

char *
secret_path(struct arena *mem, const char *text, const char *folder)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");

	if (text_starts_with(text, CREDENTIAL))
		return credentials ? arena_printf(mem, "%s/%s", credentials, text + strlen(CREDENTIAL)) : arena_strdup(mem, text);
	if (text[0] == '@')
		text++;
	return text[0] == '/' || !folder ? arena_strdup(mem, text) : arena_printf(mem, "%s/%s", folder, text);
}

int
secret_read(struct op *op, const char *reference, char **ret)
{
	const char *path = secret_path(op->mem, reference, NULL);
	char *text = op_alloc(op, SECRET_MAX_BYTES + 3);
	ssize_t n;
	int fd;

	if (text_starts_with(path, CREDENTIAL))
		return op_fail(op, ERR_CONFIG,
		    "%s: systemd gave this service no credentials; see LoadCredential= in systemd.exec(5)", reference);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return op_fail(op, ERR_CONFIG, "cannot read the secret in %s: %s", path, strerror(errno));
	n = file_read(fd, text, SECRET_MAX_BYTES + 2);
	close(fd);
	if (n < 0)
		return op_fail(op, ERR_CONFIG, "cannot read the secret in %s", path);
	text[n] = '\0';
	if (n && text[n - 1] == '\n')
		text[--n] = '\0';
	if (!n || n > SECRET_MAX_BYTES || (size_t)n != strlen(text) || strpbrk(text, "\r\n"))
		return op_fail(op, ERR_CONFIG, "%s must hold one line of 1 to %d bytes", path, SECRET_MAX_BYTES);
	*ret = text;
	return 0;
}
