/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Memory by lifetime.  Three lifetimes exist in Keyward:
 *
 *   op       an arena that lives as long as one piece of work (base/op.h); the default
 *   object   mem_new / mem_free, only inside x_new / x_free functions
 *   for ever static const tables
 *
 * No function here returns NULL: when the system has no memory left the process ends with a message.  That
 * is safe, because everything acknowledged is on disk and the service manager starts us again; it is
 * also the only behaviour that can be tested.  Sizes are capped where data enters (body, field, LDAP entry).
 *
 *     struct arena *a = arena_new();
 *     char *copy = arena_strdup(a, name);
 *     arena_free(a);                       // wiped, then given back
 */
#ifndef KW_BASE_MEM_H
#define KW_BASE_MEM_H

#include <stddef.h>
#include <stdarg.h>
#include "base/attr.h"

struct arena;

struct arena *arena_new(void);
/* Wipes and frees everything; NULL is fine.  Secrets may therefore lie in an arena. */
void arena_free(struct arena *arena);
/* Wipes and forgets everything but the first block, which is kept for reuse. */
void arena_reset(struct arena *arena);
/* Calls release(object) when the arena is freed or reset, newest first. */
void arena_on_free(struct arena *arena, void (*release)(void *object), void *object);
/* Bytes handed out so far; for limits. */
size_t arena_used(const struct arena *arena);

/* Zeroed, aligned for any type; size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_memdup(struct arena *arena, const void *data, size_t size);
/* NULL stays NULL. */
char *arena_strdup(struct arena *arena, const char *text);
/* At most n bytes of text, always terminated. */
char *arena_strndup(struct arena *arena, const char *text, size_t n);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *arena, const char *format, va_list args) PRINTF_LIKE(2, 0);

/* Objects: zeroed memory that its x_free gives back. */
void *mem_new(size_t size);
/* Grows or shrinks; new bytes are not zeroed. */
void *mem_resize(void *memory, size_t size);
char *mem_strdup(const char *text);
void mem_free(void *memory);
/* Gives what was freed back to the system; after work that needed much. */
void mem_trim(void);
/* Overwrites memory so that the compiler cannot leave it out. */
void mem_wipe(void *memory, size_t size);

#endif
