-- decide_secret: secret_create (args.purpose) makes the key that signs from now on; those before it go on to verify.
-- secret_retire (args.secret) ends one that is not the newest of its purpose: what it signed is unknown from then on.
-- The event says which, and never the value: the log is read by more people than the table is. Nodes read the table
-- again when they see it (load_secrets).
-- VOLATILE: no change carries a secret; it writes them itself. Reads and writes secret. Needs tenant_lock().
CREATE FUNCTION decide_secret(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	m command;
	x secret;
	v_refusal text;
	v_changes change[] := '{}';
BEGIN
	FOREACH m IN ARRAY p_run LOOP
		x := NULL;
		IF m.kind = 'secret_retire' THEN
			SELECT s.* INTO x FROM secret s WHERE s.tenant_id = p_tenant AND s.secret_id = (m.args ->> 'secret')::int;
		END IF;
		v_refusal := CASE
			WHEN coalesce(m.role NOT IN ('administrator', 'operator'), true) THEN 'not_found'
			WHEN m.kind = 'secret_create' AND m.args ->> 'purpose' IS DISTINCT FROM 'link' THEN 'not_found'
			WHEN m.kind = 'secret_create' AND (SELECT count(*) FROM secret s WHERE s.tenant_id = p_tenant) >= 100 THEN 'too_many_secrets'
			WHEN m.kind = 'secret_retire' AND x.secret_id IS NULL THEN 'not_found'
			WHEN m.kind = 'secret_retire' AND NOT EXISTS (SELECT FROM secret s
				WHERE s.tenant_id = p_tenant AND s.purpose = x.purpose AND s.secret_id > x.secret_id) THEN 'secret_in_use' END;
		IF v_refusal IS NOT NULL THEN
			v_changes := v_changes || change_refuse(m.ord, v_refusal);
			CONTINUE;
		END IF;
		IF m.kind = 'secret_create' THEN
			x := secret_new(p_tenant, m.args ->> 'purpose', p_now);
		ELSE
			DELETE FROM secret s WHERE s.tenant_id = p_tenant AND s.secret_id = x.secret_id;
		END IF;
		v_changes := v_changes || change_of(m.ord, m.id, CASE m.kind WHEN 'secret_create' THEN 'secret.created' ELSE 'secret.retired' END,
			NULL, NULL, NULL, NULL, NULL, jsonb_build_object('secret',
			jsonb_build_object('id', x.secret_id, 'purpose', x.purpose, 'by', m.by_agent, 'created_at', ms(x.created_at))));
	END LOOP;
	RETURN v_changes;
END
$$;

-- secret_new: the next secret of a tenant. Two random UUIDs are 244 bits of the operating system's randomness.
CREATE FUNCTION secret_new(p_tenant int, p_purpose text, p_now timestamptz) RETURNS secret
LANGUAGE sql VOLATILE
AS $$
	INSERT INTO secret (tenant_id, secret_id, purpose, value, created_at)
	SELECT p_tenant, coalesce(max(s.secret_id), 0) + 1, p_purpose,
		sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), p_now
	  FROM secret s WHERE s.tenant_id = p_tenant
	RETURNING *
$$;

-- load_secrets: the tenant's secrets with their values, the newest of each purpose marked. Reads secret.
CREATE FUNCTION load_secrets(p_tenant int) RETURNS TABLE (kind text, image text)
LANGUAGE sql STABLE
AS $$
	SELECT 'secret', jsonb_build_object('id', s.secret_id, 'purpose', s.purpose, 'value', encode(s.value, 'hex'),
			'created_at', ms(s.created_at), 'newest', s.secret_id = max(s.secret_id) OVER (PARTITION BY s.purpose))::text
	  FROM secret s WHERE s.tenant_id = p_tenant ORDER BY s.secret_id
$$;
