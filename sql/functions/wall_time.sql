-- wall_time: from a contact's wall clock to UTC. One rule for every zone and every size of gap:
--   a time that does not exist (clocks go forward) is moved forward by the gap   'moved_forward'
--   a time that exists twice (clocks go back) is the first of the two            'first_of_two'
--   all others                                                                   'as_asked'
--   local_at   the wall time that is meant: not p_local when that does not exist
-- The zone must be one of time_zone's: PostgreSQL raises an error for any other.
--
-- PostgreSQL itself counts a time in a gap with the offset before it, which is the rule; but of a doubled
-- time it takes the second (datetime.c, DetermineTimeZoneOffset). The first is the one counted with the
-- offset before the change. No clock goes back by more than a day, so the offset of a day earlier is that one,
-- and the result is believed only when it reads as the same wall time.
CREATE TYPE wall AS (
	at		timestamptz,
	local_at	timestamp,
	note		text
);

CREATE FUNCTION wall_time(p_local timestamp, p_zone text) RETURNS wall
LANGUAGE plpgsql STABLE STRICT
AS $$
DECLARE
	w wall;
	v_day timestamptz;
	v_first timestamptz;
BEGIN
	w.at := p_local AT TIME ZONE p_zone;
	w.local_at := w.at AT TIME ZONE p_zone;
	IF w.local_at <> p_local THEN
		w.note := 'moved_forward';
		RETURN w;
	END IF;
	v_day := w.at - interval '24 hours';
	v_first := (p_local - ((v_day AT TIME ZONE p_zone) - (v_day AT TIME ZONE 'UTC'))) AT TIME ZONE 'UTC';
	IF v_first < w.at AND v_first AT TIME ZONE p_zone = p_local THEN
		w.at := v_first;
		w.note := 'first_of_two';
	ELSE
		w.note := 'as_asked';
	END IF;
	RETURN w;
END
$$;

-- local_time: '2026-11-24T10:00' or '2026-11-24T10:00:30' (or with a blank for the T) as a timestamp; NULL for
-- anything else, 30 February too. Never raises an error, so that it can stand in a batch.
-- plpgsql, like everything that cannot be inlined: a function in SQL is parsed anew by each statement that calls it.
CREATE FUNCTION local_time(p_text text) RETURNS timestamp
LANGUAGE plpgsql STABLE STRICT
AS $$
BEGIN
	RETURN CASE
		WHEN p_text !~ '^[1-9][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?$'
			THEN NULL
		WHEN substr(p_text, 9, 2)::int
			> extract(day FROM make_date(left(p_text, 4)::int, substr(p_text, 6, 2)::int, 1) + interval '1 month - 1 day')
			THEN NULL
		ELSE p_text::timestamp END;
END
$$;
