-- callable_from: the first moment at or after p_at at which this callback may be called; NULL when there is none.
-- It is the one place that knows of times at which nobody is called: whoever moves a callback to a later time asks
-- here, and whatever forbids a time is to be found here. What it returns is a time of which it would say the same
-- again: callable_from(callable_from(x)) = callable_from(x); and it never goes back: of a later p_at not an earlier one.
-- What forbids a time is a queue that is closed, and the contact's quiet hours (calling_hours.sql).
-- Reads queue, opening, tenant. Locks nothing.
CREATE FUNCTION callable_from(p_tenant int, c callback, p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN callable_at(p_tenant, c.queue_id, callback_zones(c), p_at);
END
$$;
