-- agent: somebody who signs in: agents, supervisors, administrators.
--   skills   {"skill_id": level 1..10}
--   position his place where a queue goes top_down, low first
CREATE TABLE agent (
	tenant_id	int NOT NULL REFERENCES tenant,
	agent_id	int NOT NULL,
	name		text NOT NULL,
	label		text NOT NULL,
	role		text NOT NULL DEFAULT 'agent' CHECK (role IN ('agent', 'supervisor', 'administrator')),
	skills		jsonb NOT NULL DEFAULT '{}',
	version		bigint NOT NULL,
	removed		boolean NOT NULL DEFAULT false,
	password	text,
	failures	int NOT NULL DEFAULT 0,
	locked_until	timestamptz,
	position	int NOT NULL DEFAULT 0 CHECK (position BETWEEN 0 AND 10000),
	PRIMARY KEY (tenant_id, agent_id),
	UNIQUE (tenant_id, name)
);

-- agent_status: where each agent stands. reserved and busy are not states: they follow from
-- offers pending and callbacks held.
--   since         of the state; idle_since: since when he could have been offered something
--   deadline_at   after_call_work: its end; not_ready(missed): when he is ready again
--   next_state    after after_call_work
--   connected     a desk is listening on node_id; lost_at: when the grace time of a lost one ends
--   offered_seq   number of the event by which he was offered what he last accepted, rejected or missed: his turn
--                 is used up. An offer that was withdrawn, rescinded or cancelled, leaves it to him.
--   accepted      callbacks accepted, and talk_ms: the length of answered calls that ended, since he signed in
CREATE TABLE agent_status (
	tenant_id	int NOT NULL,
	agent_id	int NOT NULL,
	seq		bigint NOT NULL,
	state		text NOT NULL DEFAULT 'logged_out' CHECK (state IN ('logged_out', 'ready', 'not_ready', 'after_call_work')),
	reason		text,
	since		timestamptz NOT NULL,
	idle_since	timestamptz NOT NULL,
	deadline_at	timestamptz,
	next_state	text CHECK (next_state IN ('ready', 'not_ready')),
	next_reason	text,
	missed		int NOT NULL DEFAULT 0,
	connected	boolean NOT NULL DEFAULT false,
	node_id		uuid,
	lost_at		timestamptz,
	offered_seq	bigint,
	accepted	int NOT NULL DEFAULT 0,
	talk_ms		bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (tenant_id, agent_id),
	CHECK (state <> 'after_call_work' OR deadline_at IS NOT NULL)
) WITH (fillfactor = 50);

-- session: a signed-in desk or an API client. Only the token's SHA-256 is kept.
CREATE TABLE session (
	tenant_id	int NOT NULL,
	token_hash	bytea NOT NULL CHECK (octet_length(token_hash) = 32),
	agent_id	int NOT NULL,
	opened_at	timestamptz NOT NULL,
	expires_at	timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, token_hash)
);
CREATE INDEX session_agent ON session (tenant_id, agent_id);
