-- widening: what is wrong with steps, what each does, when, and that the callback comes home when its time is another.
\ir fixture/company.sql
SELECT plan(106);

-- ---- what is wrong ----
CREATE FUNCTION pg_temp.wrong(p_steps jsonb) RETURNS text LANGUAGE sql
AS $$ SELECT coalesce(string_agg(below || ' ' || message, '; ' ORDER BY below, message), '') FROM widen_errors(p_steps) WHERE message IS NOT NULL $$;
SELECT is(pg_temp.wrong(s::jsonb), want, left(s, 60)) FROM (VALUES
	('[]', ''),
	('[{"after_s": 0, "levels": 9}, {"after_s": 60, "without": ["a", "b"], "queue": "second", "priority": 1000}, {"after_s": 60, "priority": 1}]', ''),
	('7', ' must be an array of steps like {"after_s": 60, "levels": 2}'),
	('[7, {}]', '[0] must be an object like {"after_s": 60, "levels": 2}; [1] must have levels, without, queue or priority; [1].after_s is missing'),
	('[{"after_s": "60", "levels": 0, "priority": 1.5, "queue": 3, "without": "a", "more": 1}]',
		'[0].after_s must be an integer from 0 to 2592000; [0].levels must be an integer from 1 to 9; [0].more is not known; '
		'[0].priority must be an integer from 1 to 1000; [0].queue must be a queue''s name; [0].without must be an array of skills'' names'),
	('[{"after_s": 2592001, "levels": 10, "priority": -5, "without": []}, {"after_s": 9, "without": [1]}]',
		'[0].after_s must be an integer from 0 to 2592000; [0].levels must be an integer from 1 to 9; [0].priority must be an integer from 1 to 1000; '
		'[0].without must be an array of skills'' names; [1].after_s must not be before that of the step before; [1].without must be an array of skills'' names'),
	('[{"after_s": 60, "levels": 1}, {"after_s": 59, "levels": 1}]', '[1].after_s must not be before that of the step before')) c(s, want);
SELECT is(pg_temp.wrong((SELECT jsonb_agg('{"after_s": 1, "levels": 1}'::jsonb) FROM generate_series(1, 21))), ' must have at most 20 steps', 'too many');

-- ---- the company ----
-- agents 1..6 are ready, 7 and 8 not signed in
INSERT INTO skill (tenant_id, skill_id, name, label, version) VALUES (fx.t(), 1, 'loans', '', 0), (fx.t(), 2, 'french', '', 0), (fx.t(), 3, 'vip', '', 0);
UPDATE agent a SET skills = s.skills::jsonb FROM (VALUES (1, '{"1": 9, "2": 2}'), (2, '{"1": 4}'), (3, '{"1": 3, "2": 3}'), (7, '{"1": 10, "2": 10, "3": 10}')) s(id, skills)
 WHERE a.tenant_id = fx.t() AND a.agent_id = s.id;
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, skills, duplicates, time_zone) VALUES (fx.t(), 1, 'widens', '', 0, 1, '{"1": 8, "2": 5}', 'allow', 'UTC'),
	(fx.t(), 2, 'widens-not', '', 0, 2, '{"1": 8, "2": 5}', 'allow', 'UTC');
