-- decide_move: reschedule: a callback that waits gets another promise, by its contact, a supervisor or an administrator.
--   args   what promise_move() takes ("recompute" only of who runs the company); "seen": the promise (ms) that the sender
--          saw, when he has no version; "reason"
-- What was tried before the new time does not count; why it was to be tried again is over. A linked request can be
-- moved like any other: the number is still called once, at the first of the times that were promised for it, so that
-- another of them may lead from now on (linked_lead()).
-- It is for whom it was for before it was widened. The event says how the time was understood ("when_note"), what was promised before ("before_at") and who did it.
-- Reads callback, queue, form, transition, time_zone, requirement_class. Needs tenant_lock(). Raises CB002 when two commands of the run are
-- about requests that are linked to each other.
CREATE FUNCTION decide_move(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	r record;
	c callback;
	x callback;
	q queue;
	p promise;
	v_before timestamptz;
	l record;
	v_led uuid[] := '{}';
	v_taken jsonb := '{}';
	v_changes change[] := '{}';
	v_change change;
	v_refusal text;
BEGIN
	FOR r IN
		SELECT m.ord, m.id, m.by_agent, m.role, m.version, m.args, cb, qu, fo,
			ARRAY(SELECT w.to_state FROM transition w WHERE w.command = m.kind AND w.from_state = cb.state) AS targets
		  FROM unnest(p_run) m
		  LEFT JOIN LATERAL callback_row(p_tenant, m.callback_id) cb ON true
		  LEFT JOIN LATERAL queue_row(p_tenant, cb.queue_id) qu ON true
		  LEFT JOIN LATERAL (SELECT i AS fo FROM form i WHERE i.tenant_id = p_tenant AND i.form_id = cb.form_id LIMIT 1) fo ON true
		 ORDER BY m.ord
	LOOP
		c := r.cb;
		q := r.qu;
		p := NULL;
		-- whatever it asks for: it is judged by the row as it was before
		IF coalesce(c.linked_to, c.callback_id) = ANY (v_led) THEN
			RAISE EXCEPTION 'two commands of one run are about linked requests' USING ERRCODE = 'CB002';
		END IF;
		c := widen_home(p_tenant, c);
		IF c.queue_id <> q.queue_id THEN
			SELECT * INTO q FROM queue_row(p_tenant, c.queue_id);
		END IF;
		IF cardinality(r.targets) > 0 THEN
			p := promise_move(c, r.args, q, r.fo, r.role, p_now, v_taken);
		END IF;
		v_refusal := CASE
			WHEN r.args ? 'recompute' AND r.role NOT IN ('administrator', 'operator') THEN 'not_found'
			WHEN c.callback_id IS NULL OR NOT (may_touch(r.role, r.by_agent, c.agent_id) OR r.role = 'contact') THEN 'not_found'
			-- said twice: it is as he wants it
			WHEN p.refusal = 'unchanged' THEN p.refusal
			WHEN c.seq <> r.version OR ms(c.promise_at)::text <> r.args ->> 'seen' THEN 'stale_version'
			WHEN cardinality(r.targets) = 0 THEN 'wrong_state'
			ELSE p.refusal END;
		IF v_refusal = 'not_found' THEN
			v_changes := v_changes || change_refuse(r.ord, v_refusal);
			CONTINUE;
		ELSIF v_refusal IS NOT NULL THEN
			v_change := change_refuse(r.ord, v_refusal, r.cb);
			IF v_refusal = 'invalid' THEN
				v_change.answer := v_change.answer || jsonb_build_object('errors', p.errors);
			END IF;
			v_changes := v_changes || v_change;
			CONTINUE;
		END IF;
		v_led := v_led || coalesce(c.linked_to, c.callback_id);

		v_before := c.promise_at;
		c.promise_at := p.at;
		c.promise_local := p.local_at;
		c.promise_zone := p.zone;
		c.due_at := p.due_at;
		c.expires_at := p.expires_at;
		c.booked := p.booked;
		-- now he has said where he is
		c.zones := CASE WHEN r.args ? 'time_zone' THEN NULL ELSE c.zones END;
		v_taken := p.taken;
		c.reason := r.args ->> 'reason';
		c.tried := NULL;
		l := linked_lead(p_tenant, p_now, c);
		c := l.c;
		v_changes := v_changes || change_of(r.ord, r.id, 'callback.rescheduled', NULL, c, NULL, NULL, NULL,
			jsonb_build_object('when_note', p.note, 'before_at', ms(v_before),
				'rescheduled_by', jsonb_strip_nulls(jsonb_build_object('role', r.role, 'agent', r.by_agent))));
		FOREACH x IN ARRAY l.others LOOP
			v_changes := v_changes || change_of(r.ord, NULL, 'callback.linked', NULL, x);
		END LOOP;
	END LOOP;
	RETURN v_changes;
END
$$;
