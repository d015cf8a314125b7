/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Asks a directory as the daemon would, through the same functions, for tests/attack/directory.sh.
 *
 *     directory_probe OBJECTS.yaml SERVICE-PASSWORD COMMAND [ARGUMENT]...
 *     directory_probe                     the same words, a line of tab-separated ones for each question, and a "." after each answer
 *
 *     find NAME | find-mail NAME          the person, his state and the rules that gave him roles
 *     check DN PASSWORD                   outcome of the bind
 *     login NAME PASSWORD                 both, as a sign-in does
 *     method NAME PASSWORD                the login method: what a sign-in makes of it
 *     storm N NAME                        N times find; how often each code came
 *     read                                the whole directory, counted
 *     reread                              twice over kept connections
 *     agree                               reads everything, then asks for each person: both must say the same
 *     peek                                the certificates shown
 *     root                                the rootDSE
 *
 * A line "result: NAME" tells the code ("OK" for success); "because:" the sentence of a failure; the rest are facts.
 */
#include "../people/objects.h"
#include "../../src/login/method_int.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "base/time.h"
#include "net/dial.h"
#include "net/ldap_pool.h"
#include "people/keyring.h"
#include "people/object.h"
#include "sync/source.h"
#include "sync/sync.h"

static const struct catalog_directory *directory;

static const char *
name_of(int rc)
{
	return rc ? error_row(rc)->name : "OK";
}

static int
tell(int rc)
{
	printf("result: %s\n", name_of(rc));
	if (rc)
		printf("because: %s\n", op_failure(op));
	return 0;
}

static int
tell_person(int rc, const struct directory_person *person)
{
	tell(rc);
	if (rc)
		return 0;
	printf("dn: %s\nid: %s\nlogin: %s\nactive: %d\nreason: %s\n", person->dn, person->change.person.external_id,
	    person->change.person.login, person->change.person.is_active, person->change.person.reason);
	printf("until: %lld\nhold: %d\n", (long long)person->change.person.until, person->hold);
	for (size_t i = 0; i < person->change.n_grants; i++)
		printf("rule: %s\n", catalog_rule_by_id(catalog_get(op), person->change.grants[i].rule_id)->body->name);
	return 0;
}

static int
tell_outcome(int rc, const struct ldap_bind_result *result)
{
	static const char *const outcomes[] = { "ok", "refused", "locked", "disabled", "expired account", "password expired", "must change",
		"hours", "workstation" };

	tell(rc);
	printf("outcome: %s\ncode: %d\n", outcomes[result->outcome], result->code);
	if (result->why)
		printf("why: %s\n", result->why);
	return 0;
}

static int
tell_method(const char *name, const char *password)
{
	static const char *const outcomes[] = { [METHOD_OK] = "ok", [METHOD_REFUSED] = "refused",
		[METHOD_PASSWORD_EXPIRED] = "password expired", [METHOD_MUST_CHANGE] = "must change", [METHOD_CLOSED] = "closed",
		[METHOD_ENDED] = "ended", [METHOD_HOURS] = "hours", [METHOD_WORKSTATION] = "workstation" };
	struct method_result result = { 0 };
	int rc = method_ldap_find(op, name, &result);

	if (!rc)
		rc = method_ldap_check(op, password, &result);
	tell(rc);
	if (!rc)
		printf("outcome: %s\nreason: %s\ndetail: %s\nkey: %s\n", outcomes[result.outcome], result.reason,
		    result.detail ? result.detail : "-", result.person_key ? strchr(result.person_key, '/') + 1 : "-");
	return 0;
}

static int
count_person(struct op *run, const struct source_person *person, void *arg)
{
	(void)run;
	(void)arg;
	printf("person: %s %s\n", person->person.login, person->dn_key);
	return 0;
}

static int
count_group(struct op *run, const struct source_group *group, void *arg)
{
	(void)run;
	(void)arg;
	printf("group: %s %s\n", group->name, group->dn_key);
	return 0;
}

static int
count_member(struct op *run, const char *key, void *arg)
{
	(void)run;
	(void)arg;
	printf("member: %s\n", key);
	return 0;
}

static int
count_skipped(struct op *run, const char *id, const char *dn, const char *why, void *arg)
{
	(void)run;
	(void)arg;
	printf("skipped: %s (%s): %s\n", dn, id ? id : "no id", why);
	return 0;
}

