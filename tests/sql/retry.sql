-- retry: when a callback is tried again, and when not: the queue's retry matrix, cell by cell; the limit of a day; times
-- at which nobody may be called; what an agent asks for.
\ir fixture/company.sql
-- An attempt that has ended, begun at time s.
CREATE FUNCTION fx.dial(p_name text, p_outcome text, s numeric, p_agent int DEFAULT 1) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
	v_number int := 1 + (SELECT count(*) FROM attempt WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name));
	a attempt;
BEGIN
	a := ROW (fx.t(), fx.id(p_name || '#' || v_number), 0, fx.id(p_name), p_agent, v_number, p_outcome, fx.ts(s), NULL, fx.ts(s + 20));
	a.seq := fx.put(jsonb_build_object('attempt', image_attempt(a, 0)::jsonb));
	INSERT INTO attempt SELECT a.*;
END
$$;
-- A callback of a number in the hands of an agent made for it, dialled so: [["busy", begun at], ...].
CREATE FUNCTION fx.tried(p_name text, p_dials jsonb DEFAULT '[]', p_phone text DEFAULT NULL, p_zone text DEFAULT 'Europe/Berlin',
	p_queue int DEFAULT 1) RETURNS int LANGUAGE plpgsql
AS $$
DECLARE
	v_agent int := (SELECT max(agent_id) + 1 FROM agent WHERE tenant_id = fx.t());
BEGIN
	PERFORM fx.agent(v_agent);
	PERFORM fx.callback(p_name, 'ready_to_call', ARRAY[v_agent], p_queue,
		p_attempts => (SELECT count(*)::int FROM jsonb_array_elements(p_dials) d WHERE outcome_counts(d ->> 0)));
	UPDATE callback SET promise_zone = p_zone, promise_local = promise_at AT TIME ZONE p_zone
	 WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name);
	PERFORM fx.settle();
	INSERT INTO contact (tenant_id, callback_id, phone) VALUES (fx.t(), fx.id(p_name), coalesce(p_phone, '+48' || v_agent));
	PERFORM fx.dial(p_name, d ->> 0, (d ->> 1)::numeric, v_agent) FROM jsonb_array_elements(p_dials) WITH ORDINALITY x(d, n) ORDER BY n;
	RETURN v_agent;
END
$$;
-- [state, reason, due] of a callback, due in seconds
CREATE FUNCTION fx.now_is(p_name text) RETURNS jsonb LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_array((fx.c(p_name)).state, (fx.c(p_name)).reason, ((ms((fx.c(p_name)).due_at) - fx.ms(0)) / 1000)::int) $$;
-- Dialled so, and closed with a code of class retry at time s: [state, reason, due].
CREATE FUNCTION fx.closes(s numeric, p_name text, p_dials jsonb DEFAULT '[]', p_phone text DEFAULT NULL, p_zone text DEFAULT 'Europe/Berlin')
RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	v_agent int := fx.tried(p_name, p_dials, p_phone, p_zone);
	v_refusal text := fx.does(s, 'done', p_name, by => v_agent, v => fx.v(p_name), args => '{"disposition": "again"}');
BEGIN
	RETURN CASE v_refusal WHEN 'ok' THEN fx.now_is(p_name) ELSE to_jsonb(v_refusal) END;
END
$$;
CREATE FUNCTION fx.waits(p_due int, p_reason text DEFAULT 'again') RETURNS jsonb LANGUAGE sql IMMUTABLE
AS $$ SELECT jsonb_build_array('scheduled', p_reason, p_due) $$;
-- It has failed, and due is what it was.
CREATE FUNCTION fx.fails(p_reason text) RETURNS jsonb LANGUAGE sql IMMUTABLE
AS $$ SELECT jsonb_build_array('failed', p_reason, -60) $$;
CREATE FUNCTION fx.queue(p_retries jsonb, p_per_day int DEFAULT 0, p_max int DEFAULT 3) RETURNS void LANGUAGE sql
AS $$ UPDATE queue SET retries = p_retries, attempts_per_day = p_per_day, max_attempts = p_max WHERE tenant_id = fx.t() AND queue_id = 1 $$;
SELECT plan(157);

