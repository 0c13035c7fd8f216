-- company_write: writes one object of a company document, and returns the events that tell of it, the first of which
-- will have the number p_seq.
--   p_id      of the one to be changed, NULL a new one; p_item: how it shall be, in the document's terms
--   p_removed it shall be marked removed, and is otherwise left as it is
-- Writes tenant, skill, queue with opening, disposition, agent, form; for agents agent_status, session. Needs tenant_lock().
CREATE FUNCTION company_write(p_tenant int, p_now timestamptz, p_seq bigint, p_ord int, p_object text, p_id int, p_item jsonb,
	p_removed boolean) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_image jsonb;
BEGIN
	CASE p_object
	WHEN 'agent' THEN
		RETURN company_write_agent(p_tenant, p_now, p_seq, p_ord, p_id, p_item, p_removed);
	WHEN 'company' THEN
		v_image := company_write_tenant(p_tenant, p_seq, p_item);
		p_object := 'tenant';
	WHEN 'skill' THEN
		INSERT INTO skill AS s (tenant_id, skill_id, name, label, version, removed)
		SELECT p_tenant, coalesce(p_id, max(o.skill_id) + 1, 1), p_item ->> 'name', p_item ->> 'label', p_seq, p_removed
		  FROM skill o WHERE o.tenant_id = p_tenant
		    ON CONFLICT (tenant_id, skill_id) DO UPDATE
		   SET label = excluded.label, version = excluded.version, removed = excluded.removed
		RETURNING image_skill(s) INTO v_image;
	WHEN 'disposition' THEN
		INSERT INTO disposition AS d (tenant_id, disposition_id, name, label, class, version, removed)
		SELECT p_tenant, coalesce(p_id, max(o.disposition_id) + 1, 1), p_item ->> 'name', p_item ->> 'label', p_item ->> 'class',
			p_seq, p_removed
		  FROM disposition o WHERE o.tenant_id = p_tenant
		    ON CONFLICT (tenant_id, disposition_id) DO UPDATE
		   SET label = excluded.label, class = excluded.class, version = excluded.version, removed = excluded.removed
		RETURNING image_disposition(d) INTO v_image;
	WHEN 'queue' THEN
		v_image := company_write_queue(p_tenant, p_now, p_seq, p_id, p_item, p_removed);
	WHEN 'form' THEN
		v_image := company_write_form(p_tenant, p_seq, p_id, p_item, p_removed);
	END CASE;
	RETURN ARRAY[change_of(p_ord, NULL, p_object || '.changed', NULL, NULL, NULL, NULL, NULL, jsonb_build_object(p_object, v_image))];
END
$$;

-- company_skill_ids: {"skill name": level} as {"skill_id": level}.
CREATE FUNCTION company_skill_ids(p_tenant int, p_skills jsonb) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT coalesce(jsonb_object_agg(s.skill_id, l.value), '{}')
	  FROM jsonb_each(p_skills) l JOIN skill s ON s.tenant_id = p_tenant AND s.name = l.key AND NOT s.removed
$$;

CREATE FUNCTION company_write_tenant(p_tenant int, p_seq bigint, p_item jsonb) RETURNS jsonb
LANGUAGE sql VOLATILE
AS $$
	UPDATE tenant t
	   SET version = p_seq, label = x.label, time_zone = x.time_zone, grace_s = x.grace_s, session_s = x.session_s,
		lockout_failures = x.lockout_failures, lockout_s = x.lockout_s, history_days = x.history_days,
		log_days = x.log_days, calling_hours = x.calling_hours, blocked_countries = x.blocked_countries,
		blocked_number_types = x.blocked_number_types
	  FROM jsonb_populate_record(NULL::tenant, p_item) x
	 WHERE t.tenant_id = p_tenant
	RETURNING image_tenant(t)
$$;

CREATE FUNCTION company_write_queue(p_tenant int, p_now timestamptz, p_seq bigint, p_id int, p_item jsonb, p_removed boolean) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	x queue := jsonb_populate_record(NULL::queue, p_item);
	q queue;
BEGIN
	IF p_removed THEN
		UPDATE queue u SET removed = true, version = p_seq WHERE u.tenant_id = p_tenant AND u.queue_id = p_id RETURNING u.* INTO q;
		RETURN image_queue(q);
	END IF;
	x.tenant_id := p_tenant;
	x.queue_id := coalesce(p_id, (SELECT max(o.queue_id) + 1 FROM queue o WHERE o.tenant_id = p_tenant), 1);
	x.version := p_seq;
	x.removed := false;
	x.skills := company_skill_ids(p_tenant, x.skills);
	INSERT INTO queue AS u SELECT x.*
	    ON CONFLICT (tenant_id, queue_id) DO UPDATE
	   SET label = x.label, version = x.version, removed = x.removed, skills = x.skills, strategy = x.strategy, ring_max = x.ring_max,
		priority = x.priority, offer_timeout_s = x.offer_timeout_s, ready_to_call_s = x.ready_to_call_s,
		dial_timeout_s = x.dial_timeout_s, call_timeout_s = x.call_timeout_s, after_call_work_s = x.after_call_work_s,
		missed_limit = x.missed_limit, missed_rest_s = x.missed_rest_s, reject_cooldown_s = x.reject_cooldown_s,
		max_offers = x.max_offers, max_attempts = x.max_attempts, retry_delay_s = x.retry_delay_s,
		promise_window_s = x.promise_window_s, disposition_required = x.disposition_required, hours = x.hours,
		retries = x.retries, attempts_per_day = x.attempts_per_day, ring_step_s = x.ring_step_s,
		slots = x.slots, calling_hours = x.calling_hours, last_agent_days = x.last_agent_days,
		last_agent_for_s = x.last_agent_for_s, widen = x.widen,
		personal_for_s = x.personal_for_s, window_end = x.window_end
	RETURNING u.* INTO q;
	q := opening_write(q, p_now);
	RETURN image_queue(q);	-- a statement of its own: what was written by one it does not see
