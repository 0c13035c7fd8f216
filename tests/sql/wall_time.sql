-- wall_time: local times around both changes of the clocks, in zones that change by an hour, by half an hour,
-- backwards in spring, and by a whole day.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
BEGIN;
SET LOCAL search_path = callbackd, public;
SELECT plan(68);

CREATE FUNCTION pg_temp.asked(p_zone text, p_local text) RETURNS text
LANGUAGE sql
AS $$
	SELECT format('%s %s %s', to_char(w.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"'), to_char(w.local_at, 'HH24:MI'), w.note)
	  FROM wall_time(local_time(p_local), p_zone) w
$$;

-- at UTC, wall time meant, note
SELECT is(pg_temp.asked(zone, local), wanted, zone || ' ' || local)
  FROM (VALUES
	('UTC',			'2026-03-29T02:30', '2026-03-29T02:30Z 02:30 as_asked'),
	('Europe/Berlin',	'2026-01-15T10:00', '2026-01-15T09:00Z 10:00 as_asked'),
	('Europe/Berlin',	'2026-03-29T01:59', '2026-03-29T00:59Z 01:59 as_asked'),
	('Europe/Berlin',	'2026-03-29T02:00', '2026-03-29T01:00Z 03:00 moved_forward'),
	('Europe/Berlin',	'2026-03-29T02:30', '2026-03-29T01:30Z 03:30 moved_forward'),
	('Europe/Berlin',	'2026-03-29T03:00', '2026-03-29T01:00Z 03:00 as_asked'),
	('Europe/Berlin',	'2026-10-25T01:59', '2026-10-24T23:59Z 01:59 as_asked'),
	('Europe/Berlin',	'2026-10-25T02:00', '2026-10-25T00:00Z 02:00 first_of_two'),
	('Europe/Berlin',	'2026-10-25T02:59', '2026-10-25T00:59Z 02:59 first_of_two'),
	('Europe/Berlin',	'2026-10-25T03:00', '2026-10-25T02:00Z 03:00 as_asked'),
	('America/New_York',	'2026-03-08T01:59', '2026-03-08T06:59Z 01:59 as_asked'),
	('America/New_York',	'2026-03-08T02:30', '2026-03-08T07:30Z 03:30 moved_forward'),
	('America/New_York',	'2026-03-08T03:00', '2026-03-08T07:00Z 03:00 as_asked'),
	('America/New_York',	'2026-11-01T00:59', '2026-11-01T04:59Z 00:59 as_asked'),
	('America/New_York',	'2026-11-01T01:00', '2026-11-01T05:00Z 01:00 first_of_two'),
	('America/New_York',	'2026-11-01T01:30', '2026-11-01T05:30Z 01:30 first_of_two'),
	('America/New_York',	'2026-11-01T02:00', '2026-11-01T07:00Z 02:00 as_asked'),
	-- half an hour: 02:00 -> 02:30 in October, 02:00 -> 01:30 in April
	('Australia/Lord_Howe',	'2026-10-04T01:59', '2026-10-03T15:29Z 01:59 as_asked'),
	('Australia/Lord_Howe',	'2026-10-04T02:00', '2026-10-03T15:30Z 02:30 moved_forward'),
	('Australia/Lord_Howe',	'2026-10-04T02:15', '2026-10-03T15:45Z 02:45 moved_forward'),
	('Australia/Lord_Howe',	'2026-10-04T02:30', '2026-10-03T15:30Z 02:30 as_asked'),
	('Australia/Lord_Howe',	'2026-04-05T01:29', '2026-04-04T14:29Z 01:29 as_asked'),
	('Australia/Lord_Howe',	'2026-04-05T01:30', '2026-04-04T14:30Z 01:30 first_of_two'),
	('Australia/Lord_Howe',	'2026-04-05T01:59', '2026-04-04T14:59Z 01:59 first_of_two'),
	('Australia/Lord_Howe',	'2026-04-05T02:00', '2026-04-04T15:30Z 02:00 as_asked'),
	-- an hour back when Ramadan begins, forward when it ends
	('Africa/Casablanca',	'2026-02-15T01:59', '2026-02-15T00:59Z 01:59 as_asked'),
	('Africa/Casablanca',	'2026-02-15T02:30', '2026-02-15T01:30Z 02:30 first_of_two'),
	('Africa/Casablanca',	'2026-02-15T03:00', '2026-02-15T03:00Z 03:00 as_asked'),
	('Africa/Casablanca',	'2026-03-22T02:30', '2026-03-22T02:30Z 03:30 moved_forward'),
	('Africa/Casablanca',	'2026-03-22T03:00', '2026-03-22T02:00Z 03:00 as_asked'),
	-- negative daylight saving
	('Europe/Dublin',	'2026-03-29T01:30', '2026-03-29T01:30Z 02:30 moved_forward'),
	('Europe/Dublin',	'2026-10-25T01:30', '2026-10-25T00:30Z 01:30 first_of_two'),
	-- both offsets called standard time
	('Europe/Moscow',	'2014-10-26T01:30', '2014-10-25T21:30Z 01:30 first_of_two'),
	-- the date line: a day that was left out, a day that was lived twice
	('Pacific/Apia',	'2011-12-30T12:00', '2011-12-30T22:00Z 12:00 moved_forward'),
	('Pacific/Kwajalein',	'1993-08-21T12:00', '1993-08-22T00:00Z 12:00 moved_forward'),
	('America/Juneau',	'1867-10-18T20:00', '1867-10-18T04:57Z 20:00 first_of_two')
       ) t(zone, local, wanted);

-- Every minute of the days on which clocks go back, against UTC counted through.
SELECT is((
	SELECT count(*)
	  FROM (SELECT u AT TIME ZONE zone AS local, min(u) AS first, count(*) AS times
		  FROM generate_series(day::timestamp AT TIME ZONE 'UTC' - interval '1 day',
			day::timestamp AT TIME ZONE 'UTC' + interval '2 days', interval '1 minute') u
		 GROUP BY 1) truth, wall_time(truth.local, zone) w
	 WHERE w.at = truth.first AND w.local_at = truth.local
	   AND w.note = CASE truth.times WHEN 1 THEN 'as_asked' WHEN 2 THEN 'first_of_two' END
	   AND truth.local::date = day::date), 1440::bigint, zone || ': every minute of ' || day)
  FROM (VALUES ('Europe/Berlin', '2026-10-25'), ('America/New_York', '2026-11-01'),
	('Australia/Lord_Howe', '2026-04-05'), ('Africa/Casablanca', '2026-02-15')) t(zone, day);

-- What is no local time at all is NULL, never an error.
SELECT is(local_time(t), NULL, format('not a local time: %s', t))
  FROM unnest(ARRAY['', 'asap', '2026-02-30T10:00', '2026-02-29T10:00', '2026-04-31T10:00', '2026-13-01T10:00', '2026-00-10T10:00',
	'2026-01-00T10:00', '0000-01-01T10:00', '99999-01-01T10:00', '2026-01-01T24:00', '2026-01-01T10:60', '2026-01-01T10:00:60',
	'2026-01-01T10', '2026-01-01', '2026-1-1T10:00', '2026-01-01T10:00Z', '2026-01-01T10:00+01:00', ' 2026-01-01T10:00',
	E'2026-01-01T10:00\n', '{"a": 1}', 'infinity', 'now', '2026-01-01T10:00:00.5', '٢٠٢٦-01-01T10:00']) t;
SELECT is(local_time('2024-02-29T23:59:58'), timestamp '2024-02-29 23:59:58', 'the 29th of a leap year');
SELECT is(local_time('2026-12-31 00:00'), timestamp '2026-12-31 00:00', 'a blank for the T');
SELECT is(local_time('9999-12-31T23:59'), timestamp '9999-12-31 23:59', 'the last minute');

SELECT * FROM finish();
ROLLBACK;
