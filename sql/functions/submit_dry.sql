-- submit_dry: what would become of a request: submit() is done, looked at, and undone; nothing else decides. Nothing of it is
-- ever seen, but for the time that it takes under the tenant's lock.
--   p_callback  as an element of submit()'s; its id may be any
-- Returns {"callback": image, "when_note", "place": {"queue", "rule", "skills", "agent", ...}: names; "suppressed": why it
-- would not be called} or {"refusal", "errors"}.
-- Reads and writes as submit(); reads queue, rule, requirement_class, skill, agent, suppression.
CREATE FUNCTION submit_dry(p_tenant int, p_now bigint, p_callback json) RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_said jsonb;
	v_id uuid := p_callback ->> 'id';
BEGIN
	BEGIN
		SELECT CASE WHEN s.what = 'event' THEN s.body::jsonb ELSE jsonb_strip_nulls(jsonb_build_object('refusal', s.kind)) || s.body::jsonb END INTO v_said
		  FROM submit(p_tenant, p_now, jsonb_build_array(p_callback::jsonb)) s WHERE s.ord = 0;
		v_said := v_said || coalesce(submit_dry_place(p_tenant, v_id, from_ms(p_now)), '{}');
		RAISE EXCEPTION 'undone' USING ERRCODE = 'CBDRY';
	EXCEPTION WHEN SQLSTATE 'CBDRY' THEN
		RETURN v_said::text;
	END;
END
$$;

-- submit_dry_place: where a callback was put, in names; NULL: there is none.
CREATE FUNCTION submit_dry_place(p_tenant int, p_id uuid, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN (
		SELECT jsonb_strip_nulls(jsonb_build_object('suppressed', callback_suppressed(p_tenant, p_id, p_now), 'place', jsonb_build_object(
				'queue', q.name, 'priority', c.priority, 'skills', company_levels(p_tenant, k.skills),
				'rule', (SELECT r.name FROM rule r WHERE r.tenant_id = p_tenant AND r.version = c.rule_version AND r.ord = c.rule),
				'agent', (SELECT a.name FROM agent a WHERE a.tenant_id = p_tenant AND a.agent_id = nullif(k.agent_id, 0)),
				'preferred_agent', (SELECT a.name FROM agent a WHERE a.tenant_id = p_tenant AND a.agent_id = c.preferred_agent))))
		  FROM callback_row(p_tenant, p_id) c
		 CROSS JOIN LATERAL queue_row(p_tenant, c.queue_id) q
		 CROSS JOIN LATERAL (SELECT * FROM requirement_class WHERE tenant_id = p_tenant AND class_id = c.class_id) k);
END
$$;
