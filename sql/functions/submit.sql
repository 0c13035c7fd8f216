-- submit: takes a batch of new callbacks, each by itself, and appends them to the log.
--   p_now        ms; see log_head()
--   p_callbacks  [{"id": uuid, "form": int, "phone": E.164, "name", "email", "subject", "language", "notes": text,
--                  "case": {...}, "consent": bool, "address": text, "when": "asap" or local time, or "at": ms,
--                  "time_zone": IANA name, "key": Idempotency-Key, "fingerprint": hex of SHA-256}, ...]
-- Returns the events it wrote (class.created, callback.scheduled, callback.linked), then one answer per element:
--   {"callback": image, "when_note": text, "repeated": true when its key was known}
-- or the refusal unknown_form, invalid {"errors": [{"field", "message"}]}, key_reused. An answer never shows that
-- there was another callback of the number. An id that the log knows gets its first answer again.
-- A constant number of statements, whatever the batch. Writes callback, contact, idempotency_key, event,
-- requirement_class. Locks the tenant; hash and merge joins and sequential scans are off as in execute().
CREATE FUNCTION submit(p_tenant int, p_now bigint, p_callbacks json) RETURNS SETOF log_row
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
	v_head bigint;
	v_now timestamptz;
	v_rows intake[];
	v_taken int;
	v_new_class boolean;
	v_same boolean;
	v_classes requirement_class[] := '{}';
	v_links intake_link[];
	v_moved callback[] := '{}';
