/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Up to which id everything is known.  Ids grow with the moment at which they are made, but transactions that run side by side end in
 * another order: a row may become visible before one with a smaller id.  Whoever reads a log page by page must not go past a
 * transaction that is still under way.  Each one leaves an id here at its begin; what is smaller than the oldest of them is settled.
 */
#include <string.h>

#include "base/mem.h"
#include "store/driver_int.h"

struct db_marks *
db_marks_new(void)
{
	struct db_marks *marks = mem_new(sizeof(*marks));

	pthread_mutex_init(&marks->lock, NULL);
	return marks;
}

void
db_marks_free(struct db_marks *marks)
{
	if (!marks)
		return;
	pthread_mutex_destroy(&marks->lock);
	mem_free(marks);
}

void
db_mark_begin(struct op *op, struct db *db, struct db_mark *mark)
{
	struct db_marks *marks = db->marks;

	/* an engine's own work before db_open has ended: nobody reads yet */
	if (!marks)
		return;
	pthread_mutex_lock(&marks->lock);
	/* under the lock: the list is in the order of the ids */
	uuid_new(mark->id, op->now_ms);
	mark->next = NULL;
	mark->previous = marks->newest;
	if (mark->previous)
		mark->previous->next = mark;
	else
		marks->oldest = mark;
	marks->newest = mark;
	pthread_mutex_unlock(&marks->lock);
}

void
db_mark_end(struct db *db, struct db_mark *mark)
{
	struct db_marks *marks = db->marks;

	if (!marks)
		return;
	pthread_mutex_lock(&marks->lock);
	if (mark->previous)
		mark->previous->next = mark->next;
	else
		marks->oldest = mark->next;
	if (mark->next)
		mark->next->previous = mark->previous;
	else
		marks->newest = mark->previous;
	pthread_mutex_unlock(&marks->lock);
}

const char *
db_settled(struct op *op)
{
	struct db *db = op->svc->db;
	struct db_marks *marks = db->marks;
	char settled[UUID_TEXT_BYTES];

	pthread_mutex_lock(&marks->lock);
	/* a commit whose outcome nobody knows may still appear (ERR_UNKNOWN_OUTCOME) */
	if (!db_may_answer(db))
		;
	else if (marks->oldest)
		memcpy(marks->settled, marks->oldest->id, sizeof(marks->settled));
	else
		uuid_new(marks->settled, op->now_ms);
	memcpy(settled, marks->settled, sizeof(settled));
	pthread_mutex_unlock(&marks->lock);
	return op_strdup(op, settled);
}
