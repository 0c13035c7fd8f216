-- secrets: the keys that sign links: a new one beside the old ones, the end of one, and who may.
\ir fixture/company.sql
CREATE FUNCTION fx.secrets() RETURNS text LANGUAGE sql STABLE
AS $$ SELECT string_agg((image::jsonb ->> 'id') || CASE WHEN image::jsonb -> 'newest' = 'true' THEN '!' ELSE '' END, ' ')
	FROM load_secrets(fx.t()) $$;
CREATE FUNCTION fx.secret(n int) RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT jsonb_build_object('secret', n) $$;
SELECT plan(22);

SELECT is(fx.does(1, 'secret_create', role => 'operator', args => '{"purpose": "link"}', id => 'one'), 'ok', 'the first');
SELECT is(fx.secrets(), '1!', 'signs');
SELECT is(fx.does(2, 'secret_create', by => 4, role => 'administrator', args => '{"purpose": "link"}', id => 'two'), 'ok', 'another');
SELECT is(fx.did(), 'secret.created', 'is told');
SELECT is(fx.body(), jsonb_build_object('secret', jsonb_build_object('id', 2, 'purpose', 'link', 'by', 4, 'created_at', fx.ms(2))), 'which, but not its value');
SELECT is(fx.secrets(), '1 2!', 'the newest signs');
SELECT is(fx.does(2, 'secret_create', by => 4, role => 'administrator', args => '{"purpose": "link"}', id => 'two'), 'ok', 'the same command again');
SELECT is(fx.secrets(), '1 2!', 'makes no third');
SELECT is(count(DISTINCT value), 2::bigint, 'two values') FROM secret WHERE tenant_id = fx.t();
SELECT is(fx.does(3, 'secret_create', role => 'operator', args => '{"purpose": "tea"}'), 'not_found', 'for nothing else');
SELECT is(fx.does(3, 'secret_create', by => 7, role => r, args => '{"purpose": "link"}'), 'not_found', r || ' may not')
  FROM unnest('{agent,supervisor,contact,router}'::text[]) r;
SELECT is(fx.does(4, 'secret_retire', role => 'operator', args => fx.secret(2)), 'secret_in_use', 'the newest stays');
SELECT is(fx.does(4, 'secret_retire', role => 'operator', args => fx.secret(9)), 'not_found', 'an unknown one');
SELECT is(fx.does(4, 'secret_retire', by => 7, role => 'supervisor', args => fx.secret(1)), 'not_found', 'a supervisor may not');
SELECT is(fx.does(5, 'secret_retire', by => 4, role => 'administrator', args => fx.secret(1)), 'ok', 'the old one ends');
SELECT is(fx.did(), 'secret.retired', 'is told');
SELECT is(fx.secrets(), '2!', 'and is gone');

INSERT INTO secret SELECT fx.t(), n, 'link', sha256(n::text::bytea), fx.ts(5) FROM generate_series(3, 101) n;
SELECT is(fx.does(6, 'secret_create', role => 'operator', args => '{"purpose": "link"}'), 'too_many_secrets', 'a hundred are enough');
SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
