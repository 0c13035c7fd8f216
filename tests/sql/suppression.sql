-- suppression: numbers that are not called: what an entry matches and until when, what is wrong with one, and that it is
-- heeded before the offer and before the dial.
\ir fixture/company.sql
SELECT plan(39);

-- ---- what it matches ----
INSERT INTO suppression (tenant_id, prefix, reason, until, added_at) VALUES
	(fx.t(), '+4930', 'no Berlin', NULL, fx.ts()), (fx.t(), '+49301234', 'opted out', NULL, fx.ts()),
	(fx.t(), '+33', 'until morning', fx.ts(100), fx.ts());
SELECT is(suppressed(fx.t(), phone, fx.ts(at)), want, phone || ' at ' || at) FROM (VALUES
	('+49301234', 0, 'opted out'), ('+493012345', 0, 'opted out'), ('+4930123', 0, 'no Berlin'), ('+493', 0, NULL), ('+4931', 0, NULL),
	('+331', 99, 'until morning'), ('+331', 100, NULL), ('+34', 0, NULL), (NULL, 0, NULL)) c(phone, at, want);
INSERT INTO tenant (name, label) VALUES ('suppression-other', 'Other');
SELECT is(suppressed((SELECT tenant_id FROM tenant WHERE name = 'suppression-other'), '+49301234', fx.ts()), NULL, 'another company''s are not heeded');
DELETE FROM suppression WHERE tenant_id = fx.t();

-- ---- commands ----
CREATE FUNCTION pg_temp.tell(p_kind text, p_args jsonb, p_role text DEFAULT 'administrator', p_by int DEFAULT NULL) RETURNS TABLE (what text, kind text, body jsonb) LANGUAGE sql VOLATILE
AS $$ SELECT x.what, x.kind, x.body::jsonb FROM execute(fx.t(), fx.ms(1), jsonb_build_array(jsonb_build_object('id', gen_random_uuid(), 'kind', p_kind, 'role', p_role, 'by', p_by, 'args', p_args))) x WHERE x.ord = 0 $$;
SELECT is(kind || ' ' || body::text, 'suppression.added {"suppression": {"by": 2, "reason": "opted out", "until_at": null}}', 'added; the event names no number')
  FROM pg_temp.tell('suppress', '{"number": "+49301111", "reason": "opted out"}', 'supervisor', 2);
SELECT is(kind, 'suppression.added', 'again is a change') FROM pg_temp.tell('suppress', jsonb_build_object('number', '+49301111', 'reason', 'asked twice', 'until', fx.ms(1000)));
SELECT is(load_suppressions(fx.t(), 0, 10)::jsonb, jsonb_build_array(jsonb_build_object('number', '+49301111', 'reason', 'asked twice', 'until_at', fx.ms(1000), 'added_at', fx.ms(1))), 'listed');
SELECT is(load_suppressions(fx.t(), 1, 10), '[]', 'after it there is none');
SELECT is(count(*), 0::bigint, 'no event has it') FROM event WHERE tenant_id = fx.t() AND body LIKE '%301111%';
SELECT is(kind, 'not_found', role || ' may not') FROM unnest('{agent,contact,router}'::text[]) role CROSS JOIN LATERAL pg_temp.tell('suppress', '{"number": "+1", "reason": "x"}', role);
SELECT is(kind || ' ' || (SELECT string_agg(e ->> 'field', ' ') FROM jsonb_array_elements(body -> 'errors') e), 'invalid ' || want, args::text)
  FROM (VALUES ('{}'::jsonb, 'number reason'), ('{"number": "4930", "reason": ""}', 'number reason'), ('{"number": "+4930x", "reason": "x", "until": "soon"}', 'number until'),
	('{"number": "+49301234567890123", "reason": "x", "until": 5}', 'number until'), (jsonb_build_object('number', '+49', 'reason', repeat('x', 201)), 'reason'),
	('{"number": "+49", "reason": "x", "until": 99999999999999999999}', 'until')) c(args, want)
 CROSS JOIN LATERAL pg_temp.tell('suppress', args);
SELECT is(kind, 'not_found', 'one that is not there cannot be ended') FROM pg_temp.tell('unsuppress', '{"number": "+4930"}');
SELECT is(kind, 'suppression.removed', 'ended') FROM pg_temp.tell('unsuppress', '{"number": "+49301111"}');
SELECT is(load_suppressions(fx.t(), 0, 10), '[]', 'gone');

-- ---- before the offer ----
CREATE FUNCTION pg_temp.contact(p_callback text, p_phone text) RETURNS uuid LANGUAGE sql VOLATILE
AS $$ SELECT fx.callback(p_callback); INSERT INTO contact (tenant_id, callback_id, phone) VALUES (fx.t(), fx.id(p_callback), p_phone) RETURNING callback_id $$;
SELECT pg_temp.contact('good', '+4930222'), pg_temp.contact('bad', '+4940333'), pg_temp.contact('held', '+4950444');
INSERT INTO suppression (tenant_id, prefix, reason, until, added_at) VALUES (fx.t(), '+4940', 'no Hamburg', NULL, fx.ts()), (fx.t(), '+4930222', 'for a while', fx.ts(1), fx.ts());
SELECT is(fx.does(2, 'offer', 'bad', v => fx.v('bad'), "to" => fx.to('bad', 1)), 'ok', 'what may not be called is not offered');
SELECT is(fx.did(), 'callback.failed', 'it has failed');
SELECT is(jsonb_build_array(fx.body() #>> '{callback,state}', fx.body() #>> '{callback,reason}', fx.body() #>> '{suppression,reason}'), '["failed", "suppressed", "no Hamburg"]', 'and says why');
SELECT is(count(*), 0::bigint, 'nobody was asked') FROM offer WHERE tenant_id = fx.t();
SELECT is(fx.does(2, 'offer', 'good', v => fx.v('good'), "to" => fx.to('good', 1)), 'ok', 'an entry that is over');
SELECT is(fx.did(), 'offer.created:1', 'is none');

-- ---- before the dial ----
SELECT is(fx.does(3, 'offer', 'held', v => fx.v('held'), "to" => fx.to('held', 2)), 'ok', 'offered');
SELECT is(fx.does(3, 'accept', o => 'held/2', by => 2), 'ok', 'accepted');
INSERT INTO suppression (tenant_id, prefix, reason, until, added_at) VALUES (fx.t(), '+4950444', 'opted out meanwhile', NULL, fx.ts());
SELECT is(fx.does(4, 'call', 'held', v => fx.v('held'), by => 2), 'suppressed', 'then it may not be called any more: it is not dialled');
SELECT is((fx.c('held')).state, 'ready_to_call', 'and stays as it is');
DELETE FROM suppression WHERE tenant_id = fx.t() AND prefix = '+4950444';
SELECT is(fx.does(5, 'call', 'held', v => fx.v('held'), by => 2), 'ok', 'and again it may');
SELECT is(fx.broken(), '', 'nothing is broken');
SELECT * FROM finish();
ROLLBACK;
