/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One seat for each directory: how many wait for it now, how it did lately, and a few kept links.  Links are closed outside
 * the lock, because saying goodbye writes to the network.
 */
#include "net/ldap_pool.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "base/time.h"
#include "ldap_int.h"

#define SEATS 64
#define KEY_BYTES 128
#define TICKET_SPARE_MS 300000

struct kept {
	struct ldap_link *link;
	int64_t since_ms;
};

struct seat {
	char key[KEY_BYTES];
	int waiting;                    /* between enter and leave */
	int failures;                   /* in a row */
	int64_t rest_until_ms;          /* the circuit is open until then, monotonic */
	int64_t used_ms;
	struct kept kept[LDAP_POOL_AT_ONCE];
};

struct ldap_pool {
	pthread_mutex_t lock;
	pthread_cond_t left;            /* somebody gave up a seat, or failed */
	struct seat seats[SEATS];
};

struct ldap_pool *
ldap_pool_new(void)
{
	struct ldap_pool *pool = mem_new(sizeof(*pool));

	time_condition_init(&pool->left);
	pthread_mutex_init(&pool->lock, NULL);
	return pool;
}

void
ldap_pool_free(struct ldap_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < SEATS; i++)
		for (size_t k = 0; k < LDAP_POOL_AT_ONCE; k++)
			ldap_link_close(pool->seats[i].kept[k].link);
	pthread_cond_destroy(&pool->left);
	pthread_mutex_destroy(&pool->lock);
	mem_free(pool);
}

/* Under the lock.  An unused seat, or that of a directory long unused, whose links go to *closing. */
static struct seat *
seat_make(struct ldap_pool *pool, const char *key, struct kept closing[static LDAP_POOL_AT_ONCE])
{
	struct seat *oldest = NULL;

	for (size_t i = 0; i < SEATS; i++)
		if (!pool->seats[i].waiting && (!oldest || pool->seats[i].used_ms < oldest->used_ms))
			oldest = &pool->seats[i];
	if (!oldest)
		return NULL;
	memcpy(closing, oldest->kept, sizeof(oldest->kept));
	*oldest = (struct seat){ .used_ms = time_monotonic_ms() };
	memcpy(oldest->key, key, strlen(key) + 1);
	return oldest;
}

static struct seat *
seat_of(struct ldap_pool *pool, const char *key)
{
	for (size_t i = 0; i < SEATS; i++)
		if (strcmp(pool->seats[i].key, key) == 0)
			return &pool->seats[i];
	return NULL;
}

static void
close_all(struct kept closing[static LDAP_POOL_AT_ONCE])
{
	for (size_t i = 0; i < LDAP_POOL_AT_ONCE; i++)
		ldap_link_close(closing[i].link);
}

/* Under the lock: may one more wait for this directory? */
static int
admit(struct op *op, struct seat *seat)
{
	int64_t now = time_monotonic_ms();

	if (seat->failures >= LDAP_POOL_FAILURES) {
		if (now < seat->rest_until_ms)
			return op_fail(op, ERR_UNREACHABLE, "the directory has not answered %d times in a row; it is left alone for %d s",
			    seat->failures, LDAP_POOL_REST_MS / 1000);
		/* one tries whether it is back; the others go on failing at once until that one has come home */
		seat->rest_until_ms = now + LDAP_POOL_REST_MS;
	}
	if (seat->waiting >= LDAP_POOL_AT_ONCE)
		return op_fail(op, ERR_BUSY, "too many wait for this directory already");
	seat->waiting++;
	seat->used_ms = now;
	return 0;
}

static bool
is_full(const struct seat *seat)
{
	return seat && seat->waiting >= LDAP_POOL_AT_ONCE;
}

/*
 * Under the lock.  While the directory answers, a full house empties in moments, and to refuse somebody would be wrong.  Once it has
 * failed, nobody waits: those who do would take the lane from the others.  The seat may have become another's meanwhile.
 */
