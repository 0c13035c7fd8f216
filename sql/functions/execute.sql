-- execute: decides a batch of commands, in order, each accepted or refused by itself, and appends to the log.
--   p_now       ms; see log_head()
--   p_commands  [{"id": uuid, "run": int, "kind": text, "by": int, "role": text, "callback": uuid, "version": int,
--                 "offer": uuid, "attempt": uuid, "agent": int, "to": [...], "args": {...}}, ...]
--               without run, each is a run of its own
-- Returns the events it wrote, then one answer per command: its first event's body, or why it was refused and
-- the state that refused it. A command id that the log knows gets its first answer again. Twice in one batch, too.
-- Locks the tenant. Only a loop over index look-ups is left to the planner: before a table has statistics anything
-- else may be chosen, for 100 rows of parameters against millions. jit is off because what is off looks so dear
-- that it would be compiled. See plan_keep().
CREATE FUNCTION execute(p_tenant int, p_now bigint, p_commands json) RETURNS SETOF log_row
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET jit = off SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
	v_head bigint;
	v_now timestamptz;
	v_commands command[];
	v_all command[];
	v_run command[];
	v_kind text;
	v_changes change[];
	v_events log_row[];
	v_answers log_row[];
BEGIN
	PERFORM tenant_lock(p_tenant);
	PERFORM plan_keep();
	SELECT h.head, h.at INTO v_head, v_now FROM log_head(p_tenant, p_now) h;

	v_all := ARRAY(
		SELECT ROW (x.n - 1, coalesce(x.run, x.n), x.id, x.kind, x."by", x.role, x.callback, x.version, x.offer, x.attempt,
			x.agent, x."to", coalesce(x.args, '{}'))::command
		  FROM ROWS FROM (json_to_recordset(p_commands) AS (id uuid, run int, kind text, "by" int, role text, callback uuid,
			version bigint, offer uuid, attempt uuid, agent int, "to" jsonb, args jsonb)) WITH ORDINALITY
			AS x(id, run, kind, "by", role, callback, version, offer, attempt, agent, "to", args, n)
		 ORDER BY x.n);
	-- the same command twice in one batch: a request that was sent on two connections at once
	v_commands := ARRAY(SELECT DISTINCT ON (m.id) m FROM unnest(v_all) m ORDER BY m.id, m.ord);
	v_answers := ARRAY(
		SELECT ROW ('answer', m.ord, e.seq, NULL, NULL, NULL, e.body::text)::log_row
		  FROM unnest(v_commands) m JOIN event e ON e.tenant_id = p_tenant AND e.command_id = m.id);
	IF cardinality(v_answers) > 0 THEN
		v_commands := ARRAY(SELECT m FROM unnest(v_commands) m WHERE m.ord NOT IN (SELECT a.ord FROM unnest(v_answers) a) ORDER BY m.ord);
	END IF;

	FOR v_run, v_kind IN
		SELECT array_agg(m ORDER BY m.ord), m.kind FROM unnest(v_commands) m GROUP BY m.run, m.kind ORDER BY m.run, min(m.ord)
	LOOP
		v_changes := decide(p_tenant, v_now, v_kind, v_run);
		v_changes := v_changes || linked_settle(p_tenant, v_now, v_changes);
		v_events := ARRAY(SELECT a FROM append(p_tenant, v_now, v_head, v_changes) a);
		v_head := v_head + cardinality(v_events);
		RETURN QUERY SELECT e.what, NULL::int, e.seq, e.at, e.kind, e.agent_id, e.body FROM unnest(v_events) e;
		v_answers := v_answers || ARRAY(
			SELECT DISTINCT ON (e.ord) ROW ('answer', e.ord, e.seq, NULL, NULL, NULL, e.body)::log_row
			  FROM unnest(v_events) e ORDER BY e.ord, e.seq)
			|| ARRAY(
			SELECT ROW ('answer', n.ord, NULL, NULL, n.refusal, NULL, n.answer::text)::log_row
			  FROM unnest(v_changes) n WHERE n.refusal IS NOT NULL);
	END LOOP;

	IF cardinality(v_answers) < cardinality(v_all) THEN
		v_answers := v_answers || ARRAY(
			SELECT ROW ('answer', m.ord, a.seq, NULL, a.kind, NULL, a.body)::log_row
			  FROM unnest(v_all) m
			  JOIN unnest(v_all) f ON f.id = m.id AND f.ord < m.ord
			  JOIN unnest(v_answers) a ON a.ord = f.ord);
	END IF;
	RETURN QUERY SELECT a.* FROM unnest(v_answers) a ORDER BY a.ord;
END
$$;

-- decide: a run to the function that knows its kind. An unknown kind is refused, never an error.
CREATE FUNCTION decide(p_tenant int, p_now timestamptz, p_kind text, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RETURN CASE
		WHEN p_kind = 'offer' THEN decide_offer(p_tenant, p_now, p_run)
		WHEN p_kind IN ('accept', 'reject', 'offer_timeout') THEN decide_answer(p_tenant, p_now, p_run)
		WHEN p_kind IN ('call', 'connected', 'hold', 'retrieve', 'ended') THEN decide_call(p_tenant, p_now, p_run)
		WHEN p_kind IN ('done', 'give_back', 'retry', 'cancel', 'expire', 'callback_deadline', 'note')
			THEN decide_close(p_tenant, p_now, p_run)
		WHEN p_kind IN ('ready', 'not_ready', 'agent_deadline', 'connect', 'disconnect', 'agent_lost')
			THEN decide_agent(p_tenant, p_now, p_run)
		WHEN p_kind IN ('sign_in', 'sign_out', 'sign_in_failed') THEN decide_session(p_tenant, p_now, p_run)
		WHEN p_kind = 'company' THEN decide_company(p_tenant, p_now, p_run)
		ELSE ARRAY(SELECT change_refuse(m.ord, 'unknown_command') FROM unnest(p_run) m)
	END;
END
$$;
