-- company: what administrators set up: skills, queues, forms, disposition codes. version is the
-- sequence number of the object's last event (ETag); ids are small and per tenant, names unique.
CREATE TABLE skill (
	tenant_id	int NOT NULL REFERENCES tenant,
	skill_id	int NOT NULL,
	name		text NOT NULL,
	label		text NOT NULL,
	version		bigint NOT NULL,
	removed		boolean NOT NULL DEFAULT false,
	PRIMARY KEY (tenant_id, skill_id),
	UNIQUE (tenant_id, name)
);

-- queue: how its callbacks are offered. Times in seconds.
--   skills               {"skill_id": level}: what every agent of the queue must have at least
--   strategy             whom of those who are free a callback is offered to first; see server/core/strategy.c
--   ring_max             with ring_all and ring_progressively: offers pending at once
--   ring_step_s          with ring_progressively: one more, when the last that is pending is so old
--   offer_timeout_s      an offer's life
--   ready_to_call_s      how long an agent may keep an accepted callback without finishing it
--   dial_timeout_s       longest Establishing; call_timeout_s: longest call
--   missed_limit         offers missed in a row until not_ready(missed); 0: never
--   missed_rest_s        after which he is ready again by himself; 0: only when he says so
--   reject_cooldown_s    when an agent who rejected or missed it may be offered the same callback again although others were not tried
--   max_offers           unaccepted offers until the callback failed
--   max_attempts         attempts until the callback failed; retry_delay_s: from a dial to the next, where retries says nothing
--   promise_window_s     nobody took it within so long, counted while the queue is open, from the promise on; 0: for ever
--   window_end           then it has expired, or it is escalated: it goes before all others, and never expires
--   hours                when it is open, see hours.sql; NULL: always
--   open_until           up to when opening says so; NULL with hours
--   retries              the retry matrix: {"busy": {"delay_s": 1800, "attempts": 2}, "declined": "stop"}, see retry_rule()
--   slots                its times that can be booked, see slots.sql; NULL: any time can be asked for
--   calling_hours        when its contacts may be called, NULL: as the company says
--   last_agent_days      who spoke with the number last, within so many days, is preferred, for last_agent_for_s; 0: nobody is
--   personal_for_s       a callback that an agent booked for himself is for the others, too, so long after it fell due; when he is
--                        signed out then, at once
--   widen                whom its callbacks are offered to as well, the longer they wait: see functions/widening.sql
--   attempts_per_day     of one number on one day of its contact's; a retry beyond it waits for the next; 0: no limit
CREATE TABLE queue (
	tenant_id	int NOT NULL REFERENCES tenant,
	queue_id	int NOT NULL,
	name		text NOT NULL,
	label		text NOT NULL,
	version		bigint NOT NULL,
	removed		boolean NOT NULL DEFAULT false,
	skills		jsonb NOT NULL DEFAULT '{}',
	strategy	text NOT NULL DEFAULT 'longest_idle' CHECK (strategy IN (
			    'longest_idle', 'ring_all', 'round_robin', 'fewest_calls', 'least_talk_time', 'top_down', 'random',
			    'ring_progressively')),
	ring_max	int NOT NULL DEFAULT 10 CHECK (ring_max BETWEEN 1 AND 50),
	priority	int NOT NULL DEFAULT 0 CHECK (priority BETWEEN -1000 AND 1000),
	offer_timeout_s	int NOT NULL DEFAULT 20 CHECK (offer_timeout_s BETWEEN 1 AND 3600),
	ready_to_call_s	int NOT NULL DEFAULT 600 CHECK (ready_to_call_s BETWEEN 1 AND 86400),
	dial_timeout_s	int NOT NULL DEFAULT 120 CHECK (dial_timeout_s BETWEEN 1 AND 3600),
	call_timeout_s	int NOT NULL DEFAULT 14400 CHECK (call_timeout_s BETWEEN 1 AND 86400),
	after_call_work_s int NOT NULL DEFAULT 30 CHECK (after_call_work_s BETWEEN 0 AND 86400),
	missed_limit	int NOT NULL DEFAULT 3 CHECK (missed_limit BETWEEN 0 AND 100),
	missed_rest_s	int NOT NULL DEFAULT 300 CHECK (missed_rest_s BETWEEN 0 AND 86400),
	reject_cooldown_s int NOT NULL DEFAULT 120 CHECK (reject_cooldown_s BETWEEN 0 AND 86400),
	max_offers	int NOT NULL DEFAULT 100 CHECK (max_offers BETWEEN 1 AND 10000),
	max_attempts	int NOT NULL DEFAULT 3 CHECK (max_attempts BETWEEN 1 AND 100),
	retry_delay_s	int NOT NULL DEFAULT 900 CHECK (retry_delay_s BETWEEN 0 AND 2592000),
	promise_window_s int NOT NULL DEFAULT 86400 CHECK (promise_window_s BETWEEN 0 AND 2592000),
	disposition_required boolean NOT NULL DEFAULT false,
	hours		jsonb,
	open_until	timestamptz,
	retries		jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(retries) = 'object'),
	attempts_per_day int NOT NULL DEFAULT 0 CHECK (attempts_per_day BETWEEN 0 AND 100),
	ring_step_s	int NOT NULL DEFAULT 10 CHECK (ring_step_s BETWEEN 1 AND 3600),
	slots		jsonb CHECK (jsonb_typeof(slots) = 'object'),
	calling_hours	jsonb CHECK (jsonb_typeof(calling_hours) = 'object'),
	last_agent_days	int NOT NULL DEFAULT 0 CHECK (last_agent_days BETWEEN 0 AND 3650),
	last_agent_for_s int NOT NULL DEFAULT 60 CHECK (last_agent_for_s BETWEEN 0 AND 3600),
	widen		jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(widen) = 'array'),
	personal_for_s	int NOT NULL DEFAULT 300 CHECK (personal_for_s BETWEEN 0 AND 2592000),
	window_end	text NOT NULL DEFAULT 'expire' CHECK (window_end IN ('expire', 'escalate')),
	PRIMARY KEY (tenant_id, queue_id),
	UNIQUE (tenant_id, name)
);

