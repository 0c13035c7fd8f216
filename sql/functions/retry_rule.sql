-- retry_rule: whether a callback may be tried again, and not before when.
--   p_asked   the time that an agent asked for, NULL none: then the last attempt's outcome says it, by the queue's retry
--             matrix (queue.retries): so long after that dial, or "stop"
--   earliest  not yet a time at which it may be called: that is for retry_at()
--   stop      why not, NULL it may:
--               invalid_number        an attempt found that the number does not exist
--               stop_OUTCOME          the matrix says "stop" of the last attempt's outcome
--               max_attempts          the queue's max_attempts are used up
--               max_attempts_OUTCOME  that many attempts of the last one's outcome are all that the matrix allows
-- What the matrix does not say, and outcomes that do not count (outcome_counts()), are tried again retry_delay_s after the
-- dial. Who closes it without a dial of his own has it tried again retry_delay_s from now at the earliest: what was
-- said of a dial of yesterday has long passed. An agent's own time knows nothing of the matrix; but a number that
-- does not exist, and attempts that are used up, are his limits, too.
-- Reads attempt, offer.
CREATE FUNCTION retry_rule(p_tenant int, c callback, q queue, p_asked timestamptz, p_now timestamptz,
	OUT earliest timestamptz, OUT stop text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	a attempt;
	v_cell jsonb;
	v_same bigint;
	v_invalid boolean;
BEGIN
	SELECT p.* INTO a FROM attempt p
	 WHERE p.tenant_id = p_tenant AND p.callback_id = c.callback_id ORDER BY p.number DESC LIMIT 1;
	SELECT count(*) FILTER (WHERE p.state = a.state), coalesce(bool_or(p.state = 'invalid'), false) INTO v_same, v_invalid
	  FROM attempt p WHERE p.tenant_id = p_tenant AND p.callback_id = c.callback_id;
	IF p_asked IS NULL THEN
		v_cell := q.retries -> a.state;
	END IF;
	stop := CASE
		WHEN v_invalid THEN 'invalid_number'
		WHEN v_cell = '"stop"' THEN 'stop_' || a.state
		WHEN c.attempts >= q.max_attempts THEN 'max_attempts'
		WHEN v_same >= (v_cell ->> 'attempts')::int THEN 'max_attempts_' || a.state END;
	earliest := greatest(p_now, p_asked);
	IF p_asked IS NULL THEN
		earliest := greatest(p_now, a.started_at + seconds(coalesce((v_cell ->> 'delay_s')::int, q.retry_delay_s)));
		IF NOT retry_dialled(p_tenant, c) THEN
			earliest := greatest(earliest, p_now + seconds(q.retry_delay_s));
		END IF;
	END IF;
END
$$;

-- retry_dialled: whether it was dialled since its agent accepted it. By the numbers of the events, not by their times,
-- of which several may be the same. Reads attempt, offer.
CREATE FUNCTION retry_dialled(p_tenant int, c callback) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_dialled bigint;
	v_accepted bigint;
BEGIN
	SELECT p.seq INTO v_dialled FROM attempt p
	 WHERE p.tenant_id = p_tenant AND p.callback_id = c.callback_id ORDER BY p.number DESC LIMIT 1;
	SELECT max(o.seq) INTO v_accepted FROM offer o
	 WHERE o.tenant_id = p_tenant AND o.callback_id = c.callback_id AND o.state = 'accepted';
	RETURN v_dialled IS NOT NULL AND v_dialled > coalesce(v_accepted, 0);
END
$$;
