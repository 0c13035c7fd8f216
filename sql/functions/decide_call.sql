-- decide_call: the course of a dial: call, connected, hold, retrieve, ended. All but call name the attempt, so
-- that what is said late of an old one is refused (attempt_over).
--   call   a new attempt; its id is the command's. It counts into callback.attempts from now on.
--   ended  back to Ready to Call at the same agent. args.outcome says how an unanswered attempt ended
--          (default no_answer; pbx_lost and agent_offline are only the router's to say). Some are not
--          the contact's attempts, and not counted: see outcome_counts(). The length of one that was
--          answered is counted for the agent.
-- A number that may not be called (any more) is not dialled: suppressed, blocked_country, blocked_number_type; and nobody in his
-- quiet hours: quiet_hours.
-- Reads tenant, callback, attempt, queue, opening, agent_status, transition, contact, suppression. Needs tenant_lock().
CREATE FUNCTION decide_call(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	r record;
	c callback;
	a attempt;
	v_outcome text;
	v_changes change[] := '{}';
	v_refusal text;
	v_tenant tenant;
BEGIN
	SELECT * INTO v_tenant FROM tenant x WHERE x.tenant_id = p_tenant;
	FOR r IN
		SELECT m.ord, m.id, m.kind, m.by_agent, m.role, m.version, m.args, cb, att, qu, st,
			ARRAY(SELECT w.to_state FROM transition w WHERE w.command = m.kind AND w.from_state = cb.state) AS targets,
			-- not callback.attempts, which leaves some out: a number is used once
			(SELECT max(p.number) FROM attempt p WHERE p.tenant_id = p_tenant AND p.callback_id = cb.callback_id) AS dialled
		  FROM unnest(p_run) m
		  LEFT JOIN LATERAL attempt_row(p_tenant, m.attempt_id) att ON true
		  LEFT JOIN LATERAL callback_row(p_tenant, CASE m.kind WHEN 'call' THEN m.callback_id ELSE att.callback_id END) cb ON true
		  LEFT JOIN LATERAL queue_row(p_tenant, cb.queue_id) qu ON true
		  LEFT JOIN LATERAL status_row(p_tenant, CASE m.kind WHEN 'ended' THEN att.agent_id END) st ON true
		 ORDER BY m.ord
	LOOP
		c := r.cb; a := r.att;
		v_outcome := coalesce(r.args ->> 'outcome', CASE WHEN a.answered_at IS NULL THEN 'no_answer' ELSE 'answered' END);
		v_refusal := CASE
			WHEN c.callback_id IS NULL
				OR NOT may_touch(r.role, r.by_agent, CASE r.kind WHEN 'call' THEN c.agent_id ELSE a.agent_id END)
				THEN 'not_found'
			WHEN c.seq <> r.version THEN 'stale_version'
			WHEN r.kind <> 'call' AND (a.ended_at IS NOT NULL OR a.attempt_id IS DISTINCT FROM c.attempt_id) THEN 'attempt_over'
			WHEN cardinality(r.targets) = 0 THEN 'wrong_state'
			WHEN r.kind = 'call' AND callback_suppressed(p_tenant, c.callback_id, p_now) IS NOT NULL THEN 'suppressed'
			WHEN r.kind = 'call' AND callback_blocked(v_tenant, c.region, c.number_type) IS NOT NULL
				THEN callback_blocked(v_tenant, c.region, c.number_type)
			WHEN r.kind = 'call' AND callback_quiet_until(p_tenant, c, coalesce((r.qu).calling_hours, v_tenant.calling_hours), p_now) IS NOT NULL
				THEN 'quiet_hours'
			WHEN r.kind = 'ended' AND NOT CASE WHEN a.answered_at IS NOT NULL THEN v_outcome = 'answered'
				ELSE v_outcome IN ('busy', 'no_answer', 'declined', 'machine', 'invalid', 'unreachable', 'trunk_failed',
					'cancelled', 'failed')
				OR r.role = 'router' AND v_outcome IN ('pbx_lost', 'agent_offline') END
				THEN 'bad_outcome' END;
		IF v_refusal = 'not_found' THEN
			v_changes := v_changes || change_refuse(r.ord, v_refusal);
			CONTINUE;
		ELSIF v_refusal IS NOT NULL THEN
			v_changes := v_changes || change_refuse(r.ord, v_refusal, c);
			CONTINUE;
		END IF;
		c.state := r.targets[1];
		CASE r.kind
		WHEN 'call' THEN
			c.attempt_id := r.id;
			c.attempts := c.attempts + 1;
			c.deadline_at := p_now + seconds((r.qu).dial_timeout_s);
			a := ROW (p_tenant, r.id, 0, c.callback_id, c.agent_id, coalesce(r.dialled, 0) + 1, 'dialing', p_now, NULL, NULL);
			v_changes := v_changes || change_of(r.ord, r.id, 'call.establishing', c.agent_id, c, NULL, a);
		WHEN 'connected' THEN
			c.deadline_at := p_now + seconds((r.qu).call_timeout_s);
			a.state := 'answered';
			a.answered_at := p_now;
			v_changes := v_changes || change_of(r.ord, r.id, 'call.connected', c.agent_id, c, NULL, a);
		WHEN 'hold' THEN
			v_changes := v_changes || change_of(r.ord, r.id, 'call.on_hold', c.agent_id, c);
		WHEN 'retrieve' THEN
			v_changes := v_changes || change_of(r.ord, r.id, 'call.retrieved', c.agent_id, c);
		WHEN 'ended' THEN
			c.attempt_id := NULL;
			c.deadline_at := p_now + seconds((r.qu).ready_to_call_s);
			IF NOT outcome_counts(v_outcome) THEN
				c.attempts := c.attempts - 1;
			END IF;
			a.state := v_outcome;
			a.ended_at := p_now;
			v_changes := v_changes || change_of(r.ord, r.id, 'call.ended', c.agent_id, c, NULL, a, status_talked(r.st, a, p_now));
		END CASE;
	END LOOP;
	RETURN v_changes;
END
$$;
