-- slots: what is wrong with them, when they begin over changes of clocks, how many places they have, and that no place is
-- sold twice, whoever comes for it and how.
\ir fixture/company.sql
SELECT plan(104);

-- ---- what is wrong ----
CREATE FUNCTION pg_temp.wrong(p_slots jsonb) RETURNS text LANGUAGE sql
AS $$ SELECT coalesce(string_agg(below || ' ' || message, '; ' ORDER BY below), '') FROM slot_errors(p_slots) WHERE message IS NOT NULL $$;
SELECT is(pg_temp.wrong(s::jsonb), want, left(s, 60)) FROM (VALUES
	('{"minutes": 30, "capacity": 5}', ''),
	('{"minutes": 1440, "capacity": 0}', ''),
	('{"minutes": 15, "per_agent": 0.5, "staff": {"week": {"mon": {"08:00-12:30": 4, "12:30-24:00": 0}}, "exceptions": {"2026-12-25": {}}}}', ''),
	('7', ' must be an object {"minutes", "capacity"} or {"minutes", "per_agent", "staff"}'),
	('{}', '.capacity is missing, or per_agent and staff; .minutes is missing'),
	('{"minutes": 7, "capacity": 1.5, "size": 1}', '.capacity must be an integer from 0 to 99999; .minutes must be from 5 to 1440, and a day a multiple of it; .size is not known'),
	('{"minutes": "30", "capacity": -1}', '.capacity must be an integer from 0 to 99999; .minutes must be an integer'),
	('{"minutes": 30, "capacity": 5, "per_agent": 1}', '.capacity must not be there beside per_agent and staff; .staff is missing'),
	('{"minutes": 30, "per_agent": 101, "staff": 4}', '.per_agent must be a number from 0.01 to 100; .staff must be an object {"week", "exceptions"}'),
	('{"minutes": 30, "staff": {"days": {}, "exceptions": []}}', '.per_agent is missing; .staff.days is not known; .staff.exceptions must be an object {"2026-12-25": ..., ...}; .staff.week is missing'),
	('{"minutes": 30, "per_agent": 1, "staff": {"week": {"mo": {}, "mon": [], "tue": {"8:00-9:00": 1, "09:00-09:00": 1, "10:00-12:00": 1, "11:00-13:00": 1, "14:00-15:00": "2", "15:00-16:00": 1.5}}, "exceptions": {"2026-02-29": {}}}}',
		'.staff.exceptions.2026-02-29 is not a date like 2026-12-25; .staff.week.mo is not a day: they are mon, tue, wed, thu, fri, sat and sun; '
		'.staff.week.mon must be an object {"08:00-12:30": agents}; .staff.week.tue.09:00-09:00 must end after it begins; '
		'.staff.week.tue.11:00-13:00 must not begin before the one before has ended; .staff.week.tue.14:00-15:00 must be how many agents, up to 99999; '
		'.staff.week.tue.15:00-16:00 must be how many agents, up to 99999; .staff.week.tue.8:00-9:00 is not a span like "08:00-12:30"')) c(s, want);

-- ---- places ----
-- 2026-09-21 is a Monday
SELECT is(slot_places('{"minutes": 30, "capacity": 5}', '2026-09-21T10:00'), 5, 'as many as it says');
SELECT is(slot_places('{"minutes": 60, "per_agent": 1.5, "staff": {"week": {"mon": {"08:00-10:00": 4, "10:00-11:30": 3, "12:00-24:00": 1}}, "exceptions": {"2026-09-28": {"08:00-09:00": 9}}}}',
	at::timestamp), want, 'scheduled agents at ' || at) FROM (VALUES
	('2026-09-21T08:00', 6), ('2026-09-21T10:00', 4), ('2026-09-21T11:00', 0), ('2026-09-21T23:00', 1), ('2026-09-22T08:00', 0),
	('2026-09-28T08:00', 13), ('2026-09-28T10:00', 0)) c(at, want);
SELECT is(slot_places('{"minutes": 60, "per_agent": 2, "staff": {"week": {"mon": {"08:00-08:30": 4, "08:30-10:00": 3}}}}', '2026-09-21T08:00'), 6,
	'of a slot in which some leave, those who stay');