END
$$;

CREATE FUNCTION company_write_form(p_tenant int, p_seq bigint, p_id int, p_item jsonb, p_removed boolean) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	x form := jsonb_populate_record(NULL::form, p_item);
	f form;
BEGIN
	IF p_removed THEN
		UPDATE form u SET removed = true, version = p_seq WHERE u.tenant_id = p_tenant AND u.form_id = p_id RETURNING u.* INTO f;
		RETURN image_form(f);
	END IF;
	x.tenant_id := p_tenant;
	x.form_id := coalesce(p_id, (SELECT max(o.form_id) + 1 FROM form o WHERE o.tenant_id = p_tenant), 1);
	x.form_key := p_item ->> 'key';
	x.queue_id := (SELECT q.queue_id FROM queue q WHERE q.tenant_id = p_tenant AND q.name = p_item ->> 'queue');
	x.version := p_seq;
	x.removed := false;
	x.skills := company_skill_ids(p_tenant, x.skills);
	INSERT INTO form AS u SELECT x.*
	    ON CONFLICT (tenant_id, form_id) DO UPDATE
	   SET label = x.label, version = x.version, removed = x.removed, queue_id = x.queue_id, skills = x.skills, priority = x.priority,
		default_region = x.default_region, countries = x.countries, origins = x.origins, time_zone = x.time_zone,
		language = x.language, consent_required = x.consent_required, consent_text = x.consent_text,
		thank_you_url = x.thank_you_url, thank_you_link = x.thank_you_link, duplicates = x.duplicates, horizon_s = x.horizon_s,
		address_limit = x.address_limit, address_period_s = x.address_period_s, number_limit = x.number_limit,
		number_period_s = x.number_period_s, form_limit = x.form_limit, form_period_s = x.form_period_s, closed = x.closed,
		notice_s = x.notice_s
	RETURNING u.* INTO f;
	RETURN image_form(f);
END
$$;

-- company_write_agent: agent.changed, with the status of one who is new, removed, or has another password now; then
-- session.closed for each session of the last two: whoever knew the old password must not stay in. Of one who is
-- removed the password goes too: should the name come back, the old one must not open the door.
CREATE FUNCTION company_write_agent(p_tenant int, p_now timestamptz, p_seq bigint, p_ord int, p_id int, p_item jsonb,
	p_removed boolean) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_id int := coalesce(p_id, (SELECT max(o.agent_id) + 1 FROM agent o WHERE o.tenant_id = p_tenant), 1);
	a agent;
	s agent_status;
	x session;
	v_before agent;
	v_ended boolean := p_removed;
	v_changes change[];
BEGIN
	SELECT u.* INTO v_before FROM agent u WHERE u.tenant_id = p_tenant AND u.agent_id = v_id;
	IF p_removed THEN
		UPDATE agent u SET removed = true, version = p_seq, password = NULL, failures = 0, locked_until = NULL
		 WHERE u.tenant_id = p_tenant AND u.agent_id = v_id RETURNING u.* INTO a;
	ELSE
		INSERT INTO agent AS u (tenant_id, agent_id, name, label, role, skills, version, password, position)
		VALUES (p_tenant, v_id, p_item ->> 'name', p_item ->> 'label', p_item ->> 'role',
			company_skill_ids(p_tenant, p_item -> 'skills'), p_seq, p_item ->> 'password_hash', (p_item ->> 'position')::int)
		    ON CONFLICT (tenant_id, agent_id) DO UPDATE
		   SET label = excluded.label, role = excluded.role, skills = excluded.skills, version = excluded.version, removed = false,
			password = excluded.password, position = excluded.position
		RETURNING u.* INTO a;
		INSERT INTO agent_status AS u (tenant_id, agent_id, seq, since, idle_since) VALUES (p_tenant, v_id, p_seq, p_now, p_now)
		    ON CONFLICT DO NOTHING RETURNING u.* INTO s;
		v_ended := v_before.password IS DISTINCT FROM a.password AND v_before.password IS NOT NULL;
	END IF;
	IF v_ended THEN
		SELECT * INTO s FROM agent_status u WHERE u.tenant_id = p_tenant AND u.agent_id = v_id;
		s := status_set(s, 'logged_out', NULL, p_now);
		s.connected := false;
		s.node_id := NULL;
		s.lost_at := NULL;
	END IF;
	v_changes := ARRAY[change_of(p_ord, NULL, 'agent.changed', v_id, NULL, NULL, NULL, s,
		jsonb_build_object('agent', image_agent(a)))];
	IF v_ended THEN
		FOR x IN DELETE FROM session e WHERE e.tenant_id = p_tenant AND e.agent_id = v_id RETURNING e.* LOOP
			v_changes := v_changes || change_of(p_ord, NULL, 'session.closed', v_id, NULL, NULL, NULL, NULL,
				jsonb_build_object('session', jsonb_build_object('token_hash', encode(x.token_hash, 'hex'), 'closed', true)));
		END LOOP;
	END IF;
	RETURN v_changes;
END
$$;
