-- calling_hours: when a contact may be called by his own clock, wherever a time is found or used: at intake, for retries and
-- other promises, before the offer and before the dial; and numbers of kinds that are not called.
\ir fixture/company.sql
SELECT plan(74);

CREATE FUNCTION pg_temp.every(VARIADIC p_spans text[]) RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_object('week', (SELECT jsonb_object_agg(d, to_jsonb(p_spans)) FROM unnest('{mon,tue,wed,thu,fri,sat,sun}'::text[]) d)) $$;

-- ---- what is wrong ----
CREATE FUNCTION pg_temp.wrong(p_hours jsonb) RETURNS text LANGUAGE sql
AS $$ SELECT coalesce(string_agg(below || ' ' || message, '; ' ORDER BY below), '') FROM calling_hours_errors(p_hours) WHERE message IS NOT NULL $$;
SELECT is(pg_temp.wrong(h::jsonb), want, h) FROM (VALUES
	('{"week": {"mon": ["08:00-21:00"]}, "exceptions": {"2026-12-25": []}}', ''), ('[]', ' must be an object {"week", "exceptions"}'),
	('{}', '.week is missing'), ('{"time_zone": "UTC", "week": {"mon": ["8-9"]}, "days": 1}',
		'.days is not known; .time_zone is not known: they go by each contact''s own clock; .week.mon[0] must be a span like "08:00-12:30"')) c(h, want);

-- ---- one zone, over changes of clocks ----
SELECT is(hours_from(pg_temp.every('08:00-21:00'), zone, at::timestamptz), want::timestamptz, zone || ' ' || at) FROM (VALUES
	('Europe/Berlin', '2026-09-21T05:59Z', '2026-09-21T06:00Z'), ('Europe/Berlin', '2026-09-21T06:00Z', '2026-09-21T06:00Z'),
	('Europe/Berlin', '2026-09-21T18:59:59Z', '2026-09-21T18:59:59Z'), ('Europe/Berlin', '2026-09-21T19:00Z', '2026-09-22T06:00Z'),
	('Europe/Berlin', '2026-10-24T19:00Z', '2026-10-25T07:00Z'), ('Europe/Berlin', '2027-03-27T20:00Z', '2027-03-28T06:00Z'),
	('America/New_York', '2026-11-01T01:00Z', '2026-11-01T13:00Z'), ('America/New_York', '2027-03-14T02:00Z', '2027-03-14T12:00Z'),
	('Australia/Lord_Howe', '2026-10-03T12:00Z', '2026-10-03T21:00Z'), ('Australia/Lord_Howe', '2027-04-03T12:00Z', '2027-04-03T21:30Z'),
	('Africa/Casablanca', '2027-02-06T21:00Z', '2027-02-07T08:00Z'), ('Africa/Casablanca', '2027-03-13T22:00Z', '2027-03-14T07:00Z')) c(zone, at, want);
SELECT is(hours_from('{"week": {"mon": ["08:00-21:00"]}, "exceptions": {"2026-09-28": [], "2026-10-05": []}}', 'UTC', '2026-09-22Z'), '2026-10-12T08:00Z', 'weeks later');
SELECT is(hours_from('{"week": {}}', 'UTC', '2026-09-22Z'), NULL, 'never');
-- two hours that come twice, and one that is left out, are no trap
SELECT is(hours_from(pg_temp.every('02:15-02:45'), 'Europe/Berlin', '2027-03-28T00:00Z'), '2027-03-28T01:15Z', 'in the gap: moved forward by it');
SELECT is(hours_from(pg_temp.every('02:15-02:45'), 'Europe/Berlin', '2026-10-25T00:50Z'), '2026-10-26T01:15Z', 'in the hour that comes twice: the first');