CREATE FUNCTION pg_temp.steps(p_steps jsonb) RETURNS void LANGUAGE sql
AS $$ UPDATE queue SET widen = p_steps WHERE tenant_id = fx.t() AND queue_id = 1 $$;
CREATE FUNCTION pg_temp.ask(p_name text, p_form int DEFAULT 1, p_at numeric DEFAULT 0) RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT coalesce(s.body::jsonb #>> '{callback,widen_after_s}', 'never')
	  FROM submit(fx.t(), fx.ms(p_at), jsonb_build_array(jsonb_build_object('id', fx.id(p_name), 'form', p_form, 'phone', '+4930', 'when', 'asap'))) s WHERE s.ord = 0
$$;
-- what it needs now, its queue and priority, what was done, and when the next step is
CREATE FUNCTION pg_temp.stands(p_name text) RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT concat_ws(' ', k.skills, 'queue ' || c.queue_id, 'priority ' || c.priority,
		'steps ' || (SELECT string_agg(s ->> 'step', ',') FROM jsonb_array_elements(c.widened) s),
		'at ' || extract(epoch FROM c.widen_at - fx.ts())::int, CASE WHEN k.queue_id <> c.queue_id THEN 'class of another queue' END)
	  FROM callback c JOIN requirement_class k ON k.tenant_id = c.tenant_id AND k.class_id = c.class_id
	 WHERE c.tenant_id = fx.t() AND c.callback_id = fx.id(p_name)
$$;
-- what the router would: everything whose time has come; the rest is when it has to look again, for what this did not touch
CREATE FUNCTION pg_temp.elapse(p_at numeric) RETURNS text LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_said text := '';
	r record;
BEGIN
	FOR r IN SELECT * FROM load_elapsed(fx.t(), fx.ms(p_at), 10) LOOP
		v_said := v_said || CASE WHEN r.callback_id IS NULL THEN coalesce('next ' || (r.next_at - fx.ms()) / 1000, 'nothing more') ELSE r.command || ' ' END;
		IF r.callback_id IS NOT NULL THEN
			PERFORM * FROM execute(fx.t(), fx.ms(p_at), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'kind', r.command, 'role', 'router',
				'callback', r.callback_id, 'version', r.seq)));
		END IF;
	END LOOP;
	RETURN v_said;
END
$$;

-- ---- step by step ----
SELECT is(pg_temp.ask('plain'), 'never', 'a queue without steps');
SELECT pg_temp.steps('[{"after_s": 60, "levels": 4}, {"after_s": 120, "without": ["french"]}, {"after_s": 180, "queue": "claims"}, {"after_s": 240, "priority": 10, "levels": 9}]');
SELECT is(pg_temp.stands('plain'), '{"1": 8, "2": 5} queue 1 priority 0', 'what waits already is left alone');
SELECT is(pg_temp.ask('other', 2), 'never', 'so is another queue''s');
SELECT is(pg_temp.ask('a'), '60', 'the first step is said');
SELECT is(pg_temp.stands('a'), '{"1": 8, "2": 5} queue 1 priority 0 at 60', 'and when it is');
SELECT is(pg_temp.elapse(59), 'next 60', 'not before');
SELECT is(pg_temp.elapse(60), 'widen next 86400', 'then');
SELECT is(pg_temp.stands('a'), '{"1": 4, "2": 1} queue 1 priority 0 steps 1 at 120', 'less of every skill, and not below 1');
SELECT is((SELECT jsonb_build_array(e.kind, (e.body::jsonb -> 'class') - 'id') FROM event e WHERE e.tenant_id = fx.t() AND e.seq = fx.head() - 1),
	'["class.created", {"queue": 1, "skills": {"1": 4, "2": 1}}]', 'a new class is told before it');