-- ---- when they begin ----
CREATE FUNCTION pg_temp.slots(p_queue int, p_slots jsonb, p_hours jsonb DEFAULT NULL) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE q queue;
BEGIN
	UPDATE queue u SET hours = p_hours, slots = p_slots WHERE u.tenant_id = fx.t() AND u.queue_id = p_queue RETURNING u.* INTO q;
	q := opening_write(q, '2026-09-21Z');
END
$$;
CREATE FUNCTION pg_temp.every(p_zone text, VARIADIC p_spans text[]) RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_object('time_zone', p_zone, 'week', (SELECT jsonb_object_agg(d, to_jsonb(p_spans)) FROM unnest('{mon,tue,wed,thu,fri,sat,sun}'::text[]) d)) $$;
CREATE FUNCTION pg_temp.list(p_from text, p_until text) RETURNS text LANGUAGE sql
AS $$ SELECT coalesce(string_agg(to_char(s.at AT TIME ZONE 'UTC', 'DD"T"HH24:MI') || '=' || to_char(s.local_at, 'HH24:MI'), ' ' ORDER BY s.at), '')
	FROM queue q CROSS JOIN LATERAL slot_list(q, p_from::timestamptz, p_until::timestamptz, fx.ts()) s WHERE q.tenant_id = fx.t() AND q.queue_id = 1 $$;
SELECT pg_temp.slots(1, '{"minutes": 30, "capacity": 2}', pg_temp.every('Europe/Berlin', '08:10-10:00', '13:00-13:45'));
SELECT is(pg_temp.list('2026-09-22Z', '2026-09-23Z'), '22T06:30=08:30 22T07:00=09:00 22T07:30=09:30 22T11:00=13:00', 'whole, and within the opening hours');
SELECT is(pg_temp.list('2026-09-22T07:00Z', '2026-09-22T07:30Z'), '22T07:00=09:00', 'from a time on, and before another');
SELECT pg_temp.slots(1, '{"minutes": 60, "capacity": 2}', pg_temp.every('Europe/Berlin', '01:00-04:00'));
SELECT is(pg_temp.list('2026-10-24T22:00Z', '2026-10-25T22:00Z'), '24T23:00=01:00 25T00:00=02:00 25T02:00=03:00', 'an hour that comes twice has one slot, the first');
SELECT is(pg_temp.list('2027-03-27T23:00Z', '2027-03-28T22:00Z'), '28T00:00=01:00 28T01:00=03:00', 'one that is left out has none');
SELECT pg_temp.slots(1, '{"minutes": 60, "capacity": 2}', pg_temp.every('Australia/Lord_Howe', '01:00-04:00'));
SELECT is(pg_temp.list('2026-10-03T13:00Z', '2026-10-03T20:00Z'), '03T14:30=01:00 03T16:00=03:00', 'half an hour forward: what begins in it is not');
SELECT is(pg_temp.list('2027-04-03T13:00Z', '2027-04-03T20:00Z'), '03T14:00=01:00 03T15:30=02:00 03T16:30=03:00', 'half an hour back');
SELECT pg_temp.slots(1, '{"minutes": 60, "capacity": 2}', pg_temp.every('Africa/Casablanca', '08:00-10:00'));
SELECT is(pg_temp.list('2027-02-06T00:00Z', '2027-02-08T00:00Z'), '06T07:00=08:00 06T08:00=09:00 07T08:00=08:00 07T09:00=09:00', 'by the clock of Ramadan');
CREATE FUNCTION pg_temp.overlaps() RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT count(*) FILTER (WHERE x.overlaps) || ' of ' || (count(*) > 17000)::text FROM (
		SELECT s.ends_at > lead(s.at) OVER (ORDER BY s.at) AS overlaps
		  FROM queue q CROSS JOIN LATERAL slot_list(q, '2026-09-21Z', '2027-09-21Z', fx.ts()) s WHERE q.tenant_id = fx.t() AND q.queue_id = 1) x