-- ---- several zones, and a queue ----
SELECT is(calling_from(pg_temp.every('08:00-21:00'), '{America/New_York,America/Los_Angeles,Pacific/Honolulu}', '2026-09-21T12:00Z'), '2026-09-21T18:00Z', 'in all of them');
SELECT is(calling_from(pg_temp.every('08:00-12:00'), '{America/New_York,Pacific/Honolulu}', '2026-09-21T12:00Z'), NULL, 'never in all of them');
SELECT cmp_ok((SELECT cardinality(zones) FROM region_zone WHERE region = 'US'), '>', 5, 'the zones of a country are known, if the machine has the file');
SELECT is((SELECT zones FROM region_zone WHERE region = 'DE'), '{Europe/Berlin}', 'those that differ in nothing are one');
UPDATE queue SET hours = pg_temp.every('09:00-18:00') || '{"time_zone": "Europe/Berlin"}' WHERE tenant_id = fx.t() AND queue_id = 1;
DO $$ BEGIN PERFORM opening_write(q, '2026-09-20Z') FROM queue q WHERE q.tenant_id = fx.t() AND q.queue_id = 1; END $$;
SELECT is(callable_at(fx.t(), 1, '{America/New_York}', '2026-09-21T06:00Z'), '2026-09-21T07:00Z', 'without calling hours the queue''s alone count');
UPDATE tenant SET calling_hours = pg_temp.every('08:00-21:00') WHERE tenant_id = fx.t();
SELECT is(callable_at(fx.t(), 1, '{America/New_York}', '2026-09-21T06:00Z'), '2026-09-21T12:00Z', 'both have to be open');
SELECT is(callable_at(fx.t(), 1, '{America/New_York}', '2026-09-21T16:30Z'), '2026-09-22T12:00Z', 'tomorrow, when they are again');
SELECT is(callable_at(fx.t(), 1, '{Pacific/Auckland}', '2026-09-21T12:00Z'), '2026-09-22T07:00Z', 'an hour in the evening there');
SELECT is(callable_at(fx.t(), 2, '{Pacific/Auckland}', '2026-09-21T12:00Z'), '2026-09-21T20:00Z', 'a queue that is always open');
UPDATE queue SET calling_hours = pg_temp.every('10:00-11:00') WHERE tenant_id = fx.t() AND queue_id = 2;
SELECT is(callable_at(fx.t(), 2, '{Pacific/Auckland}', '2026-09-21T12:00Z'), '2026-09-21T22:00Z', 'its own calling hours instead of the company''s');
UPDATE queue SET calling_hours = NULL WHERE tenant_id = fx.t() AND queue_id = 2;
SELECT is(callable_at(fx.t(), 1, '{Pacific/Pago_Pago}', NULL), NULL, 'of no time, none');

-- of any time the answer is callable, never earlier, and of later ones not earlier; nothing before it would have done
CREATE TABLE fx.found AS
SELECT z.zones, q, at, callable_at(fx.t(), q, z.zones, at) AS found
  FROM (VALUES ('{Europe/Berlin}'::text[]), ('{America/New_York}'), ('{Australia/Lord_Howe}'), ('{Africa/Casablanca}'), ('{America/New_York,America/Los_Angeles}'), ('{Pacific/Auckland}')) z(zones)
 CROSS JOIN generate_series(1, 2) q
 CROSS JOIN LATERAL (SELECT d + n * interval '187 minutes' AS at FROM generate_series(0, 15) n CROSS JOIN unnest('{2026-10-03T12:00Z,2026-10-24T10:00Z,2026-10-31T10:00Z,2027-02-06T00:00Z,2027-03-13T10:00Z,2027-03-27T10:00Z}'::timestamptz[]) d) a;
SELECT is(count(*), 0::bigint, 'what is found is callable, and not earlier')
  -- in winter no hour of Berlin's is one of Auckland's
  FROM fx.found WHERE found IS NULL AND (zones, q) <> ('{Pacific/Auckland}', 1) OR found < at OR callable_at(fx.t(), q, zones, found) <> found;
SELECT is(count(*), 0::bigint, 'of a later time not an earlier one')
  FROM (SELECT found < lag(found) OVER (PARTITION BY zones, q ORDER BY at) AS back FROM fx.found) f WHERE back;
SELECT is(count(*), 0::bigint, 'and nothing in between would have done')
  FROM (SELECT *, row_number() OVER () AS n FROM fx.found WHERE found > at) f
 CROSS JOIN LATERAL (VALUES (f.found - interval '1 second'), (f.at + (f.found - f.at) / 3), (f.at + (f.found - f.at) * 2 / 3)) g(at)
 WHERE callable_at(fx.t(), f.q, f.zones, g.at) < f.found;
SELECT is(count(*), 0::bigint, 'by every clock it is between 8 and 21') FROM fx.found f CROSS JOIN unnest(f.zones) z WHERE NOT (f.found AT TIME ZONE z)::time BETWEEN '08:00' AND '20:59:59';

-- ---- who asks ----
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, time_zone, closed, horizon_s)
VALUES (fx.t(), 1, 'calls-move', '', 0, 2, 'Europe/Berlin', 'next_opening', 31536000), (fx.t(), 2, 'calls-refuse', '', 0, 2, 'Europe/Berlin', 'refuse', 31536000),
	(fx.t(), 3, 'calls-open', '', 0, 1, 'Europe/Berlin', 'next_opening', 31536000);
