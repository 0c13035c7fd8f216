-- decide_erase: a contact's data is forgotten: what the form sent, what agents noted, the Idempotency-Key (which goes
-- with a hash of the form). The callback stays as a fact without a person. One that is still open ends, cancelled, with
-- the reason erased: there is nobody left to call. Not while it is in a call (in_call): an agent is talking to him now,
-- and what follows a call needs his number; the call's deadline ends that in any case.
-- Its reason goes too, unless it is one that we gave. The event says who did it, and nothing of what is gone.
-- VOLATILE: contact, note and idempotency_key are written here, all of the run at once; no change may carry what is in them.
-- Reads callback, contact, offer, agent_status, disposition, transition; writes contact, note, idempotency_key. Needs
-- tenant_lock().
CREATE FUNCTION decide_erase(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	r record;
	c callback;
	o offer;
	s agent_status;
	v_held_by int;
	v_erased_by jsonb;
	v_ids uuid[] := '{}';
	v_changes change[] := '{}';
	v_refusal text;
BEGIN
	FOR r IN
		SELECT m.ord, m.id, m.by_agent, m.role, m.version, cb, st, k.erased_at,
			EXISTS (SELECT FROM disposition d WHERE d.tenant_id = p_tenant AND d.name = cb.reason) AS by_code,
			EXISTS (SELECT FROM transition w WHERE w.command = 'erase' AND w.from_state = cb.state) AS may_end,
			ARRAY(SELECT p FROM offer p WHERE p.tenant_id = p_tenant AND p.callback_id = cb.callback_id
				AND p.ended_at IS NULL ORDER BY p.seq) AS offers
		  FROM unnest(p_run) m
		  LEFT JOIN LATERAL callback_row(p_tenant, m.callback_id) cb ON true
		  LEFT JOIN LATERAL (SELECT x.erased_at FROM contact x
			WHERE x.tenant_id = p_tenant AND x.callback_id = cb.callback_id LIMIT 1) k ON true
		  LEFT JOIN LATERAL status_row(p_tenant, cb.agent_id) st ON true
		 ORDER BY m.ord
	LOOP
		c := r.cb; s := r.st;
		v_refusal := CASE
			WHEN c.callback_id IS NULL OR coalesce(r.role NOT IN ('administrator', 'operator'), true) THEN 'not_found'
			WHEN c.seq <> r.version THEN 'stale_version'
			WHEN r.erased_at IS NOT NULL THEN 'already_erased'
			WHEN c.ended_at IS NULL AND NOT r.may_end THEN 'in_call' END;
		IF v_refusal = 'not_found' THEN
			v_changes := v_changes || change_refuse(r.ord, v_refusal);
			CONTINUE;
		ELSIF v_refusal IS NOT NULL THEN
			v_changes := v_changes || change_refuse(r.ord, v_refusal, c);
			CONTINUE;
		END IF;
		v_ids := v_ids || c.callback_id;
		v_held_by := c.agent_id;
		v_erased_by := jsonb_build_object('erased_by', jsonb_strip_nulls(jsonb_build_object('role', r.role, 'agent', r.by_agent)));
		IF c.ended_at IS NOT NULL THEN
			IF NOT (r.by_code OR c.reason = ANY (retry_reasons()) OR c.reason IN ('promise_window', 'max_offers', 'linked',
				'suppressed', 'quiet_hours', 'blocked_country', 'blocked_number_type'))
			THEN
				c.reason := NULL;
			END IF;
			v_changes := v_changes || change_of(r.ord, r.id, 'callback.erased', NULL, c, NULL, NULL, NULL, v_erased_by);
			CONTINUE;
		END IF;
		c := callback_finish(c, 'cancelled', 'erased', p_now);
		s.idle_since := p_now;
		v_changes := v_changes || change_of(r.ord, r.id, 'callback.cancelled', v_held_by, c, NULL, NULL,
			CASE WHEN v_held_by IS NOT NULL THEN s END);
		FOREACH o IN ARRAY r.offers LOOP
			o.state := 'cancelled';
			o.ended_at := p_now;
			v_changes := v_changes || change_of(r.ord, NULL, 'offer.cancelled', o.agent_id, NULL, o);
		END LOOP;
		v_changes := v_changes || change_of(r.ord, NULL, 'callback.erased', v_held_by, c, NULL, NULL, NULL, v_erased_by);
	END LOOP;

	PERFORM erase_rows(p_tenant, p_now, v_ids);
	RETURN v_changes;
END
$$;

-- erase_rows: what of some callbacks is the contact's. Planned anew each time: a plan that was made for empty tables and
-- kept would look for a key by the tenant alone. Needs tenant_lock().
CREATE FUNCTION erase_rows(p_tenant int, p_now timestamptz, p_ids uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
	UPDATE contact k
	   SET phone = NULL, name = NULL, email = NULL, subject = NULL, language = NULL, notes = NULL, case_information = '{}',
		consent = NULL, consent_text = NULL, address = NULL, erased_at = p_now
	 WHERE k.tenant_id = p_tenant AND k.callback_id = ANY (p_ids);
	DELETE FROM note n WHERE n.tenant_id = p_tenant AND n.callback_id = ANY (p_ids);
	DELETE FROM idempotency_key i WHERE i.tenant_id = p_tenant AND i.callback_id = ANY (p_ids);
END
$$;
