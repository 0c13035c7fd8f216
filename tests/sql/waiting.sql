-- waiting: the loads: windows on the waiting callbacks, what falls due, what expires, gaps of the log, pages and details.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
BEGIN;
SET LOCAL search_path = callbackd, public;
SELECT plan(64);

-- 600 callbacks of four classes (the fourth has none that is due), priorities, promises and due times crossing each other,
-- many alike; some due before the promise, as after an early attempt; some linked, live or ended.
\set t0 1780000000000
INSERT INTO tenant (name, label, history_days) VALUES ('waiting-test', 'Waiting', 10);
CREATE FUNCTION pg_temp.tenant() RETURNS int LANGUAGE sql STABLE AS $$ SELECT tenant_id FROM tenant WHERE name = 'waiting-test' $$;
CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT md5(n::text)::uuid $$;
CREATE FUNCTION pg_temp.at(s numeric) RETURNS timestamptz LANGUAGE sql AS $$ SELECT from_ms(1780000000000 + (s * 1000)::bigint) $$;
INSERT INTO queue (tenant_id, queue_id, name, label, version) VALUES (pg_temp.tenant(), 1, 'q', 'Q', 1);
INSERT INTO requirement_class SELECT pg_temp.tenant(), k, 1, jsonb_build_object('1', k) FROM generate_series(1, 4) k;
INSERT INTO callback (tenant_id, callback_id, seq, created_at, state, queue_id, class_id, priority, due_at, promise_at, promise_local,
	promise_zone, expires_at, linked_to, ended_at)
SELECT pg_temp.tenant(), pg_temp.id(n), n, pg_temp.at(n / 3 - 1000), state, 1, 1 + n % 4, (n / 7) % 3 - 1,
	pg_temp.at(due), pg_temp.at(due - CASE n % 5 WHEN 0 THEN 40 WHEN 1 THEN -200 ELSE 0 END), '2026-01-01', 'UTC',
	CASE WHEN n % 2 = 0 THEN pg_temp.at(due + 300) END, CASE WHEN n % 29 = 0 THEN pg_temp.id(1) END, CASE state WHEN 'completed' THEN pg_temp.at(0) END
  FROM (SELECT n, CASE WHEN n % 31 = 0 THEN 'completed' ELSE 'scheduled' END AS state,
		CASE WHEN n % 4 = 3 THEN 1 + n % 50 ELSE (n * 37) % 101 * 10 - 500 END AS due FROM generate_series(1, 600) n) x;
INSERT INTO callback (tenant_id, callback_id, seq, created_at, state, queue_id, class_id, priority, due_at, promise_at, promise_local,
	promise_zone, agent_id, attempt_id, deadline_at)
VALUES (pg_temp.tenant(), pg_temp.id(701), 701, pg_temp.at(0), 'offered', 1, 1, 0, pg_temp.at(-1), pg_temp.at(-1), '2026-01-01', 'UTC', NULL, NULL, NULL),
	(pg_temp.tenant(), pg_temp.id(702), 702, pg_temp.at(0), 'connected', 1, 1, 0, pg_temp.at(-1), pg_temp.at(-1), '2026-01-01', 'UTC', 1,
		pg_temp.id(802), pg_temp.at(100));
INSERT INTO offer VALUES (pg_temp.tenant(), pg_temp.id(901), 703, pg_temp.id(701), 2, 'rejected', pg_temp.at(0), pg_temp.at(20), pg_temp.at(1), NULL),
	(pg_temp.tenant(), pg_temp.id(902), 704, pg_temp.id(701), 3, 'pending', pg_temp.at(0), pg_temp.at(20), NULL, NULL);
INSERT INTO attempt VALUES (pg_temp.tenant(), pg_temp.id(801), 705, pg_temp.id(702), 1, 1, 'busy', pg_temp.at(-9), NULL, pg_temp.at(-5)),
	(pg_temp.tenant(), pg_temp.id(802), 706, pg_temp.id(702), 1, 2, 'answered', pg_temp.at(-4), pg_temp.at(-2), NULL);
