-- retry_time: the time that a retry asks for, NULL when it names none or one that is past or over a year away.
CREATE FUNCTION retry_time(p_args jsonb, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE
AS $$
	-- numeric: a number too large for bigint is a bad time, not an error
	SELECT CASE WHEN t.ms BETWEEN ms(p_now) AND ms(p_now + interval '366 days') THEN from_ms(t.ms::bigint) END
	  FROM (SELECT CASE
			WHEN jsonb_typeof(p_args -> 'at') = 'number' THEN (p_args ->> 'at')::numeric
			WHEN jsonb_typeof(p_args -> 'in_s') = 'number' THEN ms(p_now) + 1000 * (p_args ->> 'in_s')::numeric END AS ms) t
$$;

-- retry_refusal: what is in the way of a retry at the time that an agent asks for (retry_time()), NULL nothing:
-- {"errors": [{"field", "message"}], "possible_at": ms}. It is refused and not moved: he has just agreed on it with the
-- contact, and must hear of it while he can still say another. possible_at: the first later time that would do, if any.
-- What cannot be tried again at all is not refused: it fails, at whatever time.
-- Reads as retry_rule() and retry_at().
CREATE FUNCTION retry_refusal(p_tenant int, c callback, q queue, p_args jsonb, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_asked timestamptz := retry_time(p_args, p_now);
	v_at timestamptz;
	v_message text;
BEGIN
	IF v_asked IS NULL THEN
		v_message := 'is missing, past, or more than a year ahead';
	ELSIF (retry_rule(p_tenant, c, q, v_asked, p_now)).stop IS NULL THEN
		v_at := retry_at(p_tenant, c, q, v_asked);
		v_message := CASE
			WHEN v_at = v_asked THEN NULL
			WHEN callable_from(p_tenant, c, v_asked) = v_asked
				THEN 'is on a day on which the number has been called as often as the queue allows'
			ELSE 'is not a time at which the contact may be called' END;
	END IF;
	IF v_message IS NULL THEN
		RETURN NULL;
	END IF;
	RETURN jsonb_strip_nulls(jsonb_build_object('possible_at', ms(v_at), 'errors', jsonb_build_array(jsonb_build_object(
		'field', CASE WHEN p_args ? 'in_s' THEN 'in_s' ELSE 'at' END, 'message', v_message))));
END
$$;
