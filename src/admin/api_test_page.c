/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The API that opens and closes the test page (issue/test_page.h). */
#include "api_int.h"
#include "issue/test_page.h"

static int
show(struct op *op, struct reply *reply)
{
	int64_t left_ms = test_page_left_ms(op);
	const struct shape_test_page_view view = { .open = left_ms > 0, .url = test_page_address(op),
		.until = left_ms ? op->now_ms + left_ms : 0 };

	reply_shape(op, reply, 200, shape_test_page_view(), &view);
	return 0;
}

HANDLER(api_test_page_show);
HANDLER(api_test_page_show)
{
	(void)request;
	return show(op, reply);
}

HANDLER(api_test_page_open);
HANDLER(api_test_page_open)
{
	const struct shape_test_page_request *in = route_body(request);
	int rc = test_page_open(op, in->seconds);

	return rc ? rc : show(op, reply);
}

HANDLER(api_test_page_close);
HANDLER(api_test_page_close)
{
	int rc = test_page_close(op);

	(void)request;
	return rc ? rc : show(op, reply);
}
