/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Log lines: assembled in a fixed buffer and written by one write(2), so that threads never mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/time.h"

#define LINE_BYTES 8192
#define VALUE_BYTES 1024

static _Atomic int limit = LOG_LEVEL_INFO;
static bool is_journal;
/* syslog(3): what the journal takes "<N>" before a line for */
static const char *const priorities[] = { "<3>", "<4>", "<5>", "<6>", "<7>" };
static const char *const names[] = { "error", "warning", "notice", "info", "debug" };

void
log_set_level(int level)
{
	limit = level;
}

void
log_open(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long device, inode;
	struct stat status;

	is_journal = stream && sscanf(stream, "%lu:%lu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
	    status.st_dev == device && status.st_ino == inode;
}

int
log_level_parse(const char *name)
{
	for (size_t i = 0; i < countof(names); i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -1;
}

struct line {
	char text[LINE_BYTES];
	size_t n;
};

static void
put(struct line *line, const char *bytes, size_t n)
{
	/* room for the closing brace and line end stays free */
	if (n > LINE_BYTES - 4 - line->n)
		n = 0;
	memcpy(line->text + line->n, bytes, n);
	line->n += n;
}

/* Bytes of a valid UTF-8 sequence at s, or 0. */
static size_t
utf8_at(const unsigned char *s, size_t left)
{
	size_t n = *s < 0x80 ? 1 : *s >= 0xc2 && *s < 0xe0 ? 2 : *s >= 0xe0 && *s < 0xf0 ? 3 : *s >= 0xf0 && *s < 0xf5 ? 4 : 0;

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* A JSON string.  Controls, DEL, C1 and the line separators U+2028/9 are escaped: no value can forge a line (ASVS 16.4.1). */
static void
put_string(struct line *line, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	size_t left = strnlen(value, VALUE_BYTES);

	put(line, "\"", 1);
	while (left) {
		size_t n = utf8_at(s, left);
		char escape[8];

		if (n == 1 && (*s < 0x20 || *s == '"' || *s == '\\' || *s == 0x7f)) {
			snprintf(escape, sizeof(escape), "\\u%04x", *s);
			put(line, escape, 6);
		} else if (n == 2 && s[0] == 0xc2 && s[1] < 0xa0) {
			snprintf(escape, sizeof(escape), "\\u%04x", s[1]);
			put(line, escape, 6);
		} else if (n == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9)) {
			put(line, s[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
		} else if (n) {
			put(line, (const char *)s, n);
		} else {
			put(line, "\\ufffd", 6);
			n = 1;
		}
		s += n;
		left -= n;
	}
	put(line, "\"", 1);
}

static void
put_pair(struct line *line, const char *name, const char *value)
{
	/* at worst every byte becomes six; a pair that may not fit is left out whole */
	if (LINE_BYTES - line->n < strlen(name) + 6 * strnlen(value, VALUE_BYTES) + 16)
		return;
	put(line, line->n > 1 ? "," : "", line->n > 1);
	put_string(line, name);
	put(line, ":", 1);
	put_string(line, value);
}

void
log_line(int level, const char *what, ...)
{
	struct line line = { .n = 0 };
	char at[TIME_TEXT_BYTES], priority[4];
	struct iovec parts[2] = { { .iov_base = priority, .iov_len = sizeof(priority) - 1 } };
	va_list args;
	const char *name;

	if (level > limit)
		return;
	memcpy(priority, priorities[level], sizeof(priority));
	put(&line, "{", 1);
	put_pair(&line, "time", time_text(time_now_ms(), at));
	put_pair(&line, "level", names[level]);
	put_pair(&line, "what", what);
	va_start(args, what);
	while ((name = va_arg(args, const char *))) {
		const char *value = va_arg(args, const char *);

		if (value)
			put_pair(&line, name, value);
	}
	va_end(args);
	line.text[line.n++] = '}';
	line.text[line.n++] = '\n';
	parts[1] = (struct iovec){ .iov_base = line.text, .iov_len = line.n };
	if (writev(STDERR_FILENO, parts + !is_journal, 1 + is_journal) < 0)
		return;                         /* nowhere left to tell it */
}
