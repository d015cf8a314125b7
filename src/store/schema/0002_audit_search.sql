-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Oldest program: 1
-- Searching the audit log.  The application stands in the canonical text, too, where no index reaches; rows of earlier releases
-- have none here and are found by everything else.
ALTER TABLE audit ADD COLUMN app @text;
CREATE INDEX audit_event ON audit (event, id);
CREATE INDEX audit_app ON audit (app, id) WHERE app IS NOT NULL;
CREATE INDEX audit_request ON audit (request_id, id);
CREATE INDEX audit_address ON audit_personal (value, audit_id) WHERE field = 'address';
CREATE INDEX audit_login ON audit_personal (value, audit_id) WHERE field = 'login';
