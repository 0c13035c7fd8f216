-- callback: where each request stands: states, times, routing facts; no personal data.
--   callback_id  made by the node, a UUID of version 7: in its order the callbacks were made, which pages are read by
--   seq          number of its last event: its version
--   due_at       effective time: scheduled and past it means queued
--   promise_*    the time given to the contact: local wall time, IANA zone, UTC
--   tried        [[agent_id, ended_at ms], ...]: offers of this round that were rejected or missed
--   deadline_at  of the state it is in; the lease holder fires it
--   linked_to    another open callback of the same number that is called in its stead
--   rule_version the rules that placed it (rule_set), NULL: there were none; rule: which of them, NULL: none matched
--   booked       its promise is a place in a slot of its queue, see functions/slots.sql
--   zones        where the contact may be, who did not say: his quiet hours are kept in all of them; NULL: in promise_zone
--   region, number_type   of his number: ISO 3166, and as libphonenumber sorts them
--   widen_after_s   the next step of widening, so long after due_at: at widen_at; NULL: there is none, see functions/widening.sql
--   widened      [{"step": n, "widened_at": ms, ...}, ...] what was done; home_class, home_priority: what it had before
--   agent_for_s  one that is for one agent is for the others, too, so long after due_at; NULL: never
--   offer_timeout_s, caller_id, promise_window_s   what that rule says of it, NULL: nothing
--   preferred_agent   who is asked first, when he is free, and waited for so long from due_at on: preferred_for_s; NULL: nobody
CREATE TABLE callback (
	tenant_id	int NOT NULL,
	callback_id	uuid NOT NULL,
	seq		bigint NOT NULL,
	created_at	timestamptz NOT NULL,
	state		text NOT NULL CHECK (state IN ('scheduled', 'offered', 'ready_to_call', 'establishing',
			    'connected', 'on_hold', 'completed', 'failed', 'cancelled', 'expired')),
	reason		text,
	queue_id	int NOT NULL,
	class_id	int NOT NULL,
	form_id		int,
	priority	int NOT NULL,
	due_at		timestamptz NOT NULL,
	promise_at	timestamptz NOT NULL,
	promise_local	timestamp NOT NULL,
	promise_zone	text NOT NULL,
	expires_at	timestamptz,
	agent_id	int,
	attempt_id	uuid,
	attempts	int NOT NULL DEFAULT 0,
	offers		int NOT NULL DEFAULT 0,
	tried		jsonb,
	deadline_at	timestamptz,
	linked_to	uuid,
	disposition	text,
	ended_at	timestamptz,
	rule_version	int,
	rule		int,
	offer_timeout_s	int,
	caller_id	text,
	preferred_agent	int,
	booked		boolean NOT NULL DEFAULT false,
	zones		text[],
	region		text,
	number_type	text,
	preferred_for_s	int,
	widen_after_s	int,
	widen_at	timestamptz,
	widened		jsonb,
	home_class	int,
	home_priority	int,
	agent_for_s	int,
	promise_window_s int,
	PRIMARY KEY (tenant_id, callback_id),
	CHECK ((state IN ('ready_to_call', 'establishing', 'connected', 'on_hold')) = (agent_id IS NOT NULL)),
	CHECK ((state IN ('ready_to_call', 'establishing', 'connected', 'on_hold')) = (deadline_at IS NOT NULL)),
	CHECK ((state IN ('establishing', 'connected', 'on_hold')) = (attempt_id IS NOT NULL)),
	CHECK (linked_to IS NULL OR state IN ('scheduled', 'completed', 'failed', 'cancelled', 'expired'))
);
-- the router's order within a class; what falls due next; promises that pass; what is in somebody's hands
CREATE INDEX callback_waiting ON callback (tenant_id, class_id, priority DESC, promise_at, callback_id)
	WHERE state = 'scheduled' AND linked_to IS NULL;
CREATE INDEX callback_due ON callback (tenant_id, due_at, callback_id)
	WHERE state = 'scheduled' AND linked_to IS NULL;
CREATE INDEX callback_expiring ON callback (tenant_id, expires_at, callback_id)
	WHERE state = 'scheduled' AND linked_to IS NULL AND expires_at IS NOT NULL;
CREATE INDEX callback_widening ON callback (tenant_id, widen_at, callback_id)
	WHERE state = 'scheduled' AND linked_to IS NULL AND widen_at IS NOT NULL;