INSERT INTO event (tenant_id, seq, at, kind, body) SELECT pg_temp.tenant(), n, pg_temp.at(0), 'filler', '{}' FROM generate_series(1, 710) n;
INSERT INTO secret VALUES (pg_temp.tenant(), 1, 'link', repeat('a', 32)::bytea, pg_temp.at(0)), (pg_temp.tenant(), 2, 'link', repeat('b', 32)::bytea, pg_temp.at(0));
INSERT INTO agent (tenant_id, agent_id, name, label, version) VALUES (pg_temp.tenant(), 1, 'ann', 'Ann', 1);
INSERT INTO agent_status (tenant_id, agent_id, seq, since, idle_since) VALUES (pg_temp.tenant(), 1, 1, pg_temp.at(0), pg_temp.at(0));

CREATE FUNCTION pg_temp.waits(c callback) RETURNS boolean LANGUAGE sql AS $$ SELECT c.tenant_id = pg_temp.tenant() AND c.state = 'scheduled' AND c.linked_to IS NULL $$;
-- The truth, by looking at everything.
CREATE FUNCTION pg_temp.due(p_now bigint, p_class int, p_limit int) RETURNS uuid[] LANGUAGE sql
AS $$
	SELECT coalesce(array_agg(callback_id ORDER BY priority DESC, promise_at, callback_id), '{}')
	  FROM (SELECT * FROM callback c WHERE pg_temp.waits(c) AND c.class_id = p_class AND c.due_at <= from_ms(p_now)
		 ORDER BY priority DESC, promise_at, callback_id LIMIT p_limit) x
$$;
CREATE FUNCTION pg_temp.future(p_now bigint, p_limit int) RETURNS uuid[] LANGUAGE sql
AS $$
	SELECT coalesce(array_agg(callback_id ORDER BY due_at, callback_id), '{}')
	  FROM (SELECT * FROM callback c WHERE pg_temp.waits(c) AND c.due_at > from_ms(p_now) ORDER BY due_at, callback_id LIMIT p_limit) x
$$;
CREATE FUNCTION pg_temp.loaded_due(p_now bigint, p_class int, p_limit int, OUT ids uuid[], OUT window_image jsonb, OUT first_kind text) LANGUAGE sql
AS $$
	SELECT coalesce(array_agg((image::jsonb ->> 'id')::uuid ORDER BY n) FILTER (WHERE kind = 'callback'), '{}'),
		max(image) FILTER (WHERE kind = 'due_window')::jsonb, max(kind) FILTER (WHERE n = 1)
	  FROM load_due(pg_temp.tenant(), p_now, p_class, p_limit) WITH ORDINALITY x(kind, image, n)
$$;

SELECT unnest(ARRAY[is(l.ids, pg_temp.due(now, class, size), format('due of class %s at %s, at most %s', class, now, size)),
	is(l.window_image, jsonb_build_object('class', class, 'complete', cardinality(pg_temp.due(now, class, 1000)) < size), 'and whether that is all')])
  FROM unnest(ARRAY[:t0, :t0 + 100000, :t0 - 100000]::bigint[]) now, generate_series(1, 4) class, unnest(CASE class WHEN 1 THEN '{7}'::int[] ELSE '{1000}' END) size,
	pg_temp.loaded_due(now, class, size) l;
SELECT ok(count(*) > 5, 'some are due before their promise') FROM callback c WHERE pg_temp.waits(c) AND due_at <= pg_temp.at(0) AND promise_at > pg_temp.at(0);
SELECT is((pg_temp.loaded_due(:t0, 2, 10)).first_kind, 'head', 'the head comes first');

-- The future, page by page.
CREATE FUNCTION pg_temp.pages(p_now bigint, p_limit int) RETURNS uuid[] LANGUAGE plpgsql
AS $$
DECLARE
	v_at bigint := p_now;
	v_id uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
	v_ids uuid[] := '{}';
	r record;
