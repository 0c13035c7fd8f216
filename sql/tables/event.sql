-- event: the log. One row per change, gapless per tenant, in commit order; never updated.
-- It holds no personal data: ids, states, times, routing facts (post-images, see functions/image.sql).
--   body         JSON; text, because jsonb would be 8 us more for every change, and nothing searches it
--   command_id   the command that caused it (its first event); a repeated id is answered from here
--   agent_id     the agent whom it concerns, also when the post-image no longer names him
CREATE TABLE event (
	tenant_id	int NOT NULL,
	seq		bigint NOT NULL CHECK (seq > 0),
	at		timestamptz NOT NULL,
	kind		text NOT NULL,
	command_id	uuid,
	callback_id	uuid,
	agent_id	int,
	body		text NOT NULL,
	PRIMARY KEY (tenant_id, seq)
);
CREATE UNIQUE INDEX event_command ON event (tenant_id, command_id) WHERE command_id IS NOT NULL;
CREATE INDEX event_callback ON event (tenant_id, callback_id, seq) WHERE callback_id IS NOT NULL;
