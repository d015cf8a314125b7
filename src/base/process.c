/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Numbers of the process from /proc/self; it keeps nothing open. */
#include "base/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* proc_pid_stat(5): the second field is a name in brackets, which may hold blanks; field 22 is the start in ticks since boot. */
static int64_t
start_ticks(void)
{
	char text[1024];
	FILE *in = fopen("/proc/self/stat", "re");
	size_t n = in ? fread(text, 1, sizeof(text) - 1, in) : 0;
	const char *at;

	if (in)
		fclose(in);
	text[n] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoimax(at, NULL, 10) : 0;
}

/* proc_stat(5): seconds since 1970; taken with the ticks it gives the same start at every look, whatever the clock does. */
static int64_t
boot_sec(void)
{
	char line[256];
	FILE *in = fopen("/proc/stat", "re");
	int64_t sec = 0;

	while (in && !sec && fgets(line, sizeof(line), in))
		if (strncmp(line, "btime ", 6) == 0)
			sec = strtoimax(line + 6, NULL, 10);
	if (in)
		fclose(in);
	return sec;
}

static int64_t
start_ms(void)
{
	int64_t ticks = start_ticks(), boot = boot_sec();

	return ticks && boot ? boot * 1000 + ticks * 1000 / sysconf(_SC_CLK_TCK) : 0;
}

static void
read_memory(struct process_numbers *ret)
{
	FILE *in = fopen("/proc/self/statm", "re");
	int64_t all = 0, resident = 0;

	if (!in)
		return;
	if (fscanf(in, "%" SCNd64 " %" SCNd64, &all, &resident) == 2) {
		ret->virtual_bytes = all * sysconf(_SC_PAGESIZE);
		ret->resident_bytes = resident * sysconf(_SC_PAGESIZE);
	}
	fclose(in);
}

static int64_t
count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int64_t n = 0;

	if (!folder)
		return 0;
	for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
		n += entry->d_name[0] != '.';
	closedir(folder);
	return n - 1;                   /* that of the folder itself */
}

void
process_read(struct process_numbers *ret)
{
	struct timespec cpu;
	struct rlimit limit;

	*ret = (struct process_numbers){ .open_fds = count_fds(), .start_ms = start_ms() };
	read_memory(ret);
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
		ret->cpu_ms = (int64_t)cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		ret->max_fds = limit.rlim_cur > INT64_MAX ? 0 : (int64_t)limit.rlim_cur;
}
