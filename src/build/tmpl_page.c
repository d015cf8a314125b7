/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One template to one C function.  The text is walked once: literal parts go through the HTML context and into the
 * output as they are, directives ({{...}}) become C.  Read compile_text() first, then one directive after the other.
 */
#include "tmpl.h"

#include <ctype.h>
#include <string.h>

#define MAX_FIELDS 64
#define MAX_BLOCKS 16
#define MAX_INCLUDES 4


enum kind { KIND_STR, KIND_BOOL, KIND_LIST };

struct field {
	enum kind kind;
	const char *name;
	const char *items[16];          /* LIST: names of the strings and bools of an item */
	int n_items;
};

struct block {
	bool is_each, has_else;
	const struct field *list;
	int line;
	struct tmpl_context before, then_end;
};

struct page {
	struct tmpl_env *env;
	const char *name;               /* page */
	const char *file;               /* template that is being read, for messages */
	int line, depth;
	struct field fields[MAX_FIELDS];
	int n_fields;
	struct block blocks[MAX_BLOCKS];
	int n_blocks;
	struct tmpl_context context;
	FILE *code;
};

static int
fail(struct page *p, const char *what, const char *detail)
{
	fprintf(p->env->errors, "%s.html:%d: %s%s%s\n", p->file, p->line, what, detail ? ": " : "", detail ? detail : "");
	return -1;
}

/* ---- fields ---- */

static struct field *
find_field(struct page *p, const char *name)
{
	int i;

	for (i = 0; i < p->n_fields; i++)
		if (strcmp(p->fields[i].name, name) == 0)
			return &p->fields[i];
	return NULL;
}

static bool
is_bool_name(const char *name)
{
	return strncmp(name, "is_", 3) == 0 || strncmp(name, "has_", 4) == 0 || strncmp(name, "may_", 4) == 0;
}

static bool
is_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return n > 0 && n < TMPL_NAME && name[n] == '\0' && isalpha((unsigned char)name[0]);
}

static int
declare_items(struct page *p, struct field *field, char **rest)
{
	char *item;

	while ((item = strtok_r(NULL, " \t", rest)) != NULL) {
		if (!is_name(item) || field->n_items == (int)countof(field->items))
			return fail(p, "a list wants names of strings", item);
		field->items[field->n_items++] = item;
	}
	return field->kind == KIND_LIST && field->n_items == 0 ? fail(p, "a list wants names of strings", NULL) : 0;
}

static int
declare(struct page *p, char *line)
{
	char *rest, *type = strtok_r(line, " \t", &rest), *name = strtok_r(NULL, " \t", &rest);
	struct field *field;

	if (!name || !is_name(name) || p->n_fields == MAX_FIELDS)
		return fail(p, "wants @str, @bool or @list and a name", NULL);
	if (find_field(p, name))
		return 0;       /* two templates that are put together may name the same field */
	field = &p->fields[p->n_fields++];
	field->name = name;
	if (strcmp(type, "@str") == 0)
		field->kind = KIND_STR;
	else if (strcmp(type, "@bool") == 0)
		field->kind = KIND_BOOL;
	else if (strcmp(type, "@list") == 0)
		field->kind = KIND_LIST;
	else
		return fail(p, "unknown type of field", type);
	return declare_items(p, field, &rest);
}

/* The C expression of a name: of the innermost item that has it, else of the page.  *ret_kind says what it is. */
static const char *
resolve(struct page *p, const char *name, enum kind *ret_kind)
{
	struct field *field;
	int i, k;

	for (i = p->n_blocks - 1; i >= 0; i--) {
		if (!p->blocks[i].is_each)
			continue;
		for (k = 0; k < p->blocks[i].list->n_items; k++)
			if (strcmp(p->blocks[i].list->items[k], name) == 0) {
				*ret_kind = is_bool_name(name) ? KIND_BOOL : KIND_STR;
				return arena_printf(p->env->mem, "item%d->%s", i, name);
			}
	}
	field = find_field(p, name);
	if (!field)
		return NULL;
	*ret_kind = field->kind;
	return arena_printf(p->env->mem, field->kind == KIND_LIST ? "page->n_%s" : "page->%s", name);
}

