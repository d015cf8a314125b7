/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The master key and the keys that it seals. */
#include "doctor_int.h"

#include <string.h>

#include "base/text.h"
#include "crypt/seal.h"
#include "people/catalog.h"
#include "people/keyring.h"

static const char *const algorithms[] = { "ES256", "RS256" };

static void
look_at_passwords(struct check *c)
{
	const struct catalog_snapshot *catalog = catalog_get(c->op);
	char *password;

	for (size_t i = 0; i < catalog->n_directories; i++) {
		const struct catalog_directory *directory = &catalog->directories[i];

		if (directory->body->password || !directory->sealed_password)
			continue;
		if (catalog_bind_password(c->op, directory, &password))
			check_failed(c, directory->body->name,
			    op_printf(
				c->op, "set it anew: keyward directory password %s --password-file FILE", directory->body->name));
		else
			mem_wipe(password, strlen(password));
	}
}

void
check_master_key(struct check *c)
{
	const char *file = c->op->config->master_key;

	if (text_starts_with(file, "credential:")) {
		check_warn(c, "",
		    "run it as the service does: CREDENTIALS_DIRECTORY=/run/credentials/keywardd.service keyward doctor master-key",
		    "the master key is %s, which only the service is given", file);
		return;
	}
	if (doctor_need(c->doctor, NEED_KEYS)) {
		check_bad(c, "", "mend the file as it says, or put back the right one from the copy that was kept apart from the backups",
		    "%s", doctor_why(c->doctor, NEED_KEYS));
		return;
	}
	check_ok(c, "",
	    "master key %s opens what the database holds; see that a copy of %s lies where the database's backups are not",
	    master_key_id(keyring_master(c->op)), file);
	look_at_passwords(c);
}

void
check_signing_keys(struct check *c)
{
	struct keyring_entry *keys;
	size_t n;

	keyring_entries(c->op, &keys, &n);
	for (size_t a = 0; a < countof(algorithms); a++) {
		const struct keyring_entry *signer = NULL;

		for (size_t i = 0; i < n; i++)
			if (keys[i].is_signing && !strcmp(keys[i].alg, algorithms[a]))
				signer = &keys[i];
		if (signer)
			check_ok(c, algorithms[a], "tokens are signed with key %s, %s old", signer->kid,
			    length_text(c->op, c->op->now_ms - signer->since_ms));
		else
			check_bad(c, algorithms[a],
			    op_printf(c->op,
				"systemctl restart keywardd: it makes one at its start (as after a restore); or: keyward key rotate "
				"--alg %s",
				algorithms[a]),
			    "no key signs %s tokens", algorithms[a]);
	}
}
