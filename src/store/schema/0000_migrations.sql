-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Which steps were taken, and marks of the database itself.  This one runs at every start and changes nothing when it was there.
CREATE TABLE IF NOT EXISTS schema_migrations (
	version         @int NOT NULL PRIMARY KEY,
	name            @text NOT NULL,
	applied_ms      @int NOT NULL
) @strict;
CREATE TABLE IF NOT EXISTS schema_marks (
	name            @text NOT NULL PRIMARY KEY,     -- oldest: the program of that schema, or a newer one, may use it; unfinished: a copy
	value           @text NOT NULL
) @strict;
