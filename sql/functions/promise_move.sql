-- promise: what a time that was asked for comes to.
--   refusal    NULL: it can be promised
--   errors     of 'invalid': [{"field", "message"}]
--   note       how it was understood, see wall_time(); next_opening: the queue is closed then, and it was moved
--   due_at     when it is queued
--   booked     it has a place in a slot; taken: places that this run has taken, see slot_take()
CREATE TYPE promise AS (
	refusal		text,
	errors		jsonb,
	at		timestamptz,
	local_at	timestamp,
	zone		text,
	note		text,
	due_at		timestamptz,
	expires_at	timestamptz,
	booked		boolean,
	taken		jsonb
);

-- promise_book: the promise with a place in a slot, or with what is in the way. One that was moved to an opening gets the
-- first place from there on.
-- Reads as slot_take(). Needs tenant_lock().
CREATE FUNCTION promise_book(p promise, q queue, p_zones text[], p_open timestamptz, p_now timestamptz) RETURNS promise
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	t record;
	v_at timestamptz;
BEGIN
	IF p.note IN ('next_opening', 'quiet_hours') THEN
		v_at := coalesce((slot_next(q, p_open, p_now, p.taken, p_zones)).at, p.at);
		p.note := CASE WHEN v_at > p.at THEN 'next_slot' ELSE p.note END;
		p.at := v_at;
		p.local_at := v_at AT TIME ZONE p.zone;
	END IF;
	SELECT * INTO t FROM slot_take(q, p.at, p.zone, p_now, p.taken);
	p.taken := t.p_taken;
	IF t.message IS NOT NULL THEN
		p.errors := jsonb_build_array(jsonb_build_object('field', 'when', 'message', t.message));
	END IF;
	RETURN p;
END
$$;

-- promise_astray: whether the wall time that was promised, and is still to come, is by the zone's present rules another time
-- than when these were different: its UTC does not read as it any more.
CREATE FUNCTION promise_astray(c callback, p_now timestamptz) RETURNS boolean
LANGUAGE sql STABLE
AS $$
	SELECT c.state = 'scheduled' AND c.promise_at > p_now AND c.promise_at AT TIME ZONE c.promise_zone <> c.promise_local
		AND (wall_time(c.promise_local, c.promise_zone)).at <> c.promise_at
$$;

-- promise_recompute: the promise of the same wall time as the zone's rules are now, and the due time that goes with it.
-- One that is to be tried again at another time than promised keeps that time.
-- Refusals: already_due; unchanged: its UTC still reads as that wall time (of one that comes twice, whichever it is).
-- Reads queue, opening, tenant.
CREATE FUNCTION promise_recompute(c callback, p_now timestamptz) RETURNS promise
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	p promise;
	w wall := wall_time(c.promise_local, c.promise_zone);
BEGIN
	p.at := w.at;
	p.local_at := w.local_at;
	p.zone := c.promise_zone;
	p.note := w.note;
	p.booked := c.booked;
	p.due_at := CASE WHEN c.due_at <> c.promise_at THEN c.due_at
		ELSE coalesce(callable_from(c.tenant_id, c, greatest(w.at, p_now)), w.at) END;
	p.expires_at := promise_left(c, c.due_at, p.due_at);
	p.refusal := CASE
		WHEN NOT promise_astray(c, p_now) THEN 'unchanged'
		WHEN c.due_at <= p_now THEN 'already_due' END;
	RETURN p;
END
$$;

