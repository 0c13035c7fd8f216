-- rules_try: where a request would be placed, by the published rules or by a draft, and why not by those before.
--   p_body   {"request": {...}, "draft": {...}}
-- request is as rules_request() makes it, and need not be complete: form is enough. Returns text:
--   {"errors": [{"field", "message"}, ...]}, or {"version" (not of a draft), "rule": ord (none: no rule), "name", "request",
--   "place": {"queue", "priority", "skills", "promise_window_s", "offer_timeout_s", "caller_id", "preferred_agent", "agent"},
--   "passed": [{"rule", "name", "why"}, ...]: those before it, or all}
-- A draft is written as version 0 and deleted again before anybody could see it, so that it goes the way of a published
-- one: this writes rule, and two that try a draft of one tenant wait for each other.

-- rules_try_errors: what is wrong with the request.
CREATE FUNCTION rules_try_errors(p_tenant int, p_request jsonb) RETURNS TABLE (field text, message text)
LANGUAGE sql STABLE
AS $$
	SELECT 'request', 'must be an object' WHERE jsonb_typeof(p_request) IS DISTINCT FROM 'object'
	 UNION ALL
	SELECT concat('request.', 'form'), 'is missing' WHERE jsonb_typeof(p_request) = 'object' AND NOT p_request ? 'form'
	 UNION ALL
	SELECT concat('request.', v.key), e.message
	  FROM jsonb_each(CASE WHEN jsonb_typeof(p_request) = 'object' THEN p_request ELSE '{}' END) v
	 CROSS JOIN LATERAL (SELECT CASE
		WHEN v.key = 'form' THEN CASE
			WHEN jsonb_typeof(v.value) <> 'string' THEN 'must be a text'
			WHEN (SELECT f.form_id FROM form f WHERE f.form_key = v.value #>> '{}' AND f.tenant_id = p_tenant AND NOT f.removed LIMIT 1)
				IS NULL THEN 'is not a form''s key' END
		WHEN v.key IN ('language', 'subject', 'notes', 'region', 'number_type') THEN
			CASE WHEN jsonb_typeof(v.value) <> 'string' THEN 'must be a text' END
		WHEN v.key = 'time_zone' THEN
			CASE WHEN (SELECT z.name FROM time_zone z WHERE z.name = v.value #>> '{}' LIMIT 1) IS NULL THEN 'is not a known IANA time zone' END
		WHEN v.key = 'when' THEN CASE
			WHEN jsonb_typeof(v.value) <> 'string' OR v.value #>> '{}' <> 'asap' AND local_time(v.value #>> '{}') IS NULL
				THEN 'must be asap or a local time like 2026-11-24T10:00' END
		WHEN v.key = 'asap' THEN CASE
			WHEN v.value IS DISTINCT FROM to_jsonb(coalesce(p_request ->> 'when', 'asap') = 'asap')
				THEN 'must be true without when, and false with it' END
		WHEN v.key = 'consent' THEN CASE WHEN jsonb_typeof(v.value) <> 'boolean' THEN 'must be true or false' END
		WHEN v.key = 'case' THEN CASE WHEN jsonb_typeof(v.value) <> 'object' THEN 'must be an object' END
		ELSE 'is not known' END AS message) e
	 WHERE e.message IS NOT NULL
$$;

-- rules_why: why a predicate does not match.
CREATE FUNCTION rules_why(p_predicate jsonpath, p_request jsonb) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN CASE jsonb_path_match(p_request, p_predicate, '{}', false) WHEN true THEN 'is true' WHEN false THEN 'is false'
		ELSE 'is unknown: it compares what cannot be compared' END;
EXCEPTION WHEN data_exception THEN
	RETURN 'is unknown: ' || SQLERRM;
END
$$;

CREATE FUNCTION rules_try(p_tenant int, p_body json) RETURNS text
LANGUAGE plpgsql VOLATILE
SET jit = off
AS $$
DECLARE
	v_body jsonb := p_body;
	v_draft jsonb := v_body -> 'draft';
	q jsonb := v_body -> 'request';
	s rule_set;
	f form;
	v_errors jsonb;
	v_request jsonb;
	p record;
	v_result jsonb;
BEGIN
	v_errors := (SELECT coalesce(jsonb_agg(jsonb_build_object('field', e.field, 'message', e.message)), '[]') FROM (
		SELECT * FROM rules_try_errors(p_tenant, q)
		 UNION ALL
		SELECT concat_ws('.', 'draft', nullif(c.field, '')), c.message FROM rules_check(p_tenant, v_draft) c
		 WHERE c.wrong AND jsonb_typeof(v_draft) <> 'null') e);
	IF v_errors <> '[]' THEN
		RETURN jsonb_build_object('errors', v_errors);
	END IF;
	SELECT * INTO f FROM form x WHERE x.form_key = q ->> 'form' AND x.tenant_id = p_tenant;
	SELECT * INTO s FROM rules_set(p_tenant);
	IF jsonb_typeof(v_draft) = 'object' THEN
		s.version := 0;
		s.paths := rules_write(p_tenant, 0, v_draft);
	END IF;
	v_request := rules_request(f.form_key, coalesce(q ->> 'language', f.language), q ->> 'subject', q ->> 'notes', q -> 'case', q ->> 'region',
		q ->> 'number_type', coalesce(q ->> 'time_zone', f.time_zone), (q ->> 'consent')::boolean,
		CASE WHEN q ->> 'when' <> 'asap' THEN local_time(q ->> 'when') END);
	SELECT * INTO p FROM rules_place(p_tenant, s.version, s.paths, v_request, f.queue_id, f.skills, f.priority);
	v_result := (
		SELECT jsonb_strip_nulls(jsonb_build_object('version', nullif(s.version, 0), 'rule', p.rule, 'name', p.rule_name,
			'place', jsonb_build_object('queue', u.name, 'priority', coalesce(p.priority, f.priority, u.priority),
				'promise_window_s', coalesce(p.promise_window_s, u.promise_window_s),
				'offer_timeout_s', coalesce(p.offer_timeout_s, u.offer_timeout_s), 'caller_id', p.caller_id,
				'preferred_agent', (SELECT a.name FROM agent a WHERE a.tenant_id = p_tenant AND a.agent_id = p.preferred_agent),
				'preferred_for_s', p.preferred_for_s,
				'agent', (SELECT a.name FROM agent a WHERE a.tenant_id = p_tenant AND a.agent_id = p.agent_id), 'agent_for_s', p.agent_for_s,
				'skills', company_levels(p_tenant, coalesce(p.skills, f.skills)))))
		  FROM queue u WHERE u.tenant_id = p_tenant AND u.queue_id = coalesce(p.queue_id, f.queue_id))
		|| jsonb_build_object('request', v_request, 'passed', (
			SELECT coalesce(jsonb_agg(jsonb_build_object('rule', r.ord, 'name', r.name, 'why', rules_why(r.predicate, v_request)) ORDER BY r.ord),
				'[]')
			  FROM rule r WHERE r.tenant_id = p_tenant AND r.version = s.version AND (p.rule IS NULL OR r.ord < p.rule)));
	IF s.version = 0 THEN
		DELETE FROM rule r WHERE r.tenant_id = p_tenant AND r.version = 0;
	END IF;
	RETURN v_result;
END
$$;