static long
cpu_ms(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

static int
read_all(void)
{
	long before = cpu_ms();
	const struct source_reader reader = { count_person, count_group, count_member, count_skipped, NULL };
	struct source_summary sum = { 0 };
	struct source_rules *rules;
	int rc = source_rules_make(op, directory, &rules);

	if (!rc)
		rc = source_read(op, directory, rules, &reader, &sum);
	tell(rc);
	printf("people: %lld\ngroups: %lld\nmembers: %lld\nskipped: %lld\ncpu_ms: %ld\n", (long long)sum.people, (long long)sum.groups,
	    (long long)sum.members, (long long)sum.skipped, cpu_ms() - before);
	return 0;
}

/* A full read kept in memory: people, groups and members by their DN. */
struct whole {
	struct map *map;
	struct source_person people[10000];
	size_t n_people, group;
	struct { size_t group; const char *sid; } sids[1000];
	size_t n_sids;
	struct { size_t group; const char *dn_key; } members[100000];
	size_t n_members;
};

static int
keep_person(struct op *run, const struct source_person *person, void *arg)
{
	struct whole *w = arg;
	struct source_person *copy = &w->people[w->n_people++];
	struct map_value *values = op_memdup(run, person->values, person->n_values * sizeof(*values));

	*copy = *person;
	copy->person.login = op_strdup(run, person->person.login);
	copy->dn_key = op_strdup(run, person->dn_key);
	for (size_t i = 0; i < person->n_values; i++)
		values[i].key = op_strdup(run, values[i].key);
	copy->values = values;
	copy->primary_group = op_strdup(run, person->primary_group);
	return 0;
}

static int
keep_group(struct op *run, const struct source_group *group, void *arg)
{
	struct whole *w = arg;

	w->group = map_add_group(w->map, group->external_id, group->dn_key);
	if (group->sid) {
		w->sids[w->n_sids].group = w->group;
		w->sids[w->n_sids++].sid = op_strdup(run, group->sid);
	}
	return 0;
}

static int
keep_member(struct op *run, const char *key, void *arg)
{
	struct whole *w = arg;

	w->members[w->n_members].group = w->group;
	w->members[w->n_members++].dn_key = op_strdup(run, key);
	return 0;
}

static bool
agrees(const struct whole *w, const struct source_person *person)
{
	size_t groups[100], n = 0, n_wanted;
	struct wanted_grant *wanted;
	struct directory_person *now;

	for (size_t i = 0; i < w->n_members; i++)
		if (strcmp(w->members[i].dn_key, person->dn_key) == 0)
			groups[n++] = w->members[i].group;
	for (size_t i = 0; person->primary_group && i < w->n_sids; i++)
		if (strcmp(w->sids[i].sid, person->primary_group) == 0)
			groups[n++] = w->sids[i].group;
	map_person(w->map, op, groups, n, person->values, person->n_values, &wanted, &n_wanted);
	op->deadline_ms = time_monotonic_ms() + 10000;
	/* P10: before the password nothing is read that a name of nobody does not cost, too */
	if (directory_find_person(op, directory, person->person.login, false, &now) || now->change.n_grants)
		return false;
	if (directory_read_grants(op, now) || now->change.n_grants != n_wanted ||
	    memcmp(now->change.person.digest, person->person.digest, 32) != 0)
		return false;
	for (size_t i = 0; i < n_wanted; i++)
		if (strcmp(now->change.grants[i].rule_id, wanted[i].rule_id) != 0)
			return false;
	return true;
}

static int
agree(void)
{
	struct whole *w = op_alloc(op, sizeof(*w));
	const struct source_reader reader = { keep_person, keep_group, keep_member, count_skipped, w };
	struct source_summary sum;
	struct source_rules *rules;
	int same = 0, rc = source_rules_make(op, directory, &rules);

	w->map = map_new(op, rules->v, rules->n);
	if (!rc)
		rc = source_read(op, directory, rules, &reader, &sum);
	for (size_t i = 0; i < w->n_members; i++) {
		size_t child = map_find_group_dn(w->map, w->members[i].dn_key);

		if (child != MAP_NO_GROUP)
			map_add_edge(w->map, w->members[i].group, child);
	}
	map_close(w->map);
	tell(rc);
	for (size_t i = 0; i < w->n_people; i++) {
		if (agrees(w, &w->people[i]))
			same++;
		else
			printf("differs: %s: %s\n", w->people[i].person.login, op_failure(op));
	}
	printf("same: %d\n", same);
	return 0;
}

static int
storm(int times, const char *name)
{
	int counts[ERR_NUMBER_COUNT] = { 0 };

	for (int i = 0; i < times; i++) {
		struct directory_person *person;

		counts[-directory_find_person(op, directory, name, false, &person)]++;
		op_forgive(op);
		op->deadline_ms = time_monotonic_ms() + 10000;
	}
	for (int i = 0; i < ERR_NUMBER_COUNT; i++)
		if (counts[i])
			printf("%s: %d\n", name_of(-i), counts[i]);
	return 0;
}

static int
peek(void)
{
	const struct ldap_options options = { .url = directory->body->url, .tls = directory->body->starttls ? LDAP_TLS_START : LDAP_TLS_LDAPS,
		.timeout_ms = 3000 };
	struct ldap_peek seen;

	tell(ldap_peek(op, &options, &seen));
	for (size_t i = 0; i < seen.n; i++)
		printf("certificate: %s\nissuer: %s\nsha256: %s\n", seen.v[i].subject, seen.v[i].issuer, seen.v[i].sha256);
	return 0;
}

static int
root(void)
{
	struct ldap_root_dse found = { 0 };
	struct ldap_link *link;
	int rc = directory_connect(op, directory, &link);

	if (!rc) {
		rc = ldap_read_root_dse(op, link, &found);
		directory_release(op, directory, link, rc == 0);
	}
	tell(rc);
	printf("kind: %d\npaged: %d\nstarttls: %d\ncontexts: %zu\n", found.kind, found.has_paged_results, found.has_start_tls,
	    found.naming_contexts.n);
	return 0;
}

static int
run(int argc, char **argv)
{
	struct ldap_bind_result result = { 0 };
	struct directory_person *person = NULL;
	const char *command = argv[0];
	int rc;

	if (strcmp(command, "read") == 0)
		return read_all();
	if (strcmp(command, "reread") == 0)
		return read_all() || read_all();
	if (strcmp(command, "agree") == 0)
		return agree();
	if (strcmp(command, "peek") == 0)
		return peek();
	if (strcmp(command, "root") == 0)
		return root();
	if (argc < 2)
		return 2;
	if (strcmp(command, "find") == 0 || strcmp(command, "find-mail") == 0) {
		rc = directory_find_person(op, directory, argv[1], command[4] != '\0', &person);
		if (!rc)
			rc = directory_read_grants(op, person);
		return tell_person(rc, person);
	}
	if (argc < 3)
		return 2;
	if (strcmp(command, "method") == 0)
		return tell_method(argv[1], argv[2]);
	if (strcmp(command, "storm") == 0)
		return storm(atoi(argv[1]), argv[2]);
	if (strcmp(command, "check") == 0) {
		rc = directory_check_password(op, directory, argv[1], argv[2], &result);
		return tell_outcome(rc, &result);
	}
	rc = directory_find_person(op, directory, argv[1], false, &person);
	if (rc)
		return tell(rc);
	rc = directory_check_password(op, directory, person->dn, argv[2], &result);
	return tell_outcome(rc, &result);
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(text, file) < 0 || fclose(file) || chmod(path, 0400))
		abort();
}

