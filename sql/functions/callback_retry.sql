-- callback_retry: the callback as it is when it shall be tried again at p_at: scheduled, with the whole of the
-- queue's promise window from then on (what is left of the first one may be less than the delay); or failed,
-- when its attempts are used up.
CREATE FUNCTION callback_retry(c callback, p_at timestamptz, p_reason text, q queue, p_now timestamptz) RETURNS callback
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	IF c.attempts >= q.max_attempts THEN
		RETURN callback_finish(c, 'failed', 'max_attempts', p_now);
	END IF;
	c.state := 'scheduled';
	c.reason := p_reason;
	c.agent_id := NULL;
	c.deadline_at := NULL;
	c.due_at := p_at;
	c.expires_at := CASE WHEN q.promise_window_s > 0 THEN p_at + seconds(q.promise_window_s) END;
	RETURN c;
END
$$;
