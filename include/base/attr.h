/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Compiler attributes and the few macros that every file may use.
 */
#ifndef KW_BASE_ATTR_H
#define KW_BASE_ATTR_H

#include <stddef.h>

/* The result of a fallible function must be looked at. */
#define MUST_CHECK __attribute__((warn_unused_result))
/* printf-like: the format is argument number FMT, its first value number ARGS. */
#define PRINTF_LIKE(FMT, ARGS) __attribute__((format(printf, FMT, ARGS)))

/* Number of elements of a true array. */
#define countof(a) (sizeof(a) / sizeof((a)[0]))

#endif
