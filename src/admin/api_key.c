/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The API over our own keys. */
#include <string.h>

#include "api_int.h"
#include "people/catalog.h"
#include "people/keyring.h"

HANDLER(api_key_list);
HANDLER(api_key_list)
{
	const char *text = keyring_jwks(op);
	struct shape_key_list list = { 0 };
	struct shape_key_view *items;
	json_t *set, *keys, *key;
	size_t i;
	int rc = json_read(op, text, strlen(text), &set);

	(void)request;
	if (rc)
		return rc;
	keys = json_object_get(set, "keys");
	items = op_alloc(op, (json_array_size(keys) + 1) * sizeof(*items));
	json_array_foreach(keys, i, key)
		items[i] = (struct shape_key_view){ json_get_text(key, "kid"), json_get_text(key, "alg") };
	list.items = (struct shape_list){ items, json_array_size(keys) };
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
