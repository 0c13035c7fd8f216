-- rules_check: a draft of routing rules, and everything that is wrong with it:
--   {"comment": text, "rules": [{"name": text, "if": SQL/JSON path, "then": {...}}, ...]}

-- rules_member: what "then" may say; as company_member().
CREATE FUNCTION rules_member() RETURNS TABLE (member text, type text, low int, high int, pattern text, hint text)
LANGUAGE sql IMMUTABLE
AS $$
	VALUES
	('queue', 'text', 1, 63, '', ''),
	('priority', 'int', -1000, 1000, NULL, NULL),
	('skills', 'skills', NULL, NULL, NULL, NULL),
	('preferred_agent', 'text', 1, 63, '', ''),
	('preferred_for_s', 'int', 0, 3600, NULL, NULL),
	('agent', 'text', 1, 63, '', ''),
	('agent_for_s', 'int', 0, 2592000, NULL, NULL),
	('offer_timeout_s', 'int', 1, 3600, NULL, NULL),
	('promise_window_s', 'int', 0, 2592000, NULL, NULL),
	('caller_id', 'text', 3, 16, '^\+?[0-9]{3,15}$', 'must be a telephone number of digits, + before them or not')
$$;

-- rules_predicate: a predicate, or why it cannot be one. What is refused beside what does not compile would raise an
-- error in spite of "silent" (variables, .datetime() with time zones) and fail the batch of a stranger's form, or could
-- hold the tenant's lock for long.
CREATE FUNCTION rules_predicate(p_text text, OUT predicate jsonpath, OUT message text)
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
	v_bones text;
BEGIN
	IF char_length(p_text) > 1000 THEN
		message := 'is longer than 1000 characters';
		RETURN;
	END IF;
	BEGIN
		predicate := nullif(p_text, '')::jsonpath;
	EXCEPTION WHEN OTHERS THEN
		message := 'is no SQL/JSON path: ' || SQLERRM;
		RETURN;
	END;
	v_bones := rules_bones(predicate);
	message := CASE
		WHEN v_bones ~ '\$""' THEN 'must not have variables: a name after $ needs a point before it'
		WHEN v_bones ~ '\.\*\*' THEN 'must not search at every depth (.**)'
		WHEN v_bones ~ '\.datetime\(' THEN 'must not use .datetime()'
		WHEN regexp_count(v_bones, '\?') > 1 THEN 'must not have more than one filter (?)'
		WHEN EXISTS (SELECT FROM regexp_matches(predicate::text, 'like_regex "((?:[^"\\]|\\.)*)"', 'g') r(m)
				WHERE char_length(r.m[1]) > 100 OR r.m[1] ~ '\\\\[1-9]')
			THEN 'must not have a regular expression of more than 100 characters, or one that refers back to what it matched' END;
	IF message IS NOT NULL THEN
		predicate := NULL;
	END IF;
END
$$;

-- rules_part: a draft's rules, with place from 0 on, and their predicates as far as they have one.
CREATE FUNCTION rules_part(p_document jsonb) RETURNS TABLE (place int, item jsonb, predicate jsonpath, message text)
LANGUAGE sql STABLE
AS $$
	SELECT (e.n - 1)::int, e.item, p.predicate, CASE
		WHEN jsonb_typeof(e.item -> 'if') NOT IN ('string', 'null') THEN 'must be a text: an SQL/JSON path'
		ELSE p.message END
	  FROM jsonb_array_elements(CASE WHEN jsonb_typeof(p_document -> 'rules') = 'array' THEN p_document -> 'rules' ELSE '[]' END)
			WITH ORDINALITY e(item, n)
	 CROSS JOIN LATERAL rules_predicate(CASE WHEN jsonb_typeof(e.item -> 'if') = 'string' THEN e.item ->> 'if' END) p
	 WHERE e.n <= 1001
$$;

