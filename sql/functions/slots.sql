-- slots: the times that can be booked in a queue, and how many places each has. queue.slots is
--   {"minutes": 30, "capacity": 5}                          so many places, or
--   {"minutes": 30, "per_agent": 1.5, "staff": {...}}       so many for each agent who is scheduled
-- staff is written as hours are, with how many are there: {"week": {"mon": {"08:00-12:30": 4}}, "exceptions": {"2026-12-24": {}}}.
-- A slot begins every so many minutes, from midnight on by the queue's clock, and lies whole within its opening hours. Of
-- wall times that a change of clocks leaves out there is no slot, of those that it repeats one: the first (wall_time()).
-- A place is taken by a callback that is booked and has not ended, whose promise is in the slot, or by a hold.

-- slot_staff_errors: what is wrong with one day's staff, by place within it.
CREATE FUNCTION slot_staff_errors(p_below text, p_staff jsonb) RETURNS TABLE (below text, message text)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF jsonb_typeof(p_staff) <> 'object' THEN
		RETURN QUERY SELECT p_below, 'must be an object {"08:00-12:30": agents}';
		RETURN;
	END IF;
	RETURN QUERY
	SELECT format('%s.%s', p_below, s.key), CASE
		WHEN NOT hours_span(s.key) THEN 'is not a span like "08:00-12:30"'
		WHEN left(s.key, 5) >= right(s.key, 5) THEN 'must end after it begins'
		WHEN left(s.key, 5) < s.before THEN 'must not begin before the one before has ended'
		WHEN jsonb_typeof(s.value) <> 'number' OR s.value #>> '{}' !~ '^[0-9]{1,5}$' THEN 'must be how many agents, up to 99999' END
	  FROM (SELECT e.key, e.value, max(right(e.key, 5)) OVER (ORDER BY e.key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
		  FROM jsonb_each(p_staff) e) s;
	IF (SELECT count(*) FROM jsonb_object_keys(p_staff)) > 100 THEN
		RETURN QUERY SELECT p_below, 'must have at most 100 spans';
	END IF;
END
$$;

-- slot_errors: what is wrong with slots, by place within them; an empty message: nothing is.
CREATE FUNCTION slot_errors(p_slots jsonb) RETURNS TABLE (below text, message text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_staff jsonb := p_slots -> 'staff';
BEGIN
	IF jsonb_typeof(p_slots) <> 'object' THEN
		RETURN QUERY SELECT '', 'must be an object {"minutes", "capacity"} or {"minutes", "per_agent", "staff"}';
		RETURN;
	END IF;
	RETURN QUERY SELECT '.' || k, 'is not known' FROM jsonb_object_keys(p_slots) k
		WHERE k NOT IN ('minutes', 'capacity', 'per_agent', 'staff');
	RETURN QUERY SELECT '.minutes', CASE
		WHEN NOT p_slots ? 'minutes' THEN 'is missing'
		WHEN p_slots ->> 'minutes' !~ '^[0-9]{1,4}$' OR jsonb_typeof(p_slots -> 'minutes') <> 'number' THEN 'must be an integer'
		WHEN (p_slots ->> 'minutes')::int NOT BETWEEN 5 AND 1440 OR 1440 % (p_slots ->> 'minutes')::int <> 0
			THEN 'must be from 5 to 1440, and a day a multiple of it' END;
	RETURN QUERY SELECT '.capacity', CASE
		WHEN p_slots ? 'capacity' AND (p_slots ? 'per_agent' OR p_slots ? 'staff') THEN 'must not be there beside per_agent and staff'
		WHEN NOT p_slots ? 'capacity' AND NOT p_slots ? 'per_agent' AND NOT p_slots ? 'staff' THEN 'is missing, or per_agent and staff'
		WHEN p_slots ? 'capacity' AND (jsonb_typeof(p_slots -> 'capacity') <> 'number' OR p_slots ->> 'capacity' !~ '^[0-9]{1,5}$')
			THEN 'must be an integer from 0 to 99999' END;
	RETURN QUERY SELECT '.per_agent', CASE
		WHEN p_slots ? 'staff' AND NOT p_slots ? 'per_agent' THEN 'is missing'
		WHEN p_slots ? 'per_agent' AND (jsonb_typeof(p_slots -> 'per_agent') <> 'number'
			OR NOT (p_slots ->> 'per_agent')::numeric BETWEEN 0.01 AND 100) THEN 'must be a number from 0.01 to 100' END;
	RETURN QUERY SELECT '.staff', CASE
		WHEN p_slots ? 'per_agent' AND v_staff IS NULL THEN 'is missing'
		WHEN jsonb_typeof(v_staff) <> 'object' THEN 'must be an object {"week", "exceptions"}' END;
	IF jsonb_typeof(v_staff) IS DISTINCT FROM 'object' THEN
		RETURN;
	END IF;
	RETURN QUERY SELECT '.staff.' || k, 'is not known' FROM jsonb_object_keys(v_staff) k WHERE k NOT IN ('week', 'exceptions');
	RETURN QUERY SELECT '.staff' || d.below, d.message FROM hours_days(v_staff) d;
	RETURN QUERY SELECT e.* FROM hours_days(v_staff) d CROSS JOIN LATERAL slot_staff_errors('.staff' || d.below, d.day) e
		WHERE d.message IS NULL AND d.day IS NOT NULL;
END
$$;

-- slot_places: how many places good slots have in the one that begins at that wall time: of those who are scheduled, only
-- who is there for all of it counts.
CREATE FUNCTION slot_places(p_slots jsonb, p_local timestamp) RETURNS int
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_ends timestamp := p_local + (p_slots ->> 'minutes')::int * interval '1 minute';
	v_from text := to_char(p_local, 'HH24:MI');
	v_to text := CASE WHEN v_ends::date > p_local::date THEN '24:00' ELSE to_char(v_ends, 'HH24:MI') END;
BEGIN
	IF p_slots ? 'capacity' THEN
		RETURN p_slots ->> 'capacity';
	END IF;
	RETURN coalesce(floor((p_slots ->> 'per_agent')::numeric * (
		SELECT min(s.value::int) FROM jsonb_each_text(hours_day(p_slots -> 'staff', p_local)) s WHERE left(s.key, 5) < v_to AND right(s.key, 5) > v_from
		HAVING sum(extract(epoch FROM least(right(s.key, 5), v_to)::interval - greatest(left(s.key, 5), v_from)::interval))
			= 60 * (p_slots ->> 'minutes')::int)), 0);
END
$$;

-- slot: one, with what is left of it.
--   ends_at  so many minutes later
--   local    when it begins by the queue's clock
--   booked   callbacks promised in it that have not ended; held: holds that have not run out
CREATE TYPE slot AS (
	at		timestamptz,
	ends_at		timestamptz,
	local_at	timestamp,
	places		int,
	booked		int,
	held		int
);

CREATE FUNCTION slot_left(s slot) RETURNS int
LANGUAGE sql IMMUTABLE
AS $$ SELECT greatest(s.places - s.booked - s.held, 0) $$;

-- slot_zone: by whose clock a queue's slots begin: that of its hours, or else the company's. Reads tenant.
CREATE FUNCTION slot_zone(q queue) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN coalesce(q.hours ->> 'time_zone', (SELECT t.time_zone FROM tenant t WHERE t.tenant_id = q.tenant_id));
END
$$;

-- slot_shape: the slot that begins at that wall time of p_zone, as if nobody had a place in it; NULL: none does.
-- Reads opening.
CREATE FUNCTION slot_shape(q queue, p_local timestamp, p_zone text) RETURNS slot
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	s slot;
	w wall := wall_time(p_local, p_zone);
	o opening;
BEGIN
	s.at := w.at;
	s.ends_at := w.at + (q.slots ->> 'minutes')::int * interval '1 minute';
	s.local_at := p_local;
	IF w.note = 'moved_forward' THEN
		RETURN NULL;
	END IF;
	IF q.hours IS NOT NULL THEN
		SELECT * INTO o FROM opening p WHERE p.tenant_id = q.tenant_id AND p.queue_id = q.queue_id AND p.closes_at > s.at
		 ORDER BY p.closes_at LIMIT 1;
		IF coalesce(o.opens_at > s.at OR o.closes_at < s.ends_at, true) THEN
			RETURN NULL;
		END IF;
	END IF;
	s.places := slot_places(q.slots, p_local);
	s.booked := 0;
	s.held := 0;
	RETURN CASE WHEN s.places > 0 THEN s END;
END
$$;

-- slot_of: the same, with what is taken of it.
-- Reads opening, callback, slot_hold.
CREATE FUNCTION slot_of(q queue, p_local timestamp, p_zone text, p_now timestamptz) RETURNS slot
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	s slot := slot_shape(q, p_local, p_zone);
BEGIN
	IF s.at IS NULL THEN
		RETURN NULL;
	END IF;
	SELECT count(*) INTO s.booked FROM callback c
	 WHERE c.tenant_id = q.tenant_id AND c.queue_id = q.queue_id AND c.booked AND c.ended_at IS NULL
	   AND c.promise_at >= s.at AND c.promise_at < s.ends_at;
	SELECT count(*) INTO s.held FROM slot_hold h
	 WHERE h.tenant_id = q.tenant_id AND h.queue_id = q.queue_id AND h.slot_at >= s.at AND h.slot_at < s.ends_at AND h.until > p_now;
	RETURN s;
END
$$;

-- slot_start: when the slot would begin, by the wall clock, in which that wall time lies.
CREATE FUNCTION slot_start(p_local timestamp, p_minutes int) RETURNS timestamp
LANGUAGE sql IMMUTABLE
AS $$
	SELECT date_trunc('day', p_local)
		+ floor(extract(epoch FROM p_local - date_trunc('day', p_local)) / 60 / p_minutes) * p_minutes * interval '1 minute'
$$;

-- slot_at: the slot that begins exactly then, NULL: none does.
CREATE FUNCTION slot_at(q queue, p_at timestamptz, p_now timestamptz) RETURNS slot
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_zone text := slot_zone(q);
	v_local timestamp := p_at AT TIME ZONE v_zone;
	s slot;
BEGIN
	IF slot_start(v_local, (q.slots ->> 'minutes')::int) = v_local THEN
		s := slot_of(q, v_local, v_zone, p_now);
	END IF;
	-- of a wall time that comes twice, the second is none
	RETURN CASE WHEN s.at = p_at THEN s END;
END
$$;

-- slot_list: the slots that begin from p_from on and before p_until, full ones too, in order; strangers ask for it, so what is
-- taken is counted once for all of them, and not for each.
CREATE FUNCTION slot_list(q queue, p_from timestamptz, p_until timestamptz, p_now timestamptz) RETURNS SETOF slot
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_zone text := slot_zone(q);
	v_minutes int := q.slots ->> 'minutes';
BEGIN
	RETURN QUERY
	WITH b AS MATERIALIZED (
		SELECT slot_start(c.promise_at AT TIME ZONE v_zone, v_minutes) AS local_at, count(*)::int AS n FROM callback c
		 WHERE c.tenant_id = q.tenant_id AND c.queue_id = q.queue_id AND c.booked AND c.ended_at IS NULL
		   AND c.promise_at >= p_from AND c.promise_at < p_until + v_minutes * interval '1 minute' GROUP BY 1
	), h AS MATERIALIZED (
		SELECT slot_start(o.slot_at AT TIME ZONE v_zone, v_minutes) AS local_at, count(*)::int AS n FROM slot_hold o
		 WHERE o.tenant_id = q.tenant_id AND o.queue_id = q.queue_id AND o.until > p_now
		   AND o.slot_at >= p_from AND o.slot_at < p_until + v_minutes * interval '1 minute' GROUP BY 1
	)
	SELECT s.at, s.ends_at, s.local_at, s.places, coalesce(b.n, 0), coalesce(h.n, 0)
	  FROM generate_series(slot_start(p_from AT TIME ZONE v_zone - interval '3 hours', v_minutes), p_until AT TIME ZONE v_zone + interval '3 hours',
		v_minutes * interval '1 minute') g
	 CROSS JOIN LATERAL slot_shape(q, g, v_zone) s
	  LEFT JOIN b ON b.local_at = s.local_at
	  LEFT JOIN h ON h.local_at = s.local_at
	 WHERE s.at >= p_from AND s.at < p_until
	 ORDER BY s.at;
END
$$;

-- slot_key: a slot's name in p_taken.
CREATE FUNCTION slot_key(q queue, p_at timestamptz) RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT q.queue_id || ' ' || ms(p_at) $$;

-- slot_next: the first slot from p_from on, and within two weeks of it, in which a place is left; NULL: none.
--   p_taken  {"queue ms": places} of what this batch has taken beside what is stored
--   p_zones  of the contact: it is at none of his quiet hours
-- One look after the other: the first is nearly always free.
CREATE FUNCTION slot_next(q queue, p_from timestamptz, p_now timestamptz, p_taken jsonb, p_zones text[]) RETURNS slot
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_zone text := slot_zone(q);
	v_minutes int := q.slots ->> 'minutes';
	v_local timestamp;
	s slot;
BEGIN
	-- no change of clocks is three hours
	FOR v_local IN SELECT * FROM generate_series(slot_start(p_from AT TIME ZONE v_zone - interval '3 hours', v_minutes),
		p_from AT TIME ZONE v_zone + interval '14 days', v_minutes * interval '1 minute')
	LOOP
		s := slot_of(q, v_local, v_zone, p_now);
		IF s.at >= p_from AND slot_left(s) > coalesce((p_taken ->> slot_key(q, s.at))::int, 0)
			AND callable_at(q.tenant_id, q.queue_id, p_zones, s.at) = s.at
		THEN
			RETURN s;
		END IF;
	END LOOP;
	RETURN NULL;
END
$$;

-- slot_take: a place in the slot that begins at p_at; p_taken as it is then, or what is in the way.
--   p_zone   the contact's, for what is said
-- Reads opening, callback, slot_hold. Needs tenant_lock().
CREATE FUNCTION slot_take(q queue, p_at timestamptz, p_zone text, p_now timestamptz, INOUT p_taken jsonb, OUT message text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	s slot := slot_at(q, p_at, p_now);
	v_key text := slot_key(q, p_at);
	v_taken int := coalesce((p_taken ->> v_key)::int, 0);
	v_next slot;
BEGIN
	IF slot_left(s) > v_taken THEN
		p_taken := p_taken || jsonb_build_object(v_key, v_taken + 1);
		RETURN;
	END IF;
	v_next := slot_next(q, greatest(p_at, p_now), p_now, p_taken, ARRAY[p_zone]);
	message := CASE WHEN s.at IS NULL THEN 'is not a time that can be booked' ELSE 'is a time at which no place is left' END
		|| CASE WHEN v_next.at IS NULL THEN ', nor is one in the two weeks after it'
			ELSE '; the next is ' || to_char(v_next.at AT TIME ZONE p_zone, 'YYYY-MM-DD"T"HH24:MI') END;
END
$$;

-- load_slots: the slots of some days for people to choose from, as text, or NULL: the queue is gone, or has none:
-- {"queue": id, "time_zone": the queue's, "slots": [{"starts_at", "ends_at": ms, "local": by p_ask's zone, "places", "booked", "held"}]}
--   p_ask  {"queue": id, "time_zone": of the one who asks, "from": the first day there, else today, "days": how many,
--          "form": id of the one whose notice and horizon count, else none do; then those in the quiet hours of who asks
--          are left out; "callback": id of the one that is to be moved, whose contact may be in other zones}
-- Reads queue, form, tenant, opening, callback, slot_hold. Locks nothing.
CREATE FUNCTION load_slots(p_tenant int, p_now bigint, p_ask json) RETURNS text
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
	q queue;
	v_now timestamptz := from_ms(p_now);
	v_zone text := p_ask ->> 'time_zone';
	v_day timestamp := coalesce(local_time((p_ask ->> 'from') || 'T00:00'), date_trunc('day', v_now AT TIME ZONE v_zone));
	v_from timestamptz;
	v_until timestamptz;
	v_callable tstzmultirange;
	f form;
BEGIN
	SELECT * INTO q FROM queue_row(p_tenant, (p_ask ->> 'queue')::int) u WHERE NOT u.removed;
	IF q.slots IS NULL THEN
		RETURN NULL;
	END IF;
	SELECT * INTO f FROM form u WHERE u.tenant_id = p_tenant AND u.form_id = (p_ask ->> 'form')::int;
	v_from := greatest((wall_time(v_day, v_zone)).at, v_now + seconds(coalesce(f.notice_s, 0)));
	-- of short slots not so many days: three thousand are 50 ms
	v_until := least((wall_time(v_day + least((p_ask ->> 'days')::int, greatest(3000 * (q.slots ->> 'minutes')::int / 1440, 1))
			* interval '1 day', v_zone)).at,
		v_now + seconds(coalesce(f.horizon_s, 31536000)));
	v_callable := '{(,)}';
	IF f.form_id IS NOT NULL AND calling_hours(p_tenant, q.queue_id) IS NOT NULL THEN
		v_callable := calling_spans(calling_hours(p_tenant, q.queue_id), coalesce((
			SELECT c.zones FROM callback_row(p_tenant, (p_ask ->> 'callback')::uuid) c), ARRAY[v_zone]), v_from, v_until);
	END IF;
	RETURN jsonb_build_object('queue', q.queue_id, 'time_zone', slot_zone(q), 'slots', (
		SELECT coalesce(jsonb_agg(jsonb_build_object('starts_at', ms(s.at), 'ends_at', ms(s.ends_at),
				'local', to_char(s.at AT TIME ZONE v_zone, 'YYYY-MM-DD"T"HH24:MI:SS'), 'places', s.places, 'booked', s.booked,
				'held', s.held) ORDER BY s.at), '[]')
		  FROM slot_list(q, v_from, v_until, v_now) s WHERE s.at <@ v_callable))::text;
END
$$;
