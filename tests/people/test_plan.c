/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Files of objects: what a plan says, that applying is all or nothing and can be repeated, and that export comes full circle. */
#include <criterion/criterion.h>

#include "objects.h"

static const char clinic[] =
	"roles:\n"
	"  - name: provider\n"
	"    title: 'Physician: \"on call\"'\n"
	"    permissions: ['patient.read:assigned', '*']\n"
	"    never: ['billing.*']\n"
	"locations:\n"
	"  - {name: coast}\n"
	"  - {name: harbour, parent: Coast, title: 'yes'}\n"
	"directories:\n"
	"  - name: main\n"
	"    url: ldaps://dir.test\n"
	"    base: ou=people,dc=clinic,dc=test\n"
	"    bind_dn: cn=reader,dc=clinic,dc=test\n"
	"    ca: |\n"
	"      -----BEGIN CERTIFICATE-----\n"
	"      MIIB\n"
	"      -----END CERTIFICATE-----\n"
	"rules:\n"
	"  - {name: 'Providers, harbour', directory: main, group: 'cn=Meier\\, K. #1,ou=groups,dc=clinic,dc=test', role: provider, location: harbour}\n"
	"apps:\n"
	"  - {name: portal, redirect_uris: ['https://portal.test/cb?a=b&c=%20'], title: '- portal: #1'}\n";

TestSuite(plan, .init = house_open, .fini = house_close);

Test(plan, says_and_does)
{
	const struct shape_plan_view *view;
	const struct shape_plan_item *item;

	cr_assert_eq(run_file(clinic, false, false, &view), 0, "%s", op_failure(op));
	cr_expect_eq(view->create, 6);
	cr_expect(!view->applied);
	cr_expect_eq(view->notes.n, 2);
	cr_expect_eq(catalog_get(op)->n_roles, 0);
	cr_assert_eq(run_file(clinic, true, false, &view), 0, "%s", op_failure(op));
	cr_expect(view->applied);
	cr_expect_eq(catalog_get(op)->n_roles, 1);
	/* Again: nothing. */
	cr_assert_eq(run_file(clinic, true, false, &view), 0, "%s", op_failure(op));
	cr_expect_eq(view->items.n, 0);
	cr_expect_eq(view->unchanged, 6);
	cr_expect_eq(catalog_get(op)->roles[0].version, 1);
	/* One field. */
	cr_assert_eq(run_file("roles: [{name: provider, title: P, permissions: ['patient.read:assigned', '*'], never: ['billing.*']}]", false, false, &view), 0);
	cr_expect_eq(view->change, 1);
	cr_assert_eq(view->items.n, 1);
	item = view->items.v;
	cr_expect_str_eq(item->action, "change");
	cr_assert_eq(item->fields.n, 1);
	cr_expect_str_eq(((const struct shape_plan_field *)item->fields.v)->name, "title");
	cr_expect_str_eq(json_string_value(((const struct shape_plan_field *)item->fields.v)->after), "P");
}

Test(plan, export_comes_full_circle)
{
	const struct shape_plan_view *view;
	char *yaml, *again;

	cr_assert_eq(apply(clinic), 0, "%s", op_failure(op));
	cr_assert_eq(plan_export(op, &yaml), 0);
	cr_assert_eq(run_file(yaml, false, true, &view), 0, "%s\n%s", op_failure(op), yaml);
	cr_expect_eq(view->items.n, 0, "%s", yaml);
	cr_expect_eq(view->unchanged, 6);
	/* Into an empty house. */
	house_close();
	house_open();
	cr_assert_eq(apply(clinic), 0);
	cr_assert_eq(plan_export(op, &again), 0);
	cr_assert_eq(run_file(again, true, true, &view), 0);
	cr_expect_eq(view->items.n, 0);
}

Test(plan, all_or_nothing)
{
	cr_expect_eq(apply("roles: [{name: a}, {name: b}]\nlocations: [{name: l, parent: none}]"), ERR_INVALID);
	cr_expect_eq(catalog_get(op)->n_roles, 0);
	op_forgive(op);
	cr_expect_eq(catalog_reload(op), 0);
	cr_expect_eq(catalog_get(op)->n_roles, 0);
}

