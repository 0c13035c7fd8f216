-- submit: what is taken, what is refused and why; keys, resends, duplicates of numbers; the images; the log.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
BEGIN;
SET LOCAL search_path = callbackd, public;
SELECT plan(80);

-- A company of its own. It is 2026-05-28 20:26:40 UTC, 22:26:40 in Berlin.
\set t0 1780000000000
INSERT INTO tenant (name, label) VALUES ('submit-test', 'Submit'), ('submit-other', 'Other');
CREATE FUNCTION pg_temp.tenant() RETURNS int LANGUAGE sql STABLE AS $$ SELECT tenant_id FROM tenant WHERE name = 'submit-test' $$;
INSERT INTO queue (tenant_id, queue_id, name, label, version, priority, promise_window_s)
VALUES (pg_temp.tenant(), 1, 'sales', 'Sales', 1, 5, 3600), (pg_temp.tenant(), 2, 'support', 'Support', 1, 0, 0);
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id, time_zone, duplicates, priority, skills, consent_text, removed, horizon_s)
VALUES (pg_temp.tenant(), 1, 'submit-link', '', 1, 1, 'Europe/Berlin', 'link', NULL, '{}', 'You may call me', false, 2592000),
	(pg_temp.tenant(), 2, 'submit-allow', '', 1, 1, 'Europe/Berlin', 'allow', 7, '{}', '', false, 2592000),
	(pg_temp.tenant(), 3, 'submit-skills', '', 1, 2, 'UTC', 'link', NULL, '{"1": 3}', '', false, 31536000),
	(pg_temp.tenant(), 4, 'submit-removed', '', 1, 1, 'UTC', 'link', NULL, '{}', '', true, 2592000),
	(pg_temp.tenant(), 5, 'submit-lost', '', 1, 1, 'Mars/Phobos', 'link', NULL, '{}', '', false, 2592000);

CREATE TEMP TABLE got (batch int, what text, ord int, seq bigint, at bigint, kind text, agent_id int, body jsonb) ON COMMIT DROP;
CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql
AS $$ SELECT ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION pg_temp.el(n int, phone text, more jsonb DEFAULT '{}', form int DEFAULT 1) RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_object('id', pg_temp.id(n), 'form', form, 'phone', phone) || more $$;
CREATE FUNCTION pg_temp.key(key text, print text) RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_object('key', key, 'fingerprint', encode(sha256(print::bytea), 'hex')) $$;
-- Sends a batch; the answers and events go to got.
CREATE FUNCTION pg_temp.send(p_batch int, p_now bigint, VARIADIC p_elements jsonb[]) RETURNS SETOF text LANGUAGE sql
AS $$
	INSERT INTO got SELECT p_batch, s.what, s.ord, s.seq, s.at, s.kind, s.agent_id, s.body::jsonb
	  FROM submit(pg_temp.tenant(), p_now, to_jsonb(p_elements)) s;
	SELECT ''::text WHERE false;
$$;
CREATE FUNCTION pg_temp.answer(p_batch int, p_ord int) RETURNS jsonb LANGUAGE sql
AS $$ SELECT body FROM got WHERE batch = p_batch AND ord = p_ord $$;
-- The refusals of a batch, NULL where taken.
CREATE FUNCTION pg_temp.refusals(p_batch int) RETURNS text[] LANGUAGE sql
AS $$ SELECT array_agg(CASE what WHEN 'answer' THEN kind END ORDER BY ord) FROM got WHERE batch = p_batch AND ord IS NOT NULL $$;
CREATE FUNCTION pg_temp.errors(p_batch int, p_ord int) RETURNS text LANGUAGE sql
AS $$ SELECT string_agg(e ->> 'field', ' ' ORDER BY n) FROM jsonb_array_elements(pg_temp.answer(p_batch, p_ord) -> 'errors') WITH ORDINALITY x(e, n) $$;
CREATE FUNCTION pg_temp.cb(n int) RETURNS callback LANGUAGE sql
AS $$ SELECT c FROM callback c WHERE c.tenant_id = pg_temp.tenant() AND c.callback_id = pg_temp.id(n) $$;
-- The number of the callback that it is linked to.
CREATE FUNCTION pg_temp.leader(n int) RETURNS int LANGUAGE sql
AS $$ SELECT right((pg_temp.cb(n)).linked_to::text, 12)::int $$;

