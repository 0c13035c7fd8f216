-- epoch: a log that is written elsewhere than before begins a new epoch, once; a restart begins none.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
BEGIN;
SET LOCAL search_path = callbackd, public;
SELECT plan(21);

SELECT ok(tenant_create('epoch-a') < tenant_create('epoch-b'), 'two companies');
CREATE TEMP TABLE t ON COMMIT DROP AS SELECT tenant_id, name FROM tenant WHERE name LIKE 'epoch-_';
CREATE FUNCTION pg_temp.epochs(p_name text) RETURNS int LANGUAGE sql
AS $$ SELECT count(*)::int FROM epoch JOIN t USING (tenant_id) WHERE name = p_name $$;
CREATE FUNCTION pg_temp.present(p_name text) RETURNS int LANGUAGE sql
AS $$ SELECT epoch FROM tenant WHERE name = p_name $$;
-- As a dump, a backup or a promoted standby finds it.
CREATE FUNCTION pg_temp.written_elsewhere(p_name text) RETURNS SETOF text LANGUAGE sql
AS $$
	UPDATE epoch SET origin = 'elsewhere' WHERE tenant_id = (SELECT tenant_id FROM t WHERE name = p_name);
	SELECT ''::text WHERE false
$$;

SELECT matches(log_origin(), '^[0-9]+/0000000[0-9A-F]/[0-9]+/[0-9]+$', 'cluster, timeline, database and table');
SELECT is(ARRAY[pg_temp.present('epoch-a'), pg_temp.present('epoch-b')], '{1,1}', 'the first epoch is 1');
SELECT is(ARRAY[pg_temp.epochs('epoch-a'), pg_temp.epochs('epoch-b')], '{1,1}', 'and written down');
SELECT is(epoch_settle(), (SELECT max(epoch) FROM tenant), 'at home nothing is to be done');
SELECT is(ARRAY[pg_temp.epochs('epoch-a'), pg_temp.epochs('epoch-b')], '{1,1}', 'as one sees');

INSERT INTO event (tenant_id, seq, at, kind, body) SELECT tenant_id, 7, clock_timestamp(), 'agent.changed', '{}' FROM t WHERE name = 'epoch-a';
SELECT pg_temp.written_elsewhere('epoch-a');
SELECT is(epoch_settle(), pg_temp.present('epoch-a'), 'the newest of all is the new one');
SELECT ok(abs(pg_temp.present('epoch-a') - extract(epoch FROM clock_timestamp() - timestamptz '2020-01-01Z')) < 60, 'its number is the time');
SELECT is(pg_temp.present('epoch-b'), 1, 'who stayed where he was keeps his');
SELECT is(after_seq, 7::bigint, 'it says what it took over') FROM epoch JOIN t USING (tenant_id) WHERE name = 'epoch-a' AND epoch > 1;
CREATE TEMP TABLE before ON COMMIT DROP AS SELECT pg_temp.present('epoch-a') AS epoch;
SELECT is(epoch_settle(), (SELECT epoch FROM before), 'a second look changes nothing');
SELECT is(pg_temp.epochs('epoch-a'), 2, 'nor writes anything');
SELECT pg_temp.written_elsewhere('epoch-a');
SELECT ok(epoch_settle() > (SELECT epoch FROM before), 'again elsewhere in the same second: another number');

-- a clock that went back, or an epoch of the future
UPDATE tenant SET epoch = 2000000000 WHERE name = 'epoch-b';
SELECT pg_temp.written_elsewhere('epoch-b');
SELECT is(epoch_settle(), 2000000001, 'never back');

DELETE FROM epoch WHERE tenant_id = (SELECT tenant_id FROM t WHERE name = 'epoch-b');
SELECT is(epoch_settle(), 2000000001, 'a company of before there were epochs');
SELECT is(pg_temp.epochs('epoch-b'), 1, 'has its present one written down');
SELECT is(pg_temp.present('epoch-b'), 2000000001, 'and not another');

-- a node has seen more than there is
CREATE TEMP TABLE longer ON COMMIT DROP AS SELECT tenant_id, epoch FROM tenant WHERE name = 'epoch-b';
SELECT lives_ok($$ SELECT epoch_shortened(tenant_id, epoch) FROM longer $$, 'it says so');
SELECT is(pg_temp.present('epoch-b'), 2000000002, 'and an epoch begins');
SELECT lives_ok($$ SELECT epoch_shortened(tenant_id, epoch) FROM longer $$, 'another node says it of the same epoch');
SELECT is(pg_temp.present('epoch-b'), 2000000002, 'which is over');
SELECT * FROM finish();
ROLLBACK;