CREATE FUNCTION pg_temp.ask(p_form int, p_when text, p_more jsonb DEFAULT '{}', p_now timestamptz DEFAULT fx.ts()) RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT coalesce(to_char(from_ms((s.body::jsonb #>> '{callback,promise_at}')::bigint) AT TIME ZONE 'UTC', 'DD"T"HH24:MI') || ' ' || (s.body::jsonb ->> 'when_note')
			|| coalesce(' ' || (s.body::jsonb #>> '{callback,zones}'), ''), (s.body::jsonb #>> '{errors,0,field}') || ' ' || (s.body::jsonb #>> '{errors,0,message}'))
	  FROM submit(fx.t(), ms(p_now), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'form', p_form, 'phone', '+49301' || floor(random() * 1000000),
		'when', p_when) || p_more)) s WHERE s.ord = 0
$$;
-- ---- retries and other promises ----
SELECT fx.callback('r', 'ready_to_call', ARRAY[1], 2);
SELECT is(fx.does(1, 'retry', 'r', v => fx.v('r'), by => 1, args => jsonb_build_object('at', ms('2026-09-22T03:00Z'))), 'bad_time', 'an agent cannot promise the night');
SELECT is(fx.body() -> 'possible_at', to_jsonb(ms('2026-09-22T06:00Z')), 'but hears of the morning');
SELECT is(fx.does(1, 'done', 'r', v => fx.v('r'), by => 1, args => '{"disposition": "again"}'), 'ok', 'to be tried again');
SELECT is(fx.body() #> '{callback,due_at}', to_jsonb(ms(fx.ts(901))), 'in a quarter of an hour');
SELECT fx.callback('m', 'scheduled', '{}', 2);
SELECT is(fx.does(2, 'reschedule', 'm', v => fx.v('m'), role => 'contact', args => '{"when": "2026-09-22T23:00"}'), 'ok', 'another time');
SELECT is(jsonb_build_array(fx.body() #> '{callback,promise_at}', fx.body() -> 'when_note'), jsonb_build_array(ms('2026-09-23T06:00Z'), 'quiet_hours'), 'is moved out of the night');
UPDATE callback SET zones = '{Pacific/Auckland}' WHERE tenant_id = fx.t() AND callback_id = fx.id('m');
SELECT fx.settle();
SELECT is(fx.does(3, 'reschedule', 'm', v => fx.v('m'), role => 'contact', args => '{"when": "2026-09-24T12:00"}'), 'ok', 'who is somewhere else');
SELECT is(fx.body() #> '{callback,promise_at}', to_jsonb(ms('2026-09-24T20:00Z')), 'keeps its quiet hours');
SELECT is(fx.does(4, 'reschedule', 'm', v => fx.v('m'), role => 'contact', args => '{"when": "2026-09-24T12:00", "time_zone": "Europe/Berlin"}'), 'ok', 'until he says where he is');
SELECT is(jsonb_build_array(fx.body() #> '{callback,promise_at}', fx.body() #> '{callback,zones}'), jsonb_build_array(ms('2026-09-24T10:00Z'), NULL), 'then that counts');

-- ---- before the offer, and before the dial ----
SELECT fx.callback('o', 'scheduled', '{}', 2), fx.callback('s', 'scheduled', '{}', 2), fx.callback('n', 'scheduled', '{}', 2), fx.callback('h', 'ready_to_call', ARRAY[2], 2);
UPDATE callback SET expires_at = fx.ts(40000), tried = '[[3, 1]]' WHERE tenant_id = fx.t() AND callback_id = fx.id('o');
UPDATE callback SET zones = '{America/New_York,Pacific/Honolulu}' WHERE tenant_id = fx.t() AND callback_id = fx.id('s');
UPDATE callback SET promise_zone = 'Pacific/Auckland' WHERE tenant_id = fx.t() AND callback_id IN (fx.id('n'), fx.id('h'));
SELECT fx.settle();
SELECT is(fx.does(10, 'offer', 'o', v => fx.v('o'), role => 'router', "to" => fx.to('o', 3)), 'ok', 'in the afternoon it is offered');
SELECT is(fx.body() #>> '{callback,state}', 'offered', 'to him');
SELECT is(fx.does(11, 'offer', 'n', v => fx.v('n'), role => 'router', "to" => fx.to('n', 4)), 'ok', 'in the night of the other side');
SELECT is(jsonb_build_array(fx.body() #> '{callback,state}', fx.body() #> '{callback,reason}', fx.body() #> '{callback,due_at}', fx.body() -> 'offer'),
	jsonb_build_array('scheduled', 'quiet_hours', ms('2026-09-21T20:00Z'), NULL), 'it is put off until the morning there');
SELECT is((SELECT kind FROM event WHERE tenant_id = fx.t() ORDER BY seq DESC LIMIT 1), 'callback.put_off', 'with an event');
SELECT is((SELECT promise_at FROM callback WHERE tenant_id = fx.t() AND callback_id = fx.id('n')), fx.ts(-60), 'the promise is what it was');
SELECT is(fx.does(12, 'offer', 's', v => fx.v('s'), role => 'supervisor', by => 9, "to" => fx.to('s', 4)), 'quiet_hours', 'a supervisor who gives it to somebody is refused');
SELECT is(fx.v('s') < fx.head(), true, 'and it stays as it is');
SELECT is(fx.does(13, 'call', 'h', v => fx.v('h'), by => 2), 'quiet_hours', 'who holds one does not dial it');
SELECT is(fx.does(14, 'give_back', 'h', v => fx.v('h'), by => 2), 'ok', 'he gives it back');
SELECT is(fx.does(15, 'offer', 'h', v => fx.v('h'), role => 'router', "to" => fx.to('h', 4)), 'ok', 'and it is put off');
SELECT is(fx.body() #>> '{callback,reason}', 'quiet_hours', 'for that');
UPDATE tenant SET calling_hours = '{"week": {}}' WHERE tenant_id = fx.t();
SELECT is(fx.does(16, 'offer', 's', v => fx.v('s'), role => 'router', "to" => fx.to('s', 4)), 'ok', 'when nobody may ever be called');
SELECT is(jsonb_build_array(fx.body() #> '{callback,state}', fx.body() #> '{callback,reason}'), '["failed", "not_callable"]', 'it has failed');
UPDATE tenant SET calling_hours = NULL WHERE tenant_id = fx.t();

-- ---- kinds of numbers ----
UPDATE tenant SET blocked_countries = '{KP,CU}', blocked_number_types = '{voip}' WHERE tenant_id = fx.t();
SELECT is(pg_temp.ask(1, 'asap', '{"region": "CU"}'), 'phone is a number in a country that is not called', 'a country');
SELECT is(pg_temp.ask(1, 'asap', '{"region": "DE", "number_type": "voip"}'), 'phone is a kind of number that is not called', 'a kind');
SELECT is(pg_temp.ask(1, 'asap', '{"region": "DE", "number_type": "mobile"}'), '21T14:13 as_asked', 'others are');
SELECT is((SELECT region || number_type FROM callback WHERE tenant_id = fx.t() ORDER BY seq DESC LIMIT 1), 'DEmobile', 'and known for later');
SELECT fx.callback('b', 'scheduled', '{}', 2), fx.callback('c', 'ready_to_call', ARRAY[5], 2);
UPDATE callback SET region = 'CU', number_type = 'mobile' WHERE tenant_id = fx.t() AND callback_id = fx.id('b');
UPDATE callback SET region = 'DE', number_type = 'voip' WHERE tenant_id = fx.t() AND callback_id = fx.id('c');
SELECT fx.settle();
SELECT is(fx.does(20, 'offer', 'b', v => fx.v('b'), role => 'router', "to" => fx.to('b', 4)), 'ok', 'one that was taken before it was forbidden');
SELECT is(jsonb_build_array(fx.body() #> '{callback,state}', fx.body() #> '{callback,reason}'), '["failed", "blocked_country"]', 'has failed, and says why');
SELECT is(fx.does(21, 'call', 'c', v => fx.v('c'), by => 5), 'blocked_number_type', 'and is not dialled');
-- ---- intake, into the night ----
UPDATE tenant SET calling_hours = pg_temp.every('08:00-21:00') WHERE tenant_id = fx.t();
SELECT is(pg_temp.ask(1, 'asap'), '21T14:13 as_asked', 'in the afternoon');
SELECT is(pg_temp.ask(1, 'asap', '{}', '2026-09-21T19:30Z'), '22T06:00 quiet_hours', 'at night: in the morning');
SELECT is(pg_temp.ask(2, 'asap', '{}', '2026-09-21T19:30Z'), 'when is outside the hours at which you may be called; they begin at 2026-09-22T08:00', 'or refused');
SELECT is(pg_temp.ask(3, '2026-09-22T22:30', '{}', '2026-09-21T19:30Z'), '23T07:00 next_opening', 'the queue is closed as well: that is said');
SELECT is(pg_temp.ask(1, '2026-09-22T07:30', '{"time_zone": "America/New_York"}', '2026-09-21T19:30Z'), '22T12:00 quiet_hours', 'by the clock that he named');
SELECT is(pg_temp.ask(1, '2026-09-22T07:30', '{"region": "US"}', '2026-09-21T19:30Z'), '22T18:00 quiet_hours ' || (SELECT to_jsonb(zones)::text FROM region_zone WHERE region = 'US'),
	'who is somewhere in the United States, when it is allowed in all of them');
SELECT is(pg_temp.ask(1, '2026-09-22T10:00', '{"region": "DE"}', '2026-09-21T19:30Z'), '22T08:00 as_asked ["Europe/Berlin"]', 'in a country of one zone');
SELECT is(pg_temp.ask(1, '2026-09-22T10:00', '{"region": "001"}', '2026-09-21T19:30Z'), '22T08:00 as_asked', 'in no country: where the form is');

SELECT * FROM finish();
ROLLBACK;
