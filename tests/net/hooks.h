/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Hooks for tests of the HTTP server: every path is answered 200 with what the handler saw; paths under /lane/ on the lane
 * "quick", others on the loop; bodies up to 1000 bytes.  struct seen (http_options.tag) counts.
 */
#ifndef KW_TEST_NET_HOOKS_H
#define KW_TEST_NET_HOOKS_H

#include "base/text.h"
#include "raw.h"

struct seen {
	_Atomic int calls;              /* of the handler */
	_Atomic int marks;              /* of these, for /mark */
};

static enum lane
test_lane(struct request *request, size_t *ret_body_cap, int64_t *ret_deadline_ms)
{
	*ret_body_cap = 1000;
	*ret_deadline_ms = 60000;
	return strncmp(request->path, "/lane/", 6) == 0 ? LANE_quick : LANE_INLINE;
}

static void
add_pairs(struct buf *out, const char *what, const struct http_pairs *pairs)
{
	for (size_t i = 0; i < pairs->n; i++)
		buf_printf(out, "%s %s=%s\n", what, pairs->v[i].name, pairs->v[i].value);
}

static bool
test_handle(struct request *request, struct reply *reply)
{
	union { const void *in; struct seen *out; } seen = { .in = request->listener };
	struct buf out = buf_in(request->mem);

	seen.out->calls++;
	if (strcmp(request->path, "/mark") == 0)
		seen.out->marks++;
	buf_printf(&out, "method %d\npath %s\naddress %s\nuid %u\nhost %s\n", (int)request->method, request->path, request->address,
	    request->peer_uid, request->host);
	add_pairs(&out, "query", &request->query);
	add_pairs(&out, "form", &request->form);
	add_pairs(&out, "cookie", &request->cookies);
	buf_printf(&out, "body %zu %s\n", request->body_size, request->body);
	reply_body(reply, 200, "text/plain", out.text, out.length);
	return true;
}

static void
test_refuse(struct arena *mem, int status, struct reply *reply)
{
	(void)mem;
	reply_body(reply, status, "text/plain", "refused\n", 8);
}

static const struct http_hooks test_hooks = { test_lane, test_handle, test_refuse };

#endif
