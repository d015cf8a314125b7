/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * struct op: one piece of work on someone's behalf (a request, a job, one run of a command).
 *
 * It carries what every function needs: memory that ends with the work, who asked, what time it is, until
 * when an answer is wanted, and why it failed.  At most ten members; a test counts.
 *
 *     struct op *op = op_begin(services, config);
 *     rc = users_change(op, changes, n);
 *     if (rc) log the sentence: op_failure(op)
 *     op_end(op);
 *
 * Failing: the first failure keeps its sentence and place; callers hand the code up untouched.
 *
 *     return op_fail(op, ERR_CONFLICT, "login %s is taken", name);
 */
#ifndef KW_BASE_OP_H
#define KW_BASE_OP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/error.h"
#include "base/mem.h"

struct end_notice;      /* people/user.h */
struct op;
struct config;          /* base/config.h */
struct db_ride;         /* store/driver.h: a commit that the reply waits for */
struct db_txn;          /* store/driver.h: the transaction that the body of db_run runs in */

/* What the running program is made of; filled once by src/keywardd.c, given to everybody, owned by it. */
struct services {
	struct db *db;                  /* store/driver.h */
	struct audit_log *audit;        /* audit/audit.h: commit key, flood counters */
	struct keyring *keyring;        /* people/keyring.h: our signing keys and the master key */
	struct catalog *catalog;        /* people/catalog.h: roles, locations, rules, apps, directories */
	struct live *live;              /* issue/live.h: live sessions and tokens */
	struct throttle *throttle;      /* login/throttle.h */
	struct ldap_pool *ldap_pool;    /* net/ldap.h: kept service connections */
	struct dialer *dialer;          /* net/dial.h */
	struct jobs *jobs;              /* src/jobs.h: the timer thread */
	struct lanes *lanes;            /* base/lane.h */
	struct doors *doors;            /* src/doors.h: where requests come in */
	struct clock *clock;            /* base/clock.h: what op->now_ms is made of; NULL: the system's */
	_Atomic int64_t test_page_until_ms;     /* monotonic; 0: the test page is closed (issue/test_page.h) */
	_Atomic bool is_stopping;       /* long work ends at its next safe point; it goes on at the next start */
	/* Told after the commit whenever a person, session or authorization has ended; keywardd.c ties it to issue/live.c. */
	void (*on_end)(struct op *op, const struct end_notice *notice);
};

enum actor_kind { ACTOR_ANONYMOUS, ACTOR_USER, ACTOR_APP, ACTOR_ROOT, ACTOR_SYSTEM };

/* Who asks, and from where.  Strings live as long as the op; NULL where unknown. */
struct caller {
	enum actor_kind kind;
	const char *actor;              /* user id, client id, "uid:0" on the UNIX socket, or the job's name */
	const char *on_behalf_of;       /* user id, when an application acts for a person */
	const char *session;            /* session id */
	const char *address;            /* canonical text of the peer's address */
	const char *device;             /* User-Agent, cut at 200 bytes */
	const char *language;           /* "en" */
};

struct failure {
	int code;
	const char *sentence;           /* private: for the log and the administrator */
	const char *file;
	int line;
};

struct op {
	struct arena *mem;
	struct services *svc;
	const struct config *config;    /* snapshot, counted reference */
	struct caller caller;
	int64_t now_ms;                 /* wall clock; read again after network */
	int64_t deadline_ms;            /* monotonic clock, base/time.h */
	char request_id[37];            /* UUIDv7 */
	struct failure failure;
	struct db_txn *txn;             /* NULL outside db_run and db_read */
	struct db_ride *ride;           /* set by db_run_last until the commit has settled */
};

/* svc may be NULL in tests of lower rooms; config takes a reference of its own and may be NULL.  The deadline
 * is 10 s from now until the caller sets another. */
struct op *op_begin(struct services *svc, const struct config *config);
void op_end(struct op *op);
/* The same in memory that is there already, such as a request's: the op ends with it, without op_end. */
struct op *op_begin_in(struct arena *mem, struct services *svc, const struct config *config);
/* After network calls: reads the wall clock again. */
void op_touch(struct op *op);
/* Milliseconds left until the deadline, never below 0. */
int64_t op_left_ms(const struct op *op);

void *op_alloc(struct op *op, size_t size);
void *op_memdup(struct op *op, const void *data, size_t size);
char *op_strdup(struct op *op, const char *text);
char *op_strndup(struct op *op, const char *text, size_t n);
char *op_printf(struct op *op, const char *format, ...) PRINTF_LIKE(2, 3);

#define op_fail(op, code, ...) op_fail_at((op), (code), __FILE__, __LINE__, __VA_ARGS__)
/* Keeps the first failure's sentence; returns code. */
int op_fail_at(struct op *op, int code, const char *file, int line, const char *format, ...) PRINTF_LIKE(5, 6);
/* Forgets the failure, where a fail-over tries the next or a refusal is an ordinary answer. */
void op_forgive(struct op *op);
/* The sentence, or "" when nothing failed. */
const char *op_failure(const struct op *op);

#endif