SELECT is((SELECT jsonb_build_array(e.kind, e.body::jsonb -> 'step', e.body::jsonb #> '{callback,widened}') FROM event e WHERE e.tenant_id = fx.t() AND e.seq = fx.head()),
	jsonb_build_array('callback.widened', 1, jsonb_build_array(jsonb_build_object('step', 1, 'after_s', 60, 'levels', 4, 'widened_at', fx.ms(60)))), 'and it is told');
SELECT is(pg_temp.ask('b', 1, 70), '60', 'another, later');
SELECT is(pg_temp.elapse(130), 'widen widen next 86400', 'each at its time');
SELECT is(pg_temp.stands('a'), '{"1": 4} queue 1 priority 0 steps 1,2 at 180', 'without the skill');
SELECT is(pg_temp.stands('b'), '{"1": 4, "2": 1} queue 1 priority 0 steps 1 at 190', 'the other is a step behind');
SELECT is((SELECT count(DISTINCT class_id) FROM callback WHERE tenant_id = fx.t() AND callback_id IN (fx.id('a'), fx.id('b'))), 2::bigint, 'in two classes');
SELECT is((SELECT count(*) FROM requirement_class WHERE tenant_id = fx.t() AND queue_id = 1 AND skills = '{"1": 4, "2": 1}'), 1::bigint, 'of which each is made once');
SELECT is(pg_temp.elapse(180), 'widen next 190', 'to another queue');
SELECT is(pg_temp.stands('a'), '{"1": 4} queue 2 priority 0 steps 1,2,3 at 240', 'with what it still needs');
SELECT is(pg_temp.elapse(240), 'widen widen next 86400', 'b, and a');
SELECT is(pg_temp.stands('a'), '{"1": 1} queue 2 priority 10 steps 1,2,3,4', 'the last one');
SELECT is(pg_temp.elapse(10000), 'widen next 86400', 'b, two steps behind, one at a time');
SELECT is(pg_temp.elapse(10000), 'widen next 86400', 'the last of b''s');
SELECT is(pg_temp.stands('b'), '{"1": 1} queue 2 priority 10 steps 1,2,3,4', 'done');

-- ---- home ----
CREATE FUNCTION pg_temp.does(p_kind text, p_name text, p_at numeric, p_role text, p_by int, p_args jsonb DEFAULT '{}') RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT x.kind FROM execute(fx.t(), fx.ms(p_at), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'kind', p_kind, 'role', p_role, 'by', p_by,
		'callback', fx.id(p_name), 'version', (SELECT seq FROM callback WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name)), 'args', p_args))) x WHERE x.ord = 0
$$;
SELECT is(pg_temp.does('reschedule', 'a', 10010, 'supervisor', 9, '{"when": "asap"}'), 'already_due', 'a refusal changes nothing');
SELECT is(pg_temp.stands('a'), '{"1": 1} queue 2 priority 10 steps 1,2,3,4', 'nothing');
SELECT is(pg_temp.does('reschedule', 'a', 10010, 'contact', NULL, jsonb_build_object('at', fx.ms(20000))), 'callback.rescheduled', 'another time');
SELECT is(pg_temp.stands('a'), '{"1": 8, "2": 5} queue 1 priority 0 at 20060', 'it is for whom it was for, and widened anew');
SELECT is((SELECT jsonb_build_array(home_class, home_priority, widened) FROM callback WHERE tenant_id = fx.t() AND callback_id = fx.id('a')), '[null, null, null]', 'at home');
-- b is dialled, and to be tried again
UPDATE queue SET retry_delay_s = 900 WHERE tenant_id = fx.t();
SELECT is((SELECT x.kind FROM execute(fx.t(), fx.ms(10020), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'kind', 'offer', 'role', 'router', 'callback', fx.id('b'),
	'version', (SELECT seq FROM callback WHERE callback_id = fx.id('b')), 'to', jsonb_build_array(jsonb_build_object('offer', fx.id('ob'), 'agent', 1))))) x WHERE x.ord = 0), 'offer.created', 'b is offered');
SELECT is(pg_temp.elapse(10021), 'next 20060', 'what is offered waits for nothing');
SELECT is((SELECT x.kind FROM execute(fx.t(), fx.ms(10022), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'kind', 'accept', 'role', 'agent', 'by', 1, 'offer', fx.id('ob')))) x WHERE x.ord = 0), 'offer.accepted', 'accepted');
SELECT is(pg_temp.stands('b'), '{"1": 1} queue 2 priority 10 steps 1,2,3,4', 'whoever has it, it is as wide as it was');
SELECT is(pg_temp.does('retry', 'b', 10030, 'agent', 1, '{"in_s": 3600}'), 'callback.retry', 'later');
SELECT is(pg_temp.stands('b'), '{"1": 8, "2": 5} queue 1 priority 0 at 13690', 'home, too');

