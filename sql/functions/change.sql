-- change_refuse: a refusal that shows the callback as it stands.
CREATE FUNCTION change_refuse(p_ord int, p_refusal text, c callback DEFAULT NULL, o offer DEFAULT NULL, s agent_status DEFAULT NULL)
RETURNS change
LANGUAGE sql STABLE
AS $$
	SELECT ROW (p_ord, NULL, p_refusal,
		jsonb_strip_nulls(jsonb_build_object(
			'callback', CASE WHEN c.callback_id IS NOT NULL THEN image_callback(c, c.seq)::jsonb END,
			'offer', CASE WHEN o.offer_id IS NOT NULL THEN image_offer(o, o.seq)::jsonb END,
			'status', CASE WHEN s.agent_id IS NOT NULL THEN image_status(s, s.seq)::jsonb END)),
		NULL, NULL, NULL, NULL, NULL, NULL, NULL)::change
$$;

-- change_of: an event with the rows after it.
CREATE FUNCTION change_of(p_ord int, p_command uuid, p_kind text, p_agent int, c callback DEFAULT NULL, o offer DEFAULT NULL,
	a attempt DEFAULT NULL, s agent_status DEFAULT NULL, p_extra jsonb DEFAULT NULL) RETURNS change
LANGUAGE sql IMMUTABLE
AS $$ SELECT ROW (p_ord, p_command, NULL, NULL, p_kind, p_agent, p_extra, c, o, a, s)::change $$;
