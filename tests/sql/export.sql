-- export: pages of callbacks by what they are like, and as lines for other programs.
\ir fixture/company.sql
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id) VALUES (fx.t(), 1, 'export', '', 0, 1);
SELECT fx.callback(n) FROM unnest('{a, b, c, d}'::text[]) n;
SELECT fx.callback('o', 'offered', '{1}'), fx.callback('h', 'ready_to_call', '{2}', 2), fx.callback('x', 'cancelled');
UPDATE callback SET form_id = 1, due_at = fx.ts(100) WHERE tenant_id = fx.t() AND callback_id IN (fx.id('a'), fx.id('b'));
SELECT fx.settle();
INSERT INTO contact (tenant_id, callback_id, phone, name, notes, case_information)
SELECT fx.t(), fx.id('a'), '+4930901820', '=1+1', E'one "two",\r\nthree', '{"car": "=red"}';
-- The names of those that a filter lets through.
CREATE FUNCTION fx.page(p_filter json) RETURNS text LANGUAGE sql STABLE
AS $$
	SELECT coalesce(string_agg(n, '' ORDER BY n), '') FROM unnest('{a, b, c, d, o, h, x}'::text[]) n
	 WHERE fx.id(n) IN (SELECT (l ->> 'id')::uuid FROM json_array_elements(load_callbacks(fx.t(), fx.ms(), p_filter)::json) l)
$$;
SELECT plan(27);

SELECT is(fx.page('{}'), 'abcdhox', 'all');
SELECT is(fx.page('{"open": true}'), 'abcdho', 'those that have not ended');
SELECT is(fx.page('{"form": 1}'), 'ab', 'of a form');
SELECT is(fx.page('{"queue": 2}'), 'h', 'of a queue');
SELECT is(fx.page('{"state": "queued"}'), 'cd', 'due');
SELECT is(fx.page('{"state": "scheduled"}'), 'ab', 'not due yet');
SELECT is(fx.page('{"state": "offered", "form": 1}'), '', 'in hand, of a form');
SELECT is(fx.page('{"agent": 2}'), 'h', 'in his hands');
SELECT is(fx.page(json_build_object('due_from', fx.ms(100))), 'ab', 'due from then on');
SELECT is(fx.page(json_build_object('due_to', fx.ms(100))), 'cdhox', 'due before');
SELECT is(fx.page(json_build_object('due_from', fx.ms(-60), 'due_to', fx.ms(-59), 'state', 'ready_to_call')), 'h', 'in hand, by time');
SELECT is(fx.page(json_build_object('ids', json_build_array(fx.id('x'), fx.id('c'), fx.id('nothing')))), 'cx', 'these');
SELECT is(fx.page(json_build_object('ids', json_build_array(fx.id('x'), fx.id('c')), 'limit', 1)), 'x', 'these, a page');
SELECT is(json_array_length(load_callbacks(fx.t(), fx.ms(), '{"limit": 3}')::json), 3, 'a page');
SELECT is(load_callbacks(fx.t() + 1, fx.ms(), json_build_object('ids', json_build_array(fx.id('a')))), '[]', 'nothing of another company''s');

SELECT is(csv_cell(NULL), '', 'nothing');
SELECT is(csv_cell('a b;c'), 'a b;c', 'a text');
SELECT is(csv_cell('a "b"'), '"a ""b"""', 'quotation marks');
SELECT is(csv_cell(E'a\nb,c'), E'"a\nb,c"', 'lines and commas');
SELECT is(string_agg(csv_cell(t), ' '), '''=1 ''+1a ''-1a ''@a ''+49', 'formulas') FROM unnest('{=1, +1a, -1a, @a, +49}'::text[]) t;
SELECT is(csv_cell(E'\t=1') || csv_cell(E'\r=1'), E'''\t=1"''\r=1"', 'what is a formula when blanks are cut off');
SELECT is(csv_cell('-12') || csv_cell('12'), '-1212', 'but numbers');
SELECT is(csv_cell('=HYPERLINK("http://x","y")'), '"''=HYPERLINK(""http://x"",""y"")"', 'both at once');

SELECT is((SELECT count(*)::int FROM load_export(fx.t(), fx.ms(), '{}', 'csv')), 8, 'a head and a line for each');
SELECT is((SELECT count(*)::int FROM load_export(fx.t(), fx.ms(), json_build_object('after', fx.id('a')), 'csv') l WHERE l.callback_id IS NULL), 0, 'a later page has no head');
SELECT ok(l.line LIKE '%,export,0,2026-09-21T14:11:20.000Z,2026-09-21T14:15:00.000Z,%,''+4930901820,''=1+1,,,,"one ""two"",' || E'\r\n' || 'three",,"{""car"": ""=red""}"' || E'\r\n',
	'a line: ' || l.line) FROM load_export(fx.t(), fx.ms(), '{"form": 1}', 'csv') l WHERE l.callback_id = fx.id('a');
SELECT is((SELECT jsonb_build_array(l.line::json ->> 'name', l.line::json ->> 'notes', l.line::json -> 'case_information' ->> 'car', l.line ~ E'^[^\n]*\n$')
	FROM load_export(fx.t(), fx.ms(), '{"form": 1}', 'ndjson') l WHERE l.callback_id = fx.id('a')),
	jsonb_build_array('=1+1', E'one "two",\r\nthree', '=red', true), 'one object a line, as it was typed');
SELECT * FROM finish();
ROLLBACK;
