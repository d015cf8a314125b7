-- SPDX-License-Identifier: AGPL-3.0-or-later
-- The first schema.  Tokens: @int @text @blob @strict are expanded by the driver; @keyed stands for @strict where the short rows lie in
-- the order of their primary key, so that they need no second tree.
-- Times are milliseconds since 1970 (UTC).  Ids are UUIDv7 text unless a comment says otherwise.
-- valid_*: when a fact holds in the world (may lie ahead).  recorded_*: when we knew it; recorded_until NULL = current knowledge.
-- Such rows are never overwritten but for setting recorded_until once.

-- Objects that people configure: directory, role, location, rule, app.  The name identifies an object to people, the id for ever.
CREATE TABLE objects (
	id              @text NOT NULL PRIMARY KEY,
	kind            @text NOT NULL,
	name            @text NOT NULL,
	name_key        @text NOT NULL,         -- folded
	created_ms      @int NOT NULL,
	ended_ms        @int                    -- removed; the history stays
) @strict;
CREATE UNIQUE INDEX objects_name ON objects (kind, name_key) WHERE ended_ms IS NULL;

-- Immutable versions of an object; body is the canonical JSON (RFC 8785) of its shape.
CREATE TABLE object_versions (
	id              @text NOT NULL PRIMARY KEY,
	object_id       @text NOT NULL REFERENCES objects (id),
	version         @int NOT NULL,          -- 1, 2, ...
	body            @text NOT NULL,
	valid_from      @int NOT NULL,
	valid_until     @int,
	recorded_from   @int NOT NULL,
	recorded_until  @int,
	source_kind     @text NOT NULL,         -- root, user, app, system
	source_id       @text NOT NULL
) @strict;
CREATE UNIQUE INDEX object_versions_number ON object_versions (object_id, version);
CREATE INDEX object_versions_current ON object_versions (object_id) WHERE recorded_until IS NULL;

-- Secrets of objects: a directory's bind password (sealed), an application's client secret (SHA-256 of a random value).
CREATE TABLE object_secrets (
	id              @text NOT NULL PRIMARY KEY,
	object_id       @text NOT NULL REFERENCES objects (id),
	purpose         @text NOT NULL,         -- bind_password, client_secret
	form            @text NOT NULL,         -- sealed, sha256
	value           @blob NOT NULL,
	created_ms      @int NOT NULL,
	ended_ms        @int
) @strict;
CREATE INDEX object_secrets_current ON object_secrets (object_id, purpose) WHERE ended_ms IS NULL;

-- Our own keys, sealed under the master key; public_jwk is what the key set publishes.
CREATE TABLE keys (
	id              @text NOT NULL PRIMARY KEY,     -- for signing keys the kid: RFC 7638 thumbprint
	purpose         @text NOT NULL,         -- sign, token_mac, commit
	alg             @text NOT NULL,         -- ES256, RS256, HS256
	public_jwk      @text,
	sealed          @blob NOT NULL,
	created_ms      @int NOT NULL,
	active_from     @int NOT NULL,
	retired_ms      @int,                   -- signs no more, still published
	ended_ms        @int                    -- published no more
) @strict;

CREATE TABLE settings (
	name            @text NOT NULL PRIMARY KEY,     -- master_key_id, installed_ms, ...
	value           @text NOT NULL
) @strict;

-- People.
CREATE TABLE users (
	id              @text NOT NULL PRIMARY KEY,     -- the sub of tokens
	directory_id    @text NOT NULL REFERENCES objects (id),
	external_id     @text NOT NULL,         -- entryUUID or objectGUID, lower-case UUID text
	login           @text NOT NULL,
	login_key       @text NOT NULL,         -- folded; not unique: names are handed over
	display_name    @text NOT NULL,
	name_key        @text NOT NULL,         -- display_name folded
	mail            @text,
	mail_key        @text,
	attributes      @text NOT NULL,         -- canonical JSON of the rest: given_name, family_name, phone, address, ...
	digest          @blob NOT NULL,         -- SHA-256 of the mapped entry, to see at once that nothing changed
	state           @text NOT NULL,         -- active, disabled: the sum of directory_state and local_state
	directory_state @text NOT NULL,         -- active, disabled
	directory_reason @text NOT NULL,        -- '', disabled, expired, gone, out_of_scope
	directory_until @int,                   -- the directory's end of the account, may lie ahead
	local_state     @text NOT NULL,         -- active, disabled
	was_active      @int NOT NULL,          -- 1 when ever active: then never removed
	created_ms      @int NOT NULL,
	changed_ms      @int NOT NULL           -- of what the directory tells; a local disabling leaves it
) @strict;
CREATE UNIQUE INDEX users_identity ON users (directory_id, external_id);
CREATE INDEX users_login ON users (login_key);
CREATE INDEX users_mail ON users (mail_key) WHERE mail_key IS NOT NULL;
CREATE INDEX users_until ON users (directory_until) WHERE directory_until IS NOT NULL AND directory_state = 'active';

