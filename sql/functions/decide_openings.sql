-- decide_openings: the hours of a queue (args.queue) are carried on, when opening holds less than 375 days of them, so that
-- it always holds as much as a promise may be ahead, or when who runs the company says so: queue.changed with the new
-- ones. Reads queue; writes queue, opening. Needs tenant_lock().
CREATE FUNCTION decide_openings(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	m command;
	q queue;
	v_refusal text;
	v_changes change[] := '{}';
	v_seq bigint := (SELECT e.seq FROM event e WHERE e.tenant_id = p_tenant ORDER BY e.seq DESC LIMIT 1);
BEGIN
	FOREACH m IN ARRAY p_run LOOP
		q := NULL;
		IF jsonb_typeof(m.args -> 'queue') = 'number' THEN
			SELECT * INTO q FROM queue u WHERE u.tenant_id = p_tenant AND u.queue_id = (m.args ->> 'queue')::numeric;
		END IF;
		v_refusal := CASE
			WHEN q.queue_id IS NULL OR q.removed OR coalesce(m.role NOT IN ('router', 'administrator', 'operator'), true) THEN 'not_found'
			WHEN q.version <> m.version THEN 'stale_version'
			WHEN q.hours IS NULL THEN 'not_due'
			-- whoever runs the company knows that a zone's rules have changed
			WHEN m.role = 'router' AND q.open_until > p_now + interval '375 days' THEN 'not_due' END;
		IF v_refusal IS NOT NULL THEN
			v_changes := v_changes || change_refuse(m.ord, v_refusal);
			CONTINUE;
		END IF;
		v_seq := v_seq + 1;
		UPDATE queue u SET version = v_seq WHERE u.tenant_id = p_tenant AND u.queue_id = q.queue_id RETURNING u.* INTO q;
		q := opening_write(q, p_now);
		v_changes := v_changes || change_of(m.ord, m.id, 'queue.changed', NULL, NULL, NULL, NULL, NULL,
			jsonb_build_object('queue', image_queue(q)));
	END LOOP;
	RETURN v_changes;
END
$$;