-- moved_note: why a promise could not be for p_at: the queue is closed then, or if it is open, the contact has quiet hours.
CREATE FUNCTION moved_note(p_tenant int, p_queue int, p_quiet boolean, p_at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN CASE WHEN p_quiet AND opening_from(p_tenant, p_queue, p_at) = p_at THEN 'quiet_hours' ELSE 'next_opening' END;
END
$$;

-- promise_move: the judgement of another time for a callback. All that is asked of a new time is asked here.
--   p_args   {"recompute": true}, see promise_recompute(); else {"when": "asap" or a local time, or "at": ms; "time_zone":
--            IANA name, else the promise's own}
--   p_role   a contact may ask for what his form takes (horizon_s, notice_s) and, where there are slots, for a place that is
--            left; the others for a year, and any time
--   p_taken  what the run has taken of slots so far
-- Refusals: invalid; already_due (as soon as possible, or a time that is over, of one that is due: it would only lose its
-- place); unchanged.
-- Reads time_zone, queue, opening.
CREATE FUNCTION promise_move(c callback, p_args jsonb, q queue, f form, p_role text, p_now timestamptz,
	p_taken jsonb DEFAULT '{}') RETURNS promise
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	p promise;
	w wall;
	v_zone text := coalesce(p_args ->> 'time_zone', c.promise_zone);
	v_asked text := coalesce(p_args ->> 'when', 'asap');
	v_open timestamptz;
	v_moved text;
	v_before text := c.promise_zone;
	v_horizon_s int := CASE WHEN p_role = 'contact' AND f.form_id IS NOT NULL THEN f.horizon_s ELSE 31622400 END;
BEGIN
	IF p_args ? 'recompute' THEN
		p := promise_recompute(c, p_now);
		p.taken := p_taken;
		RETURN p;
	END IF;
	SELECT z.name INTO p.zone FROM time_zone z WHERE z.name = v_zone LIMIT 1;
	p.note := 'as_asked';
	IF p_args ? 'at' THEN
		-- a number too large for bigint is a bad time, not an error
		v_asked := p_args ->> 'at';
		p.at := CASE WHEN v_asked ~ '^[0-9]{1,14}$' THEN from_ms(v_asked::bigint) END;
		p.local_at := p.at AT TIME ZONE p.zone;
	ELSIF v_asked = 'asap' THEN
		p.at := p_now;
		p.local_at := p_now AT TIME ZONE p.zone;
	ELSE
		w := wall_time(local_time(v_asked), p.zone);
		p.at := w.at;
		p.local_at := w.local_at;
		p.note := coalesce(w.note, p.note);
	END IF;
	-- what was asked for may be a minute old, and the queue closed since
	c.promise_zone := coalesce(p.zone, c.promise_zone);
	c.zones := CASE WHEN p_args ? 'time_zone' THEN NULL ELSE c.zones END;
	v_open := callable_from(c.tenant_id, c, CASE WHEN p.at IS NOT NULL THEN greatest(p.at, p_now) END);
	v_moved := moved_note(c.tenant_id, c.queue_id, calling_hours(c.tenant_id, c.queue_id) IS NOT NULL, greatest(p.at, p_now));
	IF v_open = p_now THEN
		v_open := p.at;
	END IF;
	p.errors := intake_errors(p_now, p.zone, v_zone, v_asked, p.at,
		CASE WHEN v_open IS NULL OR p_role = 'contact' AND f.closed = 'refuse' THEN v_open ELSE p.at END, v_horizon_s,
		CASE p_role WHEN 'contact' THEN f.notice_s END, NULL, v_moved);
	IF p.errors IS NOT NULL THEN
		p.refusal := 'invalid';
		RETURN p;
	END IF;
	IF v_open > p.at THEN
		p.note := v_moved;
		p.at := v_open;
		p.local_at := v_open AT TIME ZONE p.zone;
	END IF;
	p.taken := p_taken;
	p.booked := q.slots IS NOT NULL AND p.at > p_now;
	-- the others may overbook: they know what they do, and are not shut out by those who came before
	IF p.booked AND p_role = 'contact' AND p.at <> c.promise_at THEN
		p := promise_book(p, q, callback_zones(c), v_open, p_now);
		IF p.errors IS NOT NULL THEN
			p.refusal := 'invalid';
			RETURN p;
		END IF;
	END IF;
	p.due_at := p.at;
	p.expires_at := promise_expiry(c, q, p.due_at);
	p.refusal := CASE
		WHEN c.due_at <= p_now AND p.due_at <= p_now THEN 'already_due'
		WHEN p.at = c.promise_at AND p.due_at = c.due_at AND p.zone = v_before THEN 'unchanged' END;
	RETURN p;
END
$$;
