-- agent_release: what agents who are gone leave behind (p_ords: the command that each lost his place by).
--   agent_lost  their pending offers time out; nobody counts them as missed
--   sign_out    their pending offers are rejected
-- Accepted callbacks are let go (callback_let_go()). What the transition table does not let go, calls in progress, stays
-- theirs until it ends or its deadline fires.
-- Reads offer, callback, attempt, contact, queue, transition. Needs tenant_lock().
CREATE FUNCTION agent_release(p_tenant int, p_now timestamptz, p_kind text, p_ords int[], p_agents int[]) RETURNS change[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	r record;
	c callback;
	o offer;
	v_reason text := CASE p_kind WHEN 'agent_lost' THEN 'agent_lost' ELSE 'signed_out' END;
	v_changes change[] := '{}';
BEGIN
	FOR r IN
		SELECT g.ord, ofr, cb, qu,
			(SELECT true FROM offer p WHERE p.tenant_id = p_tenant AND p.callback_id = ofr.callback_id
				AND p.ended_at IS NULL AND p.offer_id <> ofr.offer_id LIMIT 1) IS NOT NULL AS others
		  FROM unnest(p_ords, p_agents) g(ord, agent_id)
		 CROSS JOIN LATERAL (SELECT p AS ofr, p.callback_id, p.offer_id FROM offer p
			WHERE p.tenant_id = p_tenant AND p.agent_id = g.agent_id AND p.state = 'pending' OFFSET 0) ofr
		 CROSS JOIN LATERAL callback_row(p_tenant, ofr.callback_id) cb
		 CROSS JOIN LATERAL queue_row(p_tenant, cb.queue_id) qu
		 WHERE EXISTS (SELECT FROM transition w WHERE w.command = p_kind AND w.from_state = cb.state)
		 ORDER BY g.ord
	LOOP
		o := r.ofr;
		o.state := CASE p_kind WHEN 'agent_lost' THEN 'timeout' ELSE 'rejected' END;
		o.reason := v_reason;
		o.ended_at := p_now;
		c := offer_end(r.cb, o.agent_id, r.others, r.qu, p_now);
		v_changes := v_changes || change_of(r.ord, NULL, 'offer.' || o.state, o.agent_id, c, o);
		IF c.state = 'failed' THEN
			v_changes := v_changes || change_of(r.ord, NULL, 'callback.failed', NULL, c);
		END IF;
	END LOOP;
	FOR r IN
		SELECT g.ord, g.agent_id, cb, qu
		  FROM unnest(p_ords, p_agents) g(ord, agent_id)
		 CROSS JOIN LATERAL (SELECT h AS cb, h.state, h.callback_id, h.queue_id FROM callback h
			WHERE h.tenant_id = p_tenant AND h.agent_id = g.agent_id OFFSET 0) cb
		 CROSS JOIN LATERAL queue_row(p_tenant, cb.queue_id) qu
		 WHERE EXISTS (SELECT FROM transition w WHERE w.command = p_kind AND w.from_state = cb.state)
		 ORDER BY g.ord, cb.callback_id
	LOOP
		c := callback_let_go(p_tenant, r.cb, v_reason, r.qu, p_now);
		v_changes := v_changes || change_of(r.ord, NULL,
			CASE c.state WHEN 'scheduled' THEN 'callback.given_back' ELSE 'callback.failed' END, r.agent_id, c);
	END LOOP;
	RETURN v_changes;
END
$$;
