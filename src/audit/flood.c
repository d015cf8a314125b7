/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Counting refusals, so that whoever knocks a million times fills neither the disk nor the log.  A table of fixed size: one
 * slot an event, target, network and minute.  When it is full, further ones are counted per event alone.  Read flood_admit.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "audit_int.h"
#include "base/text.h"
#include "base/time.h"

struct flood {
	pthread_mutex_t lock;
	struct flood_count slots[FLOOD_SLOTS];  /* count 0: free; counts the first ones too */
	uint64_t hashes[FLOOD_SLOTS];
	struct flood_count others[EV_COUNT];    /* what found no slot */
};

struct flood *
flood_new(void)
{
	struct flood *flood = mem_new(sizeof(*flood));

	pthread_mutex_init(&flood->lock, NULL);
	return flood;
}

void
flood_free(struct flood *flood)
{
	if (!flood)
		return;
	pthread_mutex_destroy(&flood->lock);
	mem_free(flood);
}

/* The first four groups of an IPv6 address; false when text is none. */
static bool
upper_groups(const char *text, unsigned ret[static 4])
{
	unsigned groups[8] = { 0 };
	int n = 0, gap = -1, used = 0;

	while (*text && n < 8) {
		if (text[0] == ':' && text[1] == ':' && gap < 0) {
			gap = n;
			text += 2;
		} else if (sscanf(text, "%4x%n", &groups[n], &used) == 1) {
			n++;
			text += used;
			text += text[0] == ':' && text[1] != ':';
		} else {
			break;
		}
	}
	if ((*text && *text != '%' && *text != '.') || (gap < 0 && n < 8))
		return false;
	/* What stands behind "::" belongs to the end. */
	for (int i = 0; i < 4; i++)
		ret[i] = gap < 0 || i < gap ? groups[i] : i >= 8 - (n - gap) ? groups[i - 8 + n] : 0;
	return true;
}

void
flood_network(const char *address, char ret[static FLOOD_NETWORK_BYTES])
{
	unsigned a, b, c, d, groups[4];
	char rest;

	if (sscanf(address, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &rest) == 4)
		snprintf(ret, FLOOD_NETWORK_BYTES, "%u.%u.%u.0/24", a, b, c);
	else if (strchr(address, ':') && upper_groups(address, groups))
		snprintf(ret, FLOOD_NETWORK_BYTES, "%x:%x:%x:%x::/64", groups[0], groups[1], groups[2], groups[3]);
	else
		snprintf(ret, FLOOD_NETWORK_BYTES, "%s", address);
}

static uint64_t
hash_of(const struct flood_count *key)
{
	unsigned char digest[SHA256_BYTES];
	uint64_t hash;

	sha256_parts((struct hash_part[]){ { &key->event, sizeof(key->event) }, { &key->minute_ms, sizeof(key->minute_ms) },
	    { key->network, strlen(key->network) + 1 }, { key->target, strlen(key->target) } }, 4, digest);
	memcpy(&hash, digest, sizeof(hash));
	return hash;
}

/* The slot of key, or a free one, or NULL.  A slot of a past minute without anything to report is free. */
static struct flood_count *
find_slot(struct flood *flood, const struct flood_count *key)
{
	uint64_t hash = hash_of(key);
	size_t free_slot = FLOOD_SLOTS;

	for (size_t i = 0; i < FLOOD_SLOTS; i++) {
		struct flood_count *slot = &flood->slots[i];

		if (slot->count && flood->hashes[i] == hash)
			return slot;
		if (free_slot == FLOOD_SLOTS && (!slot->count || (slot->minute_ms < key->minute_ms && slot->count <= FLOOD_FULL_ROWS)))
			free_slot = i;
	}
	if (free_slot == FLOOD_SLOTS)
		return NULL;
	flood->slots[free_slot] = *key;
	flood->slots[free_slot].count = 0;
	flood->hashes[free_slot] = hash;
	return &flood->slots[free_slot];
}

bool
flood_admit(struct flood *flood, enum event event, const char *target, const char *address, int64_t now_ms)
{
	struct flood_count key = { .event = event, .minute_ms = now_ms - now_ms % MINUTE_MS };
	struct flood_count *slot;
	bool is_full_row;

	flood_network(address ? address : "", key.network);
	snprintf(key.target, sizeof(key.target), "%s", target ? target : "");
	pthread_mutex_lock(&flood->lock);
	slot = find_slot(flood, &key);
	if (slot) {
		slot->count++;
		is_full_row = slot->count <= FLOOD_FULL_ROWS;
	} else {
		slot = &flood->others[event];
		slot->event = event;
		if (!slot->count++)
			slot->minute_ms = key.minute_ms;
		is_full_row = false;
	}
	pthread_mutex_unlock(&flood->lock);
	return is_full_row;
}

/* Moves one count to the result when its minute is over; the first rows stood in full already. */
static void
take(struct flood_count *slot, int64_t now_ms, int64_t already, struct flood_count *ret, size_t *n)
{
	if (!slot->count || (now_ms != TIME_NEVER_MS && slot->minute_ms >= now_ms - now_ms % MINUTE_MS))
		return;
	if (slot->count > already) {
		ret[*n] = *slot;
		ret[*n].count -= already;
		++*n;
	}
	slot->count = 0;
}

struct flood_count *
flood_take(struct op *op, struct flood *flood, int64_t now_ms, size_t *ret_n)
{
	struct flood_count *v;
	size_t n = 0, due = 0;

	pthread_mutex_lock(&flood->lock);
	for (size_t i = 0; i < FLOOD_SLOTS; i++)
		due += flood->slots[i].count > FLOOD_FULL_ROWS;
	v = op_alloc(op, (due + EV_COUNT) * sizeof(*v));
	for (size_t i = 0; i < FLOOD_SLOTS; i++)
		take(&flood->slots[i], now_ms, FLOOD_FULL_ROWS, v, &n);
	for (size_t i = 0; i < EV_COUNT; i++)
		take(&flood->others[i], now_ms, 0, v, &n);
	pthread_mutex_unlock(&flood->lock);
	*ret_n = n;
	return v;
}

void
flood_return(struct flood *flood, const struct flood_count *count)
{
	struct flood_count *slot;

	pthread_mutex_lock(&flood->lock);
	slot = find_slot(flood, count);
	if (slot && !slot->count)
		slot->count = FLOOD_FULL_ROWS;
	if (!slot) {
		slot = &flood->others[count->event];
		slot->event = count->event;
		if (!slot->count)
			slot->minute_ms = count->minute_ms;
	}
	slot->count += count->count;
	pthread_mutex_unlock(&flood->lock);
}
