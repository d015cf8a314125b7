/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The operator's log: one JSON object a line on standard error, at most 8 kB, every control character
 * escaped (so that no value can forge a line).  Secrets are never passed to it.
 *
 * When standard error is the journal of systemd, each line begins with its priority ("<4>"), which the journal takes off again.
 *
 *     log_line(LOG_LEVEL_WARNING, "directory.unreachable", "directory", name, "why", sentence, NULL);
 */
#ifndef KW_BASE_LOG_H
#define KW_BASE_LOG_H

enum { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* At the start of a daemon: looks whether standard error is the journal ($JOURNAL_STREAM, systemd.exec(5)). */
void log_open(void);
/* Lines above this level are not written; the default is INFO. */
void log_set_level(int level);
/* "error", "warning", ...; -1 when the name is none of them. */
int log_level_parse(const char *name);
/* Pairs of name and value (char *), ended by NULL; a NULL value is left out.  Values are cut at 1024 bytes. */
void log_line(int level, const char *what, ...) __attribute__((sentinel));

#endif
