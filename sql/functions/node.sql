-- node: the servers on this database, and who runs which tenant's router. All times here are the database's own clock:
-- a lease is about machines, not about callbacks.

-- lock_free: takes a tenant's lock from a node that stopped reading in the middle of an answer: PostgreSQL waits for it
-- before it can commit, and everybody else for the lock. Nothing that was told is undone, because nothing was told yet;
-- should the node go on, it has lost a connection and sends the batch again. p_patience_ms: how long an answer may take.
CREATE FUNCTION lock_free(p_patience_ms int) RETURNS void
LANGUAGE sql VOLATILE
AS $$
	SELECT pg_terminate_backend(l.pid)
	  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
	 WHERE l.locktype = 'advisory' AND l.classid = 8221 AND l.objsubid = 2 AND l.granted AND a.datname = current_database()
	   AND a.usename = current_user	-- another's may not be ended: that would be an error
	   AND a.wait_event = 'ClientWrite' AND a.query_start < clock_timestamp() - p_patience_ms * interval '1 ms'
$$;

-- node_beat: says that the node lives for p_lease_ms more, renews the node's leases, takes those that are free or
-- passed, clears nodes that are dead, and ends what one that does not read keeps locked. Returns a row per tenant (one
-- with tenant_id NULL when there is none):
--   held   the node runs this tenant; epoch: its log's; alive: nodes that live, this one too; db_now: ms
-- Writes node, lease. Any number at once are safe, and none waits for another in a circle: first the node's own row,
-- then leases in the order of tenants (whoever had to wait for one looks at it again), and last the dead, where one
-- that somebody else is clearing or reviving is passed over.
CREATE FUNCTION node_beat(p_node uuid, p_name text, p_lease_ms int)
RETURNS TABLE (tenant_id int, name text, held boolean, epoch int, alive int, db_now bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v_now timestamptz := clock_timestamp();
	v_until timestamptz := v_now + p_lease_ms * interval '1 ms';
	v_held int[];
BEGIN
	PERFORM lock_free(p_lease_ms);
	INSERT INTO node (node_id, name, started_at, until) VALUES (p_node, p_name, v_now, v_until)
	    ON CONFLICT (node_id) DO UPDATE SET until = excluded.until, name = excluded.name;
	WITH got AS (
		INSERT INTO lease AS l (tenant_id, node_id, until)
		SELECT t.tenant_id, p_node, v_until
		  FROM tenant t LEFT JOIN lease o ON o.tenant_id = t.tenant_id
		 WHERE o.tenant_id IS NULL OR o.node_id = p_node OR o.until <= v_now
		 ORDER BY t.tenant_id
		    ON CONFLICT (tenant_id) DO UPDATE SET node_id = excluded.node_id, until = excluded.until
		 WHERE l.node_id = excluded.node_id OR l.until <= v_now
		RETURNING l.tenant_id
	)
	SELECT array_agg(got.tenant_id) INTO v_held FROM got;
	DELETE FROM node d
	 USING (SELECT n.node_id FROM node n WHERE n.until <= v_now AND n.node_id <> p_node FOR UPDATE SKIP LOCKED) x
	 WHERE d.node_id = x.node_id;
	RETURN QUERY
	SELECT t.tenant_id, t.name, coalesce(t.tenant_id = ANY (v_held), false), t.epoch,
		(SELECT count(*)::int FROM node n WHERE n.until > v_now), ms(v_now)
	  FROM (SELECT) one LEFT JOIN tenant t ON true
	 ORDER BY t.tenant_id;
END
$$;

-- node_leave: gives all of a node's leases back at once; locks as node_beat() does.
CREATE FUNCTION node_leave(p_node uuid) RETURNS void
LANGUAGE sql VOLATILE
AS $$
	DELETE FROM lease l USING (SELECT o.tenant_id FROM lease o WHERE o.node_id = p_node ORDER BY o.tenant_id FOR UPDATE) x
	 WHERE l.tenant_id = x.tenant_id AND l.node_id = p_node;
	DELETE FROM node WHERE node_id = p_node;
$$;

-- load_nodes: [{"id", "name", "started_at", "until", "alive", "leases": [names of tenants]}, ...] as text.
CREATE FUNCTION load_nodes() RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT coalesce(jsonb_agg(jsonb_build_object('id', n.node_id, 'name', n.name, 'started_at', ms(n.started_at),
		'until', ms(n.until), 'alive', n.until > clock_timestamp(),
		'leases', (SELECT coalesce(jsonb_agg(t.name ORDER BY t.name), '[]') FROM lease l JOIN tenant t USING (tenant_id)
			WHERE l.node_id = n.node_id AND l.until > clock_timestamp()))
		ORDER BY n.started_at, n.node_id), '[]')::text
	  FROM node n
$$;
