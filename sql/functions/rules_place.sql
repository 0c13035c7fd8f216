-- rules_place: where the published rules put a request. Intake and the trial of a draft both ask here; there is no other
-- place where rules are read. All of these are inlined (see row.sql): arguments have to be columns, not expressions.

-- rules_request: what a predicate sees of a request; what was not said is not there. Not the number, the name or the
-- address: who asks is not what rules are for. Of case information that is larger than 8 kB, nothing: a rule may compare
-- two lists with each other, under the tenant's lock.
--   p_local   the contact's wall time that was asked for; NULL: as soon as possible
CREATE FUNCTION rules_request(p_form text, p_language text, p_subject text, p_notes text, p_case jsonb, p_region text, p_type text,
	p_zone text, p_consent boolean, p_local timestamp) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_strip_nulls(jsonb_build_object('form', p_form, 'language', p_language, 'subject', p_subject, 'notes', p_notes,
			'region', p_region, 'number_type', p_type, 'time_zone', p_zone, 'consent', coalesce(p_consent, false),
			'asap', p_local IS NULL, 'when', to_char(p_local, 'YYYY-MM-DD"T"HH24:MI:SS')))
		|| jsonb_build_object('case', CASE
			WHEN jsonb_typeof(p_case) = 'object' AND pg_column_size(p_case) <= 8192 THEN p_case ELSE '{}' END)
$$;

-- rules_first: the first rule of a version that matches. One search of the index for each thing that the request says,
-- which gives the rules in their order: the first that matches ends it.
CREATE FUNCTION rules_first(p_tenant int, p_version int, p_paths text[], p_request jsonb) RETURNS SETOF rule
LANGUAGE sql STABLE
AS $$
	SELECT r.*
	  FROM rules_said(p_paths, p_request) s
	 CROSS JOIN LATERAL (
		SELECT * FROM rule u
		 WHERE u.tenant_id = p_tenant AND u.version = p_version AND u.path = s.path AND u.value = s.value
		   AND (u.predicate IS NULL OR jsonb_path_match(p_request, u.predicate, '{}', true))
		 ORDER BY u.ord LIMIT 1) r
	 ORDER BY r.ord LIMIT 1
$$;

-- rules_place: no row: no rule matches, and the form decides alone.
--   p_queue, p_skills, p_priority   the form's
-- skills of a rule stand in place of the form's; a priority of the form's stands before that of the rule's queue.
CREATE FUNCTION rules_place(p_tenant int, p_version int, p_paths text[], p_request jsonb, p_queue int, p_skills jsonb, p_priority int)
RETURNS TABLE (rule int, rule_name text, queue_id int, skills jsonb, priority int, promise_window_s int, rule_window_s int, has_hours boolean,
	has_slots boolean, widen_after_s int, class_id int, agent_id int, agent_for_s int, preferred_agent int, preferred_for_s int, offer_timeout_s int, caller_id text)
LANGUAGE sql STABLE
AS $$
	SELECT r.ord, r.name, q.queue_id, coalesce(r.skills, p_skills), coalesce(r.priority, p_priority, q.priority),
		coalesce(r.promise_window_s, q.promise_window_s), r.promise_window_s, q.hours IS NOT NULL, q.slots IS NOT NULL,
		-- one that is for one agent is looked at when it falls due
		CASE WHEN r.agent_id IS NULL THEN widen_first(q.widen) WHEN r.agent_for_s IS NOT NULL THEN 0 END,
		c.class_id, r.agent_id, r.agent_for_s, r.preferred_agent,
		r.preferred_for_s, r.offer_timeout_s, r.caller_id
	  FROM rules_first(p_tenant, p_version, p_paths, p_request) r
	 CROSS JOIN LATERAL queue_row(p_tenant, coalesce(r.queue_id, p_queue)) q
	  LEFT JOIN LATERAL (SELECT k.class_id FROM requirement_class k
		WHERE k.tenant_id = p_tenant AND k.queue_id = q.queue_id AND k.skills = coalesce(r.skills, p_skills)
			AND k.agent_id = coalesce(r.agent_id, 0) LIMIT 1) c ON true
$$;
