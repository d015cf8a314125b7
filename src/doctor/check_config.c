/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The configuration file, and room on the disks that it names. */
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/network.h"
#include "base/node.h"
#include "doctor_int.h"

#define SPACE_WARN_BYTES (INT64_C(1) << 30)
#define SPACE_BAD_BYTES (INT64_C(200) << 20)
#define FILES_WARN 10000
#define FOLDERS_MAX 8
#define PROXY_BITS_LEAST 124 /* of 128: 16 addresses */

/* Who writes it names the master key, the database and the issuer (ASVS 5.0 13.2.2). */
static bool
is_ours_alone(struct check *c, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		check_bad(c, "", "", "%s: %s", path, strerror(errno));
	else if (st.st_mode & 022)
		check_bad(c, "", op_printf(c->op, "chmod go-w %s", path),
		    "%s can be changed by others than its owner (mode %04o)", path, (unsigned)(st.st_mode & 07777));
	else
		return true;
	return false;
}

/* Whoever may put a file into the folder changes the configuration as well. */
static bool
are_drop_ins_ours(struct check *c)
{
	const char *folder = config_folder(c->op, c->file);
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	bool is_good = !dir || is_ours_alone(c, folder);

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			is_good = is_ours_alone(c, op_printf(c->op, "%s/%s", folder, entry->d_name)) && is_good;
	if (dir)
		closedir(dir);
	return is_good;
}

/* Each with the file of keyward.d or the variable that it stands in; false when there are none. */
static bool
tell_mistakes(struct check *c, const struct problems *problems)
{
	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->v[i];
		const char *place = p->line ? op_printf(c->op, "%s line %d", p->source, p->line) : p->source;

		check_bad(c, p->path, op_printf(c->op, "correct %s, then: systemctl restart keywardd", place), "%s: %s", place,
		    p->sentence);
	}
	return problems->n > 0;
}

/* A proxy is believed what it says of addresses; so is whoever else has one of its network. */
static void
look_at_proxies(struct check *c)
{
	const char *text = doctor_config(c->doctor)->trusted_proxies;
	struct networks networks;

	if (networks_read(c->op->mem, text, &networks))
		return;
	for (size_t i = 0; i < networks.n; i++) {
		const struct network *network = &networks.v[i];
		char address[ADDRESS_TEXT_BYTES];
		bool is_four;

		if (network->bits >= PROXY_BITS_LEAST || address_is_loopback(&network->address))
			continue;
		address_text(&network->address, address);
		is_four = strchr(address, '.') && !strchr(address, ':');
		check_warn(c, "trusted_proxies", "name the proxies alone, each by its own address, for example 10.20.0.11",
		    "%s/%d is more than a few proxies: every computer in it can choose the address that is counted and shown",
		    address, is_four ? network->bits - 96 : network->bits);
	}
}

void
check_configuration(struct check *c)
{
	bool is_good;

	if (doctor_need(c->doctor, NEED_CONFIG)) {
		if (!tell_mistakes(c, doctor_config_problems(c->doctor)))
			check_bad(c, "",
			    "etc/keyward.yaml of the sources explains every key; \"keyward config check FILE\" checks one", "%s",
			    doctor_why(c->doctor, NEED_CONFIG));
		return;
	}
	is_good = is_ours_alone(c, c->file);
	look_at_proxies(c);
	if (are_drop_ins_ours(c) && is_good)
		check_ok(c, "", "%s has no mistakes", c->file);
}

/* ---- disk ---- */

struct folders {
	dev_t devices[FOLDERS_MAX];
	size_t n;
};

/* Two folders of one file system are one thing to look at. */
static bool
is_new(struct folders *folders, const char *folder)
{
	struct stat st;

	if (stat(folder, &st) < 0)
		return true;
	for (size_t i = 0; i < folders->n; i++)
		if (folders->devices[i] == st.st_dev)
			return false;
	if (folders->n < FOLDERS_MAX)
		folders->devices[folders->n++] = st.st_dev;
	return true;
}

static void
look_at_space(struct check *c, const char *folder, const char *what)
{
	struct statvfs fs;
	int64_t free_bytes;

	if (statvfs(folder, &fs) < 0) {
		check_bad(c, folder, op_printf(c->op, "make the folder, for the user of the daemon: install -d -m 0700 %s", folder),
		    "the folder %s cannot be used: %s", what, strerror(errno));
		return;
	}
	free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
	if (free_bytes < SPACE_BAD_BYTES)
		check_bad(c, folder, "free some space or give the disk more; a full disk refuses every sign-in",
		    "only %s left for %s", bytes_text(c->op, free_bytes), what);
	else if (free_bytes < SPACE_WARN_BYTES)
		check_warn(
		    c, folder, "free some space before it becomes urgent", "%s left for %s", bytes_text(c->op, free_bytes), what);
	/* some file systems count no files: f_files is 0 */
	else if (fs.f_files && fs.f_favail < FILES_WARN)
		check_warn(c, folder, "remove files that nobody needs", "only %llu more files fit where %s is",
		    (unsigned long long)fs.f_favail, what);
	else
		check_ok(c, folder, "%s free for %s", bytes_text(c->op, free_bytes), what);
}

static const char *
folder_of(struct op *op, const char *file)
{
	return dirname(op_strdup(op, file));
}

void
check_disk(struct check *c)
{
	const struct config *config = c->op->config;
	struct folders seen = { .n = 0 };
	const struct {
		const char *folder, *what;
		bool must_be;
	} all[] = {
	    { config->database[0] == '/' ? folder_of(c->op, config->database) : NULL, "the database", true },
	    { folder_of(c->op, config->socket), "the socket", false },
	    { folder_of(c->op, c->file), "the configuration", true },
	    { "/var/log", "logs", false },
	};

	for (size_t i = 0; i < countof(all); i++)
		if (all[i].folder && (all[i].must_be || access(all[i].folder, F_OK) == 0) && is_new(&seen, all[i].folder))
			look_at_space(c, all[i].folder, all[i].what);
}
