-- offer_end: the callback as it is after one of its pending offers ended unaccepted.
--   p_others   whether more of its offers are pending (ring_all): then it stays offered
-- Back to scheduled with the last one, or failed when its offers are used up; remembers who was tried.
CREATE FUNCTION offer_end(c callback, p_agent int, p_others boolean, q queue, p_now timestamptz) RETURNS callback
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	c.tried := coalesce((SELECT jsonb_agg(t) FROM jsonb_array_elements(c.tried) t WHERE (t ->> 0)::int <> p_agent), '[]')
		|| jsonb_build_array(jsonb_build_array(p_agent, ms(p_now)));
	IF p_others THEN
		RETURN c;
	END IF;
	IF c.offers >= q.max_offers THEN
		c.state := 'failed';
		c.reason := 'max_offers';
		c.ended_at := p_now;
	ELSE
		c.state := 'scheduled';
	END IF;
	RETURN c;
END
$$;
