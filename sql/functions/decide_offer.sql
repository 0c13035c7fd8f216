-- decide_offer: the router (or a supervisor who gives a callback to somebody) proposes; here it is decided.
-- A command names a callback, its version, and "to": the offer ids and agents. Agents who are not available
-- any more are left out; when none is left: agent_unavailable. A callback whose number may not be called has failed instead;
-- one whose contact has quiet hours is put off until they end.
-- One that is offered already is offered to more agents only where the queue's strategy is ring_progressively, and not
-- when it has had all its offers or its window has passed: the last pending offer has to end some time. Its version
-- changes with every offer made and ended, so who names it knows how many are pending.
-- Reads tenant, callback, queue, opening, agent, agent_status, offer, contact, suppression. Needs tenant_lock().
CREATE FUNCTION decide_offer(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	r record;
	t record;
	c callback;
	o offer;
	v_changes change[] := '{}';
	v_refusal text;
	v_suppressed text;
	v_blocked text;
	v_hours jsonb;
	v_quiet timestamptz;
	v_tenant tenant;
BEGIN
	SELECT * INTO v_tenant FROM tenant x WHERE x.tenant_id = p_tenant;
	FOR r IN
		SELECT m.ord, m.id, m.version, m.role, cb, q,
			ARRAY(SELECT w.to_state FROM transition w WHERE w.command = m.kind AND w.from_state = cb.state) AS targets,
			(SELECT jsonb_agg(x.o ORDER BY x.place) FROM jsonb_array_elements(m.offer_to) WITH ORDINALITY x(o, place)
			  WHERE (SELECT s.state = 'ready' AND s.connected
				    AND NOT (SELECT a.removed FROM agent a WHERE a.tenant_id = p_tenant AND a.agent_id = s.agent_id LIMIT 1)
				    -- not EXISTS: that may be answered by reading them all
				    AND (SELECT true FROM offer p
					  WHERE p.tenant_id = p_tenant AND p.agent_id = s.agent_id AND p.state = 'pending' LIMIT 1) IS NULL
				    AND (SELECT true FROM callback h WHERE h.tenant_id = p_tenant AND h.agent_id = s.agent_id LIMIT 1) IS NULL
				   FROM agent_status s WHERE s.tenant_id = p_tenant AND s.agent_id = (x.o ->> 'agent')::int LIMIT 1)) AS takers
		  FROM unnest(p_run) m
		  LEFT JOIN LATERAL callback_row(p_tenant, m.callback_id) cb ON true
		  LEFT JOIN LATERAL queue_row(p_tenant, cb.queue_id) q ON true
		 ORDER BY m.ord
	LOOP
		c := r.cb;
		v_refusal := CASE
			WHEN c.callback_id IS NULL THEN 'not_found'
			WHEN c.seq <> r.version THEN 'stale_version'
			WHEN cardinality(r.targets) = 0 OR c.state = 'offered' AND ((r.q).strategy <> 'ring_progressively'
				OR c.offers >= (r.q).max_offers OR coalesce(c.expires_at <= p_now, false)) THEN 'wrong_state'
			WHEN c.linked_to IS NOT NULL THEN 'linked'
			WHEN c.due_at > p_now AND r.role = 'router' THEN 'not_due'
			WHEN r.takers IS NULL THEN 'agent_unavailable' END;
		v_quiet := NULL;
		v_hours := coalesce((r.q).calling_hours, v_tenant.calling_hours);
		IF v_refusal IS NULL AND v_hours IS NOT NULL THEN
			v_quiet := callback_quiet_until(p_tenant, c, v_hours, p_now);
			-- who gives it to somebody in person is told, and it stays as it is; so does one that is pending elsewhere
			v_refusal := CASE WHEN v_quiet IS NOT NULL AND (r.role <> 'router' OR c.state = 'offered') THEN 'quiet_hours' END;
		END IF;
		IF v_refusal IS NOT NULL THEN
			v_changes := v_changes || change_refuse(r.ord, v_refusal, c);
			CONTINUE;
		END IF;
		v_suppressed := CASE WHEN c.state = 'scheduled' THEN callback_suppressed(p_tenant, c.callback_id, p_now) END;
		IF v_suppressed IS NOT NULL THEN
			v_changes := v_changes || change_of(r.ord, r.id, 'callback.failed', NULL, callback_finish(c, 'failed', 'suppressed', p_now),
				NULL, NULL, NULL, jsonb_build_object('suppression', jsonb_build_object('reason', v_suppressed)));
			CONTINUE;
		END IF;
		v_blocked := CASE WHEN v_quiet = 'infinity' THEN 'not_callable' ELSE callback_blocked(v_tenant, c.region, c.number_type) END;
		IF v_blocked IS NOT NULL THEN
			v_changes := v_changes || change_of(r.ord, r.id, 'callback.failed', NULL, callback_finish(c, 'failed', v_blocked, p_now));
			CONTINUE;
		ELSIF v_quiet IS NOT NULL THEN
			-- what is left of its promise window begins then
			c.expires_at := promise_left(c, p_now, v_quiet);
			c.due_at := v_quiet;
			c.reason := 'quiet_hours';
			v_changes := v_changes || change_of(r.ord, r.id, 'callback.put_off', NULL, c);
			CONTINUE;
		END IF;
		c.state := 'offered';
		c.offers := c.offers + jsonb_array_length(r.takers);
		FOR t IN SELECT (x ->> 'offer')::uuid AS offer_id, (x ->> 'agent')::int AS agent_id, n
			   FROM jsonb_array_elements(r.takers) WITH ORDINALITY y(x, n)
		LOOP
			o := ROW (p_tenant, t.offer_id, 0, c.callback_id, t.agent_id, 'pending', p_now,
				p_now + seconds(coalesce(c.offer_timeout_s, (r.q).offer_timeout_s)), NULL, NULL);
			v_changes := v_changes || change_of(r.ord, CASE WHEN t.n = 1 THEN r.id END, 'offer.created', t.agent_id, c, o);
		END LOOP;
	END LOOP;
	RETURN v_changes;
END
$$;
