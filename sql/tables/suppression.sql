-- suppression: numbers that are not called, whatever asks for it: who opted out, what the law or the company forbids.
--   prefix    the beginning of numbers in E.164, or a whole one
--   until     it is forgotten then; NULL: never
--   added_by  the agent; NULL: an operator
CREATE TABLE suppression (
	tenant_id	int NOT NULL,
	prefix		text NOT NULL CHECK (prefix ~ '^\+[0-9]{1,15}$'),
	reason		text NOT NULL,
	until		timestamptz,
	added_at	timestamptz NOT NULL,
	added_by	int,
	PRIMARY KEY (tenant_id, prefix)
);