static char *
read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = op_alloc(op, 65536);

	if (!file || fread(text, 1, 65535, file) == 0 || fclose(file))
		abort();
	return text;
}

/* argv: objects, password, command, arguments. */
static int
answer(int argc, char **argv)
{
	struct object_secret *secret;
	int rc;

	op_forgive(op);
	/* the time of the question before is over; this work has its own */
	op->deadline_ms = time_monotonic_ms() + 60000;
	if ((rc = apply(read_file(argv[0]))) || (rc = object_seal_password(op, argv[1], &secret)) ||
	    (rc = objects_set_secret(op, OBJECT_DIRECTORY, "clinic", secret))) {
		fprintf(stderr, "directory_probe: %s\n", op_failure(op));
		return 1;
	}
	directory = catalog_directory(catalog_get(op), "clinic");
	op->deadline_ms = time_monotonic_ms() + (getenv("DEADLINE_MS") ? atoi(getenv("DEADLINE_MS")) : 10000);
	return run(argc - 2, argv + 2);
}

static int
answer_lines(void)
{
	static char line[4096];

	while (fgets(line, sizeof(line), stdin)) {
		char *words[8];
		int n = 0;

		line[strcspn(line, "\n")] = '\0';
		for (char *rest = line, *word; n < 8 && (word = strsep(&rest, "\t"));)
			words[n++] = word;
		if (n < 3 || answer(n, words))
			printf("result: USAGE\n");
		printf(".\n");
		fflush(stdout);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	static const char digits[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
	const char *key;
	int rc;

	ldap_forget_environment();
	house_open();
	key = op_printf(op, "%s/master.key", folder);
	write_file(key, digits);
	svc.dialer = dialer_new();
	svc.ldap_pool = ldap_pool_new();
	audit_close(svc.audit);         /* the keyring opens it with its own key */
	svc.audit = NULL;
	/* the keyring opens an audit log of its own */
	audit_close(svc.audit);
	svc.audit = NULL;
	rc = keyring_open(op, key);
	if (rc)
		fprintf(stderr, "directory_probe: %s\n", op_failure(op));
	else
		rc = argc > 3 ? answer(argc - 1, argv + 1) : answer_lines();
	ldap_pool_free(svc.ldap_pool);
	dialer_free(svc.dialer);
	keyring_free(svc.keyring);
	unlink(key);
	house_close();
	return rc;
}