Test(plan, prune)
{
	const struct shape_plan_view *view;

	cr_assert_eq(apply(clinic), 0);
	cr_assert_eq(run_file("roles: [{name: other}]", false, false, &view), 0);
	cr_expect_eq(view->remove, 0);
	cr_assert_eq(run_file("roles: [{name: other}]", true, true, &view), 0, "%s", op_failure(op));
	cr_expect_eq(view->remove, 6);
	cr_expect_eq(catalog_get(op)->n_roles, 1);
	cr_expect_eq(catalog_get(op)->n_apps, 0);
	/* A file without objects is a mistake, not a wish. */
	cr_expect_eq(run_file("", true, true, &view), ERR_INVALID);
	cr_expect_eq(run_file("roles: []\n", true, true, &view), ERR_INVALID);
	cr_expect_eq(catalog_get(op)->n_roles, 1);
	/* Pruning must not leave something that others need. */
	cr_assert_eq(apply("locations: [{name: top}, {name: under, parent: top}]"), 0);
	cr_expect_eq(run_file("locations: [{name: under, parent: top}]", true, true, &view), ERR_INVALID);
	cr_expect(strstr(op_failure(op), "needs the location top"), "%s", op_failure(op));
}

Test(plan, everything_wrong_in_one_run)
{
	const struct shape_plan_view *view;
	const char *said;

	cr_expect_eq(run_file("roles:\n  - {name: r, titel: x}\n  - {title: y}\nlocation: []\n", false, false, &view), ERR_INVALID);
	said = op_strdup(op, op_failure(op));
	cr_expect(strstr(said, "test.yaml:2:"), "%s", said);
	cr_expect(strstr(said, "did you mean 'title'"), "%s", said);
	cr_expect(strstr(said, "'name' is missing"), "%s", said);
	cr_expect(strstr(said, "did you mean 'locations'"), "%s", said);
	cr_expect_eq(run_file("apps:\n  - {name: a}\n  - {name: b, redirect_uris: ['http://b.test/']}\n", false, false, &view), ERR_INVALID);
	said = op_failure(op);
	cr_expect(strstr(said, "test.yaml:2:") && strstr(said, "test.yaml:3:"), "%s", said);
}

Test(plan, refuses_what_is_no_plain_yaml)
{
	static const char *const bad[] = { "roles: [{name: &x a}, {name: *x}]", "roles: !!set {a}", "roles: [{name: a, name: b}]", "roles: [", "- a" };
	const struct shape_plan_view *view;

	for (size_t i = 0; i < countof(bad); i++)
		cr_expect_eq(run_file(bad[i], false, false, &view), ERR_INVALID, "%s", bad[i]);
}

Test(plan, several_documents)
{
	const struct shape_plan_view *view;

	cr_assert_eq(run_file("roles: [{name: a}]\n---\nroles: [{name: b}]\n", true, false, &view), 0, "%s", op_failure(op));
	cr_expect_eq(view->create, 2);
	cr_expect_eq(run_file("roles: [{name: c}]\n---\nroles: [{name: C}]\n", true, false, &view), ERR_INVALID);
}

Test(plan, what_was_shown_is_what_is_done)
{
	const char yaml[] = "roles: [{name: a}]";
	struct plan_request request = { .source = "test.yaml", .text = yaml, .size = sizeof(yaml) - 1, .want_apply = true };
	const struct shape_plan_view *view;

	cr_assert_eq(run_file(yaml, false, false, &view), 0);
	request.mark = view->mark;
	cr_assert_eq(apply("roles: [{name: somebody-elses}]"), 0);
	cr_expect_eq(plan_file(op, &request, &view), ERR_CONFLICT);
	cr_expect_eq(catalog_get(op)->n_roles, 1);
}

Test(plan, the_clinics_roles)
{
	const char *source = getenv("srcdir");
	const struct shape_plan_view *view;
	char text[8192] = "";
	FILE *in = fopen(op_printf(op, "%s/etc/presets/clinic.yaml", source ? source : "."), "re");

	cr_assert_not_null(in);
	cr_assert_gt(fread(text, 1, sizeof(text) - 1, in), 0);
	fclose(in);
	cr_assert_eq(run_file(text, true, false, &view), 0, "%s", op_failure(op));
	cr_expect_eq(view->create, 7);
	cr_expect_not_null(catalog_role(catalog_get(op), "front_desk"));
}
