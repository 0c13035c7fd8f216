-- widening: the longer a callback waits, the more agents it is offered to. queue.widen is a list of steps, each so long
-- after the callback fell due, and each on top of those before it:
--   [{"after_s": 60, "levels": 2},             so much less of every skill that it needs beside the queue's own, down to 1
--    {"after_s": 120, "without": ["loans"]},   without these skills
--    {"after_s": 180, "queue": "second"},      to another queue, with what skills it needs still
--    {"after_s": 240, "priority": 10}]         before others
-- A step that nobody who is signed in could serve is passed over with the next that somebody could. A step puts the callback
-- into another requirement class: to the router it is one of those from then on. What it was before is its home, to which it
-- returns when it is to be called at another time; the steps are those of its home's queue, as they are at the time.
-- A callback can be for one agent alone: a rule says so, or he booked it for himself (widen_personal()). If that has an end
-- (agent_for_s), he is looked for when it falls due: if he is signed out, or lacks a skill that it needs, it is for all from
-- then on (step 0), and else agent_for_s later; then the steps of its queue follow.

-- widen_errors: what is wrong with the steps, by place within them; an empty message: nothing is. Names, see company_check().
CREATE FUNCTION widen_errors(p_steps jsonb) RETURNS TABLE (below text, message text)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF jsonb_typeof(p_steps) <> 'array' THEN
		RETURN QUERY SELECT '', 'must be an array of steps like {"after_s": 60, "levels": 2}';
		RETURN;
	END IF;
	IF jsonb_array_length(p_steps) > 20 THEN
		RETURN QUERY SELECT '', 'must have at most 20 steps';
	END IF;
	RETURN QUERY
	WITH s AS MATERIALIZED (
		SELECT format('[%s]', e.n - 1) AS at, e.n, e.step, CASE WHEN jsonb_typeof(e.step) = 'object' THEN e.step ELSE '{}' END AS o
		  FROM jsonb_array_elements(p_steps) WITH ORDINALITY e(step, n)
	), v AS (
		SELECT s.at, s.n, k.key, k.value, k.value #>> '{}' AS text, jsonb_typeof(k.value) AS type FROM s CROSS JOIN LATERAL jsonb_each(s.o) k
	), good AS (
		SELECT v.at, v.n, v.text::int AS after_s FROM v WHERE v.key = 'after_s' AND v.type = 'number' AND v.text ~ '^[0-9]{1,7}$'
	)
	SELECT s.at, CASE WHEN jsonb_typeof(s.step) <> 'object' THEN 'must be an object like {"after_s": 60, "levels": 2}'
		WHEN NOT s.step ?| '{levels,without,queue,priority}' THEN 'must have levels, without, queue or priority' END FROM s
	 UNION ALL
	SELECT s.at || '.after_s', 'is missing' FROM s WHERE jsonb_typeof(s.step) = 'object' AND NOT s.step ? 'after_s'
	 UNION ALL
	SELECT v.at || '.' || v.key, CASE v.key
		WHEN 'after_s' THEN CASE WHEN v.type <> 'number' OR v.text !~ '^[0-9]{1,7}$' OR v.text::int > 2592000
			THEN 'must be an integer from 0 to 2592000' END
		WHEN 'levels' THEN CASE WHEN v.type <> 'number' OR v.text !~ '^[1-9]$' THEN 'must be an integer from 1 to 9' END
		WHEN 'priority' THEN CASE WHEN v.type <> 'number' OR v.text !~ '^[0-9]{1,4}$' OR v.text::int NOT BETWEEN 1 AND 1000
			THEN 'must be an integer from 1 to 1000' END
		WHEN 'queue' THEN CASE WHEN v.type <> 'string' THEN 'must be a queue''s name' END
		WHEN 'without' THEN CASE WHEN v.type <> 'array' OR v.value = '[]' OR EXISTS (
				SELECT FROM jsonb_array_elements(CASE WHEN v.type = 'array' THEN v.value ELSE '[]' END) x WHERE jsonb_typeof(x) <> 'string')
			THEN 'must be an array of skills'' names' END
		ELSE 'is not known' END FROM v
	 UNION ALL
	SELECT g.at || '.after_s', 'must not be before that of the step before'
	  FROM (SELECT good.*, max(good.after_s) OVER (ORDER BY good.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM good) g
	 WHERE g.after_s < g.before;
END
$$;

-- widen_names: the skills and queues that steps name, and where. Of steps of any shape.
CREATE FUNCTION widen_names(p_steps jsonb) RETURNS TABLE (below text, object text, name text)
LANGUAGE sql IMMUTABLE
AS $$
	SELECT format('[%s]%s', e.n - 1, x.below), x.object, x.name
	  FROM jsonb_array_elements(CASE WHEN jsonb_typeof(p_steps) = 'array' THEN p_steps ELSE '[]' END) WITH ORDINALITY e(step, n)
	 CROSS JOIN LATERAL (
		SELECT '.queue' AS below, 'queue' AS object, e.step ->> 'queue' AS name WHERE jsonb_typeof(e.step -> 'queue') = 'string'
		 UNION ALL
		SELECT format('.without[%s]', w.n - 1), 'skill', w.value #>> '{}'
		  FROM jsonb_array_elements(CASE WHEN jsonb_typeof(e.step -> 'without') = 'array' THEN e.step -> 'without' ELSE '[]' END)
			WITH ORDINALITY w(value, n)
		 WHERE jsonb_typeof(w.value) = 'string') x
$$;

-- widen_first: how long after it falls due the first step is; NULL: there is none.
CREATE FUNCTION widen_first(p_steps jsonb) RETURNS int
LANGUAGE sql IMMUTABLE
AS $$ SELECT (p_steps #>> '{0,after_s}')::int $$;

-- widen_step: the callback with that step done, but for its class: its queue, and p_skills, the skills that it needs beside
-- the queue's. A queue that is not there any more is left out. Reads skill, queue.
CREATE FUNCTION widen_step(p_tenant int, INOUT c callback, INOUT p_skills jsonb, p_step jsonb)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	p_skills := (
		SELECT coalesce(jsonb_object_agg(s.key, greatest(s.value::int - coalesce((p_step ->> 'levels')::int, 0), 1)), '{}')
		  FROM jsonb_each_text(p_skills) s
		 WHERE NOT EXISTS (SELECT FROM jsonb_array_elements_text(p_step -> 'without') w JOIN skill k ON k.name = w.value
			WHERE k.tenant_id = p_tenant AND k.skill_id = s.key::int));
	c.queue_id := coalesce((SELECT q.queue_id FROM queue q WHERE q.tenant_id = p_tenant AND q.name = p_step ->> 'queue' AND NOT q.removed),
		c.queue_id);
	c.priority := least(c.priority + coalesce((p_step ->> 'priority')::int, 0), 1000);
END
$$;

-- widen_needs: what fits agent.skills of who has these skills and those of the queue; NULL: none is needed. Reads queue.
CREATE FUNCTION widen_needs(p_tenant int, p_queue int, p_skills jsonb) RETURNS jsonpath
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN (
		SELECT string_agg(format('$."%s" >= %s', n.key, n.value), ' && ')
		  FROM (SELECT * FROM jsonb_each_text(p_skills) UNION ALL
			SELECT l.* FROM queue_row(p_tenant, p_queue) q CROSS JOIN LATERAL jsonb_each_text(q.skills) l) n)::jsonpath;
END
$$;

-- widen_able: whether anybody who is signed in has these skills and those of the queue. One look at each agent's skills, and
-- at where he stands only of those who have them: a microsecond for each agent of the company, if nobody has.
-- Reads queue, agent, agent_status.
CREATE FUNCTION widen_able(p_tenant int, p_queue int, p_skills jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_needs jsonpath := widen_needs(p_tenant, p_queue, p_skills);
BEGIN
	RETURN EXISTS (
		SELECT FROM agent a
		 WHERE a.tenant_id = p_tenant AND NOT a.removed AND (v_needs IS NULL OR a.skills @@ v_needs)
		   AND (SELECT s.state <> 'logged_out' FROM agent_status s WHERE s.tenant_id = p_tenant AND s.agent_id = a.agent_id LIMIT 1));
END
$$;

-- widen_away: whether the agent of a class cannot take what is in it: he is signed out, or removed, or lacks a skill (one that
-- he booked for himself after its steps had brought it to him). Reads queue, agent, agent_status.
CREATE FUNCTION widen_away(p_tenant int, k requirement_class) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_needs jsonpath := widen_needs(p_tenant, k.queue_id, k.skills);
BEGIN
	RETURN coalesce((
		SELECT a.removed OR s.state = 'logged_out' OR NOT coalesce(a.skills @@ v_needs, v_needs IS NULL)
		  FROM agent_row(p_tenant, k.agent_id) a CROSS JOIN LATERAL status_row(p_tenant, k.agent_id) s), true);
END
$$;

-- widen_home: the callback as it was before any step, to be widened anew.
-- Reads requirement_class, queue.
CREATE FUNCTION widen_home(p_tenant int, c callback) RETURNS callback
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF c.home_class IS NULL AND c.agent_for_s IS NULL THEN
		RETURN c;
	END IF;
	SELECT k.class_id, k.queue_id, coalesce(c.home_priority, c.priority),
		CASE WHEN k.agent_id = 0 THEN widen_first(q.widen) WHEN c.agent_for_s IS NOT NULL THEN 0 END
	  INTO c.class_id, c.queue_id, c.priority, c.widen_after_s
	  FROM requirement_class k CROSS JOIN LATERAL queue_row(p_tenant, k.queue_id) q
	 WHERE k.tenant_id = p_tenant AND k.class_id = coalesce(c.home_class, c.class_id);
	c.home_class := NULL;
	c.home_priority := NULL;
	c.widened := NULL;
	RETURN c;
END
$$;

-- widen_class: the requirement class of a queue with these skills and this agent (0: anybody), with its event when it is new
-- (class.created, which goes before what needs it). Reads and writes requirement_class. Needs tenant_lock().
CREATE FUNCTION widen_class(p_tenant int, p_ord int, p_queue int, p_skills jsonb, p_agent int, OUT class_id int, OUT created change[])
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	k requirement_class;
BEGIN
	created := '{}';
	SELECT * INTO k FROM requirement_class r
	 WHERE r.tenant_id = p_tenant AND r.queue_id = p_queue AND r.skills = p_skills AND r.agent_id = p_agent LIMIT 1;
	IF NOT FOUND THEN
		INSERT INTO requirement_class (tenant_id, class_id, queue_id, skills, agent_id)
		SELECT p_tenant, coalesce(max(o.class_id), 0) + 1, p_queue, p_skills, p_agent FROM requirement_class o WHERE o.tenant_id = p_tenant
		RETURNING * INTO k;
		created := ARRAY[change_of(p_ord, NULL, 'class.created', NULL, p_extra => jsonb_build_object('class', image_class(k)))];
	END IF;
	class_id := k.class_id;
END
$$;

-- widen_personal: the callback, which is at home, as one for that agent alone, for as long as its queue says; 0: for anybody.
-- Reads queue, requirement_class; writes requirement_class. Needs tenant_lock().
CREATE FUNCTION widen_personal(p_tenant int, p_ord int, INOUT c callback, p_agent int, OUT created change[])
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	q queue;
	w record;
BEGIN
	SELECT * INTO q FROM queue_row(p_tenant, c.queue_id);
	w := widen_class(p_tenant, p_ord, c.queue_id,
		(SELECT k.skills FROM requirement_class k WHERE k.tenant_id = p_tenant AND k.class_id = c.class_id), p_agent);
	created := w.created;
	c.class_id := w.class_id;
	c.agent_for_s := CASE WHEN p_agent <> 0 THEN q.personal_for_s END;
	c.widen_after_s := CASE WHEN p_agent <> 0 THEN 0 ELSE widen_first(q.widen) END;
END
$$;

-- widen_agent: one that is for one agent: he keeps it (callback.kept, until agent_for_s), or it is for anybody from now on.
CREATE FUNCTION widen_agent(p_tenant int, p_now timestamptz, INOUT c callback, k requirement_class, p_steps jsonb, OUT kept boolean)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	kept := c.due_at + seconds(c.agent_for_s) > p_now AND NOT widen_away(p_tenant, k);
	IF kept THEN
		c.widen_after_s := c.agent_for_s;
	ELSE
		c.home_class := coalesce(c.home_class, k.class_id);
		c.home_priority := coalesce(c.home_priority, c.priority);	-- of one that was escalated it is known
		c.widened := jsonb_build_array(jsonb_build_object('step', 0, 'after_s', c.widen_after_s, 'agent', k.agent_id, 'widened_at', ms(p_now)));
		c.widen_after_s := widen_first(p_steps);
	END IF;
END
$$;

-- decide_widen: widen: the next step of a callback that has waited long enough.
-- Refusals: not_found: also of who is not the router; stale_version; wrong_state; linked; not_due.
-- callback.widened says which step it was ("step", as it is in "widened"); callback.kept: it stays its agent's, for now.
-- VOLATILE: no change carries a class; it writes them itself. Reads callback, requirement_class, queue, skill, agent,
-- agent_status, transition; writes requirement_class. Needs tenant_lock().
CREATE FUNCTION decide_widen(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	r record;
	c callback;
	k requirement_class;
	w record;
	v_steps jsonb;
	v_done int;
	v_step int;
	v_skills jsonb;
	v_class record;
	v_able jsonb := '{}';
	v_key text;
	v_changes change[] := '{}';
	v_refusal text;
BEGIN
	FOR r IN
		SELECT m.ord, m.id, m.role, m.version, cb,
			ARRAY(SELECT t.to_state FROM transition t WHERE t.command = m.kind AND t.from_state = cb.state) AS targets
		  FROM unnest(p_run) m LEFT JOIN LATERAL callback_row(p_tenant, m.callback_id) cb ON true
		 ORDER BY m.ord
	LOOP
		c := r.cb;
		v_refusal := CASE
			WHEN c.callback_id IS NULL OR r.role IS DISTINCT FROM 'router' THEN 'not_found'
			WHEN c.seq <> r.version THEN 'stale_version'
			WHEN cardinality(r.targets) = 0 THEN 'wrong_state'
			WHEN c.linked_to IS NOT NULL THEN 'linked'
			WHEN coalesce(c.widen_at > p_now, true) THEN 'not_due' END;
		IF v_refusal IS NOT NULL THEN
			v_changes := v_changes || CASE v_refusal WHEN 'not_found' THEN change_refuse(r.ord, v_refusal) ELSE change_refuse(r.ord, v_refusal, c) END;
			CONTINUE;
		END IF;
		SELECT * INTO k FROM requirement_class x WHERE x.tenant_id = p_tenant AND x.class_id = c.class_id;
		v_steps := (SELECT q.widen FROM requirement_class h CROSS JOIN LATERAL queue_row(p_tenant, h.queue_id) q
			 WHERE h.tenant_id = p_tenant AND h.class_id = coalesce(c.home_class, c.class_id));
		v_done := coalesce((c.widened #>> '{-1,step}')::int, 0);
		v_step := NULL;
		v_skills := k.skills;
		IF k.agent_id <> 0 THEN
			SELECT * INTO w FROM widen_agent(p_tenant, p_now, c, k, v_steps);
			c := w.c;
			v_class := widen_class(p_tenant, r.ord, c.queue_id, v_skills, CASE WHEN w.kept THEN k.agent_id ELSE 0 END);
			c.class_id := v_class.class_id;
			v_changes := v_changes || v_class.created
				|| change_of(r.ord, r.id, CASE WHEN w.kept THEN 'callback.kept' ELSE 'callback.widened' END, NULL, c, p_extra => '{"step": 0}');
			CONTINUE;
		END IF;
		-- one after the other, until somebody could take it; or else only the first
		FOR i IN v_done + 1 .. jsonb_array_length(v_steps) LOOP
			SELECT * INTO w FROM widen_step(p_tenant, c, v_skills, v_steps -> (i - 1));
			c := w.c;
			v_skills := w.p_skills;
			v_key := c.queue_id || ' ' || v_skills::text;
			IF NOT v_able ? v_key THEN
				v_able := v_able || jsonb_build_object(v_key, widen_able(p_tenant, c.queue_id, v_skills));
			END IF;
			IF (v_able -> v_key)::boolean THEN
				v_step := i;
				EXIT;
			END IF;
		END LOOP;
		IF v_step IS NULL AND v_done < jsonb_array_length(v_steps) THEN
			v_step := v_done + 1;
			SELECT * INTO w FROM widen_step(p_tenant, r.cb, k.skills, v_steps -> v_done);
			c := w.c;
			v_skills := w.p_skills;
		END IF;
		v_class := widen_class(p_tenant, r.ord, c.queue_id, v_skills, 0);
		c.class_id := v_class.class_id;
		c.home_class := coalesce(c.home_class, k.class_id);
		c.home_priority := coalesce(c.home_priority, (r.cb).priority);
		c.booked := c.booked AND c.queue_id = (r.cb).queue_id;
		-- with those that were passed over, for they are done, too; steps that the queue has no more are not
		c.widened := CASE WHEN v_step IS NULL THEN c.widened ELSE coalesce(c.widened, '[]') || (
			SELECT jsonb_agg(v_steps -> (n - 1) || jsonb_build_object('step', n, 'widened_at', ms(p_now)) ORDER BY n)
			  FROM generate_series(v_done + 1, v_step) n) END;
		c.widen_after_s := v_steps #>> ARRAY[v_step::text, 'after_s'];
		v_changes := v_changes || v_class.created || change_of(r.ord, r.id, 'callback.widened', NULL, c,
			p_extra => jsonb_build_object('step', v_step));
	END LOOP;
	RETURN v_changes;
END
$$;
