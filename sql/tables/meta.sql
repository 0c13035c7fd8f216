-- meta: what this database is. One row.
--   schema_version   the last number in sql/upgrade; a node waits for the one that it was made for
--   is_test          only then may the time passed to submit() and execute() be a fake one
--   oldest_node      nodes made for this version and later can work with the schema; older ones stop
CREATE TABLE meta (
	one		boolean PRIMARY KEY DEFAULT true CHECK (one),
	schema_version	int NOT NULL,
	is_test		boolean NOT NULL DEFAULT false,
	oldest_node	int NOT NULL DEFAULT 1
);
INSERT INTO meta (schema_version, oldest_node) VALUES (2, 2);

CREATE TABLE upgrade (
	number		int PRIMARY KEY,
	applied_at	timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO upgrade (number) VALUES (1), (2);

-- time_zone: the IANA names that PostgreSQL knows. A copy, because pg_timezone_names reads some
-- 1,200 files at every look, and an unknown zone must be refused before it can fail a whole batch.
CREATE TABLE time_zone (
	name		text PRIMARY KEY
);
INSERT INTO time_zone
SELECT name FROM pg_timezone_names
 WHERE name NOT LIKE 'posix/%' AND name NOT LIKE 'right/%' AND name NOT IN ('localtime', 'posixrules', 'Factory');
