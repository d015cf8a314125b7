/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the page-making files of this room share. */
#ifndef KW_LOGIN_PAGE_INT_H
#define KW_LOGIN_PAGE_INT_H

#include "base/op.h"
#include "login/page.h"
#include "web/pages.h"

/* The fields of frame_head, frame_foot and frame_auth_top; for pages without the side panel PAGE_FRAME_PLAIN (login/page.h). */
#define PAGE_FRAME(op) PAGE_FRAME_PLAIN(op), .idle_minutes = page_idle_minutes(op)

const char *page_word(const struct op *op, enum web_word word);
/* The public words of an error. */
enum web_word page_error_word(int code);
const char *page_idle_minutes(struct op *op);

#endif