-- ---- what nobody could serve ----
SELECT pg_temp.steps('[{"after_s": 10, "levels": 1}, {"after_s": 20, "levels": 1}, {"after_s": 300, "without": ["french"], "levels": 2}, {"after_s": 400, "priority": 5}]');
SELECT is(pg_temp.ask('c', 1, 30000), '10', 'eight and five: nobody has seven and four, nor six and three, but there is one of four');
SELECT is(pg_temp.elapse(30010), 'widen widen widen next 86400', 'the others and it');
SELECT is(pg_temp.stands('c'), '{"1": 4} queue 1 priority 0 steps 1,2,3 at 30400', 'two steps are passed over, and told with it');
UPDATE agent_status SET state = 'logged_out', connected = false, node_id = NULL WHERE tenant_id = fx.t() AND agent_id IN (1, 2);
SELECT is(pg_temp.ask('d', 1, 30020), '10', 'now only agent 3, with three');
SELECT is(pg_temp.elapse(30030), 'widen widen widen next 30400', 'nobody at all could take any of the steps');
SELECT is(pg_temp.stands('d'), '{"1": 7, "2": 4} queue 1 priority 0 steps 1 at 30040', 'then one at a time');
UPDATE agent SET removed = true WHERE tenant_id = fx.t() AND agent_id = 7;
UPDATE agent_status SET state = 'ready', connected = true, node_id = fx.id('n1') WHERE tenant_id = fx.t() AND agent_id = 7;
SELECT is(pg_temp.elapse(30040), 'widen next 30400', 'who was removed is nobody');
SELECT is(pg_temp.stands('d'), '{"1": 6, "2": 3} queue 1 priority 0 steps 1,2 at 30320', 'again one');
UPDATE queue SET skills = '{"3": 1}' WHERE tenant_id = fx.t() AND queue_id = 1;
UPDATE agent_status SET state = 'ready', connected = true, node_id = fx.id('n1') WHERE tenant_id = fx.t() AND agent_id = 2;
SELECT is(widen_able(fx.t(), 1, '{"1": 4}'), false, 'the queue''s own skills count');
UPDATE agent SET skills = skills || '{"3": 1}' WHERE tenant_id = fx.t() AND agent_id = 2;
SELECT is(widen_able(fx.t(), 1, '{"1": 4}'), true, 'he has them');
SELECT is(widen_able(fx.t(), 1, '{"1": 5}'), false, 'but not that level');
SELECT is(widen_able(fx.t(), 2, '{}'), true, 'where nothing is needed, anybody');

-- ---- what is refused ----
SELECT is(pg_temp.does('widen', 'd', 30100, 'router', NULL), 'not_due', 'too early');
SELECT is(pg_temp.does('widen', 'd', 30400, 'supervisor', 9), 'not_found', 'it is the router''s alone');
SELECT is(pg_temp.does('cancel', 'plain', 30400, 'supervisor', 9), 'callback.cancelled', 'one ends');
SELECT is(pg_temp.does('widen', 'plain', 30400, 'router', NULL), 'wrong_state', 'one that has ended');
-- the queue has lost its steps meanwhile
SELECT pg_temp.steps('[]');
SELECT is(pg_temp.does('widen', 'd', 30400, 'router', NULL), 'callback.widened', 'no step is left');
SELECT is(pg_temp.stands('d'), '{"1": 6, "2": 3} queue 1 priority 0 steps 1,2', 'so it stays as it is, and is looked at no more');

