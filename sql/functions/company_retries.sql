-- company_retries: what is wrong with a retry matrix {"outcome": "stop" or {"delay_s", "attempts"}}, by place in it.
CREATE FUNCTION company_retries(p_value jsonb) RETURNS TABLE (below text, message text)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF jsonb_typeof(p_value) <> 'object' THEN
		RETURN QUERY SELECT '', 'must be an object {"outcome": {"delay_s", "attempts"} or "stop"}';
		RETURN;
	END IF;
	RETURN QUERY
	SELECT '.' || o.key, CASE
		WHEN o.key = 'invalid' THEN 'is never tried again'
		WHEN NOT outcome_counts(o.key) THEN 'does not count as an attempt: it is tried again after retry_delay_s'
		WHEN o.key <> ALL (retry_outcomes()) THEN 'is not an outcome'
		WHEN o.value <> '"stop"' AND jsonb_typeof(o.value) <> 'object' THEN 'must be "stop" or an object {"delay_s", "attempts"}' END
	  FROM jsonb_each(p_value) o
	 UNION ALL
	SELECT format('.%s.%s%s', o.key, m.key, w.below), CASE WHEN b.member IS NULL THEN 'is not known' ELSE w.message END
	  FROM jsonb_each(p_value) o
	 CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(o.value) = 'object' THEN o.value ELSE '{}' END) m
	  LEFT JOIN (VALUES ('delay_s', 0, 2592000), ('attempts', 1, 100)) b(member, low, high) ON b.member = m.key
	 CROSS JOIN LATERAL company_value_errors('int', b.low, b.high, NULL, NULL, false, m.value) w;
END
$$;
