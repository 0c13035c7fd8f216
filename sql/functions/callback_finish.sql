-- callback_finish: the callback as it is in a terminal state.
CREATE FUNCTION callback_finish(c callback, p_state text, p_reason text, p_now timestamptz) RETURNS callback
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	c.state := p_state;
	c.reason := p_reason;
	c.agent_id := NULL;
	c.deadline_at := NULL;
	c.ended_at := p_now;
	RETURN c;
END
$$;

-- callback_escalate: the callback as it is when its promise was not kept in time, and shall be all the same: before all others,
-- until it is tried again or promised another time.
CREATE FUNCTION callback_escalate(c callback) RETURNS callback
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	c.home_class := coalesce(c.home_class, c.class_id);
	c.home_priority := coalesce(c.home_priority, c.priority);
	c.priority := 1000;
	c.expires_at := NULL;
	c.reason := 'promise_window';
	RETURN c;
END
$$;