BEGIN
	LOOP
		FOR r IN SELECT kind, image::jsonb AS image FROM load_future(pg_temp.tenant(), p_now, v_at, v_id, p_limit) LOOP
			IF r.kind = 'callback' THEN
				v_ids := v_ids || (r.image ->> 'id')::uuid;
			ELSIF r.kind = 'future_window' THEN
				v_at := r.image ->> 'last_at';
				v_id := r.image ->> 'last_id';
				IF (r.image ->> 'complete')::boolean THEN
					RETURN v_ids;
				END IF;
			END IF;
		END LOOP;
	END LOOP;
END
$$;
SELECT is(pg_temp.pages(:t0, size), pg_temp.future(:t0, 1000), format('the future in pages of %s', size)) FROM unnest('{1,3,50,1000}'::int[]) size;
SELECT is(max(image) FILTER (WHERE kind = 'future_window')::jsonb, jsonb_build_object('complete', true, 'last_at', :t0 + 9000000, 'last_id', pg_temp.id(5)),
	'nothing more: it ends where it was asked to begin')
  FROM load_future(pg_temp.tenant(), :t0, :t0 + 9000000, pg_temp.id(5), 10);

-- Everything at once.
CREATE TEMP TABLE model ON COMMIT DROP AS
	SELECT n, kind, image::jsonb FROM load_model(pg_temp.tenant(), :t0, 20, 30) WITH ORDINALITY x(kind, image, n);
INSERT INTO node VALUES (pg_temp.id(1), 'dead', 'epoch', 'epoch'), (pg_temp.id(2), 'live', 'epoch', 'infinity');
SELECT is(image - 'nodes', jsonb_build_object('epoch', 1, 'seq', 710, 'floor', 0, 'at', :t0), 'the head') FROM model WHERE n = 1 AND kind = 'head';
SELECT is(image -> 'nodes' @> to_jsonb(ARRAY[pg_temp.id(2)]) AND NOT image -> 'nodes' @> to_jsonb(ARRAY[pg_temp.id(1)]), true, 'names the nodes that live')
  FROM (SELECT image::jsonb FROM load_due(pg_temp.tenant(), :t0, 1, 1) WHERE kind = 'head') h;
SELECT is(max((image ->> 'at')::bigint), :t0, 'an earlier clock is raised to the last event''s')
  FROM (SELECT image::jsonb FROM load_due(pg_temp.tenant(), :t0 - 5000, 1, 1) WHERE kind = 'head') h;
SELECT is(array_agg(DISTINCT kind ORDER BY kind), '{agent,attempt,callback,class,due_window,elapse,future_window,head,offer,queue,secret,status,tenant}', 'what there is')
  FROM model;
SELECT is(array_agg(image ->> 'id' ORDER BY n), ARRAY[pg_temp.id(902)::text], 'only pending offers') FROM model WHERE kind = 'offer';
SELECT is(array_agg(image ->> 'id' ORDER BY n), ARRAY[pg_temp.id(802)::text], 'only current attempts') FROM model WHERE kind = 'attempt';
SELECT is(array_agg(image ORDER BY n), ARRAY[jsonb_build_object('id', 1, 'purpose', 'link', 'value', repeat('61', 32), 'newest', false, 'created_at', :t0),
	jsonb_build_object('id', 2, 'purpose', 'link', 'value', repeat('62', 32), 'newest', true, 'created_at', :t0)], 'secrets, the newest marked') FROM model WHERE kind = 'secret';
SELECT is(array_agg((image ->> 'id')::uuid ORDER BY n), array_cat(array_cat(array_cat(array_cat(
		(SELECT array_agg(i ORDER BY i) FROM unnest(ARRAY[pg_temp.id(701), pg_temp.id(702)]) i),
		pg_temp.due(:t0, 1, 20)), pg_temp.due(:t0, 2, 20)), pg_temp.due(:t0, 3, 20)), pg_temp.future(:t0, 30)), 'callbacks: live, due by class, future')
  FROM model WHERE kind = 'callback';
