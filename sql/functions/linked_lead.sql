-- linked_lead: who of the requests that are linked to each other is called, now that c, one of them, is due at another time:
-- the same as if c had been asked for with it, see intake_link(). The leader stays when it is in somebody's hands; else
-- the one due first leads, and of several the one that led; but none that would expire by that, and all with it.
--   c   as it is about to be; comes back with the linked_to that follows
-- others: those of the rest that get another leader, or none.
-- Reads callback. Needs tenant_lock().
CREATE FUNCTION linked_lead(p_tenant int, p_now timestamptz, INOUT c callback, OUT others callback[])
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_led uuid := coalesce(c.linked_to, c.callback_id);
	v_rest callback[];
	v_leads uuid;
	l callback;
	x callback;
BEGIN
	others := '{}';
	v_rest := ARRAY(
		SELECT b FROM callback b
		 WHERE b.tenant_id = p_tenant AND b.linked_to = v_led AND b.state = 'scheduled' AND b.callback_id <> c.callback_id
		 ORDER BY b.created_at, b.callback_id);
	IF c.linked_to IS NOT NULL THEN
		SELECT * INTO l FROM callback_row(p_tenant, c.linked_to);
		IF l.state <> 'scheduled' THEN
			RETURN;
		END IF;
		v_rest := l || v_rest;
	END IF;
	IF cardinality(v_rest) = 0 THEN
		RETURN;
	END IF;
	SELECT u.callback_id INTO v_leads FROM unnest(v_rest || c) u
	 WHERE u.callback_id = c.callback_id OR u.expires_at IS NULL OR u.expires_at > p_now
	 ORDER BY u.due_at, u.callback_id <> v_led, u.created_at, u.callback_id LIMIT 1;
	IF v_leads = v_led THEN
		RETURN;
	END IF;
	c.linked_to := nullif(v_leads, c.callback_id);
	FOREACH x IN ARRAY v_rest LOOP
		x.linked_to := nullif(v_leads, x.callback_id);
		others := others || x;
	END LOOP;
END
$$;
