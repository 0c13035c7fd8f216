-- row: one row by its key, or none. Where a batch is joined to a table, it is by these. Inlined they are LATERAL ...
-- LIMIT 1, which the planner cannot turn around: it has to be one search of the index for each element. Written as a
-- plain join, a plan that was made while the table was empty, and kept, reads all of it ever after (20 ms a command
-- instead of 0.1 at 100,000 rows); a plan for each batch, to be safe from that, costs more than the batch.
-- STABLE, or they are not inlined.
CREATE FUNCTION callback_row(p_tenant int, p_id uuid) RETURNS SETOF callback
LANGUAGE sql STABLE
AS $$ SELECT * FROM callback WHERE tenant_id = p_tenant AND callback_id = p_id LIMIT 1 $$;

CREATE FUNCTION offer_row(p_tenant int, p_id uuid) RETURNS SETOF offer
LANGUAGE sql STABLE
AS $$ SELECT * FROM offer WHERE tenant_id = p_tenant AND offer_id = p_id LIMIT 1 $$;

CREATE FUNCTION attempt_row(p_tenant int, p_id uuid) RETURNS SETOF attempt
LANGUAGE sql STABLE
AS $$ SELECT * FROM attempt WHERE tenant_id = p_tenant AND attempt_id = p_id LIMIT 1 $$;

CREATE FUNCTION agent_row(p_tenant int, p_id int) RETURNS SETOF agent
LANGUAGE sql STABLE
AS $$ SELECT * FROM agent WHERE tenant_id = p_tenant AND agent_id = p_id LIMIT 1 $$;

CREATE FUNCTION status_row(p_tenant int, p_id int) RETURNS SETOF agent_status
LANGUAGE sql STABLE
AS $$ SELECT * FROM agent_status WHERE tenant_id = p_tenant AND agent_id = p_id LIMIT 1 $$;

CREATE FUNCTION queue_row(p_tenant int, p_id int) RETURNS SETOF queue
LANGUAGE sql STABLE
AS $$ SELECT * FROM queue WHERE tenant_id = p_tenant AND queue_id = p_id LIMIT 1 $$;
