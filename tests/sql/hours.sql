-- hours: what is wrong with them, what they are in UTC over changes of clocks, and what they do to promises.
\ir fixture/company.sql
SELECT plan(69);

-- ---- what is wrong ----
CREATE FUNCTION pg_temp.wrong(p_hours jsonb) RETURNS text LANGUAGE sql
AS $$ SELECT coalesce(string_agg(below || ' ' || message, '; ' ORDER BY below), '') FROM hours_errors(p_hours) WHERE message IS NOT NULL $$;
SELECT is(pg_temp.wrong('{"time_zone": "Europe/Berlin", "week": {"mon": ["08:00-12:30", "13:30-24:00"], "sun": []}, "exceptions": {"2026-12-25": [], "2028-02-29": ["00:00-24:00"]}}'),
	'', 'good hours');
SELECT is(pg_temp.wrong('[]'), ' must be an object {"time_zone", "week", "exceptions"}', 'no object');
SELECT is(pg_temp.wrong('{}'), '.time_zone is missing; .week is missing', 'nothing in it');
SELECT is(pg_temp.wrong('{"time_zone": "Mars/Phobos", "week": {}, "weeks": {}}'), '.time_zone is not a known IANA time zone; .weeks is not known', 'a zone that is none, and a member');
SELECT is(pg_temp.wrong('{"time_zone": 7, "week": [], "exceptions": "no"}'),
	'.exceptions must be an object {"2026-12-25": ..., ...}; .time_zone is not a known IANA time zone; .week must be an object {"mon": ..., ...}', 'types');
SELECT is(pg_temp.wrong('{"time_zone": "UTC", "week": {"monday": [], "tue": "08:00-09:00", "wed": [8], "thu": ["8:00-9:00", "24:00-24:00", "09:00-09:00"]}}'),
	'.week.monday is not a day: they are mon, tue, wed, thu, fri, sat and sun; .week.thu[0] must be a span like "08:00-12:30"; '
	'.week.thu[1] must be a span like "08:00-12:30"; .week.thu[2] must end after it begins; '
	'.week.tue must be an array of spans like "08:00-12:30"; .week.wed[0] must be a span like "08:00-12:30"', 'days and spans');
SELECT is(pg_temp.wrong('{"time_zone": "UTC", "week": {"mon": ["08:00-12:00", "12:00-13:00", "12:30-14:00"]}}'),
	'.week.mon[1] must begin after the one before has ended; .week.mon[2] must begin after the one before has ended', 'they may not touch or overlap');
SELECT is(pg_temp.wrong('{"time_zone": "UTC", "week": {}, "exceptions": {"2026-02-29": [], "tomorrow": [], "2026-12-24": ["x"]}}'),
	'.exceptions.2026-02-29 is not a date like 2026-12-25; .exceptions.2026-12-24[0] must be a span like "08:00-12:30"; .exceptions.tomorrow is not a date like 2026-12-25', 'dates');
SELECT matches(pg_temp.wrong(jsonb_build_object('time_zone', 'UTC', 'week', jsonb_build_object('mon',
	(SELECT jsonb_agg(format('%s:%s-%s:%s', lpad((n / 2)::text, 2, '0'), CASE n % 2 WHEN 0 THEN '00' ELSE '30' END, lpad((n / 2)::text, 2, '0'), CASE n % 2 WHEN 0 THEN '20' ELSE '50' END)) FROM generate_series(0, 40) n)))),
	'^.week.mon must have at most 20 spans$', 'too many');

-- ---- in UTC ----
CREATE FUNCTION pg_temp.utc(p_hours jsonb, p_from text, p_until text) RETURNS text LANGUAGE sql
AS $$ SELECT coalesce(string_agg(to_char(opens_at AT TIME ZONE 'UTC', 'MM-DD"T"HH24:MI') || '/' || to_char(closes_at AT TIME ZONE 'UTC', 'MM-DD"T"HH24:MI'), ' ' ORDER BY opens_at), '')
	FROM hours_openings(p_hours, p_from::timestamptz, p_until::timestamptz) $$;
