-- load_contact: all that a company has stored about a telephone number. Reads contact, callback, note, offer, attempt,
-- agent, queue, form, idempotency_key; locks nothing.

-- load_contact_callbacks: up to p_limit of its callbacks, those first that others do not follow any more when they end:
-- whoever ends them one by one in this order moves nobody. in_call: it cannot be erased now.
CREATE FUNCTION load_contact_callbacks(p_tenant int, p_phone text, p_limit int) RETURNS TABLE (callback_id uuid, in_call boolean)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
BEGIN
	RETURN QUERY
	SELECT c.callback_id, c.state IN ('establishing', 'connected', 'on_hold')
	  FROM contact k CROSS JOIN LATERAL (
		SELECT * FROM callback b WHERE b.tenant_id = p_tenant AND b.callback_id = k.callback_id LIMIT 1) c
	 WHERE k.tenant_id = p_tenant AND k.phone = p_phone
	 ORDER BY c.state IN ('establishing', 'connected', 'on_hold'), c.linked_to IS NULL, c.callback_id LIMIT p_limit;
END
$$;

-- load_contact_export: what the contact may ask to be told, as text: {"phone", "callbacks": [{"callback", "asked", "notes",
-- "offers", "attempts"}, ...]}, oldest first. Of agents the name and the label, and nothing else; of the queue and the form what
-- they are called. Times are ms.
CREATE FUNCTION load_contact_export(p_tenant int, p_phone text) RETURNS text
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
BEGIN
	RETURN (
	SELECT jsonb_build_object('phone', p_phone, 'callbacks', coalesce(jsonb_agg(jsonb_build_object(
		'callback', image_callback(c, c.seq)::jsonb - ARRAY['seq', 'queue', 'class', 'form', 'agent', 'attempt', 'tried']
			|| jsonb_strip_nulls(jsonb_build_object('agent', agent_name(p_tenant, c.agent_id),
				'queue', (SELECT q.label FROM queue q WHERE q.tenant_id = p_tenant AND q.queue_id = c.queue_id),
				'form', (SELECT f.label FROM form f WHERE f.tenant_id = p_tenant AND f.form_id = c.form_id))),
		'asked', to_jsonb(k) - ARRAY['tenant_id', 'callback_id', 'erased_at']
			|| jsonb_build_object('idempotency_keys', (SELECT coalesce(jsonb_agg(i.key ORDER BY i.key), '[]')
				FROM idempotency_key i WHERE i.tenant_id = p_tenant AND i.callback_id = c.callback_id)),
		'notes', (SELECT coalesce(jsonb_agg(jsonb_build_object('written_at', ms(n.at), 'agent', agent_name(p_tenant, n.agent_id),
				'text', n.body) ORDER BY n.at, n.note_id), '[]')
			FROM note n WHERE n.tenant_id = p_tenant AND n.callback_id = c.callback_id),
		'offers', (SELECT coalesce(jsonb_agg(image_offer(o, o.seq)::jsonb - ARRAY['seq', 'callback']
				|| jsonb_build_object('agent', agent_name(p_tenant, o.agent_id)) ORDER BY o.created_at, o.seq), '[]')
			FROM offer o WHERE o.tenant_id = p_tenant AND o.callback_id = c.callback_id),
		'attempts', (SELECT coalesce(jsonb_agg(image_attempt(a, a.seq)::jsonb - ARRAY['seq', 'callback']
				|| jsonb_build_object('agent', agent_name(p_tenant, a.agent_id)) ORDER BY a.number), '[]')
			FROM attempt a WHERE a.tenant_id = p_tenant AND a.callback_id = c.callback_id)) ORDER BY c.created_at, c.callback_id), '[]'))
	  FROM contact k CROSS JOIN LATERAL (
		SELECT * FROM callback b WHERE b.tenant_id = p_tenant AND b.callback_id = k.callback_id LIMIT 1) c
	 WHERE k.tenant_id = p_tenant AND k.phone = p_phone)::text;
END
$$;

-- agent_name: {"name", "label"} of an agent, NULL of none.
CREATE FUNCTION agent_name(p_tenant int, p_agent int) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_object('name', a.name, 'label', a.label) FROM agent a WHERE a.tenant_id = p_tenant AND a.agent_id = p_agent
$$;