/* ---- literal text ---- */

static int
put_literal(struct page *p, const char *text, size_t n)
{
	size_t i, part;

	for (i = 0; i < n; i++) {
		if (tmpl_context_feed(&p->context, text + i, 1) < 0)
			return fail(p, p->context.why, p->context.attr[0] &&
			    p->context.state >= TMPL_ATTR_NAME ? p->context.attr : NULL);
		p->line += text[i] == '\n';
	}
	for (i = 0; i < n; i += part) {
		part = n - i < 1000 ? n - i : 1000;
		fprintf(p->code, "\tbuf_add_bytes(out, ");
		tmpl_c_string(p->code, text + i, part);
		fprintf(p->code, ", %zu);\n", part);
	}
	return 0;
}

/* ---- holes ---- */

static int
put_value(struct page *p, const char *name)
{
	static const char *const call[] = { [TMPL_TEXT] = "web_put_text", [TMPL_URL] = "web_put_url",
		[TMPL_URL_PART] = "web_put_url_part" };
	enum tmpl_escape escape;
	enum kind kind;
	const char *value = resolve(p, name, &kind);

	if (!value)
		return fail(p, "no such field", name);
	if (kind != KIND_STR)
		return fail(p, "only a string can be shown", name);
	if (tmpl_context_hole(&p->context, &escape) < 0)
		return fail(p, p->context.why, name);
	fprintf(p->code, "\t%s(out, %s);\n", call[escape], value);
	return 0;
}

static int
put_word(struct page *p, char *rest)
{
	char *save, *key = strtok_r(rest, " ", &save), *name = strtok_r(NULL, " ", &save);
	enum tmpl_escape escape;
	enum kind kind = KIND_STR;
	const char *value = name ? resolve(p, name, &kind) : "NULL";
	size_t i;

	if (!key || !value || kind != KIND_STR)
		return fail(p, "no such field", name);
	for (i = 0; i < p->env->n_words && strcmp(p->env->words[i].key, key) != 0; i++)
		;
	if (i == p->env->n_words)
		return fail(p, "the message files have no such key", key);
	if ((strstr(p->env->words[i].text, "{}") != NULL) != (name != NULL))
		return fail(p, "a word with {} wants a field, one without wants none", key);
	if (tmpl_context_hole(&p->context, &escape) < 0)
		return fail(p, p->context.why, key);
	if (escape != TMPL_TEXT)
		return fail(p, "a word cannot be an address", key);
	fprintf(p->code, "\tweb_put_word(out, web_word(language, WEB_%s), %s);\n", key, value);
	return 0;
}

static int
put_asset(struct page *p, const char *name)
{
	char *path;
	size_t i;

	for (i = 0; i < p->env->n_assets; i++)
		if (strcmp(p->env->assets[i].name, name) == 0) {
			path = arena_printf(p->env->mem, "/assets/%s", p->env->assets[i].hashed);
			return put_literal(p, path, strlen(path));
		}
	return fail(p, "no such asset", name);
}

/* ---- blocks ---- */

static struct block *
open_block(struct page *p, bool is_each)
{
	struct block *block;

	if (p->n_blocks == MAX_BLOCKS) {
		fail(p, "blocks are nested too deeply", NULL);
		return NULL;
	}
	if (tmpl_context_block(&p->context) < 0) {
		fail(p, p->context.why, NULL);
		return NULL;
	}
	block = &p->blocks[p->n_blocks];
	*block = (struct block){ .is_each = is_each, .line = p->line, .before = p->context };
	return block;
}

static int
begin_if(struct page *p, const char *name)
{
	bool is_not = *name == '!';
	enum kind kind;
	const char *value = resolve(p, name + is_not, &kind);

	if (!value)
		return fail(p, "no such field", name);
	if (!open_block(p, false))
		return -1;
	p->n_blocks++;
	if (kind == KIND_STR)
		fprintf(p->code, "\tif (%s(%s && *%s)) {\n", is_not ? "!" : "", value, value);
	else
		fprintf(p->code, "\tif (%s%s) {\n", is_not ? "!" : "", value);
	return 0;
}

