-- rules_place: which rule a request finds, by look-up as by trying each; what comes of it at intake and at the offer; trial.
\ir fixture/company.sql
INSERT INTO skill (tenant_id, skill_id, name, label, version) VALUES (fx.t(), 1, 'loans', '', 0);
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, skills, priority, language, time_zone, duplicates)
VALUES (fx.t(), 1, 'rules-a', '', 0, 1, '{"1": 1}', 5, 'en', 'Europe/Berlin', 'allow'), (fx.t(), 2, 'rules-b', '', 0, 2, '{}', NULL, 'fr', 'UTC', 'link');
CREATE FUNCTION fx.rule(p_name text, p_if text, p_then jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_strip_nulls(jsonb_build_object('name', p_name, 'if', p_if, 'then', p_then)) $$;
CREATE FUNCTION fx.publish(VARIADIC p_rules jsonb[]) RETURNS text LANGUAGE sql
AS $$ SELECT fx.does(1, 'rules_publish', role => 'operator', args => jsonb_build_object('document', jsonb_build_object('rules', to_jsonb(p_rules)))) $$;
-- An element of submit()'s batch; its callback is fx.c(name)
CREATE FUNCTION fx.el(p_name text, p_more jsonb DEFAULT '{}', p_form int DEFAULT 1) RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_object('id', fx.id(p_name), 'form', p_form, 'phone', '+4930' || abs(hashtext(p_name))) || p_more $$;
CREATE FUNCTION fx.submit(VARIADIC p_elements jsonb[]) RETURNS bigint LANGUAGE sql
AS $$ SELECT count(*) FROM submit(fx.t(), fx.ms(2), to_jsonb(p_elements)) s WHERE s.what = 'event' AND s.ord IS NOT NULL $$;
CREATE FUNCTION fx.placed(p_name text) RETURNS text LANGUAGE sql
AS $$ SELECT format('%s/%s: queue %s priority %s window %s', c.rule_version, c.rule, c.queue_id, c.priority, extract(epoch FROM c.expires_at - c.promise_at)::int) FROM fx.c(p_name) c $$;
SELECT plan(56);

-- What a predicate is looked up by: only what has to be so.
SELECT is((SELECT string_agg(t.path || '=' || t.value, ' ' ORDER BY t.path, t.value) FROM rules_terms(predicate::jsonpath) t), terms, predicate) FROM (VALUES
	('$.case.product == "loan" && $.language == "fr"', 'case.product=loan language=fr'),
	('($.case.a == "1" && exists($.case.vip)) && ($.form == "x" && $.case.n > 5)', 'case.a=1 form=x'),
	('$.case.a == "1" && $.subject like_regex "x|y"', 'case.a=1'),
	('$.case.a == "1" || $.form == "x"', NULL),
	('$.form == "x" && ($.case.a == "1" || $.case.a == "2")', NULL),
	('!($.form == "x")', NULL),
	('($.form == "x") is unknown', NULL),
	('($.form == "x").type() == "boolean"', NULL),
	('exists($.case ? (@.form == "x"))', NULL),
	('strict $.form == "x"', NULL),
	('$.form != "x"', NULL),
	('$.case.a.b == "x"', NULL),
	('$.case.a == "say \"x\""', NULL),
	('$.subject == "($.\"form\" == \"x\")"', NULL),
	('$.case."a.b" == ""', 'case.a.b='),
	(format('$.case.a == "%s"', repeat('x', 201)), NULL)) v(predicate, terms);

-- Looked up or tried one by one: the same rule, for requests and predicates of every shape.
CREATE TABLE fx.tried AS SELECT row_number() OVER () AS n, p FROM (
	SELECT format('$.case.a == "%s"', v) AS p FROM generate_series(1, 3) v
	 UNION ALL SELECT format('$.case.a == "%s" && $.case.b == "%s"', v, w) FROM generate_series(1, 3) v, generate_series(1, 3) w
	 UNION ALL SELECT format('$.case.b == "%s" || $.case.a == "%s"', v, v) FROM generate_series(1, 3) v
	 UNION ALL SELECT format('!($.language == "l%s") && $.case.a == "1"', v) FROM generate_series(1, 3) v
	 UNION ALL SELECT format('$.language == "l%s" && $.case.n > %s', v, v) FROM generate_series(1, 3) v
	 UNION ALL SELECT format('strict $.case.b == "%s"', v) FROM generate_series(1, 3) v
	 UNION ALL SELECT format('$.case.a[%s] == "2" && $.case.a == "3"', v) FROM generate_series(0, 1) v) x;
CREATE TABLE fx.request AS
SELECT row_number() OVER () AS n, rules_request('f', 'l' || l, NULL, NULL, jsonb_strip_nulls(jsonb_build_object('a', a, 'b', b, 'n', c)), NULL, NULL, 'UTC', true, NULL) AS request
  FROM generate_series(1, 3) l, unnest('{"\"1\"","\"2\"","\"3\"","[\"1\",\"3\"]","[\"2\",\"3\"]","[[\"1\"]]","1","{\"a\":\"1\"}","null"}'::jsonb[]) a,
	unnest('{"\"1\"","\"3\"","[\"2\",\"1\"]","null"}'::jsonb[]) b, unnest('{"1","\"2\"","3"}'::jsonb[]) c;
-- in four orders: each of them lets others win
CREATE FUNCTION fx.differ(p_order int) RETURNS bigint LANGUAGE plpgsql
AS $$
DECLARE
	s rule_set;
BEGIN
	PERFORM fx.publish(VARIADIC (SELECT array_agg(fx.rule('r' || t.n, t.p) ORDER BY hashtext(t.p || p_order)) FROM fx.tried t));
	SELECT * INTO s FROM rules_set(fx.t());
	RETURN (SELECT count(*) FROM fx.request q
		  LEFT JOIN LATERAL rules_first(fx.t(), s.version, s.paths, q.request) a ON true
		 WHERE a.ord IS DISTINCT FROM (SELECT min(r.ord) FROM rule r WHERE r.tenant_id = fx.t() AND r.version = s.version
			AND jsonb_path_match(q.request, r.predicate, '{}', true)));
END
$$;
SELECT is(fx.differ(n), 0::bigint, 'order ' || n || ': looked up is tried') FROM generate_series(1, 4) n;
SELECT cmp_ok((SELECT count(DISTINCT a.ord) FROM fx.request q, rules_set(fx.t()) s, LATERAL rules_first(fx.t(), s.version, s.paths, q.request) a), '>', 5::bigint, 'many rules are found');
SELECT is((SELECT cardinality(paths) FROM rules_set(fx.t())), 3, 'by some look-ups');

-- Without rules, the form decides.
SELECT is(fx.publish(VARIADIC '{}'), 'ok', 'no rules');
SELECT is(fx.submit(fx.el('plain')), 1::bigint, 'taken');
SELECT is(fx.placed('plain') || ' ' || image_callback(c, c.seq), fx.placed('plain') || ' ' || regexp_replace(image_callback(c, c.seq), ',"(rule|offer_timeout_s|caller_id|preferred_agent)":', '!'),
	'nothing of a rule in it') FROM fx.c('plain') c;

SELECT is(fx.publish(
	fx.rule('french-loans', '$.case.product == "loan" && $.language == "fr"',
		'{"queue": "claims", "priority": 50, "skills": {"loans": 4}, "preferred_agent": "agent2", "offer_timeout_s": 7, "promise_window_s": 600, "caller_id": "+4930100"}'),
	fx.rule('abroad', '$.region != "DE" && $.number_type == "mobile"', '{"skills": {}}'),
	fx.rule('consent', '$.consent == true && $.time_zone == "Asia/Tokyo"', '{"queue": "claims"}'),
	fx.rule('later', '$.when >= "2026-09-22"', '{"priority": -1}'),
	fx.rule('b', '$.form == "rules-b"')), 'ok', 'rules');
SELECT is(fx.submit(
	fx.el('loan', '{"language": "fr", "case": {"product": "loan"}}'),
	fx.el('loan list', '{"language": "fr", "case": {"product": ["car", "loan"]}}', 2),
	fx.el('abroad', '{"language": "en", "case": {"product": "loan"}, "region": "AT", "number_type": "mobile"}'),
	fx.el('tokyo', '{"consent": true, "time_zone": "Asia/Tokyo"}'),
	fx.el('later', '{"when": "2026-09-22T10:00"}'),
	fx.el('b', '{"case": {"product": 7}}', 2),
	fx.el('nothing', '{"case": "a text", "language": null}'),
	fx.el('large', jsonb_build_object('language', 'fr', 'case', jsonb_build_object('product', 'loan', 'text', repeat('x', 9000))))), 8::bigint, 'all are taken');
SELECT is((SELECT string_agg(fx.placed(n), E'\n') FROM unnest('{loan,loan list,abroad,tokyo,later,b,nothing,large}'::text[]) n),
'6/1: queue 2 priority 50 window 600
6/1: queue 2 priority 50 window 600
6/2: queue 1 priority 5 window 86400
6/3: queue 2 priority 5 window 
6/4: queue 1 priority -1 window 86400
6/5: queue 2 priority 0 window 
6/: queue 1 priority 5 window 86400
6/: queue 1 priority 5 window 86400'::text, 'each by its rule');
SELECT is((SELECT k.skills FROM fx.c(n) c JOIN requirement_class k USING (tenant_id, class_id)), skills, n || ': skills')
  FROM (VALUES ('loan', '{"1": 4}'::jsonb), ('abroad', '{}'), ('tokyo', '{"1": 1}'), ('b', '{}')) v(n, skills);
SELECT is((image_callback(c, c.seq)::jsonb) - '{id,seq,state,queue,class,form,priority,created_at,due_at,promise_at,promise_local,promise_zone,expires_at,attempts,offers}'::text[],
	'{"rule_version": 6, "rule": 1, "offer_timeout_s": 7, "caller_id": "+4930100", "preferred_agent": 2, "preferred_for_s": 60}', 'the image') FROM fx.c('loan') c;
SELECT is((load_callback(fx.t(), fx.id('loan'))::jsonb) -> 'rule', '"french-loans"', 'the rule by its name');
SELECT is((load_callback(fx.t(), fx.id('nothing'))::jsonb) -> 'rule', NULL, 'or none');
SELECT is(fx.submit(fx.el('again', '{"language": "fr", "case": {"product": "loan"}}'), fx.el('again 2', '{"when": "never"}')), 1::bigint, 'a class that is there');
SELECT is(fx.placed('again'), fx.placed('loan'), 'is used again; what is refused asks no rules');

-- What waits stays where it is; the offer's time is the rule's.
SELECT is(fx.publish(fx.rule('all', NULL, '{"queue": "claims"}')), 'ok', 'other rules');
SELECT is(fx.placed('later'), '6/4: queue 1 priority -1 window 86400', 'a waiting callback is left alone');
SELECT is(fx.does(3, 'offer', 'loan', v => fx.v('loan'), "to" => fx.to('loan', 1)), 'ok', 'an offer');
SELECT is((fx.o('loan/1')).deadline_at, fx.ts(10), 'for as long as the rule says');
SELECT is(fx.does(3, 'offer', 'nothing', v => fx.v('nothing'), "to" => fx.to('nothing', 2)), 'ok', 'another');
SELECT is((fx.o('nothing/2')).deadline_at, fx.ts(23), 'as the queue says');

-- Trial.
CREATE FUNCTION fx.try(p_request jsonb, VARIADIC p_rules jsonb[] DEFAULT NULL) RETURNS jsonb LANGUAGE sql
AS $$ SELECT rules_try(fx.t(), jsonb_strip_nulls(jsonb_build_object('request', p_request, 'draft', CASE WHEN p_rules IS NOT NULL THEN jsonb_build_object('rules', to_jsonb(p_rules)) END))::json)::jsonb $$;
SELECT is(fx.try('{"form": "rules-a"}'), '{"version": 7, "rule": 1, "name": "all", "passed": [], "place": {"queue": "claims", "priority": 5, "skills": {"loans": 1},
	"promise_window_s": 0, "offer_timeout_s": 20}, "request": {"form": "rules-a", "language": "en", "time_zone": "Europe/Berlin", "consent": false, "asap": true, "case": {}}}',
	'of the published rules');
