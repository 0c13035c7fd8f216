-- type: what goes in, what is decided, what comes out.

-- command: one element of execute()'s array.
--   ord     its 0-based place in the batch
--   run     commands of one run are of one kind and on distinct rows, so that one look, one decision
--           and one write serve them all (the caller numbers them; append() refuses a lie)
--   by      the acting agent, NULL for the router, an operator or a contact; role: with what right
--   version the callback's sequence number as the sender saw it, NULL: does not matter
--   "to"    [{"offer": uuid, "agent": int}, ...]
CREATE TYPE command AS (
	ord		int,
	run		int,
	id		uuid,
	kind		text,
	by_agent	int,
	role		text,
	callback_id	uuid,
	version		bigint,
	offer_id	uuid,
	attempt_id	uuid,
	agent_id	int,
	offer_to	jsonb,
	args		jsonb
);

-- change: one decision: a refusal, or an event with the rows as they are after it. Rows that are NULL
-- are untouched; of several changes that carry the same row in one run, the last is what is written.
CREATE TYPE change AS (
	ord		int,
	command_id	uuid,		-- on the first event of a command only
	refusal		text,
	answer		jsonb,		-- of a refusal: the state that refused
	kind		text,
	agent_id	int,		-- whom it concerns
	extra		jsonb,		-- further members of the event's body
	cb		callback,
	ofr		offer,
	att		attempt,
	st		agent_status
);

-- log_row: what submit() and execute() return: events first, in order, then answers. Each element of the batch has one
-- row with its place: the event that is its answer, or an answer.
CREATE TYPE log_row AS (
	what		text,		-- 'event' | 'answer'
	ord		int,		-- the place of the element whose answer it is, NULL: of none
	seq		bigint,		-- event: its number; answer: of the event it caused
	at		bigint,		-- event: ms
	kind		text,		-- event: its kind; answer: the refusal, NULL accepted
	agent_id	int,
	body		text
);
