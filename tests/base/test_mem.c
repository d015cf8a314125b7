/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Arenas: what they give is zeroed, aligned and their own; what they take back is wiped and released once. */
#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

static void
count(void *object)
{
	++*(int *)object;
}

Test(mem, memory_is_zeroed_and_aligned)
{
	struct arena *arena = arena_new();

	for (size_t size = 1; size < 100000; size = size * 3 + 1) {
		unsigned char *memory = arena_alloc(arena, size);

		cr_assert_eq((uintptr_t)memory % 16, 0);
		for (size_t i = 0; i < size; i++)
			cr_assert_eq(memory[i], 0);
		memset(memory, 0xa5, size);
	}
	arena_free(arena);
}

Test(mem, memory_after_a_reset_is_zeroed_again)
{
	struct arena *arena = arena_new();
	char *first = arena_strdup(arena, "secret");

	arena_reset(arena);
	cr_assert_eq(arena_used(arena), 0);
	cr_assert_str_eq(first, "", "the first block stays, wiped");
	arena_free(arena);
}

Test(mem, cleanups_run_once)
{
	struct arena *arena = arena_new();
	int n = 0;

	arena_on_free(arena, count, &n);
	arena_on_free(arena, count, &n);
	arena_reset(arena);
	cr_assert_eq(n, 2);
	arena_free(arena);
	cr_assert_eq(n, 2);
}

Test(mem, text_is_copied)
{
	struct arena *arena = arena_new();

	cr_assert_str_eq(arena_strndup(arena, "abcdef", 3), "abc");
	cr_assert_str_eq(arena_strndup(arena, "ab", 300), "ab");
	cr_assert_null(arena_strdup(arena, NULL));
	cr_assert_str_eq(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
	arena_free(arena);
	arena_free(NULL);
}
