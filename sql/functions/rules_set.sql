-- rules_set: the published version of a tenant's rules: no row when there never was one. By its key, backwards.
CREATE FUNCTION rules_set(p_tenant int) RETURNS SETOF rule_set
LANGUAGE sql STABLE
AS $$ SELECT * FROM rule_set WHERE tenant_id = p_tenant ORDER BY version DESC LIMIT 1 $$;

-- rules_document: the rules of a version, as written; of version 0, which is before the first, none. NULL: no such version.
CREATE FUNCTION rules_document(p_tenant int, p_version int) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT CASE WHEN p_version = 0 THEN '{"rules": []}'::jsonb
		ELSE (SELECT s.document FROM rule_set s WHERE s.tenant_id = p_tenant AND s.version = p_version LIMIT 1) END
$$;

-- rules_image: a version without its rules; published_by is the agent's name, nobody's: an operator's doing.
CREATE FUNCTION rules_image(s rule_set) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_strip_nulls(jsonb_build_object('version', s.version, 'published_at', ms(s.published_at), 'comment', s.comment,
		'from_version', s.from_version, 'count', s.rules,
		'published_by', (SELECT a.name FROM agent a WHERE a.tenant_id = s.tenant_id AND a.agent_id = s.published_by LIMIT 1)))
$$;

-- rules_needs: the queues, skills and agents that the published rules name.
CREATE FUNCTION rules_needs(p_tenant int) RETURNS TABLE (array_name text, object text, name text, rule text)
LANGUAGE sql STABLE
AS $$
	WITH r AS MATERIALIZED (
		SELECT e.item ->> 'name' AS name, e.item -> 'then' AS act
		  FROM rules_set(p_tenant) s CROSS JOIN LATERAL jsonb_array_elements(s.document -> 'rules') e(item)
	)
	SELECT 'queues', 'queue', r.act ->> 'queue', r.name FROM r WHERE r.act ->> 'queue' IS NOT NULL
	 UNION ALL
	SELECT 'agents', 'agent', r.act ->> m, r.name FROM r CROSS JOIN unnest('{preferred_agent,agent}'::text[]) m WHERE r.act ->> m IS NOT NULL
	 UNION ALL
	SELECT 'skills', 'skill', k.name, r.name
	  FROM r CROSS JOIN LATERAL jsonb_object_keys(CASE WHEN jsonb_typeof(r.act -> 'skills') = 'object' THEN r.act -> 'skills' ELSE '{}' END) k(name)
$$;