-- rules_check: by path ("rules[3].if"), all at once. With wrong, it cannot be published; the others are warnings.
-- Reads queue, skill, agent. Locks nothing. jit is off: functions look so dear that it would compile for seconds.
CREATE FUNCTION rules_check(p_tenant int, p_document jsonb) RETURNS TABLE (field text, message text, wrong boolean)
LANGUAGE plpgsql STABLE
SET jit = off
AS $$
BEGIN
	IF jsonb_typeof(p_document) IS DISTINCT FROM 'object' THEN
		RETURN QUERY SELECT '', 'must be an object', true;
		RETURN;
	END IF;
	RETURN QUERY
	WITH part AS MATERIALIZED (
		SELECT * FROM rules_part(p_document)
	), act AS MATERIALIZED (
		SELECT p.place, v.key, v.value, m.*
		  FROM part p
		 CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(p.item -> 'then') = 'object' THEN p.item -> 'then' ELSE '{}' END) v
		  LEFT JOIN rules_member() m ON m.member = v.key
	), shape (place, field, message) AS (
		SELECT -1, t.key, CASE t.key
			WHEN 'comment' THEN CASE
				WHEN jsonb_typeof(t.value) <> 'string' THEN 'must be a text'
				WHEN char_length(t.value #>> '{}') > 500 THEN 'must have at most 500 characters' END
			WHEN 'rules' THEN CASE
				WHEN jsonb_typeof(t.value) <> 'array' THEN 'must be an array'
				WHEN jsonb_array_length(t.value) > 1000 THEN 'must have at most 1000 rules' END
			ELSE 'is not known' END
		  FROM jsonb_each(p_document) t
		 UNION ALL
		SELECT -1, 'rules', 'is missing' WHERE NOT p_document ? 'rules'
		 UNION ALL
		SELECT p.place, '', 'must be an object' FROM part p WHERE jsonb_typeof(p.item) <> 'object'
		 UNION ALL
		SELECT p.place, '.' || m.name, 'is missing' FROM part p CROSS JOIN (VALUES ('name'), ('then')) m(name)
		 WHERE jsonb_typeof(p.item) = 'object' AND NOT p.item ? m.name
		 UNION ALL
		SELECT p.place, '.' || v.key, CASE v.key
			WHEN 'if' THEN p.message
			WHEN 'then' THEN CASE WHEN jsonb_typeof(v.value) <> 'object' THEN 'must be an object' END
			WHEN 'name' THEN (SELECT w.message FROM company_value_errors('text', 1, 63, '^[A-Za-z0-9][A-Za-z0-9._@-]*$',
				'must be of letters, digits, . _ @ and -', false, v.value) w)
			ELSE 'is not known' END
		  FROM part p CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(p.item) = 'object' THEN p.item ELSE '{}' END) v
		 UNION ALL
		SELECT d.place, '.name', 'is there twice'
		  FROM (SELECT p.place, row_number() OVER (PARTITION BY p.item -> 'name' ORDER BY p.place) AS time FROM part p
			 WHERE jsonb_typeof(p.item -> 'name') = 'string') d
		 WHERE d.time > 1
		 UNION ALL
		SELECT a.place, '.then.' || a.key, 'is not known' FROM act a WHERE a.member IS NULL
		 UNION ALL
		SELECT a.place, '.then.' || a.key || w.below, w.message
		  FROM act a CROSS JOIN LATERAL company_value_errors(coalesce(a.type, 'text'), a.low, a.high, a.pattern, a.hint, true, a.value) w
		 WHERE a.member IS NOT NULL
		 UNION ALL
		SELECT p.place, '.then.' || n.needs, n.message
		  FROM part p CROSS JOIN (VALUES ('preferred_for_s', 'preferred_agent', 'needs a preferred_agent'),
			('agent_for_s', 'agent', 'needs an agent')) n(needs, needed, message)
		 WHERE p.item -> 'then' ? n.needs AND NOT p.item -> 'then' ? n.needed
		 UNION ALL
		SELECT n.place, n.field, n.message FROM rules_names(p_tenant, p_document) n
	), e AS (
		SELECT s.place, CASE WHEN s.place < 0 THEN s.field ELSE format('rules[%s]%s', s.place, s.field) END AS field, s.message, true AS wrong
		  FROM shape s
		 UNION ALL
		SELECT d.place, format('rules[%s].if', d.place), d.message, false FROM rules_doubts(p_document) d
	)
	SELECT e.field, e.message, e.wrong FROM e WHERE e.message IS NOT NULL ORDER BY e.place, e.field, e.message;
END
$$;

