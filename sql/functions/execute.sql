-- execute: decides a batch of commands, in order, each accepted or refused by itself, and appends to the log.
--   p_now       ms; see log_head()
--   p_commands  [{"id": uuid, "run": int, "kind": text, "by": int, "role": text, "callback": uuid, "version": int,
--                 "offer": uuid, "attempt": uuid, "agent": int, "to": [...], "args": {...}}, ...]
--               without run, each is a run of its own
-- Returns the events it wrote, each with the place of the command whose answer it is (its first event), then the answers
-- of the others: why it was refused and the state that refused it; or, for a command id that the log knows or that was
-- said twice in the batch, the answer that it got then.
-- Locks the tenant. Plans are kept: see row.sql for what makes them good for a table of any size. jit is off because
-- what is switched off looks so dear that it would be compiled.
CREATE FUNCTION execute(p_tenant int, p_now bigint, p_commands jsonb) RETURNS SETOF log_row
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	v_log record;
	v_head bigint;
	v_now timestamptz;
	v_all command[];
	v_commands command[];
	v_again boolean;
	v_run command[];
	v_kind text;
	v_changes change[];
	v_rows bigint;
	v_answers log_row[];
BEGIN
	PERFORM tenant_lock(p_tenant);
	v_log := log_head(p_tenant, p_now);
	v_head := v_log.head;
	v_now := v_log.at;

	v_all := ARRAY(
		SELECT ROW (x.n - 1, coalesce(x.run, x.n), x.id, x.kind, x."by", x.role, x.callback, x.version, x.offer, x.attempt,
			x.agent, x."to", coalesce(x.args, '{}'))::command
		  FROM ROWS FROM (jsonb_to_recordset(p_commands) AS (id uuid, run int, kind text, "by" int, role text, callback uuid,
			version bigint, offer uuid, attempt uuid, agent int, "to" jsonb, args jsonb)) WITH ORDINALITY
			AS x(id, run, kind, "by", role, callback, version, offer, attempt, agent, "to", args, n)
		 ORDER BY x.n);
	-- the same command twice in one batch: a request that was sent on two connections at once
	v_commands := ARRAY(SELECT DISTINCT ON (m.id) m FROM unnest(v_all) m ORDER BY m.id, m.ord);
	v_again := cardinality(v_commands) < cardinality(v_all);
	v_answers := command_known(p_tenant, v_commands);
	IF cardinality(v_answers) > 0 THEN
		v_commands := ARRAY(SELECT m FROM unnest(v_commands) m WHERE m.ord NOT IN (SELECT a.ord FROM unnest(v_answers) a) ORDER BY m.ord);
	END IF;

	FOR v_run, v_kind IN
		SELECT array_agg(m ORDER BY m.ord), m.kind FROM unnest(v_commands) m GROUP BY m.run, m.kind ORDER BY m.run, min(m.ord)
	LOOP
		v_changes := decide(p_tenant, v_now, v_kind, v_run);
		v_changes := v_changes || linked_settle(p_tenant, v_now, v_changes);
		RETURN QUERY SELECT * FROM append(p_tenant, v_now, v_head, v_changes);
		GET DIAGNOSTICS v_rows = ROW_COUNT;
		v_head := v_head + v_rows;
		IF v_rows < cardinality(v_changes) THEN
			v_answers := v_answers || ARRAY(
				SELECT ROW ('answer', n.ord, NULL, NULL, n.refusal, NULL, n.answer::text)::log_row
				  FROM unnest(v_changes) n WHERE n.refusal IS NOT NULL);
		END IF;
	END LOOP;

	IF v_again THEN
		-- they get what the first got: it is in the log by now, or in v_answers
		v_commands := ARRAY(SELECT m FROM unnest(v_all) m WHERE EXISTS (SELECT FROM unnest(v_all) f WHERE f.id = m.id AND f.ord < m.ord));
		v_answers := v_answers || command_known(p_tenant, v_commands) || ARRAY(
			SELECT ROW ('answer', m.ord, NULL, NULL, a.kind, NULL, a.body)::log_row
			  FROM unnest(v_commands) m
			  JOIN unnest(v_all) f ON f.id = m.id AND f.ord < m.ord
			  JOIN unnest(v_answers) a ON a.ord = f.ord AND a.seq IS NULL);
	END IF;
	IF cardinality(v_answers) > 0 THEN
		RETURN QUERY SELECT a.* FROM unnest(v_answers) a ORDER BY a.ord;
	END IF;
END
$$;

-- command_known: the answers of those commands that the log knows.
-- Reads event. Needs tenant_lock().
CREATE FUNCTION command_known(p_tenant int, p_commands command[]) RETURNS log_row[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN ARRAY(
		SELECT ROW ('answer', m.ord, e.seq, NULL, NULL, NULL, e.body)::log_row
		  FROM unnest(p_commands) m CROSS JOIN LATERAL (
			SELECT v.seq, v.body FROM event v WHERE v.tenant_id = p_tenant AND v.command_id = m.id LIMIT 1) e);
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
		WHEN p_kind = 'widen' THEN decide_widen(p_tenant, p_now, p_run)
		WHEN p_kind = 'reschedule' THEN decide_move(p_tenant, p_now, p_run)
		WHEN p_kind IN ('ready', 'not_ready', 'agent_deadline', 'connect', 'disconnect', 'agent_lost')
			THEN decide_agent(p_tenant, p_now, p_run)
		WHEN p_kind IN ('sign_in', 'sign_out', 'sign_in_failed') THEN decide_session(p_tenant, p_now, p_run)
		WHEN p_kind = 'erase' THEN decide_erase(p_tenant, p_now, p_run)
		WHEN p_kind = 'company' THEN decide_company(p_tenant, p_now, p_run)
		WHEN p_kind IN ('suppress', 'unsuppress') THEN decide_suppression(p_tenant, p_now, p_run)
		WHEN p_kind IN ('slot_hold', 'slot_release') THEN decide_slot(p_tenant, p_now, p_run)
		WHEN p_kind = 'openings' THEN decide_openings(p_tenant, p_now, p_run)
		WHEN p_kind IN ('rules_publish', 'rules_rollback') THEN decide_rules(p_tenant, p_now, p_run)
		WHEN p_kind IN ('secret_create', 'secret_retire') THEN decide_secret(p_tenant, p_now, p_run)
		ELSE ARRAY(SELECT change_refuse(m.ord, 'unknown_command') FROM unnest(p_run) m)
	END;
END
$$;
