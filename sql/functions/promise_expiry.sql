-- promise_expiry: when a callback expires that is due at p_at from now on: after the queue's promise window, or after the
-- one that a rule gave it, which is the one that it has; NULL: never. c is as it is before.
CREATE FUNCTION promise_expiry(c callback, q queue, p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF c.rule IS NOT NULL THEN
		RETURN p_at + (c.expires_at - c.due_at);
	END IF;
	RETURN CASE WHEN q.promise_window_s > 0 THEN p_at + seconds(q.promise_window_s) END;
END
$$;