-- without a matrix: the queue's delay, from the dial
SELECT is(fx.closes(100, 'none'), fx.waits(1000), 'nobody dialled: the delay begins now');
SELECT is(fx.closes(100, 'plain ' || x, jsonb_build_array(jsonb_build_array(x, 40))), fx.waits(940), x || ': the delay begins with the dial')
  FROM unnest(retry_outcomes() || '{trunk_failed,pbx_lost,agent_offline,cancelled}'::text[]) x;
SELECT is(fx.closes(2000, 'long ago', '[["busy", 1000]]'), fx.waits(2000), 'a delay that is over');
SELECT is(jsonb_build_array(ms((fx.c('long ago')).expires_at), ms((fx.c('long ago')).promise_at)), jsonb_build_array(fx.ms(2000 + 86400), fx.ms(-60)),
	'a whole promise window from then on, and the promise that was given');
SELECT is(fx.closes(2000, 'two', '[["busy", 1000], ["no_answer", 1900]]'), fx.waits(2800), 'the last dial counts');

-- the matrix: a delay for each outcome
SELECT fx.queue((SELECT jsonb_object_agg(x, jsonb_build_object('delay_s', 1000 * n)) FROM unnest(retry_outcomes()) WITH ORDINALITY u(x, n)));
SELECT is(fx.closes(2100, 'each ' || x, jsonb_build_array('["busy", 1]'::jsonb, jsonb_build_array(x, 2050))), fx.waits(2050 + 1000 * n::int), x || ' has a delay of its own')
  FROM unnest(retry_outcomes()) WITH ORDINALITY u(x, n);
SELECT is(fx.closes(2100, 'ours ' || x, jsonb_build_array(jsonb_build_array(x, 2050))), fx.waits(2950), x || ' has the queue''s')
  FROM unnest('{trunk_failed,pbx_lost,agent_offline,cancelled}'::text[]) x;
SELECT is(fx.closes(2100, 'still none'), fx.waits(3000), 'and so has what was not dialled');
SELECT fx.queue('{"busy": {"delay_s": 0}}');
SELECT is(fx.closes(2100, 'at once', '[["busy", 2090]]'), fx.waits(2100), 'no delay at all');
SELECT fx.queue('{"busy": {"delay_s": 2592000}}');
SELECT is(fx.closes(2100, 'a month', '[["busy", 2090]]'), fx.waits(2090 + 2592000), 'a month');

-- so many of one outcome
SELECT fx.queue('{"busy": {"attempts": 2}, "no_answer": {}, "answered": {"delay_s": 5, "attempts": 1}}', p_max => 5);
SELECT is(fx.closes(2200, 'busy 1', '[["busy", 2150]]'), fx.waits(3050), 'the first of two; a cell without a delay has the queue''s');
SELECT is(fx.closes(2200, 'busy 2', '[["busy", 100], ["busy", 2150]]'), fx.fails('max_attempts_busy'), 'the second was the last');
SELECT is(fx.did(), 'callback.failed:' || (SELECT max(agent_id) FROM agent WHERE tenant_id = fx.t()) || ' agent.after_call_work:' || (SELECT max(agent_id) FROM agent WHERE tenant_id = fx.t()),
	'and its agent wraps up');
SELECT is(fx.closes(2200, 'mixed', '[["busy", 100], ["no_answer", 900], ["busy", 1000], ["no_answer", 2150]]'), fx.waits(3050),
	'what ended otherwise is not counted for it');
