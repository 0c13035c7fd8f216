-- class_create: the requirement classes that taken elements of a batch need and that do not exist yet, each with its
-- event, numbered from p_head + 1. A class is never changed and never deleted.
-- Writes requirement_class, event. Needs tenant_lock().
CREATE FUNCTION class_create(p_tenant int, p_now timestamptz, p_head bigint, p_rows intake[]) RETURNS SETOF log_row
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RETURN QUERY
	WITH c AS (
		INSERT INTO requirement_class AS k (tenant_id, class_id, queue_id, skills, agent_id)
		SELECT p_tenant, (SELECT coalesce(max(o.class_id), 0) FROM requirement_class o WHERE o.tenant_id = p_tenant)
			+ row_number() OVER (ORDER BY n.ord), n.queue_id, n.skills, n.for_agent
		  FROM (SELECT r.queue_id, r.skills, r.for_agent, min(r.ord) AS ord
			  FROM unnest(p_rows) r WHERE r.class_id IS NULL AND intake_taken(r)
			 GROUP BY r.queue_id, r.skills, r.for_agent) n
		RETURNING k.class_id, jsonb_build_object('class', image_class(k))::text AS body
	), e AS MATERIALIZED (
		SELECT p_head + row_number() OVER (ORDER BY c.class_id) AS seq, c.body FROM c
	), ev AS (
		INSERT INTO event (tenant_id, seq, at, kind, body) SELECT p_tenant, e.seq, p_now, 'class.created', e.body FROM e
	)
	SELECT 'event', NULL::int, e.seq, ms(p_now), 'class.created', NULL::int, e.body FROM e ORDER BY e.seq;
END
$$;
