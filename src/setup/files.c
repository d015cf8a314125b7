/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Files and folders of the set-up.  A file is there whole or not at all; a second run finds it and leaves it as it is. */
#include "setup_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define FILE_BYTES_MAX (1 << 20)

bool
file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

char *
file_text(struct setup *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char *text = op_alloc(s->op, FILE_BYTES_MAX + 2);
	ssize_t n = fd < 0 ? -1 : file_read(fd, text, FILE_BYTES_MAX + 1);
	int cause = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0) {
		say_problem(s, "%s cannot be read: %s", path, strerror(cause));
		return NULL;
	}
	if (n > FILE_BYTES_MAX || strlen(text) != (size_t)n) {
		say_problem(s, "%s is no text of at most 1 MB", path);
		return NULL;
	}
	return text;
}

static int
failed(struct setup *s, const char *path, const char *what)
{
	int cause = errno;

	say_problem(s, "%s cannot be %s: %s%s", path, what, strerror(cause),
	    cause == EACCES || cause == EPERM ? "; run this as root, or give another place with --config FILE" : "");
	return EXIT_FAILED;
}

int
file_give(struct setup *s, const char *path)
{
	struct stat st;

	if (!s->user || geteuid() != 0)
		return EXIT_DONE;
	if (lstat(path, &st) < 0)
		return failed(s, path, "examined");
	if (st.st_uid == s->uid && st.st_gid == s->gid)
		return EXIT_DONE;
	return lchown(path, s->uid, s->gid) < 0 ? failed(s, path, "given to the service's user") : EXIT_DONE;
}

/* The new name must outlive a power cut, too. */
static int
sync_folder(const char *path, struct op *op)
{
	int fd = open(dirname(op_strdup(op, path)), O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static int
fill(int fd, const char *text, mode_t mode)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = write(fd, text, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		left -= (size_t)n;
	}
	return fchmod(fd, mode) < 0 ? -1 : fsync(fd);
}

int
file_write(struct setup *s, const char *path, const char *text, mode_t mode, bool want_new)
{
	const char *beside = op_printf(s->op, "%s.%ld.new", path, (long)getpid());
	int fd, cause, rc;

	if (want_new && file_exists(path))
		return EXIT_DONE;
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return failed(s, path, "written");
	rc = fill(fd, text, mode);
	cause = errno;
	close(fd);
	/* what everybody may read stays root's: the daemon must not be able to change it */
	if (!rc && !(mode & 077) && file_give(s, beside) != EXIT_DONE) {
		unlink(beside);
		return EXIT_FAILED;
	}
	/* link() alone never replaces what somebody else made in between */
	if (!rc && want_new)
		rc = link(beside, path) < 0 && errno != EEXIST ? -1 : 0;
	else if (!rc)
		rc = rename(beside, path);
	if (rc && errno)
		cause = errno;
	if (want_new || rc)
		unlink(beside);
	errno = cause;
	return rc || sync_folder(path, s->op) < 0 ? failed(s, path, "written") : EXIT_DONE;
}

int
folder_make(struct setup *s, const char *path, mode_t mode)
{
	struct stat st;

	if (stat(path, &st) == 0) {
		errno = ENOTDIR;
		return S_ISDIR(st.st_mode) ? EXIT_DONE : failed(s, path, "used as a folder");
	}
	if (!strcmp(path, "/") || !strcmp(path, "."))
		return EXIT_DONE;
	/* folders above it are nobody's secret */
	if (folder_make(s, dirname(op_strdup(s->op, path)), 0755) != EXIT_DONE)
		return EXIT_FAILED;
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return failed(s, path, "made");
	return chmod(path, mode) < 0 ? failed(s, path, "made") : EXIT_DONE;
}
