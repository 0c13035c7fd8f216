-- load_callback: callbacks for people to look at, with the personal data that events and the projection do not have.
-- Reads callback, contact, note, offer, attempt, event, tenant; locks nothing.

-- load_details: what is known of the contacts of some callbacks, for those who may see it.
--   p_ids   ["uuid", ...]
-- detail: {"contact": {"phone", "name", "email", "language"}, "subject", "notes", "case_information": {...}, "consent",
--   "erased", "interactions": {"in_progress": {"callback": n}, "recent": {"callback": n}},
--   "notes_by_agents": [{"written_at", "agent", "text"}, ...]}
-- interactions are other callbacks of the same number: open ones, and those that ended within tenant.history_days of the
-- last event (the only clock that a load has). No row for an unknown id.
CREATE FUNCTION load_details(p_tenant int, p_ids json) RETURNS TABLE (callback_id uuid, detail text)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
	v_since timestamptz;
BEGIN
	SELECT e.at - t.history_days * interval '24 hours' INTO v_since
	  FROM tenant t CROSS JOIN LATERAL (SELECT v.at FROM event v WHERE v.tenant_id = p_tenant ORDER BY v.seq DESC LIMIT 1) e
	 WHERE t.tenant_id = p_tenant;
	RETURN QUERY
	SELECT k.callback_id, (jsonb_strip_nulls(jsonb_build_object(
			'contact', jsonb_build_object('phone', k.phone, 'name', k.name, 'email', k.email, 'language', k.language),
			'subject', k.subject, 'notes', k.notes, 'consent', k.consent, 'erased', k.erased_at IS NOT NULL,
			'interactions', jsonb_build_object('in_progress', jsonb_build_object('callback', o.open),
				'recent', jsonb_build_object('callback', o.recent)),
			'notes_by_agents', n.notes)) || jsonb_build_object('case_information', k.case_information))::text
	  FROM json_array_elements_text(p_ids) i(id)
	 CROSS JOIN LATERAL (
		SELECT * FROM contact c WHERE c.tenant_id = p_tenant AND c.callback_id = i.id::uuid LIMIT 1) k
	 CROSS JOIN LATERAL (
		SELECT count(*) FILTER (WHERE c.ended_at IS NULL) AS open, count(*) FILTER (WHERE c.ended_at >= v_since) AS recent
		  FROM contact other CROSS JOIN LATERAL (
			SELECT * FROM callback b WHERE b.tenant_id = p_tenant AND b.callback_id = other.callback_id LIMIT 1) c
		 WHERE other.tenant_id = p_tenant AND other.phone = k.phone AND other.callback_id <> k.callback_id) o
	 CROSS JOIN LATERAL (
		SELECT coalesce(jsonb_agg(jsonb_build_object('written_at', ms(t.at), 'agent', t.agent_id, 'text', t.body) ORDER BY t.at, t.note_id),
			'[]') AS notes
		  FROM note t WHERE t.tenant_id = p_tenant AND t.callback_id = k.callback_id) n;
END
$$;

-- load_callback: everything about one: {"callback", "due_local", "detail", "offers", "attempts", "linked": [ids], "rule": the
-- name of the rule that placed it, if one did} as text, or NULL. due_local: due_at by the contact's clock, as promise_local
-- is the promise.
CREATE FUNCTION load_callback(p_tenant int, p_id uuid) RETURNS text
LANGUAGE sql STABLE
SET enable_seqscan = off
AS $$
	SELECT (jsonb_build_object('callback', image_callback(c, c.seq)::jsonb,
		'due_local', to_char(c.due_at AT TIME ZONE c.promise_zone, 'YYYY-MM-DD"T"HH24:MI:SS'),
		'detail', (SELECT d.detail::jsonb FROM load_details(p_tenant, json_build_array(p_id)) d),
		'offers', (SELECT coalesce(jsonb_agg(image_offer(o, o.seq)::jsonb ORDER BY o.created_at, o.seq), '[]')
			  FROM offer o WHERE o.tenant_id = p_tenant AND o.callback_id = p_id),
		'attempts', (SELECT coalesce(jsonb_agg(image_attempt(a, a.seq)::jsonb ORDER BY a.number), '[]')
			  FROM attempt a WHERE a.tenant_id = p_tenant AND a.callback_id = p_id),
		'linked', (SELECT coalesce(jsonb_agg(f.callback_id ORDER BY f.created_at, f.callback_id), '[]')
			  FROM callback f WHERE f.tenant_id = p_tenant AND f.linked_to = p_id))
		|| coalesce((SELECT jsonb_build_object('rule', s.document -> 'rules' -> (c.rule - 1) -> 'name')
			  FROM rule_set s WHERE s.tenant_id = p_tenant AND s.version = c.rule_version AND c.rule IS NOT NULL), '{}'))::text
	  FROM callback c WHERE c.tenant_id = p_tenant AND c.callback_id = p_id
$$;

