-- erase: a contact's data is gone from every table, whatever state the callback is in; what is open ends; the log says
-- that it happened and nothing else; and what a contact may be told before.
\ir fixture/company.sql
-- A callback of a number, with data in every column that can have any.
CREATE FUNCTION fx.person(p_name text, p_state text DEFAULT 'scheduled', p_agent int DEFAULT 1, p_phone text DEFAULT '+493012345',
	p_linked_to text DEFAULT NULL) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM fx.callback(p_name, p_state, ARRAY[p_agent], p_linked_to => p_linked_to);
	INSERT INTO contact VALUES (fx.t(), fx.id(p_name), p_phone, 'Zoe Zebra', 'zoe@zebra.example', 'zebra loan', 'en', 'zebra notes',
		'{"animal": "zebra"}', true, 'zebras may call', '192.0.2.77', NULL);
	INSERT INTO note VALUES (fx.t(), fx.id(p_name), fx.id(p_name || ' note'), 2, fx.ts(0), 'zebra wants stripes');
	INSERT INTO idempotency_key VALUES (fx.t(), 1, 'zebra ' || p_name, 'zebra', fx.id(p_name), fx.ts(0));
END
$$;
-- How often anything that only the contact can have said is found, in all tables that the schema has.
CREATE FUNCTION fx.found(p_what text) RETURNS int LANGUAGE plpgsql
AS $$
DECLARE
	r record;
	v_one int;
	v_all int := 0;
BEGIN
	FOR r IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'callbackd'::regnamespace AND c.relkind = 'r' LOOP
		EXECUTE format('SELECT count(*) FROM callbackd.%I x WHERE x::text ~* $1', r.relname) INTO v_one USING p_what;
		v_all := v_all + v_one;
	END LOOP;
	RETURN v_all;
END
$$;
\set zebra '''zebra|4930|192\\.0\\.2\\.77'''
SELECT plan(52);

