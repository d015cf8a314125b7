/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The parts of a request, each alone, in CPU microseconds: what the daemon's figures are held against.
 *
 *     limits sign CONFIG N CLAIMS      N signatures of an access token with those claims (JSON)
 *     limits commit CONFIG THREADS N   N refresh rotations (the row and its audit row) by the store alone, THREADS at a time
 *     limits http PORT BYTES           a server that answers every request with BYTES of JSON on the network loop, until its input ends
 *     limits refresh CONFIG ID...      refresh tokens of those authorizations, one a line
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../src/issue/oidc_int.h"
#include "base/lane.h"
#include "base/uuid.h"
#include "people/keyring.h"

static struct services svc;
static const struct config *config;

static double
cpu_us(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void
must(struct op *op, int rc)
{
	if (!rc)
		return;
	fprintf(stderr, "limits: %s\n", op_failure(op));
	exit(1);
}

static void
open_all(const char *file)
{
	struct op *op = op_begin(&svc, NULL);
	struct problems problems = problems_in(op, file);

	must(op, config_load(op, file, &problems, &config));
	op_end(op);
	op = op_begin(&svc, config);
	must(op, db_open(op, config->database, &svc.db));
	must(op, keyring_open(op, config->master_key));
	op_end(op);
}

static void
bench_sign(int n, const char *text)
{
	struct op *op = op_begin(&svc, config);
	json_t *claims;
	char *token;
	double start;

	must(op, json_read(op, text, strlen(text), &claims));
	for (int i = 0; i < 100; i++)
		must(op, keyring_sign(op, "ES256", "at+jwt", claims, &token));
	start = cpu_us();
	for (int i = 0; i < n; i++)
		must(op, keyring_sign(op, "ES256", "at+jwt", claims, &token));
	printf("%.2f\n", (cpu_us() - start) / n);
	op_end(op);
}

/* ---- commits ---- */

static atomic_int left;
static char **ids;
static int n_ids;
static const char *app_id, *user_id;

SQL_DEFINE(bench_authorizations, "SELECT id, app_id, user_id FROM authorizations WHERE ended_ms IS NULL AND refresh_seq = 1");

static int
read_ids(struct op *op, void *arg)
{
	struct db_rows *rows;
	int rc = db_query(op, &bench_authorizations, NO_ARGS, &rows);

	(void)arg;
	ids = op_alloc(op, 100000 * sizeof(*ids));
	while (!rc && (rc = db_next(rows)) > 0) {
		rc = 0;
		ids[n_ids++] = db_text_dup(op, rows, 0);
		app_id = db_text_dup(op, rows, 1);
		user_id = db_text_dup(op, rows, 2);
	}
	return db_end(rows, rc);
}

struct turn {
	const char *id;
	int64_t seq;
};

static int
rotate(struct op *op, void *arg)
{
	struct turn *turn = arg;
	int rc = db_authorization_refresh(op, turn->id, app_id, turn->seq, op->now_ms + 3600000);

	return rc ? rc : audit_record(op, EV_TOKEN_REFRESH, user_id, FACTS(FACT("app", "bench"), FACT("authorization", turn->id),
	    FACT("number", op_printf(op, "%lld", (long long)turn->seq + 1))));
}

struct worker {
	pthread_t thread;
	int number;
};

static void *
work(void *arg)
{
	struct worker *worker = arg;
	struct turn turn = { .id = ids[worker->number % n_ids], .seq = 1 };

	while (atomic_fetch_sub(&left, 1) > 0) {
		struct op *op = op_begin(&svc, config);

		op->caller.address = "127.0.0.1";
		must(op, db_run(op, rotate, &turn));
		turn.seq++;
		op_end(op);
	}
	return NULL;
}

static void
bench_commit(int threads, int n)
{
	struct op *op = op_begin(&svc, config);
	struct worker *workers = op_alloc(op, (size_t)threads * sizeof(*workers));
	double start;

	must(op, db_read(op, read_ids, NULL));
	if (n_ids < threads) {
		fprintf(stderr, "limits: only %d authorizations\n", n_ids);
		exit(1);
	}
	left = n;
	start = cpu_us();
	for (int i = 0; i < threads; i++) {
		workers[i].number = i;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (int i = 0; i < threads; i++)
		pthread_join(workers[i].thread, NULL);
	printf("%.2f\n", (cpu_us() - start) / n);
	op_end(op);
}

/* ---- HTTP ---- */

static char *answer;
static size_t answer_size;

static enum lane
http_lane(struct request *request, size_t *ret_cap, int64_t *ret_deadline_ms)
{
	(void)request;
	*ret_cap = 16384;
	*ret_deadline_ms = 10000;
	return LANE_INLINE;
}

static bool
http_handle(struct request *request, struct reply *reply)
{
	(void)request;
	reply_body(reply, 200, "application/json", answer, answer_size);
	reply->is_static = true;
	return true;
}

static void
http_refuse(struct arena *mem, int status, struct reply *reply)
{
	(void)mem;
	reply_body(reply, status, "text/plain", "", 0);
}

static void
bench_http(const char *port, size_t bytes)
{
	static const struct http_hooks hooks = { http_lane, http_handle, http_refuse };
	struct op *op = op_begin(&svc, NULL);
	struct lanes *lanes = lanes_new(0);
	struct http_server *server;
	char c;

	answer = op_alloc(op, bytes + 1);
	memset(answer, ' ', bytes);
	answer_size = bytes;
	must(op, http_open(op, &(struct http_options){ .listen = op_printf(op, "127.0.0.1:%s", port), .certificate_file = "", .key_file = "",
	    .max_connections = 480, .head_deadline_ms = 10000, .body_deadline_ms = 30000, .threads = 4, .lanes = lanes, .hooks = &hooks },
	    &server));
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	http_close(server, 1000);
	lanes_free(lanes);
	op_end(op);
}

static void
print_refresh(int n, char **list)
{
	struct op *op = op_begin(&svc, config);

	for (int i = 0; i < n; i++)
		puts(refresh_write(op, list[i], 1));
	op_end(op);
}

int
main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "http")) {
		bench_http(argv[2], (size_t)atol(argv[3]));
		return 0;
	}
	if (argc < 4) {
		fputs("usage: limits sign|commit|http|refresh ...\n", stderr);
		return 2;
	}
	open_all(argv[2]);
	if (!strcmp(argv[1], "sign"))
		bench_sign(atoi(argv[3]), argv[4]);
	else if (!strcmp(argv[1], "commit"))
		bench_commit(atoi(argv[3]), atoi(argv[4]));
	else if (!strcmp(argv[1], "refresh"))
		print_refresh(argc - 3, argv + 3);
	return 0;
}
