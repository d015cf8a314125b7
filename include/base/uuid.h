/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* UUIDv7 (RFC 9562 5.7): our own ids.  They sort by time of making, within one process strictly. */
#ifndef KW_BASE_UUID_H
#define KW_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT_BYTES 37

/* now_ms: wall clock.  Lower-case text with its end. */
void uuid_new(char ret_text[static UUID_TEXT_BYTES], int64_t now_ms);
/* Canonical lower-case text of any UUID version: 8-4-4-4-12. */
bool uuid_is_valid(const char *text);
/* 16 bytes in network order to text. */
void uuid_format(const unsigned char bytes[static 16], char ret_text[static UUID_TEXT_BYTES]);

#endif