static int
begin_each(struct page *p, const char *name)
{
	struct field *field = find_field(p, name);
	struct block *block;

	if (!field || field->kind != KIND_LIST)
		return fail(p, "no such list", name);
	block = open_block(p, true);
	if (!block)
		return -1;
	block->list = field;
	fprintf(p->code,
	    "\tfor (size_t i%d = 0; i%d < page->n_%s; i%d++) {\n"
	    "\tconst struct web_%s_%s *item%d = &page->%s[i%d];\n\n\t(void)item%d;\n",
	    p->n_blocks, p->n_blocks, name, p->n_blocks, p->name, name, p->n_blocks, name, p->n_blocks, p->n_blocks);
	p->n_blocks++;
	return 0;
}

static int
turn_else(struct page *p)
{
	struct block *block = p->n_blocks ? &p->blocks[p->n_blocks - 1] : NULL;

	if (!block || block->is_each || block->has_else)
		return fail(p, "{{else}} belongs to no {{#if}}", NULL);
	if (tmpl_context_block(&p->context) < 0)
		return fail(p, p->context.why, NULL);
	block->has_else = true;
	block->then_end = p->context;
	p->context = block->before;
	fprintf(p->code, "\t} else {\n");
	return 0;
}

static int
end_block(struct page *p, bool is_each)
{
	struct block *block = p->n_blocks ? &p->blocks[p->n_blocks - 1] : NULL;
	const struct tmpl_context *other;

	if (!block || block->is_each != is_each)
		return fail(p, "an end of a block without its beginning", NULL);
	if (tmpl_context_block(&p->context) < 0)
		return fail(p, p->context.why, NULL);
	other = block->has_else ? &block->then_end : &block->before;
	if (!tmpl_context_equal(&p->context, other))
		return fail(p, "both ways through a block must end at the same place of the HTML", NULL);
	if (other->state == TMPL_AFTER_VALUE)
		p->context.state = TMPL_AFTER_VALUE;
	p->n_blocks--;
	fprintf(p->code, "\t}\n");
	return 0;
}

/* ---- the walk ---- */

static int compile_source(struct page *p, const char *name);

static int
directive(struct page *p, char *text)
{
	if (strncmp(text, "#if ", 4) == 0)
		return begin_if(p, text + 4);
	if (strncmp(text, "#each ", 6) == 0)
		return begin_each(p, text + 6);
	if (strcmp(text, "else") == 0)
		return turn_else(p);
	if (strcmp(text, "/if") == 0)
		return end_block(p, false);
	if (strcmp(text, "/each") == 0)
		return end_block(p, true);
	if (strncmp(text, "> ", 2) == 0)
		return compile_source(p, text + 2);
	if (strncmp(text, "t ", 2) == 0)
		return put_word(p, text + 2);
	if (strncmp(text, "asset ", 6) == 0)
		return put_asset(p, text + 6);
	return put_value(p, text);
}

static int
compile_text(struct page *p, const char *text)
{
	const char *open, *close;

	while ((open = strstr(text, "{{")) != NULL) {
		if (put_literal(p, text, (size_t)(open - text)) < 0)
			return -1;
		close = strstr(open, "}}");
		if (!close)
			return fail(p, "a {{ without }}", NULL);
		if (directive(p, arena_strndup(p->env->mem, open + 2, (size_t)(close - open - 2))) < 0)
			return -1;
		text = close + 2;
	}
	return put_literal(p, text, strlen(text));
}

/* Declarations stand at the top; *ret_text is what comes behind them. */
static int
read_declarations(struct page *p, char *text, char **ret_text)
{
	char *end;

	while (*text == '@' || *text == '\n') {
		end = text + strcspn(text, "\n");
		if (*text == '@' && declare(p, arena_strndup(p->env->mem, text, (size_t)(end - text))) < 0)
			return -1;
		p->line++;
		text = *end ? end + 1 : end;
	}
	*ret_text = text;
	return 0;
}

