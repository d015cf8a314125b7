/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Text for a terminal of 80 columns that may be a dumb one: no colours, no cursor, nothing but lines. */
#include "setup_int.h"

#include <stdarg.h>
#include <string.h>
#include <uniwidth.h>

#define COLUMNS 78

static int
width_of(const char *text, size_t n)
{
	int width = u8_width((const uint8_t *)text, n, "UTF-8");

	return width > 0 ? width : 0;
}

/* One line, broken at blanks; what follows stands below its first word. */
static void
put_line(FILE *out, const char *line, size_t n)
{
	size_t indent = strspn(line, " "), at;
	int column = (int)(indent < n ? indent : n);

	if (indent > n)
		indent = n;
	fprintf(out, "%*s", (int)indent, "");
	for (at = indent; at < n;) {
		size_t length = 0, gap = at;

		while (gap < n && line[gap] == ' ')
			gap++;
		while (gap + length < n && line[gap + length] != ' ')
			length++;
		if (column > (int)indent && column + (int)(gap - at) + width_of(line + gap, length) > COLUMNS) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = (int)indent;
		} else {
			fprintf(out, "%*s", (int)(gap - at), "");
			column += (int)(gap - at);
		}
		fwrite(line + gap, 1, length, out);
		column += width_of(line + gap, length);
		at = gap + length;
	}
	fputc('\n', out);
}

static void
put_text(struct setup *s, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		const char *line = clean_text(s->op, op_strndup(s->op, text, n));

		put_line(s->out, line, strlen(line));
		text += n + (text[n] == '\n');
	}
	fflush(s->out);
}

void
say(struct setup *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_text(s, arena_vprintf(s->op->mem, format, args));
	va_end(args);
}

void
say_title(struct setup *s, const char *title)
{
	fprintf(s->out, "\n== %s\n\n", title);
	fflush(s->out);
}

void
say_problem(struct setup *s, const char *format, ...)
{
	const char *text;
	va_list args;

	va_start(args, format);
	text = arena_vprintf(s->op->mem, format, args);
	va_end(args);
	put_text(s, op_printf(s->op, "! %s", text));
	if (s->step)
		json_object_set_new(s->step, "problem", json_string(clean_text(s->op, text)));
}