BEGIN
	PERFORM tenant_lock(p_tenant);
	SELECT h.head, h.at INTO v_head, v_now FROM log_head(p_tenant, p_now) h;
	v_rows := intake_read(p_tenant, v_now, p_callbacks);
	SELECT count(DISTINCT r.callback_id) + count(DISTINCT r.key) < count(*) + count(r.key) INTO v_same FROM unnest(v_rows) r;
	IF v_same THEN
		v_rows := intake_same(v_rows);
	END IF;
	SELECT count(*), bool_or(r.class_id IS NULL) INTO v_taken, v_new_class
	  FROM unnest(v_rows) r WHERE r.refusal IS NULL AND r.known IS NULL AND r.same_as IS NULL;
	IF v_new_class THEN
		v_classes := class_create(p_tenant, v_rows);
	END IF;
	v_links := intake_link(p_tenant, v_rows);
	IF cardinality(v_links) > 0 THEN
		v_moved := intake_move(p_tenant, v_head + cardinality(v_classes) + v_taken, v_links);
	END IF;

	RETURN QUERY
	WITH n AS MATERIALIZED (
		SELECT r.*, v_head + cardinality(v_classes) + row_number() OVER (ORDER BY r.ord) AS seq,
			coalesce(r.class_id, k.class_id) AS class, l.leader_id
		  FROM unnest(v_rows) r
		  LEFT JOIN unnest(v_classes) k ON r.class_id IS NULL AND k.queue_id = r.queue_id AND k.skills = r.skills
		  LEFT JOIN unnest(v_links) l ON l.callback_id = r.callback_id
		 WHERE r.refusal IS NULL AND r.known IS NULL AND r.same_as IS NULL
	), i AS MATERIALIZED (
		SELECT x.ord, x.seq, x.callback_id, x.note, x.leader_id, image_callback(x.cb, x.seq) AS image
		  FROM (SELECT n.ord, n.seq, n.callback_id, n.note, n.leader_id, ROW (p_tenant, n.callback_id, n.seq, v_now, 'scheduled',
				NULL, n.queue_id, n.class, n.form_id, n.priority, n.promise_at, n.promise_at, n.promise_local, n.promise_zone,
				n.expires_at, NULL, NULL, 0, 0, NULL, NULL, n.leader_id, NULL, NULL)::callback AS cb
			  FROM n OFFSET 0) x
	), s AS MATERIALIZED (
		SELECT i.ord, i.seq, i.note, i.image::text AS whole,
			CASE WHEN i.leader_id IS NOT NULL THEN (i.image - 'linked_to')::text END AS part
		  FROM i
	), e AS MATERIALIZED (
		SELECT v_head + row_number() OVER (ORDER BY k.class_id) AS seq, 'class.created' AS kind, NULL::uuid AS command_id,
			NULL::uuid AS callback_id, jsonb_build_object('class', image_class(k)) AS body
		  FROM unnest(v_classes) k
		 UNION ALL
		SELECT i.seq, 'callback.scheduled', i.callback_id, i.callback_id, jsonb_build_object('callback', i.image) FROM i
		 UNION ALL
		SELECT m.seq, 'callback.linked', NULL, m.callback_id, jsonb_build_object('callback', image_callback(m, m.seq))
		  FROM unnest(v_moved) m
	), cb AS (
		INSERT INTO callback (tenant_id, callback_id, seq, created_at, state, queue_id, class_id, form_id, priority, due_at,
			promise_at, promise_local, promise_zone, expires_at, linked_to)
		SELECT p_tenant, n.callback_id, n.seq, v_now, 'scheduled', n.queue_id, n.class, n.form_id, n.priority, n.promise_at,
			n.promise_at, n.promise_local, n.promise_zone, n.expires_at, n.leader_id
		  FROM n
	), ct AS (
		INSERT INTO contact (tenant_id, callback_id, phone, name, email, subject, language, notes, case_information, consent,
			consent_text, address)
		SELECT p_tenant, n.callback_id, n.phone, n.name, n.email, n.subject, n.language, n.notes, n.case_information, n.consent,
			n.consent_text, n.address
		  FROM n
	), ik AS (
		INSERT INTO idempotency_key (tenant_id, form_id, key, fingerprint, callback_id, created_at)
		SELECT p_tenant, n.form_id, n.key, n.fingerprint, n.callback_id, v_now FROM n WHERE n.key IS NOT NULL
		    -- what is in the way is a key whose callback was deleted, see intake_read()
		    ON CONFLICT (tenant_id, form_id, key) DO UPDATE
		   SET fingerprint = excluded.fingerprint, callback_id = excluded.callback_id, created_at = excluded.created_at
	), mv AS (
		-- by ctid: with the key instead, a plan made while the table was empty walks all of it ever after
		UPDATE callback c SET seq = m.seq, linked_to = m.linked_to
		  FROM unnest(v_moved) m CROSS JOIN LATERAL (
			SELECT b.ctid FROM callback b WHERE b.tenant_id = p_tenant AND b.callback_id = m.callback_id LIMIT 1) b
		 WHERE c.ctid = b.ctid
	), ev AS (
		INSERT INTO event (tenant_id, seq, at, kind, command_id, callback_id, body)
		SELECT p_tenant, e.seq, v_now, e.kind, e.command_id, e.callback_id, e.body FROM e
	), a AS (
		SELECT s.ord, s.seq, NULL AS refusal,
			'{"callback": ' || coalesce(s.part, s.whole) || ', "when_note": "' || s.note || '"}' AS body
		  FROM s
		 UNION ALL
		SELECT r.ord, coalesce(r.known_seq, s.seq), NULL, '{"callback": ' || coalesce(r.known::text, s.part, s.whole)
			|| ', "when_note": "' || r.note || CASE WHEN r.repeated THEN '", "repeated": true}' ELSE '"}' END
		  FROM unnest(v_rows) r LEFT JOIN s ON s.ord = r.same_as
		 WHERE r.refusal IS NULL AND (r.known IS NOT NULL OR r.same_as IS NOT NULL)
		 UNION ALL
		SELECT r.ord, NULL, r.refusal, CASE WHEN r.errors IS NULL THEN '{}' ELSE jsonb_build_object('errors', r.errors)::text END
		  FROM unnest(v_rows) r WHERE r.refusal IS NOT NULL
	)
	SELECT o.*
	  FROM (SELECT 'event', NULL::int AS ord, s.seq, ms(v_now), 'callback.scheduled', NULL::int, '{"callback": ' || s.whole || '}'
		  FROM s
		 UNION ALL
		SELECT 'event', NULL, e.seq, ms(v_now), e.kind, NULL, e.body::text FROM e WHERE e.kind <> 'callback.scheduled'
		 UNION ALL
		SELECT 'answer', a.ord, a.seq, NULL, a.refusal, NULL, a.body FROM a) o
	 ORDER BY o.ord NULLS FIRST, o.seq;
END
$$;
