-- retain: what is old goes, in steps; what is open stays with all that is its own; the log keeps its newest event and
-- says where it begins.
\ir fixture/company.sql
CREATE FUNCTION fx.days(d numeric) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$ SELECT fx.ts(d * 86400) $$;
-- A callback that ended on that day, with one row of each kind.
CREATE FUNCTION fx.past(p_name text, p_day numeric) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM fx.callback(p_name, CASE WHEN p_day IS NULL THEN 'scheduled' ELSE 'completed' END);
	UPDATE callback SET ended_at = fx.days(p_day) WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name) AND p_day IS NOT NULL;
	INSERT INTO contact (tenant_id, callback_id, phone) VALUES (fx.t(), fx.id(p_name), '+4930');
	INSERT INTO note VALUES (fx.t(), fx.id(p_name), fx.id(p_name), 1, fx.ts(0), 'a note');
	INSERT INTO offer VALUES (fx.t(), fx.id(p_name || '/1'), 1, fx.id(p_name), 1, 'accepted', fx.ts(0), fx.ts(20), fx.ts(1), NULL);
	INSERT INTO attempt VALUES (fx.t(), fx.id(p_name || '#1'), 1, fx.id(p_name), 1, 1, 'answered', fx.ts(1), fx.ts(2), fx.ts(3));
	INSERT INTO idempotency_key VALUES (fx.t(), 1, p_name, 'x', fx.id(p_name), fx.ts(0));
END
$$;
-- The names of those that are left, in each table.
CREATE FUNCTION fx.left_in(p_table text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
	v_names text;
BEGIN
	EXECUTE format('SELECT string_agg(DISTINCT n.name, '' '' ORDER BY n.name) FROM %I x JOIN unnest(ARRAY[''a'', ''b'', ''c'', ''d'', ''e''])
		n(name) ON x.callback_id = fx.id(n.name) WHERE x.tenant_id = fx.t()', p_table) INTO v_names;
	RETURN v_names;
END
$$;
-- One step on that day: "callbacks events more".
CREATE TABLE fx.step (after bigint);
INSERT INTO fx.step VALUES (0);
CREATE FUNCTION fx.step(p_day numeric) RETURNS record LANGUAGE plpgsql
AS $$
DECLARE
	r record;
BEGIN
	SELECT * INTO r FROM retain(fx.t(), fx.ms(p_day * 86400), (SELECT s.after FROM fx.step s), 100);
	UPDATE fx.step SET after = r.next_after;
	RETURN r;
END
$$;
-- As many as it takes: how many that is, the machine's load decides.
CREATE FUNCTION fx.retain(p_day numeric) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
	r record;
	v_callbacks int := 0;
	v_events bigint := 0;
BEGIN
	LOOP
		r := fx.step(p_day);
		v_callbacks := v_callbacks + r.callbacks;
		v_events := v_events + r.events;
		EXIT WHEN NOT r.more;
	END LOOP;
	RETURN concat_ws(' ', v_callbacks, v_events);
END
$$;
SELECT plan(31);

UPDATE tenant SET history_days = 10, log_days = 20 WHERE name = 'fixture';
SELECT fx.past('a', 1), fx.past('b', 2), fx.past('c', 3), fx.past('d', NULL), fx.past('e', 5);
SELECT is(fx.retain(10), '0 0', 'nothing is old enough');
SELECT is(fx.retain(11), '0 0', 'nor on the day itself');
SELECT is(fx.retain(11.1), '1 0', 'then it is');
SELECT is(fx.left_in('callback'), 'b c d e', 'and gone');
SELECT is(fx.retain(14), '2 0', 'so are two others, in their time');
SELECT is(fx.left_in(t), 'd e', t || ' keeps those of the others')
  FROM unnest(ARRAY['callback', 'contact', 'note', 'offer', 'attempt', 'idempotency_key']) t;
SELECT is((SELECT floor_seq FROM tenant WHERE tenant_id = fx.t()), 0::bigint, 'the log is kept longer');
SELECT is(fx.retain(19.9), '1 0', 'that was the last but the open one');

-- the log
CREATE TABLE fx.was AS SELECT fx.head() AS head;
UPDATE event SET at = fx.days(19) WHERE tenant_id = fx.t() AND seq > fx.head() - 2;
SELECT is(fx.retain(21), format('0 %s', head - 2), 'old events go, the two of a later day stay') FROM fx.was;
SELECT is(fx.left_in(t), 'd', t || ' still has the open one''s') FROM unnest(ARRAY['callback', 'contact', 'note', 'offer', 'attempt']) t;
SELECT is((SELECT floor_seq FROM tenant WHERE tenant_id = fx.t()), head - 2, 'the floor says so') FROM fx.was;
SELECT is((SELECT string_agg(e.what || ' ' || e.seq, ', ') FROM load_events(fx.t(), head - 3, 10) e), 'reset ' || head - 2,
	'who asks for what was before is told to load again') FROM fx.was;
SELECT is((SELECT string_agg(e.what || ' ' || e.seq, ', ' ORDER BY e.seq) FROM load_events(fx.t(), head - 2, 10) e),
	format('event %s, event %s', head - 1, head), 'who saw the last deleted one goes on') FROM fx.was;
SELECT is(fx.retain(100), '0 1', 'whatever its age');
SELECT is(fx.head(), head, 'the newest event stays') FROM fx.was;
SELECT is((SELECT image::jsonb -> 'floor' FROM load_model(fx.t(), fx.ms(8640000), 10, 10) WHERE kind = 'head'), to_jsonb(head - 1),
	'a load knows the floor') FROM fx.was;
SELECT is(fx.does(8640001, 'cancel', 'd', role => 'operator', v => fx.v('d')), 'ok', 'the open one goes on from there');
SELECT is((SELECT array_agg(seq ORDER BY seq) FROM event WHERE tenant_id = fx.t()), ARRAY[head, head + 1], 'without a gap') FROM fx.was;

-- steps
SELECT fx.past('s' || n, 5) FROM generate_series(1, 250) n;
UPDATE fx.step SET after = 0;
SELECT is((SELECT s.callbacks FROM fx.step(100.01) AS s(callbacks int, events bigint, log_floor bigint, more boolean, next_after bigint,
	held_us int)), 30, 'one step is at most one page');
SELECT is(split_part(fx.retain(100.01), ' ', 1), '220', 'as many steps as it takes, none twice');
SELECT is(split_part(fx.retain(100.01), ' ', 1), '0', 'and then there is nothing');

-- a clock that is off
UPDATE meta SET is_test = false;
SELECT throws_ok(format('SELECT retain(%s, %s, 0, 5)', fx.t(), (SELECT ms(at) FROM event WHERE tenant_id = fx.t() ORDER BY seq DESC LIMIT 1)
	+ 400 * 86400000::bigint), 'CB001', NULL, 'a clock that is wrong deletes nothing');

SELECT * FROM finish();
ROLLBACK;
