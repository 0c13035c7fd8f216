-- decide_answer: what became of pending offers: accept, reject (by the agent), offer_timeout (by the router,
-- at the deadline). The offer is named, so a late answer to an old one is refused (offer_not_pending).
--   accept         the callback is his, Ready to Call; other pending offers are rescinded
--   reject         back to the queue with the last pending one; args.reason is remembered
--   offer_timeout  the same, and the agent missed one: at the queue's missed_limit he becomes not_ready(missed)
-- Reads offer, callback, queue, agent_status. Needs tenant_lock().
CREATE FUNCTION decide_answer(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	r record;
	c callback;
	o offer;
	x offer;
	s agent_status;
	q queue;
	v_changes change[] := '{}';
	v_refusal text;
BEGIN
	FOR r IN
		SELECT m.ord, m.id, m.kind, m.by_agent, m.args, ofr, cb, qu, st,
			ARRAY(SELECT w.to_state FROM transition w WHERE w.command = m.kind AND w.from_state = cb.state) AS targets,
			-- not "state = 'pending'": the index that it would offer has all that are pending
			ARRAY(SELECT p FROM offer p WHERE p.tenant_id = p_tenant AND p.callback_id = ofr.callback_id
				 AND p.ended_at IS NULL AND p.offer_id <> ofr.offer_id ORDER BY p.seq) AS others
		  FROM unnest(p_run) m
		  LEFT JOIN LATERAL offer_row(p_tenant, m.offer_id) ofr ON true
		  LEFT JOIN LATERAL callback_row(p_tenant, ofr.callback_id) cb ON true
		  LEFT JOIN LATERAL queue_row(p_tenant, cb.queue_id) qu ON true
		  LEFT JOIN LATERAL status_row(p_tenant, ofr.agent_id) st ON true
		 ORDER BY m.ord
	LOOP
		c := r.cb; o := r.ofr; s := r.st; q := r.qu;
		v_refusal := CASE
			WHEN o.offer_id IS NULL OR (r.kind <> 'offer_timeout' AND o.agent_id IS DISTINCT FROM r.by_agent) THEN 'not_found'
			WHEN o.state <> 'pending' THEN 'offer_not_pending'
			WHEN r.kind = 'offer_timeout' AND o.deadline_at > p_now THEN 'not_due'
			WHEN cardinality(r.targets) = 0 THEN 'wrong_state' END;
		IF v_refusal IS NOT NULL THEN
			IF v_refusal = 'not_found' THEN
				v_changes := v_changes || change_refuse(r.ord, v_refusal);
			ELSE
				v_changes := v_changes || change_refuse(r.ord, v_refusal, c, o);
			END IF;
			CONTINUE;
		END IF;
		o.ended_at := p_now;
		s.offered_seq := o.seq;	-- nothing but its end happens to an offer: that is the event that made it
		IF r.kind = 'accept' THEN
			o.state := 'accepted';
			c.state := 'ready_to_call';
			c.agent_id := o.agent_id;
			c.deadline_at := p_now + seconds(q.ready_to_call_s);
			c.tried := NULL;
			c.reason := NULL;
			s.missed := 0;
			s.accepted := s.accepted + 1;
			v_changes := v_changes || change_of(r.ord, r.id, 'offer.accepted', o.agent_id, c, o, NULL, s);
			-- without the callback: its version stays the one that the agent was answered
			FOREACH x IN ARRAY r.others LOOP
				x.state := 'rescinded';
				x.ended_at := p_now;
				v_changes := v_changes || change_of(r.ord, NULL, 'offer.rescinded', x.agent_id, NULL, x);
			END LOOP;
			CONTINUE;
		END IF;
		c := offer_end(c, o.agent_id, cardinality(r.others) > 0, q, p_now);
		s.idle_since := p_now;
		IF r.kind = 'reject' THEN
			o.state := 'rejected';
			o.reason := r.args ->> 'reason';
			s.missed := 0;
			v_changes := v_changes || change_of(r.ord, r.id, 'offer.rejected', o.agent_id, c, o, NULL, s);
		ELSE
			o.state := 'timeout';
			s.missed := s.missed + 1;
			v_changes := v_changes || change_of(r.ord, r.id, 'offer.timeout', o.agent_id, c, o, NULL, s);
			IF q.missed_limit > 0 AND s.missed >= q.missed_limit AND s.state = 'ready' THEN
				s.state := 'not_ready';
				s.reason := 'missed';
				s.since := p_now;
				s.deadline_at := CASE WHEN q.missed_rest_s > 0 THEN p_now + seconds(q.missed_rest_s) END;
				v_changes := v_changes || change_of(r.ord, NULL, 'agent.not_ready', o.agent_id, NULL, NULL, NULL, s);
			END IF;
		END IF;
		IF c.state = 'failed' THEN
			v_changes := v_changes || change_of(r.ord, NULL, 'callback.failed', NULL, c);
		END IF;
	END LOOP;
	RETURN v_changes;
END
$$;