-- rules_names: the queues, skills and agents that a draft names, and that do not exist. Who was removed does not exist.
CREATE FUNCTION rules_names(p_tenant int, p_document jsonb) RETURNS TABLE (place int, field text, message text)
LANGUAGE sql STABLE
AS $$
	WITH t AS MATERIALIZED (
		SELECT p.place, p.item -> 'then' AS act FROM rules_part(p_document) p WHERE jsonb_typeof(p.item -> 'then') = 'object'
	)
	SELECT t.place, '.then.queue', CASE WHEN q.removed THEN 'was removed' ELSE 'is not a queue' END
	  FROM t LEFT JOIN LATERAL (SELECT * FROM queue WHERE tenant_id = p_tenant AND name = t.act ->> 'queue' LIMIT 1) q ON true
	 WHERE jsonb_typeof(t.act -> 'queue') = 'string' AND q.removed IS DISTINCT FROM false
	 UNION ALL
	SELECT t.place, '.then.' || m.member, CASE WHEN a.removed THEN 'was removed' ELSE 'is not an agent' END
	  FROM t CROSS JOIN unnest('{preferred_agent,agent}'::text[]) m(member)
	  LEFT JOIN LATERAL (SELECT * FROM agent WHERE tenant_id = p_tenant AND name = t.act ->> m.member LIMIT 1) a ON true
	 WHERE jsonb_typeof(t.act -> m.member) = 'string' AND a.removed IS DISTINCT FROM false
	 UNION ALL
	SELECT t.place, '.then.skills.' || n.name, CASE WHEN s.removed THEN 'was removed' ELSE 'is not a skill' END
	  FROM t CROSS JOIN LATERAL jsonb_object_keys(CASE WHEN jsonb_typeof(t.act -> 'skills') = 'object' THEN t.act -> 'skills' ELSE '{}' END) n(name)
	  LEFT JOIN LATERAL (SELECT * FROM skill WHERE tenant_id = p_tenant AND name = n.name LIMIT 1) s ON true
	 WHERE s.removed IS DISTINCT FROM false
$$;

-- rules_doubts: what can be published and is hardly meant. What a predicate does not look at the request for is
-- decided here; whether any request can match another, nobody can tell.
CREATE FUNCTION rules_doubts(p_document jsonb) RETURNS TABLE (place int, message text)
LANGUAGE sql STABLE
AS $$
	WITH p AS MATERIALIZED (
		SELECT x.*, x.bones !~ '[$@]' AS constant
		  FROM (SELECT x.place, x.predicate, x.predicate::text AS line, rules_bones(x.predicate) AS bones
			  FROM rules_part(p_document) x WHERE x.message IS NULL AND jsonb_typeof(x.item) = 'object' OFFSET 0) x
	), a AS MATERIALIZED (
		SELECT min(p.place) AS place FROM p
		 WHERE p.predicate IS NULL OR CASE WHEN p.constant THEN jsonb_path_match('{}', p.predicate, '{}', true) END
	), f AS (
		SELECT p.*, min(p.place) OVER (PARTITION BY p.line) AS first FROM p WHERE p.predicate IS NOT NULL
	)
	SELECT p.place, format('is never looked at: rules[%s] matches always', a.place) FROM p JOIN a ON p.place > a.place
	 UNION ALL
	SELECT f.place, format('can never match: rules[%s] has the same', f.first) FROM f WHERE f.place > f.first
	 UNION ALL
	SELECT p.place, 'can never match: it does not look at the request' FROM p
	 WHERE p.constant AND NOT coalesce(jsonb_path_match('{}', p.predicate, '{}', true), false)
	 UNION ALL
	SELECT p.place, 'is not a condition: it matches only where it finds true' FROM p WHERE p.bones ~ '^(strict )?\$'
$$;

-- rules_report: the same, as {"errors": [{"field", "message"}, ...], "warnings": [...]}.
CREATE FUNCTION rules_report(p_tenant int, p_document jsonb) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_object(
		'errors', coalesce(jsonb_agg(jsonb_build_object('field', c.field, 'message', c.message)) FILTER (WHERE c.wrong), '[]'),
		'warnings', coalesce(jsonb_agg(jsonb_build_object('field', c.field, 'message', c.message)) FILTER (WHERE NOT c.wrong), '[]'))
	  FROM rules_check(p_tenant, p_document) c
$$;
