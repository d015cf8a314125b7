/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Counters of tries in a table of fixed size: sets of a few places, found by a keyed hash of person and network, so that nobody
 * can choose to fall into another's set.  When a set is full the place with the fewest tries gives way.
 */
#include "login/throttle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/text.h"
#include "base/time.h"
#include "crypt/hash.h"
#include "crypt/random.h"

#define SETS 2048
#define WAYS 4
#define MARK_BYTES 12

struct place {
	unsigned char mark[MARK_BYTES];
	int32_t tries;                  /* 0: free */
	int64_t until_ms;               /* forgotten then; monotonic, so that a clock that is set forgives nothing */
};

struct throttle {
	pthread_mutex_t lock;
	unsigned char key[32];
	struct place places[SETS][WAYS];
};

struct throttle *
throttle_new(void)
{
	struct throttle *throttle = mem_new(sizeof(*throttle));

	pthread_mutex_init(&throttle->lock, NULL);
	random_fill(throttle->key, sizeof(throttle->key));
	return throttle;
}

void
throttle_free(struct throttle *throttle)
{
	if (!throttle)
		return;
	pthread_mutex_destroy(&throttle->lock);
	mem_free(throttle);
}

/* The groups of canonical IPv6 text in front of "::"; those behind it count from the end, so that they fill the rest. */
static void
read_groups(const char *address, unsigned ret[static 8])
{
	unsigned tail[8];
	int n = 0, n_tail = 0;
	bool is_tail = false;
	char *end;

	memset(ret, 0, 8 * sizeof(*ret));
	while (*address && n + n_tail < 8) {
		if (*address == ':') {
			is_tail = is_tail || address[1] == ':';
			address++;
			continue;
		}
		*(is_tail ? &tail[n_tail++] : &ret[n++]) = (unsigned)strtoul(address, &end, 16);
		address = end > address ? end : address + 1;
	}
	for (int i = 0; i < n_tail; i++)
		ret[8 - n_tail + i] = tail[i];
}

/* IPv4 /24, IPv6 /64 (whoever has one address of a /64 has them all); other texts stand for themselves. */
static void
network_of(const char *address, char *ret, size_t room)
{
	const char *last = strrchr(address, '.');
	unsigned groups[8];

	if (strchr(address, ':')) {
		read_groups(address, groups);
		snprintf(ret, room, "%x:%x:%x:%x", groups[0], groups[1], groups[2], groups[3]);
	} else {
		snprintf(ret, room, "%.*s", last ? (int)(last - address) : (int)strnlen(address, room), address);
	}
}

static struct place *
find_place(struct throttle *throttle, struct op *op, const char *person, unsigned char *ret_mark, struct place **ret_set)
{
	unsigned char hash[SHA256_BYTES];
	char network[64];
	uint32_t number;

	network_of(op->caller.address ? op->caller.address : "", network, sizeof(network));
	hmac_sha256(throttle->key, sizeof(throttle->key),
	    (struct hash_part[]){ { network, strlen(network) + 1 }, { person, strlen(person) } }, 2, hash);
	memcpy(&number, hash, sizeof(number));
	memcpy(ret_mark, hash + sizeof(number), MARK_BYTES);
	*ret_set = throttle->places[number % SETS];
	for (int i = 0; i < WAYS; i++)
		if ((*ret_set)[i].tries > 0 && memcmp((*ret_set)[i].mark, ret_mark, MARK_BYTES) == 0)
			return &(*ret_set)[i];
	return NULL;
}

static struct place *
free_place(struct place *set, int64_t now_ms)
{
	struct place *best = set;

	for (int i = 0; i < WAYS; i++) {
		if (set[i].tries == 0 || set[i].until_ms <= now_ms)
			return &set[i];
		if (set[i].tries < best->tries)
			best = &set[i];
	}
	return best;
}

int
throttle_take(struct op *op, const char *person)
{
	struct throttle *throttle = op->svc->throttle;
	int64_t now_ms = time_monotonic_ms();
	unsigned char mark[MARK_BYTES];
	struct place *set, *place;
	bool is_full;

	pthread_mutex_lock(&throttle->lock);
	place = find_place(throttle, op, person, mark, &set);
	if (!place || place->until_ms <= now_ms) {
		place = place ? place : free_place(set, now_ms);
		*place = (struct place){ .until_ms = now_ms + op->config->throttle_window * 1000 };
		memcpy(place->mark, mark, MARK_BYTES);
	}
	is_full = place->tries >= op->config->throttle_attempts;
	place->tries += !is_full;
	pthread_mutex_unlock(&throttle->lock);
	/* ASVS 6.3.1 */
	return is_full ? op_fail(op, ERR_THROTTLED, "too many tries for this person from this network") : 0;
}

void
throttle_give_back(struct op *op, const char *person)
{
	struct throttle *throttle = op->svc->throttle;
	unsigned char mark[MARK_BYTES];
	struct place *set, *place;

	pthread_mutex_lock(&throttle->lock);
	place = find_place(throttle, op, person, mark, &set);
	if (place)
		place->tries--;
	pthread_mutex_unlock(&throttle->lock);
}

int64_t
throttle_wait_sec(struct op *op, const char *person)
{
	struct throttle *throttle = op->svc->throttle;
	unsigned char mark[MARK_BYTES];
	struct place *set, *place;
	int64_t left_ms;

	pthread_mutex_lock(&throttle->lock);
	place = find_place(throttle, op, person, mark, &set);
	left_ms = place ? place->until_ms - time_monotonic_ms() : 0;
	pthread_mutex_unlock(&throttle->lock);
	return left_ms > 1000 ? (left_ms + 999) / 1000 : 1;
}
