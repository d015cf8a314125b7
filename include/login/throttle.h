/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Slowing down who guesses: tries for one person from one network (IPv4 /24, IPv6 /64) are counted in memory, at most config
 * throttle_attempts within throttle_window.  A try is counted before the password is looked at and given back when it was right, so
 * that parallel guesses cannot slip by; a success forgives no other try.  Others, and the same person elsewhere, are not touched.
 *
 *     rc = throttle_take(op, person_key);             // ERR_THROTTLED: do not even try
 *     ... right password: throttle_give_back(op, person_key);
 */
#ifndef KW_LOGIN_THROTTLE_H
#define KW_LOGIN_THROTTLE_H

#include "base/op.h"

struct throttle;

struct throttle *throttle_new(void);
void throttle_free(struct throttle *throttle);
/* One try for the person (any text that stands for him) from op->caller.address.  ERR_THROTTLED. */
int throttle_take(struct op *op, const char *person) MUST_CHECK;
void throttle_give_back(struct op *op, const char *person);
/* Seconds until a throttled person may try again from here; for Retry-After.  At least 1. */
int64_t throttle_wait_sec(struct op *op, const char *person);

#endif
