-- company_value_errors: what is wrong with one value, NULL nothing; below: a place within it (".loans", "[2]").
CREATE FUNCTION company_value_errors(p_type text, p_low int, p_high int, p_pattern text, p_hint text, p_optional boolean, p_value jsonb)
RETURNS TABLE (below text, message text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_type text := jsonb_typeof(p_value);
	v_text text := p_value #>> '{}';
BEGIN
	IF v_type = 'null' AND p_optional THEN
		RETURN;
	END IF;
	CASE p_type
	WHEN 'text', 'zone' THEN
		RETURN QUERY SELECT '', CASE
			WHEN v_type <> 'string' THEN 'must be a text'
			WHEN p_type = 'zone' AND NOT EXISTS (SELECT FROM time_zone z WHERE z.name = v_text) THEN 'is not a known IANA time zone'
			WHEN char_length(v_text) NOT BETWEEN p_low AND p_high THEN format('must have %s to %s characters', p_low, p_high)
			WHEN v_text !~ p_pattern THEN p_hint END;
	WHEN 'int' THEN
		RETURN QUERY SELECT '', CASE
			WHEN v_type <> 'number' OR v_text !~ '^-?[0-9]{1,18}$' THEN 'must be an integer'
			WHEN v_text::bigint NOT BETWEEN p_low AND p_high THEN format('must be from %s to %s', p_low, p_high) END;
	WHEN 'bool' THEN
		RETURN QUERY SELECT '', CASE WHEN v_type <> 'boolean' THEN 'must be true or false' END;
	WHEN 'skills' THEN
		IF v_type <> 'object' THEN
			RETURN QUERY SELECT '', 'must be an object {"skill": level}';
		ELSE
			RETURN QUERY SELECT '.' || s.key, CASE
				WHEN jsonb_typeof(s.value) <> 'number' OR s.value #>> '{}' !~ '^([1-9]|10)$' THEN 'must be a level from 1 to 10' END
			  FROM jsonb_each(p_value) s;
		END IF;
	WHEN 'hours' THEN
		RETURN QUERY SELECT * FROM hours_errors(p_value);
	WHEN 'calling_hours' THEN
		RETURN QUERY SELECT * FROM calling_hours_errors(p_value);
	WHEN 'slots' THEN
		RETURN QUERY SELECT * FROM slot_errors(p_value);
	WHEN 'widen' THEN
		RETURN QUERY SELECT * FROM widen_errors(p_value);
	WHEN 'retries' THEN
		RETURN QUERY SELECT r.* FROM company_retries(p_value) r;
	WHEN 'texts' THEN
		IF v_type <> 'array' THEN
			RETURN QUERY SELECT '', 'must be an array of texts';
		ELSE
			RETURN QUERY SELECT format('[%s]', e.n - 1), CASE
				WHEN jsonb_typeof(e.value) <> 'string' THEN 'must be a text'
				WHEN e.value #>> '{}' !~ p_pattern THEN p_hint
				WHEN row_number() OVER (PARTITION BY e.value ORDER BY e.n) > 1 THEN 'is there twice' END
			  FROM jsonb_array_elements(p_value) WITH ORDINALITY e(value, n);
			RETURN QUERY SELECT '', CASE WHEN jsonb_array_length(p_value) > p_high THEN format('must have at most %s', p_high) END;
		END IF;
	END CASE;
END
$$;

-- company_part: the objects of a document with their paths: 'company', 'queues[1]'. Whatever is not an array has none.
CREATE FUNCTION company_part(p_document jsonb) RETURNS TABLE (place bigint, object text, path text, identity text, item jsonb)
LANGUAGE sql STABLE
AS $$
	SELECT 0, 'company', 'company', 'name', p_document -> 'company' WHERE p_document ? 'company'
	 UNION ALL
	SELECT k.place * 1000000 + e.n, k.object, format('%s[%s]', k.array_name, e.n - 1), k.identity, e.item
	  FROM company_kind() k
	 CROSS JOIN LATERAL jsonb_array_elements(
		CASE WHEN jsonb_typeof(p_document -> k.array_name) = 'array' THEN p_document -> k.array_name ELSE '[]' END)
		WITH ORDINALITY e(item, n)
$$;

-- company_check: everything that is wrong with a document, by path; nothing when it can be applied to the tenant
-- (p_tenant NULL: one that does not exist yet). Names must exist in the state that the document leads to.
-- Reads the settings' tables; form keys of other tenants too. Locks nothing.
CREATE FUNCTION company_check(p_tenant int, p_document jsonb) RETURNS TABLE (field text, message text)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF jsonb_typeof(p_document) IS DISTINCT FROM 'object' THEN
		RETURN QUERY SELECT '', 'must be an object';
		RETURN;
	END IF;
	RETURN QUERY
	WITH part AS MATERIALIZED (
		SELECT * FROM company_part(p_document)
	), value AS MATERIALIZED (
		SELECT p.place, p.path, v.key, v.value, m.*
		  FROM part p
		 CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(p.item) = 'object' THEN p.item ELSE '{}' END) v
		  LEFT JOIN company_member() m ON m.object = p.object AND m.member = v.key
	), wanted AS MATERIALIZED (
		SELECT * FROM company_wanted(p_tenant, p_document)
	), e (place, field, message) AS (
		SELECT -1, t.key, CASE
			WHEN t.key = 'company' THEN CASE WHEN jsonb_typeof(t.value) <> 'object' THEN 'must be an object' END
			WHEN k.object IS NULL THEN 'is not known'
			WHEN jsonb_typeof(t.value) <> 'array' THEN 'must be an array' END
		  FROM jsonb_each(p_document) t LEFT JOIN company_kind() k ON k.array_name = t.key
		 UNION ALL
		SELECT -1, 'company', 'is missing' WHERE NOT p_document ? 'company'
		 UNION ALL
		SELECT p.place, p.path, 'must be an object' FROM part p WHERE p.object <> 'company' AND jsonb_typeof(p.item) <> 'object'
		 UNION ALL
		SELECT p.place, p.path || '.' || m.member, 'is missing'
		  FROM part p JOIN company_member() m ON m.object = p.object AND m.fallback IS NULL
		 WHERE jsonb_typeof(p.item) = 'object' AND NOT p.item ? m.member
		 UNION ALL
		SELECT v.place, v.path || '.' || v.key, 'is not known' FROM value v WHERE v.member IS NULL
		 UNION ALL
		SELECT v.place, v.path || '.' || v.key || w.below, w.message
		  FROM value v CROSS JOIN LATERAL company_value_errors(v.type, v.low, v.high, v.pattern, v.hint, v.fallback = 'null', v.value) w
		 WHERE v.member IS NOT NULL
		 UNION ALL
		SELECT d.place, d.path || '.' || d.identity, 'is there twice'
		  FROM (SELECT p.*, row_number() OVER (PARTITION BY p.object, p.item -> p.identity ORDER BY p.place) AS time FROM part p
			 WHERE p.item ->> p.identity IS NOT NULL) d
		 WHERE d.time > 1
		 UNION ALL
		SELECT 0, 'company.name', 'is another company''s'
		  FROM tenant t WHERE t.tenant_id = p_tenant AND p_document #>> '{company,name}' <> t.name
		 UNION ALL
		SELECT w.place, coalesce(w.path || '.skills.' || s.name, 'skills'),
			format('the skill %s, which the %s %s needs, does not exist', to_json(s.name), w.object, to_json(w.name))
		  FROM wanted w
		 CROSS JOIN LATERAL jsonb_object_keys(CASE WHEN jsonb_typeof(w.item -> 'skills') = 'object' THEN w.item -> 'skills' ELSE '{}' END)
			s(name)
		 WHERE NOT EXISTS (SELECT FROM wanted k WHERE k.object = 'skill' AND k.name = s.name)
		 UNION ALL
		SELECT w.place, coalesce(w.path || '.queue', 'queues'),
			format('the queue %s, which the form %s needs, does not exist', w.item -> 'queue', to_json(w.name))
		  FROM wanted w
		 WHERE w.object = 'form' AND jsonb_typeof(w.item -> 'queue') = 'string'
		   AND NOT EXISTS (SELECT FROM wanted q WHERE q.object = 'queue' AND q.name = w.item ->> 'queue')
		 UNION ALL
		SELECT w.place, coalesce(w.path || '.widen' || n.below, 'queues'),
			format('the %s %s, which the queue %s widens by, does not exist', n.object, to_json(n.name), to_json(w.name))
		  FROM wanted w CROSS JOIN LATERAL widen_names(w.item -> 'widen') n
		 WHERE w.object = 'queue' AND NOT EXISTS (SELECT FROM wanted k WHERE k.object = n.object AND k.name = n.name)
		 UNION ALL
		SELECT w.place, n.array_name, format('the %s %s, which the published rule %s needs, does not exist', n.object, to_json(n.name), to_json(n.rule))
		  FROM rules_needs(p_tenant) n LEFT JOIN wanted w ON w.object = n.object AND w.name = n.name
		 WHERE w.object IS NULL
		 UNION ALL
		SELECT w.place, w.path || '.key', 'is another company''s'
		  FROM wanted w JOIN form f ON f.form_key = w.name AND f.tenant_id IS DISTINCT FROM p_tenant
		 WHERE w.object = 'form' AND w.path IS NOT NULL
	)
	SELECT e.field, e.message FROM e WHERE e.message IS NOT NULL ORDER BY e.place, e.field, e.message;
END
$$;
