-- intake_gated: whether anything that intake_gate() knows can be in a request's way. Companies without any pay for this look.
-- Reads tenant, queue.
CREATE FUNCTION intake_gated(p_tenant int) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN (SELECT t.calling_hours IS NOT NULL OR t.blocked_countries <> '{}' OR t.blocked_number_types <> '{}' OR (
			SELECT true FROM queue q WHERE q.tenant_id = p_tenant AND (q.calling_hours IS NOT NULL OR q.last_agent_days > 0) LIMIT 1) IS NOT NULL
		  FROM tenant t WHERE t.tenant_id = p_tenant);
END
$$;

-- intake_judge: intake_read(), and what the company's law says of it. A function of its own, and not more of intake_read(),
-- whose plan would take a tenth longer to begin for those who have none of it.
CREATE FUNCTION intake_judge(p_tenant int, p_now timestamptz, p_callbacks jsonb) RETURNS intake[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_rows intake[] := intake_read(p_tenant, p_now, p_callbacks);
BEGIN
	IF intake_gated(p_tenant) THEN
		v_rows := intake_gate(p_tenant, p_now, v_rows);
	END IF;
	RETURN v_rows;
END
$$;

-- intake_gate: the same batch, each with what its company lays down: numbers that are not called, the contact's quiet
-- hours, and who spoke with him last.
-- Reads tenant, queue, form, opening, region_zone, contact, attempt, agent.
CREATE FUNCTION intake_gate(p_tenant int, p_now timestamptz, p_rows intake[]) RETURNS intake[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	r record;
	v_row intake;
	v_tenant tenant;
	v_errors jsonb;
BEGIN
	SELECT * INTO v_tenant FROM tenant t WHERE t.tenant_id = p_tenant;
	FOR r IN
		SELECT u.ord + 1 AS place, q, f.closed
		  FROM unnest(p_rows) u
		 CROSS JOIN LATERAL queue_row(p_tenant, u.queue_id) q
		 CROSS JOIN LATERAL (SELECT * FROM form WHERE tenant_id = p_tenant AND form_id = u.form_id LIMIT 1) f
		 WHERE u.known IS NULL AND coalesce(u.refusal = 'invalid', true)
	LOOP
		v_row := p_rows[r.place];
		v_errors := intake_blocked(callback_blocked(v_tenant, v_row.region, v_row.number_type));
		IF coalesce((r.q).calling_hours, v_tenant.calling_hours) IS NOT NULL AND v_row.refusal IS NULL THEN
			v_row := intake_quiet(p_tenant, p_now, v_row, r.q, r.closed);
		END IF;
		IF (r.q).last_agent_days > 0 AND v_row.preferred_agent IS NULL THEN
			v_row.preferred_agent := last_agent(p_tenant, v_row.phone, p_now - make_interval(days => (r.q).last_agent_days));
			v_row.preferred_for_s := CASE WHEN v_row.preferred_agent IS NOT NULL THEN (r.q).last_agent_for_s END;
		END IF;
		IF v_errors IS NOT NULL THEN
			v_row.refusal := 'invalid';
			v_row.errors := v_errors || coalesce(v_row.errors, '[]');
		END IF;
		p_rows[r.place] := v_row;
	END LOOP;
	RETURN p_rows;
END
$$;

CREATE FUNCTION intake_blocked(p_blocked text) RETURNS jsonb
LANGUAGE sql IMMUTABLE
AS $$
	SELECT jsonb_build_array(jsonb_build_object('field', 'phone', 'message', CASE p_blocked
		WHEN 'blocked_country' THEN 'is a number in a country that is not called' ELSE 'is a kind of number that is not called' END))
	 WHERE p_blocked IS NOT NULL
$$;

-- intake_quiet: one that would be promised a time in the contact's quiet hours is promised their end instead, or refused, as
-- its form says. Where the queue has slots it needs a place then.
CREATE FUNCTION intake_quiet(p_tenant int, p_now timestamptz, r intake, q queue, p_closed text) RETURNS intake
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	-- what was asked for may be a minute old
	v_from timestamptz := greatest(r.promise_at, p_now);
	v_at timestamptz;
BEGIN
	IF NOT r.zone_named THEN
		r.zones := (SELECT z.zones FROM region_zone z WHERE z.region = r.region);
	END IF;
	v_at := callable_at(p_tenant, q.queue_id, coalesce(r.zones, ARRAY[r.promise_zone]), v_from);
	IF v_at = v_from THEN
		RETURN r;
	END IF;
	IF v_at IS NULL OR p_closed = 'refuse' THEN
		r.refusal := 'invalid';
		r.errors := jsonb_build_array(jsonb_build_object('field', 'when',
			'message', moved_message('quiet_hours', v_at, r.promise_zone)));
		RETURN r;
	END IF;
	r := intake_shift(r, p_tenant, v_at);
	r.note := CASE r.note WHEN 'next_opening' THEN r.note ELSE 'quiet_hours' END;
	r.slot := CASE WHEN q.slots IS NOT NULL THEN 'next' END;
	RETURN r;
END
$$;

-- last_agent: who spoke with that number last, since p_since; NULL: nobody who is still there.
-- Reads contact, attempt, agent.
CREATE FUNCTION last_agent(p_tenant int, p_phone text, p_since timestamptz) RETURNS int
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN (SELECT a.agent_id
		  FROM contact k
		 CROSS JOIN LATERAL (SELECT * FROM attempt x WHERE x.tenant_id = p_tenant AND x.callback_id = k.callback_id OFFSET 0) a
		 CROSS JOIN LATERAL agent_row(p_tenant, a.agent_id) g
		 WHERE k.tenant_id = p_tenant AND k.phone = p_phone AND a.answered_at >= p_since AND NOT g.removed
		 ORDER BY a.answered_at DESC LIMIT 1);
END
$$;
