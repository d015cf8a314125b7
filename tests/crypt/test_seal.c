/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sealed values and the file of the master key: what opens, and what must not. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "crypt/seal.h"

static char folder[64];

static void
make_folder(void)
{
	strcpy(folder, "/tmp/kw-seal-XXXXXX");
	cr_assert(mkdtemp(folder));
}

static void
remove_folder(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

static struct master_key *
new_key(struct op *op, const char *name)
{
	struct master_key *key = NULL;
	char *file = op_printf(op, "%s/%s", folder, name);

	cr_assert_eq(master_key_create(op, file), 0, "%s", op_failure(op));
	cr_assert_eq(master_key_read(op, file, &key), 0, "%s", op_failure(op));
	return key;
}

TestSuite(seal, .init = make_folder, .fini = remove_folder);

Test(seal, opens_again)
{
	struct op *op = op_begin(NULL, NULL);
	struct master_key *key = new_key(op, "a");
	unsigned char *sealed, *again, *plain;
	size_t n, m, again_n;

	cr_assert_eq(seal(op, key, "bind_password", "row-1", "secret", 6, &sealed, &n), 0);
	cr_assert_eq(n, 1 + 8 + 24 + 6 + 16);
	cr_assert_eq(sealed[0], 1);
	cr_assert_str_eq(sealed_by(op, sealed, n), master_key_id(key));
	cr_assert_eq(unseal(op, key, "bind_password", "row-1", sealed, n, &plain, &m), 0, "%s", op_failure(op));
	cr_assert_eq(m, 6);
	cr_assert_str_eq((char *)plain, "secret");
	cr_assert_eq(seal(op, key, "bind_password", "row-1", "secret", 6, &again, &again_n), 0);
	cr_assert(memcmp(sealed, again, n) != 0, "every sealing has a nonce of its own");
	cr_assert_eq(seal(op, key, "bind_password", "row-1", "", 0, &sealed, &n), 0);
	cr_assert_eq(unseal(op, key, "bind_password", "row-1", sealed, n, &plain, &m), 0);
	cr_assert_eq(m, 0);
	master_key_free(key);
	op_end(op);
}

Test(seal, stays_shut)
{
	struct op *op = op_begin(NULL, NULL);
	struct master_key *key = new_key(op, "a"), *other = new_key(op, "b");
	unsigned char *sealed, *plain;
	size_t n, m;

	cr_assert_eq(seal(op, key, "sign", "row-1", "secret", 6, &sealed, &n), 0);
	cr_assert_eq(unseal(op, key, "sign", "row-2", sealed, n, &plain, &m), ERR_SEAL, "another row");
	op_forgive(op);
	cr_assert_eq(unseal(op, key, "commit", "row-1", sealed, n, &plain, &m), ERR_SEAL, "another purpose");
	op_forgive(op);
	cr_assert_eq(unseal(op, other, "sign", "row-1", sealed, n, &plain, &m), ERR_SEAL, "another key");
	cr_assert(strstr(op_failure(op), master_key_id(key)), "the sentence names the key that it wants");
	for (size_t i = 0; i < n; i++) {
		op_forgive(op);
		sealed[i] ^= 0x20;
		cr_assert_eq(unseal(op, key, "sign", "row-1", sealed, n, &plain, &m), ERR_SEAL, "byte %zu changed", i);
		sealed[i] ^= 0x20;
	}
	for (size_t cut = 0; cut < n; cut++) {
		op_forgive(op);
		cr_assert_eq(unseal(op, key, "sign", "row-1", sealed, cut, &plain, &m), ERR_SEAL, "cut at %zu", cut);
	}
	master_key_free(key);
	master_key_free(other);
	op_end(op);
}

static void
refused(const char *what, const char *text, mode_t mode)
{
	struct op *op = op_begin(NULL, NULL);
	struct master_key *key = NULL;
	char *file = op_printf(op, "%s/file", folder);
	FILE *out = fopen(file, "w");

	cr_assert(out);
	fputs(text, out);
	fclose(out);
	cr_assert_eq(chmod(file, mode), 0);
	cr_assert_eq(master_key_read(op, file, &key), ERR_SEAL, "%s", what);
	cr_assert_null(key);
	unlink(file);
	op_end(op);
}

#define DIGITS "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

Test(seal, key_file_refusals)
{
	refused("readable for all", DIGITS "\n", 0404);
	refused("writable for the group", DIGITS "\n", 0420);
	refused("runnable for all", DIGITS "\n", 0401);
	refused("too short", "0001\n", 0400);
	refused("empty", "", 0400);
	refused("two line ends", DIGITS "\n\n", 0400);
	refused("longer", DIGITS "00", 0400);
	refused("no digits", "zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 0400);
}

/* A value made apart from this program by the form of crypt/seal.h: what lies in databases must open for ever. */
Test(seal, form_is_settled)
{
	struct op *op = op_begin(NULL, NULL);
	char *file = op_printf(op, "%s/known", folder);
	FILE *out = fopen(file, "w");
	struct master_key *key;
	unsigned char *sealed, *plain;
	size_t n, m;

	cr_assert(out);
	fputs(DIGITS "\n", out);
	fclose(out);
	cr_assert_eq(chmod(file, 0400), 0);
	cr_assert_eq(master_key_read(op, file, &key), 0, "%s", op_failure(op));
	cr_assert_str_eq(master_key_id(key), "03ebc63d5166f81c");
	cr_assert(hex_decode(op->mem,
	    "0103ebc63d5166f81c404142434445464748494a4b4c4d4e4f5051525354555657"
	    "e8d84e9aeba5bf35a655e3db5bd83b91014e4740005b", &sealed, &n));
	cr_assert_eq(unseal(op, key, "key.sign", "row-1", sealed, n, &plain, &m), 0, "%s", op_failure(op));
	cr_assert_str_eq((char *)plain, "secret");
	master_key_free(key);
	op_end(op);
}

Test(seal, key_file)
{
	struct op *op = op_begin(NULL, NULL);
	struct master_key *key = new_key(op, "a"), *again = NULL;
	char *file = op_printf(op, "%s/a", folder);
	struct stat st;

	cr_assert_eq(stat(file, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0400);
	cr_assert_eq(master_key_create(op, file), ERR_CONFLICT, "a key is never overwritten");
	op_forgive(op);
	cr_assert_eq(master_key_read(op, file, &again), 0);
	cr_assert_str_eq(master_key_id(key), master_key_id(again));
	if (geteuid() == 0) {
		master_key_free(again);
		cr_assert_eq(chown(file, 65534, 65534), 0);
		cr_assert_eq(master_key_read(op, file, &again), 0, "root reads the key of the service's user: %s", op_failure(op));
	}
	cr_assert_eq(master_key_read(op, folder, &again), ERR_SEAL, "a folder is no key");
	op_forgive(op);
	cr_assert_eq(master_key_read(op, op_printf(op, "%s/none", folder), &again), ERR_SEAL);
	cr_assert(strstr(op_failure(op), "keyward key create"), "the sentence says how to make one");
	master_key_free(key);
	master_key_free(again);
	op_end(op);
}