SELECT is(fx.closes(2200, 'mixed 2', '[["busy", 100], ["no_answer", 900], ["busy", 2150]]'), fx.fails('max_attempts_busy'), 'nor between two');
SELECT is(fx.closes(2200, 'answered', '[["answered", 2190]]'), fx.fails('max_attempts_answered'), 'one answered is enough');
SELECT is(fx.closes(2200, 'empty cell', '[["no_answer", 1], ["no_answer", 2], ["no_answer", 3], ["no_answer", 2150]]'), fx.waits(3050), 'an empty cell says nothing');
SELECT is(fx.closes(2200, 'all', '[["no_answer", 1], ["no_answer", 2], ["no_answer", 3], ["no_answer", 4], ["no_answer", 2150]]'), fx.fails('max_attempts'),
	'but there is a most of all');
SELECT is(fx.closes(2200, 'all busy', '[["no_answer", 1], ["no_answer", 2], ["no_answer", 3], ["busy", 4], ["busy", 2150]]'), fx.fails('max_attempts'), 'which is named first');
SELECT is(fx.closes(2200, 'not ours', '[["no_answer", 1], ["trunk_failed", 2], ["cancelled", 3], ["agent_offline", 4], ["pbx_lost", 5], ["no_answer", 2150]]'), fx.waits(3050),
	'those that are not the contact''s use up nothing');

-- stop, and a number that does not exist
SELECT fx.queue('{"declined": "stop", "machine": "stop", "busy": {"attempts": 1}}', p_max => 2);
SELECT is(fx.closes(2300, 'stop', '[["declined", 2250]]'), fx.fails('stop_declined'), 'stop at once');
SELECT is(fx.closes(2300, 'stop later', '[["declined", 100], ["no_answer", 2250]]'), fx.fails('max_attempts'), 'by the last, not by those before');
SELECT is(fx.closes(2300, 'stop and all', '[["busy", 100], ["machine", 2250]]'), fx.fails('stop_machine'), 'stop goes before what is used up');
SELECT is((fx.c('stop')).disposition, 'again', 'the code is what he said');
SELECT is(fx.closes(2300, 'invalid', '[["invalid", 2250]]'), fx.fails('invalid_number'), 'a number that does not exist');
SELECT is(fx.closes(2300, 'invalid once', '[["invalid", 100], ["trunk_failed", 2250]]'), fx.fails('invalid_number'), 'or did not then');
SELECT is(fx.closes(2300, 'invalid and stop', '[["invalid", 100], ["declined", 2250]]'), fx.fails('invalid_number'), 'goes before all');
SELECT is(fx.closes(2300, 'stop, not again', '[["busy", 2250]]'), fx.fails('max_attempts_busy'), 'used up');

-- an agent who closes it without a dial of his own
SELECT fx.queue('{"busy": {"delay_s": 5000}}');
SELECT fx.tried('given on', '[["busy", 2000]]'), fx.tried('given on late', '[["busy", -9000]]');
CREATE FUNCTION fx.accepted(p_name text, s numeric) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
	v_id uuid := fx.offer(p_name, (fx.c(p_name)).agent_id);
BEGIN
	UPDATE offer SET state = 'accepted', ended_at = fx.ts(s) WHERE tenant_id = fx.t() AND offer_id = v_id;
	UPDATE offer o SET seq = fx.put(jsonb_build_object('offer', image_offer(o, 0)::jsonb)) WHERE o.tenant_id = fx.t() AND o.offer_id = v_id;
END
$$;
SELECT fx.accepted('given on', 2350), fx.accepted('given on late', 2350);
SELECT is(fx.does(2400, 'done', 'given on', by => (fx.c('given on')).agent_id, v => fx.v('given on'), args => '{"disposition": "again"}'), 'ok', 'dialled by another before');
SELECT is(fx.now_is('given on'), fx.waits(7000), 'that dial''s delay still holds');
SELECT is(fx.does(2400, 'done', 'given on late', by => (fx.c('given on late')).agent_id, v => fx.v('given on late'), args => '{"disposition": "again"}'), 'ok', 'dialled long ago');
SELECT is(fx.now_is('given on late'), fx.waits(3300), 'is not dialled again at once');

