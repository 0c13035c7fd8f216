-- callable_from: the first moment at or after p_at at which this callback may be called; NULL when there is none.
-- It is the one place that knows of times at which nobody is called: whoever moves a callback to a later time asks
-- here, and whatever forbids a time is to be found here. What it returns is a time of which it would say the same
-- again: callable_from(callable_from(x)) = callable_from(x); and it never goes back: of a later p_at not an earlier one.
-- What forbids a time is, so far, a queue that is closed.
-- Reads queue, opening. Locks nothing.
CREATE FUNCTION callable_from(p_tenant int, c callback, p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN opening_from(p_tenant, c.queue_id, p_at);
END
$$;