-- callback_fits: whether a filter lets that one through, see callback_page().
CREATE FUNCTION callback_fits(c callback, p_now bigint, p_filter json) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_state text := p_filter ->> 'state';
BEGIN
	RETURN coalesce(c.queue_id = (p_filter ->> 'queue')::int, true) AND coalesce(c.form_id = (p_filter ->> 'form')::int, p_filter ->> 'form' IS NULL)
		AND coalesce(c.agent_id = (p_filter ->> 'agent')::int, p_filter ->> 'agent' IS NULL)
		AND coalesce(c.due_at >= from_ms((p_filter ->> 'due_from')::bigint), true) AND coalesce(c.due_at < from_ms((p_filter ->> 'due_to')::bigint), true)
		AND (c.ended_at IS NULL OR coalesce(p_filter ->> 'open', 'false') <> 'true')
		AND (p_filter ->> 'promise' IS NULL OR promise_astray(c, from_ms(p_now)))
		AND CASE v_state
			WHEN 'queued' THEN c.state = 'scheduled' AND c.due_at <= from_ms(p_now)
			WHEN 'scheduled' THEN c.state = 'scheduled' AND c.due_at > from_ms(p_now)
			ELSE v_state IS NULL OR c.state = v_state END
		AND c.callback_id < coalesce(p_filter ->> 'after', 'ffffffff-ffff-ffff-ffff-ffffffffffff')::uuid;
END
$$;

-- callback_page: up to limit callbacks that a filter lets through, newest first.
--   p_filter   {"state", "queue": id, "form": id, "agent": id, "phone": E.164, "due_from": ms, "due_to": ms (not that one itself),
--              "open": true for those that have not ended, "promise": "astray": those of which promise_astray() is true, "after": id
--              of the last one of the page before, "limit": at most 500}; or {"ids": [...], "limit"}: these, whatever they are like
-- state is as it is shown: 'queued' are the scheduled ones that are due, 'scheduled' those that are not. agent: who has
-- it in hand now. Those of a number, and those in somebody's hands, are few and come from their own index, and each of them is
-- asked; the others from the youngest on, by what callback_fits() says, too, but in a way that an index can be used for.
-- Reads callback, contact. Sorts have to be off where it is called.
CREATE FUNCTION callback_page(p_tenant int, p_now bigint, p_filter json) RETURNS callback[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_state text := p_filter ->> 'state';
	v_queue int := p_filter ->> 'queue';
	v_form int := p_filter ->> 'form';
	v_from timestamptz := from_ms((p_filter ->> 'due_from')::bigint);
	v_to timestamptz := from_ms((p_filter ->> 'due_to')::bigint);
	v_open boolean := coalesce((p_filter ->> 'open')::boolean, false);
	v_astray boolean := coalesce(p_filter ->> 'promise' = 'astray', false);
	v_limit int := least(greatest(coalesce((p_filter ->> 'limit')::int, 100), 1), 500);
	v_after uuid := coalesce(p_filter ->> 'after', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
BEGIN
	IF json_typeof(p_filter -> 'ids') = 'array' THEN
		RETURN ARRAY(
			SELECT c FROM json_array_elements_text(p_filter -> 'ids') WITH ORDINALITY i(id, n)
			 CROSS JOIN LATERAL callback_row(p_tenant, i.id::uuid) c
			 WHERE i.n <= v_limit);
	ELSIF p_filter ->> 'phone' IS NOT NULL THEN
		RETURN ARRAY(
			SELECT c FROM contact k CROSS JOIN LATERAL callback_row(p_tenant, k.callback_id) c
			 WHERE k.tenant_id = p_tenant AND k.phone = p_filter ->> 'phone' AND callback_fits(c, p_now, p_filter)
			 ORDER BY c.callback_id DESC LIMIT v_limit);
	ELSIF p_filter ->> 'agent' IS NOT NULL OR v_state IN ('offered', 'ready_to_call', 'establishing', 'connected', 'on_hold') THEN
		RETURN ARRAY(
			SELECT c FROM callback c
			 WHERE c.tenant_id = p_tenant AND c.state IN ('offered', 'ready_to_call', 'establishing', 'connected', 'on_hold')
			   AND callback_fits(c, p_now, p_filter)
			 ORDER BY c.callback_id DESC LIMIT v_limit);
	END IF;
	RETURN ARRAY(
		SELECT c FROM callback c
		 WHERE c.tenant_id = p_tenant AND c.callback_id < v_after
		   AND (v_queue IS NULL OR c.queue_id = v_queue) AND (v_form IS NULL OR c.form_id = v_form)
		   AND (v_from IS NULL OR c.due_at >= v_from) AND (v_to IS NULL OR c.due_at < v_to)
		   AND (NOT v_open OR c.ended_at IS NULL)
		   AND (NOT v_astray OR promise_astray(c, from_ms(p_now)))
		   AND CASE v_state
			WHEN 'queued' THEN c.state = 'scheduled' AND c.due_at <= from_ms(p_now)
			WHEN 'scheduled' THEN c.state = 'scheduled' AND c.due_at > from_ms(p_now)
			ELSE v_state IS NULL OR c.state = v_state END
		 ORDER BY c.callback_id DESC LIMIT v_limit);
END
$$;

-- load_callbacks: a page of callbacks, see callback_page(), as a JSON array of images; of those whose promise is astray
-- with "recomputed_at", what it would be.
CREATE FUNCTION load_callbacks(p_tenant int, p_now bigint, p_filter json) RETURNS text
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_sort = off SET jit = off
AS $$
DECLARE
	v_rows callback[] := callback_page(p_tenant, p_now, p_filter);
BEGIN
	RETURN (SELECT '[' || coalesce(string_agg(CASE WHEN p_filter ->> 'promise' = 'astray'
			THEN '{"recomputed_at":' || ms((wall_time((u.c).promise_local, (u.c).promise_zone)).at) || ',' || substr(image_callback(u.c, (u.c).seq), 2)
			ELSE image_callback(u.c, (u.c).seq) END, ',' ORDER BY u.place), '') || ']'
		  FROM (SELECT v_rows[n] AS c, n AS place FROM generate_series(1, cardinality(v_rows)) n) u);
END
$$;
