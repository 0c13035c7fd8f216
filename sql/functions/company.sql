-- company: the company document: what it would change, and what it would look like.

-- company_levels: {"skill_id": level} as {"skill name": level}.
CREATE FUNCTION company_levels(p_tenant int, p_skills jsonb) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT coalesce(jsonb_object_agg(s.name, l.value), '{}')
	  FROM jsonb_each(p_skills) l JOIN skill s ON s.tenant_id = p_tenant AND s.skill_id = l.key::int AND NOT s.removed
$$;

-- company_present: the tenant's settings in the document's terms; removed ones too, because their names are taken.
CREATE FUNCTION company_present(p_tenant int) RETURNS TABLE (object text, id int, name text, removed boolean, item jsonb)
LANGUAGE sql STABLE
AS $$
	SELECT 'company', t.tenant_id, t.name, false, to_jsonb(t) - ARRAY['tenant_id', 'epoch', 'floor_seq', 'version']
	  FROM tenant t WHERE t.tenant_id = p_tenant
	 UNION ALL
	SELECT 'skill', s.skill_id, s.name, s.removed, jsonb_build_object('name', s.name, 'label', s.label)
	  FROM skill s WHERE s.tenant_id = p_tenant
	 UNION ALL
	SELECT 'queue', q.queue_id, q.name, q.removed, to_jsonb(q) - ARRAY['tenant_id', 'queue_id', 'version', 'removed', 'open_until']
			|| jsonb_build_object('skills', company_levels(p_tenant, q.skills))
	  FROM queue q WHERE q.tenant_id = p_tenant
	 UNION ALL
	SELECT 'disposition', d.disposition_id, d.name, d.removed, jsonb_build_object('name', d.name, 'label', d.label, 'class', d.class)
	  FROM disposition d WHERE d.tenant_id = p_tenant
	 UNION ALL
	SELECT 'agent', a.agent_id, a.name, a.removed, jsonb_build_object('name', a.name, 'label', a.label, 'role', a.role,
			'skills', company_levels(p_tenant, a.skills), 'position', a.position, 'password_hash', a.password)
	  FROM agent a WHERE a.tenant_id = p_tenant
	 UNION ALL
	SELECT 'form', f.form_id, f.form_key, f.removed,
			to_jsonb(f) - ARRAY['tenant_id', 'form_id', 'version', 'removed', 'form_key', 'queue_id'] || jsonb_build_object('key', f.form_key,
				'queue', (SELECT q.name FROM queue q WHERE q.tenant_id = p_tenant AND q.queue_id = f.queue_id),
				'skills', company_levels(p_tenant, f.skills))
	  FROM form f WHERE f.tenant_id = p_tenant
$$;

-- company_wanted: the state that a document leads to: its own objects, complete; and of kinds that it does not
-- mention, those present (path NULL). What the document does not say of an object is as company_member() falls back, but
-- the company's own settings and a password stay.
CREATE FUNCTION company_wanted(p_tenant int, p_document jsonb) RETURNS TABLE (place bigint, object text, path text, name text, item jsonb)
LANGUAGE sql STABLE
AS $$
	WITH present AS MATERIALIZED (
		SELECT * FROM company_present(p_tenant)
	), fallback AS MATERIALIZED (
		SELECT m.object, jsonb_object_agg(m.member, m.fallback) AS item
		  FROM company_member() m WHERE m.fallback IS NOT NULL AND m.member <> 'password' GROUP BY m.object
	)
	SELECT p.place, p.object, p.path, p.item ->> p.identity,
		f.item || jsonb_build_object('label', p.item ->> p.identity)
			|| CASE p.object
				WHEN 'company' THEN coalesce((SELECT c.item FROM present c WHERE c.object = 'company'), '{}')
				WHEN 'agent' THEN jsonb_build_object('password_hash',
					(SELECT a.item -> 'password_hash' FROM present a WHERE a.object = 'agent' AND a.name = p.item ->> 'name'))
				ELSE '{}' END
			|| p.item
	  FROM company_part(p_document) p JOIN fallback f ON f.object = p.object
	 WHERE jsonb_typeof(p.item) = 'object' AND jsonb_typeof(p.item -> p.identity) = 'string'
	 UNION ALL
	SELECT k.place * 1000000, c.object, NULL, c.name, c.item
	  FROM company_kind() k JOIN present c ON c.object = k.object AND NOT c.removed
	 WHERE NOT p_document ? k.array_name
