-- callback_return: the callback as it is when its agent does not keep it: scheduled again, due as before. He
-- counts as tried, so that others are asked first.
CREATE FUNCTION callback_return(c callback, p_reason text, p_now timestamptz) RETURNS callback
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	c.tried := coalesce((SELECT jsonb_agg(t) FROM jsonb_array_elements(c.tried) t WHERE (t ->> 0)::int <> c.agent_id), '[]')
		|| jsonb_build_array(jsonb_build_array(c.agent_id, ms(p_now)));
	c.state := 'scheduled';
	c.reason := p_reason;
	c.agent_id := NULL;
	c.deadline_at := NULL;
	RETURN c;
END
$$;