static void
wait_for_seat(struct op *op, struct ldap_pool *pool, const char *key)
{
	int64_t wait_ms = op_left_ms(op) < LDAP_POOL_SEAT_MS ? op_left_ms(op) : LDAP_POOL_SEAT_MS;
	struct timespec until = time_in(wait_ms);
	const struct seat *seat;

	while ((seat = seat_of(pool, key)) && is_full(seat) && !seat->failures)
		if (pthread_cond_timedwait(&pool->left, &pool->lock, &until))
			return;
}

int
ldap_pool_enter(struct op *op, struct ldap_pool *pool, const char *key)
{
	struct kept closing[LDAP_POOL_AT_ONCE] = { 0 };
	struct seat *seat;
	int rc;

	if (!*key || strlen(key) >= KEY_BYTES)
		return op_fail(op, ERR_INTERNAL, "the key of a directory has a bad length");
	pthread_mutex_lock(&pool->lock);
	if (is_full(seat_of(pool, key)))
		wait_for_seat(op, pool, key);
	seat = seat_of(pool, key);
	if (!seat)
		seat = seat_make(pool, key, closing);
	rc = seat ? admit(op, seat) : op_fail(op, ERR_BUSY, "too many directories are in use at once");
	pthread_mutex_unlock(&pool->lock);
	close_all(closing);
	return rc;
}

void
ldap_pool_leave(struct ldap_pool *pool, const char *key, int rc)
{
	struct seat *seat;

	pthread_mutex_lock(&pool->lock);
	seat = seat_of(pool, key);
	if (seat && seat->waiting > 0) {
		seat->waiting--;
		if (rc != ERR_UNREACHABLE && rc != ERR_DEADLINE && rc != ERR_LDAP_TLS)
			seat->failures = 0;
		else if (++seat->failures >= LDAP_POOL_FAILURES)
			seat->rest_until_ms = time_monotonic_ms() + LDAP_POOL_REST_MS;
		pthread_cond_broadcast(&pool->left);
	}
	pthread_mutex_unlock(&pool->lock);
}

/* Nothing may have come in between two uses: bytes are a goodbye or a trick, and so is an end. */
static bool
is_quiet(const struct ldap_link *link)
{
	struct pollfd p = { .fd = link->io.fd, .events = POLLIN };

	/* a search that goes on until after the ticket's end is cut by the server; what begins then gets a new ticket */
	if (link->good_until_ms && time_monotonic_ms() > link->good_until_ms - TICKET_SPARE_MS)
		return false;
	return !link->is_dead && link->io.from == link->io.to && ldap_gssapi_is_quiet(link->seal) && poll(&p, 1, 0) == 0;
}

struct ldap_link *
ldap_pool_take(struct ldap_pool *pool, const char *key)
{
	int64_t oldest = time_monotonic_ms() - LDAP_POOL_IDLE_MS;
	struct kept found = { 0 };

	do {
		struct seat *seat;

		ldap_link_close(found.link);
		found = (struct kept){ 0 };
		pthread_mutex_lock(&pool->lock);
		seat = seat_of(pool, key);
		for (size_t k = 0; seat && !found.link && k < LDAP_POOL_AT_ONCE; k++) {
			found = seat->kept[k];
			seat->kept[k] = (struct kept){ 0 };
		}
		pthread_mutex_unlock(&pool->lock);
	} while (found.link && (found.since_ms < oldest || !is_quiet(found.link)));
	return found.link;
}

void
ldap_pool_keep(struct ldap_pool *pool, const char *key, struct ldap_link *link)
{
	struct kept closing[LDAP_POOL_AT_ONCE] = { 0 };
	struct seat *seat;

	if (!link->is_dead && strlen(key) < KEY_BYTES) {
		pthread_mutex_lock(&pool->lock);
		seat = seat_of(pool, key);
		if (!seat)
			seat = seat_make(pool, key, closing);
		for (size_t k = 0; seat && link && k < LDAP_POOL_AT_ONCE; k++) {
			if (seat->kept[k].link)
				continue;
			seat->kept[k] = (struct kept){ link, time_monotonic_ms() };
			link = NULL;
		}
		pthread_mutex_unlock(&pool->lock);
	}
	close_all(closing);
	ldap_link_close(link);
}
