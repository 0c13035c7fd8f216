-- decide_session: sign_in and sign_in_failed (the server has already compared the password), sign_out (without
-- args.token_hash, of every session of the agent). With his last session an agent is logged out and leaves
-- what agent_release() says. Sessions that ran out are cleared away by the way.
-- VOLATILE: sessions and what is counted against an agent's password are rows that no change carries, since
-- nothing but this function and the authentication needs them; it writes them itself, all of the run at once,
-- and must therefore see to it itself that no two commands of the run are about one agent (CB002).
-- Reads agent, agent_status, session, tenant; writes session, agent. Needs tenant_lock().
CREATE FUNCTION decide_session(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	r record;
	s agent_status;
	g agent;
	x session;
	v_opened session[] := '{}';
	v_closed session[] := '{}';
	v_closing session[];
	v_counted agent[] := '{}';
	v_gone_ords int[] := '{}';
	v_gone int[] := '{}';
	v_first uuid;
	v_changes change[] := '{}';
	v_refusal text;
BEGIN
	IF EXISTS (SELECT FROM unnest(p_run) m GROUP BY m.agent_id HAVING count(*) > 1) THEN
		RAISE EXCEPTION 'two commands of one run touch the same agent' USING ERRCODE = 'CB002';
	END IF;
	FOR r IN
		SELECT m.ord, m.id, m.kind, m.by_agent, m.role, m.args, decode(m.args ->> 'token_hash', 'hex') AS token_hash, ag, st,
			te.lockout_failures, te.lockout_s, te.grace_s,
			ARRAY(SELECT e FROM session e WHERE e.tenant_id = p_tenant AND e.agent_id = m.agent_id
			       ORDER BY e.opened_at, e.token_hash) AS sessions
		  FROM unnest(p_run) m
		  JOIN tenant te ON te.tenant_id = p_tenant
		  LEFT JOIN LATERAL agent_row(p_tenant, m.agent_id) ag ON true
		  LEFT JOIN LATERAL status_row(p_tenant, m.agent_id) st ON true
		 ORDER BY m.ord
	LOOP
		g := r.ag; s := r.st;
		v_closing := ARRAY(SELECT e FROM unnest(r.sessions) e
			WHERE r.token_hash IS NULL OR e.token_hash = r.token_hash OR e.expires_at <= p_now);
		v_refusal := CASE
			WHEN g.agent_id IS NULL THEN 'not_found'
			WHEN r.kind = 'sign_in' AND g.removed THEN 'removed'
			WHEN r.kind = 'sign_in' AND g.locked_until > p_now THEN 'locked'
			WHEN r.kind = 'sign_out' AND NOT may_touch(r.role, r.by_agent, g.agent_id) THEN 'not_found'
			WHEN r.kind = 'sign_out' AND r.token_hash IS NOT NULL
				AND NOT EXISTS (SELECT FROM unnest(v_closing) e WHERE e.token_hash = r.token_hash) THEN 'not_found'
			WHEN r.kind = 'sign_out' AND cardinality(v_closing) = 0 AND s.state = 'logged_out' THEN 'not_found' END;
		IF v_refusal IS NOT NULL THEN
			v_changes := v_changes || change_refuse(r.ord, v_refusal);
			CONTINUE;
		END IF;
		CASE r.kind
		WHEN 'sign_in' THEN
			x := ROW (p_tenant, r.token_hash, g.agent_id, p_now, from_ms((r.args ->> 'expires_at')::bigint));
			v_opened := v_opened || x;
			v_changes := v_changes || change_of(r.ord, r.id, 'session.opened', g.agent_id, NULL, NULL, NULL, NULL,
				jsonb_build_object('session', image_session(x)));
			FOREACH x IN ARRAY v_closing LOOP
				v_changes := v_changes || change_of(r.ord, NULL, 'session.closed', g.agent_id, NULL, NULL, NULL, NULL,
					jsonb_build_object('session', jsonb_build_object('token_hash', encode(x.token_hash, 'hex'), 'closed', true)));
			END LOOP;
			v_closed := v_closed || v_closing;
			IF s.state = 'logged_out' THEN
				IF r.args -> 'ready' = 'true' THEN
					s := status_set(s, 'ready', NULL, p_now);
				ELSE
					s := status_set(s, 'not_ready', 'signed_in', p_now);
				END IF;
				-- his desk has the grace time to come, as one that was lost has to come back
				s.lost_at := p_now + seconds(r.grace_s);
				s.accepted := 0;
				s.talk_ms := 0;
				v_changes := v_changes || change_of(r.ord, NULL, 'agent.signed_in', g.agent_id, NULL, NULL, NULL, s);
			ELSIF s.state = 'not_ready' AND r.args -> 'ready' = 'true' THEN
				-- his desk was lost, or he rests: he says that he is there
				s := status_set(s, 'ready', NULL, p_now);
				IF NOT s.connected AND s.lost_at IS NULL THEN
					s.lost_at := p_now + seconds(r.grace_s);
				END IF;
				v_changes := v_changes || change_of(r.ord, NULL, 'agent.ready', g.agent_id, NULL, NULL, NULL, s);
			END IF;
			IF g.failures > 0 OR g.locked_until IS NOT NULL THEN
				g.failures := 0;
				g.locked_until := NULL;
				v_counted := v_counted || g;
			END IF;
		WHEN 'sign_in_failed' THEN
			-- failures while he is locked out do not prolong it: a stranger could keep him out for ever
			IF coalesce(g.locked_until <= p_now, true) THEN
				g.failures := g.failures + 1;
				g.locked_until := NULL;
				IF g.failures >= r.lockout_failures THEN
					g.failures := 0;
					g.locked_until := p_now + seconds(r.lockout_s);
				END IF;
				v_counted := v_counted || g;
			END IF;
			v_changes := v_changes || change_of(r.ord, r.id, 'agent.sign_in_failed', g.agent_id, NULL, NULL, NULL, NULL,
				jsonb_build_object('agent_locked', g.locked_until IS NOT NULL));
		WHEN 'sign_out' THEN
			v_first := r.id;
			FOREACH x IN ARRAY v_closing LOOP
				v_changes := v_changes || change_of(r.ord, v_first, 'session.closed', g.agent_id, NULL, NULL, NULL, NULL,
					jsonb_build_object('session', jsonb_build_object('token_hash', encode(x.token_hash, 'hex'), 'closed', true)));
				v_first := NULL;
			END LOOP;
			v_closed := v_closed || v_closing;
			IF cardinality(v_closing) = cardinality(r.sessions) AND s.state <> 'logged_out' THEN
				s := status_set(s, 'logged_out', NULL, p_now);
				s.connected := false;
				s.node_id := NULL;
				s.lost_at := NULL;
				v_changes := v_changes || change_of(r.ord, v_first, 'agent.signed_out', g.agent_id, NULL, NULL, NULL, s);
				v_gone_ords := v_gone_ords || r.ord;
				v_gone := v_gone || g.agent_id;
			END IF;
		END CASE;
	END LOOP;

	INSERT INTO session SELECT e.* FROM unnest(v_opened) e;
	DELETE FROM session d USING unnest(v_closed) e CROSS JOIN LATERAL (
		SELECT b.ctid FROM session b WHERE b.tenant_id = p_tenant AND b.token_hash = e.token_hash LIMIT 1) b
	 WHERE d.ctid = b.ctid;
	UPDATE agent d SET failures = e.failures, locked_until = e.locked_until
	  FROM unnest(v_counted) e CROSS JOIN LATERAL (
		SELECT b.ctid FROM agent b WHERE b.tenant_id = p_tenant AND b.agent_id = e.agent_id LIMIT 1) b
	 WHERE d.ctid = b.ctid;
	IF cardinality(v_gone) > 0 THEN
		v_changes := v_changes || agent_release(p_tenant, p_now, 'sign_out', v_gone_ords, v_gone);
	END IF;
	RETURN v_changes;
END
$$;