CREATE INDEX callback_live ON callback (tenant_id, callback_id)
	WHERE state IN ('offered', 'ready_to_call', 'establishing', 'connected', 'on_hold');
CREATE INDEX callback_held ON callback (tenant_id, agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX callback_linked ON callback (tenant_id, linked_to) WHERE linked_to IS NOT NULL;
-- due before the promise (tried early, and to be tried again): next to none, see due_window()
CREATE INDEX callback_early ON callback (tenant_id, class_id)
	WHERE state = 'scheduled' AND linked_to IS NULL AND due_at < promise_at;
-- the places that are taken; only companies with slots have any
CREATE INDEX callback_booked ON callback (tenant_id, queue_id, promise_at) WHERE booked AND ended_at IS NULL;
-- what retention deletes, oldest first; only what has ended is in it
CREATE INDEX callback_ended ON callback (tenant_id, ended_at) WHERE ended_at IS NOT NULL;

-- contact: who asked, and what the form sent: the only table with a contact's personal data.
--   phone           E.164
--   address         the client's network address
--   consent_at ...  what was agreed to, when
CREATE TABLE contact (
	tenant_id	int NOT NULL,
	callback_id	uuid NOT NULL,
	phone		text,
	name		text,
	email		text,
	subject		text,
	language	text,
	notes		text,
	case_information jsonb NOT NULL DEFAULT '{}',
	consent		boolean,
	consent_text	text,
	address		text,
	erased_at	timestamptz,
	PRIMARY KEY (tenant_id, callback_id)
);
CREATE INDEX contact_phone ON contact (tenant_id, phone) WHERE phone IS NOT NULL;

-- note: what agents wrote about a callback. Personal data too.
CREATE TABLE note (
	tenant_id	int NOT NULL,
	callback_id	uuid NOT NULL,
	note_id		uuid NOT NULL,
	agent_id	int,
	at		timestamptz NOT NULL,
	body		text NOT NULL,
	PRIMARY KEY (tenant_id, callback_id, note_id)
);

-- offer: one callback to one agent, with a deadline.
CREATE TABLE offer (
	tenant_id	int NOT NULL,
	offer_id	uuid NOT NULL,
	seq		bigint NOT NULL,
	callback_id	uuid NOT NULL,
	agent_id	int NOT NULL,
	state		text NOT NULL CHECK (state IN ('pending', 'accepted', 'rejected', 'timeout', 'cancelled', 'rescinded')),
	created_at	timestamptz NOT NULL,
	deadline_at	timestamptz NOT NULL,
	ended_at	timestamptz,
	reason		text,
	PRIMARY KEY (tenant_id, offer_id),
	CHECK ((state = 'pending') = (ended_at IS NULL))
);
CREATE INDEX offer_callback ON offer (tenant_id, callback_id);
-- nobody is offered two callbacks at once, whatever the router believes
CREATE UNIQUE INDEX offer_pending ON offer (tenant_id, agent_id) WHERE state = 'pending';

-- attempt: one dial.
CREATE TABLE attempt (
	tenant_id	int NOT NULL,
	attempt_id	uuid NOT NULL,
	seq		bigint NOT NULL,
	callback_id	uuid NOT NULL,
	agent_id	int NOT NULL,
	number		int NOT NULL,
	state		text NOT NULL CHECK (state IN ('dialing', 'answered', 'busy', 'no_answer', 'declined', 'machine', 'invalid',
			    'unreachable', 'trunk_failed', 'pbx_lost', 'agent_offline', 'cancelled', 'failed')),
	started_at	timestamptz NOT NULL,
	answered_at	timestamptz,
	ended_at	timestamptz,
	PRIMARY KEY (tenant_id, attempt_id),
	-- no attempt is dialled twice, by constraint
	UNIQUE (tenant_id, callback_id, number)
);
-- one dial at a time
CREATE UNIQUE INDEX attempt_live ON attempt (tenant_id, callback_id) WHERE ended_at IS NULL;

-- idempotency_key: a create that was answered; the same key gets the same answer.
CREATE TABLE idempotency_key (
	tenant_id	int NOT NULL,
	form_id		int NOT NULL,
	key		text NOT NULL,
	fingerprint	bytea NOT NULL,
	callback_id	uuid NOT NULL,
	created_at	timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, form_id, key)
);
-- to delete a callback's, with it
CREATE INDEX idempotency_key_callback ON idempotency_key (tenant_id, callback_id);