-- accepted, dialled, and left lying
SELECT fx.queue('{"busy": {"delay_s": 5000}, "declined": "stop"}');
SELECT fx.tried('lying', '[["busy", 2400]]'), fx.tried('lying stop', '[["declined", 2400]]'), fx.tried('lying on', '[["busy", 2000]]');
SELECT fx.accepted('lying on', 2350);
SELECT is(fx.does(2500, 'callback_deadline', 'lying', v => fx.v('lying')), 'ok', 'the deadline of one that was dialled');
SELECT is(fx.did(), 'callback.given_back:' || (SELECT (t ->> 0) FROM jsonb_array_elements((fx.c('lying')).tried) t), 'has it tried again');
SELECT is(fx.now_is('lying'), fx.waits(7400, 'deadline'), 'after the delay');
SELECT is(ms((fx.c('lying')).expires_at), fx.ms(7400 + 86400), 'with a whole promise window');
SELECT is(fx.body() ->> 'reason', 'deadline', 'and the event says why');
SELECT is(fx.does(2500, 'callback_deadline', 'lying stop', v => fx.v('lying stop')), 'ok', 'where the matrix says stop');
SELECT is(fx.now_is('lying stop'), fx.fails('stop_declined'), 'it stops');
SELECT is(fx.does(2500, 'callback_deadline', 'lying on', v => fx.v('lying on')), 'ok', 'one that somebody else dialled');
SELECT is(jsonb_build_array(fx.did()) || fx.now_is('lying on'), jsonb_build_array('callback.given_back:' || (SELECT (t ->> 0) FROM jsonb_array_elements((fx.c('lying on')).tried) t))
	|| fx.waits(-60, 'deadline'), 'goes to others at once, as ever');

-- given back, or its agent gone: the one who takes it next does not dial a busy number a second later
SELECT fx.tried('back', '[["busy", 2400]]'), fx.tried('back stop', '[["declined", 2400]]'), fx.tried('back on', '[["busy", 2000]]'),
	fx.tried('back ours', '[["trunk_failed", 1000]]');
SELECT fx.accepted('back on', 2350);
SELECT is(fx.does(2500, 'give_back', n, by => (fx.c(n)).agent_id, v => fx.v(n), args => '{"reason": "speaks French"}'), 'ok', n)
  FROM unnest('{back,back stop,back on,back ours}'::text[]) n;
SELECT is(fx.now_is('back'), fx.waits(7400, 'speaks French'), 'after the delay');
SELECT is(fx.now_is('back stop'), fx.fails('stop_declined'), 'where the matrix says stop');
SELECT is(fx.now_is('back on'), fx.waits(-60, 'speaks French'), 'dialled by another: at once');
SELECT is(fx.now_is('back ours'), fx.waits(2500, 'speaks French'), 'a trunk that failed is not the contact''s: as soon as retry_delay_s is over');
SELECT is((fx.c('back')).tried -> 0 -> 1, to_jsonb(fx.ms(2500)), 'others are asked first');
SELECT fx.tried('gone', '[["busy", 2400]]') AS a, fx.tried('gone stop', '[["declined", 2400]]') AS b \gset
SELECT is(fx.does(2500, 'sign_out', by => 9, role => 'supervisor', agent => :a), 'ok', 'signed out after his dial');
SELECT is(fx.now_is('gone'), fx.waits(7400, 'signed_out'), 'it waits');
UPDATE agent_status SET connected = false, lost_at = fx.ts(0) WHERE tenant_id = fx.t() AND agent_id = :b;
SELECT is(fx.does(2500, 'agent_lost', agent => :b), 'ok', 'gone after his dial');
SELECT is(jsonb_build_array(fx.did()) || fx.now_is('gone stop'), jsonb_build_array('agent.lost:' || :b || ' callback.failed:' || :b) || fx.fails('stop_declined'), 'it stops');

