-- rules_write: a document's rules into rule, under a version. The document has passed rules_check(). Of the things that a
-- predicate needs, it is looked up by the one that the fewest other rules need, too: of "the form is x and the product
-- is y" by the product. Returns the paths that are looked up by. Writes rule.
CREATE FUNCTION rules_write(p_tenant int, p_version int, p_document jsonb) RETURNS text[]
LANGUAGE sql VOLATILE
AS $$
	WITH t AS MATERIALIZED (
		SELECT p.place, p.item, p.predicate, x.path, x.value, count(*) OVER (PARTITION BY x.path, x.value) AS shared
		  FROM rules_part(p_document) p LEFT JOIN LATERAL rules_terms(p.predicate) x ON true
	), w AS (
		INSERT INTO rule (tenant_id, version, ord, name, predicate, path, value, queue_id, priority, skills, preferred_agent,
			offer_timeout_s, promise_window_s, caller_id, preferred_for_s, agent_id, agent_for_s)
		SELECT p_tenant, p_version, u.place + 1, u.item ->> 'name', u.predicate, coalesce(u.path, ''), coalesce(u.value, ''),
			(SELECT q.queue_id FROM queue q WHERE q.tenant_id = p_tenant AND q.name = u.act ->> 'queue' LIMIT 1),
			(u.act ->> 'priority')::int,
			CASE WHEN jsonb_typeof(u.act -> 'skills') = 'object' THEN company_skill_ids(p_tenant, u.act -> 'skills') END,
			(SELECT a.agent_id FROM agent a WHERE a.tenant_id = p_tenant AND a.name = u.act ->> 'preferred_agent' LIMIT 1),
			(u.act ->> 'offer_timeout_s')::int, (u.act ->> 'promise_window_s')::int, u.act ->> 'caller_id',
			CASE WHEN u.act ->> 'preferred_agent' IS NOT NULL THEN coalesce((u.act ->> 'preferred_for_s')::int, 60) END,
			(SELECT a.agent_id FROM agent a WHERE a.tenant_id = p_tenant AND a.name = u.act ->> 'agent' LIMIT 1),
			(u.act ->> 'agent_for_s')::int
		  FROM (SELECT DISTINCT ON (t.place) t.*, t.item -> 'then' AS act FROM t ORDER BY t.place, t.shared, t.path, t.value) u
		RETURNING path
	)
	SELECT coalesce(array_agg(DISTINCT w.path) FILTER (WHERE w.path <> ''), '{}') FROM w
$$;
