-- outcome_counts: whether an attempt that ended like this (or is still under way) is one of the contact's. Those that
-- failed for our own reasons, or that the agent broke off, are not: neither callback.attempts, nor the queue's
-- attempts_per_day, nor its retry matrix knows of them.
CREATE FUNCTION outcome_counts(p_outcome text) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$ SELECT p_outcome NOT IN ('trunk_failed', 'pbx_lost', 'agent_offline', 'cancelled') $$;

-- retry_outcomes: the outcomes that a queue's retry matrix may name: those that count, but for a number that does not
-- exist: that is never tried again.
CREATE FUNCTION retry_outcomes() RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$ SELECT '{busy,no_answer,declined,machine,unreachable,failed,answered}'::text[] $$;

-- retry_reasons: why a callback that should be tried again has failed instead; see retry_rule().
CREATE FUNCTION retry_reasons() RETURNS text[]
LANGUAGE sql IMMUTABLE
AS $$
	SELECT '{invalid_number,max_attempts,not_callable}'
		|| ARRAY(SELECT p.prefix || o.outcome FROM unnest('{stop_,max_attempts_}'::text[]) p(prefix), unnest(retry_outcomes()) o(outcome))
$$;