$$;

-- company_changes: what a document changes, in the order in which it has to be written. item: the object as it
-- shall be, in the document's terms; fields: {"member": [old, new]} of a change, with passwords hidden.
CREATE FUNCTION company_changes(p_tenant int, p_document jsonb)
RETURNS TABLE (place bigint, object text, id int, name text, action text, fields jsonb, item jsonb)
LANGUAGE sql STABLE
AS $$
	WITH present AS MATERIALIZED (
		SELECT * FROM company_present(p_tenant)
	), wanted AS MATERIALIZED (
		SELECT * FROM company_wanted(p_tenant, p_document)
	), w AS (
		SELECT w.place, w.object, p.id, w.name, w.item, CASE WHEN p.id IS NULL OR p.removed THEN 'create' ELSE 'change' END AS action,
			(SELECT coalesce(jsonb_object_agg(n.key, CASE WHEN n.key IN ('password', 'password_hash') THEN '["(hidden)", "(hidden)"]'
					ELSE jsonb_build_array(p.item -> n.key, n.value) END), '{}')
			   FROM jsonb_each(w.item) n WHERE n.value IS DISTINCT FROM p.item -> n.key) AS fields
		  FROM wanted w LEFT JOIN present p ON p.object = w.object AND p.name = w.name
		 WHERE w.path IS NOT NULL
	)
	SELECT w.place, w.object, w.id, w.name, w.action, CASE w.action WHEN 'change' THEN w.fields END, w.item
	  FROM w WHERE w.action = 'create' OR w.fields <> '{}'
	 UNION ALL
	SELECT 20000000 - k.place * 1000000, p.object, p.id, p.name, 'remove', NULL, p.item
	  FROM company_kind() k JOIN present p ON p.object = k.object AND NOT p.removed
	 WHERE p_document ? k.array_name AND NOT EXISTS (SELECT FROM wanted x WHERE x.object = p.object AND x.name = p.name)
	 ORDER BY 1, 4
$$;

-- company_report: changes for people: [{"object", "name", "action": create|change|remove, "fields"}, ...]
CREATE FUNCTION company_report(p_tenant int, p_document jsonb) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT coalesce(jsonb_agg(jsonb_build_object('object', c.object, 'name', c.name, 'action', c.action)
			|| CASE WHEN c.fields IS NULL THEN '{}' ELSE jsonb_build_object('fields', c.fields) END ORDER BY c.place, c.name), '[]')
	  FROM company_changes(p_tenant, p_document) c
$$;

-- company_errors: [{"field", "message"}, ...]
CREATE FUNCTION company_errors(p_tenant int, p_document jsonb) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT coalesce(jsonb_agg(jsonb_build_object('field', e.field, 'message', e.message)), '[]')
	  FROM company_check(p_tenant, p_document) e
$$;

-- company_plan: the dry run, as text: {"changes": [...], "errors": [...]}; with errors there are no changes. The company
-- is the one of the document's company.name, and need not exist yet. jit is off: to compile it took 1.3 s, to run it 20 ms.
CREATE FUNCTION company_plan(p_document json) RETURNS text
LANGUAGE plpgsql STABLE
SET jit = off
AS $$
DECLARE
	v_document jsonb := p_document;
	v_tenant int := (SELECT t.tenant_id FROM tenant t WHERE t.name = v_document #>> '{company,name}');
	v_errors jsonb := company_errors(v_tenant, v_document);
BEGIN
	RETURN jsonb_build_object('errors', v_errors,
		'changes', CASE WHEN v_errors = '[]' THEN company_report(v_tenant, v_document) ELSE '[]' END);
END
$$;

-- company_show: the document that would change nothing, as text, without passwords; NULL when there is no such company.
CREATE FUNCTION company_show(p_tenant_name text) RETURNS text
LANGUAGE sql STABLE
SET jit = off
AS $$
	SELECT ((SELECT jsonb_build_object('company', c.item) FROM company_present(t.tenant_id) c WHERE c.object = 'company')
		|| (SELECT jsonb_object_agg(k.array_name, (
			SELECT coalesce(jsonb_agg(p.item - 'password_hash' ORDER BY p.id), '[]')
			  FROM company_present(t.tenant_id) p WHERE p.object = k.object AND NOT p.removed)) FROM company_kind() k))::text
	  FROM tenant t WHERE t.name = p_tenant_name
$$;
