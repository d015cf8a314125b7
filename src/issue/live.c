/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Live access tokens by the hash of the token, in 64 stripes with a lock each.  Read live_mark and live_find first: they are the
 * reason why an end can never be overtaken by a token that is being put.
 */
#include "issue/live.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/metric.h"
#include "store/driver.h"

#define SLOTS 65536
#define STRIPES 64
#define IDS 4
#define SWEEP_BUCKETS 8

struct entry {
	struct entry *next;
	unsigned char hash[SHA256_BYTES];
	uint64_t mark;
	int64_t until_ms;
	uint16_t slots[IDS];
	size_t audience_at, answer_at;
	char text[];                    /* client_id, audience, answer, each with its end */
};

struct stripe {
	pthread_mutex_t lock;
	struct entry **buckets;
	size_t n, hand;
};

struct live {
	_Atomic uint32_t counters[SLOTS];
	struct stripe stripes[STRIPES];
	struct entry **buckets;
	size_t n_buckets;               /* of one stripe; a power of two */
	size_t max;                     /* entries of one stripe */
	atomic_llong n;
	pthread_mutex_t count_lock;
	struct live_count *counts;
	size_t n_counts;
};

struct live *
live_new(size_t max_tokens)
{
	struct live *live = mem_new(sizeof(*live));

	live->max = max_tokens / STRIPES + 1;
	for (live->n_buckets = 1; live->n_buckets < live->max; live->n_buckets *= 2)
		;
	/* in one piece, so that an idle daemon does not touch it */
	live->buckets = mem_new(STRIPES * live->n_buckets * sizeof(*live->buckets));
	for (size_t i = 0; i < STRIPES; i++) {
		pthread_mutex_init(&live->stripes[i].lock, NULL);
		live->stripes[i].buckets = live->buckets + i * live->n_buckets;
	}
	pthread_mutex_init(&live->count_lock, NULL);
	return live;
}

static void
unlink_entry(struct live *live, struct stripe *stripe, struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	stripe->n--;
	metric_set(METRIC_tokens_live, atomic_fetch_sub(&live->n, 1) - 1);
	mem_free(entry);
}

void
live_free(struct live *live)
{
	if (!live)
		return;
	for (size_t i = 0; i < STRIPES; i++) {
		struct stripe *stripe = &live->stripes[i];

		for (size_t b = 0; b < live->n_buckets; b++)
			while (stripe->buckets[b])
				unlink_entry(live, stripe, &stripe->buckets[b]);
		pthread_mutex_destroy(&stripe->lock);
	}
	for (size_t i = 0; i < live->n_counts; i++)
		mem_free((void *)(uintptr_t)live->counts[i].client_id);
	mem_free(live->counts);
	pthread_mutex_destroy(&live->count_lock);
	mem_free(live->buckets);
	mem_free(live);
}

/* FNV-1a; the kind goes in first, so that a session and a person of the same text differ. */
static uint16_t
slot_of(size_t kind, const char *id)
{
	uint32_t h = 2166136261u ^ (uint32_t)(kind + 1);

	if (!id)
		return 0;               /* nobody's */
	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 16777619u;
	h ^= h >> 16;
	return (uint16_t)(h & 0xffff) ? (uint16_t)(h & 0xffff) : 1;
}

static void
slots_of(const struct live_ids *ids, uint16_t ret[static IDS])
{
	ret[0] = slot_of(0, ids->user_id);
	ret[1] = slot_of(1, ids->session_id);
	ret[2] = slot_of(2, ids->authorization_id);
	ret[3] = slot_of(3, ids->jti);
}

static uint64_t
sum_of(struct live *live, const uint16_t slots[static IDS])
{
	/* slot 0 is nobody's, and so everybody's: live_drop_all moves it */
	uint64_t sum = atomic_load(&live->counters[0]);

	for (size_t i = 0; i < IDS; i++)
		sum += atomic_load(&live->counters[slots[i]]);
	return sum;
}

uint64_t
live_mark(struct live *live, const struct live_ids *ids)
{
	uint16_t slots[IDS];

	if (!live)
		return 0;
	slots_of(ids, slots);
	return sum_of(live, slots);
}

void
live_drop(struct live *live, const struct live_ids *ids)
{
	uint16_t slots[IDS];

	if (!live)
		return;
	slots_of(ids, slots);
	for (size_t i = 0; i < IDS; i++)
		if (slots[i])
			atomic_fetch_add(&live->counters[slots[i]], 1);
}

void
live_drop_all(struct live *live)
{
	if (live)
		atomic_fetch_add(&live->counters[0], 1);
}

void
live_on_end(struct op *op, const struct end_notice *notice)
{
	live_drop(op->svc->live, &(struct live_ids){ .user_id = notice->user_id, .session_id = notice->session_id,
	    .authorization_id = notice->authorization_id });
}

static struct stripe *
stripe_of(struct live *live, const unsigned char *hash, struct entry ***ret_bucket)
{
	struct stripe *stripe = &live->stripes[hash[0] % STRIPES];
	uint32_t number;

	memcpy(&number, hash + 1, sizeof(number));
	*ret_bucket = &stripe->buckets[number & (live->n_buckets - 1)];
	return stripe;
}

static bool
is_over(struct live *live, const struct entry *entry, int64_t now_ms)
{
	return entry->until_ms <= now_ms || entry->mark != sum_of(live, entry->slots);
}