-- so many a day. Time 0 is 16:13:20 in Berlin; midnight there is at 28,000.
SELECT fx.queue('{"busy": {"delay_s": 600}}', 2, 100);
SELECT is(fx.closes(3000, 'day 1', '[["busy", 2900]]', '+491'), fx.waits(3500), 'one of two');
SELECT is(fx.closes(3000, 'day 2', '[["no_answer", 2000], ["busy", 2900]]', '+492'), fx.waits(28000), 'two of two: at midnight');
SELECT is((fx.c('day 2')).due_at AT TIME ZONE 'Europe/Berlin', '2026-09-22 00:00'::timestamp, 'by the contact''s clock');
SELECT is(ms((fx.c('day 2')).expires_at), fx.ms(28000 + 86400), 'and a whole promise window from there');
SELECT is(fx.closes(3000, 'day 3', '[["no_answer", 1000], ["no_answer", 2000], ["busy", 2900]]', '+493'), fx.waits(28000), 'more than that');
SELECT is(fx.closes(3000, 'day 4', '[["busy", 2900]]', '+492'), fx.waits(28000), 'another callback of the number');
SELECT is(fx.closes(3000, 'day 5', '[["no_answer", 2000], ["trunk_failed", 2100], ["cancelled", 2200], ["busy", 2900]]', '+495'), fx.waits(28000), 'two are the contact''s');
SELECT is(fx.closes(3000, 'day 6', '[["cancelled", 2000], ["pbx_lost", 2100], ["agent_offline", 2200], ["busy", 2900]]', '+496'), fx.waits(3500), 'one is');
SELECT is(fx.closes(3000, 'day 7', '[["busy", -58401], ["busy", 2900]]', '+497'), fx.waits(3500), 'the day begins at midnight: 23:59:59 was yesterday');
SELECT is(fx.closes(3000, 'day 8', '[["busy", -58400], ["busy", 2900]]', '+498'), fx.waits(28000), '0:00:00 was today');
SELECT is(fx.closes(3000, 'day 9', '[["no_answer", 2000], ["busy", 2900]]', '+499', 'America/New_York'), fx.waits(49600), 'it is another day in New York');
SELECT is(fx.closes(3000, 'day 10', '[["no_answer", 2000], ["busy", 2900]]', '+4910', 'Australia/Lord_Howe'), fx.waits(83800), 'and in Lord Howe');
SELECT fx.queue('{"busy": {"delay_s": 26000}}', 2, 100);
SELECT is(fx.closes(3000, 'day 11', '[["no_answer", 2000], ["busy", 2900]]', '+4911'), fx.waits(28900), 'a delay that goes beyond midnight is long enough');
SELECT fx.queue('{"busy": {"delay_s": 25099}}', 2, 100);
SELECT is(fx.closes(3000, 'day 12', '[["no_answer", 2000], ["busy", 2900]]', '+4912'), fx.waits(28000), 'one that ends a second before is not');
SELECT fx.queue('{"busy": {"delay_s": 600}}', 1, 100);
SELECT is(fx.closes(3000, 'day 13', '[["busy", 2900]]', '+4913'), fx.waits(28000), 'once a day');
SELECT is(fx.closes(3000, 'day 14', '[]', '+4914'), fx.waits(3900), 'other numbers'' calls are not its own');
SELECT fx.tried('no number', '[["busy", 2900]]');
UPDATE contact SET phone = NULL WHERE tenant_id = fx.t() AND callback_id = fx.id('no number');
SELECT is(fx.does(3000, 'done', 'no number', by => (fx.c('no number')).agent_id, v => fx.v('no number'), args => '{"disposition": "again"}'), 'ok', 'no number');
SELECT is(fx.now_is('no number'), fx.waits(3500), 'no limit');
SELECT is(fx.closes(3000, 'day 15', '[["trunk_failed", 2900]]', '+4915'), fx.waits(3800), 'our own failures are not of its day');

