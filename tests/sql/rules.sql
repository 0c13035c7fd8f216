-- rules: drafts that are refused and why, publication, versions, the way back, and what may not go away under them.
\ir fixture/company.sql
INSERT INTO skill (tenant_id, skill_id, name, label, version, removed) VALUES (fx.t(), 1, 'loans', '', 0, false), (fx.t(), 2, 'gone', '', 0, true);
INSERT INTO queue (tenant_id, queue_id, name, label, version, removed) VALUES (fx.t(), 3, 'closed', '', 0, true);
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, skills) VALUES (fx.t(), 1, 'rules-form', '', 0, 1, '{}');
-- {"rules": [one]}
CREATE FUNCTION fx.rule(p_if text, p_then jsonb DEFAULT '{}', p_name text DEFAULT 'one') RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_strip_nulls(jsonb_build_object('name', p_name, 'if', p_if, 'then', p_then)) $$;
CREATE FUNCTION fx.rules(VARIADIC p_rules jsonb[]) RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_object('rules', to_jsonb(p_rules)) $$;
CREATE FUNCTION fx.wrong(p_document jsonb) RETURNS text LANGUAGE sql
AS $$ SELECT string_agg(field || ' ' || message, '; ' ORDER BY n) FROM rules_check(fx.t(), p_document) WITH ORDINALITY c(field, message, wrong, n) WHERE wrong $$;
CREATE FUNCTION fx.doubts(p_document jsonb) RETURNS text LANGUAGE sql
AS $$ SELECT string_agg(field || ' ' || message, '; ' ORDER BY n) FROM rules_check(fx.t(), p_document) WITH ORDINALITY c(field, message, wrong, n) WHERE NOT wrong $$;
CREATE FUNCTION fx.publish(p_document jsonb, p_version bigint DEFAULT NULL, p_role text DEFAULT 'administrator', p_id text DEFAULT NULL) RETURNS text LANGUAGE sql
AS $$ SELECT fx.does(1, 'rules_publish', by => CASE p_role WHEN 'operator' THEN NULL ELSE 4 END, role => p_role, v => p_version, args => jsonb_build_object('document', p_document), id => p_id) $$;
SELECT plan(75);

