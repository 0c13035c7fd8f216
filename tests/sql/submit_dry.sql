-- submit_dry: what it says would happen does, and until then nothing has.
\ir fixture/company.sql
SELECT plan(21);
INSERT INTO skill (tenant_id, skill_id, name, label, version) VALUES (fx.t(), 1, 'french', '', 0);
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, skills, time_zone, notice_s) VALUES (fx.t(), 1, 'dry', '', 0, 1, '{}', 'UTC', 3600);
INSERT INTO suppression (tenant_id, prefix, reason, added_at) VALUES (fx.t(), '+4999', 'opted out', fx.ts());
SELECT is(fx.does(0, 'rules_publish', role => 'operator', args => '{"document": {"rules": [
	{"name": "second", "if": "$.case.a == \"2\"", "then": {"queue": "claims", "priority": 7}},
	{"name": "own", "if": "$.case.a == \"3\"", "then": {"agent": "agent3", "skills": {"french": 4}}}]}}'), 'ok', 'two rules');
CREATE FUNCTION pg_temp.element(p_name text, p_more jsonb) RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_object('id', fx.id(p_name), 'form', 1, 'phone', '+49301', 'when', 'asap') || p_more $$;
CREATE TABLE fx.said (name text, said jsonb);
CREATE FUNCTION pg_temp.dry(p_name text, p_more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql VOLATILE
AS $$
	INSERT INTO fx.said VALUES (p_name, submit_dry(fx.t(), fx.ms(1), pg_temp.element(p_name, p_more)::json)::jsonb) RETURNING said
$$;
CREATE FUNCTION pg_temp.counted() RETURNS text LANGUAGE sql VOLATILE
AS $$
	SELECT concat_ws(' ', (SELECT count(*) FROM event WHERE tenant_id = fx.t()), (SELECT count(*) FROM callback WHERE tenant_id = fx.t()),
		(SELECT count(*) FROM contact WHERE tenant_id = fx.t()), (SELECT count(*) FROM requirement_class WHERE tenant_id = fx.t()),
		(SELECT count(*) FROM idempotency_key WHERE tenant_id = fx.t()), (SELECT count(*) FROM slot_hold WHERE tenant_id = fx.t()))
$$;
SELECT pg_temp.counted() AS before \gset
SELECT is(pg_temp.dry('a') -> 'place', '{"queue": "loans", "priority": 0, "skills": {}}', 'where the form puts it');
SELECT is(said #>> '{callback,state}', 'scheduled', 'and as what') FROM fx.said WHERE name = 'a';
SELECT is(pg_temp.dry('b', '{"case": {"a": "2"}}') -> 'place', '{"queue": "claims", "priority": 7, "rule": "second", "skills": {}}', 'where a rule does');
SELECT is(pg_temp.dry('c', '{"case": {"a": "3"}}') -> 'place', '{"queue": "loans", "priority": 0, "rule": "own", "skills": {"french": 4}, "agent": "agent3"}', 'in a class that there is not yet');
SELECT is(pg_temp.dry('d', '{"phone": "+49991"}') ->> 'suppressed', 'opted out', 'a number that would not be called');
SELECT is(pg_temp.dry('e', '{"when": "2026-09-21T15:00"}') - 'errors', '{"refusal": "invalid"}', 'refused');
SELECT is(said -> 'errors', '[{"field": "when", "message": "is too soon: the earliest is 2026-09-21T15:13"}]', 'for what reason') FROM fx.said WHERE name = 'e';
SELECT is(pg_temp.dry('f', '{"form": 9}') ->> 'refusal', 'unknown_form', 'no such form');
SELECT is(pg_temp.dry('g', '{"key": "k", "fingerprint": "01"}') #>> '{callback,state}', 'scheduled', 'with a key');
UPDATE queue SET slots = '{"minutes": 30, "capacity": 1}' WHERE tenant_id = fx.t() AND queue_id = 1;
SELECT is(pg_temp.dry('h', '{"when": "2026-09-22T10:00"}') #>> '{callback,booked}', 'true', 'a place in a slot');
SELECT is(pg_temp.dry('i', '{"when": "2026-09-22T10:00"}') #>> '{callback,booked}', 'true', 'is not taken by it');
SELECT is(pg_temp.counted(), :'before', 'nothing of it is there');
SELECT is(fx.broken(), '', 'and the log is whole');
-- and it comes as it was said
SELECT is(s.body::jsonb #- '{callback,id}' #- '{callback,seq}' #- '{callback,class}', d.said - 'place' #- '{callback,id}' #- '{callback,seq}' #- '{callback,class}', 'so it is done: ' || d.name)
  FROM (VALUES ('a', '{}'::jsonb), ('b', '{"case": {"a": "2"}}'), ('c', '{"case": {"a": "3"}}'), ('h', '{"when": "2026-09-22T10:00"}')) v(name, more)
  JOIN fx.said d USING (name) CROSS JOIN LATERAL submit(fx.t(), fx.ms(1), jsonb_build_array(pg_temp.element(v.name, v.more || jsonb_build_object('phone', '+4930' || abs(hashtext(v.name)))))) s
 WHERE s.ord = 0;
-- one that has been taken already is told as it is
SELECT is((SELECT count(*)::int FROM submit(fx.t(), fx.ms(1), jsonb_build_array(pg_temp.element('known', '{"key": "k7", "fingerprint": "07"}'))) s WHERE s.ord = 0 AND s.what = 'event'),
	1, 'one with a key is taken');
SELECT is(pg_temp.dry('known', '{"key": "k7", "fingerprint": "07"}') ? 'refusal', false, 'and is not refused the second time');
SELECT is(said #>> '{callback,id}', fx.id('known')::text, 'it is the same') FROM fx.said WHERE name = 'known';
SELECT * FROM finish();
ROLLBACK;
