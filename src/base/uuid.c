/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * UUIDv7 with RFC 9562 6.2 method 3: the 12 bits after the milliseconds carry their fraction, and a process never
 * gives the same or an earlier value twice.  The random part is taken from the system in batches.
 */
#include "base/uuid.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static void
random_bytes(unsigned char *bytes, size_t n)
{
	static _Thread_local unsigned char pool[256];
	static _Thread_local size_t left;

	if (left < n) {
		if (getrandom(pool, sizeof(pool), 0) != (ssize_t)sizeof(pool))
			abort();
		left = sizeof(pool);
	}
	left -= n;
	memcpy(bytes, pool + left, n);
	memset(pool + left, 0, n);
}

/* Milliseconds * 4096 + fraction, strictly growing over the life of the process. */
static uint64_t
next_tick(int64_t now_ms)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static uint64_t last;
	struct timespec now;
	uint64_t tick;

	clock_gettime(CLOCK_REALTIME, &now);
	tick = ((uint64_t)now_ms << 12) | (uint64_t)((now.tv_nsec % 1000000) * 4096 / 1000000);
	pthread_mutex_lock(&lock);
	/* An op's now may lie a little behind; a wall clock set back by hours must not freeze the ids' times. */
	if (tick <= last && last - tick < (uint64_t)3600000 << 12)
		tick = last + 1;
	last = tick;
	pthread_mutex_unlock(&lock);
	return tick;
}

void
uuid_format(const unsigned char b[static 16], char ret_text[static UUID_TEXT_BYTES])
{
	static const char hex[] = "0123456789abcdef";
	char *at = ret_text;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = hex[b[i] >> 4];
		*at++ = hex[b[i] & 15];
	}
	*at = '\0';
}

void
uuid_new(char ret_text[static UUID_TEXT_BYTES], int64_t now_ms)
{
	unsigned char b[16];
	uint64_t tick = next_tick(now_ms), ms = tick >> 12;

	random_bytes(b + 8, 8);
	for (int i = 0; i < 6; i++)
		b[i] = (unsigned char)(ms >> (8 * (5 - i)));
	b[6] = (unsigned char)(0x70 | ((tick >> 8) & 15));
	b[7] = (unsigned char)tick;
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	uuid_format(b, ret_text);
}

bool
uuid_is_valid(const char *text)
{
	if (strlen(text) != UUID_TEXT_BYTES - 1)
		return false;
	for (int i = 0; i < UUID_TEXT_BYTES - 1; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
			return false;
	}
	return true;
}
