-- class_create: the requirement classes that taken elements of a batch need and that do not exist yet: written,
-- and returned in the order of their numbers. A class is never changed and never deleted.
-- Writes requirement_class. Needs tenant_lock().
CREATE FUNCTION class_create(p_tenant int, p_rows intake[]) RETURNS requirement_class[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_classes requirement_class[];
BEGIN
	WITH c AS (
		INSERT INTO requirement_class AS k (tenant_id, class_id, queue_id, skills)
		SELECT p_tenant, (SELECT coalesce(max(o.class_id), 0) FROM requirement_class o WHERE o.tenant_id = p_tenant)
			+ row_number() OVER (ORDER BY n.ord), n.queue_id, n.skills
		  FROM (SELECT r.queue_id, r.skills, min(r.ord) AS ord
			  FROM unnest(p_rows) r
			 WHERE r.class_id IS NULL AND r.refusal IS NULL AND r.known IS NULL AND r.same_as IS NULL
			 GROUP BY r.queue_id, r.skills) n
		RETURNING k
	)
	SELECT array_agg(c.k ORDER BY (c.k).class_id) INTO v_classes FROM c;
	RETURN v_classes;
END
$$;
