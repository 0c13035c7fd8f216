-- callback_retry: the callback as it is when it shall be tried again: at p_asked, if an agent asked for a time, or else as the
-- queue's retry matrix says (retry_rule()), at the first moment that retry_at() knows from then on. Scheduled, with the
-- whole of its promise window from then on (what is left of the first one may be less than the delay); or
-- failed, with the reason of retry_rule(), or not_callable when there is no such moment.
-- It is for whom it was for before it was widened.
-- Reads attempt, offer, contact, requirement_class, queue. Needs tenant_lock().
CREATE FUNCTION callback_retry(p_tenant int, c callback, p_asked timestamptz, p_reason text, q queue, p_now timestamptz) RETURNS callback
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_rule record := retry_rule(p_tenant, c, q, p_asked, p_now);
	v_at timestamptz;
BEGIN
	IF v_rule.stop IS NOT NULL THEN
		RETURN callback_finish(c, 'failed', v_rule.stop, p_now);
	END IF;
	c := widen_home(p_tenant, c);
	IF c.queue_id <> q.queue_id THEN
		SELECT * INTO q FROM queue_row(p_tenant, c.queue_id);
	END IF;
	v_at := retry_at(p_tenant, c, q, v_rule.earliest);
	IF v_at IS NULL THEN
		RETURN callback_finish(c, 'failed', 'not_callable', p_now);
	END IF;
	c.state := 'scheduled';
	c.reason := p_reason;
	c.agent_id := NULL;
	c.deadline_at := NULL;
	c.expires_at := promise_expiry(c, q, v_at);
	c.due_at := v_at;
	RETURN c;
END
$$;

-- callback_let_go: the callback as it is when its agent does not keep it, whether he says so, is gone or lets it lie: others
-- are asked first (callback_return()), at once if he has not dialled, and else as callback_retry() says: who did
-- not answer him is not called by the next one a second later.
-- Reads attempt, offer, contact. Needs tenant_lock().
CREATE FUNCTION callback_let_go(p_tenant int, c callback, p_reason text, q queue, p_now timestamptz) RETURNS callback
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_dialled boolean := retry_dialled(p_tenant, c);
BEGIN
	c := callback_return(c, p_reason, p_now);
	IF v_dialled THEN
		c := callback_retry(p_tenant, c, NULL, p_reason, q, p_now);
	END IF;
	RETURN c;
END
$$;
