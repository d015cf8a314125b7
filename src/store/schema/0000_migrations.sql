-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Which steps were taken.  This one runs at every start and changes nothing when it was there.
CREATE TABLE IF NOT EXISTS schema_migrations (
	version         @int NOT NULL PRIMARY KEY,
	name            @text NOT NULL,
	applied_ms      @int NOT NULL
) @strict;
