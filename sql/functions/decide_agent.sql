-- decide_agent: where an agent stands: ready, not_ready (himself, or a supervisor for him), agent_deadline (the
-- router: after-call work or the rest after missed offers is over), connect, disconnect (the node: his desk came
-- or went), agent_lost (the router: it did not come back within the grace time).
-- What he holds or is offered stays with him, but for agent_lost: see agent_release().
-- Reads agent_status, tenant. Needs tenant_lock().
CREATE FUNCTION decide_agent(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	r record;
	s agent_status;
	v_kind text;
	v_lost_ords int[] := '{}';
	v_lost int[] := '{}';
	v_changes change[] := '{}';
	v_refusal text;
BEGIN
	FOR r IN
		SELECT m.ord, m.id, m.kind, m.by_agent, m.role, m.version, m.args, st, te.grace_s,
			-- not EXISTS: that may be answered by reading them all
			(SELECT true FROM session e WHERE e.tenant_id = p_tenant AND e.agent_id = m.agent_id
				AND e.expires_at > p_now LIMIT 1) IS NOT NULL AS signed_in
		  FROM unnest(p_run) m
		  JOIN tenant te ON te.tenant_id = p_tenant
		  LEFT JOIN LATERAL status_row(p_tenant, m.agent_id) st ON true
		 ORDER BY m.ord
	LOOP
		s := r.st;
		v_refusal := CASE
			WHEN s.agent_id IS NULL OR NOT may_touch(r.role, r.by_agent, s.agent_id) THEN 'not_found'
			WHEN s.seq <> r.version THEN 'stale_version'
			WHEN r.kind IN ('ready', 'not_ready', 'connect') AND s.state = 'logged_out' THEN 'logged_out'
			WHEN r.kind = 'agent_deadline' AND coalesce(s.deadline_at > p_now, true) THEN 'not_due'
			WHEN r.kind = 'disconnect' AND NOT (s.connected AND s.node_id = (r.args ->> 'node')::uuid) THEN 'not_connected'
			WHEN r.kind = 'agent_lost' AND (s.connected OR coalesce(s.lost_at > p_now, true)) THEN 'not_due' END;
		IF v_refusal = 'not_found' THEN
			v_changes := v_changes || change_refuse(r.ord, v_refusal);
			CONTINUE;
		ELSIF v_refusal IS NOT NULL THEN
			v_changes := v_changes || change_refuse(r.ord, v_refusal, NULL, NULL, s);
			CONTINUE;
		END IF;
		CASE r.kind
		WHEN 'ready', 'not_ready' THEN
			s := status_set(s, r.kind, CASE r.kind WHEN 'not_ready' THEN r.args ->> 'reason' END, p_now);
			IF s.state = 'ready' AND NOT s.connected AND s.lost_at IS NULL THEN
				s.lost_at := p_now + seconds(r.grace_s);	-- he was lost: his desk has the grace time to come
			END IF;
			v_kind := 'agent.' || s.state;
		WHEN 'agent_deadline' THEN
			-- the rest after missed offers has no next_state: it ends in ready
			s := status_set(s, coalesce(s.next_state, 'ready'), s.next_reason, p_now);
			v_kind := 'agent.' || s.state;
		WHEN 'connect' THEN
			IF NOT s.connected AND s.state = 'ready' THEN
				s.idle_since := p_now;
			END IF;
			s.connected := true;
			s.node_id := (r.args ->> 'node')::uuid;
			s.lost_at := NULL;
			v_kind := 'agent.connected';
		WHEN 'disconnect' THEN
			s.connected := false;
			s.lost_at := p_now + seconds(r.grace_s);
			v_kind := 'agent.disconnected';
		WHEN 'agent_lost' THEN
			IF NOT r.signed_in THEN
				s := status_set(s, 'logged_out', NULL, p_now);	-- every session of his ran out
			ELSIF s.state <> 'logged_out' THEN
				s := status_set(s, 'not_ready', 'connection_lost', p_now);
			END IF;
			s.lost_at := NULL;
			v_kind := 'agent.lost';
			v_lost_ords := v_lost_ords || r.ord;
			v_lost := v_lost || s.agent_id;
		END CASE;
		v_changes := v_changes || change_of(r.ord, r.id, v_kind, s.agent_id, NULL, NULL, NULL, s);
	END LOOP;
	IF cardinality(v_lost) > 0 THEN
		v_changes := v_changes || agent_release(p_tenant, p_now, 'agent_lost', v_lost_ords, v_lost);
	END IF;
	RETURN v_changes;
END
$$;