CREATE FUNCTION pg_temp.every(p_zone text, VARIADIC p_spans text[]) RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_object('time_zone', p_zone, 'week', (SELECT jsonb_object_agg(d, to_jsonb(p_spans)) FROM unnest('{mon,tue,wed,thu,fri,sat,sun}'::text[]) d)) $$;
SELECT is(pg_temp.utc(pg_temp.every(zone, VARIADIC spans), day || 'T00:00Z', day || 'T22:00Z'), want, zone || ' ' || day || ' ' || spans::text) FROM (VALUES
	('Europe/Berlin', '{08:00-18:00}'::text[], '2026-03-28', '03-28T07:00/03-28T17:00'),
	('Europe/Berlin', '{08:00-18:00}', '2026-03-29', '03-29T06:00/03-29T16:00'),
	('Europe/Berlin', '{01:00-04:00}', '2026-03-29', '03-29T00:00/03-29T02:00'),
	('Europe/Berlin', '{02:00-03:00}', '2026-03-29', ''),
	('Europe/Berlin', '{01:00-02:30,03:00-05:00}', '2026-03-29', '03-29T00:00/03-29T03:00'),
	('Europe/Berlin', '{00:00-02:45,03:00-03:30,03:40-12:00}', '2027-03-28', '03-27T23:00/03-28T10:00'),
	('Europe/Berlin', '{02:10-02:59,03:15-03:20,03:30-03:59}', '2027-03-28', '03-28T01:10/03-28T01:59'),
	('Europe/Berlin', '{01:00-04:00}', '2026-10-25', '10-24T23:00/10-25T03:00'),
	('Europe/Berlin', '{02:00-02:30,02:45-03:00}', '2026-10-25', '10-25T00:00/10-25T00:30 10-25T00:45/10-25T02:00'),
	('America/New_York', '{09:00-17:00}', '2026-11-01', '11-01T14:00/11-01T22:00'),
	('Australia/Lord_Howe', '{01:00-03:00}', '2026-10-03', '10-03T14:30/10-03T16:00'),
	('Australia/Lord_Howe', '{01:00-03:00}', '2026-10-04', '10-04T14:00/10-04T16:00'),
	('Africa/Casablanca', '{08:00-12:00}', '2026-02-15', '02-15T08:00/02-15T12:00'),
	('Africa/Casablanca', '{08:00-12:00}', '2026-03-22', '03-22T07:00/03-22T11:00')) c(zone, spans, day, want);
-- a day before and a day behind are looked at, and what touches is one
SELECT is(count(*), 1::bigint, 'around the clock is one opening, over both changes')
  FROM hours_openings(pg_temp.every('America/New_York', '00:00-24:00'), '2026-01-01Z', '2026-12-31Z');
SELECT is(pg_temp.utc('{"time_zone": "UTC", "week": {"thu": ["09:00-17:00"], "fri": ["09:00-17:00"]}, "exceptions": {"2026-12-24": ["09:00-12:00"], "2026-12-25": [], "2026-12-27": ["10:00-11:00"]}}',
	'2026-12-21Z', '2026-12-31T08:00Z'), '12-24T09:00/12-24T12:00 12-27T10:00/12-27T11:00', 'an exception stands for the whole day, on a closed one too');
SELECT is(pg_temp.utc(pg_temp.every('UTC', '09:00-17:00'), '2026-05-04T10:00Z', '2026-05-04T11:00Z'), '05-04T09:00/05-04T17:00', 'one that has begun is there whole');
SELECT is(pg_temp.utc('{"time_zone": "UTC", "week": {}}', '2026-05-04Z', '2027-05-04Z'), '', 'never open');

-- every opening, by its own zone's clock, is a span of its day, but where clocks changed
SELECT is(count(*), 0::bigint, zone || ': a year of wall clocks')
  FROM unnest('{Europe/Berlin,America/New_York,Australia/Lord_Howe,Africa/Casablanca}'::text[]) zone
 CROSS JOIN LATERAL hours_openings(pg_temp.every(zone, '08:00-12:30', '13:30-18:00'), '2026-01-01Z', '2026-12-31Z') h
 WHERE ((h.opens_at AT TIME ZONE zone)::time, (h.closes_at AT TIME ZONE zone)::time) NOT IN (('08:00', '12:30'), ('13:30', '18:00'))
 GROUP BY zone;

-- ---- a queue's ----
-- 1790000000000 is Monday 2026-09-21T14:13:20Z
CREATE FUNCTION pg_temp.hours(p_queue int, p_hours jsonb) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE q queue;
BEGIN
	UPDATE queue u SET hours = p_hours WHERE u.tenant_id = fx.t() AND u.queue_id = p_queue RETURNING u.* INTO q;
	q := opening_write(q, fx.ts());
	RETURN to_char(q.open_until AT TIME ZONE 'UTC', 'YYYY-MM-DD');
