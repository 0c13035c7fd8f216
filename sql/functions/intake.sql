-- intake: one element of submit()'s array, looked up and judged.
--   ord        its 0-based place in the batch
--   refusal    NULL: it is taken, unless known or same_as
--   known      it was answered before: that answer (JSON), and known_seq the event
--   same_as    an earlier element of this batch has its id, or its Idempotency-Key and content
--   repeated   known or same_as because of the key
--   note       how the time asked for was understood, see wall_time(); next_opening: the queue is closed then;
--              quiet_hours: he may not be called then
--   zone_named he said where he is; zones: see tables/callback.sql
--   links      the form's duplicates = 'link'; open: its number has an open callback
--   class_id   NULL: the class does not exist yet, see class_create()
--   leader_id  the callback that is called in its stead, see intake_link()
--   slot       what it needs of its queue's slots (intake_book()): NULL nothing, 'exact' a place at promise_at, 'next' the first
--              one from then on; hold: the one that it says it has; booked: it has a place
--   window_s   of its promise; rule_window_s: as its rule says
--   for_agent  0: for anybody; agent_for_s: see tables/callback.sql
--   rule_version, rule, offer_timeout_s, caller_id, preferred_agent, preferred_for_s, widen_after_s   see tables/callback.sql
CREATE TYPE intake AS (
	ord		int,
	refusal		text,
	errors		jsonb,
	known		text,
	known_seq	bigint,
	same_as		int,
	repeated	boolean,
	note		text,
	callback_id	uuid,
	form_id		int,
	queue_id	int,
	skills		jsonb,
	class_id	int,
	priority	int,
	promise_at	timestamptz,
	promise_local	timestamp,
	promise_zone	text,
	expires_at	timestamptz,
	links		boolean,
	open		boolean,
	leader_id	uuid,
	phone		text,
	name		text,
	email		text,
	subject		text,
	language	text,
	notes		text,
	case_information jsonb,
	consent		boolean,
	consent_text	text,
	address		text,
	key		text,
	fingerprint	bytea,
	rule_version	int,
	rule		int,
	offer_timeout_s	int,
	caller_id	text,
	preferred_agent	int,
	slot		text,
	hold		uuid,
	booked		boolean,
	zones		text[],
	region		text,
	number_type	text,
	preferred_for_s	int,
	zone_named	boolean,
	widen_after_s	int,
	for_agent	int,
	agent_for_s	int,
	window_s	int,
	rule_window_s	int
);

-- intake_taken: whether the element becomes a callback.
CREATE FUNCTION intake_taken(r intake) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$ SELECT r.refusal IS NULL AND r.known IS NULL AND r.same_as IS NULL $$;