-- opening: the hours of those queues that have any, in UTC, for more than a year ahead: nothing else has to know of
-- zones. They do not touch, so that the first that closes after a moment is the one that is open then, or the next.
CREATE TABLE opening (
	tenant_id	int NOT NULL,
	queue_id	int NOT NULL,
	opens_at	timestamptz NOT NULL,
	closes_at	timestamptz NOT NULL CHECK (opens_at < closes_at),
	PRIMARY KEY (tenant_id, queue_id, closes_at)
);

-- disposition: the codes an agent closes a callback with.
CREATE TABLE disposition (
	tenant_id	int NOT NULL REFERENCES tenant,
	disposition_id	int NOT NULL,
	name		text NOT NULL,
	label		text NOT NULL,
	class		text NOT NULL CHECK (class IN ('reached', 'retry', 'stop')),
	version		bigint NOT NULL,
	removed		boolean NOT NULL DEFAULT false,
	PRIMARY KEY (tenant_id, disposition_id),
	UNIQUE (tenant_id, name)
);

-- form: a website's intake definition, named by a public form key (unique over all tenants).
--   countries     regions (ISO 3166) whose numbers are taken; empty: only default_region
--   origins       web origins that may post by script (CORS)
--   duplicates    a second request for a number with an open callback: 'link' or 'allow'
--   closed        a time at which the queue is closed: 'next_opening' (moved to it) or 'refuse'
--   notice_s      a time that is asked for is at least so far ahead; as soon as possible is another matter
--   *_limit       requests per *_period_s from one address, for one number, for the form; 0: no limit
CREATE TABLE form (
	tenant_id	int NOT NULL REFERENCES tenant,
	form_id		int NOT NULL,
	form_key	text NOT NULL UNIQUE CHECK (form_key ~ '^[A-Za-z0-9_-]{3,64}$'),
	label		text NOT NULL,
	version		bigint NOT NULL,
	removed		boolean NOT NULL DEFAULT false,
	queue_id	int NOT NULL,
	skills		jsonb NOT NULL DEFAULT '{}',
	priority	int CHECK (priority BETWEEN -1000 AND 1000),
	default_region	text NOT NULL DEFAULT 'US' CHECK (default_region ~ '^[A-Z]{2}$'),
	countries	text[] NOT NULL DEFAULT '{}',
	origins		text[] NOT NULL DEFAULT '{}',
	time_zone	text NOT NULL DEFAULT 'UTC',
	language	text NOT NULL DEFAULT 'en',
	consent_required boolean NOT NULL DEFAULT false,
	consent_text	text NOT NULL DEFAULT '',
	thank_you_url	text NOT NULL DEFAULT '',
	thank_you_link	boolean NOT NULL DEFAULT false,
	duplicates	text NOT NULL DEFAULT 'link' CHECK (duplicates IN ('link', 'allow')),
	horizon_s	int NOT NULL DEFAULT 2592000 CHECK (horizon_s BETWEEN 0 AND 31536000),
	address_limit	int NOT NULL DEFAULT 20 CHECK (address_limit >= 0),
	address_period_s int NOT NULL DEFAULT 3600 CHECK (address_period_s BETWEEN 1 AND 86400),
	number_limit	int NOT NULL DEFAULT 5 CHECK (number_limit >= 0),
	number_period_s	int NOT NULL DEFAULT 86400 CHECK (number_period_s BETWEEN 1 AND 86400),
	form_limit	int NOT NULL DEFAULT 0 CHECK (form_limit >= 0),
	form_period_s	int NOT NULL DEFAULT 60 CHECK (form_period_s BETWEEN 1 AND 86400),
	closed		text NOT NULL DEFAULT 'next_opening' CHECK (closed IN ('next_opening', 'refuse')),
	notice_s	int NOT NULL DEFAULT 0 CHECK (notice_s BETWEEN 0 AND 2592000),
	PRIMARY KEY (tenant_id, form_id),
	FOREIGN KEY (tenant_id, queue_id) REFERENCES queue
);

-- requirement_class: queue + needed skills and levels beyond the queue's own; agent_id: only that agent, 0: anybody. Every
-- callback is in one.
-- The waiting callbacks of a class are interchangeable to the router but for their order.
CREATE TABLE requirement_class (
	tenant_id	int NOT NULL,
	class_id	int NOT NULL,
	queue_id	int NOT NULL,
	skills		jsonb NOT NULL,
	agent_id	int NOT NULL DEFAULT 0,
	PRIMARY KEY (tenant_id, class_id),
	UNIQUE (tenant_id, queue_id, skills, agent_id)
);
