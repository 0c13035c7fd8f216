-- decide_company: applies a company document (args.document), whole or not at all, and tells every object that it
-- changed. Of its answer, "changes" in the first event, says what (see company_report); when the document changes
-- nothing there is no event to answer with, so that is the refusal 'unchanged' {"changes": []}.
--   Passwords arrive hashed, as password_hash; a plain one is an error.
--   An agent who is removed, or has another password now, is logged out and his sessions end; what he holds goes back
--   at its deadline.
-- Reads and writes tenant, skill, queue, disposition, agent, form; writes agent_status (a new agent's), session.
-- Needs tenant_lock().
CREATE FUNCTION decide_company(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	m command;
	r record;
	v_document jsonb;
	v_errors jsonb;
	v_extra jsonb;
	v_ours change[];
	v_changes change[] := '{}';
	v_seq bigint := (SELECT coalesce(max(e.seq), 0) FROM event e WHERE e.tenant_id = p_tenant);
BEGIN
	FOREACH m IN ARRAY p_run LOOP
		v_document := m.args -> 'document';
		IF coalesce(m.role NOT IN ('administrator', 'operator'), true) THEN
			v_changes := v_changes || change_refuse(m.ord, 'not_found');
			CONTINUE;
		END IF;
		v_errors := company_errors(p_tenant, v_document) || (
			SELECT coalesce(jsonb_agg(jsonb_build_object('field', p.path || '.password', 'message', 'was not hashed')), '[]')
			  FROM company_part(v_document) p WHERE p.object = 'agent' AND p.item ? 'password');
		IF v_errors <> '[]' THEN
			v_changes := v_changes || ROW (m.ord, NULL, 'invalid', jsonb_build_object('errors', v_errors),
				NULL, NULL, NULL, NULL, NULL, NULL, NULL)::change;
			CONTINUE;
		END IF;
		v_extra := jsonb_build_object('changes', company_report(p_tenant, v_document));
		v_ours := '{}';
		FOR r IN SELECT * FROM company_changes(p_tenant, v_document) c ORDER BY c.place, c.name LOOP
			v_ours := v_ours || company_write(p_tenant, p_now, v_seq + cardinality(v_ours) + 1, m.ord, r.object, r.id, r.item,
				r.action = 'remove');
		END LOOP;
		IF cardinality(v_ours) = 0 THEN
			v_changes := v_changes || ROW (m.ord, NULL, 'unchanged', v_extra, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::change;
			CONTINUE;
		END IF;
		v_ours[1].command_id := m.id;
		v_ours[1].extra := v_ours[1].extra || v_extra;
		v_seq := v_seq + cardinality(v_ours);
		v_changes := v_changes || v_ours;
	END LOOP;
	RETURN v_changes;
END
$$;
