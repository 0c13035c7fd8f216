-- promise_expiry: when the promise window of a callback ends that is due at p_at from now on: the rule's that placed it, or
-- else the queue's; NULL: never. It is counted while the queue is open. Reads queue, opening.
CREATE FUNCTION promise_expiry(c callback, q queue, p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_window_s int := coalesce(c.promise_window_s, q.promise_window_s);
BEGIN
	RETURN CASE WHEN v_window_s > 0 THEN opening_add(q.tenant_id, q.queue_id, p_at, v_window_s) END;
END
$$;

-- promise_left: when it ends, if what is left of it at p_from begins anew at p_to. Reads queue, opening.
CREATE FUNCTION promise_left(c callback, p_from timestamptz, p_to timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN opening_add(c.tenant_id, c.queue_id, p_to, opening_between(c.tenant_id, c.queue_id, p_from, c.expires_at));
END
$$;
