/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sealed streams: what was sealed opens in its order and place, under its key, purpose and head, and in no other way. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/stream.h"

#define BLOCK 100
#define BLOCKS 3

static struct op *op;
static struct master_key *key, *other_key;
static char folder[] = "/tmp/keyward-stream-XXXXXX";
static unsigned char start[STREAM_START_BYTES], sealed[BLOCKS][BLOCK + STREAM_TAG_BYTES];

static struct master_key *
make_key(const char *name)
{
	const char *file = op_printf(op, "%s/%s", folder, name);
	struct master_key *made;

	cr_assert_eq(master_key_create(op, file), 0, "%s", op_failure(op));
	cr_assert_eq(master_key_read(op, file, &made), 0, "%s", op_failure(op));
	return made;
}

static void
setup(void)
{
	unsigned char plain[BLOCK];
	struct stream *stream;

	op = op_begin(NULL, NULL);
	cr_assert(mkdtemp(folder));
	key = make_key("one");
	other_key = make_key("other");
	cr_assert_eq(stream_seal_new(op, key, "backup", "head", 4, start, &stream), 0);
	for (int i = 0; i < BLOCKS; i++) {
		memset(plain, 'a' + i, sizeof(plain));
		stream_seal(stream, plain, sizeof(plain), i == BLOCKS - 1, sealed[i]);
	}
	stream_free(stream);
}

static void
teardown(void)
{
	char command[100];

	master_key_free(key);
	master_key_free(other_key);
	op_end(op);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_expect_eq(system(command), 0);
}

TestSuite(stream, .init = setup, .fini = teardown);

/* How many of the blocks open, one after another; *ret_is_last of the last that did. */
static int
opens(const struct master_key *with, const char *purpose, const char *head, const int *order, int n, bool *ret_is_last)
{
	unsigned char plain[BLOCK];
	struct stream *stream;
	int good = 0;

	*ret_is_last = false;
	cr_assert_eq(stream_open_new(op, with, purpose, head, strlen(head), start, &stream), 0);
	while (good < n && stream_open(stream, sealed[order[good]], sizeof(sealed[0]), plain, ret_is_last)) {
		cr_expect_eq(plain[0], 'a' + order[good]);
		good++;
	}
	stream_free(stream);
	return good;
}

Test(stream, opens_in_its_order_and_says_which_block_is_the_last)
{
	bool is_last;

	cr_expect_eq(opens(key, "backup", "head", (int[]){ 0, 1, 2 }, 3, &is_last), 3);
	cr_expect(is_last);
	cr_expect_eq(opens(key, "backup", "head", (int[]){ 0, 1 }, 2, &is_last), 2);
	cr_expect_not(is_last, "a stream that was cut off");
}

Test(stream, another_order_key_purpose_or_head_does_not_open)
{
	bool is_last;

	cr_expect_eq(opens(key, "backup", "head", (int[]){ 0, 2, 1 }, 3, &is_last), 1);
	cr_expect_eq(opens(key, "backup", "head", (int[]){ 0, 0 }, 2, &is_last), 1);
	cr_expect_eq(opens(key, "backup", "head", (int[]){ 1 }, 1, &is_last), 0);
	cr_expect_eq(opens(other_key, "backup", "head", (int[]){ 0 }, 1, &is_last), 0);
	cr_expect_eq(opens(key, "bind_password", "head", (int[]){ 0 }, 1, &is_last), 0);
	cr_expect_eq(opens(key, "backup", "hEad", (int[]){ 0 }, 1, &is_last), 0);
}

Test(stream, a_changed_bit_does_not_open)
{
	bool is_last;

	for (size_t i = 0; i < sizeof(sealed[0]); i++) {
		sealed[0][i] ^= 1;
		cr_expect_eq(opens(key, "backup", "head", (int[]){ 0 }, 1, &is_last), 0, "byte %zu", i);
		sealed[0][i] ^= 1;
	}
	start[3] ^= 0x80;
	cr_expect_eq(opens(key, "backup", "head", (int[]){ 0 }, 1, &is_last), 0);
}

Test(stream, less_than_a_tag_does_not_open)
{
	unsigned char plain[BLOCK];
	struct stream *stream;
	bool is_last;

	cr_assert_eq(stream_open_new(op, key, "backup", "head", 4, start, &stream), 0);
	for (size_t n = 0; n < STREAM_TAG_BYTES; n++)
		cr_expect_not(stream_open(stream, sealed[0], n, plain, &is_last));
	stream_free(stream);
}