bool
live_find(struct op *op, const unsigned char hash[static SHA256_BYTES], struct live_token *ret)
{
	struct live *live = op->svc->live;
	struct entry **at;
	struct stripe *stripe;
	bool is_found = false;

	if (!live || (op->svc->db && !db_may_answer(op->svc->db)))
		return false;
	stripe = stripe_of(live, hash, &at);
	pthread_mutex_lock(&stripe->lock);
	while (*at && memcmp((*at)->hash, hash, SHA256_BYTES))
		at = &(*at)->next;
	if (*at && is_over(live, *at, op->now_ms)) {
		unlink_entry(live, stripe, at);
	} else if (*at) {
		*ret = (struct live_token){ op_strdup(op, (*at)->text), op_strdup(op, (*at)->text + (*at)->audience_at),
			op_strdup(op, (*at)->text + (*at)->answer_at), (*at)->until_ms };
		is_found = true;
	}
	pthread_mutex_unlock(&stripe->lock);
	return is_found;
}

/* Removes what is over in the next n_buckets buckets. */
static void
sweep_stripe(struct live *live, struct stripe *stripe, size_t n_buckets, int64_t now_ms)
{
	for (size_t i = 0; i < n_buckets; i++) {
		struct entry **at = &stripe->buckets[stripe->hand++ & (live->n_buckets - 1)];

		while (*at)
			if (is_over(live, *at, now_ms))
				unlink_entry(live, stripe, at);
			else
				at = &(*at)->next;
	}
}

/* A full stripe gives up what is over, or else whatever comes next: it is a cache. */
static void
make_room(struct live *live, struct stripe *stripe, int64_t now_ms)
{
	if (stripe->n < live->max)
		return;
	sweep_stripe(live, stripe, SWEEP_BUCKETS, now_ms);
	while (stripe->n >= live->max) {
		struct entry **at = &stripe->buckets[stripe->hand++ & (live->n_buckets - 1)];

		if (*at)
			unlink_entry(live, stripe, at);
	}
}

static struct entry *
entry_new(const struct live_token *token)
{
	size_t client_size = strlen(token->client_id) + 1, audience_size = strlen(token->audience) + 1;
	size_t answer_size = strlen(token->answer) + 1;
	struct entry *entry = mem_new(sizeof(*entry) + client_size + audience_size + answer_size);

	entry->audience_at = client_size;
	entry->answer_at = client_size + audience_size;
	memcpy(entry->text, token->client_id, client_size);
	memcpy(entry->text + entry->audience_at, token->audience, audience_size);
	memcpy(entry->text + entry->answer_at, token->answer, answer_size);
	return entry;
}

void
live_put(struct op *op, const unsigned char hash[static SHA256_BYTES], const struct live_ids *ids, uint64_t mark,
    const struct live_token *token)
{
	struct live *live = op->svc->live;
	struct entry **at, *entry;
	struct stripe *stripe;

	if (!live || token->until_ms <= op->now_ms)
		return;
	entry = entry_new(token);
	memcpy(entry->hash, hash, SHA256_BYTES);
	entry->mark = mark;
	entry->until_ms = token->until_ms;
	slots_of(ids, entry->slots);
	stripe = stripe_of(live, hash, &at);
	pthread_mutex_lock(&stripe->lock);
	make_room(live, stripe, op->now_ms);
	for (; *at; at = &(*at)->next)
		if (!memcmp((*at)->hash, hash, SHA256_BYTES)) {
			unlink_entry(live, stripe, at);
			break;
		}
	entry->next = *at;
	*at = entry;
	stripe->n++;
	metric_set(METRIC_tokens_live, atomic_fetch_add(&live->n, 1) + 1);
	pthread_mutex_unlock(&stripe->lock);
}

void
live_sweep(struct op *op)
{
	struct live *live = op->svc->live;

	for (size_t i = 0; live && i < STRIPES; i++) {
		pthread_mutex_lock(&live->stripes[i].lock);
		sweep_stripe(live, &live->stripes[i], live->n_buckets, op->now_ms);
		pthread_mutex_unlock(&live->stripes[i].lock);
	}
}

void
live_count_client(struct op *op, const char *client_id, int64_t n)
{
	struct live *live = op->svc->live;
	size_t i = 0;

	if (!live)
		return;
	pthread_mutex_lock(&live->count_lock);
	while (i < live->n_counts && strcmp(live->counts[i].client_id, client_id))
		i++;
	if (i == live->n_counts) {
		live->counts = mem_resize(live->counts, (i + 1) * sizeof(*live->counts));
		live->counts[live->n_counts++] = (struct live_count){ mem_strdup(client_id), 0 };
	}
	live->counts[i].n += n;
	pthread_mutex_unlock(&live->count_lock);
}

void
live_take_counts(struct op *op, struct live_count **ret, size_t *ret_n)
{
	struct live *live = op->svc->live;

	*ret = NULL;
	*ret_n = 0;
	if (!live)
		return;
	pthread_mutex_lock(&live->count_lock);
	*ret = op_alloc(op, live->n_counts * sizeof(**ret));
	for (size_t i = 0; i < live->n_counts; i++)
		if (live->counts[i].n) {
			(*ret)[(*ret_n)++] = (struct live_count){ op_strdup(op, live->counts[i].client_id), live->counts[i].n };
			live->counts[i].n = 0;
		}
	pthread_mutex_unlock(&live->count_lock);
}
