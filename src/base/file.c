/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reading files: read(2) may give less than there is, and a signal may come in between. */
#include "base/file.h"

#include <errno.h>
#include <unistd.h>

ssize_t
file_read(int fd, void *data, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t got = read(fd, (char *)data + have, size - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}
