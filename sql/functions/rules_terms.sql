-- rules_terms: which rules can match a request at all, without trying each: with 200 rules, trying would cost more than
-- everything else that intake does. A predicate like $.case.product == "loan" && ... needs a request that says so, and
-- such a rule is looked up by that (path 'case.product', value 'loan'). Only what is certain counts: the look-up gives a
-- superset, and what it gives is still tried.

-- rules_bones: a jsonpath as PostgreSQL writes it (quoted keys, parentheses around everything), with empty texts, so that
-- no word within one is taken for the language's.
CREATE FUNCTION rules_bones(p_predicate jsonpath) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$ SELECT regexp_replace(p_predicate::text, '"(?:[^"\\]|\\.)*"', '""', 'g') $$;

-- rules_terms: the equalities with a text that a predicate needs. None of strict paths, where a list is not each of its
-- elements; none when something stands between the equality and the whole: or, not, is unknown, a filter, the type of a
-- condition. Texts are short, because they are in an index (and not by {0,200}: that is slow by itself).
CREATE FUNCTION rules_terms(p_predicate jsonpath) RETURNS TABLE (path text, value text)
LANGUAGE sql IMMUTABLE
AS $$
	SELECT DISTINCT CASE WHEN t.m[2] IS NULL THEN concat('case.', t.m[1]) ELSE t.m[2] END, t.m[3]
	  FROM regexp_matches(p_predicate::text, '[( ]\$\.(?:"case"\."([^"\\]+)"|"(form|language|subject|region|number_type|time_zone)")'
			' == "([^"\\]*)"(?=[) ])', 'g') t(m)
	 WHERE p_predicate::text !~ '^strict '
	   AND char_length(concat(t.m[1], t.m[3])) <= 200
   AND rules_bones(p_predicate) !~ '\|\||!\(|is unknown|\?|\)[.[]'
$$;

-- rules_said: what a request says at those paths: each of these look-ups may find a rule, and so may '' and ''. A list is
-- each of its texts, as it is to a path that is not strict.
CREATE FUNCTION rules_said(p_paths text[], p_request jsonb) RETURNS TABLE (path text, value text)
LANGUAGE sql STABLE
AS $$
	SELECT '', ''
	 UNION ALL
	SELECT s.path, s.said #>> '{}'
	  FROM (SELECT p.path, CASE WHEN p.path LIKE 'case.%' THEN p_request -> 'case' -> substr(p.path, 6) ELSE p_request -> p.path END AS said
		  FROM unnest(p_paths) p(path)) s
	 WHERE jsonb_typeof(s.said) = 'string'
	 UNION ALL
	SELECT s.path, e.value #>> '{}'
	  FROM (SELECT p.path, p_request -> 'case' -> substr(p.path, 6) AS said FROM unnest(p_paths) p(path) WHERE p.path LIKE 'case.%') s
	 CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(s.said) = 'array' THEN s.said ELSE '[]' END) e(value)
	 WHERE jsonb_typeof(s.said) = 'array' AND jsonb_typeof(e.value) = 'string'
$$;