-- Account states over time, the directory's and the local one apart.
CREATE TABLE user_states (
	id              @text NOT NULL PRIMARY KEY,
	user_id         @text NOT NULL REFERENCES users (id),
	side            @text NOT NULL,         -- directory, local
	state           @text NOT NULL,
	reason          @text NOT NULL,
	valid_from      @int NOT NULL,
	valid_until     @int,
	recorded_from   @int NOT NULL,
	recorded_until  @int,
	source_kind     @text NOT NULL,         -- sync, login, root, user, clock
	source_id       @text NOT NULL
) @strict;
CREATE INDEX user_states_current ON user_states (user_id, side) WHERE recorded_until IS NULL;
-- Who was disabled lately.
CREATE INDEX user_states_disabled ON user_states (valid_from) WHERE side = 'directory' AND state = 'disabled' AND recorded_until IS NULL;

-- Groups of a directory, and who is directly in them.
CREATE TABLE groups (
	id              @text NOT NULL PRIMARY KEY,
	directory_id    @text NOT NULL REFERENCES objects (id),
	external_id     @text NOT NULL,
	dn              @text NOT NULL,
	dn_key          @text NOT NULL,         -- normalised
	name            @text NOT NULL,
	created_ms      @int NOT NULL,
	changed_ms      @int NOT NULL,
	ended_ms        @int
) @strict;
CREATE UNIQUE INDEX groups_identity ON groups (directory_id, external_id);

CREATE TABLE memberships (
	id              @text NOT NULL PRIMARY KEY,
	group_id        @text NOT NULL REFERENCES groups (id),
	member_kind     @text NOT NULL,         -- user, group
	member_id       @text NOT NULL,
	valid_from      @int NOT NULL,
	valid_until     @int,
	recorded_from   @int NOT NULL,
	recorded_until  @int,
	source_kind     @text NOT NULL,
	source_id       @text NOT NULL
) @strict;
CREATE INDEX memberships_member ON memberships (member_id) WHERE recorded_until IS NULL;
CREATE INDEX memberships_nested ON memberships (group_id) WHERE recorded_until IS NULL AND member_kind = 'group';

-- Who holds which role where, since when, why.
CREATE TABLE grants (
	id              @text NOT NULL PRIMARY KEY,
	user_id         @text NOT NULL REFERENCES users (id),
	role_id         @text NOT NULL REFERENCES objects (id),
	location_id     @text REFERENCES objects (id),  -- NULL: not bound to a place
	valid_from      @int NOT NULL,
	valid_until     @int,                   -- may lie ahead
	recorded_from   @int NOT NULL,
	recorded_until  @int,
	source_kind     @text NOT NULL,         -- rule, hand
	source_id       @text NOT NULL,         -- rule's object id, or who gave it by hand
	source_version  @int NOT NULL           -- version of the rule; 0 by hand
) @strict;
CREATE INDEX grants_current ON grants (user_id) WHERE recorded_until IS NULL;

-- Browser sessions.  The cookie is id.secret; only the secret's SHA-256 is here.
CREATE TABLE sessions (
	id              @text NOT NULL PRIMARY KEY,
	secret_hash     @blob NOT NULL,
	user_id         @text NOT NULL REFERENCES users (id),
	auth_ms         @int NOT NULL,          -- auth_time
	amr             @text NOT NULL,         -- RFC 8176 values, blank separated
	address         @text NOT NULL,
	device          @text NOT NULL,
	created_ms      @int NOT NULL,
	seen_ms         @int NOT NULL,
	until_ms        @int NOT NULL,          -- absolute end
	ended_ms        @int,
	ended_why       @text
) @strict;
CREATE INDEX sessions_user ON sessions (user_id) WHERE ended_ms IS NULL;
CREATE INDEX sessions_until ON sessions (until_ms);

-- What a person's session lets an application do: made with the code, carries the refresh tokens.
CREATE TABLE authorizations (
	id              @text NOT NULL PRIMARY KEY,
	session_id      @text NOT NULL REFERENCES sessions (id),
	user_id         @text NOT NULL REFERENCES users (id),
	app_id          @text NOT NULL REFERENCES objects (id),
	scope           @text NOT NULL,
	redirect_uri    @text NOT NULL,
	nonce           @text,
	claims          @text,                  -- the request's claims parameter, canonical
	code_challenge  @text,                  -- S256 (RFC 7636)
	code_hash       @blob NOT NULL,         -- SHA-256 of the code's secret
	code_until_ms   @int NOT NULL,
	code_used_ms    @int,
	refresh_seq     @int NOT NULL,          -- number of the refresh token that is good now; 0: none given
	refresh_until_ms @int NOT NULL,         -- idle end
	until_ms        @int NOT NULL,          -- absolute end
	created_ms      @int NOT NULL,
	ended_ms        @int,
	ended_why       @text
) @strict;
CREATE INDEX authorizations_session ON authorizations (session_id) WHERE ended_ms IS NULL;
CREATE INDEX authorizations_user ON authorizations (user_id) WHERE ended_ms IS NULL;
CREATE INDEX authorizations_until ON authorizations (until_ms);