-- ---- for one agent alone ----
-- of those who have loans, 3 is there
UPDATE agent_status SET state = 'ready', connected = true, node_id = fx.id('n1') WHERE tenant_id = fx.t() AND agent_id IN (1, 3);
UPDATE queue SET skills = '{}', personal_for_s = 600, promise_window_s = 0 WHERE tenant_id = fx.t() AND queue_id = 1;
SELECT pg_temp.steps('[{"after_s": 60, "levels": 1}, {"after_s": 900, "without": ["loans"]}]');
CREATE FUNCTION pg_temp.whose(p_name text) RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT concat_ws(' ', CASE k.agent_id WHEN 0 THEN 'anybody' ELSE k.agent_id::text END, 'for ' || c.agent_for_s, pg_temp.stands(p_name))
	  FROM callback c JOIN requirement_class k ON k.tenant_id = c.tenant_id AND k.class_id = c.class_id WHERE c.tenant_id = fx.t() AND c.callback_id = fx.id(p_name)
$$;
SELECT is(pg_temp.does('cancel', n, 30500, 'supervisor', 9), 'callback.cancelled', n || ' is not wanted here') FROM unnest('{a,b,c,d,other}'::text[]) n;
CREATE FUNCTION pg_temp.holds(p_name text, p_agent int) RETURNS text LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF (fx.c(p_name)).callback_id IS NULL THEN
		PERFORM fx.callback(p_name, 'ready_to_call', ARRAY[p_agent]);
	ELSE
		UPDATE callback SET state = 'ready_to_call', agent_id = p_agent, deadline_at = fx.ts(99999) WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name);
	END IF;
	PERFORM fx.settle();
	RETURN pg_temp.whose(p_name);
END
$$;
CREATE FUNCTION pg_temp.state(p_state text) RETURNS void LANGUAGE sql VOLATILE
AS $$
	UPDATE agent_status SET state = p_state, connected = p_state <> 'logged_out', node_id = CASE WHEN p_state <> 'logged_out' THEN fx.id('n1') END
	 WHERE tenant_id = fx.t() AND agent_id = 3
$$;
SELECT is(pg_temp.holds('p', 3), 'anybody {} queue 1 priority 0', 'agent 3 has one');
SELECT is(pg_temp.does('retry', 'p', 31000, 'agent', 3, '{"in_s": 3600, "personal": true}'), 'callback.retry', 'and keeps it for himself');
SELECT is(pg_temp.whose('p'), '3 for 600 {} queue 1 priority 0 at 34600', 'he is looked for when it falls due');
SELECT is((SELECT jsonb_build_array(e.kind, (e.body::jsonb -> 'class') - 'id') FROM event e WHERE e.tenant_id = fx.t() AND e.seq = fx.head() - 1),
	'["class.created", {"queue": 1, "skills": {}, "agent": 3}]', 'a class of his own');
