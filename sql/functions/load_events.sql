-- load_events: up to p_limit events after number p_after, in order, as append() returned them; or one row 'reset' with
-- seq = the floor, when some of them were deleted by retention.
-- Reads event, tenant; locks nothing. The floor is read in the same snapshot.
CREATE FUNCTION load_events(p_tenant int, p_after bigint, p_limit int) RETURNS SETOF log_row
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_sort = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
	RETURN QUERY SELECT 'reset', NULL::int, t.floor_seq, NULL::bigint, NULL::text, NULL::int, NULL::text
		FROM tenant t WHERE t.tenant_id = p_tenant AND p_after < t.floor_seq;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 'event', NULL::int, e.seq, ms(e.at), e.kind, e.agent_id, e.body
			FROM event e WHERE e.tenant_id = p_tenant AND e.seq > p_after ORDER BY e.seq LIMIT p_limit;
	END IF;
END
$$;
