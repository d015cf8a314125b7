/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Digests, MACs, key derivation and randomness against published values. */
#include <criterion/criterion.h>
#include <string.h>

#include "../../src/crypt/seal_int.h"
#include "base/text.h"
#include "crypt/hash.h"
#include "crypt/random.h"

static const char *
hex(struct op *op, const unsigned char digest[static SHA256_BYTES])
{
	return hex_encode(op->mem, digest, SHA256_BYTES);
}

/* FIPS 180-4 example */
Test(hash, sha256)
{
	struct op *op = op_begin(NULL, NULL);
	unsigned char whole[SHA256_BYTES], parts[SHA256_BYTES];

	sha256("abc", 3, whole);
	cr_assert_str_eq(hex(op, whole), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_parts((struct hash_part[]){ { "a", 1 }, { "", 0 }, { "bc", 2 } }, 3, parts);
	cr_assert(bytes_equal(whole, parts, SHA256_BYTES));
	parts[31] ^= 1;
	cr_assert(!bytes_equal(whole, parts, SHA256_BYTES));
	op_end(op);
}

/* FIPS 180-4: a million "a"; and parts are as good as the whole, wherever they are cut. */
Test(hash, sha256_of_long_texts)
{
	struct op *op = op_begin(NULL, NULL);
	char *text = op_alloc(op, 1000000);
	unsigned char whole[SHA256_BYTES], parts[SHA256_BYTES];

	memset(text, 'a', 1000000);
	sha256(text, 1000000, whole);
	cr_assert_str_eq(hex(op, whole), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	for (size_t n = 0; n < 300; n++) {
		sha256(text, n, whole);
		sha256_parts((struct hash_part[]){ { text, n / 3 }, { text + n / 3, n - n / 3 } }, 2, parts);
		cr_assert(bytes_equal(whole, parts, SHA256_BYTES), "%zu bytes", n);
	}
	op_end(op);
}

/* RFC 4231, cases 2 and 6 (a key longer than a block) */
Test(hash, hmac)
{
	struct op *op = op_begin(NULL, NULL);
	unsigned char mac[SHA256_BYTES], key[131];
	const char *text = "Test Using Larger Than Block-Size Key - Hash Key First";

	hmac_sha256("Jefe", 4, (struct hash_part[]){ { "what do ya want ", 16 }, { "for nothing?", 12 } }, 2, mac);
	cr_assert_str_eq(hex(op, mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	hmac_sha256(key, sizeof(key), &(struct hash_part){ text, strlen(text) }, 1, mac);
	cr_assert_str_eq(hex(op, mac), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	op_end(op);
}

/* RFC 5869 A.3: no salt, no info; the first block of its 42 bytes */
Test(hash, hkdf)
{
	struct op *op = op_begin(NULL, NULL);
	unsigned char key[22], okm[SHA256_BYTES];

	memset(key, 0x0b, sizeof(key));
	hkdf_sha256(key, sizeof(key), NULL, 0, okm);
	cr_assert_str_eq(hex(op, okm), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
	op_end(op);
}

Test(random, secret)
{
	struct op *op = op_begin(NULL, NULL);
	char *a = random_secret(op), *b = random_secret(op);
	unsigned char *bytes;
	size_t n;

	cr_assert_eq(strlen(a), 43);
	cr_assert(base64url_decode(op->mem, a, strlen(a), &bytes, &n));
	cr_assert_eq(n, 32);
	cr_assert_str_neq(a, b);
	op_end(op);
}