-- Access tokens revoked one by one (RFC 7009) before their end.
CREATE TABLE revoked_tokens (
	jti             @text NOT NULL PRIMARY KEY,
	until_ms        @int NOT NULL
) @keyed;
CREATE INDEX revoked_tokens_until ON revoked_tokens (until_ms);

-- The audit log.  Rows are never changed but for seal_number, which the sealer gives once.
CREATE TABLE audit (
	id              @text NOT NULL PRIMARY KEY,     -- in the order of time: it begins with at_ms
	seal_number     @int,
	at_ms           @int NOT NULL,
	event           @text NOT NULL,
	actor           @text,
	target          @text,
	request_id      @text NOT NULL,
	canonical       @text NOT NULL          -- RFC 8785 JSON; personal values as commitments
) @strict;
CREATE INDEX audit_target ON audit (target, id);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE UNIQUE INDEX audit_seal ON audit (seal_number) WHERE seal_number IS NOT NULL;

-- Personal values behind the commitments: erasable, one by one.
CREATE TABLE audit_personal (
	audit_id        @text NOT NULL REFERENCES audit (id),
	field           @text NOT NULL,
	salt            @blob NOT NULL,
	value           @text NOT NULL,
	PRIMARY KEY (audit_id, field)
) @keyed;

-- Directory synchronisation.
CREATE TABLE sync_runs (
	id              @text NOT NULL PRIMARY KEY,
	number          @int NOT NULL,          -- short name of the run in the rows below
	directory_id    @text NOT NULL REFERENCES objects (id),
	purpose         @text NOT NULL,         -- preview, run
	state           @text NOT NULL,         -- reading, staged, planned, frozen, approved, applying, done, failed, abandoned
	cause           @text NOT NULL,         -- timer, hand, start
	catalog_mark    @text NOT NULL,         -- which versions of objects the plan was made with
	counts          @text NOT NULL,         -- canonical JSON
	plan_hash       @text NOT NULL,         -- SHA-256 over the plan, '' before there is one
	failure         @text,
	applied_seq     @int NOT NULL,          -- plan rows up to here are done
	started_ms      @int NOT NULL,
	changed_ms      @int NOT NULL,
	finished_ms     @int,
	approved_by     @text
) @strict;
CREATE UNIQUE INDEX sync_runs_number ON sync_runs (number);
CREATE INDEX sync_runs_directory ON sync_runs (directory_id, started_ms);
-- Two runs of one directory never go on at once.
CREATE UNIQUE INDEX sync_runs_active ON sync_runs (directory_id) WHERE finished_ms IS NULL AND state <> 'frozen';

-- What a run has read, until it ends: people, and groups with those who are directly in them.
CREATE TABLE sync_entries (
	run_no          @int NOT NULL,
	seq             @int NOT NULL,
	external_id     @text NOT NULL,
	dn_hash         @blob NOT NULL,         -- first 16 bytes of SHA-256 over the normalised DN
	digest          @blob NOT NULL,
	is_skipped      @int NOT NULL,          -- seen, but unusable: neither changed nor gone
	login           @text NOT NULL,
	display_name    @text NOT NULL,
	mail            @text,
	attributes      @text NOT NULL,         -- canonical JSON
	is_active       @int NOT NULL,
	reason          @text NOT NULL,
	until_ms        @int,
	facts           @text NOT NULL,         -- what attribute rules look at: canonical JSON [[name, key], ...]
	PRIMARY KEY (run_no, seq)
) @strict;
CREATE UNIQUE INDEX sync_entries_identity ON sync_entries (run_no, external_id);

CREATE TABLE sync_groups (
	run_no          @int NOT NULL,
	seq             @int NOT NULL,
	external_id     @text NOT NULL,
	dn              @text NOT NULL,
	dn_key          @text NOT NULL,         -- normalised
	name            @text NOT NULL,
	digest          @blob NOT NULL,         -- over the row and its members
	members         @blob NOT NULL,         -- dn_hash of each, one behind the other
	PRIMARY KEY (run_no, seq)
) @strict;
CREATE UNIQUE INDEX sync_groups_identity ON sync_groups (run_no, external_id);

CREATE TABLE sync_plan (
	run_id          @text NOT NULL,
	seq             @int NOT NULL,
	action          @text NOT NULL,         -- create, change, disable, enable, grant, end, member
	user_id         @text,                  -- NULL: not known yet
	external_id     @text NOT NULL,
	login           @text NOT NULL,
	display_name    @text NOT NULL,
	why             @text NOT NULL,
	body            @text NOT NULL,         -- canonical JSON: what it was and what it becomes
	PRIMARY KEY (run_id, seq)
) @strict;
