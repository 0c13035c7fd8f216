-- may_touch: whether a command may touch what p_holder holds or is. An agent only his own; a contact nothing
-- (what he may do is said where it is done); the others anything in the tenant.
CREATE FUNCTION may_touch(p_role text, p_by int, p_holder int) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
	SELECT coalesce(p_role IN ('router', 'operator', 'supervisor', 'administrator')
		OR p_role = 'agent' AND p_by = p_holder, false)
$$;
