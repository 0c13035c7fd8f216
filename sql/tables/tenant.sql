-- tenant: one company. Everything else leads with tenant_id, so that the schema can be distributed by it.
--   epoch       changes at failover or restore (functions/epoch.sql); a client that comes with another one gets a reset
--   calling_hours   when contacts may be called, see functions/calling_hours.sql; NULL: at any time
--   blocked_*   numbers of these regions (ISO 3166) and kinds ("voip") are not called
--   floor_seq   events up to this one were deleted by retention (0: none)
CREATE TABLE tenant (
	tenant_id	int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name		text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
	label		text NOT NULL,
	time_zone	text NOT NULL DEFAULT 'UTC',
	epoch		int NOT NULL DEFAULT 1 CHECK (epoch > 0),
	floor_seq	bigint NOT NULL DEFAULT 0,
	version		bigint NOT NULL DEFAULT 0,
	-- settings that the whole company shares (company.json "company")
	grace_s		int NOT NULL DEFAULT 30 CHECK (grace_s BETWEEN 0 AND 3600),
	session_s	int NOT NULL DEFAULT 43200 CHECK (session_s BETWEEN 60 AND 2592000),
	lockout_failures int NOT NULL DEFAULT 5 CHECK (lockout_failures BETWEEN 1 AND 1000),
	lockout_s	int NOT NULL DEFAULT 300 CHECK (lockout_s BETWEEN 1 AND 86400),
	history_days	int NOT NULL DEFAULT 90 CHECK (history_days BETWEEN 1 AND 3650),
	log_days	int NOT NULL DEFAULT 90 CHECK (log_days BETWEEN 1 AND 3650),
	calling_hours	jsonb CHECK (jsonb_typeof(calling_hours) = 'object'),
	blocked_countries text[] NOT NULL DEFAULT '{}',
	blocked_number_types text[] NOT NULL DEFAULT '{}'
);

-- secret: keys that sign links. The newest signs; older ones still verify until they are retired (deleted).
CREATE TABLE secret (
	tenant_id	int NOT NULL REFERENCES tenant,
	secret_id	int NOT NULL,
	purpose		text NOT NULL CHECK (purpose IN ('link')),
	value		bytea NOT NULL CHECK (octet_length(value) = 32),
	created_at	timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, secret_id)
);
