/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Message files: "key = words" a line, # for comments.  They become an enum (a missing key is a compile error in C and a refused
 * template in HTML) and a table of texts.
 */
#include "tmpl.h"

#include <ctype.h>
#include <string.h>


/* As a C string constant; three-digit octal, so that no digit behind it can be swallowed. */
void
tmpl_c_string(FILE *out, const char *text, size_t n)
{
	size_t i;

	putc('"', out);
	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f || c == '?')
			fprintf(out, "\\%03o", c);
		else
			putc(c, out);
	}
	putc('"', out);
}

static bool
is_key(const char *key)
{
	size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return n > 0 && n < TMPL_NAME && key[n] == '\0';
}

static char *
trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

static int
add_word(struct tmpl_env *env, const char *file, int line, char *key, char *text)
{
	size_t i;

	if (!is_key(key) || !*text) {
		fprintf(env->errors, "%s:%d: wants a line \"key = words\"\n", file, line);
		return -1;
	}
	for (i = 0; i < env->n_words; i++)
		if (strcmp(env->words[i].key, key) == 0) {
			fprintf(env->errors, "%s:%d: %s is there twice\n", file, line, key);
			return -1;
		}
	env->words[env->n_words++] = (struct tmpl_word){ key, text };
	return 0;
}

static size_t
count_lines(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static int
read_words(struct tmpl_env *env, const char *file, char *text)
{
	char *rest = NULL, *line, *equals, *next;
	int number = 0;

	env->words = arena_alloc(env->mem, count_lines(text) * sizeof(*env->words));
	for (line = text; line; line = next) {
		number++;
		rest = strchr(line, '\n');
		next = rest ? rest + 1 : NULL;
		if (rest)
			*rest = '\0';
		line = trim(line);
		if (!*line || *line == '#')
			continue;
		equals = strchr(line, '=');
		if (equals)
			*equals = '\0';
		if (add_word(env, file, number, trim(line), equals ? trim(equals + 1) : line + strlen(line)) < 0)
			return -1;
	}
	return 0;
}

int
tmpl_words(struct tmpl_env *env, const char *file, char *text, FILE *header, FILE *code)
{
	size_t i;

	if (read_words(env, file, text) < 0)
		return -1;
	fprintf(header, "enum web_word {\n");
	for (i = 0; i < env->n_words; i++)
		fprintf(header, "\tWEB_%s,\n", env->words[i].key);
	fprintf(header, "\tWEB_WORD_COUNT\n};\n\n/* The words of a key in a language; English where the language has none. */\n"
	    "const char *web_word(const char *language, enum web_word word);\n\n");
	fprintf(code, "static const char *const words_en[WEB_WORD_COUNT] = {\n");
	for (i = 0; i < env->n_words; i++) {
		fprintf(code, "\t[WEB_%s] = ", env->words[i].key);
		tmpl_c_string(code, env->words[i].text, strlen(env->words[i].text));
		fprintf(code, ",\n");
	}
	fprintf(code, "};\n\nconst char *\nweb_word(const char *language, enum web_word word)\n{\n\t(void)language;\n"
	    "\treturn words_en[word];\n}\n\n");
	return 0;
}
