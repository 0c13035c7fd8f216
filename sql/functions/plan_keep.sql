-- plan_keep: lets the plans of the function that calls it be kept for the connection's life, if the tables have
-- statistics of some size. Before, a plan is made for every statement (1 ms a run): one that was made for empty
-- tables finds a row by tenant alone, and reads a hundred thousand until the next ANALYZE drops it, a minute later
-- or more (20 ms a command instead of 0.1). The caller must have SET plan_cache_mode = force_custom_plan, which
-- ends this with it.
CREATE FUNCTION plan_keep() RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF (SELECT min(c.reltuples) FROM pg_class c
	     WHERE c.oid IN ('callback'::regclass, 'event'::regclass, 'offer'::regclass, 'attempt'::regclass)) >= 1000 THEN
		PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
	END IF;
END
$$;
