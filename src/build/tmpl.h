/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The template compiler, run by make before anything else: HTML templates, message files and assets become C.
 *
 * A template begins with the fields that it shows, one a line, then comes HTML with holes:
 *
 *     @str organisation            const char *, NULL shows nothing
 *     @bool has_error
 *     @list sessions id device     array of structs of strings; a name with is_ or has_ is a bool
 *
 *     {{organisation}}             the field, escaped for the place where it stands
 *     {{t login_title}}            a word of messages/en.msg; {{t key field}} puts the field in the place of {}
 *     {{#if f}} {{#if !f}} {{else}} {{/if}}     {{#each sessions}} ... {{/each}}
 *     {{> frame_head}}             another template, with its fields
 *     {{asset app.css}}            address of an embedded file
 *
 * The kind of escaping is decided here, from the place (tmpl_context.c).  Where no escaping is safe the template is refused and the
 * build fails.  Plain words outside messages are refused, too.
 */
#ifndef KW_BUILD_TMPL_H
#define KW_BUILD_TMPL_H

#include <stdbool.h>
#include <stdio.h>
#include "base/mem.h"

/* ---- where in the HTML we are ---- */

enum tmpl_escape { TMPL_TEXT, TMPL_URL, TMPL_URL_PART };

enum tmpl_state {
	TMPL_DATA, TMPL_TAG_OPEN, TMPL_TAG_NAME, TMPL_END_NAME, TMPL_IN_TAG, TMPL_ATTR_NAME, TMPL_BEFORE_VALUE, TMPL_VALUE,
	TMPL_AFTER_VALUE,
	TMPL_MARKUP, TMPL_COMMENT, TMPL_DOCTYPE, TMPL_RCDATA, TMPL_RAW,
};

#define TMPL_DEPTH 64
#define TMPL_NAME 40

struct tmpl_context {
	enum tmpl_state state;
	char tag[TMPL_NAME], attr[TMPL_NAME];
	char quote;
	char value[256];                /* the literal part of the attribute's value so far, cut; a hole is \1 */
	size_t n_value;
	char tail[16];                  /* last characters, to find --> and </title> */
	char open[TMPL_DEPTH][TMPL_NAME];       /* elements not closed yet */
	int n_open;
	const char *why;                /* sentence of the refusal */
};

/* 0, or -1 with why. */
int tmpl_context_feed(struct tmpl_context *context, const char *text, size_t n) MUST_CHECK;
int tmpl_context_hole(struct tmpl_context *context, enum tmpl_escape *ret) MUST_CHECK;
/* May a block ({{#if}}) begin or end here? */
int tmpl_context_block(struct tmpl_context *context) MUST_CHECK;
/* Both ways through a block must lead to the same place. */
bool tmpl_context_equal(const struct tmpl_context *a, const struct tmpl_context *b);

/* ---- what templates may name ---- */

struct tmpl_word {
	const char *key, *text;
};

struct tmpl_asset {
	const char *name, *hashed;
};

struct tmpl_source {
	const char *name;               /* "login" */
	char *text;
};

struct tmpl_env {
	struct arena *mem;
	struct tmpl_word *words;        size_t n_words;
	struct tmpl_asset *assets;      size_t n_assets;
	struct tmpl_source *sources;    size_t n_sources;
	FILE *errors;
};

/* A C string constant of n bytes. */
void tmpl_c_string(FILE *out, const char *text, size_t n);

/* Whole file, terminated; -1 after a message. */
int tmpl_read(struct tmpl_env *env, const char *file, char **ret, size_t *ret_n) MUST_CHECK;
/* "key = words" lines; # comments.  Fills env->words and writes the table. */
int tmpl_words(struct tmpl_env *env, const char *file, char *text, FILE *header, FILE *code) MUST_CHECK;
/* Writes one embedded file; url(name) of a style sheet gets the hashed name, so style sheets come last. */
int tmpl_asset(struct tmpl_env *env, const char *name, char *data, size_t n, FILE *code) MUST_CHECK;
void tmpl_assets_end(struct tmpl_env *env, FILE *code);
/* Compiles the page named name, which is in env->sources. */
int tmpl_page(struct tmpl_env *env, const char *name, FILE *header, FILE *code) MUST_CHECK;

#endif
