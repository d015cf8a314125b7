/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A library to be loaded before a program: it kills the program with SIGKILL in the place of the KILL_AT-th call that changes a file.
 * KILL_AT=0 kills nothing; the number of calls is written into the file KILL_COUNT when the program ends.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;
static long kill_at;

__attribute__((constructor)) static void
begin(void)
{
	const char *text = getenv("KILL_AT");

	kill_at = text ? atol(text) : 0;
}

__attribute__((destructor)) static void
end(void)
{
	const char *path = getenv("KILL_COUNT");
	FILE *out = path ? fopen(path, "w") : NULL;

	if (out) {
		fprintf(out, "%ld\n", atomic_load(&calls));
		fclose(out);
	}
}

static void
count(void)
{
	if (atomic_fetch_add(&calls, 1) + 1 == kill_at)
		kill(getpid(), SIGKILL);
}

#define WRAP(type, name, parameters, arguments) \
	type name parameters \
	{ \
		static type (*real) parameters; \
		if (!real) \
			real = (type (*) parameters)dlsym(RTLD_NEXT, #name); \
		count(); \
		return real arguments; \
	}

WRAP(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at))
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fdatasync, (int fd), (fd))
WRAP(int, ftruncate, (int fd, off_t n), (fd, n))
WRAP(int, ftruncate64, (int fd, off64_t n), (fd, n))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, link, (const char *from, const char *to), (from, to))
WRAP(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))

ssize_t
write(int fd, const void *data, size_t n)
{
	static ssize_t (*real)(int, const void *, size_t);
	struct stat st;

	if (!real)
		real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	/* what it says is no change of a file */
	if (fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		count();
	return real(fd, data, n);
}
