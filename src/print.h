/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* keywardd -x NAME: prints one of the tables that the program is made of. */
#ifndef KW_PRINT_H
#define KW_PRINT_H

/* 0, or -1 when there is no table of that name. */
int print_table(const char *name);

/* print_openapi.c */
void print_openapi(void);

#endif
