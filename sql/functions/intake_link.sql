-- intake_link: who is called in whose stead, among the taken elements of a batch and the open callbacks of their
-- numbers. Elements of one batch came at the same time, so those that do not link count as there first.
--   A number's leader is the open callback (or element) that is in somebody's hands, else the one due first.
--   Elements that link follow it. If such an element is itself due first, the former leader follows it.
-- Returns one row per follower; old: it is not of this batch (its own followers have to move too).
-- Reads contact, callback. Needs tenant_lock().
CREATE TYPE intake_link AS (
	callback_id	uuid,
	leader_id	uuid,
	old		boolean
);

CREATE FUNCTION intake_link(p_tenant int, p_rows intake[]) RETURNS intake_link[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN ARRAY(
	WITH r AS MATERIALIZED (
		SELECT u.phone, u.callback_id, u.promise_at, u.links, u.ord FROM unnest(p_rows) u WHERE intake_taken(u)
	), old AS MATERIALIZED (
		SELECT p.phone, l.*
		  FROM (SELECT DISTINCT r.phone FROM r WHERE r.links) p
		 CROSS JOIN LATERAL (
			SELECT c.callback_id, c.due_at, c.state <> 'scheduled' AS held
			  FROM contact k CROSS JOIN LATERAL (
				SELECT * FROM callback b WHERE b.tenant_id = p_tenant AND b.callback_id = k.callback_id LIMIT 1) c
			 WHERE k.tenant_id = p_tenant AND k.phone = p.phone AND c.linked_to IS NULL
			   AND c.state NOT IN ('completed', 'failed', 'cancelled', 'expired')
			 ORDER BY c.state = 'scheduled', c.due_at, c.created_at, c.callback_id LIMIT 1) l
	), m AS (
		SELECT x.*, row_number() OVER (PARTITION BY x.phone, x.links ORDER BY x.held DESC, x.due_at, x.ord) AS place_of_kind,
			first_value(x.callback_id) OVER lead AS leader_id, first_value(x.links) OVER lead AS new_leads
		  FROM (SELECT r.phone, r.callback_id, r.promise_at AS due_at, r.links, r.ord, false AS held FROM r
			 UNION ALL
			SELECT o.phone, o.callback_id, o.due_at, false, -1, o.held FROM old o) x
		WINDOW lead AS (PARTITION BY x.phone ORDER BY x.held DESC, x.due_at, x.links, x.ord)
	)
	SELECT ROW (m.callback_id, m.leader_id, m.ord < 0)::intake_link
	  FROM m
	 WHERE m.callback_id <> m.leader_id AND (m.links OR m.new_leads AND m.place_of_kind = 1));
END
$$;

-- intake_lead: the same batch, each follower with its leader.
CREATE FUNCTION intake_lead(p_rows intake[], p_links intake_link[]) RETURNS intake[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
	r record;
BEGIN
	FOR r IN
		SELECT u.ord + 1 AS place, l.leader_id FROM unnest(p_links) l JOIN unnest(p_rows) u ON u.callback_id = l.callback_id
		 WHERE NOT l.old AND intake_taken(u)
	LOOP
		p_rows[r.place].leader_id := r.leader_id;
	END LOOP;
	RETURN p_rows;
END
$$;

-- intake_move: the open callbacks that get another leader, and their followers: as they are after it.
-- Reads callback. Needs tenant_lock().
CREATE FUNCTION intake_move(p_tenant int, p_links intake_link[]) RETURNS change[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	r record;
	c callback;
	v_changes change[] := '{}';
BEGIN
	FOR r IN
		SELECT m.cb, l.leader_id
		  FROM unnest(p_links) l
		 CROSS JOIN LATERAL (
			SELECT b AS cb FROM callback b WHERE b.tenant_id = p_tenant AND b.callback_id = l.callback_id
			 UNION ALL
			SELECT f FROM callback f WHERE f.tenant_id = p_tenant AND f.linked_to = l.callback_id AND f.state = 'scheduled') m
		 WHERE l.old
		 ORDER BY l.callback_id, (m.cb).linked_to NULLS FIRST, (m.cb).created_at, (m.cb).callback_id
	LOOP
		c := r.cb;
		c.linked_to := r.leader_id;
		v_changes := v_changes || change_of(0, NULL, 'callback.linked', NULL, c);
	END LOOP;
	RETURN v_changes;
END
$$;