SELECT is(pg_temp.elapse(34599), 'next 34600', 'not before');
SELECT is(pg_temp.elapse(34600), 'widen nothing more', 'then');
SELECT is((SELECT e.kind FROM event e WHERE e.tenant_id = fx.t() AND e.seq = fx.head()), 'callback.kept', 'he is there: it stays his');
SELECT is(pg_temp.whose('p'), '3 for 600 {} queue 1 priority 0 at 35200', 'for ten minutes');
SELECT is(pg_temp.does('reschedule', 'p', 34700, 'contact', NULL, jsonb_build_object('at', fx.ms(40000))), 'callback.rescheduled', 'the contact moves it');
SELECT is(pg_temp.whose('p'), '3 for 600 {} queue 1 priority 0 at 40000', 'he is looked for then');
SELECT pg_temp.state('logged_out');
SELECT is(pg_temp.elapse(40000), 'widen nothing more', 'and is not there');
SELECT is(pg_temp.whose('p'), 'anybody for 600 {} queue 1 priority 0 steps 0 at 40060', 'so it is for all, and the steps of its queue follow');
SELECT is((fx.c('p')).widened, jsonb_build_array(jsonb_build_object('step', 0, 'after_s', 0, 'agent', 3, 'widened_at', fx.ms(40000))), 'which is told');
SELECT is(pg_temp.elapse(40060) || ' ' || pg_temp.whose('p'), 'widen nothing more anybody for 600 {} queue 1 priority 0 steps 0,1 at 40900', 'one after the other');
SELECT is(pg_temp.does('reschedule', 'p', 40100, 'contact', NULL, jsonb_build_object('at', fx.ms(50000))), 'callback.rescheduled', 'again');
SELECT is(pg_temp.whose('p'), '3 for 600 {} queue 1 priority 0 at 50000', 'it is his again');
SELECT pg_temp.state('not_ready');
SELECT is(pg_temp.elapse(50000) || ' ' || pg_temp.elapse(50600), 'widen nothing more widen nothing more', 'he is there, and does not take it for ten minutes');
SELECT is(pg_temp.whose('p'), 'anybody for 600 {} queue 1 priority 0 steps 0 at 50060', 'handed over');
-- without a word it stays as it was, or he lets it go
SELECT is(pg_temp.holds('p2', 3), 'anybody {} queue 1 priority 0', 'another');
SELECT is(pg_temp.does('retry', 'p2', 51000, 'agent', 3, '{"in_s": 3600, "personal": true}') || ' ' || pg_temp.whose('p2'), 'callback.retry 3 for 600 {} queue 1 priority 0 at 54600', 'his');
SELECT is(pg_temp.holds('p2', 3), '3 for 600 {} queue 1 priority 0 at 54600', 'he has it again');
SELECT is(pg_temp.does('retry', 'p2', 51010, 'agent', 3, '{"in_s": 3600}') || ' ' || pg_temp.whose('p2'), 'callback.retry 3 for 600 {} queue 1 priority 0 at 54610', 'without a word it stays his');
SELECT is(pg_temp.holds('p2', 3), '3 for 600 {} queue 1 priority 0 at 54610', 'and again');
SELECT is(pg_temp.does('retry', 'p2', 51020, 'agent', 3, '{"in_s": 3600, "personal": false}') || ' ' || pg_temp.whose('p2'), 'callback.retry anybody {} queue 1 priority 0 at 54680', 'or he lets it go');
-- the steps have brought it to a queue with other limits: those of its home count for the time that he agrees on
SELECT is(pg_temp.holds('p3', 3), 'anybody {} queue 1 priority 0', 'one more');
UPDATE callback SET home_class = class_id, home_priority = 0, queue_id = 2, widened = '[{"step": 1}]',
	class_id = (SELECT w.class_id FROM widen_class(fx.t(), 0, 2, '{}', 0) w)
 WHERE tenant_id = fx.t() AND callback_id = fx.id('p3');
SELECT fx.settle();
UPDATE queue SET attempts_per_day = CASE queue_id WHEN 1 THEN 1 ELSE 0 END WHERE tenant_id = fx.t();
INSERT INTO contact (tenant_id, callback_id, phone) VALUES (fx.t(), fx.id('p3'), '+4930999');
INSERT INTO attempt (tenant_id, attempt_id, callback_id, agent_id, number, state, started_at, ended_at, seq)
SELECT fx.t(), fx.id('dialled'), fx.id('p3'), 3, 1, 'no_answer', fx.ts(52000), fx.ts(52010), 1;
SELECT is(pg_temp.does('retry', 'p3', 52020, 'agent', 3, '{"in_s": 600}'), 'bad_time', 'its home queue calls nobody twice on a day');
UPDATE queue SET attempts_per_day = CASE queue_id WHEN 2 THEN 1 ELSE 0 END WHERE tenant_id = fx.t();
SELECT is(pg_temp.does('retry', 'p3', 52020, 'agent', 3, '{"in_s": 600}') || ' ' || pg_temp.stands('p3'), 'callback.retry {} queue 1 priority 0 at 52680',
	'what the other queue forbids forbids nothing');
