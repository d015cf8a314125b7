/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Arenas: a list of blocks, the first one small enough for an ordinary request.  Read arena_alloc first.
 */
#include "base/mem.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BLOCK_BYTES 16384
#define ALIGNMENT 16

struct block {
	struct block *next;
	size_t size, used;
	_Alignas(ALIGNMENT) unsigned char data[];
};

struct cleanup {
	struct cleanup *next;
	void (*release)(void *);
	void *object;
};

struct arena {
	struct block *current;          /* newest block; the first one is at the end of the list */
	struct cleanup *cleanups;       /* in the blocks themselves */
	size_t total;
};

static void *
must(void *memory)
{
	if (!memory) {
		fputs("keyward: out of memory\n", stderr);
		abort();
	}
	return memory;
}

void *
mem_new(size_t size)
{
	return must(calloc(1, size ? size : 1));
}

void *
mem_resize(void *memory, size_t size)
{
	return must(realloc(memory, size ? size : 1));
}

char *
mem_strdup(const char *text)
{
	return text ? must(strdup(text)) : NULL;
}

void
mem_free(void *memory)
{
	free(memory);
}

void
mem_trim(void)
{
	malloc_trim(0);
}

void
mem_wipe(void *memory, size_t size)
{
	explicit_bzero(memory, size);
}

static struct block *
block_new(size_t size)
{
	struct block *block = must(malloc(sizeof(*block) + size));

	block->next = NULL;
	block->size = size;
	block->used = 0;
	return block;
}

struct arena *
arena_new(void)
{
	struct arena *arena = mem_new(sizeof(*arena));

	arena->current = block_new(FIRST_BLOCK_BYTES);
	return arena;
}

void
arena_on_free(struct arena *arena, void (*release)(void *), void *object)
{
	struct cleanup *cleanup = arena_alloc(arena, sizeof(*cleanup));

	*cleanup = (struct cleanup){ arena->cleanups, release, object };
	arena->cleanups = cleanup;
}

void
arena_reset(struct arena *arena)
{
	for (struct cleanup *c = arena->cleanups; c; c = c->next)
		c->release(c->object);
	arena->cleanups = NULL;
	while (arena->current->next) {
		struct block *next = arena->current->next;

		mem_wipe(arena->current->data, arena->current->used);
		free(arena->current);
		arena->current = next;
	}
	mem_wipe(arena->current->data, arena->current->used);
	arena->current->used = 0;
	arena->total = 0;
}

void
arena_free(struct arena *arena)
{
	if (!arena)
		return;
	arena_reset(arena);
	free(arena->current);
	free(arena);
}

size_t
arena_used(const struct arena *arena)
{
	return arena->total;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	struct block *block = arena->current;
	void *memory;

	if (size > SIZE_MAX / 4)
		must(NULL);
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (size > block->size - block->used) {
		size_t wanted = block->size < 1u << 20 ? block->size * 2 : block->size;

		block = block_new(size > wanted ? size : wanted);
		block->next = arena->current;
		arena->current = block;
	}
	memory = block->data + block->used;
	block->used += size;
	arena->total += size;
	return memset(memory, 0, size);
}

void *
arena_memdup(struct arena *arena, const void *data, size_t size)
{
	void *copy = arena_alloc(arena, size);

	if (size)
		memcpy(copy, data, size);
	return copy;
}

char *
arena_strndup(struct arena *arena, const char *text, size_t n)
{
	/* text may be NULL when n is 0 */
	size_t length = n ? strnlen(text, n) : 0;
	char *copy = arena_alloc(arena, length + 1);

	if (length)
		memcpy(copy, text, length);
	return copy;
}

char *
arena_strdup(struct arena *arena, const char *text)
{
	return text ? arena_memdup(arena, text, strlen(text) + 1) : NULL;
}

char *
arena_vprintf(struct arena *arena, const char *format, va_list args)
{
	va_list again;
	int length;
	char *text;

	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length < 0)
		return arena_strdup(arena, "");
	text = arena_alloc(arena, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, args);
	return text;
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = arena_vprintf(arena, format, args);
	va_end(args);
	return text;
}
