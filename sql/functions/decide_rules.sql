-- decide_rules: rules_publish (args.document, see rules_check) and rules_rollback (args.to, a version; args.comment). Both
-- make a new version, whole or not at all; the rules of an old one are checked anew, because what they name may be gone.
-- version: the one that is published now, as the sender saw it. Waiting callbacks stay as they are.
-- The event tells of the version, not of the rules: these are whatever people wrote.
-- Reads queue, skill, agent; reads and writes rule_set, rule. Needs tenant_lock().
CREATE FUNCTION decide_rules(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	m command;
	v_version int;
	v_from int;
	v_document jsonb;
	v_errors jsonb;
	v_paths text[];
	v_changes change[] := '{}';
BEGIN
	FOREACH m IN ARRAY p_run LOOP
		v_version := coalesce((SELECT s.version FROM rules_set(p_tenant) s), 0);
		v_document := m.args -> 'document';
		v_from := NULL;
		IF m.kind = 'rules_rollback' THEN
			v_from := CASE WHEN m.args ->> 'to' ~ '^[0-9]{1,9}$' THEN (m.args ->> 'to')::int END;
			v_document := rules_document(p_tenant, v_from) - 'comment'
				|| jsonb_build_object('comment', coalesce(m.args -> 'comment', '""'));
		END IF;
		IF coalesce(m.role NOT IN ('administrator', 'operator'), true) OR m.kind = 'rules_rollback' AND v_document IS NULL THEN
			v_changes := v_changes || change_refuse(m.ord, 'not_found');
			CONTINUE;
		ELSIF m.version <> v_version THEN
			v_changes := v_changes || ROW (m.ord, NULL, 'stale_version', jsonb_build_object('rules', jsonb_build_object('version', v_version)),
				NULL, NULL, NULL, NULL, NULL, NULL, NULL)::change;
			CONTINUE;
		END IF;
		v_errors := rules_report(p_tenant, v_document) -> 'errors';
		IF v_errors <> '[]' THEN
			v_changes := v_changes || ROW (m.ord, NULL, 'invalid', jsonb_build_object('errors', v_errors),
				NULL, NULL, NULL, NULL, NULL, NULL, NULL)::change;
			CONTINUE;
		END IF;
		v_version := v_version + 1;
		DELETE FROM rule r WHERE r.tenant_id = p_tenant AND r.version < v_version;
		v_paths := rules_write(p_tenant, v_version, v_document);
		INSERT INTO rule_set (tenant_id, version, published_at, published_by, comment, from_version, rules, paths, document)
		VALUES (p_tenant, v_version, p_now, m.by_agent, coalesce(v_document ->> 'comment', ''), v_from,
			jsonb_array_length(v_document -> 'rules'), v_paths, v_document);
		v_changes := v_changes || change_of(m.ord, m.id, 'rules.published', NULL, NULL, NULL, NULL, NULL,
			jsonb_build_object('rules', jsonb_strip_nulls(jsonb_build_object('version', v_version, 'from_version', v_from,
				'count', jsonb_array_length(v_document -> 'rules'), 'by', m.by_agent))));
	END LOOP;
	RETURN v_changes;
END
$$;
