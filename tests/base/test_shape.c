/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What people write (YAML, JSON, forms) becomes typed, or is refused with its place. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/json.h"
#include "base/shape.h"

static struct op *op;
static struct problems problems;

static void
setup(void)
{
	op = op_begin(NULL, NULL);
	problems = problems_in(op, "file");
}

static void
teardown(void)
{
	op_end(op);
}

TestSuite(shape, .init = setup, .fini = teardown);

/* Problems of a YAML text as a config_file, "" when it is good. */
static const char *
faults(const char *yaml, const struct shape_config_file **ret)
{
	struct node *documents;
	const void *data = NULL;
	size_t n;

	problems = problems_in(op, "file");
	if (!node_read_yaml(op, yaml, strlen(yaml), &problems, &documents, &n) &&
	    !shape_read(op, shape_config_file(), &documents[0], &problems, &data))
		*ret = data;
	op_forgive(op);
	return problems_text(op, &problems);
}

Test(shape, a_good_file_is_read)
{
	const struct shape_config_file *file = NULL;
	const struct shape_app *app;

	cr_assert_str_eq(faults("roles:\n- name: nurse\n  permissions: [a.b, 'c.d:own']\n"
	    "apps:\n- name: demo\n  redirect_uris: [https://rp.test/cb]\n  pkce_optional: true\n", &file), "");
	cr_assert_eq(file->roles.n, 1);
	cr_assert_str_eq(((const struct shape_role *)file->roles.v)->permissions.v[1], "c.d:own");
	app = file->apps.v;
	cr_assert(app->pkce_optional);
	cr_assert(app->enabled);
	cr_assert_str_eq(app->alg, "ES256");
	cr_assert_null(app->title);
}

Test(shape, everything_wrong_is_told_with_its_place)
{
	const struct shape_config_file *file = NULL;
	const char *text = faults("rolls: []\nroles:\n- nam: nurse\n  permissions: x\napps:\n- name: demo\n  alg: ES265\n  enabled: 7\n"
	    "  alg: RS256\n", &file);

	cr_expect(strstr(text, "file:1:1: unknown key 'rolls'; did you mean 'roles'?"), "%s", text);
	cr_expect(strstr(text, "file:3:3: roles[0]: 'name' is missing"), "%s", text);
	cr_expect(strstr(text, "file:3:3: roles[0]: unknown key 'nam'; did you mean 'name'?"), "%s", text);
	cr_expect(strstr(text, "file:4:16: roles[0].permissions: must be a list"), "%s", text);
	cr_expect(strstr(text, "file:7:8: apps[0].alg: must be one of ES256|RS256; did you mean 'ES256'?"), "%s", text);
	cr_expect(strstr(text, "file:8:12: apps[0].enabled: must be true or false"), "%s", text);
	cr_expect(strstr(text, "file:9:3: key 'alg' is given twice"), "%s", text);
}

Test(shape, hostile_yaml_is_refused)
{
	static const char *const bad[] = {
		"a: &x [1]\nb: *x\n", "!!python/object:os.system {}\n", "roles: [\n", "roles: {a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: {m: {n: {o: {p: {q: 1}}}}}}}}}}}}}}}}}\n",
		"? [a]\n: b\n", "\xff\xfe\n",
	};
	const struct shape_config_file *file = NULL;

	for (size_t i = 0; i < countof(bad); i++)
		cr_expect_str_not_empty(faults(bad[i], &file), "%zu", i);
	cr_assert_null(file);
}

Test(shape, what_is_written_is_read_back)
{
	static const char yaml[] = "roles:\n- name: \"yes\"\n  title: \"a: b # c\"\n  permissions: [\"- x\", \"12\", \"\\\"q\\\\\"]\n"
	    "directories:\n- name: d\n  url: ldaps://x.test\n  base: dc=x\n  bind_dn: cn=y\n  ca: |\n    -----BEGIN-----\n    abc\n    -----END-----\n";
	const struct shape_config_file *first = NULL, *second = NULL;
	char *text = NULL, *canonical;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	cr_assert_str_eq(faults(yaml, &first), "");
	canonical = json_canonical(op, shape_write(op, shape_config_file(), first));
	node_write_yaml(out, shape_write(op, shape_config_file(), first));
	fclose(out);
	cr_assert_str_eq(faults(text, &second), "", "%s", text);
	cr_assert_str_eq(canonical, json_canonical(op, shape_write(op, shape_config_file(), second)));
	free(text);
}

/* The release before knows fewer fields: what is stored names only those that say something. */
Test(shape, what_is_stored_names_no_preset_and_means_the_same)
{
	const struct shape_config_file *file = NULL, *again = NULL;
	const char *yaml = "apps:\n- name: demo\n  redirect_uris: [https://rp.test/cb]\n- name: other\n  redirect_uris: [https://rp.test/cb]\n"
	    "  alg: RS256\n  enabled: false\n", *full;
	json_t *apps = json_own(op, json_array());

	cr_assert_str_eq(faults(yaml, &file), "");
	full = json_canonical(op, shape_write(op, shape_config_file(), file));
	for (size_t i = 0; i < 2; i++)
		json_array_append(apps, shape_write_short(op, shape_app(), (const struct shape_app *)file->apps.v + i));
	cr_expect_str_eq(json_canonical(op, json_array_get(apps, 0)), "{\"name\":\"demo\",\"redirect_uris\":[\"https://rp.test/cb\"]}");
	cr_expect_str_eq(json_canonical(op, json_array_get(apps, 1)),
	    "{\"alg\":\"RS256\",\"enabled\":false,\"name\":\"other\",\"redirect_uris\":[\"https://rp.test/cb\"]}");
	cr_assert_str_eq(faults(json_text(op, json_own(op, json_pack("{sO}", "apps", apps))), &again), "");
	cr_expect_str_eq(json_canonical(op, shape_write(op, shape_config_file(), again)), full);
}

Test(shape, json_is_strict)
{
	static const char *const bad[] = { "{\"a\":1,\"a\":2}", "{} x", "[1,]", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}", "", "nul" };
	char deep[400];
	json_t *value;

	for (size_t i = 0; i < countof(bad); i++) {
		cr_expect_eq(json_read(op, bad[i], strlen(bad[i]), &value), ERR_MALFORMED, "%s", bad[i]);
		op_forgive(op);
	}
	memset(deep, '[', 200);
	memset(deep + 200, ']', 200);
	cr_expect_eq(json_read(op, deep, 400, &value), ERR_MALFORMED);
}

Test(shape, canonical_json_is_that_of_rfc_8785)
{
	/* RFC 8785 3.2.3: sorting by UTF-16 code units, and 3.2.2.2: escapes */
	static const char text[] = "{\"\\u20ac\":\"Euro\",\"\\r\":\"CR\",\"\\ufb33\":\"Hebrew\",\"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji\",\"\\u0080\":\"Control\","
	    "\"\\u00f6\":\"O\",\"x\":[true,null,-5,\"\\u000f\\n\\\"/\"]}";
	static const char want[] = "{\"\\r\":\"CR\",\"1\":\"One\",\"x\":[true,null,-5,\"\\u000f\\n\\\"/\"],\"\xc2\x80\":\"Control\",\"\xc3\xb6\":\"O\","
	    "\"\xe2\x82\xac\":\"Euro\",\"\xf0\x9f\x98\x80\":\"Emoji\",\"\xef\xac\xb3\":\"Hebrew\"}";
	json_t *value;

	cr_assert_eq(json_read(op, text, strlen(text), &value), 0);
	cr_assert_str_eq(json_canonical(op, value), want);
}
