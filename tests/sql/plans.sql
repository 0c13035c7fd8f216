-- plans: plans that a connection makes for an empty database and keeps: they must do for a full one that nobody has looked
-- at yet (no ANALYZE). Counted is what is read, not time: rows fetched and index entries returned by the statements of
-- this transaction. A plan that walks a table reads all of its 5,000 rows.
\ir fixture/company.sql
SELECT plan(31);

-- Everything that has been read so far in this transaction, by table or index of the schema.
CREATE FUNCTION fx.read_so_far() RETURNS bigint LANGUAGE sql VOLATILE
AS $$
	SELECT sum(pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid))::bigint
	  FROM pg_class c WHERE c.relnamespace = 'callbackd'::regnamespace AND c.relkind IN ('r', 'i')
$$;
CREATE TABLE fx.reads (what text PRIMARY KEY, before bigint, n bigint);
-- What a callback goes through, with one command of each kind at a time, and what was read for each.
CREATE PROCEDURE fx.read_by(p_what text, p_do text) LANGUAGE plpgsql
AS $$
DECLARE
	v_before bigint := fx.read_so_far();
BEGIN
	EXECUTE p_do;
	INSERT INTO fx.reads VALUES (p_what, NULL, fx.read_so_far() - v_before)
		ON CONFLICT (what) DO UPDATE SET before = reads.n, n = excluded.n;
END
$$;
-- submit() of one, as JSON; :n makes it another number
CREATE FUNCTION fx.form(p_n int) RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_array(jsonb_build_object('id', fx.id('form ' || p_n), 'form', 1, 'phone', '+4930' || p_n, 'key', 'key ' || p_n, 'fingerprint', '00')) $$;
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, time_zone, horizon_s) VALUES (fx.t(), 1, 'plans', '', 0, 1, 'Europe/Berlin', 31536000);

CREATE FUNCTION fx.three() RETURNS jsonb LANGUAGE sql
AS $$
	SELECT jsonb_build_object('document', jsonb_build_object('rules', jsonb_agg(jsonb_build_object('name', 'r' || n, 'if', format('$.case.a == "%s"', n),
		'then', jsonb_build_object('priority', n))))) FROM generate_series(1, 3) n
$$;

CREATE PROCEDURE fx.life(p_name text, p_n int) LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM fx.callback(p_name), fx.callback(p_name || ' 2'), fx.callback(p_name || ' 5');
	CALL fx.read_by('submit', format('SELECT FROM submit(fx.t(), fx.ms(1), fx.form(%s))', p_n));
	CALL fx.read_by('publish rules', format('SELECT fx.does(1, ''rules_publish'', role => ''operator'', args => %L)', fx.three()));
	CALL fx.read_by('submit by rules', format('SELECT FROM submit(fx.t(), fx.ms(1), %L)', jsonb_set(fx.form(p_n + 1), '{0,case}', '{"a": "2"}')));
	CALL fx.read_by('show rules', 'SELECT rules_show(fx.t(), NULL)');
	CALL fx.read_by('try rules', 'SELECT rules_try(fx.t(), ''{"request": {"form": "plans", "case": {"a": "3"}}}'')');
	CALL fx.read_by('submit again', format('SELECT FROM submit(fx.t(), fx.ms(1), fx.form(%s))', p_n));
	CALL fx.read_by('offer', format('SELECT fx.does(2, ''offer'', %L, v => fx.v(%L), "to" => fx.to(%L, 1))', p_name, p_name, p_name));
	CALL fx.read_by('reject', format('SELECT fx.does(3, ''reject'', o => %L, by => 1)', p_name || '/1'));
	CALL fx.read_by('offer to another', format('SELECT fx.does(4, ''offer'', %L, v => fx.v(%L), "to" => fx.to(%L, 2))', p_name, p_name, p_name));
	CALL fx.read_by('accept', format('SELECT fx.does(5, ''accept'', o => %L, by => 2)', p_name || '/2'));
	CALL fx.read_by('call', format('SELECT fx.does(6, ''call'', %L, by => 2, v => fx.v(%L), id => %L)', p_name, p_name, p_name || '#1'));
	CALL fx.read_by('connected', format('SELECT fx.does(7, ''connected'', a => %L, by => 2)', p_name || '#1'));
	CALL fx.read_by('ended', format('SELECT fx.does(8, ''ended'', a => %L, by => 2)', p_name || '#1'));
	CALL fx.read_by('done', format('SELECT fx.does(9, ''done'', %L, by => 2, v => fx.v(%L), args => ''{"disposition": "sold"}'')', p_name, p_name));
	CALL fx.read_by('reschedule', format('SELECT fx.does(10, ''reschedule'', %L, v => fx.v(%L), args => ''{"at": 1790000600000}'')', p_name || ' 2', p_name || ' 2'));
	UPDATE callback SET widen_after_s = 1, widen_at = fx.ts(1) WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name || ' 5');
	CALL fx.read_by('elapsed', 'SELECT load_elapsed(fx.t(), fx.ms(10), 10)');
	CALL fx.read_by('widen', format('SELECT fx.does(10, ''widen'', %L, v => fx.v(%L))', p_name || ' 5', p_name || ' 5'));
	CALL fx.read_by('cancel', format('SELECT fx.does(10, ''cancel'', %L, v => fx.v(%L))', p_name || ' 2', p_name || ' 2'));
	PERFORM fx.callback(p_name || ' 3', 'ready_to_call', '{3}'), fx.callback(p_name || ' 4', 'ready_to_call', '{4}');
	INSERT INTO contact (tenant_id, callback_id, phone) VALUES (fx.t(), fx.id(p_name || ' 3'), '+4950' || p_n), (fx.t(), fx.id(p_name || ' 4'), '+4950' || p_n);
	CALL fx.read_by('done again', format('SELECT fx.does(10, ''done'', %L, v => fx.v(%L), args => ''{"disposition": "again"}'')', p_name || ' 3', p_name || ' 3'));
	CALL fx.read_by('retry', format('SELECT fx.does(10, ''retry'', %L, v => fx.v(%L), args => ''{"in_s": 60}'')', p_name || ' 4', p_name || ' 4'));
	CALL fx.read_by('ready', 'SELECT fx.does(11, ''ready'', agent => 2, role => ''supervisor'')');
	CALL fx.read_by('sign in', format('SELECT fx.does(11, ''sign_in'', agent => 7, args => ''{"token_hash": "%s", "expires_at": 1999999999999}'')',
		encode(sha256(p_name::bytea), 'hex')));
	CALL fx.read_by('desk', 'SELECT fx.does(11, ''connect'', agent => 7, args => jsonb_build_object(''node'', fx.id(''n1'')))');
	CALL fx.read_by('desk lost', 'SELECT fx.does(11, ''disconnect'', agent => 7, args => jsonb_build_object(''node'', fx.id(''n1'')))');
	CALL fx.read_by('agent lost', 'SELECT fx.does(100, ''agent_lost'', agent => 7)');
	CALL fx.read_by('sign out', 'SELECT fx.does(100, ''sign_out'', agent => 7, role => ''supervisor'')');
	CALL fx.read_by('details', format('SELECT FROM load_details(fx.t(), json_build_array(fx.id(%L)))', 'form ' || p_n));
	CALL fx.read_by('page', 'SELECT load_callbacks(fx.t(), fx.ms(12), ''{"limit": 10}'')');
