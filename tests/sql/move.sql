-- move: another promise for a callback that waits: who may, what can be had, and who of linked requests is called then.
\ir fixture/company.sql
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, time_zone, horizon_s)
VALUES (fx.t(), 1, 'move', '', 0, 1, 'Europe/Berlin', 86400);
-- A callback of the form's, due at a second.
CREATE FUNCTION fx.asked(p_name text, s numeric, p_linked_to text DEFAULT NULL, p_state text DEFAULT 'scheduled', p_agent int DEFAULT 1)
RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM fx.callback(p_name, p_state, ARRAY[p_agent], p_linked_to => p_linked_to);
	UPDATE callback SET form_id = 1, due_at = fx.ts(s), promise_at = fx.ts(s), promise_local = fx.ts(s) AT TIME ZONE 'Europe/Berlin',
		expires_at = fx.ts(s + 86400) WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name);
	PERFORM fx.settle();
END
$$;
-- [state, due, promise, wall time, zone, expires, leader], times in seconds
CREATE FUNCTION fx.stands(p_name text) RETURNS jsonb LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_array(c.state, (ms(c.due_at) - fx.ms(0)) / 1000, (ms(c.promise_at) - fx.ms(0)) / 1000,
		to_char(c.promise_local, 'MM-DD HH24:MI:SS'), c.promise_zone, (ms(c.expires_at) - fx.ms(0)) / 1000, c.linked_to)
	  FROM fx.c(p_name) c
$$;
CREATE FUNCTION fx.errors() RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT string_agg(e ->> 'field' || ' ' || (e ->> 'message'), ', ') FROM fx.last, jsonb_array_elements(body -> 'errors') e $$;
CREATE FUNCTION fx.at(s numeric) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$ SELECT jsonb_build_object('at', fx.ms(s)) $$;
SELECT plan(79);

-- fx.ms(0) is 2026-09-21T14:13:20Z, a Monday: 16:13:20 in Berlin
SELECT fx.asked('a', 3600);
SELECT is(fx.does(1, 'reschedule', 'a', role => 'contact', args => '{"when": "2026-09-21T18:00"}', id => 'first'), 'ok', 'the contact moves it');
SELECT is(fx.did(), 'callback.rescheduled', 'as an event');
SELECT is(fx.stands('a'), '["scheduled", 6400, 6400, "09-21 18:00:00", "Europe/Berlin", 92800, null]', 'wall time, zone and UTC together, the window anew');
SELECT is(fx.body() - 'callback', jsonb_build_object('when_note', 'as_asked', 'before_at', fx.ms(3600), 'rescheduled_by', '{"role": "contact"}'::jsonb),
	'the event says from when, and by whom');
SELECT is(fx.does(2, 'reschedule', 'a', role => 'contact', args => '{"when": "2026-09-21T18:00"}', id => 'first'), 'ok', 'the same command again');
SELECT is(fx.did(), NULL, 'does nothing');
SELECT is(fx.does(2, 'reschedule', 'a', role => 'contact', args => '{"when": "2026-09-21T18:00"}'), 'unchanged', 'another for the same time');
SELECT is(fx.does(2, 'reschedule', 'a', role => 'contact', args => jsonb_build_object('when', '2026-09-21T18:00', 'seen', fx.ms(3600))), 'unchanged',
	'from the page of before, too: pressed twice');
SELECT is(fx.does(2, 'reschedule', 'a', role => 'contact', args => jsonb_build_object('when', '2026-09-21T19:00', 'seen', fx.ms(3600))), 'stale_version',
	'for another time from the page of before');
