/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The command of the template compiler:   tmpl OUTDIR FILE...
 *
 * FILE is a template (.html; frame_*.html is only put into others), a message file (.msg) or an asset (the rest).
 * Writes pages.h, pages.c and assets.c into OUTDIR.  Exit status 1 and no output when anything is refused.
 */
#include "tmpl.h"

#include <string.h>

struct outputs {
	FILE *header, *code, *assets;
};

static const char *
base_name(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash ? slash + 1 : file;
}

static bool
has_ending(const char *file, const char *ending)
{
	size_t n = strlen(file), m = strlen(ending);

	return n > m && strcmp(file + n - m, ending) == 0;
}

int
tmpl_read(struct tmpl_env *env, const char *file, char **ret, size_t *ret_n)
{
	FILE *in = fopen(file, "rb");
	size_t room = 4 << 20;

	if (!in) {
		fprintf(env->errors, "cannot read %s\n", file);
		return -1;
	}
	*ret = arena_alloc(env->mem, room);
	*ret_n = fread(*ret, 1, room - 1, in);
	*ret = arena_memdup(env->mem, *ret, *ret_n + 1);
	fclose(in);
	return 0;
}

static int
add_asset(struct tmpl_env *env, const char *file, struct outputs *out)
{
	char *data;
	size_t n;

	if (tmpl_read(env, file, &data, &n) < 0)
		return -1;
	return tmpl_asset(env, base_name(file), data, n, out->assets);
}

/* Assets first, style sheets last among them since they name others; then words, then templates. */
static int
read_all(struct tmpl_env *env, int n, char **files, struct outputs *out)
{
	char *text, *name;
	size_t size;
	int i, rc = 0;

	for (i = 0; i < n && rc == 0; i++)
		if (!has_ending(files[i], ".html") && !has_ending(files[i], ".msg") && !has_ending(files[i], ".css"))
			rc = add_asset(env, files[i], out);
	for (i = 0; i < n && rc == 0; i++)
		if (has_ending(files[i], ".css"))
			rc = add_asset(env, files[i], out);
	for (i = 0; i < n && rc == 0; i++) {
		if (!has_ending(files[i], ".html") && !has_ending(files[i], ".msg"))
			continue;
		rc = tmpl_read(env, files[i], &text, &size);
		if (rc == 0 && has_ending(files[i], ".msg")) {
			rc = tmpl_words(env, files[i], text, out->header, out->code);
		} else if (rc == 0) {
			name = arena_strdup(env->mem, base_name(files[i]));
			name[strlen(name) - strlen(".html")] = '\0';
			env->sources[env->n_sources++] = (struct tmpl_source){ name, text };
		}
	}
	return rc;
}

static int
compile_all(struct tmpl_env *env, struct outputs *out)
{
	int rc = 0;
	size_t i;

	for (i = 0; i < env->n_sources; i++)
		if (strncmp(env->sources[i].name, "frame_", 6) != 0 && tmpl_page(env, env->sources[i].name, out->header,
		    out->code) < 0)
			rc = -1;        /* go on: report every bad template in one run */
	return rc;
}

static FILE *
open_output(struct tmpl_env *env, const char *dir, const char *name)
{
	return fopen(arena_printf(env->mem, "%s/%s", dir, name), "w");
}

static void
remove_outputs(struct tmpl_env *env, const char *dir)
{
	remove(arena_printf(env->mem, "%s/pages.h", dir));
	remove(arena_printf(env->mem, "%s/pages.c", dir));
	remove(arena_printf(env->mem, "%s/assets.c", dir));
}

static int
run(struct tmpl_env *env, const char *dir, int n, char **files)
{
	struct outputs out = { open_output(env, dir, "pages.h"), open_output(env, dir, "pages.c"), open_output(env, dir,
		"assets.c") };
	int rc;

	if (!out.header || !out.code || !out.assets) {
		fprintf(env->errors, "cannot write to %s\n", dir);
		return -1;
	}
	fprintf(out.header,
	    "/* Made from src/web by src/build/tmpl: change those. */\n#ifndef KW_WEB_PAGES_H\n#define KW_WEB_PAGES_H\n\n"
	    "#include <stdbool.h>\n#include \"web/web.h\"\n\n");
	fprintf(out.code, "/* Made from src/web by src/build/tmpl: change those. */\n#include \"web/pages.h\"\n\n");
	fprintf(out.assets,
	    "/* Made from src/web by src/build/tmpl: change those. */\n#include \"web/web.h\"\n\n#include <string.h>\n\n");
	rc = read_all(env, n, files, &out);
	if (rc == 0)
		rc = compile_all(env, &out);
	tmpl_assets_end(env, out.assets);
	fprintf(out.header, "#endif\n");
	if (fclose(out.header) || fclose(out.code) || fclose(out.assets))
		rc = -1;
	return rc;
}

int
main(int argc, char **argv)
{
	struct tmpl_env env = { .mem = arena_new(), .errors = stderr };
	int rc;

	if (argc < 3) {
		fprintf(stderr, "usage: tmpl OUTDIR FILE...\n");
		return 2;
	}
	env.assets = arena_alloc(env.mem, (size_t)argc * sizeof(*env.assets));
	env.sources = arena_alloc(env.mem, (size_t)argc * sizeof(*env.sources));
	rc = run(&env, argv[1], argc - 2, argv + 2);
	if (rc < 0)
		remove_outputs(&env, argv[1]);
	arena_free(env.mem);
	return rc < 0 ? 1 : 0;
}
