/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * For LD_PRELOAD: a wall clock that a test moves under a running program.  The file $CLOCK_FILE holds a number of seconds (eight bytes) that
 * is added; the clocks that count from the boot, and every wait, stay what they are.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t
moved(void)
{
	static volatile int64_t *seconds;

	if (!seconds) {
		int fd = open(getenv("CLOCK_FILE"), O_RDONLY | O_CLOEXEC);
		void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*seconds), PROT_READ, MAP_SHARED, fd, 0);

		if (map == MAP_FAILED)
			abort();
		close(fd);
		seconds = map;
	}
	return *seconds;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	long rc = syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		now->tv_sec += moved();
	return (int)rc;
}

time_t
time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec at;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &at);
	now->tv_sec = at.tv_sec;
	now->tv_usec = at.tv_nsec / 1000;
	return 0;
}
