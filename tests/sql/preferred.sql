-- preferred: who is preferred for a new callback: whom a rule names, or who spoke with its number last.
\ir fixture/company.sql
SELECT plan(14);
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, duplicates) VALUES (fx.t(), 1, 'preferred', '', 0, 1, 'allow');
CREATE FUNCTION pg_temp.ask(p_phone text, p_at numeric DEFAULT 0) RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT concat_ws(' ', coalesce(s.body::jsonb #>> '{callback,preferred_agent}', 'nobody'), s.body::jsonb #>> '{callback,preferred_for_s}')
	  FROM submit(fx.t(), fx.ms(p_at), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'form', 1, 'phone', p_phone, 'when', 'asap'))) s WHERE s.ord = 0
$$;
-- 'a' was answered by 3 a day before 'b' was by 4; 'c' of another number, by 5; 'd' not answered, by 6
CREATE FUNCTION pg_temp.spoke(p_name text, p_agent int, p_phone text, p_at timestamptz, p_answered boolean DEFAULT true) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM fx.callback(p_name, 'completed', '{}'), fx.attempt(p_name, p_agent, p_answered);
	UPDATE attempt SET state = CASE WHEN p_answered THEN 'answered' ELSE 'busy' END, started_at = p_at, answered_at = CASE WHEN p_answered THEN p_at END, ended_at = p_at
	 WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name);
	INSERT INTO contact (tenant_id, callback_id, phone) VALUES (fx.t(), fx.id(p_name), p_phone);
END
$$;
SELECT pg_temp.spoke('a', 3, '+49301', fx.ts() - interval '3 days'), pg_temp.spoke('b', 4, '+49301', fx.ts() - interval '2 days'),
	pg_temp.spoke('c', 5, '+49302', fx.ts() - interval '1 day'), pg_temp.spoke('d', 6, '+49301', fx.ts() - interval '1 hour', false);
SELECT is(pg_temp.ask('+49301'), 'nobody', 'a queue that does not ask for it');
UPDATE queue SET last_agent_days = 7, last_agent_for_s = 90 WHERE tenant_id = fx.t() AND queue_id = 1;
SELECT is(pg_temp.ask('+49301'), '4 90', 'who spoke with it last; a dial that nobody answered is no conversation');
SELECT is(pg_temp.ask('+49302'), '5 90', 'another number, another agent');
SELECT is(pg_temp.ask('+49303'), 'nobody', 'nobody spoke with it');
UPDATE queue SET last_agent_days = 1 WHERE tenant_id = fx.t() AND queue_id = 1;
SELECT is(pg_temp.ask('+49301'), 'nobody', 'longer ago than that');
UPDATE queue SET last_agent_days = 7 WHERE tenant_id = fx.t() AND queue_id = 1;
UPDATE agent SET removed = true WHERE tenant_id = fx.t() AND agent_id = 4;
SELECT is(pg_temp.ask('+49301'), '3 90', 'who was removed is not; who spoke before him is');
UPDATE contact SET phone = NULL WHERE tenant_id = fx.t() AND callback_id = fx.id('a');
SELECT is(pg_temp.ask('+49301'), 'nobody', 'what was erased is not remembered');
-- a rule's
SELECT is((SELECT string_agg(field || ' ' || message, '; ' ORDER BY field) FROM rules_check(fx.t(), jsonb_build_object('rules', jsonb_build_array(jsonb_build_object('name', 'r', 'then', t::jsonb)))) WHERE wrong), want, t)
  FROM (VALUES ('{"preferred_for_s": 5}', 'rules[0].then.preferred_for_s needs a preferred_agent'),
	('{"preferred_agent": "agent1", "preferred_for_s": 3601}', 'rules[0].then.preferred_for_s must be from 0 to 3600'),
	('{"preferred_agent": "agent1", "preferred_for_s": "long"}', 'rules[0].then.preferred_for_s must be an integer'),
	('{"preferred_agent": "agent1", "preferred_for_s": 0}', NULL)) c(t, want);
SELECT rules_write(fx.t(), 1, '{"rules": [{"name": "r", "then": {"preferred_agent": "agent2", "preferred_for_s": 5}}]}');
INSERT INTO rule_set (tenant_id, version, published_at, comment, rules, paths, document) VALUES (fx.t(), 1, fx.ts(), '', 1, '{}', '{"rules": [{"name": "r"}]}');
SELECT is(pg_temp.ask('+49302'), '2 5', 'whom a rule names is before who spoke with it');
SELECT rules_write(fx.t(), 2, '{"rules": [{"name": "r", "then": {"preferred_agent": "agent2"}}]}');
INSERT INTO rule_set (tenant_id, version, published_at, comment, rules, paths, document) VALUES (fx.t(), 2, fx.ts(), '', 1, '{}', '{"rules": [{"name": "r"}]}');
SELECT is(pg_temp.ask('+49303'), '2 60', 'for a minute, if it does not say');
SELECT rules_write(fx.t(), 3, '{"rules": [{"name": "r", "then": {"priority": 5}}]}');
INSERT INTO rule_set (tenant_id, version, published_at, comment, rules, paths, document) VALUES (fx.t(), 3, fx.ts(), '', 1, '{}', '{"rules": [{"name": "r"}]}');
SELECT is(pg_temp.ask('+49302'), '5 90', 'a rule that names nobody leaves it to who spoke with it');
SELECT * FROM finish();
ROLLBACK;
