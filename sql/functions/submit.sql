-- submit: takes a batch of new callbacks, each by itself, and appends them to the log.
--   p_now        ms; see log_head()
--   p_callbacks  [{"id": uuid, "form": int, "phone": E.164, "name", "email", "subject", "language", "notes": text,
--                  "case": {...}, "consent": bool, "address": text, "when": "asap" or local time, or "at": ms,
--                  "time_zone": IANA name, "key": Idempotency-Key, "fingerprint": hex of SHA-256, "region" and
--                  "number_type" of the number, for the rules, "hold": uuid, see decide_slot(), "since": ms, of who waits
--                  since then, in another queue}, ...]
-- Returns the events it wrote (class.created; callback.scheduled with the place of the element that it answers:
-- {"callback": image, "when_note": text}; callback.linked), then the answers of the others: of a key or an id that is
-- known what was answered then (for a key with "repeated": true), or the refusal unknown_form, key_reused, invalid
-- {"errors": [{"field", "message"}]}.
-- A constant number of statements, whatever the batch. Writes callback, contact, idempotency_key, event,
-- requirement_class; deletes from slot_hold. Locks the tenant. Sequential scans and merge joins are off as in execute();
-- hash joins are not: tables are only looked up by LATERAL ... LIMIT 1, so that what is hashed can only be a part of the
-- batch.
CREATE FUNCTION submit(p_tenant int, p_now bigint, p_callbacks jsonb) RETURNS SETOF log_row
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_mergejoin = off SET enable_nestloop = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
	v_log record;
	v_head bigint;
	v_now timestamptz;
	v_rows intake[];
	v_taken bigint;
	v_new_class boolean;
	v_same boolean;
	v_linked boolean;
	v_slots boolean;
	v_links intake_link[];
BEGIN
	PERFORM tenant_lock(p_tenant);
	v_log := log_head(p_tenant, p_now);
	v_head := v_log.head;
	v_now := v_log.at;
	v_rows := intake_judge(p_tenant, v_now, p_callbacks);
	SELECT count(*), bool_or(r.class_id IS NULL), count(DISTINCT r.callback_id) + count(DISTINCT r.key) < count(*) + count(r.key),
		bool_or(r.open) OR count(DISTINCT r.phone) < count(*) AND bool_or(r.links), bool_or(r.slot IS NOT NULL)
	  INTO v_taken, v_new_class, v_same, v_linked, v_slots
	  FROM unnest(v_rows) r WHERE intake_taken(r);

	IF v_new_class THEN
		RETURN QUERY SELECT * FROM class_create(p_tenant, v_now, v_head, v_rows);
		GET DIAGNOSTICS v_taken = ROW_COUNT;
		v_head := v_head + v_taken;
		v_rows := intake_judge(p_tenant, v_now, p_callbacks);
	END IF;
	IF v_same THEN
		v_rows := intake_same(v_rows);
	END IF;
	IF v_slots THEN
		v_rows := intake_book(p_tenant, v_now, v_rows);
	END IF;
	IF v_linked THEN
		v_links := intake_link(p_tenant, v_rows);
		v_rows := intake_lead(v_rows, v_links);
	END IF;

	RETURN QUERY
	WITH n AS MATERIALIZED (
		-- in the order of the batch: unnest() gives it, and a window without an order of its own takes it as it comes
		SELECT r.*, v_head + row_number() OVER () AS seq FROM unnest(v_rows) r WHERE intake_taken(r)
	), cb AS (
		INSERT INTO callback AS c (tenant_id, callback_id, seq, created_at, state, queue_id, class_id, form_id, priority, due_at,
			promise_at, promise_local, promise_zone, expires_at, linked_to, rule_version, rule, offer_timeout_s, caller_id,
			preferred_agent, booked, zones, region, number_type, preferred_for_s, widen_after_s, widen_at,
			agent_for_s, promise_window_s)
		SELECT p_tenant, n.callback_id, n.seq, v_now, 'scheduled', n.queue_id, n.class_id, n.form_id, n.priority, n.promise_at,
			n.promise_at, n.promise_local, n.promise_zone, n.expires_at, n.leader_id, n.rule_version, n.rule, n.offer_timeout_s, n.caller_id,
			n.preferred_agent, n.booked, n.zones, n.region, n.number_type, n.preferred_for_s,
			n.widen_after_s, n.promise_at + seconds(n.widen_after_s), n.agent_for_s, n.rule_window_s
		  FROM n
		RETURNING c.seq, image_callback(c, c.seq) AS image
	), ct AS (
		INSERT INTO contact (tenant_id, callback_id, phone, name, email, subject, language, notes, case_information, consent,
			consent_text, address)
		SELECT p_tenant, n.callback_id, n.phone, n.name, n.email, n.subject, n.language, n.notes, n.case_information, n.consent,
			n.consent_text, n.address
		  FROM n
	), ik AS (
		INSERT INTO idempotency_key (tenant_id, form_id, key, fingerprint, callback_id, created_at)
		SELECT p_tenant, n.form_id, n.key, n.fingerprint, n.callback_id, v_now FROM n WHERE n.key IS NOT NULL
		    -- what is in the way is a key whose callback was deleted, see intake_known()
		    ON CONFLICT (tenant_id, form_id, key) DO UPDATE
		   SET fingerprint = excluded.fingerprint, callback_id = excluded.callback_id, created_at = excluded.created_at
	), e AS MATERIALIZED (
		SELECT n.seq, n.ord, n.callback_id, concat('{"callback":', cb.image, ',"when_note":"', n.note, '"}') AS body
		  FROM n JOIN cb ON cb.seq = n.seq
	), ev AS (
		-- no command_id: it would be the callback's own, by which its first event is found all the same
		INSERT INTO event (tenant_id, seq, at, kind, callback_id, body)
		SELECT p_tenant, e.seq, v_now, 'callback.scheduled', e.callback_id, e.body FROM e
	)
	SELECT 'event', e.ord, e.seq, ms(v_now), 'callback.scheduled', NULL::int, e.body FROM e ORDER BY e.seq;
	GET DIAGNOSTICS v_taken = ROW_COUNT;

	IF v_linked THEN
		RETURN QUERY SELECT * FROM append(p_tenant, v_now, v_head + v_taken, intake_move(p_tenant, v_links));
	END IF;
	IF v_taken < cardinality(v_rows) THEN
		RETURN QUERY SELECT a.* FROM intake_answer(p_tenant, v_rows) a;
	END IF;
END
$$;