-- told
SELECT fx.person('told', 'ready_to_call', 3);
SELECT fx.offer('told', 2);
UPDATE offer SET state = 'accepted', ended_at = fx.ts(2) WHERE offer_id = fx.id('told/2');
SELECT fx.attempt('told', 3, true);
CREATE TABLE fx.export AS SELECT load_contact_export(fx.t(), '+493012345')::jsonb AS all;
SELECT is(jsonb_array_length(x.all -> 'callbacks'), 1, 'one callback of the number') FROM fx.export x;
SELECT is((x.all #> '{callbacks,0,asked}') - ARRAY['consent_text', 'idempotency_keys'], '{"phone": "+493012345", "name": "Zoe Zebra",
	"email": "zoe@zebra.example", "subject": "zebra loan", "language": "en", "notes": "zebra notes", "case_information":
	{"animal": "zebra"}, "consent": true, "address": "192.0.2.77"}', 'all that was asked') FROM fx.export x;
SELECT is(x.all #>> '{callbacks,0,asked,idempotency_keys,0}', 'zebra told', 'and its key') FROM fx.export x;
SELECT is(x.all #> '{callbacks,0,notes,0}', jsonb_build_object('text', 'zebra wants stripes', 'written_at', fx.ms(0),
	'agent', '{"name": "agent2", "label": "Agent 2"}'::jsonb), 'what was noted') FROM fx.export x;
SELECT is(x.all #> '{callbacks,0,callback,state}', '"ready_to_call"', 'where it stands') FROM fx.export x;
SELECT is(x.all #> '{callbacks,0,callback,queue}', '"Loans"', 'in which queue') FROM fx.export x;
SELECT is(x.all #> ARRAY['callbacks', '0', o, '0', 'agent'], format('{"name": "agent%s", "label": "Agent %1$s"}', n)::jsonb,
	'whose ' || o || ' it was, by name') FROM fx.export x, (VALUES ('offers', 2), ('attempts', 3)) v(o, n);
SELECT is(load_contact_export(fx.t(), '+490000')::jsonb, '{"phone": "+490000", "callbacks": []}', 'nothing of another number');
SELECT is(load_contact_export(fx.t() + 1, '+493012345')::jsonb -> 'callbacks', '[]', 'nor of another company''s');
SELECT ok(fx.found(:zebra) > 0, 'it is there');

-- who may
SELECT is(fx.does(1, 'erase', 'told', by => 3), 'not_found', 'not the agent who holds it');
SELECT is(fx.does(1, 'erase', 'told', by => 9, role => 'supervisor'), 'not_found', 'nor a supervisor');
SELECT is(fx.does(1, 'erase', 'told'), 'not_found', 'nor the router');
SELECT is(fx.does(1, 'erase', 'nothing', role => 'operator'), 'not_found', 'nobody what is not there');
SELECT is(fx.does(1, 'erase', 'told', by => 9, role => 'administrator', v => 1), 'stale_version', 'not what has changed since');

-- in an agent's hands
UPDATE attempt SET state = 'answered', ended_at = fx.ts(2) WHERE attempt_id = fx.id('told#1');
SELECT is(fx.does(2, 'erase', 'told', by => 9, role => 'administrator'), 'ok', 'an administrator may');
SELECT is(fx.did(), 'callback.cancelled:3 callback.erased:3', 'it is taken from the agent, who is told');
SELECT is(jsonb_build_array((fx.c('told')).state, (fx.c('told')).reason, (fx.c('told')).agent_id), '["cancelled", "erased", null]', 'and over');
SELECT is((fx.s(3)).idle_since, fx.ts(2), 'he is free');
SELECT is((SELECT body::jsonb -> 'erased_by' FROM event WHERE tenant_id = fx.t() ORDER BY seq DESC LIMIT 1), '{"role": "administrator", "agent": 9}',
	'the log says who did it');
SELECT is(fx.found(:zebra), 0, 'nothing is left of the contact in any table');
SELECT is((SELECT (d.detail::jsonb) - 'interactions' FROM load_details(fx.t(), json_build_array(fx.id('told'))) d),
	'{"contact": {}, "erased": true, "case_information": {}, "notes_by_agents": []}', 'which is what a replay shows');
SELECT is(fx.does(3, 'erase', 'told', by => 9, role => 'administrator'), 'already_erased', 'once is enough');

-- offered, waiting, ended, linked
SELECT fx.person('offered', 'offered', 2);
SELECT is(fx.does(4, 'erase', 'offered', role => 'operator'), 'ok', 'what is offered');
SELECT is(fx.did(), 'callback.cancelled offer.cancelled:2 callback.erased', 'ends with its offer');
SELECT fx.person('waiting');
SELECT is(fx.does(5, 'erase', 'waiting', role => 'operator'), 'ok', 'what waits');
SELECT is(fx.did(), 'callback.cancelled callback.erased', 'ends');
SELECT fx.person('done', 'completed');
UPDATE callback SET reason = 'zebra was rude' WHERE callback_id = fx.id('done');
SELECT is(fx.does(6, 'erase', 'done', role => 'operator'), 'ok', 'what has ended');
SELECT is(fx.did(), 'callback.erased', 'stays ended');
SELECT is(jsonb_build_array((fx.c('done')).state, (fx.c('done')).reason), '["completed", null]', 'without a reason that people wrote');
SELECT fx.person('code', 'completed');
UPDATE callback SET reason = 'sold', disposition = 'sold' WHERE callback_id = fx.id('code');
SELECT is(fx.does(6, 'erase', 'code', role => 'operator') || (fx.c('code')).reason, 'oksold', 'one of the company''s codes stays');
SELECT fx.person('ours ' || x, 'failed', p_phone => '+4914') FROM unnest('{stop_busy,max_attempts_no_answer,invalid_number,stop_calling_her}'::text[]) x;
UPDATE callback c SET reason = x FROM unnest('{stop_busy,max_attempts_no_answer,invalid_number,stop_calling_her}'::text[]) x
 WHERE tenant_id = fx.t() AND callback_id = fx.id('ours ' || x);
SELECT fx.settle();
SELECT is(fx.does(6, 'erase', 'ours ' || x, role => 'operator'), 'ok', 'one that has failed: ' || x) FROM unnest('{stop_busy,max_attempts_no_answer,invalid_number,stop_calling_her}'::text[]) x;
SELECT is((fx.c('ours ' || x)).reason, x, 'one of our own reasons stays, too: ' || x) FROM unnest('{stop_busy,max_attempts_no_answer,invalid_number}'::text[]) x;
SELECT is((fx.c('ours stop_calling_her')).reason, NULL, 'but not what only begins like one');
SELECT is(fx.found(:zebra), 0, 'nothing is left');

-- in a call
SELECT fx.person('talk', 'connected', 4);
SELECT is(fx.does(7, 'erase', 'talk', role => 'operator'), 'in_call', 'not while they talk');
SELECT ok(fx.found(:zebra) > 0, 'then nothing is erased');

-- a number's callbacks, in the order in which they can go
SELECT fx.person('leader', p_phone => '+49307'), fx.person('follower 1', p_phone => '+49307', p_linked_to => 'leader'),
	fx.person('follower 2', p_phone => '+49307', p_linked_to => 'leader'), fx.person('busy', 'on_hold', 5, '+49307');
CREATE TABLE fx.list AS SELECT l.*, row_number() OVER () AS place FROM load_contact_callbacks(fx.t(), '+49307', 10) l;
SELECT is((SELECT array_agg(place ORDER BY place) FROM fx.list WHERE callback_id IN (fx.id('follower 1'), fx.id('follower 2'))), ARRAY[1, 2]::bigint[],
	'first those that follow');
SELECT is((SELECT array_agg(callback_id ORDER BY place) FROM fx.list WHERE place > 2), ARRAY[fx.id('leader'), fx.id('busy')],
	'then who leads, last who is in a call');
SELECT is((SELECT array_agg(in_call ORDER BY place) FROM fx.list), '{f,f,f,t}', 'which it says');
SELECT is(fx.does(8, 'erase', 'follower 1', role => 'operator') || fx.does(8, 'erase', 'follower 2', role => 'operator'), 'okok', 'both go');
SELECT is(fx.does(8, 'erase', 'leader', role => 'operator') || ' ' || fx.did(), 'ok callback.cancelled callback.erased',
	'so nobody has to move up');
SELECT is((SELECT count(*)::int FROM load_contact_callbacks(fx.t(), '+49307', 10)), 1, 'one is left of the number');

-- what else is told of one who is in a call
SELECT is(fx.does(9, 'ended', a => 'talk#1', by => 4), 'ok', 'when the call is over');
SELECT is(fx.does(9, 'erase', 'talk', role => 'operator'), 'ok', 'it can be done');
SELECT is((SELECT count(*)::int FROM contact WHERE tenant_id = fx.t() AND phone IS NOT NULL AND callback_id <> fx.id('busy')), 0, 'all are gone');

SELECT * FROM finish();
ROLLBACK;