-- One, with everything.
SELECT pg_temp.send(1, :t0, pg_temp.el(1, '+4930111', '{"name": "Jane Public", "email": "jane@example.org", "subject": "A loan", "language": "de",
	"notes": "after lunch", "case": {"amount": "1000"}, "consent": true, "address": "192.0.2.7"}'));
SELECT is(array_agg(kind ORDER BY seq), '{class.created,callback.scheduled}', 'the first of its class: two events') FROM got WHERE batch = 1 AND what = 'event';
SELECT is(array_agg(seq ORDER BY seq), '{1,2}', 'numbered from 1') FROM got WHERE batch = 1 AND what = 'event';
SELECT is(body, '{"class": {"id": 1, "queue": 1, "skills": {}}}', 'the class') FROM got WHERE batch = 1 AND kind = 'class.created';
SELECT is(body, jsonb_build_object('callback', jsonb_build_object('id', pg_temp.id(1), 'seq', 2, 'state', 'scheduled', 'queue', 1, 'class', 1,
	'form', 1, 'priority', 5, 'created_at', :t0, 'due_at', :t0, 'promise_at', :t0, 'promise_local', '2026-05-28T22:26:40',
	'promise_zone', 'Europe/Berlin', 'expires_at', :t0 + 3600000, 'attempts', 0, 'offers', 0), 'when_note', 'as_asked'), 'the image: as soon as possible')
  FROM got WHERE batch = 1 AND kind = 'callback.scheduled';
SELECT is(seq, 2::bigint, 'which is the answer, too') FROM got WHERE batch = 1 AND ord = 0;
SELECT is(image_callback(c, c.seq)::jsonb, pg_temp.answer(1, 0) -> 'callback', 'the row is what the image says') FROM pg_temp.cb(1) c;
SELECT results_eq(format('SELECT kind, ms(at), command_id, callback_id, body::jsonb FROM event WHERE tenant_id = %s ORDER BY seq', pg_temp.tenant()),
	'SELECT kind, at, NULL::uuid, CASE WHEN seq = 2 THEN pg_temp.id(1) END, body FROM got WHERE batch = 1 AND what = ''event'' ORDER BY seq',
	'the log holds what was returned');
SELECT is(to_jsonb(k) - 'tenant_id' - 'callback_id', '{"phone": "+4930111", "name": "Jane Public", "email": "jane@example.org", "subject": "A loan",
	"language": "de", "notes": "after lunch", "case_information": {"amount": "1000"}, "consent": true, "consent_text": "You may call me",
	"address": "192.0.2.7", "erased_at": null}', 'the contact') FROM contact k WHERE callback_id = pg_temp.id(1);
SELECT is((SELECT count(*) FROM event WHERE tenant_id = pg_temp.tenant() AND body ~ 'Jane|jane|4930111|loan|lunch|1000"|192.0.2'), 0::bigint,
	'no personal data in the log');

-- Times.
SELECT pg_temp.send(2, :t0 + 1,
	pg_temp.el(10, '+4930210', '{"when": "2026-05-29T10:00"}'),
	pg_temp.el(11, '+4930211', '{"when": "2026-05-29 10:00:30", "time_zone": "America/New_York"}'),
	pg_temp.el(12, '+4930212', '{"at": 1780050000000, "time_zone": "Asia/Kathmandu"}'),
	pg_temp.el(13, '+4930213', '{"when": "asap", "time_zone": "Australia/Lord_Howe"}'),
	pg_temp.el(14, '+4930214', '{"when": "2026-10-25T02:30", "time_zone": "Europe/Berlin"}', 3),
	pg_temp.el(15, '+4930215', '{"when": "2027-03-28T02:30", "time_zone": "Europe/Berlin"}', 3),
	pg_temp.el(16, '+4930216', '{"when": "2026-05-28T22:26"}'),
	pg_temp.el(17, '+4930217', '{"when": null, "case": null, "consent": false}', 2));
SELECT is(pg_temp.refusals(2), ARRAY[NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL], 'all of these are times');
SELECT is(format('%s %s %s %s', image ->> 'promise_local', image ->> 'promise_zone', to_char(from_ms((image ->> 'promise_at')::bigint) AT TIME ZONE 'UTC', 'MM-DD HH24:MI:SS'), note),
	wanted, wanted)
  FROM (SELECT ord, body -> 'callback' AS image, body ->> 'when_note' AS note FROM got WHERE batch = 2 AND ord IS NOT NULL) a
  JOIN (VALUES (0, '2026-05-29T10:00:00 Europe/Berlin 05-29 08:00:00 as_asked'),
	(1, '2026-05-29T10:00:30 America/New_York 05-29 14:00:30 as_asked'),
	(2, '2026-05-29T16:05:00 Asia/Kathmandu 05-29 10:20:00 as_asked'),
	(3, '2026-05-29T06:56:40 Australia/Lord_Howe 05-28 20:26:40 as_asked'),
	(4, '2026-10-25T02:30:00 Europe/Berlin 10-25 00:30:00 first_of_two'),
	(5, '2027-03-28T03:30:00 Europe/Berlin 03-28 01:30:00 moved_forward'),
	(6, '2026-05-28T22:26:00 Europe/Berlin 05-28 20:26:00 as_asked'),
	(7, '2026-05-28T22:26:40 Europe/Berlin 05-28 20:26:40 as_asked')) w(ord, wanted) USING (ord)
 ORDER BY ord;
SELECT is(array_agg((body -> 'callback' -> 'due_at') = (body -> 'callback' -> 'promise_at')), array_fill(true, ARRAY[8]), 'due when promised')
  FROM got WHERE batch = 2 AND ord IS NOT NULL;
SELECT is((pg_temp.cb(14)).expires_at, NULL, 'a queue without a window never expires');
SELECT is(ARRAY[(pg_temp.cb(10)).priority, (pg_temp.cb(17)).priority], '{5,7}', 'priority of the queue, or of the form');
SELECT is(array_agg(DISTINCT (body -> 'callback' ->> 'class')::int), '{1,2}', 'queue and skills make the class: forms share it')
  FROM got WHERE batch = 2 AND ord IS NOT NULL;
SELECT is(array_agg(body), ARRAY['{"class": {"id": 2, "queue": 2, "skills": {"1": 3}}}'::jsonb], 'created once for both')
  FROM got WHERE batch = 2 AND kind = 'class.created';
SELECT is(case_information, '{}', 'no case is an empty one') FROM contact WHERE callback_id = pg_temp.id(17);

-- What cannot be: each refused by itself, its neighbours are taken.
SELECT pg_temp.send(3, :t0 + 2,
	pg_temp.el(20, '+4930220'),
	pg_temp.el(21, '+4930221', '{"when": "2026-02-30T10:00"}'),
	pg_temp.el(22, '+4930222', '{"when": "2026-05-29T10:00", "time_zone": "Mars/Phobos"}'),
	pg_temp.el(23, '+4930223', '{"when": "tomorrow", "time_zone": "''; DROP TABLE"}'),
	pg_temp.el(24, '+4930224', '{"when": "99999-01-01T00:00"}'),
	pg_temp.el(25, '+4930225', '{"when": "9999-12-31T23:59"}'),
	pg_temp.el(26, '+4930226', '{"when": 7}'),
	pg_temp.el(27, '+4930227', '{"when": {"a": ["b"]}}'),
	pg_temp.el(28, '+4930228', '{"when": "2026-05-28T22:25"}'),
	pg_temp.el(29, '+4930229', '{"when": "2026-06-28T10:00"}'),
	pg_temp.el(30, '+4930230', '{"at": 9223372036854775807}'),
	pg_temp.el(31, '+4930231', '{"at": -5}'),
	pg_temp.el(32, '+4930232', '{"at": "soon"}'),
	pg_temp.el(33, '+4930233', '{}', 4),
	pg_temp.el(34, '+4930234', '{}', 99),
	pg_temp.el(35, '+4930235', '{}', 5),
	pg_temp.el(36, '+4930236', jsonb_build_object('key', repeat('k', 300))),
	pg_temp.el(37, '+4930237', '{"time_zone": ""}'),
	pg_temp.el(38, '+4930238', '{"when": "0001-01-01T00:00"}'),
	pg_temp.el(39, '+4930239'));
SELECT is(pg_temp.refusals(3), ARRAY[NULL, 'invalid', 'invalid', 'invalid', 'invalid', 'invalid', 'invalid', 'invalid', 'invalid', 'invalid', 'invalid',
	'invalid', 'invalid', 'unknown_form', 'unknown_form', 'invalid', 'invalid', 'invalid', 'invalid', NULL], 'one bad row never fails its neighbours');
SELECT is(pg_temp.errors(3, ord), field, format('element %s: %s', ord, field))
  FROM (VALUES (1, 'when'), (2, 'time_zone'), (3, 'time_zone when'), (4, 'when'), (5, 'when'), (6, 'when'), (7, 'when'), (8, 'when'), (9, 'when'),
	(10, 'when'), (11, 'when'), (12, 'when'), (15, 'time_zone'), (16, 'Idempotency-Key'), (17, 'time_zone'), (18, 'when')) t(ord, field);
SELECT is(count(*), 2::bigint, 'only those taken are there') FROM callback WHERE callback_id BETWEEN pg_temp.id(20) AND pg_temp.id(39);
SELECT is(count(*), 2::bigint, 'of their contacts too') FROM contact WHERE callback_id BETWEEN pg_temp.id(20) AND pg_temp.id(39);
SELECT pg_temp.send(31, :t0 + 2, pg_temp.el(21, '+4930221', '{"when": "2026-02-30T10:00"}'));
SELECT is(count(*), 1::bigint, 'a batch of refusals writes nothing') FROM got WHERE batch = 31;

-- The node sends a batch again, with others beside it.
SELECT pg_temp.send(4, :t0 + 86400000 * 30::bigint,
	pg_temp.el(10, '+4930210', '{"when": "2026-05-29T10:00"}'),
	pg_temp.el(40, '+4930240'),
	pg_temp.el(15, '+4930215', '{"when": "2027-03-28T02:30", "time_zone": "Europe/Berlin"}', 3));
SELECT is(ARRAY[pg_temp.answer(4, 0), pg_temp.answer(4, 2)], ARRAY[pg_temp.answer(2, 0), pg_temp.answer(2, 5)], 'gets the first answers, a month later');
SELECT is(count(*), 1::bigint, 'and only the new one is an event') FROM got WHERE batch = 4 AND what = 'event';
SELECT pg_temp.send(5, :t0 + 86400000 * 30::bigint, pg_temp.el(41, '+4930241'), pg_temp.el(41, '+4930241'));
SELECT is(pg_temp.answer(5, 1), pg_temp.answer(5, 0), 'the same id twice in a batch: one callback, one answer');
SELECT is(count(*), 1::bigint, 'one event') FROM got WHERE batch = 5 AND what = 'event';

-- Idempotency keys.
\set t6 (:t0 + 86400000 * 31::bigint)
SELECT pg_temp.send(6, :t6,
	pg_temp.el(50, '+4930250', pg_temp.key('k', 'body') || '{"when": "2026-06-29T10:00"}'),
	pg_temp.el(51, '+4930250', pg_temp.key('k', 'body') || '{"when": "2026-06-29T10:00"}'),
	pg_temp.el(52, '+4930252', pg_temp.key('k', 'other body')),
	pg_temp.el(53, '+4930253', pg_temp.key('k', 'body'), 2),
	pg_temp.el(54, '+4930254', pg_temp.key('bad', 'x') || '{"when": "never"}'),
	pg_temp.el(55, '+4930255', pg_temp.key('bad', 'y')));
SELECT is(pg_temp.refusals(6), ARRAY[NULL, NULL, 'key_reused', NULL, 'invalid', NULL], 'a key is a form''s, and one that was refused is free');
SELECT is(pg_temp.answer(6, 1), pg_temp.answer(6, 0) || '{"repeated": true}', 'twice in a batch: the same answer');
SELECT is(count(*), 3::bigint, 'three callbacks') FROM callback WHERE callback_id BETWEEN pg_temp.id(50) AND pg_temp.id(59);
SELECT pg_temp.send(7, :t6 + 86400000,
	pg_temp.el(56, '+4930250', pg_temp.key('k', 'body') || '{"when": "2026-06-29T10:00"}'),
	pg_temp.el(57, '+4930250', pg_temp.key('k', 'changed')),
	pg_temp.el(50, '+4930250', pg_temp.key('k', 'body') || '{"when": "2026-06-29T10:00"}'));
SELECT is(pg_temp.answer(7, 0), pg_temp.answer(6, 0) || '{"repeated": true}', 'a day later: the same answer, though the time has passed');
SELECT is(pg_temp.refusals(7), ARRAY[NULL, 'key_reused', NULL], 'with another content: refused');
SELECT is(pg_temp.answer(7, 2), pg_temp.answer(6, 0), 'the node''s resend is not the contact''s');
SELECT is(count(*), 0::bigint, 'nothing new') FROM got WHERE batch = 7 AND what = 'event';
UPDATE tenant SET floor_seq = 1000 WHERE tenant_id = pg_temp.tenant();
DELETE FROM event WHERE tenant_id = pg_temp.tenant() AND callback_id = pg_temp.id(50);
SELECT pg_temp.send(8, :t6 + 86400000, pg_temp.el(58, '+4930250', pg_temp.key('k', 'body') || '{"when": "2026-06-29T10:00"}'));
SELECT is(pg_temp.answer(8, 0), pg_temp.answer(6, 0) - 'when_note' || '{"repeated": true}', 'the event was deleted: the callback itself answers');
DELETE FROM callback WHERE callback_id = pg_temp.id(50);
SELECT pg_temp.send(9, :t6 + 86400000, pg_temp.el(59, '+4930250', pg_temp.key('k', 'body')));
SELECT is(pg_temp.answer(9, 0) #>> '{callback,id}', pg_temp.id(59)::text, 'the callback was deleted: the key is free again');

-- One number, several requests.
\set t10 (:t0 + 86400000 * 40::bigint)
SELECT pg_temp.send(10, :t10, pg_temp.el(100, '+49301'), pg_temp.el(101, '+49301'), pg_temp.el(102, '+49301', '{"when": "2026-07-20T10:00"}'),
	pg_temp.el(103, '+49302'));
SELECT is(ARRAY[pg_temp.leader(100), pg_temp.leader(101), pg_temp.leader(102), pg_temp.leader(103)], '{NULL,100,100,NULL}', 'within a batch: the first due leads');
SELECT is(array_agg(body #>> '{callback,linked_to}' ORDER BY seq), ARRAY[NULL, pg_temp.id(100)::text, pg_temp.id(100)::text, NULL], 'the events do')
  FROM got WHERE batch = 10 AND what = 'event';
SELECT pg_temp.send(11, :t10 + 1, pg_temp.el(110, '+49301'), pg_temp.el(111, '+49303', '{"when": "2026-07-20T10:00"}'));
SELECT is(pg_temp.leader(110), 100, 'a later one follows the leader of before');
SELECT is(count(*), 2::bigint, 'nothing moves') FROM got WHERE batch = 11 AND what = 'event';
SELECT pg_temp.send(12, :t10 + 2, pg_temp.el(112, '+49303', '{"when": "2026-07-20T12:00"}'), pg_temp.el(113, '+49303', '{"when": "2026-07-21T12:00"}'));
SELECT pg_temp.send(13, :t10 + 3, pg_temp.el(120, '+49303', '{"when": "2026-07-19T12:00"}'), pg_temp.el(121, '+49303', '{"when": "2026-07-18T12:00"}'));
SELECT is(array_agg(pg_temp.leader(n) ORDER BY n), '{121,121,121,121,NULL}', 'one due earlier leads, and all follow it')
  FROM unnest('{111,112,113,120,121}'::int[]) n;
SELECT is(array_agg(kind || ' ' || right(body #>> '{callback,id}', 3) ORDER BY seq),
	'{"callback.scheduled 120","callback.scheduled 121","callback.linked 111","callback.linked 112","callback.linked 113"}', 'in these events')
  FROM got WHERE batch = 13 AND what = 'event';
SELECT is(array_agg(image_callback(c, c.seq)::jsonb ORDER BY c.seq), array_agg(g.body -> 'callback' ORDER BY c.seq), 'which say what the rows are')
  FROM got g JOIN callback c ON c.callback_id = (g.body #>> '{callback,id}')::uuid WHERE g.batch = 13 AND g.what = 'event';
SELECT pg_temp.send(14, :t10 + 4, pg_temp.el(130, '+49304', '{"when": "2026-07-20T12:00"}', 2), pg_temp.el(131, '+49304', '{"when": "2026-07-20T12:00"}', 2),
	pg_temp.el(132, '+49304', '{"when": "2026-07-21T12:00"}'));
SELECT is(ARRAY[pg_temp.leader(130), pg_temp.leader(131), pg_temp.leader(132)], '{NULL,NULL,130}', 'a form that allows them links nothing, others link to its callbacks');
SELECT pg_temp.send(15, :t10 + 5, pg_temp.el(133, '+49304', '{"when": "2026-07-19T12:00"}', 2), pg_temp.el(134, '+49304', '{"when": "2026-07-18T12:00"}'));
SELECT is(array_agg(pg_temp.leader(n) ORDER BY n), '{NULL,NULL,130,134,NULL}', 'the leader is the one due first; others that stand alone stay alone')
  FROM unnest('{130,131,132,133,134}'::int[]) n;
UPDATE callback SET state = 'ready_to_call', agent_id = 1, deadline_at = from_ms(:t10 + 60000) WHERE callback_id = pg_temp.id(103);
SELECT pg_temp.send(16, :t10 + 6, pg_temp.el(140, '+49302'), pg_temp.el(141, '+49302', '{"when": "2026-07-20T12:00"}'));
SELECT is(ARRAY[pg_temp.leader(140), pg_temp.leader(141)], '{103,103}', 'one that somebody holds stays the leader');
UPDATE callback SET state = 'completed', agent_id = NULL, deadline_at = NULL, ended_at = from_ms(:t10 + 7)
 WHERE callback_id IN (pg_temp.id(103), pg_temp.id(140), pg_temp.id(141));
SELECT pg_temp.send(17, :t10 + 8, pg_temp.el(142, '+49302'));
SELECT is(pg_temp.leader(142), NULL, 'one that has ended leads nobody');
SELECT pg_temp.send(18, :t10 + 9, pg_temp.el(150, '+49305'), pg_temp.el(151, '+49305'));
UPDATE contact SET phone = NULL, erased_at = from_ms(:t10) WHERE callback_id IN (pg_temp.id(150), pg_temp.id(151));
SELECT pg_temp.send(19, :t10 + 10, pg_temp.el(152, '+49305'));
SELECT is(pg_temp.leader(152), NULL, 'nor one that was erased');

-- Another company: nothing in common.
INSERT INTO queue (tenant_id, queue_id, name, label, version) SELECT tenant_id, 1, 'sales', 'Sales', 1 FROM tenant WHERE name = 'submit-other';
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id) SELECT tenant_id, 1, 'submit-foreign', '', 1, 1 FROM tenant WHERE name = 'submit-other';
INSERT INTO got SELECT 20, s.what, s.ord, s.seq, s.at, s.kind, s.agent_id, s.body::jsonb
  FROM tenant t, submit(t.tenant_id, :t10 + 11, jsonb_build_array(pg_temp.el(160, '+49301', pg_temp.key('k', 'foreign')))) s WHERE t.name = 'submit-other';
SELECT is(array_agg(kind || ' ' || seq ORDER BY seq), '{"class.created 1","callback.scheduled 2"}', 'its own log') FROM got WHERE batch = 20 AND what = 'event';
SELECT ok(body -> 'callback' ->> 'linked_to' IS NULL, 'a number is not linked across companies') FROM got WHERE batch = 20 AND kind = 'callback.scheduled';

-- The log of it all.
SELECT is(array_agg(seq ORDER BY seq), array_agg(n ORDER BY seq), 'what was returned has no gap')
  FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS n FROM got WHERE what = 'event' AND batch <> 20) x;
SELECT is(sum((e.at < before)::int), 0::bigint, 'and its time never goes back')
  FROM (SELECT at, lag(at) OVER (ORDER BY seq) AS before FROM event WHERE tenant_id = pg_temp.tenant()) e;
SELECT pg_temp.send(21, :t0, pg_temp.el(170, '+4930270'));
SELECT is((pg_temp.answer(21, 0) #>> '{callback,created_at}')::bigint, :t10 + 10, 'a late clock is raised to the last event''s time');
-- Who has waited elsewhere.
SELECT pg_temp.send(22, :t10 + 1000000, pg_temp.el(180, '+4930280', jsonb_build_object('since', :t10 + 400000)),
	pg_temp.el(181, '+4930281', jsonb_build_object('since', :t10 + 2000000)), pg_temp.el(182, '+4930282', jsonb_build_object('since', :t10 + 400000, 'when', '2026-07-20T10:00')));
SELECT is((pg_temp.answer(22, 0) #>> '{callback,promise_at}')::bigint, :t10 + 400000, 'he has his place among those who came then');
SELECT is((pg_temp.answer(22, 0) #>> '{callback,expires_at}')::bigint, :t10 + 1000000 + 3600000, 'and a whole promise window');
SELECT is((pg_temp.answer(22, 1) #>> '{callback,promise_at}')::bigint, :t10 + 1000000, 'nobody waits since later');
SELECT is(pg_temp.answer(22, 2) #>> '{callback,promise_local}', '2026-07-20T10:00:00', 'who asks for a time gets that');
SELECT throws_ok('SELECT * FROM submit(-1, 1780000000000, ''[]'')', 'CB003', NULL, 'no such tenant');
SELECT is_empty(format('SELECT * FROM submit(%s, %s, ''[]'')', pg_temp.tenant(), :t10), 'an empty batch is nothing');

SELECT * FROM finish();
ROLLBACK;
