/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Resolving and connecting within the op's deadline.  getaddrinfo() knows no deadline, so each name is resolved on a thread of
 * its own while callers wait as long as they may; a name that answered once stays usable when its server falls silent.  Read
 * dial_tcp from the bottom up.
 */
#include "net/dial.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/network.h"
#include "base/time.h"

#define HOST_BYTES 256                  /* RFC 1035 2.3.4 */
#define ADDRESSES_MAX 8
#define NAMES_MAX 64
#define THREADS_MAX 8
#define FRESH_MS 60000
#define FAILED_FRESH_MS 2000            /* a name that did not resolve is asked again after this */
#define CONNECT_MIN_MS 200              /* an address gets at least this long, when there is that much */

struct endpoint {
	struct sockaddr_storage sa;
	socklen_t size;
};

struct name {
	struct dialer *dialer;
	char host[HOST_BYTES];
	struct endpoint addresses[ADDRESSES_MAX];
	size_t n;                       /* the last good answer */
	int failure;                    /* EAI_x of the last try, 0 when it was good */
	int64_t asked_ms;               /* monotonic, when the last try ended; 0: never */
	bool is_pending;
};

struct dialer {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct name names[NAMES_MAX];
	size_t n_names;
	int threads;                    /* resolving now; the last one out frees a dialer that was given up */
	bool is_given_up;
};

struct dialer *
dialer_new(void)
{
	struct dialer *dialer = mem_new(sizeof(*dialer));

	pthread_mutex_init(&dialer->lock, NULL);
	time_condition_init(&dialer->answered);
	return dialer;
}

static void
unused_dialer_free(struct dialer *dialer)
{
	pthread_cond_destroy(&dialer->answered);
	pthread_mutex_destroy(&dialer->lock);
	mem_free(dialer);
}

void
dialer_free(struct dialer *dialer)
{
	bool is_last;

	if (!dialer)
		return;
	pthread_mutex_lock(&dialer->lock);
	dialer->is_given_up = true;
	is_last = dialer->threads == 0;
	pthread_mutex_unlock(&dialer->lock);
	if (is_last)
		unused_dialer_free(dialer);
}

static int
look_up(const char *host, int flags, struct endpoint *ret, size_t *ret_n)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags }, *list;
	int rc = getaddrinfo(host, "1", &hints, &list);

	*ret_n = 0;
	if (rc)
		return rc;
	for (struct addrinfo *a = list; a && *ret_n < ADDRESSES_MAX; a = a->ai_next) {
		if (a->ai_addrlen > sizeof(ret->sa) || (a->ai_family != AF_INET && a->ai_family != AF_INET6))
			continue;
		memcpy(&ret[*ret_n].sa, a->ai_addr, a->ai_addrlen);
		ret[(*ret_n)++].size = a->ai_addrlen;
	}
	freeaddrinfo(list);
	return *ret_n ? 0 : EAI_NONAME;
}

/* A thread's work.  While it is pending, the name stays in its place of the table and keeps its host. */
static void *
resolve(void *arg)
{
	struct name *name = arg;
	struct dialer *dialer = name->dialer;
	struct endpoint addresses[ADDRESSES_MAX];
	size_t n;
	int failure = look_up(name->host, AI_ADDRCONFIG, addresses, &n);
	bool is_last;

	pthread_mutex_lock(&dialer->lock);
	name->is_pending = false;
	name->failure = failure;
	name->asked_ms = time_monotonic_ms();
	if (!failure) {
		memcpy(name->addresses, addresses, sizeof(addresses));
		name->n = n;
	}
	is_last = --dialer->threads == 0 && dialer->is_given_up;
	pthread_cond_broadcast(&dialer->answered);
	pthread_mutex_unlock(&dialer->lock);
	if (is_last)
		unused_dialer_free(dialer);
	return NULL;
}

/* Under the lock.  NULL when the table is full of names that are being resolved. */
static struct name *
name_of(struct dialer *dialer, const char *host)
{
	struct name *oldest = NULL;

	for (size_t i = 0; i < dialer->n_names; i++) {
		struct name *name = &dialer->names[i];

		if (strcmp(name->host, host) == 0)
			return name;
		if (!name->is_pending && (!oldest || name->asked_ms < oldest->asked_ms))
			oldest = name;
	}
	if (dialer->n_names < NAMES_MAX) {
		oldest = &dialer->names[dialer->n_names++];
	} else if (oldest) {
		*oldest = (struct name){ 0 };
	} else {
		return NULL;
	}
	oldest->dialer = dialer;
	memcpy(oldest->host, host, strlen(host) + 1);
	return oldest;
}

static bool
is_fresh(const struct name *name)
{
	return name->asked_ms && time_monotonic_ms() - name->asked_ms < (name->failure ? FAILED_FRESH_MS : FRESH_MS);
}

/* Under the lock. */
static void
ask(struct dialer *dialer, struct name *name)
{
	pthread_attr_t detached;
	pthread_t thread;

	if (name->is_pending || dialer->threads >= THREADS_MAX)
		return;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &detached, resolve, name) == 0) {
		name->is_pending = true;
		dialer->threads++;
	}
	pthread_attr_destroy(&detached);
}

/* Under the lock.  Half of what is left for the name, the other half for connecting; a known address does not wait at all. */
static void
wait_for_answer(struct op *op, struct dialer *dialer, struct name *name)
{
	struct timespec until = time_in(op_left_ms(op) / 2);

	while (name->is_pending && !name->n)
		if (pthread_cond_timedwait(&dialer->answered, &dialer->lock, &until) == ETIMEDOUT)
			return;
}

