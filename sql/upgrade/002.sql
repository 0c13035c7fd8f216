-- 002: retention and erasure. Version 1 was never released, and its servers are not served by this one: so all of its
-- functions and types go first, whatever they were called with, and come again as they are now.
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT t.oid::regtype AS name FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid
		  WHERE t.typnamespace = 'callbackd'::regnamespace AND c.relkind = 'c' LOOP
		EXECUTE format('DROP TYPE %s CASCADE', r.name);
	END LOOP;
	FOR r IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'callbackd'::regnamespace LOOP
		EXECUTE format('DROP FUNCTION %s', r.name);
	END LOOP;
END
$$;

ALTER TABLE event ALTER COLUMN body TYPE text;
DROP INDEX callback_created;

CREATE TABLE epoch (
	tenant_id	int NOT NULL REFERENCES tenant,
	epoch		int NOT NULL CHECK (epoch > 0),
	origin		text NOT NULL,
	after_seq	bigint NOT NULL,
	begun_at	timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, epoch)
);

ALTER TABLE meta ADD COLUMN oldest_node int NOT NULL DEFAULT 1;
UPDATE meta SET oldest_node = 2;

ALTER TABLE queue DROP CONSTRAINT queue_strategy_check;
ALTER TABLE queue ADD CONSTRAINT queue_strategy_check CHECK (strategy IN (
	'longest_idle', 'ring_all', 'round_robin', 'fewest_calls', 'least_talk_time', 'top_down', 'random',
	'ring_progressively'));
ALTER TABLE agent ADD COLUMN position int NOT NULL DEFAULT 0 CHECK (position BETWEEN 0 AND 10000);
ALTER TABLE agent_status ADD COLUMN offered_seq bigint, ADD COLUMN accepted int NOT NULL DEFAULT 0,
	ADD COLUMN talk_ms bigint NOT NULL DEFAULT 0;

ALTER TABLE tenant ADD COLUMN log_days int NOT NULL DEFAULT 90 CHECK (log_days BETWEEN 1 AND 3650);
CREATE INDEX callback_ended ON callback (tenant_id, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX idempotency_key_callback ON idempotency_key (tenant_id, callback_id);

INSERT INTO transition (command, from_state, to_state) VALUES
	('offer',	'offered',	'offered'),
	('erase',	'scheduled',	'cancelled'),
	('erase',	'offered',	'cancelled'),
	('erase',	'ready_to_call', 'cancelled'),
	('reschedule',	'scheduled',	'scheduled');

ALTER TABLE queue ADD COLUMN hours jsonb, ADD COLUMN open_until timestamptz;
ALTER TABLE form ADD COLUMN closed text NOT NULL DEFAULT 'next_opening' CHECK (closed IN ('next_opening', 'refuse'));
CREATE TABLE opening (
	tenant_id	int NOT NULL,
	queue_id	int NOT NULL,
	opens_at	timestamptz NOT NULL,
	closes_at	timestamptz NOT NULL CHECK (opens_at < closes_at),
	PRIMARY KEY (tenant_id, queue_id, closes_at)
);
CREATE TABLE suppression (
	tenant_id	int NOT NULL,
	prefix		text NOT NULL CHECK (prefix ~ '^\+[0-9]{1,15}$'),
	reason		text NOT NULL,
	until		timestamptz,
	added_at	timestamptz NOT NULL,
	added_by	int,
	PRIMARY KEY (tenant_id, prefix)
);

INSERT INTO transition (command, from_state, to_state) VALUES
	('offer',	'scheduled',	'failed'),
	('give_back',	'ready_to_call', 'failed'),
	('agent_lost',	'ready_to_call', 'failed'),
	('sign_out',	'ready_to_call', 'failed');

ALTER TABLE queue ADD COLUMN retries jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(retries) = 'object');
ALTER TABLE queue ADD COLUMN attempts_per_day int NOT NULL DEFAULT 0 CHECK (attempts_per_day BETWEEN 0 AND 100);
ALTER TABLE queue ADD COLUMN ring_step_s int NOT NULL DEFAULT 10 CHECK (ring_step_s BETWEEN 1 AND 3600);
-- rules
ALTER TABLE callback ADD COLUMN rule_version int, ADD COLUMN rule int, ADD COLUMN offer_timeout_s int, ADD COLUMN caller_id text,
	ADD COLUMN preferred_agent int;