END
$$;
SELECT is(opening_from(fx.t(), 1, fx.ts()), fx.ts(), 'without hours it is always open');
SELECT is(pg_temp.hours(1, pg_temp.every('UTC', '09:00-12:00', '13:00-17:00')), '2027-10-26', 'known for 400 days');
SELECT is((SELECT count(*) FROM opening WHERE tenant_id = fx.t() AND queue_id = 1) BETWEEN 800 AND 804, true, 'twice a day');
SELECT is(opening_from(fx.t(), 1, at::timestamptz), want::timestamptz, 'open from ' || at) FROM (VALUES
	('2026-09-21T14:13Z', '2026-09-21T14:13Z'), ('2026-09-21T17:00Z', '2026-09-22T09:00Z'), ('2026-09-21T09:00Z', '2026-09-21T09:00Z'),
	('2026-09-22T12:00Z', '2026-09-22T13:00Z'), ('2027-12-01T00:00Z', NULL)) c(at, want);
SELECT is(image_queue(q) #> '{openings,0}', to_jsonb(ARRAY[ms('2026-09-20T09:00Z'), ms('2026-09-20T12:00Z')]), 'the image has them')
  FROM queue q WHERE q.tenant_id = fx.t() AND q.queue_id = 1;
SELECT is(image_queue(q) ? 'openings', false, 'but not of a queue without hours') FROM queue q WHERE q.tenant_id = fx.t() AND q.queue_id = 2;

-- ---- promises ----
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, time_zone, closed, horizon_s)
VALUES (fx.t(), 1, 'hours-move', '', 0, 1, 'Europe/Berlin', 'next_opening', 31536000), (fx.t(), 2, 'hours-refuse', '', 0, 1, 'Europe/Berlin', 'refuse', 31536000);
CREATE FUNCTION pg_temp.ask(p_form int, p_when text, p_now timestamptz DEFAULT fx.ts()) RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT coalesce(s.kind, '') || ' ' || coalesce(to_char(from_ms((s.body::jsonb #>> '{callback,promise_at}')::bigint) AT TIME ZONE 'UTC', 'MM-DD"T"HH24:MI') || ' '
			|| (s.body::jsonb #>> '{callback,promise_local}') || ' ' || (s.body::jsonb ->> 'when_note'), s.body::jsonb #>> '{errors,0,message}')
	  FROM submit(fx.t(), ms(p_now), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'form', p_form, 'phone', '+49301' || floor(random() * 1000000),
		'when', p_when))) s WHERE s.ord = 0
$$;
SELECT is(pg_temp.ask(1, 'asap'), 'callback.scheduled 09-21T14:13 2026-09-21T16:13:20 as_asked', 'at once, while it is open');
SELECT is(pg_temp.ask(1, '2026-09-22T14:30'), 'callback.scheduled 09-22T13:00 2026-09-22T15:00:00 next_opening', 'in the lunch break: when it ends, by the contact''s clock');
SELECT is(pg_temp.ask(1, 'asap', '2026-09-21T17:30Z'), 'callback.scheduled 09-22T09:00 2026-09-22T11:00:00 next_opening', 'at once, in the evening: in the morning');
SELECT is(pg_temp.ask(2, '2026-09-22T14:30'), 'invalid is outside the opening hours; we open at 2026-09-22T15:00', 'or it is refused, and says when');
SELECT is(jsonb_path_query_array(s.body::jsonb, '$.errors[*].field'), '["Idempotency-Key"]', 'being closed is no error where it is moved')
  FROM submit(fx.t(), fx.ms(), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'form', 1, 'phone', '+4930199', 'when', '2026-09-22T14:30', 'key', repeat('k', 256)))) s WHERE s.ord = 0;
SELECT is(pg_temp.ask(2, '2026-09-22T15:30'), 'callback.scheduled 09-22T13:30 2026-09-22T15:30:00 as_asked', 'in time it is not');
-- another time for one that waits
SELECT fx.callback('moved');
UPDATE callback SET due_at = fx.ts(60), promise_at = fx.ts(60), form_id = 2 WHERE tenant_id = fx.t() AND callback_id = fx.id('moved');
SELECT fx.settle();
SELECT is(fx.does(1, 'reschedule', 'moved', v => fx.v('moved'), role => 'operator', args => '{"when": "2026-09-22T14:30"}'), 'ok', 'moved into the lunch break by us');
SELECT is(jsonb_build_array(fx.body() #> '{callback,promise_at}', fx.body() #>> '{callback,promise_local}', fx.body() ->> 'when_note'),
	jsonb_build_array(ms('2026-09-22T13:00Z'), '2026-09-22T15:00:00', 'next_opening'), 'is moved to when it ends');
SELECT is(fx.does(2, 'reschedule', 'moved', v => fx.v('moved'), role => 'contact', args => '{"when": "2026-09-22T14:30"}'), 'invalid', 'his form refuses that to the contact');
SELECT is(fx.body() #>> '{errors,0,message}', 'is outside the opening hours; we open at 2026-09-22T15:00', 'and says why');
SELECT is(pg_temp.hours(1, '{"time_zone": "UTC", "week": {}}'), '2027-10-26', 'never open');
SELECT is(pg_temp.ask(1, 'asap'), 'invalid is outside the opening hours, and no later ones are known', 'then nothing can be promised');

-- ---- carried on ----
CREATE FUNCTION pg_temp.carry(p_at timestamptz, p_version bigint DEFAULT 0, p_role text DEFAULT 'router', p_queue jsonb DEFAULT '1') RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT concat_ws(' ', x.kind, (x.body::jsonb #>> '{queue,seq}')::bigint - x.seq, jsonb_array_length(x.body::jsonb #> '{queue,openings}') > 390) FROM execute(fx.t(), ms(p_at), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'kind', 'openings', 'role', p_role,
	'version', p_version, 'args', jsonb_build_object('queue', p_queue)))) x WHERE x.ord = 0 $$;
SELECT is(pg_temp.hours(1, pg_temp.every('UTC', '09:00-17:00')), '2027-10-26', 'hours again');
SELECT is(pg_temp.carry(fx.ts() + interval '20 days'), 'not_due', 'there is enough');
SELECT is(pg_temp.carry(fx.ts() + interval '201 days', 5), 'stale_version', 'another version');
SELECT is(pg_temp.carry(fx.ts() + interval '201 days', 0, 'supervisor'), 'not_found', 'only the router''s, and who runs the company');
SELECT is(pg_temp.carry(fx.ts() + interval '201 days', 0, 'router', '99999999999'), 'not_found', 'no such queue');
SELECT is(pg_temp.carry(fx.ts() + interval '201 days', 0, 'router', '2'), 'not_due', 'a queue without hours');
SELECT is(pg_temp.carry(fx.ts() + interval '201 days'), 'queue.changed 0 t', 'later they are carried on, with a new version');
SELECT is((SELECT to_char(open_until AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM queue WHERE tenant_id = fx.t() AND queue_id = 1), '2028-05-14', 'for 400 days from then');

-- ---- time while it is open ----
UPDATE queue SET hours = '{"time_zone": "UTC", "week": {"mon": ["09:00-12:00", "13:00-17:00"], "tue": ["09:00-17:00"]}}' WHERE tenant_id = fx.t() AND queue_id = 1;
DO $$ BEGIN PERFORM opening_write(q, '2026-09-20Z') FROM queue q WHERE q.tenant_id = fx.t() AND q.queue_id = 1; END $$;
-- 2026-09-21 is a Monday
SELECT is(opening_add(fx.t(), 1, at::timestamptz, s), want::timestamptz, format('%s s from %s on', s, at)) FROM (VALUES
	('2026-09-21T09:00Z', 0, '2026-09-21T09:00Z'), ('2026-09-21T09:00Z', 10800, '2026-09-21T12:00Z'), ('2026-09-21T09:00Z', 10801, '2026-09-21T13:00:01Z'),
	('2026-09-21T11:30Z', 3600, '2026-09-21T13:30Z'), ('2026-09-21T16:59:59Z', 2, '2026-09-22T09:00:01Z'), ('2026-09-22T16:00Z', 7200, '2026-09-28T10:00Z'),
	('2026-09-26T00:00Z', 60, '2026-09-28T09:01Z')) c(at, s, want);
SELECT is(opening_add(fx.t(), 2, '2026-09-26T00:00Z', 60), '2026-09-26T00:01Z', 'a queue that is always open');
SELECT is(opening_add(fx.t(), 1, '2037-09-26T00:00Z', 60), '2037-09-26T00:01Z', 'beyond what is known it counts as it passes');
SELECT is(count(*), 0::bigint, 'what is open between two times leads from one to the other')
  FROM generate_series('2026-09-21T09:30Z'::timestamptz, '2026-09-30Z', '37 minutes') a CROSS JOIN generate_series(0, 100000, 7001) s
 WHERE opening_between(fx.t(), 1, a, opening_add(fx.t(), 1, a, s)) <> s;
SELECT is(opening_between(fx.t(), 2, '2026-09-26T00:00Z', '2026-09-27T00:00Z'), 86400::double precision, 'always open: the whole day');
SELECT is(opening_between(fx.t(), 1, '2026-09-24T00:00Z', '2026-09-27T00:00Z'), 0::double precision, 'days on which it is closed');
SELECT * FROM finish();
ROLLBACK;
