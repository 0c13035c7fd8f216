-- retain: one small step of retention: deletes finished callbacks (with contact, notes, offers, attempts, idempotency
-- keys) that ended more than tenant.history_days ago, and events older than tenant.log_days; never the newest event.
--   p_now    ms; see log_head(): a clock that is off deletes nothing
--   p_after  ms: next_after of the step before, 0 at first: what was just deleted is in the index for a while yet
--   p_rows   callbacks deleted between two looks at the clock; of events 40 times as many
-- Returns what it deleted; log_floor: events up to this one are gone; more: there is something left to do; held_us: how
-- long it held the tenant's lock, which is 1 ms and whatever the last p_rows cost. (The commit waits for no disk: what
-- a crash brings back is deleted again.) What has to be read is read before, so that it is in memory by then.
-- An open callback keeps all that belongs to it, however old, but for its events: nothing needs them.
-- Reads and writes callback, contact, note, offer, attempt, idempotency_key, event, tenant. Locks the tenant. Plans
-- are made anew for every step: one that was made for an empty table, and kept, would read all of it.
CREATE FUNCTION retain(p_tenant int, p_now bigint, p_after bigint, p_rows int)
RETURNS TABLE (callbacks int, events bigint, log_floor bigint, more boolean, next_after bigint, held_us int)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
SET enable_sort = off SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
	c_budget CONSTANT interval := '1 ms';
	c_page CONSTANT int := 30;
	v_old timestamptz;
	v_log_old timestamptz;
	v_from bigint;
	v_head bigint;
	v_ids uuid[];
	v_ended timestamptz[];
	v_last bigint;
	v_held timestamptz;
BEGIN
	SELECT from_ms(p_now) - t.history_days * interval '24 hours', from_ms(p_now) - t.log_days * interval '24 hours', t.floor_seq
	  INTO v_old, v_log_old, v_from FROM tenant t WHERE t.tenant_id = p_tenant;
	SELECT coalesce(array_agg(x.callback_id), '{}'), array_agg(x.ended_at) INTO v_ids, v_ended
	  FROM (SELECT c.callback_id, c.ended_at FROM callback c
		 WHERE c.tenant_id = p_tenant AND c.ended_at >= from_ms(p_after) AND c.ended_at < v_old
		 ORDER BY c.ended_at LIMIT c_page) x;
	PERFORM retain_read(p_tenant, v_ids, v_from, c_page * 10);
	-- of nothing: a connection's first plans, and all that they look up, cost 13 ms
	PERFORM retain_delete(p_tenant, '{}');
	PERFORM retain_log(p_tenant, v_from, v_from, v_log_old);

	PERFORM tenant_lock(p_tenant);
	v_held := clock_timestamp();
	PERFORM set_config('synchronous_commit', 'off', true);
	SELECT h.head INTO v_head FROM log_head(p_tenant, p_now) h;
	SELECT t.floor_seq INTO v_from FROM tenant t WHERE t.tenant_id = p_tenant;
	callbacks := 0;
	log_floor := v_from;
	next_after := p_after;
	more := cardinality(v_ids) = c_page;
	WHILE callbacks < cardinality(v_ids) LOOP
		PERFORM retain_delete(p_tenant, v_ids[callbacks + 1 : callbacks + p_rows]);
		callbacks := least(callbacks + p_rows, cardinality(v_ids));
		next_after := ms(v_ended[callbacks]);
		EXIT WHEN clock_timestamp() - v_held > c_budget;
	END LOOP;
	more := more OR callbacks < cardinality(v_ids);

	WHILE log_floor < v_head - 1 LOOP
		IF clock_timestamp() - v_held > c_budget THEN
			more := true;
			EXIT;
		END IF;
		v_last := least(log_floor + p_rows * 40, v_head - 1);
		log_floor := retain_log(p_tenant, log_floor, v_last, v_log_old);
		EXIT WHEN log_floor < v_last;
	END LOOP;
	events := log_floor - v_from;
	IF events > 0 THEN
		UPDATE tenant t SET floor_seq = log_floor WHERE t.tenant_id = p_tenant;
	END IF;
	held_us := extract(epoch FROM clock_timestamp() - v_held) * 1000000;
	RETURN NEXT;
END
$$;

-- retain_read: brings into memory what is going to be deleted: without it a slow disk would be waited for under the lock.
-- By LATERAL, so that it is one search of an index for each callback, see intake_read(). Plans are its caller's.
CREATE FUNCTION retain_read(p_tenant int, p_ids uuid[], p_floor bigint, p_events int) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	PERFORM count(k.phone), count(n.at), count(o.seq), count(a.seq), count(i.created_at)
	  FROM unnest(p_ids) d(id)
	  LEFT JOIN LATERAL (SELECT x.phone FROM contact x WHERE x.tenant_id = p_tenant AND x.callback_id = d.id OFFSET 0) k ON true
	  LEFT JOIN LATERAL (SELECT x.at FROM note x WHERE x.tenant_id = p_tenant AND x.callback_id = d.id OFFSET 0) n ON true
	  LEFT JOIN LATERAL (SELECT x.seq FROM offer x WHERE x.tenant_id = p_tenant AND x.callback_id = d.id OFFSET 0) o ON true
	  LEFT JOIN LATERAL (SELECT x.seq FROM attempt x WHERE x.tenant_id = p_tenant AND x.callback_id = d.id OFFSET 0) a ON true
	  LEFT JOIN LATERAL (SELECT x.created_at FROM idempotency_key x WHERE x.tenant_id = p_tenant AND x.callback_id = d.id OFFSET 0) i
		ON true;
	PERFORM count(e.at) FROM event e WHERE e.tenant_id = p_tenant AND e.seq > p_floor AND e.seq <= p_floor + p_events;
END
$$;

-- retain_delete: some callbacks and all that belongs to them. Needs tenant_lock(): a note could be written meanwhile.
CREATE FUNCTION retain_delete(p_tenant int, p_ids uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	DELETE FROM contact x WHERE x.tenant_id = p_tenant AND x.callback_id = ANY (p_ids);
	DELETE FROM note x WHERE x.tenant_id = p_tenant AND x.callback_id = ANY (p_ids);
	DELETE FROM offer x WHERE x.tenant_id = p_tenant AND x.callback_id = ANY (p_ids);
	DELETE FROM attempt x WHERE x.tenant_id = p_tenant AND x.callback_id = ANY (p_ids);
	DELETE FROM idempotency_key x WHERE x.tenant_id = p_tenant AND x.callback_id = ANY (p_ids);
	DELETE FROM callback x WHERE x.tenant_id = p_tenant AND x.callback_id = ANY (p_ids) AND x.ended_at IS NOT NULL;
END
$$;

-- retain_log: deletes the events after number p_floor that are older than p_old, at most up to p_last. Returns the new
-- floor. The log's times never go back, but even if they did it would stay without a gap: it goes up to the first that
-- is not old. Needs tenant_lock(), which is what the floor is read and written under.
CREATE FUNCTION retain_log(p_tenant int, p_floor bigint, p_last bigint, p_old timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_last bigint;
BEGIN
	v_last := coalesce((SELECT e.seq - 1 FROM event e
		WHERE e.tenant_id = p_tenant AND e.seq > p_floor AND e.seq <= p_last AND e.at >= p_old ORDER BY e.seq LIMIT 1), p_last);
	DELETE FROM event e WHERE e.tenant_id = p_tenant AND e.seq > p_floor AND e.seq <= v_last;
	RETURN v_last;
END
$$;
