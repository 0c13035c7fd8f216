-- tenant_lock: takes the tenant's advisory transaction lock. Must be a statement of its own, the first:
-- only statements after it have a snapshot that sees what the previous holder committed.
CREATE FUNCTION tenant_lock(p_tenant int) RETURNS void
LANGUAGE sql VOLATILE
AS $$ SELECT pg_advisory_xact_lock(8221, p_tenant) $$;

-- log_head: the tenant's last sequence number, and the time at which this batch happens: the caller's,
-- raised to the last event's. Raises CB001 when it is more than 2 s off the database's clock, unless the
-- database is marked as a test; CB003 when there is no such tenant. Call it under tenant_lock().
CREATE FUNCTION log_head(p_tenant int, p_now bigint, OUT head bigint, OUT at timestamptz)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_off interval;
BEGIN
	at := from_ms(p_now);
	v_off := at - clock_timestamp();
	-- one in the other: a condition with a query in it is a statement of its own, 30 us for every batch
	IF v_off > interval '2 s' OR v_off < interval '-2 s' THEN
		IF NOT (SELECT is_test FROM meta WHERE one) THEN
			RAISE EXCEPTION 'clock is % off the database''s', v_off USING ERRCODE = 'CB001';
		END IF;
	END IF;
	SELECT e.seq, greatest(log_head.at, e.at) INTO head, at
	  FROM event e WHERE e.tenant_id = p_tenant ORDER BY e.seq DESC LIMIT 1;
	IF NOT FOUND THEN
		PERFORM 1 FROM tenant t WHERE t.tenant_id = p_tenant;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'no tenant %', p_tenant USING ERRCODE = 'CB003';
		END IF;
		head := 0;
		at := from_ms(p_now);
	END IF;
END
$$;

