/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Inside audit: the log's state, and the counters of floods (flood.c). */
#ifndef KW_AUDIT_AUDIT_INT_H
#define KW_AUDIT_AUDIT_INT_H

#include <stdatomic.h>
#include "audit/audit.h"
#include "crypt/hash.h"

#define FLOOD_FULL_ROWS 20      /* of one event, target, network and minute */
#define FLOOD_SLOTS 1024
#define FLOOD_TARGET_BYTES 64
#define FLOOD_NETWORK_BYTES 64
#define MINUTE_MS 60000

struct flood;

struct audit_log {
	unsigned char commit_key[SHA256_BYTES];
	struct flood *flood;
	atomic_bool is_failing;
};

/* Refusals that were counted and not written. */
struct flood_count {
	enum event event;
	int64_t minute_ms;              /* its start */
	char network[FLOOD_NETWORK_BYTES], target[FLOOD_TARGET_BYTES];  /* "" when none */
	int64_t count;
};

struct flood *flood_new(void);
void flood_free(struct flood *flood);
/* Counts one; true when it is among the first FLOOD_FULL_ROWS and to be written in full. */
bool flood_admit(struct flood *flood, enum event event, const char *target, const char *address, int64_t now_ms);
/* Takes out the numbers of all minutes before the one of now_ms (TIME_NEVER_MS: of all); belongs to the op. */
struct flood_count *flood_take(struct op *op, struct flood *flood, int64_t now_ms, size_t *ret_n);
/* Gives a number back that could not be written. */
void flood_return(struct flood *flood, const struct flood_count *count);
/* "192.0.2.0/24" or "2001:db8:0:1::/64"; another text as it is. */
void flood_network(const char *address, char ret[static FLOOD_NETWORK_BYTES]);

#endif