static char *
find_source(struct page *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->env->n_sources; i++)
		if (strcmp(p->env->sources[i].name, name) == 0)
			return p->env->sources[i].text;
	return NULL;
}

/* All fields are known before the first hole is compiled: those of the page and of every template that it puts in. */
static int
collect_fields(struct page *p, const char *name)
{
	char *text = find_source(p, name), *close;

	if (!text || p->depth == MAX_INCLUDES)
		return fail(p, "no such template, or too many inside each other", name);
	p->file = name;
	p->line = 1;
	if (read_declarations(p, text, &text) < 0)
		return -1;
	while ((text = strstr(text, "{{> ")) != NULL && (close = strstr(text, "}}")) != NULL) {
		p->depth++;
		p->file = name;
		if (collect_fields(p, arena_strndup(p->env->mem, text + 4, (size_t)(close - text - 4))) < 0)
			return -1;
		p->depth--;
		text = close;
	}
	p->file = NULL;
	return 0;
}

static int
compile_source(struct page *p, const char *name)
{
	const char *outer_file = p->file;
	int outer_line = p->line, rc;
	char *text = find_source(p, name);

	if (!text)
		return fail(p, "no such template", name);
	p->file = name;
	p->line = 1;
	rc = read_declarations(p, text, &text);
	if (rc == 0)
		rc = compile_text(p, text);
	if (rc == 0 && outer_file) {
		p->file = outer_file;
		p->line = outer_line;
	}
	return rc;
}

static void
write_struct(const struct page *p, FILE *header)
{
	int i, k;

	for (i = 0; i < p->n_fields; i++) {
		if (p->fields[i].kind != KIND_LIST)
			continue;
		fprintf(header, "struct web_%s_%s {\n", p->name, p->fields[i].name);
		for (k = 0; k < p->fields[i].n_items; k++)
			fprintf(header, "\t%s%s;\n", is_bool_name(p->fields[i].items[k]) ? "bool " : "const char *",
			    p->fields[i].items[k]);
		fprintf(header, "};\n\n");
	}
	fprintf(header, "struct web_%s {\n", p->name);
	for (i = 0; i < p->n_fields; i++) {
		if (p->fields[i].kind == KIND_LIST)
			fprintf(header, "\tconst struct web_%s_%s *%s;\n\tsize_t n_%s;\n", p->name, p->fields[i].name,
			    p->fields[i].name, p->fields[i].name);
		else
			fprintf(header, "\t%s%s;\n", p->fields[i].kind == KIND_BOOL ? "bool " : "const char *", p->fields[i].name);
	}
	fprintf(header,
	    "};\n\n/* The page as HTML, in mem. */\n"
	    "char *web_%s(struct arena *mem, const char *language, const struct web_%s *page);\n\n", p->name, p->name);
}

static int
compile_page(struct page *p)
{
	memset(p->context.tail, ' ', sizeof(p->context.tail) - 1);
	if (collect_fields(p, p->name) < 0 || compile_source(p, p->name) < 0)
		return -1;
	if (p->n_blocks > 0)
		return fail(p, "a block is not ended", NULL);
	if (p->context.state != TMPL_DATA || p->context.n_open > 0)
		return fail(p, "something is still open at the end of the page",
		    p->context.n_open ? p->context.open[p->context.n_open - 1] : NULL);
	return 0;
}

int
tmpl_page(struct tmpl_env *env, const char *name, FILE *header, FILE *code)
{
	struct page *p = arena_alloc(env->mem, sizeof(*p));

	p->env = env;
	p->name = name;
	p->code = code;
	fprintf(code, "char *\nweb_%s(struct arena *mem, const char *language, const struct web_%s *page)\n{\n"
	    "\tstruct buf buf = buf_in(mem), *out = &buf;\n\n\t(void)language;\n\t(void)page;\n", name, name);
	if (compile_page(p) < 0)
		return -1;
	fprintf(code, "\treturn buf.text;\n}\n\n");
	write_struct(p, header);
	return 0;
}
