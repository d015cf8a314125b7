-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Oldest program: 1
-- Directories that have to be synchronised before somebody may sign in through them: after a restore their people are as they were when
-- the backup was made.  The end of a synchronisation that went well removes the row.
CREATE TABLE sync_waits (
	directory_id    @text NOT NULL PRIMARY KEY REFERENCES objects (id),
	since_ms        @int NOT NULL
) @keyed;
