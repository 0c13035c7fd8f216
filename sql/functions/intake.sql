-- intake: one element of submit()'s array, looked up and judged.
--   ord        its 0-based place in the batch
--   refusal    NULL: it is taken, unless known or same_as
--   known      it was answered before: the callback as answered then, and known_seq the event
--   same_as    an earlier element of this batch has its id, or its Idempotency-Key and content
--   repeated   known or same_as because of the key
--   note       how the time asked for was understood, see wall_time()
--   links      the form's duplicates = 'link'
--   class_id   NULL: the class does not exist yet
CREATE TYPE intake AS (
	ord		int,
	refusal		text,
	errors		jsonb,
	known		jsonb,
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
	fingerprint	bytea
);

-- intake_read: the batch, parsed, looked up and judged, in one statement. Whatever a contact can write is checked
-- before it is cast, so that one bad element never fails its neighbours. Every look-up is LATERAL ... LIMIT 1, which
-- the planner cannot turn around: it has to be one search of an index per element, whatever it believes about sizes.
-- Reads form, queue, requirement_class, time_zone, event, idempotency_key, callback. Needs tenant_lock().
CREATE FUNCTION intake_read(p_tenant int, p_now timestamptz, p_callbacks json) RETURNS intake[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN ARRAY(
	WITH x AS MATERIALIZED (
		SELECT x.*, f.form_id, f.queue_id, f.skills, f.duplicates, f.horizon_s, f.consent_text,
			coalesce(f.priority, q.priority) AS priority, q.promise_window_s, z.name AS zone, w.at AS wall_at, w.local_at, w.note
		  FROM ROWS FROM (json_to_recordset(p_callbacks) AS (id uuid, form int, phone text, name text, email text, subject text,
			language text, notes text, "case" jsonb, consent text, address text, "when" text, "at" text, time_zone text,
			key text, fingerprint text)) WITH ORDINALITY AS x(id, form, phone, name, email, subject, language, notes,
			case_information, consent, address, asked, instant, time_zone, key, fingerprint, n)
		  LEFT JOIN LATERAL (SELECT * FROM form WHERE tenant_id = p_tenant AND form_id = x.form AND NOT removed LIMIT 1) f ON true
		  LEFT JOIN LATERAL (SELECT * FROM queue WHERE tenant_id = p_tenant AND queue_id = f.queue_id LIMIT 1) q ON true
		  LEFT JOIN LATERAL (SELECT * FROM time_zone WHERE name = coalesce(x.time_zone, f.time_zone) LIMIT 1) z ON true
		  LEFT JOIN LATERAL (SELECT * FROM wall_time(local_time(x.asked), z.name) WHERE x.asked <> 'asap' AND x.instant IS NULL) w
			ON true
	), t AS MATERIALIZED (
		SELECT x.*, coalesce(x.note, 'as_asked') AS how,
			coalesce(decode(x.fingerprint, 'hex'), '') AS print,
			CASE WHEN x.instant ~ '^[0-9]{1,14}$' THEN from_ms(x.instant::bigint)
				WHEN x.instant IS NULL AND coalesce(x.asked, 'asap') = 'asap' THEN p_now
				ELSE x.wall_at END AS promise_at
		  FROM x
	), k AS MATERIALIZED (
		SELECT t.*, c.class_id, coalesce(e.seq, ie.seq, ic.seq) AS known_seq, e.seq IS NULL AS by_key,
			coalesce(e.body -> 'callback', ie.body -> 'callback', ic.image) AS known,
			CASE WHEN e.seq IS NOT NULL THEN NULL
				WHEN ie.seq IS NOT NULL OR ic.seq IS NOT NULL THEN
					CASE WHEN i.fingerprint <> t.print THEN 'key_reused' END
				WHEN t.form_id IS NULL THEN 'unknown_form'
				WHEN t.zone IS NULL OR t.promise_at IS NULL OR octet_length(t.key) > 255
					OR t.promise_at < p_now - interval '60 s' OR t.promise_at > p_now + seconds(t.horizon_s)
				THEN 'invalid' END AS refusal
		  FROM t
		  LEFT JOIN LATERAL (SELECT * FROM requirement_class
			WHERE tenant_id = p_tenant AND queue_id = t.queue_id AND skills = t.skills LIMIT 1) c ON true
		  LEFT JOIN LATERAL (SELECT * FROM event WHERE tenant_id = p_tenant AND command_id = t.id LIMIT 1) e ON true
		  LEFT JOIN LATERAL (SELECT * FROM idempotency_key
			WHERE tenant_id = p_tenant AND form_id = t.form AND key = t.key LIMIT 1) i ON true
		  LEFT JOIN LATERAL (SELECT * FROM event WHERE tenant_id = p_tenant AND command_id = i.callback_id LIMIT 1) ie ON true
		  LEFT JOIN LATERAL (SELECT b.seq, image_callback(b, b.seq) AS image FROM callback b
			WHERE b.tenant_id = p_tenant AND b.callback_id = i.callback_id AND ie.seq IS NULL LIMIT 1) ic ON true
	)
	SELECT ROW (k.n - 1, k.refusal,
		CASE WHEN k.refusal = 'invalid' THEN
			intake_errors(p_now, k.zone, k.time_zone, coalesce(k.instant, k.asked), k.promise_at, k.horizon_s, k.key) END,
		CASE WHEN k.refusal IS NULL THEN k.known - 'linked_to' END, k.known_seq, NULL, k.known IS NOT NULL AND k.by_key,
		k.how, k.id, k.form_id, k.queue_id, k.skills, k.class_id, k.priority, k.promise_at,
		coalesce(k.local_at, k.promise_at AT TIME ZONE k.zone), k.zone,
		CASE WHEN k.promise_window_s > 0 THEN k.promise_at + seconds(k.promise_window_s) END,
		k.duplicates = 'link', k.phone, k.name, k.email, k.subject, k.language, k.notes,
		CASE WHEN jsonb_typeof(k.case_information) = 'object' THEN k.case_information ELSE '{}' END,
		k.consent = 'true', CASE WHEN k.consent = 'true' THEN k.consent_text END, k.address, k.key, k.print)::intake
	  FROM k ORDER BY k.n);
END
$$;

-- intake_errors: what is wrong with an element, by field.
CREATE FUNCTION intake_errors(p_now timestamptz, p_zone text, p_asked_zone text, p_asked text, p_at timestamptz, p_horizon_s int,
	p_key text) RETURNS jsonb
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
			WHEN p_at > p_now + seconds(p_horizon_s) THEN 'is too far ahead' END),
		('Idempotency-Key', CASE WHEN octet_length(p_key) > 255 THEN 'is longer than 255 bytes' END)) e(field, message)
	 WHERE e.message IS NOT NULL
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