$$;
SELECT pg_temp.slots(1, '{"minutes": 30, "capacity": 2}', pg_temp.every('Europe/Berlin', '00:00-24:00'));
SELECT is(pg_temp.overlaps(), '0 of true', 'Europe/Berlin: none overlaps another in a year');
SELECT pg_temp.slots(1, '{"minutes": 30, "capacity": 2}', pg_temp.every('America/New_York', '00:00-24:00'));
SELECT is(pg_temp.overlaps(), '0 of true', 'America/New_York: none overlaps another in a year');
SELECT pg_temp.slots(1, '{"minutes": 30, "capacity": 2}', pg_temp.every('Australia/Lord_Howe', '00:00-24:00'));
SELECT is(pg_temp.overlaps(), '0 of true', 'Australia/Lord_Howe: none overlaps another in a year');
SELECT pg_temp.slots(1, '{"minutes": 30, "capacity": 2}', pg_temp.every('Africa/Casablanca', '00:00-24:00'));
SELECT is(pg_temp.overlaps(), '0 of true', 'Africa/Casablanca: none overlaps another in a year');
SELECT pg_temp.slots(1, '{"minutes": 720, "capacity": 1}');
UPDATE tenant SET time_zone = 'Asia/Kolkata' WHERE tenant_id = fx.t();
SELECT is(pg_temp.list('2026-09-22Z', '2026-09-23Z'), '22T06:30=12:00 22T18:30=00:00', 'without hours at any time, by the company''s clock');

-- ---- who gets one ----
SELECT pg_temp.slots(1, '{"minutes": 30, "capacity": 2}', pg_temp.every('Europe/Berlin', '08:00-18:00'));
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, time_zone, closed, notice_s, duplicates)
VALUES (fx.t(), 1, 'slots-move', '', 0, 1, 'Europe/Berlin', 'next_opening', 3600, 'allow'), (fx.t(), 2, 'slots-refuse', '', 0, 1, 'Europe/Berlin', 'refuse', 0, 'allow'),
	(fx.t(), 3, 'no-slots', '', 0, 2, 'UTC', 'refuse', 0, 'allow');
