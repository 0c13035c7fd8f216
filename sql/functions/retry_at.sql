-- retry_at: the first moment at or after p_at at which this callback may be tried again; NULL when there is none. Every time
-- of a retry comes from here, whoever asked for it.
-- It may be called then (callable_from()), and the number has not yet had the queue's attempts_per_day on that day, by the
-- clock of the contact's zone; if it has, the next day is looked at from its midnight. All callbacks of the number count,
-- of whatever queue; attempts that outcome_counts() leaves out do not.
-- Midnight is what PostgreSQL takes for it: after the gap, where clocks go forward at midnight; the second, where they go
-- back to it (wall_time() takes the first, which may lie before p_at).
-- Reads contact, attempt.
CREATE FUNCTION retry_at(p_tenant int, c callback, q queue, p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_at timestamptz := callable_from(p_tenant, c, p_at);
	v_full date[];
	v_day date;
BEGIN
	IF v_at IS NULL OR q.attempts_per_day = 0 THEN
		RETURN v_at;
	END IF;
	v_full := ARRAY(
		SELECT d.day
		  FROM (SELECT (a.started_at AT TIME ZONE c.promise_zone)::date AS day
			  FROM contact k
			 CROSS JOIN LATERAL (SELECT x.callback_id FROM contact x
				WHERE x.tenant_id = p_tenant AND x.phone = k.phone OFFSET 0) o
			 CROSS JOIN LATERAL (SELECT x.started_at, x.state FROM attempt x
				WHERE x.tenant_id = p_tenant AND x.callback_id = o.callback_id OFFSET 0) a
			 WHERE k.tenant_id = p_tenant AND k.callback_id = c.callback_id AND outcome_counts(a.state)) d
		 GROUP BY d.day HAVING count(*) >= q.attempts_per_day);
	LOOP
		v_day := (v_at AT TIME ZONE c.promise_zone)::date;
		EXIT WHEN v_at IS NULL OR v_day <> ALL (v_full);
		v_at := callable_from(p_tenant, c, (v_day + 1)::timestamp AT TIME ZONE c.promise_zone);
	END LOOP;
	RETURN v_at;
END
$$;
