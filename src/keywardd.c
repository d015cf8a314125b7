/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The daemon's door. */
#include <stdio.h>
#include <string.h>

#include "print.h"

int
main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "-x"))
		return print_table(argv[2]) ? 2 : 0;
	fputs("usage: keywardd -x TABLE\n", stderr);
	return 2;
}