CREATE FUNCTION pg_temp.element(p_name text, p_form int, p_when text, p_more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_object('id', fx.id(p_name), 'form', p_form, 'phone', '+4930' || abs(hashtext(p_name)), 'when', p_when) || p_more $$;
CREATE FUNCTION pg_temp.submit(p_now timestamptz, VARIADIC p_elements jsonb[]) RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT string_agg(CASE WHEN s.what = 'event' THEN to_char(from_ms((s.body::jsonb #>> '{callback,promise_at}')::bigint) AT TIME ZONE 'UTC', 'DD"T"HH24:MI') || ' '
			|| (s.body::jsonb ->> 'when_note') || CASE WHEN s.body::jsonb #> '{callback,booked}' = 'true' THEN ' booked' ELSE '' END
		ELSE coalesce(s.body::jsonb #>> '{errors,0,message}', s.kind) END, ' | ' ORDER BY s.ord)
	  FROM submit(fx.t(), ms(p_now), to_jsonb(p_elements)) s WHERE s.ord IS NOT NULL
$$;
CREATE FUNCTION pg_temp.ask(p_name text, p_form int, p_when text, p_more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT pg_temp.submit(fx.ts(), pg_temp.element(p_name, p_form, p_when, p_more)) $$;
-- now it is 2026-09-21T16:13 in Berlin
SELECT is(pg_temp.ask('a1', 1, '2026-09-22T10:00'), '22T08:00 as_asked booked', 'a place');
SELECT is(pg_temp.ask('a2', 1, '2026-09-22T10:10'), 'is not a time that can be booked; the next is 2026-09-22T10:30', 'no slot begins then');
SELECT is(pg_temp.ask('a3', 2, '2026-09-22T10:00'), '22T08:00 as_asked booked', 'the last place');
SELECT is(pg_temp.ask('a4', 1, '2026-09-22T10:00'), 'is a time at which no place is left; the next is 2026-09-22T10:30', 'there is no third');
SELECT is(pg_temp.ask('a4', 1, '2026-09-22T10:00', '{"time_zone": "UTC"}'), '22T10:00 as_asked booked', 'nor by another clock: it is another time');
SELECT is(pg_temp.ask('a5', 1, 'asap'), '21T14:13 as_asked', 'as soon as possible, while it is open, needs none');
SELECT is(pg_temp.ask('a6', 1, '2026-09-21T16:30'), 'is too soon: the earliest is 2026-09-21T17:13', 'not without notice');
SELECT is(pg_temp.ask('a6', 2, '2026-09-21T16:30'), '21T14:30 as_asked booked', 'but where none is needed');
SELECT is(pg_temp.ask('a7', 2, '2026-09-21T18:00'), 'is outside the opening hours; we open at 2026-09-22T08:00', 'closed: refused');
SELECT is(pg_temp.ask('a8', 1, '2026-09-21T18:00'), '22T06:00 next_opening booked', 'or the first place after that');
SELECT is(pg_temp.submit('2026-09-21T20:00Z', pg_temp.element('b1', 1, 'asap'), pg_temp.element('b2', 1, 'asap'), pg_temp.element('b3', 1, 'asap'),
		pg_temp.element('b4', 1, 'asap'), pg_temp.element('b5', 1, '2026-09-22T08:30'), pg_temp.element('b6', 1, '2026-09-22T09:00'), pg_temp.element('b6', 1, '2026-09-22T09:00')),
	'22T06:00 next_opening booked | 22T06:30 next_slot booked | 22T06:30 next_slot booked | 22T07:00 next_slot booked | '
	'is a time at which no place is left; the next is 2026-09-22T09:00 | 22T07:00 as_asked booked',
	'in one batch each gets his own, in its order, and who is there twice one');
SELECT is((SELECT expires_at - promise_at FROM callback WHERE callback_id = fx.id('b3')), interval '2 days 4 hours', 'the promise window goes with it, a day of open hours');
SELECT is((SELECT promise_local FROM callback WHERE callback_id = fx.id('b3')), '2026-09-22T08:30', 'and the contact''s clock');
SELECT is(pg_temp.submit('2026-09-21T14:20Z', pg_temp.element('c', 3, '2026-09-22T10:17')), '22T10:17 as_asked', 'a queue without slots takes any time');
-- who ends, leaves his place
SELECT is(fx.does(1, 'cancel', 'a1', role => 'contact'), 'ok', 'one is cancelled');
SELECT is(pg_temp.submit('2026-09-21T20:01Z', pg_temp.element('d1', 2, '2026-09-22T10:00'), pg_temp.element('d2', 2, '2026-09-22T10:00')),
	'22T08:00 as_asked booked | is a time at which no place is left; the next is 2026-09-22T10:30', 'and one other takes his place');

SELECT is(pg_temp.submit('2026-09-21T20:02Z', VARIADIC ARRAY[pg_temp.element('d3', 1, '2026-09-22T10:00'), pg_temp.element('d3', 1, '2026-09-22T10:00'),
		pg_temp.element('d4', 1, '2026-09-22T10:00', key), pg_temp.element('d5', 1, '2026-09-22T10:00', key), pg_temp.element('d6', 1, '2026-09-22T11:00', key || '{"fingerprint": "02"}')]),
	concat_ws(' | ', VARIADIC array_fill('is a time at which no place is left; the next is 2026-09-22T10:30'::text, ARRAY[4]) || '{key_reused}'),
	'who asks twice in one batch for a place that is gone, is refused twice')
  FROM (VALUES ('{"key": "k", "fingerprint": "01"}'::jsonb)) v(key);

-- ---- holds ----
CREATE FUNCTION pg_temp.hold(p_name text, p_form int, p_args jsonb, p_now timestamptz DEFAULT '2026-09-21T20:10Z', p_kind text DEFAULT 'slot_hold', p_role text DEFAULT 'public')
RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT coalesce(x.kind, 'again') || coalesce(' ' || to_char(from_ms((x.body::jsonb #>> '{hold,starts_at}')::bigint) AT TIME ZONE 'UTC', 'DD"T"HH24:MI') || '-' || (x.body::jsonb #>> '{hold,local}')
			|| ' until ' || to_char(from_ms((x.body::jsonb #>> '{hold,until_at}')::bigint) AT TIME ZONE 'UTC', 'HH24:MI'), '')
		|| coalesce(' ' || (x.body::jsonb #>> '{errors,0,field}') || ' ' || (x.body::jsonb #>> '{errors,0,message}'), '')
	  FROM execute(fx.t(), ms(p_now), jsonb_build_array(jsonb_build_object('id', fx.id(p_name), 'kind', p_kind, 'role', p_role, 'args', jsonb_build_object('form', p_form) || p_args))) x
$$;
SELECT is(pg_temp.hold('h1', 1, '{"when": "2026-09-23T09:00"}'), 'slot.held 23T07:00-2026-09-23T09:00:00 until 20:15', 'a hold, for five minutes');
SELECT is(pg_temp.hold('h1', 1, '{"when": "2026-09-23T09:00"}'), 'again 23T07:00-2026-09-23T09:00:00 until 20:15', 'sent again it is the same');
SELECT is(pg_temp.hold('h2', 2, jsonb_build_object('at', ms('2026-09-23T07:00Z'), 'time_zone', 'UTC')), 'slot.held 23T07:00-2026-09-23T07:00:00 until 20:15', 'another, by an instant and another clock');
SELECT is(pg_temp.hold('h3', 1, '{"when": "2026-09-23T09:00"}'), 'invalid when is a time at which no place is left; the next is 2026-09-23T09:30', 'what is held is taken');
SELECT is(pg_temp.submit('2026-09-21T20:11Z', pg_temp.element('e1', 2, '2026-09-23T09:00')), 'is a time at which no place is left; the next is 2026-09-23T09:30', 'for others who ask for it');
SELECT is(pg_temp.submit('2026-09-21T20:11Z', pg_temp.element('e2', 2, '2026-09-23T09:00', jsonb_build_object('hold', fx.id('h1')))),
	'is a time at which no place is left; the next is 2026-09-23T09:30', 'and for another form''s');
SELECT is(pg_temp.submit('2026-09-21T20:11Z', pg_temp.element('e3', 1, '2026-09-23T09:00', jsonb_build_object('hold', fx.id('h1'))),
	pg_temp.element('e4', 1, '2026-09-23T09:00', jsonb_build_object('hold', fx.id('h1'))), pg_temp.element('e5', 2, '2026-09-23T09:00')),
	'23T07:00 as_asked booked | is a time at which no place is left; the next is 2026-09-23T09:30 | is a time at which no place is left; the next is 2026-09-23T09:30',
	'who holds it gets it, once, and nobody else does');
SELECT is((SELECT count(*) FROM slot_hold WHERE tenant_id = fx.t()), 1::bigint, 'his hold is over');
SELECT is(pg_temp.submit('2026-09-21T20:15Z', pg_temp.element('e6', 2, '2026-09-23T09:00'), pg_temp.element('e7', 2, '2026-09-23T09:00', jsonb_build_object('hold', fx.id('h2')))),
	'23T07:00 as_asked booked | is a time at which no place is left; the next is 2026-09-23T09:30', 'after five minutes it is nobody''s');
SELECT is(pg_temp.hold('h4', 1, '{"when": "2026-09-23T11:00"}', '2026-09-21T20:20Z'), 'slot.held 23T09:00-2026-09-23T11:00:00 until 20:25', 'one more');
SELECT is((SELECT count(*) FROM slot_hold WHERE tenant_id = fx.t()), 1::bigint, 'what had run out is gone');
SELECT is(pg_temp.hold('h5', 1, jsonb_build_object('hold', fx.id('h4')), '2026-09-21T20:21Z', 'slot_release'), 'slot.released 23T09:00-2026-09-23T11:00:00 until 20:25', 'given back');
SELECT is(pg_temp.hold('h6', 1, jsonb_build_object('hold', fx.id('h4')), '2026-09-21T20:21Z', 'slot_release'), 'not_found', 'once');
SELECT is(pg_temp.hold('h7', 1, args::jsonb, '2026-09-21T20:21Z'), 'invalid ' || want, args) FROM (VALUES
	('{}', 'when is not a local time like 2026-11-24T10:00'), ('{"when": "asap"}', 'when is not a local time like 2026-11-24T10:00'),
	('{"when": "2026-09-23T11:00", "time_zone": "Mars/Phobos"}', 'time_zone is not a known IANA time zone'),
	('{"at": 99999999999999999}', 'when is not a local time like 2026-11-24T10:00'),
	('{"when": "2026-09-20T11:00"}', 'when is in the past'), ('{"when": "2026-12-20T11:00"}', 'when is too far ahead'),
	('{"when": "2026-09-21T22:30"}', 'when is too soon: the earliest is 2026-09-21T23:21'),
	('{"when": "2026-09-23T11:10"}', 'when is not a time that can be booked; the next is 2026-09-23T11:30'),
	('{"when": "2026-09-23T07:30"}', 'when is not a time that can be booked; the next is 2026-09-23T08:00')) c(args, want);
SELECT is(pg_temp.hold('h8', 3, '{"when": "2026-09-23T11:00"}'), 'no_slots', 'a queue without slots');
SELECT is(pg_temp.hold('h8', 9, '{"when": "2026-09-23T11:00"}'), 'unknown_form', 'no such form');
SELECT is(pg_temp.hold('h8', 1, '{"when": "2026-09-23T11:00"}', p_role => 'agent'), 'not_found', 'it is not for agents');
-- a hold counts against notice: he was in time
SELECT is(pg_temp.hold('h9', 1, '{"when": "2026-09-22T12:00"}', '2026-09-22T09:00Z'), 'slot.held 22T10:00-2026-09-22T12:00:00 until 09:05', 'an hour before');
SELECT is(pg_temp.submit('2026-09-22T09:04Z', pg_temp.element('f1', 1, '2026-09-22T12:00', jsonb_build_object('hold', fx.id('h9')))), '22T10:00 as_asked booked', 'four minutes later it is still his');
SELECT is(pg_temp.submit('2026-09-22T09:04Z', pg_temp.element('f2', 1, '2026-09-22T12:00', jsonb_build_object('hold', fx.id('h9')))), 'is too soon, and is not held any more', 'but nobody else''s');

-- ---- another time ----
CREATE FUNCTION pg_temp.move(p_name text, p_when text, p_role text DEFAULT 'contact', p_now timestamptz DEFAULT '2026-09-22T09:10Z') RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT x.kind || coalesce(' ' || to_char(from_ms((x.body::jsonb #>> '{callback,promise_at}')::bigint) AT TIME ZONE 'UTC', 'DD"T"HH24:MI') || ' ' || (x.body::jsonb ->> 'when_note')
		|| CASE WHEN x.body::jsonb #> '{callback,booked}' = 'true' THEN ' booked' ELSE '' END, '') || coalesce(' ' || (x.body::jsonb #>> '{errors,0,message}'), '')
	  FROM execute(fx.t(), ms(p_now), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'kind', 'reschedule', 'role', p_role, 'by', CASE p_role WHEN 'supervisor' THEN 9 END, 'callback', fx.id(p_name), 'args', jsonb_build_object('when', p_when)))) x
	 WHERE x.ord = 0
$$;
SELECT is(pg_temp.move('f1', '2026-09-23T09:00'), 'invalid is a time at which no place is left; the next is 2026-09-23T09:30', 'a contact needs a place');
SELECT is(pg_temp.move('f1', '2026-09-23T09:10'), 'invalid is not a time that can be booked; the next is 2026-09-23T09:30', 'that is one');
SELECT is(pg_temp.move('f1', '2026-09-22T11:30'), 'invalid is too soon: the earliest is 2026-09-22T12:10', 'in time');
SELECT is(pg_temp.move('f1', '2026-09-23T09:30'), 'callback.rescheduled 23T07:30 as_asked booked', 'and moves to it');
SELECT is(pg_temp.submit('2026-09-22T09:11Z', pg_temp.element('g1', 2, '2026-09-22T12:00'), pg_temp.element('g2', 2, '2026-09-23T09:30'), pg_temp.element('g3', 2, '2026-09-23T09:30')),
	'22T10:00 as_asked booked | 23T07:30 as_asked booked | is a time at which no place is left; the next is 2026-09-23T10:00', 'he left one, and took one');
SELECT is(pg_temp.move('f1', '2026-09-23T09:00', 'supervisor'), 'callback.rescheduled 23T07:00 as_asked booked', 'a supervisor may overbook');
SELECT is(pg_temp.move('f1', '2026-09-23T19:00'), 'callback.rescheduled 24T06:00 next_opening booked', 'a contact who asks for the evening gets the first place in the morning');
SELECT is(pg_temp.move('f1', 'asap'), 'callback.rescheduled 22T09:11 as_asked', 'and at once none');
-- two in one run, one place
SELECT pg_temp.slots(1, '{"minutes": 30, "capacity": 1}', pg_temp.every('Europe/Berlin', '08:00-18:00'));
SELECT is((SELECT string_agg(coalesce(x.body::jsonb #>> '{errors,0,message}', x.kind), ' | ' ORDER BY x.ord) FROM execute(fx.t(), ms('2026-09-22T09:12Z'), jsonb_build_array(
		jsonb_build_object('id', gen_random_uuid(), 'run', 1, 'kind', 'reschedule', 'role', 'contact', 'callback', fx.id('g1'), 'args', '{"when": "2026-09-24T15:00"}'::jsonb),
		jsonb_build_object('id', gen_random_uuid(), 'run', 1, 'kind', 'reschedule', 'role', 'contact', 'callback', fx.id('g2'), 'args', '{"when": "2026-09-24T15:00"}'::jsonb))) x
	WHERE x.ord IS NOT NULL), 'callback.rescheduled | is a time at which no place is left; the next is 2026-09-24T15:30', 'of two who move there at once one does');

-- ---- to choose from ----
-- the list counts what each slot counts for itself
CREATE FUNCTION pg_temp.differ() RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT count(*) FILTER (WHERE s IS DISTINCT FROM o) || ' of ' || count(*) || ', booked ' || sum(s.booked)
	  FROM queue q CROSS JOIN LATERAL slot_list(q, '2026-09-21T14:00Z', '2026-09-26Z', '2026-09-22T09:04Z') s
	 CROSS JOIN LATERAL slot_of(q, s.local_at, slot_zone(q), '2026-09-22T09:04Z') o WHERE q.tenant_id = fx.t() AND q.queue_id = 1
$$;
SELECT pg_temp.slots(1, '{"minutes": 30, "capacity": 3}', pg_temp.every('Europe/Berlin', '00:00-24:00'));
SELECT matches(pg_temp.differ(), '^0 of 212, booked [1-9]', 'list and slot agree');
SELECT pg_temp.slots(1, '{"minutes": 5, "capacity": 3}');
SELECT is(jsonb_array_length(load_slots(fx.t(), ms('2026-09-22T10:00Z'), '{"queue": 1, "time_zone": "UTC", "days": 31}')::jsonb -> 'slots') BETWEEN 2500 AND 3000, true, 'not too many at once');
SELECT pg_temp.slots(1, '{"minutes": 30, "capacity": 1}', pg_temp.every('Europe/Berlin', '08:00-18:00'));
UPDATE form SET horizon_s = 93600 WHERE tenant_id = fx.t() AND form_id = 2;
SELECT is(load_slots(fx.t(), ms('2026-09-23T10:00Z'), '{"queue": 1, "time_zone": "Asia/Kolkata", "from": "2026-09-24", "days": 1, "form": 2}')::jsonb,
	jsonb_build_object('queue', 1, 'time_zone', 'Europe/Berlin', 'slots', (SELECT jsonb_agg(jsonb_build_object('starts_at', ms(g), 'ends_at', ms(g) + 1800000,
		'local', to_char(g AT TIME ZONE 'Asia/Kolkata', 'YYYY-MM-DD"T"HH24:MI:SS'), 'places', 1, 'booked', 0, 'held', 0) ORDER BY g)
		FROM generate_series('2026-09-24T06:00Z'::timestamptz, '2026-09-24T11:30Z', interval '30 minutes') g)), 'a day by another clock, no further than the horizon');
SELECT is(load_slots(fx.t(), ms('2026-09-24T06:20Z'), '{"queue": 1, "time_zone": "Europe/Berlin", "days": 1, "form": 1}')::jsonb #>> '{slots,0,local}', '2026-09-24T09:30:00', 'today, and not too soon');
SELECT is(load_slots(fx.t(), ms('2026-09-22T10:00Z'), '{"queue": 2, "time_zone": "UTC", "days": 1}'), NULL, 'a queue without slots');
SELECT is((SELECT jsonb_agg(s -> 'booked') FROM jsonb_array_elements(load_slots(fx.t(), ms('2026-09-24T12:00Z'), '{"queue": 1, "time_zone": "UTC", "days": 1}')::jsonb -> 'slots') s),
	'[0, 0, 1, 0, 0, 0, 0, 0]', 'what is booked shows');

-- ---- quiet hours: what is shown and held may be asked for ----
UPDATE tenant SET calling_hours = pg_temp.every('UTC', '10:00-11:00', '15:00-20:00') - 'time_zone' WHERE tenant_id = fx.t();
CREATE FUNCTION pg_temp.shown(p_ask jsonb) RETURNS text LANGUAGE sql
AS $$
	SELECT coalesce(string_agg(substr(s ->> 'local', 12, 5), ' ' ORDER BY s -> 'starts_at'), '')
	  FROM jsonb_array_elements(load_slots(fx.t(), ms('2026-09-28T00:00Z'), (p_ask || '{"queue": 1, "from": "2026-09-28", "days": 1}')::json)::jsonb -> 'slots') s
$$;
UPDATE form SET horizon_s = 864000 WHERE tenant_id = fx.t() AND form_id = 2;
SELECT is(pg_temp.shown('{"form": 2, "time_zone": "Europe/Berlin"}'), '10:00 10:30 15:00 15:30 16:00 16:30 17:00 17:30', 'in the hours at which he may be called');
SELECT is(pg_temp.shown('{"form": 2, "time_zone": "America/New_York"}'), '10:00 10:30', 'wherever he is');
SELECT is(pg_temp.shown('{"form": 2, "time_zone": "Pacific/Auckland"}'), '19:00 19:30', 'an hour in the evening there');
SELECT is(pg_temp.shown('{"time_zone": "Europe/Berlin"}'), '08:00 08:30 09:00 09:30 10:00 10:30 11:00 11:30 12:00 12:30 13:00 13:30 14:00 14:30 15:00 15:30 16:00 16:30 17:00 17:30',
	'who runs the queue sees all of them');
SELECT is(pg_temp.ask('q1', 1, '2026-09-28T17:30', '{"time_zone": "Europe/Berlin"}'), '28T15:30 as_asked booked', 'one who moves');
UPDATE callback SET zones = '{America/New_York,Europe/London}' WHERE callback_id = fx.id('q1');
SELECT is(pg_temp.shown(jsonb_build_object('form', 1, 'time_zone', 'Europe/Berlin', 'callback', fx.id('q1'))), '16:00 16:30', 'who may be in several zones, in those that suit all');
UPDATE callback SET zones = '{America/New_York,Pacific/Honolulu}' WHERE callback_id = fx.id('q1');
SELECT is(pg_temp.shown(jsonb_build_object('form', 1, 'time_zone', 'Europe/Berlin', 'callback', fx.id('q1'))), '', 'or in none');
SELECT is(pg_temp.hold('q2', 1, '{"when": "2026-09-28T11:00"}'), 'invalid when is outside the hours at which you may be called; they begin at 2026-09-28T15:00', 'what is not shown is not held');
SELECT is(pg_temp.hold('q2', 1, '{"when": "2026-09-28T10:00"}'), 'slot.held 28T08:00-2026-09-28T10:00:00 until 09:17', 'what is shown is');
SELECT is(pg_temp.hold('q3', 1, '{"when": "2026-09-28T10:00", "time_zone": "America/New_York"}'), 'slot.held 28T14:00-2026-09-28T10:00:00 until 09:17', 'by the clock that he names');
UPDATE tenant SET calling_hours = '{"week": {}}' WHERE tenant_id = fx.t();
SELECT is(pg_temp.hold('q4', 1, '{"when": "2026-09-28T15:00"}'), 'invalid when is outside the hours at which you may be called, and no later ones are known', 'never');
SELECT is(pg_temp.shown('{"form": 2, "time_zone": "Europe/Berlin"}'), '', 'nothing to show');
SELECT * FROM finish();
ROLLBACK;
