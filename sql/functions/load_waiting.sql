-- load_waiting: windows on the waiting callbacks, and where the log stands. What the projection takes in: the kind
-- of an object, and its image as text. Reads callback, event, tenant, node; locks nothing. Each load is one STABLE
-- function, so everything in it is seen in one snapshot, and its head is the number at which all of it is true.
-- Sorts, hash and merge joins and sequential scans are off: the order has to come from an index at any size, also
-- before there are statistics. jit is off, because what is off is counted as dear, and jit goes by that.

-- head_image: {"epoch", "seq", "floor", "at", "nodes": [the ids of those that live]}
CREATE FUNCTION head_image(p_tenant int, p_now bigint) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_object('epoch', t.epoch, 'seq', coalesce(e.seq, 0), 'floor', t.floor_seq,
		'at', greatest(p_now, ms(e.at)),
		'nodes', (SELECT coalesce(jsonb_agg(n.node_id ORDER BY n.node_id), '[]') FROM node n WHERE n.until > statement_timestamp()))
	  FROM tenant t
	  LEFT JOIN LATERAL (SELECT * FROM event WHERE tenant_id = p_tenant ORDER BY seq DESC LIMIT 1) e ON true
	 WHERE t.tenant_id = p_tenant
$$;

-- due_window: the first p_limit due callbacks of a class in the router's order (priority, promise, id), then
-- 'due_window' {"class", "complete": true when there are no others}.
-- Hardly anybody is due before his promise, so the due ones of a priority begin where its promises begin:
-- callback_waiting gives them in order without a look at a million that are not due yet. That is one search for each
-- priority, of which there are few; callback_early knows the exceptions.
CREATE FUNCTION due_window(p_tenant int, p_now timestamptz, p_class int, p_limit int) RETURNS TABLE (kind text, image text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_rows bigint;
BEGIN
	RETURN QUERY
	WITH RECURSIVE p AS (
		(SELECT c.priority FROM callback c
		  WHERE c.tenant_id = p_tenant AND c.class_id = p_class AND c.state = 'scheduled' AND c.linked_to IS NULL
		  ORDER BY c.priority DESC LIMIT 1)
		 UNION ALL
		SELECT n.priority FROM p CROSS JOIN LATERAL (
			SELECT c.priority FROM callback c
			 WHERE c.tenant_id = p_tenant AND c.class_id = p_class AND c.state = 'scheduled' AND c.linked_to IS NULL
			   AND c.priority < p.priority
			 ORDER BY c.priority DESC LIMIT 1) n
	), w AS (
		SELECT d.c FROM p CROSS JOIN LATERAL (
			SELECT c FROM callback c
			 WHERE c.tenant_id = p_tenant AND c.class_id = p_class AND c.state = 'scheduled' AND c.linked_to IS NULL
			   AND c.priority = p.priority AND c.promise_at <= p_now AND c.due_at <= p_now
			 ORDER BY c.promise_at, c.callback_id LIMIT p_limit) d
		 UNION ALL
		SELECT c FROM callback c
		 WHERE c.tenant_id = p_tenant AND c.class_id = p_class AND c.state = 'scheduled' AND c.linked_to IS NULL
		   AND c.due_at < c.promise_at AND c.due_at <= p_now AND c.promise_at > p_now
	)
	SELECT 'callback', image_callback(f.c, (f.c).seq)
	  FROM (SELECT w.c FROM w ORDER BY (w.c).priority DESC, (w.c).promise_at, (w.c).callback_id LIMIT p_limit) f;
	GET DIAGNOSTICS v_rows = ROW_COUNT;
	RETURN QUERY SELECT 'due_window', jsonb_build_object('class', p_class, 'complete', v_rows < p_limit)::text;
END
$$;

-- future_window: the first p_limit callbacks after (p_after, p_after_id) in the order in which they fall due, then
-- 'future_window' {"complete", "last_at", "last_id"}: where the next one begins.
CREATE FUNCTION future_window(p_tenant int, p_after timestamptz, p_after_id uuid, p_limit int) RETURNS TABLE (kind text, image text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_rows callback[];
	v_last callback;
BEGIN
	v_rows := ARRAY(
		SELECT c FROM callback c
		 WHERE c.tenant_id = p_tenant AND c.state = 'scheduled' AND c.linked_to IS NULL
		   AND (c.due_at, c.callback_id) > (p_after, p_after_id)
		 ORDER BY c.due_at, c.callback_id LIMIT p_limit);
	v_last := v_rows[cardinality(v_rows)];
	RETURN QUERY SELECT 'callback', image_callback(c, c.seq) FROM unnest(v_rows) c;
	RETURN QUERY SELECT 'future_window', jsonb_build_object('complete', cardinality(v_rows) < p_limit,
		'last_at', ms(coalesce(v_last.due_at, p_after)), 'last_id', coalesce(v_last.callback_id, p_after_id))::text;
END
$$;

-- load_due: 'head', then the due window of one class.
CREATE FUNCTION load_due(p_tenant int, p_now bigint, p_class int, p_limit int) RETURNS TABLE (kind text, image text)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
	RETURN QUERY SELECT 'head', head_image(p_tenant, p_now)::text;
	RETURN QUERY SELECT * FROM due_window(p_tenant, from_ms(p_now), p_class, p_limit);
END
$$;

-- load_future: 'head', then the future window after (p_after ms, p_after_id).
CREATE FUNCTION load_future(p_tenant int, p_now bigint, p_after bigint, p_after_id uuid, p_limit int)
RETURNS TABLE (kind text, image text)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
	RETURN QUERY SELECT 'head', head_image(p_tenant, p_now)::text;
	RETURN QUERY SELECT * FROM future_window(p_tenant, from_ms(p_after), p_after_id, p_limit);
END
$$;

-- next_elapse: when something becomes of the next of those that wait, without anybody's doing, ms: it expires or is widened;
-- NULL: of none of them.
--   p_expired, p_widened   so many are known
CREATE FUNCTION next_elapse(p_tenant int, p_expired bigint DEFAULT 0, p_widened bigint DEFAULT 0) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN ms(least((
		SELECT c.expires_at FROM callback c
		 WHERE c.tenant_id = p_tenant AND c.state = 'scheduled' AND c.linked_to IS NULL AND c.expires_at IS NOT NULL
		 ORDER BY c.expires_at, c.callback_id OFFSET p_expired LIMIT 1), (
		SELECT c.widen_at FROM callback c
		 WHERE c.tenant_id = p_tenant AND c.state = 'scheduled' AND c.linked_to IS NULL AND c.widen_at IS NOT NULL
		 ORDER BY c.widen_at, c.callback_id OFFSET p_widened LIMIT 1)));
END
$$;

-- load_elapsed: up to p_limit callbacks that waited longer than promised (command: expire), and as many that waited long
-- enough to be widened (widen), longest first; then one row with callback_id NULL and next_at: next_elapse() of the others.
CREATE FUNCTION load_elapsed(p_tenant int, p_now bigint, p_limit int)
RETURNS TABLE (callback_id uuid, seq bigint, next_at bigint, command text)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_sort = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
	v_expired bigint;
	v_widened bigint;
BEGIN
	RETURN QUERY
	SELECT c.callback_id, c.seq, NULL::bigint, 'expire' FROM callback c
	 WHERE c.tenant_id = p_tenant AND c.state = 'scheduled' AND c.linked_to IS NULL AND c.expires_at <= from_ms(p_now)
	 ORDER BY c.expires_at, c.callback_id LIMIT p_limit;
	GET DIAGNOSTICS v_expired = ROW_COUNT;
	RETURN QUERY
	SELECT c.callback_id, c.seq, NULL::bigint, 'widen' FROM callback c
	 WHERE c.tenant_id = p_tenant AND c.state = 'scheduled' AND c.linked_to IS NULL AND c.widen_at <= from_ms(p_now)
	 ORDER BY c.widen_at, c.callback_id LIMIT p_limit;
	GET DIAGNOSTICS v_widened = ROW_COUNT;
	RETURN QUERY SELECT NULL::uuid, NULL::bigint, next_elapse(p_tenant, v_expired, v_widened), NULL;
END
$$;