-- intake_read: the batch, parsed, looked up and judged, in one statement. Whatever a contact can write is checked
-- before it is cast, so that one bad element never fails its neighbours. Every look-up is LATERAL ... LIMIT 1, which
-- the planner cannot turn around: it has to be one search of an index, whatever it believes about sizes; forms and
-- zones, of which a batch has few, are looked up once each. What no rule matches, the form places; the opening hours
-- are those of the queue that it comes to.
-- Reads form, queue, opening, requirement_class, rule_set, rule, time_zone, event, idempotency_key, callback, contact.
-- Needs tenant_lock().
CREATE FUNCTION intake_read(p_tenant int, p_now timestamptz, p_callbacks jsonb) RETURNS intake[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN ARRAY(
	WITH x AS MATERIALIZED (
		SELECT *
		  FROM ROWS FROM (jsonb_to_recordset(p_callbacks) AS (id uuid, form int, phone text, name text, email text, subject text,
			language text, notes text, "case" jsonb, consent text, address text, "when" text, "at" text, time_zone text,
			key text, fingerprint text, region text, number_type text, hold uuid, since bigint)) WITH ORDINALITY AS x(id, form,
			phone, name, email, subject, language, notes, case_information, consent, address, asked, instant, time_zone, key,
			fingerprint, region, number_type, hold, since, n)
	), f AS MATERIALIZED (
		SELECT f.*, coalesce(f.priority, q.priority) AS rank, q.promise_window_s, q.hours IS NOT NULL AS has_hours,
			q.slots IS NOT NULL AS has_slots, widen_first(q.widen) AS widen_after_s, c.class_id
		  FROM (SELECT DISTINCT x.form FROM x) d
		 CROSS JOIN LATERAL (SELECT * FROM form WHERE tenant_id = p_tenant AND form_id = d.form AND NOT removed LIMIT 1) f
		 CROSS JOIN LATERAL (SELECT * FROM queue WHERE tenant_id = p_tenant AND queue_id = f.queue_id LIMIT 1) q
		  LEFT JOIN LATERAL (SELECT * FROM requirement_class
			WHERE tenant_id = p_tenant AND queue_id = f.queue_id AND skills = f.skills AND agent_id = 0 LIMIT 1) c ON true
	), z AS MATERIALIZED (
		SELECT z.name
		  FROM (SELECT x.time_zone FROM x UNION SELECT f.time_zone FROM f) d
		 CROSS JOIN LATERAL (SELECT * FROM time_zone WHERE name = d.time_zone LIMIT 1) z
	), t AS MATERIALIZED (
		SELECT x.*, f.form_id, f.form_key, f.queue_id AS form_queue, f.skills AS form_skills, f.class_id AS form_class, f.rank AS form_rank,
			f.priority AS form_priority, f.has_hours AS form_hours, f.has_slots AS form_slots, f.promise_window_s AS form_window,
			f.widen_after_s AS form_widen,
			f.duplicates = 'link' AS links, f.horizon_s, f.notice_s, f.closed, f.consent_text, z.name AS zone,
			CASE WHEN x.fingerprint IS NULL THEN '' ELSE decode(x.fingerprint, 'hex') END AS print,
			CASE WHEN x.asked <> 'asap' AND x.instant IS NULL THEN wall_time(local_time(x.asked), z.name) END AS wall,
			CASE WHEN x.instant ~ '^[0-9]{1,14}$' THEN from_ms(x.instant::bigint)
				WHEN x.instant IS NULL AND coalesce(x.asked, 'asap') = 'asap' THEN p_now END AS instant_at,
			coalesce(b.callback_id, i.callback_id) AS known_id, b.callback_id IS NULL AS by_key, i.fingerprint AS known_print,
			o.open
		  FROM x
		  LEFT JOIN f ON f.form_id = x.form
		  LEFT JOIN z ON z.name = coalesce(x.time_zone, f.time_zone)
		  LEFT JOIN LATERAL (SELECT * FROM callback WHERE tenant_id = p_tenant AND callback_id = x.id LIMIT 1) b ON true
		  LEFT JOIN LATERAL (SELECT * FROM idempotency_key
			WHERE tenant_id = p_tenant AND form_id = x.form AND key = x.key LIMIT 1) i ON true
		  LEFT JOIN LATERAL (
			SELECT true AS open FROM contact p CROSS JOIN LATERAL (
				SELECT * FROM callback WHERE tenant_id = p_tenant AND callback_id = p.callback_id LIMIT 1) c
			 WHERE p.tenant_id = p_tenant AND p.phone = x.phone AND c.ended_at IS NULL LIMIT 1) o ON true
	), s AS MATERIALIZED (
		SELECT v.version, v.rules, v.paths FROM rules_set(p_tenant) v
	), r AS MATERIALIZED (
		-- what the rules see: a column, or it would be made anew for each look at it
		SELECT t.n, s.version, s.paths, t.form_queue, t.form_skills, t.form_priority, rules_request(t.form_key, t.language, t.subject,
			t.notes, t.case_information, t.region, t.number_type, t.zone, t.consent = 'true', CASE
				WHEN t.instant IS NOT NULL OR t.asked <> 'asap'
				THEN coalesce((t.wall).local_at, t.instant_at AT TIME ZONE t.zone) END) AS request
		  FROM s CROSS JOIN t
		 WHERE s.rules > 0 AND t.form_id IS NOT NULL AND t.zone IS NOT NULL
	), g AS MATERIALIZED (
		SELECT r.n, p.* FROM r
		 CROSS JOIN LATERAL rules_place(p_tenant, r.version, r.paths, r.request, r.form_queue, r.form_skills, r.form_priority) p
	), u AS (
		SELECT t.*, coalesce((t.wall).at, t.instant_at) AS asked_at, coalesce(g.queue_id, t.form_queue) AS queue_id,
			coalesce(g.skills, t.form_skills) AS skills, CASE WHEN g.rule IS NULL THEN t.form_class ELSE g.class_id END AS class_id,
			coalesce(g.priority, t.form_rank) AS rank, coalesce(g.has_hours, t.form_hours) AS has_hours,
			coalesce(g.has_slots, t.form_slots) AS has_slots,
			CASE WHEN g.rule IS NULL THEN t.form_widen ELSE g.widen_after_s END AS widens, coalesce(g.agent_id, 0) AS for_agent, g.agent_for_s,
			coalesce(t.instant, t.asked, 'asap') = 'asap' AS asap,
			-- who has waited elsewhere, has his place among those who came then
			CASE WHEN coalesce(t.instant, t.asked, 'asap') = 'asap' THEN least(from_ms(t.since), t.instant_at) END AS since_at,
			coalesce(g.promise_window_s, t.form_window) AS promise_window_s, g.rule_window_s,
			(SELECT s.version FROM s) AS rule_version, g.rule, g.offer_timeout_s, g.caller_id, g.preferred_agent, g.preferred_for_s
		  FROM t LEFT JOIN g ON g.n = t.n
	), h AS (
		SELECT u.*, CASE WHEN u.has_hours
			-- what was asked for may be a minute old, and the queue closed since
			THEN CASE WHEN o.opens_at > greatest(u.asked_at, p_now) THEN o.opens_at
				WHEN o.opens_at IS NOT NULL THEN coalesce(u.since_at, u.asked_at) END
			ELSE coalesce(u.since_at, u.asked_at) END AS promise_at
		  FROM u
		  LEFT JOIN LATERAL (SELECT * FROM opening
			WHERE u.has_hours AND tenant_id = p_tenant AND queue_id = u.queue_id
				AND closes_at > greatest(u.asked_at, p_now)
			ORDER BY closes_at LIMIT 1) o ON true
	), k AS (
		SELECT h.*, known.body AS known, known.seq AS known_seq,
			CASE WHEN known.seq IS NOT NULL THEN CASE WHEN h.by_key AND h.known_print <> h.print THEN 'key_reused' END
				WHEN h.form_id IS NULL THEN 'unknown_form'
				WHEN h.zone IS NULL OR h.promise_at IS NULL OR octet_length(h.key) > 255
					OR h.asked_at < p_now - interval '60 s' OR h.asked_at > p_now + seconds(h.horizon_s)
					OR h.closed = 'refuse' AND h.promise_at > h.asked_at
					-- who holds a place was in time when he took it; intake_book() knows whether he does
					OR h.notice_s > 0 AND NOT h.asap AND h.hold IS NULL AND h.asked_at < p_now + seconds(h.notice_s)
				THEN 'invalid' END AS refusal
		  FROM h
		  LEFT JOIN LATERAL (SELECT * FROM intake_known(p_tenant, h.known_id)) known ON true
	)
	SELECT ROW (k.n - 1, k.refusal,
		CASE WHEN k.refusal = 'invalid' THEN
			intake_errors(p_now, k.zone, k.time_zone, coalesce(k.instant, k.asked), k.asked_at,
				CASE WHEN k.promise_at IS NULL OR k.closed = 'refuse' THEN k.promise_at ELSE k.asked_at END, k.horizon_s,
				CASE WHEN k.hold IS NULL THEN k.notice_s ELSE 0 END, k.key) END,
		CASE WHEN k.refusal IS NULL THEN k.known END, k.known_seq, NULL, k.known IS NOT NULL AND k.by_key,
		CASE WHEN k.promise_at > k.asked_at THEN 'next_opening' ELSE coalesce((k.wall).note, 'as_asked') END,
		k.id, k.form_id, k.queue_id, k.skills, k.class_id, k.rank, k.promise_at,
		CASE WHEN k.promise_at = (k.wall).at THEN (k.wall).local_at ELSE k.promise_at AT TIME ZONE k.zone END, k.zone,
		CASE WHEN k.promise_window_s = 0 THEN NULL
			WHEN k.has_hours THEN opening_add(p_tenant, k.queue_id, greatest(k.promise_at, k.asked_at), k.promise_window_s)
			ELSE greatest(k.promise_at, k.asked_at) + seconds(k.promise_window_s) END,
		k.links, k.links AND k.open, NULL,
		k.phone, k.name, k.email, k.subject, k.language, k.notes,
		CASE WHEN jsonb_typeof(k.case_information) = 'object' THEN k.case_information ELSE '{}' END,
		k.consent = 'true', CASE WHEN k.consent = 'true' THEN k.consent_text END, k.address, k.key, k.print,
		k.rule_version, k.rule, k.offer_timeout_s, k.caller_id, k.preferred_agent,
		CASE WHEN NOT k.has_slots THEN NULL WHEN k.promise_at > k.asked_at THEN 'next' WHEN NOT k.asap THEN 'exact' END,
		k.hold, false, NULL, k.region, k.number_type, k.preferred_for_s, k.time_zone IS NOT NULL,
		k.widens, k.for_agent, k.agent_for_s, k.promise_window_s, k.rule_window_s)::intake
	  FROM k ORDER BY k.n);
END
$$;

-- intake_known: how the request was answered that became this callback: its first event; as it stands now, when
-- retention has deleted that. No row: the callback itself is gone, too.
-- Reads callback, event.
CREATE FUNCTION intake_known(p_tenant int, p_callback uuid) RETURNS TABLE (seq bigint, body text)
LANGUAGE plpgsql STABLE STRICT
AS $$
BEGIN
	RETURN QUERY SELECT e.seq, e.body
		FROM (SELECT * FROM event v WHERE v.tenant_id = p_tenant AND v.callback_id = p_callback ORDER BY v.seq LIMIT 1) e
		WHERE e.kind = 'callback.scheduled';
	IF NOT FOUND THEN
		RETURN QUERY SELECT c.seq, '{"callback":' || image_callback(c, c.seq) || '}'
			FROM callback c WHERE c.tenant_id = p_tenant AND c.callback_id = p_callback;
	END IF;
END
$$;

-- moved_message: what is wrong with a time that cannot be promised.
--   p_moved  why: next_opening, the queue is closed then; quiet_hours, the contact may not be called then
--   p_open   the next time that could be, NULL: none is known; p_zone: by whose clock it is said
CREATE FUNCTION moved_message(p_moved text, p_open timestamptz, p_zone text) RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT CASE p_moved WHEN 'quiet_hours' THEN 'is outside the hours at which you may be called' ELSE 'is outside the opening hours' END
		|| CASE WHEN p_open IS NULL THEN ', and no later ones are known'
			ELSE CASE p_moved WHEN 'quiet_hours' THEN '; they begin at ' ELSE '; we open at ' END
				|| to_char(p_open AT TIME ZONE p_zone, 'YYYY-MM-DD"T"HH24:MI') END
$$;

-- intake_errors: what is wrong with an element, by field. p_open_at: NULL, no time at or after p_at can be promised; or the
-- next that can, if p_at is wrong for not being one; p_moved says why, see moved_message().
CREATE FUNCTION intake_errors(p_now timestamptz, p_zone text, p_asked_zone text, p_asked text, p_at timestamptz, p_open_at timestamptz,
	p_horizon_s int, p_notice_s int, p_key text, p_moved text DEFAULT 'next_opening') RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_agg(jsonb_build_object('field', e.field, 'message', e.message))
	  FROM (VALUES
		('time_zone', CASE WHEN p_zone IS NULL AND p_asked_zone IS NOT NULL THEN 'is not a known IANA time zone'
			WHEN p_zone IS NULL THEN 'is needed: the form''s own is not known' END),
		('when', CASE
			WHEN p_asked <> 'asap' AND p_at IS NULL AND (p_zone IS NOT NULL OR local_time(p_asked) IS NULL)
				THEN 'is not a local time like 2026-11-24T10:00'
			WHEN p_at < p_now - interval '60 s' THEN 'is in the past'
			WHEN p_at > p_now + seconds(p_horizon_s) THEN 'is too far ahead'
			WHEN p_notice_s > 0 AND p_asked <> 'asap' AND p_at < p_now + seconds(p_notice_s) THEN 'is too soon: the earliest is '
				|| to_char((p_now + seconds(p_notice_s)) AT TIME ZONE coalesce(p_zone, 'UTC'), 'YYYY-MM-DD"T"HH24:MI')
			WHEN p_at IS NOT NULL AND (p_open_at IS NULL OR p_open_at > p_at AND p_zone IS NOT NULL)
				THEN moved_message(p_moved, p_open_at, p_zone) END),
		('Idempotency-Key', CASE WHEN octet_length(p_key) > 255 THEN 'is longer than 255 bytes' END)) e(field, message)
	 WHERE e.message IS NOT NULL
$$;

-- intake_shift: the element promised another time, and its window with it. Reads queue, opening.
CREATE FUNCTION intake_shift(r intake, p_tenant int, p_at timestamptz) RETURNS intake
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	r.promise_at := p_at;
	r.promise_local := p_at AT TIME ZONE r.promise_zone;
	r.expires_at := CASE WHEN r.window_s > 0 THEN opening_add(p_tenant, r.queue_id, p_at, r.window_s) END;
	RETURN r;
END
$$;

-- intake_book: the same batch, with places for those that need one, in its order: the last place goes to the first who asked.
-- A hold is its visitor's place at that time, and is over when he is taken. Only called when there is somebody who needs one.
-- Reads queue, tenant, form, opening, callback; deletes from slot_hold. Needs tenant_lock().
CREATE FUNCTION intake_book(p_tenant int, p_now timestamptz, p_rows intake[]) RETURNS intake[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	r record;
	v_row intake;
	s slot;
	v_taken jsonb := '{}';
	v_held boolean;
	v_message text;
BEGIN
	FOR r IN
		SELECT u.ord + 1 AS place, q, f.notice_s
		  FROM unnest(p_rows) u
		 CROSS JOIN LATERAL queue_row(p_tenant, u.queue_id) q
		 CROSS JOIN LATERAL (SELECT * FROM form WHERE tenant_id = p_tenant AND form_id = u.form_id LIMIT 1) f
		 WHERE intake_taken(u) AND u.slot IS NOT NULL ORDER BY u.ord
	LOOP
		v_row := p_rows[r.place];
		v_message := NULL;
		v_held := EXISTS (SELECT FROM slot_hold h WHERE h.tenant_id = p_tenant AND h.hold_id = v_row.hold AND h.form_id = v_row.form_id
			AND h.queue_id = v_row.queue_id AND h.slot_at = v_row.promise_at AND h.until > p_now);
		IF v_row.slot = 'next' THEN
			s := slot_next(r.q, v_row.promise_at, p_now, v_taken, coalesce(v_row.zones, ARRAY[v_row.promise_zone]));
			IF s.at IS NULL THEN
				v_message := 'cannot be promised: no place is left in the next two weeks';
			ELSE
				v_row.note := CASE WHEN s.at > v_row.promise_at THEN 'next_slot' ELSE v_row.note END;
				v_row := intake_shift(v_row, p_tenant, s.at);
				SELECT t.p_taken, t.message INTO v_taken, v_message FROM slot_take(r.q, s.at, v_row.promise_zone, p_now, v_taken) t;
			END IF;
		ELSIF NOT v_held AND v_row.hold IS NOT NULL AND v_row.promise_at < p_now + seconds(r.notice_s) THEN
			v_message := 'is too soon, and is not held any more';
		ELSIF NOT v_held THEN
			SELECT t.p_taken, t.message INTO v_taken, v_message FROM slot_take(r.q, v_row.promise_at, v_row.promise_zone, p_now, v_taken) t;
		END IF;
		IF v_message IS NULL THEN
			v_row.booked := true;
			DELETE FROM slot_hold h WHERE h.tenant_id = p_tenant AND h.hold_id = v_row.hold AND h.form_id = v_row.form_id;
			-- what he held elsewhere is free again, but what he had here is his now: not stored yet, so it is counted here
			IF v_held THEN
				v_taken := v_taken || jsonb_build_object(slot_key(r.q, v_row.promise_at),
					coalesce((v_taken ->> slot_key(r.q, v_row.promise_at))::int, 0) + 1);
			END IF;
		ELSE
			v_row.refusal := 'invalid';
			v_row.errors := jsonb_build_array(jsonb_build_object('field', 'when', 'message', v_message));
		END IF;
		p_rows[r.place] := v_row;
	END LOOP;
	-- who says the same once more is answered the same
	FOR r IN SELECT u.ord + 1 AS place, u.same_as + 1 AS first FROM unnest(p_rows) u WHERE u.same_as IS NOT NULL LOOP
		p_rows[r.place].refusal := p_rows[r.first].refusal;
		p_rows[r.place].errors := p_rows[r.first].errors;
	END LOOP;
	RETURN p_rows;
END
$$;

-- intake_same: the same batch, with elements marked that repeat an earlier taken one of it: its id (sent twice), or
-- its key and content (same_as), or its key with another content (refused). Only called when there is one.
CREATE FUNCTION intake_same(p_rows intake[]) RETURNS intake[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
	r record;
BEGIN
	FOR r IN
		SELECT t.ord + 1 AS place, t.by_id, t.by_key, t.fingerprint = t.first_fingerprint AS same
		  FROM (SELECT u.ord, u.fingerprint,
				min(u.ord) OVER (PARTITION BY u.callback_id) AS by_id,
				CASE WHEN u.key IS NOT NULL THEN min(u.ord) OVER (PARTITION BY u.form_id, u.key) END AS by_key,
				first_value(u.fingerprint) OVER (PARTITION BY u.form_id, u.key ORDER BY u.ord) AS first_fingerprint
			  FROM unnest(p_rows) u WHERE u.refusal IS NULL AND u.known IS NULL) t
		 WHERE t.by_id < t.ord OR t.by_key < t.ord
	LOOP
		IF r.by_id < r.place - 1 THEN
			p_rows[r.place].same_as := r.by_id;
		ELSIF r.same THEN
			p_rows[r.place].same_as := r.by_key;
			p_rows[r.place].repeated := true;
		ELSE
			p_rows[r.place].refusal := 'key_reused';
		END IF;
	END LOOP;
	RETURN p_rows;
END
$$;

-- intake_answer: the answers of those elements that did not become a callback, see submit().
CREATE FUNCTION intake_answer(p_tenant int, p_rows intake[]) RETURNS SETOF log_row
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN QUERY
	SELECT 'answer', r.ord, CASE WHEN r.refusal IS NULL THEN k.seq END, NULL::bigint, r.refusal, NULL::int,
		CASE WHEN r.refusal IS NOT NULL THEN CASE WHEN r.errors IS NULL THEN '{}' ELSE jsonb_build_object('errors', r.errors)::text END
			WHEN r.repeated THEN '{"repeated":true,' || substr(k.body, 2)
			ELSE k.body END
	  FROM unnest(p_rows) r
	  LEFT JOIN LATERAL (
		SELECT r.known_seq AS seq, r.known AS body WHERE r.known IS NOT NULL
		 UNION ALL
		SELECT * FROM intake_known(p_tenant, p_rows[r.same_as + 1].callback_id) WHERE r.same_as IS NOT NULL) k ON r.refusal IS NULL
	 WHERE NOT intake_taken(r)
	 ORDER BY r.ord;
END
$$;