-- days of 23 to 25 hours: one attempt early on the day on which the clocks change, asked late on it
CREATE TABLE fx.day AS SELECT * FROM (VALUES
	('Europe/Berlin',	'2026-10-24 22:30Z', '2026-10-25 21:30Z', '2026-10-25 23:00Z'),
	('Europe/Berlin',	'2027-03-27 23:30Z', '2027-03-28 20:00Z', '2027-03-28 22:00Z'),
	('America/New_York',	'2026-11-01 04:30Z', '2026-11-02 04:30Z', '2026-11-02 05:00Z'),
	('America/New_York',	'2027-03-14 05:30Z', '2027-03-15 03:30Z', '2027-03-15 04:00Z'),
	('Australia/Lord_Howe',	'2026-10-03 13:45Z', '2026-10-04 12:30Z', '2026-10-04 13:00Z'),
	('Australia/Lord_Howe',	'2027-04-03 13:15Z', '2027-04-04 13:15Z', '2027-04-04 13:30Z'),
	('Africa/Casablanca',	'2027-02-06 23:30Z', '2027-02-07 23:30Z', '2027-02-08 00:00Z'),
	('Africa/Casablanca',	'2027-03-14 00:30Z', '2027-03-14 22:30Z', '2027-03-14 23:00Z'),
	-- there is no midnight, or there are two
	('Africa/Cairo',	'2027-04-29 10:00Z', '2027-04-29 21:30Z', '2027-04-29 22:00Z'),
	('America/Havana',	'2026-10-31 10:00Z', '2026-11-01 03:30Z', '2026-11-01 05:00Z')) v(zone, dialled, asked, midnight);
SELECT fx.tried(zone || midnight, jsonb_build_array(jsonb_build_array('busy', extract(epoch FROM dialled::timestamptz) - 1790000000)), NULL, zone) FROM fx.day;
SELECT is(retry_at(fx.t(), fx.c(zone || midnight), q, x.at::timestamptz), x.expected::timestamptz, concat_ws(' ', zone, x.at, 'is', x.expected))
  FROM fx.day CROSS JOIN LATERAL (VALUES (asked, midnight), (midnight, midnight)) x(at, expected)
 CROSS JOIN LATERAL (SELECT q FROM queue q WHERE q.tenant_id = fx.t() AND q.queue_id = 1) q;

-- at a time that an agent asks for
SELECT fx.queue('{"busy": "stop", "no_answer": {"delay_s": 7200, "attempts": 1}, "declined": {"attempts": 1}}', 0, 3);
CREATE FUNCTION fx.asks(s numeric, p_name text, p_at numeric) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	v_refusal text := fx.does(s, 'retry', p_name, by => (fx.c(p_name)).agent_id, v => fx.v(p_name),
		args => jsonb_build_object('at', fx.ms(p_at), 'reason', 'asked'));
BEGIN
	RETURN CASE v_refusal WHEN 'ok' THEN fx.now_is(p_name) ELSE to_jsonb(v_refusal) END;
END
$$;
SELECT fx.tried('asks ' || n, d::jsonb) FROM (VALUES (1, '[["busy", 3000]]'), (2, '[["no_answer", 3000]]'), (3, '[["no_answer", 10], ["no_answer", 3000]]'),
	(4, '[["invalid", 3000]]'), (5, '[["busy", 1], ["busy", 2], ["busy", 3000]]'), (6, '[["trunk_failed", 3000]]')) x(n, d);
