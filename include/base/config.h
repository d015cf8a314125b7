/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The configuration, declared once in include/tables/config.def.  A key's value is what the last of these says:
 *
 *     its preset; keyward.yaml; the files keyward.d/NAME.yaml beside it, in the order of their names; the variable KEYWARD_ and the
 *     key in upper case; for a secret that none of them names, a credential of systemd (master_key: master.key)
 *
 *     const struct config *config;
 *     int rc = config_load(op, "/etc/keyward/keyward.yaml", &problems, &config);
 *     config->session_idle (seconds) ...
 *     config_unref(config);
 *
 * A config never changes: SIGHUP loads a new one beside it.  Secrets are given as @file or as systemd credential (base/secret.h):
 * a config holds where they are, never what they are.
 */
#ifndef KW_BASE_CONFIG_H
#define KW_BASE_CONFIG_H

#include <stdio.h>
#include "base/node.h"
#include "base/op.h"

enum config_type {
	CONFIG_STR,                     /* const char * */
	CONFIG_PATH,                    /* const char *, absolute, or relative to the file's folder */
	CONFIG_SECRET,                  /* const char *, the path of a file with a secret; written as base/secret.h tells, or as a path */
	CONFIG_URL,                     /* const char *, https */
	CONFIG_LISTEN,                  /* const char *, "address:port" */
	CONFIG_SEC,                     /* int64_t seconds */
	CONFIG_INT,                     /* int64_t */
	CONFIG_BOOL,                    /* bool */
	CONFIG_LEVEL,                   /* const char *, name of a log level */
	CONFIG_NETWORKS,                /* const char *, networks as base/network.h reads them */
	CONFIG_DATABASE,                /* const char *, as config_database reads it */
};

/* C type of a key by its config type */
#define CONFIG_C_STR const char *
#define CONFIG_C_PATH const char *
#define CONFIG_C_SECRET const char *
#define CONFIG_C_URL const char *
#define CONFIG_C_LISTEN const char *
#define CONFIG_C_SEC int64_t
#define CONFIG_C_INT int64_t
#define CONFIG_C_BOOL bool
#define CONFIG_C_LEVEL const char *
#define CONFIG_C_NETWORKS const char *
#define CONFIG_C_DATABASE const char *

struct config {
#define KEY(name, type, preset, min, max, when, text) CONFIG_C_##type name;
#include "tables/config.def"
#undef KEY
	const char *file;               /* where it was read from; NULL for the presets alone */
};

/*
 * Reads the file and what goes before it; NULL reads nothing and gives the presets.  Everything wrong (unknown, missing, duplicate, mistyped,
 * out of range) is added to problems in one run; ERR_CONFIG when there is any.  *ret has one reference.
 */
int config_load(struct op *op, const char *file, struct problems *problems, const struct config **ret) MUST_CHECK;
/*
 * The name of a database as it is opened: an address of drivers.def as it stands, a path that begins at the folder (NULL: as it stands) in
 * full; belongs to the arena.  NULL when it is neither, and *ret_fault says why.
 */
const char *config_database(struct arena *mem, const char *text, const char *folder, const char **ret_fault);
/* The same text for eyes: a password that stands in an address, where none belongs, is ***. */
char *config_database_shown(struct arena *mem, const char *text);
/* Adds that a key's value will not do, where it was given; for rooms that know more of it than its type. */
void config_blame(const struct config *config, const char *key, struct problems *problems, const char *sentence);
/* The folder of a configuration file's drop-ins, whether it exists or not; belongs to the op. */
const char *config_folder(struct op *op, const char *file);
const struct config *config_ref(const struct config *config);
void config_unref(const struct config *config);
/* Names of keys that differ and take effect only at a start; comma separated, "" when none; belongs to the op. */
char *config_needs_restart(struct op *op, const struct config *old, const struct config *new);
/* Before config is shared: its keys that take effect only at a start get the values of old. */
void config_keep_start(const struct config *config, const struct config *old);
/*
 * Every key with its value, as YAML, and whether that is the preset; or where each comes from: "/etc/keyward/keyward.yaml:3:1",
 * "KEYWARD_SESSION_IDLE", "preset".  Secrets do not occur in it, nor a password
 * that somebody put into the address of the database.
 */
void config_show(FILE *out, const struct config *config, bool want_origin);
/* The same as one object, with an origin { "value": ..., "origin": ... } a key; belongs to the op. */
json_t *config_json(struct op *op, const struct config *config, bool want_origin);
/* The sample file with the text of every key; etc/keyward.yaml is made of it. */
void config_print_sample(FILE *out);
/* The manual's section on the keys, as roff. */
void config_print_manual(FILE *out);

#endif
