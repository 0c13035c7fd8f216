-- epoch: which history of the log this is. After a failover to a standby, or a restore, the log may lack its last
-- events, and their numbers are given out again; an event's public id is epoch.seq, so that nobody takes one for the
-- other. PostgreSQL itself knows when that can have happened: a promotion and a recovery to a point begin a new
-- timeline, a dump is loaded into another cluster, database or table. A crash and a restart change none of these.

-- log_origin: cluster/timeline/database/table of the log. Raises 25006 on a standby: it writes no log, and which
-- timeline it will write one day is not known yet.
CREATE FUNCTION log_origin() RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF pg_is_in_recovery() THEN
		RAISE EXCEPTION 'the database is a standby' USING ERRCODE = '25006';
	END IF;
	-- pg_control_checkpoint() knows a promotion's timeline only after the checkpoint that follows it
	RETURN (SELECT s.system_identifier || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || '/' || d.oid || '/' ||
			'event'::regclass::oid
		  FROM pg_control_system() s, pg_database d WHERE d.datname = current_database());
END
$$;

-- epoch_begin: a new epoch for a tenant, whose log is written at p_origin. Needs tenant_lock(). Writes tenant, epoch.
-- Not the old number + 1: a backup of before a failover does not know that one, and would give its number out again,
-- for another history. So it is the seconds since 2020 (an int until 2088), which no backup can take back.
CREATE FUNCTION epoch_begin(p_tenant int, p_origin text) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	UPDATE tenant t
	   SET epoch = greatest(t.epoch + 1, extract(epoch FROM clock_timestamp() - timestamptz '2020-01-01Z')::int)
	 WHERE t.tenant_id = p_tenant;
	PERFORM epoch_record(p_tenant, p_origin);
END
$$;

-- epoch_record: writes down where the tenant's present epoch began.
CREATE FUNCTION epoch_record(p_tenant int, p_origin text) RETURNS void
LANGUAGE sql VOLATILE
AS $$
	INSERT INTO epoch (tenant_id, epoch, origin, after_seq, begun_at)
	SELECT t.tenant_id, t.epoch, p_origin, coalesce((SELECT max(e.seq) FROM event e WHERE e.tenant_id = p_tenant), 0),
		clock_timestamp()
	  FROM tenant t WHERE t.tenant_id = p_tenant
$$;

-- epoch_origin: where the tenant's log was written when its present epoch began; NULL: nobody wrote that down.
CREATE FUNCTION epoch_origin(p_tenant int) RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT e.origin FROM epoch e WHERE e.tenant_id = p_tenant ORDER BY e.epoch DESC LIMIT 1
$$;

-- epoch_settle: what a node asks on each new connection before anything else: begins a new epoch for the tenants whose
-- log was last written elsewhere. Returns the newest epoch of all (0 when there is no tenant): it is the same on all
-- connections to one history, and greater on those to a later one. Locks a tenant only when there is something to do.
CREATE FUNCTION epoch_settle() RETURNS int
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_origin text := log_origin();
	v_tenant int;
BEGIN
	FOR v_tenant IN
		SELECT t.tenant_id FROM tenant t WHERE epoch_origin(t.tenant_id) IS DISTINCT FROM v_origin ORDER BY t.tenant_id
	LOOP
		PERFORM tenant_lock(v_tenant);
		-- looks again: another node may have held the lock, and have done it
		CASE
			WHEN epoch_origin(v_tenant) = v_origin THEN
				NULL;
			WHEN epoch_origin(v_tenant) IS NULL THEN
				-- a company of before there were epochs
				PERFORM epoch_record(v_tenant, v_origin);
			ELSE
				PERFORM epoch_begin(v_tenant, v_origin);
		END CASE;
	END LOOP;
	RETURN (SELECT coalesce(max(t.epoch), 0) FROM tenant t);
END
$$;

-- epoch_shortened: a node has applied more of that epoch than the log holds. Then the log lost its end although nobody
-- promoted or recovered anything: a disk that lied about what it had written, or an older copy of the files that was
-- started as it was. Begins a new epoch, unless another node did. Locks the tenant.
CREATE FUNCTION epoch_shortened(p_tenant int, p_epoch int) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	PERFORM tenant_lock(p_tenant);
	PERFORM epoch_begin(t.tenant_id, log_origin()) FROM tenant t WHERE t.tenant_id = p_tenant AND t.epoch = p_epoch;
END
$$;
