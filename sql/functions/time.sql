-- time: between the server's milliseconds and timestamptz. Exact both ways: every time that the
-- server sends is a whole number of milliseconds. STABLE and not IMMUTABLE, like the operators in
-- them (extract, timestamptz + interval): otherwise PostgreSQL does not inline them (3.5 times slower).
CREATE FUNCTION ms(timestamptz) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE STRICT
AS $$ SELECT (extract(epoch FROM $1) * 1000)::bigint $$;

CREATE FUNCTION from_ms(bigint) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE STRICT
AS $$ SELECT timestamptz '1970-01-01 00:00:00+00' + $1 * interval '1 millisecond' $$;

CREATE FUNCTION seconds(int) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
AS $$ SELECT $1 * interval '1 second' $$;