SELECT is(array_agg(image ORDER BY n), ARRAY['{"class": 1, "complete": false}', '{"class": 2, "complete": false}', '{"class": 3, "complete": false}',
	'{"class": 4, "complete": true}']::jsonb[], 'windows') FROM model WHERE kind = 'due_window';
SELECT is((SELECT kind FROM model ORDER BY n DESC LIMIT 1), 'elapse', 'the next that elapses comes last');
SELECT is((image ->> 'at')::bigint, (SELECT ms(min(expires_at)) FROM callback c WHERE pg_temp.waits(c)), 'the next promise that passes') FROM model WHERE kind = 'elapse';

-- Promises that passed.
SELECT results_eq(format('SELECT callback_id, seq, next_at FROM load_elapsed(%s, %s, %s)', pg_temp.tenant(), :t0, size),
	format('(SELECT callback_id, seq, NULL::bigint FROM callback c WHERE pg_temp.waits(c) AND expires_at <= pg_temp.at(0) ORDER BY expires_at, callback_id LIMIT %1$s)
		UNION ALL SELECT NULL, NULL, (SELECT ms(expires_at) FROM callback c WHERE pg_temp.waits(c) AND expires_at IS NOT NULL ORDER BY expires_at, callback_id
		OFFSET (SELECT least(%1$s, count(*)) FROM callback c WHERE pg_temp.waits(c) AND expires_at <= pg_temp.at(0)) LIMIT 1)', size),
	format('expired, at most %s, and when the next one does', size)) FROM unnest('{5,1000}'::int[]) size;
SELECT results_eq(format('SELECT callback_id, seq, next_at FROM load_elapsed(%s, %s, 1000) WHERE callback_id IS NULL', pg_temp.tenant(), :t0 + 99000000),
	'SELECT NULL::uuid, NULL::bigint, NULL::bigint', 'none is left to expire');

-- The log.
SELECT is(array_agg(seq ORDER BY n), '{708,709,710}', 'events after a number') FROM load_events(pg_temp.tenant(), 707, 10) WITH ORDINALITY e(what, ord, seq, at, kind, agent_id, body, n);
SELECT is(array_agg(seq), '{1,2}', 'at most so many') FROM load_events(pg_temp.tenant(), 0, 2);
SELECT is_empty(format('SELECT * FROM load_events(%s, 710, 10)', pg_temp.tenant()), 'none after the last');
UPDATE tenant SET floor_seq = 100 WHERE tenant_id = pg_temp.tenant();
SELECT is(array_agg(what || ' ' || seq), '{"reset 100"}', 'before the floor: load again') FROM load_events(pg_temp.tenant(), 99, 10);
SELECT is(array_agg(what || ' ' || seq), '{"event 101"}', 'from the floor on') FROM load_events(pg_temp.tenant(), 100, 1);

-- Details.
INSERT INTO contact (tenant_id, callback_id, phone, name, email, case_information, erased_at)
VALUES (pg_temp.tenant(), pg_temp.id(2), '+49', 'Jane', 'j@example.org', '{"a": null}', NULL), (pg_temp.tenant(), pg_temp.id(3), '+49', NULL, NULL, '{}', NULL),
	(pg_temp.tenant(), pg_temp.id(31), '+49', NULL, NULL, '{}', NULL), (pg_temp.tenant(), pg_temp.id(62), '+49', NULL, NULL, '{}', NULL),
	(pg_temp.tenant(), pg_temp.id(4), NULL, NULL, NULL, '{}', pg_temp.at(0));
UPDATE callback SET ended_at = pg_temp.at(-86400 * 11) WHERE callback_id = pg_temp.id(62);
INSERT INTO note VALUES (pg_temp.tenant(), pg_temp.id(2), pg_temp.id(1001), 1, pg_temp.at(2), 'second'), (pg_temp.tenant(), pg_temp.id(2), pg_temp.id(1002), 2, pg_temp.at(1), 'first');
SELECT is(detail::jsonb, jsonb_build_object('contact', '{"phone": "+49", "name": "Jane", "email": "j@example.org"}'::jsonb, 'case_information', '{"a": null}'::jsonb,
	'erased', false, 'interactions', '{"in_progress": {"callback": 1}, "recent": {"callback": 1}}'::jsonb,
	'notes_by_agents', jsonb_build_array(jsonb_build_object('written_at', :t0 + 1000, 'agent', 2, 'text', 'first'),
		jsonb_build_object('written_at', :t0 + 2000, 'agent', 1, 'text', 'second'))), 'details, other callbacks counted')
  FROM load_details(pg_temp.tenant(), json_build_array(pg_temp.id(2), pg_temp.id(999))) WHERE callback_id = pg_temp.id(2);
SELECT is(detail::jsonb, '{"contact": {}, "case_information": {}, "erased": true, "interactions": {"in_progress": {"callback": 0}, "recent": {"callback": 0}},
	"notes_by_agents": []}', 'of one that was erased') FROM load_details(pg_temp.tenant(), json_build_array(pg_temp.id(4)));
SELECT unnest(ARRAY[is(x - 'callback' - 'detail' - 'offers', '{"attempts": [], "linked": [], "due_local": "2026-05-28T20:26:39"}', 'one callback'),
	is(jsonb_array_length(x -> 'offers'), 2, 'with its offers')])
  FROM (SELECT load_callback(pg_temp.tenant(), pg_temp.id(701))::jsonb AS x) y;
SELECT is(jsonb_array_length(load_callback(pg_temp.tenant(), pg_temp.id(1))::jsonb -> 'linked'), 20, 'with those linked to it');
SELECT is(load_callback(pg_temp.tenant(), pg_temp.id(999)), NULL, 'no such callback');

-- Pages.
CREATE FUNCTION pg_temp.listed(p_filter json) RETURNS uuid[] LANGUAGE sql
AS $$
	SELECT coalesce(array_agg((c ->> 'id')::uuid ORDER BY n), '{}')
	  FROM jsonb_array_elements(load_callbacks(pg_temp.tenant(), 1780000000000, p_filter)::jsonb) WITH ORDINALITY x(c, n)
$$;
CREATE FUNCTION pg_temp.truth(p_where text) RETURNS uuid[] LANGUAGE plpgsql
AS $$
DECLARE
	v_ids uuid[];
BEGIN
	EXECUTE 'SELECT coalesce(array_agg(callback_id ORDER BY callback_id DESC), ''{}'') FROM callback WHERE tenant_id = pg_temp.tenant() AND ' || p_where
		INTO v_ids;
	RETURN v_ids;
END
$$;
SELECT is(pg_temp.listed('{"limit": 1}') || pg_temp.listed(json_build_object('limit', 500, 'after', (pg_temp.listed('{"limit": 1}'))[1]))
	|| pg_temp.listed(json_build_object('limit', 500, 'after', (pg_temp.truth('true'))[501])), pg_temp.truth('true'), 'all of them in pages, newest first');
SELECT is(pg_temp.listed(filter::json), (pg_temp.truth(clause))[1:500], filter)
  FROM (VALUES ('{"state": "queued", "limit": 500}', $$state = 'scheduled' AND due_at <= pg_temp.at(0)$$),
	('{"state": "scheduled", "limit": 500}', $$state = 'scheduled' AND due_at > pg_temp.at(0)$$),
	('{"state": "completed", "limit": 500}', $$state = 'completed'$$),
	('{"state": "connected"}', $$state = 'connected'$$),
	('{"agent": 1, "queue": 1}', $$agent_id = 1$$),
	('{"queue": 2}', $$false$$),
	('{"state": "nonsense"}', $$false$$)) t(filter, clause);

SELECT * FROM finish();
ROLLBACK;
