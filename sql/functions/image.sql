-- image: post-images, the one form in which objects appear in events, in the projection's snapshot
-- and in answers. JSON text; times are ms since 1970; what is NULL is left out; no personal data.
-- What changes with every command is put together by concat(), which passes over NULL: 3 us, where
-- jsonb_strip_nulls(jsonb_build_object(...))::text takes 11, and several are made for every command. All that
-- is somebody's own words goes through to_json(), which escapes it.
-- STABLE, so that they are inlined (see time.sql).
CREATE FUNCTION image_callback(c callback, p_seq bigint) RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT concat('{"id":"', c.callback_id, '","seq":', p_seq, ',"state":"', c.state, '"',
		',"reason":' || to_json(c.reason)::text,
		',"queue":', c.queue_id, ',"class":', c.class_id, ',"form":' || c.form_id, ',"priority":', c.priority,
		',"created_at":', ms(c.created_at), ',"due_at":', ms(c.due_at), ',"promise_at":', ms(c.promise_at),
		',"promise_local":"', to_char(c.promise_local, 'YYYY-MM-DD"T"HH24:MI:SS'), '","promise_zone":"', c.promise_zone, '"',
		',"expires_at":' || ms(c.expires_at), ',"agent":' || c.agent_id, ',"attempt":"' || c.attempt_id::text || '"',
		',"attempts":', c.attempts, ',"offers":', c.offers, ',"tried":' || c.tried::text, ',"deadline_at":' || ms(c.deadline_at),
		',"linked_to":"' || c.linked_to::text || '"', ',"disposition":' || to_json(c.disposition)::text,
		',"ended_at":' || ms(c.ended_at), ',"rule_version":' || c.rule_version, ',"rule":' || c.rule,
		',"offer_timeout_s":' || c.offer_timeout_s, ',"caller_id":"' || c.caller_id || '"', ',"preferred_agent":' || c.preferred_agent,
		',"preferred_for_s":' || c.preferred_for_s, ',"widen_after_s":' || c.widen_after_s, ',"widened":' || c.widened::text,
		',"agent_for_s":' || c.agent_for_s,
		CASE WHEN c.booked THEN ',"booked":true' END, ',"zones":' || array_to_json(c.zones)::text, '}')
$$;

CREATE FUNCTION image_offer(o offer, p_seq bigint) RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT concat('{"id":"', o.offer_id, '","seq":', p_seq, ',"callback":"', o.callback_id, '","agent":', o.agent_id,
		',"state":"', o.state, '","created_at":', ms(o.created_at), ',"deadline_at":', ms(o.deadline_at),
		',"ended_at":' || ms(o.ended_at), ',"reason":' || to_json(o.reason)::text, '}')
$$;

CREATE FUNCTION image_attempt(a attempt, p_seq bigint) RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT concat('{"id":"', a.attempt_id, '","seq":', p_seq, ',"callback":"', a.callback_id, '","agent":', a.agent_id,
		',"number":', a.number, ',"state":"', a.state, '","started_at":', ms(a.started_at),
		',"answered_at":' || ms(a.answered_at), ',"ended_at":' || ms(a.ended_at), '}')
$$;

CREATE FUNCTION image_status(s agent_status, p_seq bigint) RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT concat('{"agent":', s.agent_id, ',"seq":', p_seq, ',"state":"', s.state, '"', ',"reason":' || to_json(s.reason)::text,
		',"since_at":', ms(s.since), ',"idle_since_at":', ms(s.idle_since), ',"deadline_at":' || ms(s.deadline_at),
		',"next_state":"' || s.next_state || '"', ',"next_reason":' || to_json(s.next_reason)::text, ',"missed":', s.missed,
		',"connected":', to_json(s.connected), ',"node":"' || s.node_id::text || '"', ',"lost_at":' || ms(s.lost_at),
		',"offered_seq":' || s.offered_seq, ',"accepted":', s.accepted, ',"talk_ms":', s.talk_ms, '}')
$$;

-- Settings, with the version as seq.
CREATE FUNCTION image_skill(s skill) RETURNS jsonb
LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_object('id', s.skill_id, 'seq', s.version, 'name', s.name, 'label', s.label, 'removed', s.removed) $$;

-- With its hours as they are in UTC, "openings": [[opens, closes], ...], and up to when that says all; without hours neither.
CREATE FUNCTION image_queue(q queue) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT to_jsonb(q) - 'tenant_id' - 'queue_id' - 'version' - 'open_until' || jsonb_build_object('id', q.queue_id, 'seq', q.version)
		|| CASE WHEN q.hours IS NULL THEN '{}' ELSE jsonb_build_object('open_until', ms(q.open_until), 'openings', (
			SELECT coalesce(jsonb_agg(jsonb_build_array(ms(o.opens_at), ms(o.closes_at)) ORDER BY o.closes_at), '[]')
			  FROM opening o WHERE o.tenant_id = q.tenant_id AND o.queue_id = q.queue_id)) END
$$;

CREATE FUNCTION image_disposition(d disposition) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_object('id', d.disposition_id, 'seq', d.version, 'name', d.name, 'label', d.label,
		'class', d.class, 'removed', d.removed)
$$;

CREATE FUNCTION image_form(f form) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT to_jsonb(f) - 'tenant_id' - 'form_id' - 'queue_id' - 'version' - 'form_key'
		|| jsonb_build_object('id', f.form_id, 'seq', f.version, 'queue', f.queue_id, 'key', f.form_key)
$$;

-- Without the password; has_password says whether he can sign in.
CREATE FUNCTION image_agent(a agent) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_object('id', a.agent_id, 'seq', a.version, 'name', a.name, 'label', a.label, 'role', a.role,
		'skills', a.skills, 'position', a.position, 'removed', a.removed, 'has_password', a.password IS NOT NULL)
$$;

CREATE FUNCTION image_tenant(t tenant) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT to_jsonb(t) - 'tenant_id' - 'version' - 'floor_seq' || jsonb_build_object('id', t.tenant_id, 'seq', t.version)
$$;

CREATE FUNCTION image_class(c requirement_class) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_object('id', c.class_id, 'queue', c.queue_id, 'skills', c.skills)
		|| CASE WHEN c.agent_id <> 0 THEN jsonb_build_object('agent', c.agent_id) ELSE '{}' END
$$;

-- token_hash in hex; never leaves the server.
CREATE FUNCTION image_session(s session) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_object('token_hash', encode(s.token_hash, 'hex'), 'agent', s.agent_id,
		'opened_at', ms(s.opened_at), 'expires_at', ms(s.expires_at))
$$;
