/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A library to be loaded before a program: while the file FAIL_WHEN exists, every change of a file below the folder FAIL_BELOW fails with the
 * error whose number stands in FAIL_WHEN, as on a file system that has become read-only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The error to fail with; 0: none now. */
static int
error_now(void)
{
	const char *path = getenv("FAIL_WHEN");
	char text[16] = "";
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 1)
		text[0] = '\0';
	if (fd >= 0)
		close(fd);
	return atoi(text);
}

static int
is_below(int fd)
{
	const char *folder = getenv("FAIL_BELOW");
	char link[64], target[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (!folder || n < 0)
		return 0;
	target[n] = '\0';
	return !strncmp(target, folder, strlen(folder));
}

static int
must_fail(int fd)
{
	int saved = errno, code = is_below(fd) ? error_now() : 0;

	errno = code ? code : saved;
	return code != 0;
}

#define WRAP(type, name, parameters, arguments) \
	type name parameters \
	{ \
		static type (*real) parameters; \
		if (!real) \
			real = (type (*) parameters)dlsym(RTLD_NEXT, #name); \
		return must_fail(fd) ? -1 : real arguments; \
	}

WRAP(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at))
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at))
WRAP(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n))
WRAP(int, ftruncate, (int fd, off_t n), (fd, n))
WRAP(int, ftruncate64, (int fd, off64_t n), (fd, n))
