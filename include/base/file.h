/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Reading files. */
#ifndef KW_BASE_FILE_H
#define KW_BASE_FILE_H

#include <sys/types.h>

/* Reads until size bytes or the end, however short the single reads are.  The number read, or -1 with errno. */
ssize_t file_read(int fd, void *data, size_t size);

#endif