-- append: writes what was decided: the rows, and one event per change, numbered from p_head + 1.
-- Returns the events (what = 'event'); ord is on the first of each command, whose answer it is. Refusals are passed
-- over. The only writer of callback (but for submit's inserts), offer, attempt, agent_status and event. Needs
-- tenant_lock(). Raises CB002 when two commands of the run touch the same row.
CREATE FUNCTION append(p_tenant int, p_now timestamptz, p_head bigint, p_changes change[]) RETURNS SETOF log_row
LANGUAGE plpgsql VOLATILE
SET enable_hashjoin = off
AS $$
DECLARE
	v_at bigint := ms(p_now);
BEGIN
	IF cardinality(p_changes) > 1 AND EXISTS (
		SELECT FROM (
			SELECT (n.cb).callback_id, (n.st).agent_id, n.ord FROM unnest(p_changes) n WHERE n.refusal IS NULL OFFSET 0) k
		 GROUP BY GROUPING SETS ((k.callback_id), (k.agent_id))
		HAVING min(k.ord) <> max(k.ord) AND (k.callback_id IS NOT NULL OR k.agent_id IS NOT NULL))
	THEN
		RAISE EXCEPTION 'two commands of one run touch the same row' USING ERRCODE = 'CB002';
	END IF;

	RETURN QUERY
	WITH n AS MATERIALIZED (
		-- unnest() gives them in order, and a window without an order of its own takes them as they come
		SELECT u.ord, u.command_id, u.kind, u.agent_id, u.extra, u.cb, u.ofr, u.att, u.st, p_head + row_number() OVER () AS seq
		  FROM unnest(p_changes) u WHERE u.refusal IS NULL
	), e AS MATERIALIZED (
		SELECT n.seq, n.ord, n.kind, n.command_id, n.agent_id,
			coalesce((n.cb).callback_id, (n.ofr).callback_id, (n.att).callback_id) AS callback_id,
			concat('{', concat_ws(',', nullif(substr(n.extra::text, 2, length(n.extra::text) - 2), ''),
				CASE WHEN (n.cb).callback_id IS NOT NULL THEN '"callback":' || image_callback(n.cb, n.seq) END,
				CASE WHEN (n.ofr).offer_id IS NOT NULL THEN '"offer":' || image_offer(n.ofr, n.seq) END,
				CASE WHEN (n.att).attempt_id IS NOT NULL THEN '"attempt":' || image_attempt(n.att, n.seq) END,
				CASE WHEN (n.st).agent_id IS NOT NULL THEN '"status":' || image_status(n.st, n.seq) END), '}') AS body
		  FROM n
	), cb AS (
		UPDATE callback c
		   SET seq = x.seq, state = (x.cb).state, reason = (x.cb).reason, queue_id = (x.cb).queue_id, class_id = (x.cb).class_id,
			priority = (x.cb).priority, due_at = (x.cb).due_at, promise_at = (x.cb).promise_at,
			promise_local = (x.cb).promise_local, promise_zone = (x.cb).promise_zone, expires_at = (x.cb).expires_at,
			agent_id = (x.cb).agent_id, attempt_id = (x.cb).attempt_id, attempts = (x.cb).attempts,
			offers = (x.cb).offers, tried = (x.cb).tried, deadline_at = (x.cb).deadline_at,
			linked_to = (x.cb).linked_to, disposition = (x.cb).disposition, ended_at = (x.cb).ended_at,
			booked = (x.cb).booked, zones = (x.cb).zones, widen_after_s = (x.cb).widen_after_s,
			widen_at = (x.cb).due_at + seconds((x.cb).widen_after_s), widened = (x.cb).widened,
			home_class = (x.cb).home_class, home_priority = (x.cb).home_priority, agent_for_s = (x.cb).agent_for_s
		  FROM (SELECT DISTINCT ON ((n.cb).callback_id) n.seq, n.cb FROM n
			 WHERE (n.cb).callback_id IS NOT NULL ORDER BY (n.cb).callback_id, n.seq DESC) x
		 CROSS JOIN LATERAL (
			SELECT b.ctid FROM callback b WHERE b.tenant_id = p_tenant AND b.callback_id = (x.cb).callback_id LIMIT 1) b
		 WHERE c.ctid = b.ctid
	), ofr AS (
		INSERT INTO offer AS o
		SELECT p_tenant, (n.ofr).offer_id, n.seq, (n.ofr).callback_id, (n.ofr).agent_id, (n.ofr).state,
			(n.ofr).created_at, (n.ofr).deadline_at, (n.ofr).ended_at, (n.ofr).reason
		  FROM n WHERE (n.ofr).offer_id IS NOT NULL
		    ON CONFLICT (tenant_id, offer_id) DO UPDATE
		   SET seq = excluded.seq, state = excluded.state, ended_at = excluded.ended_at, reason = excluded.reason
	), att AS (
		INSERT INTO attempt AS a
		SELECT p_tenant, (n.att).attempt_id, n.seq, (n.att).callback_id, (n.att).agent_id, (n.att).number, (n.att).state,
			(n.att).started_at, (n.att).answered_at, (n.att).ended_at
		  FROM n WHERE (n.att).attempt_id IS NOT NULL
		    ON CONFLICT (tenant_id, attempt_id) DO UPDATE
		   SET seq = excluded.seq, state = excluded.state, answered_at = excluded.answered_at, ended_at = excluded.ended_at
	), st AS (
		UPDATE agent_status s
		   SET seq = x.seq, state = (x.st).state, reason = (x.st).reason, since = (x.st).since, idle_since = (x.st).idle_since,
			deadline_at = (x.st).deadline_at, next_state = (x.st).next_state, next_reason = (x.st).next_reason,
			missed = (x.st).missed, connected = (x.st).connected, node_id = (x.st).node_id, lost_at = (x.st).lost_at,
			offered_seq = (x.st).offered_seq, accepted = (x.st).accepted, talk_ms = (x.st).talk_ms
		  FROM (SELECT DISTINCT ON ((n.st).agent_id) n.seq, n.st FROM n
			 WHERE (n.st).agent_id IS NOT NULL ORDER BY (n.st).agent_id, n.seq DESC) x
		 CROSS JOIN LATERAL (
			SELECT b.ctid FROM agent_status b WHERE b.tenant_id = p_tenant AND b.agent_id = (x.st).agent_id LIMIT 1) b
		 WHERE s.ctid = b.ctid
	), ev AS (
		INSERT INTO event (tenant_id, seq, at, kind, command_id, callback_id, agent_id, body)
		SELECT p_tenant, e.seq, p_now, e.kind, e.command_id, e.callback_id, e.agent_id, e.body FROM e
	)
	SELECT 'event', CASE WHEN e.command_id IS NOT NULL THEN e.ord END, e.seq, v_at, e.kind, e.agent_id, e.body FROM e ORDER BY e.seq;
END
$$;
