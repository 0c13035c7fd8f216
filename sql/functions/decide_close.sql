-- decide_close: how a callback leaves its agent's hands or the queue: done, give_back, retry, cancel, expire,
-- callback_deadline; and note, which moves nothing.
--   done   by the class of args.disposition (a code's name): none or reached completes, retry schedules it again as
--          the queue's retry matrix says of the last dial, stop fails it. The promise stays what the contact was given.
--          The agent does after-call work. args.note as in note.
--   retry  at args.at (ms) or in args.in_s seconds, which becomes the new promise; refused (bad_time) with what is
--          in the way and what would do, see retry_refusal(). args.personal: it is for him alone (true), or for anybody
--          (false), and without it for whom it was
--   give_back  to others, see callback_let_go()
--   expire  its promise window has ended: it has expired, or its queue has it escalated
--   callback_deadline  of a call: the call ends. Of one that was accepted and left lying: as if it was given back
-- An agent who is rid of a callback is idle from now on; for his place in the order nothing before counts.
-- Notes are written here, all of the run at once: their text may not go through a change, because what is in a
-- change gets into the log. VOLATILE for that, and for a requirement class that is needed (widen_class()).
-- Reads callback, attempt, offer, queue, contact, disposition, agent_status, transition; writes note, requirement_class.
-- Needs tenant_lock().
CREATE FUNCTION decide_close(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	r record;
	c callback;
	a attempt;
	o offer;
	s agent_status;
	q queue;
	h callback;
	v_home queue;
	d disposition;
	v_note text;
	v_notes note[] := '{}';
	v_kind text;
	v_extra jsonb;
	v_held_by int;
	v_own record;
	v_changes change[] := '{}';
	v_change change;
	v_refusal text;
BEGIN
	FOR r IN
		SELECT m.ord, m.id, m.kind, m.by_agent, m.role, m.version, m.args, cb, att, qu, st, di,
			ARRAY(SELECT w.to_state FROM transition w WHERE w.command = m.kind AND w.from_state = cb.state) AS targets,
			CASE WHEN m.kind = 'cancel' THEN ARRAY(SELECT p FROM offer p WHERE p.tenant_id = p_tenant
				AND p.callback_id = cb.callback_id AND p.ended_at IS NULL ORDER BY p.seq) ELSE '{}' END AS offers
		  FROM unnest(p_run) m
		  LEFT JOIN LATERAL callback_row(p_tenant, m.callback_id) cb ON true
		  LEFT JOIN LATERAL attempt_row(p_tenant, cb.attempt_id) att ON true
		  LEFT JOIN LATERAL queue_row(p_tenant, cb.queue_id) qu ON true
		  LEFT JOIN LATERAL status_row(p_tenant, cb.agent_id) st ON true
		  LEFT JOIN LATERAL (SELECT i AS di FROM disposition i
			WHERE i.tenant_id = p_tenant AND i.name = m.args ->> 'disposition' AND NOT i.removed LIMIT 1) di ON true
		 ORDER BY m.ord
	LOOP
		c := r.cb; a := r.att; q := r.qu; s := r.st; d := r.di;
		-- it will be of the queue that it was in before it was widened: that one's hours and limits count
		h := c;
		v_home := q;
		IF r.kind = 'retry' AND c.home_class IS NOT NULL THEN
			h := widen_home(p_tenant, c);
			SELECT * INTO v_home FROM queue_row(p_tenant, h.queue_id);
		END IF;
		v_note := nullif(CASE r.kind WHEN 'note' THEN r.args ->> 'text' WHEN 'done' THEN r.args ->> 'note' END, '');
		v_refusal := CASE
			WHEN c.callback_id IS NULL
				OR NOT (may_touch(r.role, r.by_agent, c.agent_id) OR r.role = 'contact' AND r.kind = 'cancel') THEN 'not_found'
			WHEN c.seq <> r.version THEN 'stale_version'
			WHEN cardinality(r.targets) = 0 AND r.kind <> 'note' THEN 'wrong_state'
			WHEN r.kind = 'expire' AND c.linked_to IS NOT NULL THEN 'linked'	-- its leader's promise counts
			WHEN r.kind = 'expire' AND coalesce(c.expires_at > p_now, true) THEN 'not_due'
			WHEN r.kind = 'callback_deadline' AND c.deadline_at > p_now THEN 'not_due'
			WHEN r.kind = 'retry' AND retry_refusal(p_tenant, h, v_home, r.args, p_now) IS NOT NULL THEN 'bad_time'
			WHEN r.kind = 'done' AND d.name IS NULL AND r.args ->> 'disposition' IS NOT NULL THEN 'unknown_disposition'
			WHEN r.kind = 'done' AND d.name IS NULL AND q.disposition_required THEN 'disposition_required'
			WHEN char_length(v_note) > 4000 OR r.kind = 'note' AND v_note IS NULL THEN 'invalid' END;
		IF v_refusal IS NOT NULL THEN
			IF v_refusal = 'not_found' THEN
				v_change := change_refuse(r.ord, v_refusal);
			ELSE
				v_change := change_refuse(r.ord, v_refusal, c);
			END IF;
			IF v_refusal = 'invalid' THEN
				v_change.answer := jsonb_build_object('errors', jsonb_build_array(jsonb_build_object(
					'field', CASE r.kind WHEN 'note' THEN 'text' ELSE 'note' END, 'message', 'must have 1 to 4000 characters')));
			ELSIF v_refusal = 'bad_time' THEN
				v_change.answer := v_change.answer || retry_refusal(p_tenant, h, v_home, r.args, p_now);
			END IF;
			v_changes := v_changes || v_change;
			CONTINUE;
		END IF;

		v_held_by := c.agent_id;
		v_extra := NULL;
		v_kind := NULL;
		CASE r.kind
		WHEN 'done' THEN
			c.disposition := d.name;
			c := CASE d.class
				WHEN 'retry' THEN callback_retry(p_tenant, c, NULL, d.name, q, p_now)
				WHEN 'stop' THEN callback_finish(c, 'failed', d.name, p_now)
				ELSE callback_finish(c, 'completed', d.name, p_now) END;
		WHEN 'retry' THEN
			c := callback_retry(p_tenant, c, retry_time(r.args, p_now), r.args ->> 'reason', q, p_now);
			IF c.state = 'scheduled' THEN
				c.promise_at := c.due_at;
				c.promise_local := c.due_at AT TIME ZONE c.promise_zone;
				c.booked := (SELECT x.slots IS NOT NULL FROM queue_row(p_tenant, c.queue_id) x);
				IF jsonb_typeof(r.args -> 'personal') = 'boolean' THEN
					SELECT * INTO v_own FROM widen_personal(p_tenant, r.ord, c,
						CASE WHEN (r.args ->> 'personal')::boolean THEN v_held_by ELSE 0 END);
					c := v_own.c;
					v_changes := v_changes || v_own.created;
				END IF;
			END IF;
		WHEN 'give_back' THEN
			c := callback_let_go(p_tenant, c, r.args ->> 'reason', q, p_now);
			v_kind := CASE c.state WHEN 'scheduled' THEN 'callback.given_back' END;
		WHEN 'cancel' THEN
			c := callback_finish(c, 'cancelled', r.args ->> 'reason', p_now);
		WHEN 'expire' THEN
			IF q.window_end = 'escalate' THEN
				c := callback_escalate(c);
				v_kind := 'callback.escalated';
			ELSE
				c := callback_finish(c, 'expired', 'promise_window', p_now);
			END IF;
		WHEN 'callback_deadline' THEN
			v_extra := '{"reason": "deadline"}';
			IF a.attempt_id IS NOT NULL THEN
				c.state := 'ready_to_call';
				c.attempt_id := NULL;
				c.deadline_at := p_now + seconds(q.ready_to_call_s);
				a.state := CASE WHEN a.answered_at IS NULL THEN 'failed' ELSE 'answered' END;
				a.ended_at := p_now;
				v_kind := 'call.ended';
			ELSIF c.attempts >= q.max_attempts AND NOT retry_dialled(p_tenant, c) THEN
				c := callback_finish(c, 'failed', 'max_attempts', p_now);
			ELSE
				c := callback_let_go(p_tenant, c, 'deadline', q, p_now);
				v_kind := CASE c.state WHEN 'scheduled' THEN 'callback.given_back' END;
			END IF;
		WHEN 'note' THEN
			v_kind := 'callback.noted';
		END CASE;
		v_kind := coalesce(v_kind, 'callback.' || CASE c.state WHEN 'scheduled' THEN 'retry' ELSE c.state END);

		IF v_note IS NOT NULL THEN
			v_notes := v_notes || ROW (p_tenant, c.callback_id, r.id, r.by_agent, p_now, v_note)::note;
		END IF;
		IF v_held_by IS NULL OR c.agent_id IS NOT NULL THEN
			v_changes := v_changes || change_of(r.ord, r.id, v_kind, v_held_by, c, NULL,
				CASE v_kind WHEN 'call.ended' THEN a END,
				CASE v_kind WHEN 'call.ended' THEN status_talked(s, a, p_now) END, v_extra);
			FOREACH o IN ARRAY r.offers LOOP
				o.state := 'cancelled';
				o.ended_at := p_now;
				v_changes := v_changes || change_of(r.ord, NULL, 'offer.cancelled', o.agent_id, NULL, o);
			END LOOP;
			CONTINUE;
		END IF;
		s.idle_since := p_now;
		IF r.kind = 'done' AND q.after_call_work_s > 0 AND s.state <> 'logged_out' THEN
			v_changes := v_changes || change_of(r.ord, r.id, v_kind, v_held_by, c)
				|| change_of(r.ord, NULL, 'agent.after_call_work', v_held_by, NULL, NULL, NULL,
					status_wrap_up(s, q, p_now));
		ELSE
			v_changes := v_changes || change_of(r.ord, r.id, v_kind, v_held_by, c, NULL, NULL, s, v_extra);
		END IF;
	END LOOP;

	IF cardinality(v_notes) > 0 THEN
		INSERT INTO note SELECT n.* FROM unnest(v_notes) n;
	END IF;
	RETURN v_changes;
END
$$;
