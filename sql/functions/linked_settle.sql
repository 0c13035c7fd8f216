-- linked_settle: what follows for the requests linked to a callback that ended in this run. Called in its
-- stead they end like it; if it was cancelled, the oldest of them is called instead.
-- Reads callback. Needs tenant_lock().
CREATE FUNCTION linked_settle(p_tenant int, p_now timestamptz, p_changes change[]) RETURNS change[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	r record;
	c callback;
	v_changes change[] := '{}';
	v_leader uuid;
	v_last uuid;
BEGIN
	FOR r IN
		SELECT e.ord, e.cb AS ended, f
		  FROM (SELECT DISTINCT ON ((n.cb).callback_id) n.ord, n.cb FROM unnest(p_changes) n
			 WHERE n.refusal IS NULL AND (n.cb).state IN ('completed', 'failed', 'cancelled', 'expired')
			 ORDER BY (n.cb).callback_id) e
		 CROSS JOIN LATERAL (SELECT b AS f, b.created_at, b.callback_id FROM callback b
			WHERE b.tenant_id = p_tenant AND b.linked_to = (e.cb).callback_id AND b.state = 'scheduled' OFFSET 0) f
		 ORDER BY e.ord, (e.cb).callback_id, f.created_at, f.callback_id
	LOOP
		c := r.f;
		IF (r.ended).state = 'cancelled' THEN
			IF v_last IS DISTINCT FROM (r.ended).callback_id THEN
				v_last := (r.ended).callback_id;
				v_leader := c.callback_id;
				c.linked_to := NULL;
			ELSE
				c.linked_to := v_leader;
			END IF;
			v_changes := v_changes || change_of(r.ord, NULL, 'callback.linked', NULL, c);
		ELSE
			c.state := (r.ended).state;
			c.reason := 'linked';
			c.ended_at := p_now;
			v_changes := v_changes || change_of(r.ord, NULL, 'callback.' || c.state, NULL, c);
		END IF;
	END LOOP;
	RETURN v_changes;
END
$$;
