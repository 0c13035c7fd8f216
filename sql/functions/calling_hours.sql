-- calling_hours: when a contact may be called, by his own clock: {"week": {"mon": ["08:00-21:00"], ...}, "exceptions": {...}},
-- as hours are written, but without a zone. All other times are his quiet hours. A company has them for all its queues,
-- and a queue may have others; NULL: at any time.
-- Who did not say where he is, may be in any zone of his number's region: then it has to be allowed in all of them.

-- calling_hours_errors: what is wrong with them, by place within them; an empty message: nothing is.
CREATE FUNCTION calling_hours_errors(p_hours jsonb) RETURNS TABLE (below text, message text)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF jsonb_typeof(p_hours) <> 'object' THEN
		RETURN QUERY SELECT '', 'must be an object {"week", "exceptions"}';
		RETURN;
	END IF;
	RETURN QUERY SELECT '.time_zone', CASE WHEN p_hours ? 'time_zone' THEN 'is not known: they go by each contact''s own clock' END;
	RETURN QUERY SELECT * FROM hours_errors(p_hours || '{"time_zone": "UTC"}');
END
$$;

-- hours_from: the first moment at or after p_at at which hours are open that are kept in that zone; NULL: none in a month.
CREATE FUNCTION hours_from(p_hours jsonb, p_zone text, p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_hours jsonb := p_hours || jsonb_build_object('time_zone', p_zone);
	v_opens timestamptz;
	v_until interval;
BEGIN
	-- the first look is nearly always enough, and a tenth of the work
	FOREACH v_until IN ARRAY '{1 second,2 days,31 days}'::interval[] LOOP
		SELECT h.opens_at INTO v_opens FROM hours_openings(v_hours, p_at, p_at + v_until) h ORDER BY h.opens_at LIMIT 1;
		IF FOUND THEN
			RETURN greatest(v_opens, p_at);
		END IF;
	END LOOP;
	RETURN NULL;
END
$$;

-- calling_from: the first moment at or after p_at at which it is allowed in all of the zones; NULL: none in a month or two.
CREATE FUNCTION calling_from(p_hours jsonb, p_zones text[], p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_at timestamptz := p_at;
	v_before timestamptz;
	v_zone text;
BEGIN
	WHILE v_at <= p_at + interval '31 days' LOOP
		v_before := v_at;
		FOREACH v_zone IN ARRAY p_zones LOOP
			v_at := hours_from(p_hours, v_zone, v_at);
		END LOOP;
		IF v_at = v_before THEN
			RETURN v_at;
		END IF;
	END LOOP;
	RETURN NULL;
END
$$;

-- calling_spans: when in that time it is allowed in all of the zones.
CREATE FUNCTION calling_spans(p_hours jsonb, p_zones text[], p_from timestamptz, p_until timestamptz) RETURNS tstzmultirange
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN (SELECT range_intersect_agg(z.open) FROM (
		SELECT coalesce(range_agg(tstzrange(h.opens_at, h.closes_at)) FILTER (WHERE h.opens_at IS NOT NULL), '{}') AS open
		  FROM unnest(p_zones) n(zone)
		  LEFT JOIN LATERAL hours_openings(p_hours || jsonb_build_object('time_zone', n.zone), p_from, p_until) h ON true
		 GROUP BY n.zone) z);
END
$$;

-- calling_hours: those of a queue, NULL: there are none. Reads queue, tenant.
CREATE FUNCTION calling_hours(p_tenant int, p_queue int) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN (SELECT coalesce(q.calling_hours, t.calling_hours)
		  FROM tenant t LEFT JOIN LATERAL queue_row(t.tenant_id, p_queue) q ON true WHERE t.tenant_id = p_tenant);
END
$$;

-- callable_at: see callable_from(), of a contact in these zones.
CREATE FUNCTION callable_at(p_tenant int, p_queue int, p_zones text[], p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_hours jsonb := calling_hours(p_tenant, p_queue);
	v_at timestamptz := opening_from(p_tenant, p_queue, p_at);
	v_before timestamptz;
BEGIN
	IF v_hours IS NULL THEN
		RETURN v_at;
	END IF;
	WHILE v_at <= p_at + interval '62 days' LOOP
		v_before := v_at;
		v_at := opening_from(p_tenant, p_queue, calling_from(v_hours, p_zones, v_at));
		IF v_at = v_before THEN
			RETURN v_at;
		END IF;
	END LOOP;
	RETURN NULL;
END
$$;

-- callback_zones: where its contact may be.
CREATE FUNCTION callback_zones(c callback) RETURNS text[]
LANGUAGE sql STABLE
AS $$ SELECT coalesce(c.zones, ARRAY[c.promise_zone]) $$;

-- callback_quiet_until: of a callback whose contact may not be called now, when he may be; NULL: now.
--   p_hours  the queue's calling hours, NULL: none
-- 'infinity': never.
-- Reads queue, tenant, opening.
CREATE FUNCTION callback_quiet_until(p_tenant int, c callback, p_hours jsonb, p_now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF p_hours IS NULL OR calling_from(p_hours, callback_zones(c), p_now) = p_now THEN
		RETURN NULL;
	END IF;
	RETURN coalesce(callable_from(p_tenant, c, p_now), 'infinity');
END
$$;

-- callback_blocked: why the number of a callback is of a kind that the company does not call: blocked_country,
-- blocked_number_type; NULL: it is none.
CREATE FUNCTION callback_blocked(t tenant, p_region text, p_type text) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
	SELECT CASE WHEN p_region = ANY (t.blocked_countries) THEN 'blocked_country'
		WHEN p_type = ANY (t.blocked_number_types) THEN 'blocked_number_type' END
$$;