SELECT is((fx.body() #>> '{callback,promise_at}')::bigint, fx.ms(6400), 'he is told how it stands');
SELECT is(fx.does(2, 'reschedule', 'a', role => 'contact', args => jsonb_build_object('when', '2026-09-21T19:00', 'seen', fx.ms(6400))), 'ok', 'and then moves it');
SELECT is(fx.does(2, 'reschedule', 'a', by => 9, role => 'supervisor', v => fx.v('a') - 1, args => fx.at(9000)), 'stale_version', 'a version that is gone');
SELECT is(fx.does(2, 'reschedule', 'a', by => 9, role => 'supervisor', v => fx.v('a'), args => fx.at(9000) || '{"reason": "ill"}'), 'ok', 'a supervisor, by an instant');
SELECT is(fx.stands('a'), '["scheduled", 9000, 9000, "09-21 18:43:20", "Europe/Berlin", 95400, null]', 'as wall time of his zone');
SELECT is(fx.body() -> 'rescheduled_by', '{"role": "supervisor", "agent": 9}', 'whom it names');
SELECT is((fx.c('a')).reason, 'ill', 'with his reason');
SELECT is(fx.does(2, 'reschedule', 'a', by => 1, args => fx.at(8000)), 'not_found', 'an agent does not hold it');
SELECT is(fx.does(2, 'reschedule', 'nothing', role => 'contact', args => fx.at(8000)), 'not_found', 'there is none');

-- another zone, and hours that do not exist or come twice
SELECT is(fx.does(3, 'reschedule', 'a', role => 'administrator', args => '{"when": "2026-09-22T10:00", "time_zone": "America/New_York"}'), 'ok', 'another zone');
SELECT is(fx.stands('a') #- '{5}', '["scheduled", 85600, 85600, "09-22 10:00:00", "America/New_York", null]', 'is the promise''s from then on');
SELECT is(fx.does(3, 'reschedule', 'a', role => 'administrator', args => '{"when": "2027-03-14T02:30"}'), 'ok', 'an hour that does not exist there');
SELECT is(jsonb_build_array(fx.body() ->> 'when_note', (fx.c('a')).promise_local, (fx.c('a')).promise_at),
	jsonb_build_array('moved_forward', timestamp '2027-03-14 03:30', timestamptz '2027-03-14 07:30Z'), 'is moved forward');
SELECT is(fx.does(3, 'reschedule', 'a', role => 'operator', args => '{"when": "2026-10-25T02:30", "time_zone": "Europe/Berlin"}'), 'ok', 'one that comes twice');
SELECT is(jsonb_build_array(fx.body() ->> 'when_note', (fx.c('a')).promise_at), jsonb_build_array('first_of_two', timestamptz '2026-10-25 00:30Z'), 'is the first');
SELECT is(fx.does(3, 'reschedule', 'a', role => 'operator', args => '{"when": "2027-04-04T01:45", "time_zone": "Australia/Lord_Howe"}'), 'ok', 'half an hour');
SELECT is(jsonb_build_array(fx.body() ->> 'when_note', (fx.c('a')).promise_at), jsonb_build_array('first_of_two', timestamptz '2027-04-03 14:45Z'), 'the first of it');

-- what cannot be had
SELECT is(fx.does(4, 'reschedule', 'a', role => 'contact', args => '{"when": "2026-09-23T18:00", "time_zone": "Europe/Berlin"}') || ': ' || fx.errors(),
	'invalid: when is too far ahead', 'a contact within the form''s horizon');
SELECT is(fx.does(4, 'reschedule', 'a', role => 'supervisor', args => '{"when": "2027-09-23T18:00"}') || ': ' || fx.errors(), 'invalid: when is too far ahead', 'nobody beyond a year');
SELECT is(fx.does(4, 'reschedule', 'a', role => 'contact', args => fx.at(-57)) || ': ' || fx.errors(), 'invalid: when is in the past', 'nor in the past');
SELECT is(fx.does(4, 'reschedule', 'a', role => 'contact', args => '{"when": "2026-02-30T10:00"}') || ': ' || fx.errors(),
	'invalid: when is not a local time like 2026-11-24T10:00', 'nor on a day that is none');
SELECT is(fx.does(4, 'reschedule', 'a', role => 'contact', args => '{"at": 1e300}') || ': ' || left(fx.errors(), 24), 'invalid: when is not a local time', 'nor at a number that is none');
SELECT is(fx.does(4, 'reschedule', 'a', role => 'contact', args => '{"when": "tomorrow", "time_zone": "Mars/Olympus"}') || ': ' || fx.errors(),
	'invalid: time_zone is not a known IANA time zone, when is not a local time like 2026-11-24T10:00', 'every mistake is named');
SELECT is(fx.does(4, 'reschedule', 'a', role => 'contact', args => '{"at": 1790000060000, "time_zone": "Mars/Olympus"}') || ': ' || fx.errors(),
	'invalid: time_zone is not a known IANA time zone', 'of an instant, too');
SELECT is(fx.did(), NULL, 'nothing was changed');
UPDATE form SET removed = true WHERE tenant_id = fx.t();
SELECT is(fx.does(4, 'reschedule', 'a', role => 'contact', args => '{"when": "2026-09-23T18:00", "time_zone": "Europe/Berlin"}'), 'invalid', 'a form that is gone has its horizon');
UPDATE form SET removed = false WHERE tenant_id = fx.t();

-- now
SELECT is(fx.does(5, 'reschedule', 'a', role => 'contact', args => '{"when": "asap"}'), 'ok', 'call me now');
SELECT is(fx.stands('a'), '["scheduled", 5, 5, "09-22 00:43:25", "Australia/Lord_Howe", 86405, null]', 'due at once');
SELECT is(fx.does(5, 'reschedule', 'a', role => 'contact', args => '{"when": "asap"}'), 'already_due', 'once is enough');
SELECT is(fx.does(60, 'reschedule', 'a', role => 'contact', args => fx.at(10)), 'already_due', 'he does not lose his place by a time that is over');
SELECT is(fx.does(60, 'reschedule', 'a', role => 'contact', args => fx.at(600)), 'ok', 'but may be called later all the same');

-- what was tried, and why, is of the past
SELECT fx.asked('t', 3600);
UPDATE callback SET tried = '[[1, 5]]', reason = 'busy', attempts = 1, due_at = fx.ts(7200) WHERE tenant_id = fx.t() AND callback_id = fx.id('t');
SELECT fx.settle();
SELECT is(fx.does(61, 'reschedule', 't', role => 'contact', args => fx.at(3600)), 'ok', 'one that is to be tried again, to the promise as it was');
SELECT is(jsonb_build_array((fx.c('t')).tried, (fx.c('t')).reason, (fx.c('t')).attempts, ms((fx.c('t')).due_at) - fx.ms(0)), '[null, null, 1, 3600000]', 'begins a round');
SELECT fx.callback('w', p_queue => 2);
SELECT is(fx.does(61, 'reschedule', 'w', role => 'operator', args => fx.at(3600)), 'ok', 'in a queue without a window');
SELECT is((fx.c('w')).expires_at, NULL, 'it never expires');

-- in somebody's hands
SELECT fx.asked('o', 60, p_state => 'offered', p_agent => 1), fx.asked('h', 60, p_state => 'ready_to_call', p_agent => 2), fx.asked('x', 60, p_state => 'cancelled');
SELECT is(fx.does(62, 'reschedule', 'o', role => 'contact', args => fx.at(3600)), 'wrong_state', 'not while it is offered');
SELECT is(fx.body() #>> '{callback,state}', 'offered', 'as he is told');
SELECT is(fx.does(62, 'reschedule', 'h', by => 2, v => fx.v('h'), args => fx.at(3600)), 'wrong_state', 'nor held, by the holder: he has retry');
SELECT is(fx.does(62, 'reschedule', 'h', role => 'contact', args => '{"when": "asap"}'), 'wrong_state', 'nor now');
SELECT is(fx.does(62, 'reschedule', 'x', role => 'contact', args => fx.at(3600)), 'wrong_state', 'nor when it is over');
SELECT is(fx.does(62, 'reschedule', 'h', by => 3, v => fx.v('h'), args => fx.at(3600)), 'not_found', 'and it is not another agent''s');

-- linked: called once, at the first of the times
SELECT fx.asked('l', 1000), fx.asked('f', 2000, 'l'), fx.asked('g', 3000, 'l');
SELECT is(fx.does(63, 'reschedule', 'f', role => 'contact', args => fx.at(1500)), 'ok', 'a follower, later than its leader');
SELECT is(fx.did() || ' ' || (fx.stands('f') ->> 6), 'callback.rescheduled ' || fx.id('l'), 'goes on following');
SELECT is(fx.does(63, 'reschedule', 'l', role => 'contact', args => fx.at(1400)), 'ok', 'the leader, before all others');
SELECT is(fx.did() || ' ' || (fx.stands('f') ->> 6), 'callback.rescheduled ' || fx.id('l'), 'goes on leading');
SELECT is(fx.does(63, 'reschedule', 'l', role => 'contact', args => fx.at(2500)), 'ok', 'the leader, behind one that follows');
SELECT is(fx.did() || ' ' || jsonb_build_array(fx.stands('f') -> 6, fx.stands('l') -> 6, fx.stands('g') -> 6)::text,
	'callback.rescheduled callback.linked callback.linked ' || jsonb_build_array(NULL, fx.id('f'), fx.id('f'))::text, 'follows it now, and so do the others');
SELECT is(fx.does(63, 'reschedule', 'g', role => 'contact', args => '{"when": "asap"}'), 'ok', 'a follower, now');
SELECT is(fx.did() || ' ' || jsonb_build_array(fx.stands('g') -> 6, fx.stands('l') -> 6, fx.stands('f') -> 6)::text,
	'callback.rescheduled callback.linked callback.linked ' || jsonb_build_array(NULL, fx.id('g'), fx.id('g'))::text, 'leads');
SELECT is(fx.does(63, 'reschedule', 'l', role => 'contact', args => fx.at(1500)), 'ok', 'one to the time of another');
SELECT is(fx.stands('l') ->> 6, fx.id('g')::text, 'changes nothing between them');
SELECT fx.asked('p', 60, p_state => 'offered', p_agent => 3), fx.asked('q', 2000, 'p');
SELECT is(fx.does(64, 'reschedule', 'q', role => 'contact', args => '{"when": "asap"}'), 'ok', 'a follower of one that is in somebody''s hands');
SELECT is(fx.did() || ' ' || (fx.stands('q') ->> 6), 'callback.rescheduled ' || fx.id('p'), 'goes on following it');

-- in one run
SELECT fx.asked('r', 1000), fx.asked('s', 1000), fx.asked('s+', 2000, 's');
SELECT fx.execute(65, fx.command('reschedule', 'r', role => 'operator', args => fx.at(3000)) || '{"run": 1}',
	fx.command('reschedule', 's', role => 'operator', args => fx.at(3000)) || '{"run": 1}');
SELECT is((SELECT jsonb_agg(l.refusal) FROM fx.last l), '[null, null]', 'two of one run');
SELECT is(fx.did(), 'callback.rescheduled callback.rescheduled callback.linked', 'each with what follows from it');
SELECT is((SELECT array_agg(l.body #>> '{callback,id}' ORDER BY l.ord) FROM fx.last l), ARRAY[fx.id('r')::text, fx.id('s')::text], 'each has its answer');
SELECT throws_ok($$ SELECT fx.execute(66, fx.command('reschedule', 's', role => 'operator', args => fx.at(1500)) || '{"run": 1}',
	fx.command('reschedule', 's+', role => 'operator', args => fx.at(1000)) || '{"run": 1}') $$, 'CB002', NULL, 'linked ones are not for one run');

-- ---- a zone's rules have changed ----
CREATE FUNCTION pg_temp.stored(p_name text, p_local text, p_at text, p_due text DEFAULT NULL) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM fx.asked(p_name, 5000);
	UPDATE callback SET promise_local = p_local::timestamp, promise_at = p_at::timestamptz, due_at = coalesce(p_due, p_at)::timestamptz, expires_at = coalesce(p_due, p_at)::timestamptz + interval '1 day'
	 WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name);
	PERFORM fx.settle();
END
$$;
CREATE FUNCTION pg_temp.recompute(p_name text, p_role text DEFAULT 'operator') RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT fx.does(70, 'reschedule', p_name, v => fx.v(p_name), role => p_role, by => CASE p_role WHEN 'supervisor' THEN 9 END, args => '{"recompute": true}')
$$;
SELECT pg_temp.stored('z', '2026-11-24T10:00', '2026-11-24T08:00Z'), pg_temp.stored('z+', '2026-11-24T10:00', '2026-11-24T09:00Z'),
	pg_temp.stored('z2', '2026-10-25T02:30', '2026-10-25T01:30Z'), pg_temp.stored('z3', '2027-03-28T02:30', '2027-03-28T00:30Z'),
	pg_temp.stored('zr', '2026-11-24T10:00', '2026-11-24T08:00Z', '2026-11-25T12:00Z'), pg_temp.stored('zd', '2026-09-21T16:14', '2026-09-21T14:13Z');
SELECT is((SELECT string_agg(n, ' ' ORDER BY n) FROM unnest('{z,z+,z2,z3,zr,zd}'::text[]) n WHERE promise_astray(fx.c(n), fx.ts(70))), 'z z3 zr',
	'astray is what does not read as its wall time, and is still to come');
SELECT is(pg_temp.recompute('z', 'contact'), 'not_found', 'not for contacts');
SELECT is(pg_temp.recompute('z', 'supervisor'), 'not_found', 'nor for supervisors');
SELECT is(pg_temp.recompute('z'), 'ok', 'the old rules'' instant');
SELECT is((SELECT jsonb_build_array(c.promise_local, c.promise_at, c.due_at, c.expires_at) FROM fx.c('z') c),
	to_jsonb(ARRAY['2026-11-24T10:00:00', to_jsonb('2026-11-24T09:00Z'::timestamptz) #>> '{}', to_jsonb('2026-11-24T09:00Z'::timestamptz) #>> '{}', to_jsonb('2026-11-25T09:00Z'::timestamptz) #>> '{}']),
	'becomes the new ones'', and its window with it');
SELECT is(pg_temp.recompute('z'), 'unchanged', 'once');
SELECT is(pg_temp.recompute('z+'), 'unchanged', 'what reads as its wall time stays');
SELECT is(pg_temp.recompute('z2'), 'unchanged', 'of a time that comes twice, the second too');
SELECT is(pg_temp.recompute('z3'), 'ok', 'a wall time that there is not any more');
SELECT is((SELECT promise_at || ' ' || promise_local FROM fx.c('z3')), ('2027-03-28T01:30Z'::timestamptz)::text || ' 2027-03-28 03:30:00', 'is moved forward, as ever');
SELECT is(pg_temp.recompute('zr'), 'ok', 'one that is to be tried again');
SELECT is((SELECT jsonb_build_array(promise_at = '2026-11-24T09:00Z', due_at = '2026-11-25T12:00Z') FROM fx.c('zr')), '[true, true]', 'keeps the time of that');
SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
