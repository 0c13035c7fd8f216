-- hours: when a queue is open: {"time_zone": "Europe/Berlin", "week": {"mon": ["08:00-12:30", "13:30-18:00"], ...},
-- "exceptions": {"2026-12-24": ["08:00-12:00"], "2026-12-25": []}}. A day that the week does not name is closed; an
-- exception stands instead of the whole day. A span may end at 24:00.

-- hours_span: whether it is written as one.
CREATE FUNCTION hours_span(p_text text) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$ SELECT p_text ~ '^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$' $$;

-- hours_day: what hours, or staff, say of that day; NULL: nothing.
CREATE FUNCTION hours_day(p_hours jsonb, p_day timestamp) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT coalesce(p_hours -> 'exceptions' -> to_char(p_day, 'YYYY-MM-DD'),
		p_hours -> 'week' -> (ARRAY['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])[extract(isodow FROM p_day)::int])
$$;

-- hours_days: every day that hours, or staff, name, and where; or what is wrong with it, or with what it stands in. What
-- a day says, its caller knows.
CREATE FUNCTION hours_days(p_hours jsonb) RETURNS TABLE (below text, message text, day jsonb)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN QUERY
	SELECT '.' || m.name, CASE
		WHEN m.name = 'week' AND NOT p_hours ? 'week' THEN 'is missing'
		WHEN jsonb_typeof(p_hours -> m.name) <> 'object' THEN format('must be an object {"%s": ..., ...}', m.example)
		WHEN jsonb_typeof(p_hours -> m.name) = 'object' AND (SELECT count(*) FROM jsonb_object_keys(p_hours -> m.name)) > 1000
			THEN 'must have at most 1000 days' END, NULL::jsonb
	  FROM (VALUES ('week', 'mon'), ('exceptions', '2026-12-25')) m(name, example);
	RETURN QUERY
	SELECT format('.%s.%s', m.name, d.key), CASE
		WHEN m.name = 'week' AND d.key NOT IN ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')
			THEN 'is not a day: they are mon, tue, wed, thu, fri, sat and sun'
		WHEN m.name = 'exceptions' AND local_time(d.key || 'T00:00') IS NULL THEN 'is not a date like 2026-12-25' END, d.value
	  FROM (VALUES ('week'), ('exceptions')) m(name)
	 CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(p_hours -> m.name) = 'object' THEN p_hours -> m.name ELSE '{}' END) d;
END
$$;

-- hours_span_errors: what is wrong with one day's spans, by place within it.
CREATE FUNCTION hours_span_errors(p_below text, p_spans jsonb) RETURNS TABLE (below text, message text)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF jsonb_typeof(p_spans) <> 'array' THEN
		RETURN QUERY SELECT p_below, 'must be an array of spans like "08:00-12:30"';
		RETURN;
	END IF;
	RETURN QUERY
	SELECT format('%s[%s]', p_below, s.n - 1), CASE
		WHEN s.text IS NULL THEN 'must be a span like "08:00-12:30"'
		WHEN s.opens >= s.closes THEN 'must end after it begins'
		WHEN s.opens <= s.before THEN 'must begin after the one before has ended' END
	  FROM (SELECT e.n, e.text, left(e.text, 5) AS opens, right(e.text, 5) AS closes,
			right(lag(e.text) OVER (ORDER BY e.n), 5) AS before
		  FROM (SELECT a.n, CASE WHEN jsonb_typeof(a.value) = 'string' AND hours_span(a.value #>> '{}') THEN a.value #>> '{}' END AS text
			  FROM jsonb_array_elements(p_spans) WITH ORDINALITY a(value, n)) e) s;
	IF jsonb_array_length(p_spans) > 20 THEN
		RETURN QUERY SELECT p_below, 'must have at most 20 spans';
	END IF;
END
$$;

-- hours_errors: what is wrong with hours, by place within them; an empty message: nothing is.
CREATE FUNCTION hours_errors(p_hours jsonb) RETURNS TABLE (below text, message text)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF jsonb_typeof(p_hours) <> 'object' THEN
		RETURN QUERY SELECT '', 'must be an object {"time_zone", "week", "exceptions"}';
		RETURN;
	END IF;
	RETURN QUERY SELECT '.' || k, 'is not known' FROM jsonb_object_keys(p_hours) k WHERE k NOT IN ('time_zone', 'week', 'exceptions');
	RETURN QUERY SELECT '.time_zone', CASE
		WHEN NOT p_hours ? 'time_zone' THEN 'is missing'
		WHEN jsonb_typeof(p_hours -> 'time_zone') <> 'string'
			OR NOT EXISTS (SELECT FROM time_zone z WHERE z.name = p_hours ->> 'time_zone') THEN 'is not a known IANA time zone' END;
	RETURN QUERY SELECT d.below, d.message FROM hours_days(p_hours) d;
	RETURN QUERY SELECT e.* FROM hours_days(p_hours) d CROSS JOIN LATERAL hours_span_errors(d.below, d.day) e WHERE d.message IS NULL AND d.day IS NOT NULL;
END
$$;

-- hours_openings: hours, which must be good, as intervals of UTC that end after p_from and begin before p_until; those
-- that touch are one. What a change of clocks leaves nothing of is left out (wall_time() says what it does to the others).
CREATE FUNCTION hours_openings(p_hours jsonb, p_from timestamptz, p_until timestamptz)
RETURNS TABLE (opens_at timestamptz, closes_at timestamptz)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_zone text := p_hours ->> 'time_zone';
BEGIN
	RETURN QUERY
	WITH day AS (
		SELECT d::date AS local, coalesce(hours_day(p_hours, d), '[]') AS spans
		  FROM generate_series(date_trunc('day', p_from AT TIME ZONE v_zone) - interval '1 day', (p_until AT TIME ZONE v_zone) + interval '1 day',
			interval '1 day') d
	), span AS (
		SELECT (wall_time(day.local + left(s, 5)::interval, v_zone)).at AS opens,
			(wall_time(day.local + right(s, 5)::interval, v_zone)).at AS closes
		  FROM day CROSS JOIN LATERAL jsonb_array_elements_text(day.spans) s
	), first AS (
		-- not the one before: a gap may stretch one span over several that follow
		SELECT b.opens, b.closes, count(*) FILTER (WHERE b.before IS NULL OR b.before < b.opens) OVER (ORDER BY b.opens, b.closes) AS island
		  FROM (SELECT span.*, max(span.closes) OVER (ORDER BY span.opens, span.closes ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
			AS before FROM span WHERE span.opens < span.closes) b
	)
	SELECT min(first.opens), max(first.closes) FROM first GROUP BY first.island
	HAVING max(first.closes) > p_from AND min(first.opens) < p_until
	 ORDER BY 1;
END
$$;

-- opening_write: the queue's hours in UTC from yesterday on for 400 days, longer than any promise may be ahead; the
-- queue as it is then. Writes opening, queue.open_until. Needs tenant_lock().
CREATE FUNCTION opening_write(q queue, p_now timestamptz) RETURNS queue
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	DELETE FROM opening o WHERE o.tenant_id = q.tenant_id AND o.queue_id = q.queue_id;
	q.open_until := CASE WHEN q.hours IS NOT NULL THEN date_trunc('day', p_now) + interval '400 days' END;
	UPDATE queue u SET open_until = q.open_until WHERE u.tenant_id = q.tenant_id AND u.queue_id = q.queue_id;
	IF q.hours IS NOT NULL THEN
		INSERT INTO opening (tenant_id, queue_id, opens_at, closes_at)
		SELECT q.tenant_id, q.queue_id, h.opens_at, h.closes_at
		  FROM hours_openings(q.hours, date_trunc('day', p_now) - interval '1 day', q.open_until) h;
	END IF;
	RETURN q;
END
$$;

-- opening_from: the first moment at or after p_at at which the queue is open; NULL: none that is known. A queue
-- without hours always is. Reads queue, opening.
CREATE FUNCTION opening_from(p_tenant int, p_queue int, p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_opens timestamptz;
BEGIN
	IF (SELECT q.hours IS NULL FROM queue q WHERE q.tenant_id = p_tenant AND q.queue_id = p_queue) THEN
		RETURN p_at;
	END IF;
	SELECT o.opens_at INTO v_opens FROM opening o
	 WHERE o.tenant_id = p_tenant AND o.queue_id = p_queue AND o.closes_at > p_at ORDER BY o.closes_at LIMIT 1;
	-- not greatest() alone, which passes over NULL
	RETURN CASE WHEN v_opens IS NOT NULL THEN greatest(v_opens, p_at) END;
END
$$;

-- opening_add: when the queue has been open for p_s seconds from p_at on. A queue without hours always is; beyond what is
-- known of them time counts as it passes. Reads queue, opening.
CREATE FUNCTION opening_add(p_tenant int, p_queue int, p_at timestamptz, p_s double precision) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT
AS $$
DECLARE
	o opening;
	v_from timestamptz := p_at;
	v_left interval := make_interval(secs => p_s);
BEGIN
	IF (SELECT q.hours IS NULL FROM queue q WHERE q.tenant_id = p_tenant AND q.queue_id = p_queue) THEN
		RETURN p_at + v_left;
	END IF;
	FOR o IN SELECT * FROM opening x WHERE x.tenant_id = p_tenant AND x.queue_id = p_queue AND x.closes_at > p_at ORDER BY x.closes_at LOOP
		v_from := greatest(o.opens_at, p_at);
		IF v_from + v_left <= o.closes_at THEN
			RETURN v_from + v_left;
		END IF;
		v_left := v_left - (o.closes_at - v_from);
		v_from := o.closes_at;
	END LOOP;
	RETURN v_from + v_left;
END
$$;

-- opening_between: for how many seconds it is open between two times: opening_add() of the first gives the second, if it is
-- open then. Reads queue, opening.
CREATE FUNCTION opening_between(p_tenant int, p_queue int, p_from timestamptz, p_to timestamptz) RETURNS double precision
LANGUAGE plpgsql STABLE STRICT
AS $$
BEGIN
	IF (SELECT q.hours IS NULL FROM queue q WHERE q.tenant_id = p_tenant AND q.queue_id = p_queue) THEN
		RETURN extract(epoch FROM p_to - p_from);
	END IF;
	RETURN (SELECT coalesce(sum(extract(epoch FROM least(o.closes_at, p_to) - greatest(o.opens_at, p_from))), 0) FROM opening o
		 WHERE o.tenant_id = p_tenant AND o.queue_id = p_queue AND o.closes_at > p_from AND o.opens_at < p_to);
END
$$;
