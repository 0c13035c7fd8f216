-- load_model: everything that a projection begins with, as it stands at one number of the log.
--   p_due_limit     due callbacks loaded of each class
--   p_future_limit  not yet due callbacks loaded
-- Returns 'head' first; settings, agents, sessions and link secrets; what is in somebody's hands with its pending
-- offers and current attempts; for each class the due callbacks and 'due_window'; the next ones and
-- 'future_window'; last 'elapse' {"at": next_elapse()}. See load_waiting.
CREATE FUNCTION load_model(p_tenant int, p_now bigint, p_due_limit int, p_future_limit int) RETURNS TABLE (kind text, image text)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
	RETURN QUERY SELECT 'head', head_image(p_tenant, p_now)::text;
	RETURN QUERY SELECT 'tenant', image_tenant(t)::text FROM tenant t WHERE t.tenant_id = p_tenant;
	RETURN QUERY SELECT 'skill', image_skill(s)::text FROM skill s WHERE s.tenant_id = p_tenant ORDER BY s.skill_id;
	RETURN QUERY SELECT 'queue', image_queue(q)::text FROM queue q WHERE q.tenant_id = p_tenant ORDER BY q.queue_id;
	RETURN QUERY SELECT 'disposition', image_disposition(d)::text FROM disposition d
		WHERE d.tenant_id = p_tenant ORDER BY d.disposition_id;
	RETURN QUERY SELECT 'form', image_form(f)::text FROM form f WHERE f.tenant_id = p_tenant ORDER BY f.form_id;
	RETURN QUERY SELECT 'agent', image_agent(a)::text FROM agent a WHERE a.tenant_id = p_tenant ORDER BY a.agent_id;
	RETURN QUERY SELECT 'status', image_status(s, s.seq) FROM agent_status s WHERE s.tenant_id = p_tenant ORDER BY s.agent_id;
	RETURN QUERY SELECT 'session', image_session(s)::text FROM session s WHERE s.tenant_id = p_tenant;
	RETURN QUERY SELECT 'class', image_class(k)::text FROM requirement_class k WHERE k.tenant_id = p_tenant ORDER BY k.class_id;
	RETURN QUERY SELECT * FROM load_secrets(p_tenant);

	RETURN QUERY SELECT 'callback', image_callback(c, c.seq) FROM callback c
		WHERE c.tenant_id = p_tenant AND c.state IN ('offered', 'ready_to_call', 'establishing', 'connected', 'on_hold');
	RETURN QUERY SELECT 'offer', image_offer(o, o.seq) FROM offer o
		WHERE o.tenant_id = p_tenant AND o.state = 'pending' ORDER BY o.seq;
	RETURN QUERY SELECT 'attempt', a.image FROM callback c CROSS JOIN LATERAL (
			SELECT image_attempt(t, t.seq) AS image FROM attempt t
			 WHERE t.tenant_id = p_tenant AND t.attempt_id = c.attempt_id LIMIT 1) a
		WHERE c.tenant_id = p_tenant AND c.state IN ('offered', 'ready_to_call', 'establishing', 'connected', 'on_hold');

	RETURN QUERY SELECT w.kind, w.image
		FROM (SELECT k.class_id FROM requirement_class k WHERE k.tenant_id = p_tenant ORDER BY k.class_id) k
		CROSS JOIN LATERAL due_window(p_tenant, from_ms(p_now), k.class_id, p_due_limit) w;
	RETURN QUERY SELECT * FROM future_window(p_tenant, from_ms(p_now), 'ffffffff-ffff-ffff-ffff-ffffffffffff', p_future_limit);
	RETURN QUERY SELECT 'elapse', jsonb_build_object('at', next_elapse(p_tenant))::text;
END
$$;