CREATE TABLE rule_set (
	tenant_id	int NOT NULL REFERENCES tenant,
	version		int NOT NULL CHECK (version > 0),
	published_at	timestamptz NOT NULL,
	published_by	int,
	comment		text NOT NULL,
	from_version	int,
	rules		int NOT NULL,
	paths		text[] NOT NULL,
	document	jsonb NOT NULL,
	PRIMARY KEY (tenant_id, version)
);
CREATE TABLE rule (
	tenant_id	int NOT NULL REFERENCES tenant,
	version		int NOT NULL,
	ord		int NOT NULL,
	name		text NOT NULL,
	predicate	jsonpath,
	path		text NOT NULL,
	value		text NOT NULL,
	queue_id	int,
	priority	int CHECK (priority BETWEEN -1000 AND 1000),
	skills		jsonb,
	preferred_agent	int,
	offer_timeout_s	int CHECK (offer_timeout_s BETWEEN 1 AND 3600),
	promise_window_s int CHECK (promise_window_s BETWEEN 0 AND 2592000),
	caller_id	text CHECK (caller_id ~ '^\+?[0-9]{3,15}$'),
	PRIMARY KEY (tenant_id, version, ord)
);
CREATE INDEX rule_term ON rule (tenant_id, version, path, value, ord);
-- slots
ALTER TABLE queue ADD COLUMN slots jsonb CHECK (jsonb_typeof(slots) = 'object');
ALTER TABLE form ADD COLUMN notice_s int NOT NULL DEFAULT 0 CHECK (notice_s BETWEEN 0 AND 2592000);
ALTER TABLE callback ADD COLUMN booked boolean NOT NULL DEFAULT false;
CREATE INDEX callback_booked ON callback (tenant_id, queue_id, promise_at) WHERE booked AND ended_at IS NULL;
CREATE TABLE slot_hold (
	tenant_id	int NOT NULL,
	hold_id		uuid NOT NULL,
	queue_id	int NOT NULL,
	form_id		int NOT NULL,
	slot_at		timestamptz NOT NULL,
	until		timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, hold_id)
);
CREATE INDEX slot_hold_slot ON slot_hold (tenant_id, queue_id, slot_at);
CREATE INDEX slot_hold_until ON slot_hold (tenant_id, until);
-- calling hours, blocked numbers
CREATE TABLE region_zone (
	region		text PRIMARY KEY CHECK (region ~ '^[A-Z]{2}$'),
	zones		text[] NOT NULL
);
CREATE TEMPORARY TABLE zone_tab (region text, place text, name text, comments text);
\copy pg_temp.zone_tab FROM PROGRAM 'cat /usr/share/zoneinfo/zone.tab 2>/dev/null | sed -e "/^#/d" -e "s/^\([^\t]*\t[^\t]*\t[^\t]*\)$/\1\t/"; true'
INSERT INTO region_zone
SELECT d.region, array_agg(d.name ORDER BY d.name)
  FROM (SELECT DISTINCT ON (t.region, m.winter, m.summer) t.region, t.name
	  FROM zone_tab t JOIN time_zone z ON z.name = t.name
	 CROSS JOIN LATERAL (SELECT timestamptz '2026-01-15Z' AT TIME ZONE t.name AS winter, timestamptz '2026-07-15Z' AT TIME ZONE t.name AS summer) m
	 ORDER BY t.region, m.winter, m.summer, t.name) d
 GROUP BY d.region;
DROP TABLE zone_tab;
ALTER TABLE tenant ADD COLUMN calling_hours jsonb CHECK (jsonb_typeof(calling_hours) = 'object'),
	ADD COLUMN blocked_countries text[] NOT NULL DEFAULT '{}', ADD COLUMN blocked_number_types text[] NOT NULL DEFAULT '{}';
ALTER TABLE queue ADD COLUMN calling_hours jsonb CHECK (jsonb_typeof(calling_hours) = 'object');
ALTER TABLE callback ADD COLUMN zones text[], ADD COLUMN region text, ADD COLUMN number_type text;
INSERT INTO transition (command, from_state, to_state) VALUES ('offer', 'scheduled', 'scheduled');
-- preferred agents
ALTER TABLE callback ADD COLUMN preferred_for_s int;
ALTER TABLE rule ADD COLUMN preferred_for_s int CHECK (preferred_for_s BETWEEN 0 AND 3600);
ALTER TABLE queue ADD COLUMN last_agent_days int NOT NULL DEFAULT 0 CHECK (last_agent_days BETWEEN 0 AND 3650),
	ADD COLUMN last_agent_for_s int NOT NULL DEFAULT 60 CHECK (last_agent_for_s BETWEEN 0 AND 3600);
-- widening
ALTER TABLE queue ADD COLUMN widen jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(widen) = 'array');
ALTER TABLE callback ADD COLUMN widen_after_s int, ADD COLUMN widen_at timestamptz, ADD COLUMN widened jsonb,
	ADD COLUMN home_class int, ADD COLUMN home_priority int;
CREATE INDEX callback_widening ON callback (tenant_id, widen_at, callback_id)
	WHERE state = 'scheduled' AND linked_to IS NULL AND widen_at IS NOT NULL;
INSERT INTO transition (command, from_state, to_state) VALUES ('widen', 'scheduled', 'scheduled');
-- callbacks of one agent
ALTER TABLE requirement_class ADD COLUMN agent_id int NOT NULL DEFAULT 0,
	DROP CONSTRAINT requirement_class_tenant_id_queue_id_skills_key;
ALTER TABLE requirement_class ADD UNIQUE (tenant_id, queue_id, skills, agent_id);
ALTER TABLE queue ADD COLUMN personal_for_s int NOT NULL DEFAULT 300 CHECK (personal_for_s BETWEEN 0 AND 2592000);
ALTER TABLE callback ADD COLUMN agent_for_s int;
ALTER TABLE rule ADD COLUMN agent_id int, ADD COLUMN agent_for_s int CHECK (agent_for_s BETWEEN 0 AND 2592000);
-- the end of a promise window
ALTER TABLE queue ADD COLUMN window_end text NOT NULL DEFAULT 'expire' CHECK (window_end IN ('expire', 'escalate'));
ALTER TABLE callback ADD COLUMN promise_window_s int;
INSERT INTO transition (command, from_state, to_state) VALUES ('expire', 'scheduled', 'scheduled');