SELECT is(fx.try('{"form": "rules-b", "case": {"n": "12", "t": 5}, "when": "2026-09-22 10:00"}', fx.rule('f', '$.case.n == "13"'), fx.rule('u', '$.case.t == "5"'),
		fx.rule('d', '$.notes.double() > 1'), fx.rule('e', '$.case.t / 0 > 1'), fx.rule('yes', '$.case.n.double() > 11', '{"caller_id": "110"}'), fx.rule('more', NULL)) - '{request,place}'::text[],
	'{"rule": 5, "name": "yes", "passed": [{"rule": 1, "name": "f", "why": "is false"}, {"rule": 2, "name": "u", "why": "is unknown: it compares what cannot be compared"},
	{"rule": 3, "name": "d", "why": "is false"}, {"rule": 4, "name": "e", "why": "is unknown: it compares what cannot be compared"}]}', 'of a draft, and why not before');
SELECT is(fx.try('{"form": "rules-b"}', fx.rule('f', '$.case.n == "13"')) #- '{request}', '{"passed": [{"rule": 1, "name": "f", "why": "is false"}], "place": {"queue": "claims",
	"priority": 0, "skills": {}, "promise_window_s": 0, "offer_timeout_s": 20}}', 'no rule');
SELECT is((SELECT array_agg(DISTINCT version) FROM rule WHERE tenant_id = fx.t()), '{7}', 'a draft leaves nothing behind');
SELECT is(fx.try('{"form": "nope", "phone": "+49", "case": [], "consent": "yes", "when": "soon", "asap": true, "time_zone": "Mars", "subject": 1}', fx.rule('f', '$.', '{"queue": "x"}')) -> 'errors',
	'[{"field": "request.asap", "message": "must be true without when, and false with it"}, {"field": "request.case", "message": "must be an object"}, {"field": "request.form", "message": "is not a form''s key"},
	{"field": "request.when", "message": "must be asap or a local time like 2026-11-24T10:00"}, {"field": "request.phone", "message": "is not known"},
	{"field": "request.consent", "message": "must be true or false"}, {"field": "request.subject", "message": "must be a text"},
	{"field": "request.time_zone", "message": "is not a known IANA time zone"},
	{"field": "draft.rules[0].if", "message": "is no SQL/JSON path: syntax error at end of jsonpath input"},
	{"field": "draft.rules[0].then.queue", "message": "is not a queue"}]', 'everything that is wrong with it');
