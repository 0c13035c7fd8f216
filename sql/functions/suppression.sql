-- suppressed: why a number is not called, by the longest entry that it begins with; NULL: it may be.
-- Reads suppression.
CREATE FUNCTION suppressed(p_tenant int, p_phone text, p_now timestamptz) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN (SELECT s.reason FROM suppression s
		 WHERE s.tenant_id = p_tenant AND s.prefix = ANY (ARRAY(SELECT left(p_phone, n) FROM generate_series(2, char_length(p_phone)) n))
		   AND (s.until IS NULL OR s.until > p_now)
		 ORDER BY char_length(s.prefix) DESC LIMIT 1);
END
$$;

-- callback_suppressed: the same of a callback's contact. Asked before every offer and every dial, so that companies
-- without any entry pay for one look at an empty index. Reads contact, suppression.
CREATE FUNCTION callback_suppressed(p_tenant int, p_callback uuid, p_now timestamptz) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF (SELECT true FROM suppression s WHERE s.tenant_id = p_tenant LIMIT 1) IS NULL THEN
		RETURN NULL;
	END IF;
	RETURN (SELECT suppressed(p_tenant, k.phone, p_now) FROM contact k
		 WHERE k.tenant_id = p_tenant AND k.callback_id = p_callback LIMIT 1);
END
$$;

-- decide_suppression: suppress (args.number, args.reason, args.until in ms or none) adds an entry, or changes it;
-- unsuppress (args.number) ends it. The events name no number: they are read by more people than the table is.
-- VOLATILE: no change carries an entry; it writes them itself. Reads and writes suppression. Needs tenant_lock().
CREATE FUNCTION decide_suppression(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	m command;
	x suppression;
	v_errors jsonb;
	v_changes change[] := '{}';
BEGIN
	FOREACH m IN ARRAY p_run LOOP
		IF coalesce(m.role NOT IN ('supervisor', 'administrator', 'operator'), true) THEN
			v_changes := v_changes || change_refuse(m.ord, 'not_found');
			CONTINUE;
		END IF;
		v_errors := suppression_errors(m.kind, m.args, p_now);
		IF v_errors IS NOT NULL THEN
			v_changes := v_changes || ROW (m.ord, NULL, 'invalid', jsonb_build_object('errors', v_errors),
				NULL, NULL, NULL, NULL, NULL, NULL, NULL)::change;
			CONTINUE;
		END IF;
		IF m.kind = 'suppress' THEN
			INSERT INTO suppression AS s (tenant_id, prefix, reason, until, added_at, added_by)
			VALUES (p_tenant, m.args ->> 'number', m.args ->> 'reason', from_ms((m.args ->> 'until')::numeric::bigint), p_now, m.by_agent)
			    ON CONFLICT (tenant_id, prefix) DO UPDATE
			   SET reason = excluded.reason, until = excluded.until, added_at = excluded.added_at, added_by = excluded.added_by
			RETURNING s.* INTO x;
		ELSE
			DELETE FROM suppression s WHERE s.tenant_id = p_tenant AND s.prefix = m.args ->> 'number' RETURNING s.* INTO x;
			IF NOT FOUND THEN
				v_changes := v_changes || change_refuse(m.ord, 'not_found');
				CONTINUE;
			END IF;
		END IF;
		v_changes := v_changes || change_of(m.ord, m.id, CASE m.kind WHEN 'suppress' THEN 'suppression.added' ELSE 'suppression.removed' END,
			NULL, NULL, NULL, NULL, NULL, jsonb_build_object('suppression',
			jsonb_build_object('reason', x.reason, 'until_at', ms(x.until), 'by', m.by_agent)));
	END LOOP;
	RETURN v_changes;
END
$$;

-- suppression_errors: what is wrong with an entry, NULL nothing.
CREATE FUNCTION suppression_errors(p_kind text, p_args jsonb, p_now timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN (SELECT jsonb_agg(jsonb_build_object('field', e.field, 'message', e.message))
	  FROM (VALUES
		('number', CASE WHEN coalesce(p_args ->> 'number' !~ '^\+[0-9]{1,15}$', true)
			THEN 'must be a number with its country''s code, or the beginning of one, like +4930' END),
		('reason', CASE WHEN p_kind = 'suppress' AND coalesce(char_length(p_args ->> 'reason') NOT BETWEEN 1 AND 200, true)
			THEN 'must have 1 to 200 characters' END),
		('until', CASE WHEN p_args ->> 'until' IS NOT NULL AND (jsonb_typeof(p_args -> 'until') <> 'number'
				OR (p_args ->> 'until')::numeric NOT BETWEEN ms(p_now) AND 32503680000000) THEN 'must be a time to come' END))
		e(field, message)
	 WHERE e.message IS NOT NULL);
END
$$;

-- load_suppressions: a page of the entries, behind so many of them in order of their numbers, as a JSON array: {"number", "reason", "until_at",
-- "added_at", "added_by"}. Reads suppression.
CREATE FUNCTION load_suppressions(p_tenant int, p_skip int, p_limit int) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('number', s.prefix, 'reason', s.reason, 'until_at', ms(s.until),
			'added_at', ms(s.added_at), 'added_by', s.added_by)) ORDER BY s.prefix), '[]')
		  FROM (SELECT * FROM suppression x WHERE x.tenant_id = p_tenant ORDER BY x.prefix OFFSET p_skip LIMIT p_limit) s)::text;
END
$$;
