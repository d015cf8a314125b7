/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Files that pages load are compiled in.  The name in an address carries a hash of the content, so that browsers may keep a
 * file for ever and still see a new one at once.  The hash (FNV-1a, 64 bits) tells versions apart; it protects nothing.
 */
#include "tmpl.h"

#include <stdint.h>
#include <string.h>

static const char *
type_of(const char *name)
{
	static const char *const types[][2] = {
		{ ".css", "text/css; charset=utf-8" },
		{ ".svg", "image/svg+xml" },
		{ ".woff2", "font/woff2" },
	};
	size_t i, n = strlen(name), m;

	for (i = 0; i < countof(types); i++) {
		m = strlen(types[i][0]);
		if (n > m && strcmp(name + n - m, types[i][0]) == 0)
			return types[i][1];
	}
	return NULL;
}

static uint64_t
hash(const char *data, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
	return h;
}

static const char *
hashed_name(struct tmpl_env *env, const char *name)
{
	size_t i;

	for (i = 0; i < env->n_assets; i++)
		if (strcmp(env->assets[i].name, name) == 0)
			return env->assets[i].hashed;
	return NULL;
}

/* Replaces url(name) by url(hashed name). */
static int
link_css(struct tmpl_env *env, const char *file, const char *css, char **ret, size_t *ret_n)
{
	FILE *out = open_memstream(ret, ret_n);
	const char *at, *end, *hashed;
	int rc = 0;

	while (out && (at = strstr(css, "url(")) != NULL) {
		at += 4;
		end = at + strcspn(at, ")");
		hashed = hashed_name(env, arena_strndup(env->mem, at, (size_t)(end - at)));
		if (!hashed) {
			fprintf(env->errors, "%s: url(%.*s) is no asset\n", file, (int)(end - at), at);
			rc = -1;
			break;
		}
		fwrite(css, 1, (size_t)(at - css), out);
		fputs(hashed, out);
		css = end;
	}
	if (!out)
		return -1;
	fputs(css, out);
	rc = fclose(out) == 0 ? rc : -1;
	arena_on_free(env->mem, mem_free, *ret);        /* open_memstream made it */
	return rc;
}

static void
write_bytes(FILE *code, size_t number, const char *data, size_t n)
{
	size_t i;

	fprintf(code, "static const unsigned char asset_%zu[] = {", number);
	for (i = 0; i < n; i++)
		fprintf(code, "%s%u,", i % 24 ? "" : "\n\t", (unsigned char)data[i]);
	fprintf(code, "\n};\n");
}

int
tmpl_asset(struct tmpl_env *env, const char *name, char *data, size_t n, FILE *code)
{
	const char *dot = strrchr(name, '.');

	if (!dot || !type_of(name)) {
		fprintf(env->errors, "%s: unknown type of file\n", name);
		return -1;
	}
	if (strcmp(dot, ".css") == 0 && link_css(env, name, data, &data, &n) < 0)
		return -1;
	write_bytes(code, env->n_assets, data, n);
	env->assets[env->n_assets++] = (struct tmpl_asset){ name,
		arena_printf(env->mem, "%.*s-%016llx%s", (int)(dot - name), name, (unsigned long long)hash(data, n), dot) };
	return 0;
}

void
tmpl_assets_end(struct tmpl_env *env, FILE *code)
{
	size_t i;

	fprintf(code, "\nstatic const struct web_asset assets[] = {\n");
	for (i = 0; i < env->n_assets; i++)
		fprintf(code, "\t{ \"%s\", \"%s\", asset_%zu, sizeof(asset_%zu) },\n", env->assets[i].hashed,
		    type_of(env->assets[i].name), i, i);
	fprintf(code, "};\n\nconst struct web_asset *\nweb_asset_find(const char *name)\n{\n\tsize_t i;\n\n"
	    "\tfor (i = 0; i < countof(assets); i++)\n\t\tif (strcmp(assets[i].name, name) == 0)\n\t\t\treturn &assets[i];\n"
	    "\treturn NULL;\n}\n");
}
