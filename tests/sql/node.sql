-- node: heartbeats, leases that are free, held, renewed, passed and given back; what a node asks before it starts.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
BEGIN;
SET LOCAL search_path = callbackd, public;
SELECT plan(32);

DELETE FROM lease;
DELETE FROM node;
CREATE FUNCTION pg_temp.n(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT md5('node' || n)::uuid $$;
-- What a beat of node n says of the tests' two tenants: "node-a:t node-b:f alive"
CREATE FUNCTION pg_temp.beat(n int, lease_ms int DEFAULT 60000) RETURNS text LANGUAGE sql
AS $$
	SELECT string_agg(b.name || ':' || left(b.held::text, 1), ' ' ORDER BY b.name) FILTER (WHERE b.name LIKE 'node-_') || ' ' || max(b.alive)
	  FROM node_beat(pg_temp.n(n), 'node' || n, lease_ms) b
$$;
-- Time passes: everything of a node is over.
CREATE FUNCTION pg_temp.dies(n int) RETURNS SETOF text LANGUAGE sql
AS $$
	UPDATE node SET until = clock_timestamp() - interval '1 ms' WHERE node_id = pg_temp.n(n);
	UPDATE lease SET until = clock_timestamp() - interval '1 ms' WHERE node_id = pg_temp.n(n);
	SELECT ''::text WHERE false
$$;
CREATE FUNCTION pg_temp.holder(p_name text) RETURNS text LANGUAGE sql
AS $$ SELECT d.name FROM lease l JOIN tenant t USING (tenant_id) LEFT JOIN node d USING (node_id) WHERE t.name = p_name $$;
SELECT ok(tenant_create('node-a') < tenant_create('node-b'), 'two companies');

SELECT is(pg_temp.beat(1), 'node-a:t node-b:t 1', 'the first node takes what is free');
SELECT is(pg_temp.beat(2), 'node-a:f node-b:f 2', 'the second finds all held');
SELECT is(ARRAY[pg_temp.holder('node-a'), pg_temp.holder('node-b')], '{node1,node1}', 'as written');
CREATE TEMP TABLE before ON COMMIT DROP AS SELECT until FROM lease JOIN tenant USING (tenant_id) WHERE name = 'node-a';
SELECT is(pg_temp.beat(1), 'node-a:t node-b:t 2', 'a beat renews');
SELECT ok(l.until > b.until, 'which lasts longer') FROM before b, lease l JOIN tenant t USING (tenant_id) WHERE t.name = 'node-a';
SELECT ok(l.until BETWEEN clock_timestamp() + interval '50 s' AND clock_timestamp() + interval '60 s', 'as long as was said') FROM lease l JOIN tenant t USING (tenant_id) WHERE t.name = 'node-a';
SELECT is(count(*), 2::bigint, 'each node once') FROM node;
SELECT ok(abs(max(b.db_now) - ms(clock_timestamp())) < 5000, 'and brings the database''s time') FROM node_beat(pg_temp.n(2), 'node2', 60000) b;

-- Dead nodes.
SELECT pg_temp.dies(1);
SELECT is(pg_temp.beat(2), 'node-a:t node-b:t 1', 'another takes over from the dead');
SELECT is(array_agg(name), '{node2}', 'and clears it away') FROM node;
SELECT is(pg_temp.beat(1), 'node-a:f node-b:f 2', 'who comes back too late finds all held');
SELECT pg_temp.dies(2);
UPDATE lease SET until = clock_timestamp() + interval '1 min';
SELECT is(pg_temp.beat(1), 'node-a:f node-b:f 1', 'a lease lasts its time, though the node is gone');
UPDATE lease SET until = clock_timestamp() - interval '1 ms' FROM tenant t WHERE t.tenant_id = lease.tenant_id AND t.name = 'node-b';
SELECT is(pg_temp.beat(1), 'node-a:f node-b:t 1', 'each lease by itself');
SELECT is(pg_temp.beat(2), 'node-a:t node-b:f 2', 'and is still the old holder''s, if he wakes in time');
SELECT ok(tenant_create('node-c') > 0, 'a new company');
SELECT is(pg_temp.beat(2), 'node-a:t node-b:f node-c:t 2', 'is found by the next beat');

-- What is to be seen.
SELECT is(jsonb_path_query_array(load_nodes()::jsonb, '$[*].name'), '["node1", "node2"]', 'the nodes are shown');
SELECT is(x - ARRAY['started_at', 'until'], jsonb_build_object('id', pg_temp.n(2), 'name', 'node2', 'alive', true,
	'leases', (SELECT jsonb_agg(t.name ORDER BY t.name) FROM lease l JOIN tenant t USING (tenant_id) WHERE l.node_id = pg_temp.n(2))), 'with what they run')
  FROM jsonb_array_elements(load_nodes()::jsonb) x WHERE x ->> 'name' = 'node2';
SELECT ok(x -> 'leases' @> '["node-a", "node-c"]', 'by name') FROM jsonb_array_elements(load_nodes()::jsonb) x WHERE x ->> 'name' = 'node2';
SELECT pg_temp.dies(2);
SELECT is(x -> 'alive', 'false', 'a dead one until a beat clears it') FROM jsonb_array_elements(load_nodes()::jsonb) x WHERE x ->> 'name' = 'node2';
SELECT is(x -> 'leases', '[]', 'without leases') FROM jsonb_array_elements(load_nodes()::jsonb) x WHERE x ->> 'name' = 'node2';

-- Leaving.
SELECT is(pg_temp.beat(1), 'node-a:t node-b:t node-c:t 1', 'one runs all');
SELECT lives_ok(format('SELECT node_leave(%L)', pg_temp.n(1)), 'it leaves');
SELECT is(load_nodes(), '[]', 'nobody is there');
SELECT is(count(*), 0::bigint, 'nothing is held') FROM lease;
SELECT is(pg_temp.beat(2), 'node-a:t node-b:t node-c:t 1', 'the next takes over at once');

SELECT is((SELECT array_agg(p.proname::text ORDER BY p.proname) FROM pg_proc p WHERE p.pronamespace = 'callbackd'::regnamespace
	AND p.proname IN ('schema_check', 'node_beat', 'node_leave', 'submit', 'execute', 'load_model', 'load_due', 'load_future', 'load_elapsed', 'load_events',
		'load_details', 'load_callback', 'load_callbacks', 'load_credential', 'load_nodes', 'company_show', 'company_plan', 'tenant_create')),
	'{company_plan,company_show,execute,load_callback,load_callbacks,load_credential,load_details,load_due,load_elapsed,load_events,load_future,load_model,load_nodes,node_beat,node_leave,schema_check,submit,tenant_create}',
	'each function that the server calls is there once');
SELECT is(problem, NULL, 'nothing is wrong with this database') FROM schema_check();
SELECT is(version, (SELECT max(number) FROM upgrade), 'its version is the last upgrade''s') FROM schema_check();
SET LOCAL default_transaction_isolation = 'repeatable read';
SELECT ok(problem LIKE '%read committed%', 'but with another isolation there would be') FROM schema_check();
SET LOCAL default_transaction_isolation = 'read committed';
SET LOCAL session_replication_role = replica;
DELETE FROM tenant;
SELECT is(to_jsonb(b) - 'db_now', '{"tenant_id": null, "name": null, "held": false, "epoch": null, "alive": 2}', 'with no company at all: one row') FROM node_beat(pg_temp.n(3), 'node3', 60000) b;

SELECT * FROM finish();
ROLLBACK;