SELECT is(fx.try('{}') -> 'errors', '[{"field": "request.form", "message": "is missing"}]', 'a request without a form');
SELECT is(rules_try(fx.t(), '{}')::jsonb -> 'errors', '[{"field": "request", "message": "must be an object"}]', 'no request');
-- The hours are those of the queue that it comes to, not of the form's.
UPDATE queue SET hours = '{}', open_until = fx.ts(9999) WHERE tenant_id = fx.t() AND queue_id = 2;
INSERT INTO opening VALUES (fx.t(), 2, fx.ts(1000), fx.ts(5000));
UPDATE form SET closed = 'refuse' WHERE tenant_id = fx.t() AND form_id = 2;
SELECT is(fx.submit(fx.el('moved'), fx.el('refused', '{}', 2)), 1::bigint, 'into a queue that is closed now');
SELECT is((fx.c('moved')).promise_at, fx.ts(1000), 'until it opens');
SELECT is(fx.publish(fx.rule('elsewhere', '$.form == "rules-b"', '{"queue": "loans"}')), 'ok', 'out of a closed queue');
SELECT is(fx.submit(fx.el('elsewhere', '{}', 2)), 1::bigint, 'into one that is open');
SELECT is(fx.placed('elsewhere') || ' ' || ((fx.c('elsewhere')).promise_at < fx.ts(100)), '8/1: queue 1 priority 0 window 86400 true', 'at once');
SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