END
$$;
UPDATE queue SET attempts_per_day = 2, widen = '[{"after_s": 1, "priority": 1}]' WHERE tenant_id = fx.t();
CALL fx.life('empty', 100);
SELECT is(array_agg(l.refusal), '{NULL}', 'a life, from the form to the end') FROM fx.last l;

-- 5,000 of everything, straight into the tables, with numbers that nobody else has.
INSERT INTO callback SELECT (c).* FROM (SELECT jsonb_populate_record(x, jsonb_build_object('callback_id', fx.id('bulk ' || n), 'seq', 1000000 + n)) AS c
  FROM callback x, generate_series(1, 5000) n WHERE x.tenant_id = fx.t() AND x.callback_id = fx.id('form 100') OFFSET 0) y;
INSERT INTO contact (tenant_id, callback_id, phone) SELECT fx.t(), fx.id('bulk ' || n), '+4940' || n FROM generate_series(1, 5000) n;
INSERT INTO idempotency_key SELECT fx.t(), 1, 'bulk ' || n, '\x00', fx.id('bulk ' || n), fx.ts() FROM generate_series(1, 5000) n;
INSERT INTO event (tenant_id, seq, at, kind, command_id, callback_id, body)
SELECT fx.t(), fx.head() + n, fx.ts(10), 'callback.scheduled', fx.id('command ' || n), fx.id('bulk ' || n), '{}' FROM generate_series(1, 5000) n;
INSERT INTO offer SELECT fx.t(), fx.id('offer ' || n), 1, fx.id('bulk ' || n), n, 'rejected', fx.ts(), fx.ts(1), fx.ts(1), NULL FROM generate_series(1, 5000) n;
INSERT INTO attempt SELECT fx.t(), fx.id('attempt ' || n), 1, fx.id('bulk ' || n), 1, 1, 'busy', fx.ts(), NULL, fx.ts(1) FROM generate_series(1, 5000) n;
INSERT INTO agent_status SELECT fx.t(), 1000 + n, 1, 'ready', NULL, fx.ts(), fx.ts() FROM generate_series(1, 5000) n;
INSERT INTO session SELECT fx.t(), sha256(n::text::bytea), 1000 + n, fx.ts(), fx.ts(99999) FROM generate_series(1, 5000) n;
-- as if other versions were kept, too, and other rules were there
INSERT INTO rule_set SELECT (s).* FROM (SELECT jsonb_populate_record(x, jsonb_build_object('version', 10 + n)) AS s
  FROM rule_set x, generate_series(1, 5000) n WHERE x.tenant_id = fx.t() AND x.version = 1 OFFSET 0) y;
INSERT INTO tenant (name, label) VALUES ('fixture-other', 'Other');
INSERT INTO rule SELECT (r).* FROM (SELECT jsonb_populate_record(x, jsonb_build_object('ord', n, 'tenant_id', (SELECT tenant_id FROM tenant WHERE name = 'fixture-other'))) AS r
  FROM rule x, generate_series(1, 5000) n WHERE x.tenant_id = fx.t() AND x.ord = 1 OFFSET 0) y;
CALL fx.life('full', 200);
SELECT is((fx.c('form 201')).rule, 2, 'the second rule placed it');
SELECT is(count(*), 28::bigint, 'the same life again') FROM fx.reads WHERE before IS NOT NULL;
SELECT cmp_ok(n, '<', 200::bigint, format('%s: %s rows and index entries read, %s while all was empty', what, n, before)) FROM fx.reads
 ORDER BY what;
SELECT * FROM finish();
ROLLBACK;