SELECT is((fx.c('p3')).due_at, fx.ts(52620), 'it is called when he said');
UPDATE queue SET attempts_per_day = 0 WHERE tenant_id = fx.t();
-- one that was escalated meanwhile has its own priority again, when it is home
SELECT is(pg_temp.holds('p4', 3), 'anybody {} queue 1 priority 0', 'and one');
SELECT is(pg_temp.does('retry', 'p4', 53000, 'agent', 3, '{"in_s": 600, "personal": true}'), 'callback.retry', 'his alone');
UPDATE callback SET priority = 1000, home_priority = 0, home_class = class_id WHERE tenant_id = fx.t() AND callback_id = fx.id('p4');
SELECT pg_temp.state('logged_out');
SELECT is(pg_temp.does('widen', 'p4', 53600, 'router', NULL) || ' ' || pg_temp.stands('p4'), 'callback.widened {} queue 1 priority 1000 steps 0 at 53660', 'handed over, before others');
SELECT is(pg_temp.does('reschedule', 'p4', 53610, 'supervisor', 9, jsonb_build_object('at', fx.ms(60000))) || ' ' || pg_temp.whose('p4'),
	'callback.rescheduled 3 for 600 {} queue 1 priority 0 at 60000', 'at home it is what it was');
SELECT pg_temp.state('not_ready');
-- one that its steps had brought to him, who has not what it needs at home
SELECT is(pg_temp.holds('p5', 3), 'anybody {} queue 1 priority 0', 'the last');
UPDATE callback SET home_class = (SELECT w.class_id FROM widen_class(fx.t(), 0, 1, '{"1": 8}', 0) w), home_priority = 0, widened = '[{"step": 1}]'
 WHERE tenant_id = fx.t() AND callback_id = fx.id('p5');
SELECT fx.settle();
SELECT is(pg_temp.does('retry', 'p5', 54000, 'agent', 3, '{"in_s": 600, "personal": true}') || ' ' || pg_temp.whose('p5'),
	'callback.retry 3 for 600 {"1": 8} queue 1 priority 0 at 54600', 'he books it for himself');
SELECT is(pg_temp.does('widen', 'p5', 54600, 'router', NULL) || ' ' || pg_temp.whose('p5'),
	'callback.widened anybody for 600 {"1": 8} queue 1 priority 0 steps 0 at 54660', 'he could not be offered it: it is not kept for him');
-- a rule's
CREATE FUNCTION pg_temp.message() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT body #>> '{errors,0,message}' FROM fx.last $$;
CREATE FUNCTION pg_temp.rule(p_then jsonb) RETURNS text LANGUAGE sql VOLATILE
AS $$ SELECT fx.does(60000, 'rules_publish', role => 'operator', args => jsonb_build_object('document', jsonb_build_object('rules', jsonb_build_array(jsonb_build_object('name', 'his', 'then', p_then))))) $$;
SELECT is(pg_temp.rule('{"agent": "agent3"}'), 'ok', 'a rule: for agent 3 alone');
SELECT is(pg_temp.ask('r1', 1, 60010) || ' ' || pg_temp.whose('r1'), 'never 3 {"1": 8, "2": 5} queue 1 priority 0', 'for ever');
SELECT is(pg_temp.rule('{"agent": "agent3", "agent_for_s": 60, "skills": {}}'), 'ok', 'for a minute');
SELECT is(pg_temp.ask('r2', 1, 60020) || ' ' || pg_temp.whose('r2'), '0 3 for 60 {} queue 1 priority 0 at 60020', 'he is looked for when it falls due');
SELECT is(pg_temp.rule('{"agent": "agent0", "agent_for_s": 60}') || ' ' || pg_temp.message(), 'invalid is not an agent', 'who is nobody');
SELECT is(pg_temp.rule('{"agent_for_s": 60}') || ' ' || pg_temp.message(), 'invalid needs an agent', 'nobody named');
SELECT * FROM finish();
ROLLBACK;