static int
addresses_of(struct op *op, const char *host, struct endpoint *ret, size_t *ret_n)
{
	struct dialer *dialer = op->svc ? op->svc->dialer : NULL;
	struct address written;
	struct name *name;
	bool is_pending;
	int failure;

	/* "127.1" and "2130706433" are addresses to the resolver and names to everybody who looks at them */
	if (look_up(host, AI_NUMERICHOST, ret, ret_n) == 0)
		return address_read(host, &written) ? 0 :
		    op_fail(op, ERR_INVALID, "%.200s is no usual form of an address: write it in full", host);
	if (strlen(host) >= HOST_BYTES)
		return op_fail(op, ERR_INVALID, "the name of the host is too long");
	if (!dialer)
		return op_fail(op, ERR_INTERNAL, "nothing resolves names here: %.200s", host);
	pthread_mutex_lock(&dialer->lock);
	name = name_of(dialer, host);
	if (!name) {
		pthread_mutex_unlock(&dialer->lock);
		return op_fail(op, ERR_BUSY, "too many names are being resolved at once");
	}
	if (!is_fresh(name))
		ask(dialer, name);
	wait_for_answer(op, dialer, name);
	*ret_n = name->n;
	memcpy(ret, name->addresses, sizeof(name->addresses));
	is_pending = name->is_pending;
	failure = name->failure;
	pthread_mutex_unlock(&dialer->lock);
	if (*ret_n)
		return 0;
	if (is_pending || !failure)
		return op_fail(op, ERR_UNREACHABLE, "the name server did not answer in time for %.200s", host);
	return op_fail(op, ERR_UNREACHABLE, "%.200s cannot be resolved: %s", host, gai_strerror(failure));
}

/*
 * Where no directory is, but perhaps something that gives its secrets to whoever asks from inside: link-local with the metadata services
 * of clouds, and what stands for "here" or "all".  Loopback and private networks are where directories are.  The address that was looked
 * at is the one that is connected to, so that a name cannot change its mind in between.
 */
static const char *
oddity(const struct endpoint *endpoint)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)&endpoint->sa;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&endpoint->sa;
	struct address address = { .bytes = { [10] = 0xff, [11] = 0xff } };

	if (endpoint->sa.ss_family == AF_INET6)
		memcpy(address.bytes, &six->sin6_addr, sizeof(address.bytes));
	else
		memcpy(address.bytes + 12, &four->sin_addr, 4);
	return address_oddity(&address);
}

static void
set_port(struct endpoint *address, int port)
{
	if (address->sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&address->sa)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)&address->sa)->sin_port = htons((uint16_t)port);
}

/* 0 or an errno. */
static int
finish_connect(int fd, int64_t wait_ms)
{
	int64_t until = time_monotonic_ms() + wait_ms;
	socklen_t size = sizeof(int);
	int failure = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		int64_t left = until - time_monotonic_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (n > 0)
			break;
		if (n == 0)
			return ETIMEDOUT;
		if (errno != EINTR)
			return errno;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0)
		return errno;
	return failure;
}

static int
connect_one(struct endpoint *address, int port, int64_t wait_ms, int *ret_fd)
{
	int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, failure = 0;

	if (fd < 0)
		return errno;
	set_port(address, port);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (FAULT("net.connect"))
		failure = ECONNREFUSED;
	else if (connect(fd, (struct sockaddr *)&address->sa, address->size) < 0)
		failure = errno == EINPROGRESS ? finish_connect(fd, wait_ms) : errno;
	if (failure) {
		close(fd);
		return failure;
	}
	*ret_fd = fd;
	return 0;
}

int
dial_tcp(struct op *op, const char *host, int port, int *ret_fd)
{
	struct endpoint endpoints[ADDRESSES_MAX];
	const char *odd = NULL;
	int failure = 0, rc;
	size_t n;

	*ret_fd = -1;
	assert(!op->txn);               /* no network inside a transaction */
	if (port < 1 || port > 65535)
		return op_fail(op, ERR_INVALID, "%d is no port", port);
	if ((rc = addresses_of(op, host, endpoints, &n)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		int64_t left = op_left_ms(op), share = left / (int64_t)(n - i);

		if (oddity(&endpoints[i])) {
			odd = oddity(&endpoints[i]);
			continue;
		}
		if (left == 0)
			return op_fail(op, ERR_DEADLINE, "no connection to %.200s port %d in time", host, port);
		if (share < CONNECT_MIN_MS)
			share = left < CONNECT_MIN_MS ? left : CONNECT_MIN_MS;
		failure = connect_one(&endpoints[i], port, share, ret_fd);
		if (!failure)
			return 0;
	}
	if (!failure)
		return op_fail(op, ERR_UNREACHABLE, "%.200s is %s: no service of ours is there, and nothing is asked there", host,
		    odd ? op_printf(op, "a %s address", odd) : "without addresses");
	return op_fail(op, ERR_UNREACHABLE, "no connection to %.200s port %d: %s", host, port, strerror(failure));
}

int
dial_resolve(struct op *op, const char *host, struct sockaddr_storage **ret, size_t *ret_n)
{
	struct endpoint addresses[ADDRESSES_MAX];
	int rc = addresses_of(op, host, addresses, ret_n);

	if (rc)
		return rc;
	*ret = op_alloc(op, (*ret_n + 1) * sizeof(**ret));
	for (size_t i = 0; i < *ret_n; i++)
		(*ret)[i] = addresses[i].sa;
	return 0;
}
