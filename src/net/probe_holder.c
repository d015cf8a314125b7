/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who holds a TCP port of this machine: /proc/net/tcp names the socket, /proc/PID/fd who has it open (root sees everybody's). */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/probe.h"

#define LISTENING 0x0a /* TCP_LISTEN, as the file writes it */
#define LISTENERS_MAX 16

/* proc_pid_net(5): "sl local_address rem_address st ... inode".  Adds the listeners of the port; several addresses may have it. */
static size_t
inodes_in(const char *file, int port, unsigned long found[static LISTENERS_MAX], size_t n)
{
	FILE *in = fopen(file, "re");
	char line[512];

	while (in && n < LISTENERS_MAX && fgets(line, sizeof(line), in)) {
		unsigned local, state;
		unsigned long inode;

		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu", &local, &state, &inode) ==
			3 &&
		    (int)local == port && state == LISTENING)
			found[n++] = inode;
	}
	if (in)
		fclose(in);
	return n;
}

static size_t
inodes_of(int port, unsigned long found[static LISTENERS_MAX])
{
	return inodes_in("/proc/net/tcp6", port, found, inodes_in("/proc/net/tcp", port, found, 0));
}

static bool
has_open(struct op *op, const char *pid, const char *wanted)
{
	const char *path = op_printf(op, "/proc/%s/fd", pid);
	DIR *folder = opendir(path);
	bool is_found = false;

	for (const struct dirent *entry = folder ? readdir(folder) : NULL; entry && !is_found; entry = readdir(folder)) {
		char target[64];
		ssize_t n = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		is_found = strcmp(target, wanted) == 0;
	}
	if (folder)
		closedir(folder);
	return is_found;
}

const char *
probe_process(struct op *op, int pid)
{
	FILE *in = fopen(op_printf(op, "/proc/%d/comm", pid), "re");
	char name[64] = "";

	if (in && fgets(name, sizeof(name), in))
		name[strcspn(name, "\n")] = '\0';
	if (in)
		fclose(in);
	return *name ? op_strdup(op, name) : NULL;
}

const char *
probe_holder(struct op *op, int port)
{
	unsigned long inodes[LISTENERS_MAX];
	DIR *processes = inodes_of(port, inodes) ? opendir("/proc") : NULL;
	const char *wanted, *holder = NULL;

	if (!processes)
		return NULL;
	wanted = op_printf(op, "socket:[%lu]", inodes[0]);
	for (const struct dirent *entry = readdir(processes); entry && !holder; entry = readdir(processes))
		if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name) && has_open(op, entry->d_name, wanted)) {
			int pid = (int)strtoimax(entry->d_name, NULL, 10);
			const char *name = probe_process(op, pid);

			holder = op_printf(op, "%s (process %d)", name ? name : "a program", pid);
		}
	closedir(processes);
	return holder;
}

int
probe_holds(struct op *op, int pid, int port)
{
	const char *process = op_printf(op, "%d", pid), *files = op_printf(op, "/proc/%d/fd", pid);
	unsigned long inodes[LISTENERS_MAX];
	size_t n = inodes_of(port, inodes);

	if (!n || access(files, R_OK | X_OK) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (has_open(op, process, op_printf(op, "socket:[%lu]", inodes[i])))
			return 1;
	return 0;
}
