/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The file of the master key: made once, read at every start.  It is apart from seal.c because everything here is about
 * files and their owners.  Read master_key_read first.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "crypt/random.h"
#include "seal_int.h"

#define HEX_DIGITS (2 * MASTER_KEY_BYTES)
#define ID_PREFIX "keyward master key id"

static struct master_key *
master_key_new(const unsigned char bytes[static MASTER_KEY_BYTES])
{
	struct master_key *key = mem_new(sizeof(*key));
	unsigned char digest[SHA256_BYTES];

	memcpy(key->key, bytes, sizeof(key->key));
	sha256_parts((struct hash_part[]){ { ID_PREFIX, strlen(ID_PREFIX) }, { bytes, MASTER_KEY_BYTES } }, 2, digest);
	memcpy(key->id, digest, sizeof(key->id));
	sodium_bin2hex(key->id_text, sizeof(key->id_text), key->id, sizeof(key->id));
	return key;
}

void
master_key_free(struct master_key *key)
{
	if (!key)
		return;
	mem_wipe(key, sizeof(*key));
	mem_free(key);
}

const char *
master_key_id(const struct master_key *key)
{
	return key->id_text;
}

/*
 * Nobody but root and ourselves may read or change the file (ASVS 5.0 13.3.1).  A credential of systemd may show the group
 * bit "r" with group root: that is the mask of its access list.
 */
static int
check_file(struct op *op, const char *file, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return op_fail(op, ERR_SEAL, "cannot examine the master key %s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return op_fail(op, ERR_SEAL, "the master key %s is not a regular file", file);
	/* root, at the command line, reads the key of the service's user */
	if (st.st_uid != 0 && st.st_uid != geteuid() && geteuid() != 0)
		return op_fail(op, ERR_SEAL, "the master key %s belongs to user %ld; it must belong to root or to the user of the daemon "
		    "(%ld)", file, (long)st.st_uid, (long)geteuid());
	if ((st.st_mode & 037) || ((st.st_mode & 040) && st.st_gid != 0))
		return op_fail(op, ERR_SEAL, "the master key %s may be read by others (mode %04o); run: chmod 0400 %s",
		    file, (unsigned)(st.st_mode & 07777), file);
	return 0;
}

/* 64 hexadecimal digits and perhaps one line end. */
static int
read_digits(struct op *op, const char *file, int fd, unsigned char ret[static MASTER_KEY_BYTES])
{
	char *text = op_alloc(op, HEX_DIGITS + 3);
	ssize_t n = file_read(fd, text, HEX_DIGITS + 2);
	unsigned char *bytes;
	size_t size;

	if (n < 0)
		return op_fail(op, ERR_SEAL, "cannot read the master key %s: %s", file, strerror(errno));
	if (n == HEX_DIGITS + 1 && text[HEX_DIGITS] == '\n')
		n--;
	text[n] = '\0';
	if (n != HEX_DIGITS || !hex_decode(op->mem, text, &bytes, &size) || size != MASTER_KEY_BYTES)
		return op_fail(op, ERR_SEAL, "the master key %s must hold 64 hexadecimal digits and nothing else", file);
	memcpy(ret, bytes, MASTER_KEY_BYTES);
	return 0;
}

int
master_key_read(struct op *op, const char *file, struct master_key **ret)
{
	unsigned char bytes[MASTER_KEY_BYTES];
	int fd, rc;

	if (sodium_init() < 0)
		return op_fail(op, ERR_CRYPTO, "libsodium cannot start");
	if (text_starts_with(file, "credential:"))
		return op_fail(op, ERR_SEAL, "the master key is %s, but systemd gave this service no credentials; see LoadCredential= in "
		    "systemd.exec(5)", file);
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return op_fail(op, ERR_SEAL, "cannot open the master key %s: %s; put back the file that this database was sealed with, "
		    "or, for a new installation, make one: keyward key create %s", file, strerror(errno), file);
	rc = check_file(op, file, fd);
	if (!rc)
		rc = read_digits(op, file, fd, bytes);
	close(fd);
	if (!rc)
		*ret = master_key_new(bytes);
	mem_wipe(bytes, sizeof(bytes));
	return rc;
}

/* The new name must be on disk too, before anything is sealed under the key. */
static int
sync_folder(const char *file)
{
	char *copy = mem_strdup(file);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = -1;

	mem_free(copy);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

int
master_key_create(struct op *op, const char *file)
{
	unsigned char bytes[MASTER_KEY_BYTES];
	char *line;
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
	bool is_written;

	if (fd < 0 && errno == EEXIST)
		return op_fail(op, ERR_CONFLICT, "%s exists already; a master key is never overwritten", file);
	if (fd < 0)
		return op_fail(op, ERR_SEAL, "cannot make the master key %s: %s", file, strerror(errno));
	random_fill(bytes, sizeof(bytes));
	line = op_printf(op, "%s\n", hex_encode(op->mem, bytes, sizeof(bytes)));
	mem_wipe(bytes, sizeof(bytes));
	is_written = write(fd, line, HEX_DIGITS + 1) == HEX_DIGITS + 1 && fsync(fd) == 0;
	if (close(fd) < 0 || !is_written || sync_folder(file) < 0) {
		int cause = errno;

		unlink(file);
		return op_fail(op, ERR_SEAL, "cannot write the master key %s: %s", file, strerror(cause));
	}
	return 0;
}
