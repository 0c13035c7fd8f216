-- tenant: companies, and what a node asks before it knows one.

-- tenant_create: makes a company with the secret that signs its links, or finds the one of that name. NULL when the
-- name cannot be one (a-z, 0-9, _ and -, at most 63). Writes tenant, secret, epoch.
CREATE FUNCTION tenant_create(p_name text) RETURNS int
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_tenant int;
BEGIN
	IF p_name !~ '^[a-z0-9][a-z0-9_-]{0,62}$' THEN
		RETURN NULL;
	END IF;
	INSERT INTO tenant (name, label) VALUES (p_name, p_name) ON CONFLICT (name) DO NOTHING RETURNING tenant_id INTO v_tenant;
	IF v_tenant IS NULL THEN
		RETURN (SELECT t.tenant_id FROM tenant t WHERE t.name = p_name);
	END IF;
	PERFORM secret_new(v_tenant, 'link', clock_timestamp());
	PERFORM epoch_record(v_tenant, log_origin());
	RETURN v_tenant;
END
$$;

-- load_credential: what is needed to check a password; no row for an unknown or removed agent. password may be NULL.
CREATE FUNCTION load_credential(p_tenant_name text, p_agent_name text)
RETURNS TABLE (tenant_id int, agent_id int, password text, locked_until bigint, role text)
LANGUAGE sql STABLE
AS $$
	SELECT t.tenant_id, a.agent_id, a.password, ms(a.locked_until), a.role
	  FROM tenant t JOIN agent a ON a.tenant_id = t.tenant_id
	 WHERE t.name = p_tenant_name AND a.name = p_agent_name AND NOT a.removed
$$;

-- schema_check: what a node must know before it works with this database; problem is NULL when nothing is in the way.
-- zones: the known time zones, so that the node can name an unknown one beside a form's other wrong fields.
CREATE FUNCTION schema_check() RETURNS TABLE (version int, is_test boolean, problem text, zones text, oldest_node int)
LANGUAGE sql STABLE
AS $$
	SELECT m.schema_version, m.is_test, CASE
		WHEN current_setting('server_encoding') <> 'UTF8' THEN 'the database''s encoding is not UTF8'
		WHEN current_setting('default_transaction_isolation') <> 'read committed'
			THEN 'default_transaction_isolation is not read committed: the tenant''s lock would not help'
		WHEN pg_is_in_recovery() THEN 'the database is a standby'
		WHEN current_setting('default_transaction_read_only')::boolean THEN 'the database is read-only'
		WHEN NOT EXISTS (SELECT FROM time_zone) THEN 'the table time_zone is empty' END,
		(SELECT string_agg(z.name, ' ') FROM time_zone z), m.oldest_node
	  FROM meta m
$$;
