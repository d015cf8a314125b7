/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the kernel tells of this process (proc(5)), for /metrics.  A number that cannot be read is 0. */
#ifndef KW_BASE_PROCESS_H
#define KW_BASE_PROCESS_H

#include <stdint.h>

struct process_numbers {
	int64_t cpu_ms;                 /* user and system */
	int64_t resident_bytes, virtual_bytes;
	int64_t open_fds, max_fds;
	int64_t start_ms;               /* since 1970 */
};

void process_read(struct process_numbers *ret);

#endif