SELECT is(fx.asks(3100, 'asks 1', 3160), fx.waits(3160, 'asked'), 'the time is his, whatever the matrix says');
SELECT is(ms((fx.c('asks 1')).promise_at), fx.ms(3160), 'and is a new promise');
SELECT is(fx.asks(3100, 'asks 2', 3100), fx.waits(3100, 'asked'), 'whatever its delay');
SELECT is(fx.asks(3100, 'asks 3', 3160), fx.waits(3160, 'asked'), 'and its attempts');
SELECT is(fx.asks(3100, 'asks 4', 3160), fx.fails('invalid_number'), 'but a number that does not exist');
SELECT is(fx.asks(3100, 'asks 5', 3160), fx.fails('max_attempts'), 'and attempts that are used up, are his limits, too');
SELECT is(fx.asks(3100, 'asks 6', 3099), '"bad_time"', 'what is past is not possible');
SELECT is(fx.body() -> 'errors', '[{"field": "at", "message": "is missing, past, or more than a year ahead"}]', 'which the refusal says');
SELECT is(fx.body() #>> '{callback,id}', fx.id('asks 6')::text, 'beside the callback');
SELECT is(fx.body() -> 'possible_at', NULL, 'and nothing that would do instead');
SELECT fx.queue('{}', 1, 3);
SELECT fx.tried('asks 7', '[["busy", 3000]]'), fx.tried('asks 8', '[["busy", 1], ["busy", 2], ["busy", 3000]]');
SELECT is(fx.asks(3100, 'asks 7', 27999), '"bad_time"', 'a day that has had its calls');
SELECT is(fx.body() - 'callback', jsonb_build_object('possible_at', fx.ms(28000), 'errors',
	'[{"field": "at", "message": "is on a day on which the number has been called as often as the queue allows"}]'::jsonb), 'is named, and when it can be');
SELECT is(fx.did(), NULL, 'and nothing has happened');
SELECT is(fx.does(3100, 'retry', 'asks 7', by => (fx.c('asks 7')).agent_id, v => fx.v('asks 7'), args => '{"in_s": 60}'), 'bad_time', 'in some seconds, too');
SELECT is(fx.body() #>> '{errors,0,field}', 'in_s', 'by the name that he used');
SELECT is(fx.asks(3100, 'asks 7', 28000), fx.waits(28000, 'asked'), 'the next day, then');
SELECT is(fx.asks(3100, 'asks 8', 3160), fx.fails('max_attempts'), 'what fails is not refused');

-- opening hours: it is a Monday
CREATE FUNCTION fx.opens(p_hours jsonb) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
	q queue;
BEGIN
	UPDATE queue u SET hours = p_hours WHERE u.tenant_id = fx.t() AND u.queue_id = 1 RETURNING u.* INTO q;
	PERFORM opening_write(q, fx.ts(0));
END
$$;
SELECT fx.queue('{"busy": {"delay_s": 900}, "no_answer": {"delay_s": 9000}}', 1, 9);
SELECT fx.opens('{"time_zone": "Europe/Berlin", "week": {"mon": ["09:00-18:00"], "tue": ["08:00-12:00"]}, "exceptions": {"2026-09-28": []}}');
SELECT is(fx.closes(3100, 'open 1', '[["trunk_failed", 3000]]'), fx.waits(3900), 'while it is open');
SELECT is(fx.closes(3100, 'open 2'), fx.waits(4000), 'and when it was not dialled');
SELECT is(fx.closes(3100, 'open 3', '[["no_answer", -9000]]'), fx.waits(28000 + 28800), 'a day that is full: when it opens on the next');
SELECT is(fx.closes(5600, 'open 4', '[["trunk_failed", 5501]]'), fx.waits(28000 + 28800), 'it has closed by then');
SELECT is(fx.closes(5600, 'open 5', '[["no_answer", 5500]]'), fx.waits(28000 + 28800), 'both');
SELECT fx.tried('open 6', '[["busy", 5500]]');
SELECT is(fx.asks(5600, 'open 6', 28000 + 28799), '"bad_time"', 'not a second before it opens');
SELECT is(fx.body() - 'callback', jsonb_build_object('possible_at', fx.ms(28000 + 28800), 'errors',
	'[{"field": "at", "message": "is not a time at which the contact may be called"}]'::jsonb), 'but then');
SELECT is(fx.asks(5600, 'open 6', 28000 + 43200), '"bad_time"', 'nor when it closes');
SELECT is(fx.body() -> 'possible_at', to_jsonb(fx.ms(28000 + 86400 * 7 + 28800)), 'the next Monday is a holiday, the Tuesday after it is not');
SELECT fx.opens('{"time_zone": "Europe/Berlin", "week": {}}');
SELECT is(fx.asks(5600, 'open 6', 28000 + 28800), '"bad_time"', 'what never opens');
SELECT is(fx.closes(5600, 'open 7'), fx.fails('not_callable'), 'calls nobody');
SELECT fx.opens(NULL);

-- times at which nobody may be called: at night, and never to the Moon
CREATE OR REPLACE FUNCTION callable_from(p_tenant int, c callback, p_at timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_local timestamp := p_at AT TIME ZONE c.promise_zone;
BEGIN
	RETURN CASE WHEN c.reason = 'moon' THEN NULL
		WHEN v_local::time < '09:00' THEN (v_local::date + time '09:00') AT TIME ZONE c.promise_zone
		WHEN v_local::time >= '18:00' THEN (v_local::date + 1 + time '09:00') AT TIME ZONE c.promise_zone
		ELSE p_at END;
END
$$;
SELECT fx.queue('{"busy": {"delay_s": 6000}}', 1, 3);
SELECT is(fx.closes(5600, 'night 1', '[["trunk_failed", 5400]]'), fx.waits(6300), 'before six');
SELECT is(fx.closes(5600, 'night 3', '[["busy", 100]]'), fx.waits(28000 + 32400), 'the day after one that had its calls: at nine');
SELECT is(fx.closes(6000, 'night 2', '[["trunk_failed", 5500]]'), fx.waits(28000 + 32400), 'after six: at nine');
SELECT is(ms((fx.c('night 3')).expires_at), fx.ms(28000 + 32400 + 86400), 'the promise window begins then');
SELECT is(fx.closes(6000, 'night 4'), fx.waits(28000 + 32400), 'not dialled');
SELECT fx.tried('night ' || n, '[["busy", 5500]]') FROM generate_series(5, 8) n;
SELECT is(fx.does(6100, 'callback_deadline', 'night 5', v => fx.v('night 5')), 'ok', 'left lying');
SELECT is(fx.now_is('night 5'), fx.waits(28000 + 32400, 'deadline'), 'the same');
SELECT is(fx.asks(6100, 'night 6', 28000), '"bad_time"', 'midnight is not for telephoning');
SELECT is(fx.body() - 'callback', jsonb_build_object('possible_at', fx.ms(28000 + 32400), 'errors',
	'[{"field": "at", "message": "is not a time at which the contact may be called"}]'::jsonb), 'nine is');
SELECT is(fx.asks(6100, 'night 6', 28000 + 32400), fx.waits(28000 + 32400, 'asked'), 'and that it becomes');
UPDATE callback SET reason = 'moon' WHERE tenant_id = fx.t() AND callback_id IN (fx.id('night 7'), fx.id('night 8'));
SELECT fx.settle();
SELECT is(fx.asks(6100, 'night 7', 60000), '"bad_time"', 'where there is no time at all');
SELECT is(fx.body() -> 'possible_at', NULL, 'none is possible');
SELECT is(fx.does(6100, 'done', 'night 8', by => (fx.c('night 8')).agent_id, v => fx.v('night 8'), args => '{"disposition": "again"}'), 'ok', 'and a retry');
SELECT is(fx.now_is('night 8'), fx.fails('not_callable'), 'fails');

-- what is shown
SELECT is(load_callback(fx.t(), fx.id('night 2'))::jsonb ->> 'due_local', '2026-09-22T09:00:00', 'due, by the contact''s clock');
SELECT ok(max(length(r)) < 40 AND count(*) = 17 AND count(DISTINCT r) = 17, 'reasons that are ours') FROM unnest(retry_reasons()) r;
SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
