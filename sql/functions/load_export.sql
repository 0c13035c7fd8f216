-- load_export: callbacks as lines for other programs, with their contacts. Reads callback, contact, queue, form, agent; locks nothing.

-- csv_cell: a value as RFC 4180 has it. What a spreadsheet would take for a formula gets a quotation mark before it, unless
-- it is a number: much of it was typed by strangers.
CREATE FUNCTION csv_cell(p_text text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	IF p_text ~ '^[=+@\t\r-]' AND p_text !~ '^-?[0-9]+$' THEN
		p_text := '''' || p_text;
	END IF;
	RETURN CASE WHEN p_text ~ '[",\r\n]' THEN '"' || replace(p_text, '"', '""') || '"' ELSE coalesce(p_text, '') END;
END
$$;

-- utc_text: RFC 3339, to the millisecond.
CREATE FUNCTION utc_text(p_at timestamptz) RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- export_row: what is said of one, in the order of the columns; of none, the columns. One that is due is queued.
CREATE FUNCTION export_row(c callback, p_now bigint) RETURNS json
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN (
	SELECT json_build_object('id', c.callback_id,
		'state', CASE WHEN c.state = 'scheduled' AND c.due_at <= from_ms(p_now) THEN 'queued' ELSE c.state END, 'reason', c.reason,
		'queue', q.name, 'form', f.form_key, 'priority', c.priority, 'created_at', utc_text(c.created_at), 'due_at', utc_text(c.due_at),
		'promise_at', utc_text(c.promise_at), 'promise_local', to_char(c.promise_local, 'YYYY-MM-DD"T"HH24:MI:SS'),
		'promise_zone', c.promise_zone, 'expires_at', utc_text(c.expires_at), 'agent', a.name, 'attempts', c.attempts, 'offers', c.offers,
		'disposition', c.disposition, 'ended_at', utc_text(c.ended_at), 'linked_to', c.linked_to,
		'phone', k.phone, 'name', k.name, 'email', k.email, 'subject', k.subject, 'language', k.language, 'notes', k.notes,
		'consent', k.consent, 'case_information', k.case_information)
	  FROM (SELECT 1) one
	  LEFT JOIN LATERAL queue_row(c.tenant_id, c.queue_id) q ON true
	  LEFT JOIN LATERAL (SELECT i.form_key FROM form i WHERE i.tenant_id = c.tenant_id AND i.form_id = c.form_id LIMIT 1) f ON true
	  LEFT JOIN LATERAL agent_row(c.tenant_id, c.agent_id) a ON true
	  LEFT JOIN LATERAL (SELECT * FROM contact i WHERE i.tenant_id = c.tenant_id AND i.callback_id = c.callback_id LIMIT 1) k ON true);
END
$$;

-- load_export: a page of them, see callback_page(), one line each with its end.
--   p_format   'csv': with the columns' names first, callback_id NULL, unless the page comes after another; or 'ndjson'
CREATE FUNCTION load_export(p_tenant int, p_now bigint, p_filter json, p_format text) RETURNS TABLE (callback_id uuid, line text)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
	c callback;
	v_row json;
BEGIN
	IF p_format = 'csv' AND p_filter ->> 'after' IS NULL THEN
		v_row := export_row(NULL, p_now);
		line := (SELECT string_agg(k, ',') FROM json_object_keys(v_row) k) || E'\r\n';
		RETURN NEXT;
	END IF;
	FOREACH c IN ARRAY callback_page(p_tenant, p_now, p_filter) LOOP
		v_row := export_row(c, p_now);
		callback_id := c.callback_id;
		line := CASE p_format WHEN 'csv' THEN (SELECT string_agg(csv_cell(e.value), ',') FROM json_each_text(v_row) e) || E'\r\n'
			ELSE v_row::text || E'\n' END;
		RETURN NEXT;
	END LOOP;
END
$$;
