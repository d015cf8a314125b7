/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Fault points: the nth pass of the point named in KEYWARD_FAULT ("db.commit:3") fails. */
#include "base/fault.h"

#ifdef KEYWARD_FAULTS
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

bool
fault_hit(const char *point)
{
	static atomic_int passes;
	const char *wanted = getenv("KEYWARD_FAULT");
	size_t n = strlen(point);

	if (!wanted || strncmp(wanted, point, n) || wanted[n] != ':')
		return false;
	return atomic_fetch_add(&passes, 1) + 1 == atoi(wanted + n + 1);
}
#endif