-- What cannot be published. Each is said by its path.
SELECT is(fx.wrong(document), wrong, coalesce(wrong, 'fine: ' || left(document::text, 60))) FROM (VALUES
	('[]'::jsonb, ' must be an object'),
	('null', ' must be an object'),
	('{}', 'rules is missing'),
	('{"rules": {}}', 'rules must be an array'),
	('{"rules": [], "rulez": []}', 'rulez is not known'),
	('{"rules": [], "comment": 7}', 'comment must be a text'),
	(jsonb_build_object('rules', '[]'::jsonb, 'comment', repeat('x', 501)), 'comment must have at most 500 characters'),
	('{"rules": [7, null]}', 'rules[0] must be an object; rules[1] must be an object'),
	('{"rules": [{}]}', 'rules[0].name is missing; rules[0].then is missing'),
	('{"rules": [{"name": "a b", "then": []}]}', 'rules[0].name must be of letters, digits, . _ @ and -; rules[0].then must be an object'),
	('{"rules": [{"name": null, "then": {}, "else": 1, "if": 7}]}',
		'rules[0].else is not known; rules[0].if must be a text: an SQL/JSON path; rules[0].name must be a text'),
	(fx.rules(fx.rule(NULL), fx.rule(NULL)), 'rules[1].name is there twice'),
	(fx.rules(fx.rule('$.a == ')), 'rules[0].if is no SQL/JSON path: syntax error at end of jsonpath input'),
	(fx.rules(fx.rule(repeat(' ', 1001))), 'rules[0].if is longer than 1000 characters'),
	(fx.rules(fx.rule('$language == "fr"')), 'rules[0].if must not have variables: a name after $ needs a point before it'),
	(fx.rules(fx.rule('$.** == 1')), 'rules[0].if must not search at every depth (.**)'),
	(fx.rules(fx.rule('$.when.datetime() < "2027-01-01".datetime()')), 'rules[0].if must not use .datetime()'),
	(fx.rules(fx.rule('exists($.a ? (@ == 1) ? (@ == 1))')), 'rules[0].if must not have more than one filter (?)'),
	(fx.rules(fx.rule('$.subject like_regex "' || repeat('x', 101) || '"')),
		'rules[0].if must not have a regular expression of more than 100 characters, or one that refers back to what it matched'),
	(fx.rules(fx.rule('$.subject like_regex "(a+)\\1"')),
		'rules[0].if must not have a regular expression of more than 100 characters, or one that refers back to what it matched'),
	(fx.rules(fx.rule('$.a like_regex "("')), 'rules[0].if is no SQL/JSON path: invalid regular expression: parentheses () not balanced'),
	(fx.rules(fx.rule(NULL, '{"queue": "tea", "preferred_agent": "nobody", "skills": {"flying": 3}}')),
		'rules[0].then.preferred_agent is not an agent; rules[0].then.queue is not a queue; rules[0].then.skills.flying is not a skill'),
	(fx.rules(fx.rule(NULL, '{"queue": "closed", "skills": {"gone": 1}}')), 'rules[0].then.queue was removed; rules[0].then.skills.gone was removed'),
	(fx.rules(fx.rule(NULL, '{"queue": 1, "priority": 1001, "skills": {"loans": 11}, "offer_timeout_s": 0, "promise_window_s": -1, "caller_id": "+49x", "colour": 1}')),
		'rules[0].then.caller_id must be a telephone number of digits, + before them or not; rules[0].then.colour is not known; '
		'rules[0].then.offer_timeout_s must be from 1 to 3600; rules[0].then.priority must be from -1000 to 1000; '
		'rules[0].then.promise_window_s must be from 0 to 2592000; rules[0].then.queue must be a text; '
		'rules[0].then.skills.loans must be a level from 1 to 10'),
	(fx.rules(fx.rule(NULL, '{"skills": [], "priority": "5", "caller_id": "12345678901234567"}')),
		'rules[0].then.caller_id must have 3 to 16 characters; rules[0].then.priority must be an integer; rules[0].then.skills must be an object {"skill": level}'),
	('{"rules": []}', NULL),
	(fx.rules(fx.rule('$.case.product == "loan" && $.language == "fr"', '{"queue": "claims", "priority": -5, "skills": {"loans": 3}, "preferred_agent": "agent1",
		"offer_timeout_s": 5, "promise_window_s": 0, "caller_id": "+4930123"}'), fx.rule('', '{}', 'two')), NULL),
	(fx.rules(fx.rule('strict $.case.amount.double() > 1e3 || $.subject starts with "a$"')), NULL),
	(fx.rules(fx.rule('$.subject == "$x .** ?????"')), NULL)) v(document, wrong);
SELECT is(fx.wrong(jsonb_build_object('rules', (SELECT jsonb_agg(fx.rule(NULL, '{}', 'r' || n)) FROM generate_series(1, 1001) n))), 'rules must have at most 1000 rules', 'too many');
SELECT is(fx.wrong(jsonb_build_object('rules', (SELECT jsonb_agg(fx.rule(NULL, '{}', 'r' || n)) FROM generate_series(1, 1000) n))), NULL, 'as many as there may be');

-- What is hardly meant, and what nobody can know.
SELECT is(fx.doubts(document), doubts, coalesce(doubts, 'no doubt: ' || (document #>> '{rules,0,if}'))) FROM (VALUES
	(fx.rules(fx.rule('$.a == 1'), fx.rule('', '{}', 'all'), fx.rule('$.b == 1', '{}', 'b'), fx.rule('$.c == 1', '{}', 'c')),
		'rules[2].if is never looked at: rules[1] matches always; rules[3].if is never looked at: rules[1] matches always'),
	(fx.rules(fx.rule('true'), fx.rule('$.b == 1', '{}', 'b')), 'rules[1].if is never looked at: rules[0] matches always'),
	(fx.rules(fx.rule('1 + 1 == 2'), fx.rule('$.b == 1', '{}', 'b')), 'rules[1].if is never looked at: rules[0] matches always'),
	(fx.rules(fx.rule('"a" == "b"')), 'rules[0].if can never match: it does not look at the request'),
	(fx.rules(fx.rule('"$" == 1')), 'rules[0].if can never match: it does not look at the request'),
	(fx.rules(fx.rule('$.a==1'), fx.rule('($.a  ==  1)', '{}', 'b')), 'rules[1].if can never match: rules[0] has the same'),
	(fx.rules(fx.rule('$ ? (@.a == 1)')), 'rules[0].if is not a condition: it matches only where it finds true'),
	(fx.rules(fx.rule('$.a == 1 && $.a == 2')), NULL),
	(fx.rules(fx.rule('$.a == 1'), fx.rule('$.a == 1 || $.b == 1', '{}', 'b')), NULL),
	(fx.rules(fx.rule('exists($.case.vip)')), NULL)) v(document, doubts);

-- Publication, whole or not at all.
SELECT is(fx.publish(fx.rules(fx.rule(NULL)), 0, r), 'not_found', r || ' may not') FROM unnest('{agent,supervisor,contact,router}'::text[]) r;
SELECT is(fx.publish(fx.rules(fx.rule('$.a ==', '{"queue": "tea"}'), fx.rule('$x')), 0), 'invalid', 'a wrong draft');
SELECT is(fx.body() -> 'errors' -> 1, '{"field": "rules[0].then.queue", "message": "is not a queue"}', 'every error');
SELECT is(jsonb_array_length(fx.body() -> 'errors'), 4, 'of all rules');
SELECT is((SELECT count(*) FROM rule_set) + (SELECT count(*) FROM rule), 0::bigint, 'has changed nothing');
SELECT is(rules_show(fx.t(), NULL)::jsonb, '{"version": 0, "count": 0, "rules": []}', 'before the first version');
SELECT is(fx.publish(fx.rules(fx.rule('$.language == "fr"', '{"queue": "claims"}'), fx.rule('', '{"priority": 9, "skills": {"loans": 2}}', 'all'))
	|| '{"comment": "the first"}', 0, p_id => 'first'), 'ok', 'published');
SELECT is(fx.did(), 'rules.published', 'is told');
SELECT is(fx.body(), '{"rules": {"version": 1, "count": 2, "by": 4}}', 'which, and nothing of what it says');
SELECT is(rules_show(fx.t(), NULL)::jsonb, jsonb_build_object('version', 1, 'published_at', fx.ms(1), 'published_by', 'agent4', 'comment', 'the first', 'count', 2)
	|| fx.rules(fx.rule('$.language == "fr"', '{"queue": "claims"}'), fx.rule('', '{"priority": 9, "skills": {"loans": 2}}', 'all')), 'shown as it was written');
SELECT results_eq('SELECT ord, name, predicate::text, path, value, queue_id, priority, skills FROM rule WHERE tenant_id = fx.t() ORDER BY ord',
	$$VALUES (1, 'one', '($."language" == "fr")', 'language', 'fr', 2, NULL::int, NULL::jsonb), (2, 'all', NULL, '', '', NULL, 9, '{"1": 2}')$$, 'as intake reads it');
SELECT is(fx.publish('{"rules": []}', 0, p_id => 'first'), 'ok', 'the same command again');
SELECT is(fx.body() -> 'rules' -> 'version', '1', 'is answered as before');
SELECT is(fx.publish('{"rules": []}', 0), 'stale_version', 'who has not seen it');
SELECT is(fx.body(), '{"rules": {"version": 1}}', 'is told what there is');
SELECT is(fx.publish(fx.rules(fx.rule('$.language == "de"')), NULL, 'operator'), 'ok', 'the next, whatever there is');
SELECT is((SELECT array_agg(version) FROM rule WHERE tenant_id = fx.t()), '{2}', 'only what is published is kept for intake');
SELECT is((SELECT array_agg(s -> 'version') FROM jsonb_array_elements(rules_versions(fx.t())::jsonb) s), '{2,1}', 'all versions');

-- The way back.
SELECT is(fx.does(2, 'rules_rollback', by => 4, role => 'administrator', v => 1, args => '{"to": 1}'), 'stale_version', 'back, by who has not seen the last');
SELECT is(fx.does(2, 'rules_rollback', by => 4, role => 'administrator', v => 2, args => '{"to": 7}'), 'not_found', 'to what never was');
SELECT is(fx.does(2, 'rules_rollback', by => 4, role => 'supervisor', v => 2, args => '{"to": 1}'), 'not_found', 'not by a supervisor');
SELECT is(fx.does(2, 'rules_rollback', by => 4, role => 'administrator', v => 2, args => '{"to": 1, "comment": "de was wrong"}'), 'ok', 'back');
SELECT is(fx.body(), '{"rules": {"version": 3, "from_version": 1, "count": 2, "by": 4}}', 'is a new version');
SELECT is((rules_show(fx.t(), 3)::jsonb) - '{version,published_at,comment,from_version}'::text[], (rules_show(fx.t(), 1)::jsonb) - '{version,published_at,comment}'::text[], 'with the same rules');
SELECT is((rules_show(fx.t(), NULL)::jsonb) -> 'comment', '"de was wrong"', 'and a comment of its own');

-- What the published rules name stays.
SELECT is((SELECT string_agg(field || ' ' || message, '; ') FROM company_check(fx.t(), '{"company": {"name": "fixture"}, "queues": [{"name": "loans"}], "skills": []}')),
	'queues the queue "claims", which the published rule "one" needs, does not exist; skills the skill "loans", which the published rule "all" needs, does not exist',
	'a company without them is refused');
SELECT is(fx.publish('{"rules": []}', 3), 'ok', 'without rules');
UPDATE queue SET removed = true WHERE tenant_id = fx.t() AND queue_id = 2;
SELECT is(fx.does(2, 'rules_rollback', by => 4, role => 'administrator', v => 4, args => '{"to": 1}'), 'invalid', 'back to rules whose queue is gone');
SELECT is(fx.body() -> 'errors', '[{"field": "rules[0].then.queue", "message": "was removed"}]', 'is refused, and says why');
SELECT is(fx.does(2, 'rules_rollback', by => 4, role => 'administrator', v => 4, args => '{"to": 0}'), 'ok', 'back to before the first: no rules');
SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
