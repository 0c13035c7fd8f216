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
