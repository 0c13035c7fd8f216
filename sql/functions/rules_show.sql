-- rules_show: a version with its rules, as text; p_version NULL: the published one, which may be version 0 without any.
-- NULL: there is no such version.
CREATE FUNCTION rules_show(p_tenant int, p_version int) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	s rule_set;
BEGIN
	IF p_version IS NULL THEN
		SELECT * INTO s FROM rules_set(p_tenant);
	ELSE
		SELECT * INTO s FROM rule_set v WHERE v.tenant_id = p_tenant AND v.version = p_version;
	END IF;
	IF s.version IS NOT NULL THEN
		RETURN rules_image(s) || (s.document - 'comment');
	ELSIF coalesce(p_version, 0) = 0 THEN
		RETURN '{"version": 0, "count": 0, "rules": []}';
	END IF;
	RETURN NULL;
END
$$;

-- rules_versions: the newest 500 versions without their rules, newest first, as text: a JSON array.
CREATE FUNCTION rules_versions(p_tenant int) RETURNS text
LANGUAGE sql STABLE
AS $$
	SELECT coalesce(jsonb_agg(v.image ORDER BY v.version DESC), '[]')::text
	  FROM (SELECT s.version, rules_image(s) AS image FROM rule_set s WHERE s.tenant_id = p_tenant ORDER BY s.version DESC LIMIT 500) v
$$;

-- rules_plan: what is wrong with a draft, as text; see rules_report().
CREATE FUNCTION rules_plan(p_tenant int, p_document json) RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT rules_report(p_tenant, p_document::jsonb)::text $$;
