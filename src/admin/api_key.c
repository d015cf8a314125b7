/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The API over our own keys. */
#include "api_int.h"
#include "people/catalog.h"
#include "people/keyring.h"

HANDLER(api_key_list);
HANDLER(api_key_list)
{
	struct shape_key_list list = { 0 };
	struct shape_key_view *items;
	struct keyring_entry *entries;
	size_t n;

	(void)request;
	keyring_entries(op, &entries, &n);
	items = op_alloc(op, (n + 1) * sizeof(*items));
	for (size_t i = 0; i < n; i++)
		items[i] = (struct shape_key_view){
			.kid = entries[i].kid, .alg = entries[i].alg, .use = entries[i].is_signing ? "signs" : "published",
			.since = entries[i].since_ms, .until = entries[i].until_ms,
		};
	list.items = (struct shape_list){ items, n };
	reply_shape(op, reply, 200, shape_key_list(), &list);
	return 0;
}

HANDLER(api_key_rotate);
HANDLER(api_key_rotate)
{
	const struct shape_key_rotate *in = route_body(request);
	int rc = keyring_rotate(op, in->alg);

	if (!rc)
		api_done(op, reply, "a new %s key signs from now on; the old one stays published for key_overlap", in->alg);
	return rc;
}

HANDLER(api_key_rewrap);
HANDLER(api_key_rewrap)
{
	const struct shape_key_rewrap *in = route_body(request);
	int rc;

	if (in->file[0] != '/')
		return op_fail(op, ERR_INVALID, "file must be an absolute path, because the daemon reads it");
	rc = keyring_rewrap(op, in->file);
	/* The catalog holds bind passwords as they are sealed. */
	if (!rc)
		rc = catalog_reload(op);
	if (!rc)
		api_done(op, reply, "all secrets are sealed under the key in %s; put that file in the place of master_key "
		    "before the next start",
		    in->file);
	return rc;
}
