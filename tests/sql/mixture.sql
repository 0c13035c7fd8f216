-- mixture: thousands of commands picked by chance from all kinds, in batches with runs, many of them wrong. Whatever
-- comes, rows and log agree, nobody holds or is offered two, and nothing is without an end.
\ir fixture/company.sql
SELECT plan(10);
DO $$ BEGIN PERFORM fx.agent(n, 'logged_out') FROM generate_series(11, 30) n; END $$;
UPDATE tenant SET grace_s = 5 WHERE tenant_id = fx.t();

-- One command by chance, mostly of the kind that fits something that is there. Ids and versions are now and then wrong.
CREATE FUNCTION fx.any(s numeric) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	v_kind text := (SELECT k FROM unnest('{offer,offer,offer,accept,accept,reject,offer_timeout,call,call,connected,hold,hold,retrieve,retrieve,retrieve,ended,done,done,
		give_back,retry,cancel,expire,callback_deadline,note,ready,ready,not_ready,agent_deadline,connect,connect,disconnect,agent_lost,
		sign_in,sign_in,sign_out,sign_in_failed,nonsense}'::text[]) k ORDER BY random() LIMIT 1);
	-- sorted before chance has its say, so that a mixture can be had again
	c callback := (SELECT x.r FROM (SELECT y AS r, y.state FROM callback y WHERE y.tenant_id = fx.t() ORDER BY y.callback_id) x
		 ORDER BY EXISTS (SELECT FROM transition t WHERE t.command = v_kind AND t.from_state = x.state) AND random() < 0.9 DESC, random() LIMIT 1);
	o offer := (SELECT x.r FROM (SELECT y AS r, y.state FROM offer y WHERE y.tenant_id = fx.t() ORDER BY y.offer_id) x
		 ORDER BY x.state = 'pending' AND random() < 0.9 DESC, random() LIMIT 1);
	a attempt := (SELECT x.r FROM (SELECT y AS r, y.ended_at FROM attempt y WHERE y.tenant_id = fx.t() ORDER BY y.attempt_id) x
		 ORDER BY x.ended_at IS NULL AND random() < 0.9 DESC, random() LIMIT 1);
	v_agent int := (SELECT x.agent_id FROM (SELECT y.agent_id, y.state FROM agent_status y WHERE y.tenant_id = fx.t() ORDER BY y.agent_id) x
		 ORDER BY (x.state <> 'logged_out') = (v_kind <> 'sign_in') AND random() < 0.9 DESC, random() LIMIT 1);
	v_by int := CASE v_kind WHEN 'accept' THEN o.agent_id WHEN 'reject' THEN o.agent_id WHEN 'call' THEN c.agent_id WHEN 'done' THEN c.agent_id
		WHEN 'give_back' THEN c.agent_id WHEN 'retry' THEN c.agent_id WHEN 'note' THEN c.agent_id ELSE NULL END;
	v_sup boolean := v_by IS NULL AND random() < 0.3;
BEGIN
	RETURN jsonb_strip_nulls(jsonb_build_object('id', md5(random()::text)::uuid, 'kind', v_kind,
		'by', CASE WHEN v_sup THEN 9 WHEN random() < 0.05 THEN 1 ELSE v_by END,
		'role', CASE WHEN v_by IS NOT NULL THEN 'agent' WHEN v_sup THEN 'supervisor' ELSE 'router' END,
		'callback', c.callback_id, 'version', CASE WHEN v_kind IN ('offer', 'call', 'done', 'give_back', 'retry', 'expire', 'callback_deadline')
			THEN c.seq - (random() < 0.05)::int END,
		'offer', o.offer_id, 'attempt', a.attempt_id, 'agent', v_agent,
		'to', CASE v_kind WHEN 'offer' THEN (SELECT jsonb_agg(jsonb_build_object('offer', md5(random()::text)::uuid, 'agent', x.agent_id))
			FROM (SELECT z.agent_id FROM (SELECT y.agent_id FROM agent_status y WHERE y.tenant_id = fx.t() AND y.state = 'ready'
				ORDER BY y.agent_id) z ORDER BY random() LIMIT 1 + (random() * 2)::int) x) END,
		'args', jsonb_build_object(
			'node', fx.id('n1'), 'text', 'said something', 'in_s', 30, 'reason', 'chance', 'ready', random() < 0.5,
			'outcome', CASE WHEN random() < 0.3 THEN 'busy' END,
			'disposition', (SELECT d FROM unnest('{sold,again,wrong_number,old}'::text[]) d ORDER BY random() LIMIT 1),
			'expires_at', fx.ms(s + 1000),
			'token_hash', CASE WHEN v_kind = 'sign_in' THEN encode(sha256(random()::text::bytea), 'hex') END)));
END
$$;

CREATE TABLE fx.tally (kind text, refusal text);
CREATE TABLE fx.clash (n int);
SELECT setseed(0.23);	-- the same mixture every time
DO $$
DECLARE
	v_commands jsonb[];
	v_broken text;
	v_leader text;
BEGIN
	FOR i IN 1 .. 400 LOOP
		IF i % 2 = 0 THEN
			-- two in ten want to be linked to the one before, if that is still open and a leader
			v_leader := CASE WHEN i % 20 IN (0, 2) THEN 'm' || i - i % 20 - 2 END;
			IF v_leader IS NOT NULL AND NOT EXISTS (SELECT FROM callback c WHERE c.tenant_id = fx.t() AND c.callback_id = fx.id(v_leader)
				AND c.ended_at IS NULL AND c.linked_to IS NULL) THEN
				v_leader := NULL;
			END IF;
			PERFORM fx.callback('m' || i, p_queue => 1 + i % 4 / 2, p_linked_to => v_leader);
		END IF;
		-- ten commands decided upon the same look, of which the first may spoil the rest; every other time all that are of a kind are one run
		v_commands := ARRAY(SELECT fx.any(i * 40) FROM generate_series(1, 10));
		IF i % 2 = 0 THEN
			v_commands := ARRAY(SELECT c || jsonb_build_object('run', dense_rank() OVER (ORDER BY c ->> 'kind')) FROM unnest(v_commands) c
				ORDER BY c ->> 'kind');
		END IF;
		BEGIN
			PERFORM fx.execute(i * 40, VARIADIC v_commands);
			INSERT INTO fx.tally SELECT v_commands[l.ord + 1] ->> 'kind', l.refusal FROM fx.last l;
		EXCEPTION WHEN SQLSTATE 'CB002' OR unique_violation THEN
			-- as the server does: one by one. A run of offers can ask for one agent twice, which only the index sees.
			INSERT INTO fx.clash VALUES (i);
			FOR n IN 1 .. cardinality(v_commands) LOOP
				PERFORM fx.execute(i * 40, v_commands[n]);
				INSERT INTO fx.tally SELECT v_commands[n] ->> 'kind', l.refusal FROM fx.last l;
			END LOOP;
		END;
		v_broken := CASE WHEN i % 8 = 0 THEN fx.broken() ELSE '' END;
		IF v_broken <> '' THEN
			RAISE EXCEPTION 'after batch %: %', i, v_broken;
		END IF;
	END LOOP;
END
$$;

SELECT is(fx.broken(), '', 'rows and log agreed all the time');
SELECT is((SELECT count(*)::int FROM fx.tally), 4000, 'every command was answered');
SELECT is_empty($$ SELECT kind FROM (SELECT kind, count(*) FILTER (WHERE refusal IS NULL) AS done FROM fx.tally GROUP BY kind) x
	WHERE done = 0 AND kind <> 'nonsense' $$, 'every kind succeeded at least once');
SELECT is((SELECT array_agg(DISTINCT refusal) FROM fx.tally WHERE kind = 'nonsense'), '{unknown_command}', 'but one');
SELECT set_has($$ SELECT refusal FROM fx.tally $$, $$ VALUES ('stale_version'), ('wrong_state'), ('offer_not_pending'), ('attempt_over'), ('not_found'),
	('agent_unavailable'), ('not_due'), ('not_connected') $$, 'every usual refusal was met');
SELECT cmp_ok((SELECT count(*)::int FROM fx.clash), '<', 200, 'not all runs clashed');
SELECT is((SELECT count(*) FROM event WHERE tenant_id = fx.t()), fx.head(), 'no gap');
SELECT is_empty($$ SELECT command_id FROM event WHERE tenant_id = fx.t() AND command_id IS NOT NULL GROUP BY command_id HAVING count(*) > 1 $$, 'a command''s id is on one event');
SELECT is_empty($$ SELECT c.callback_id FROM callback c WHERE c.tenant_id = fx.t() AND c.linked_to IS NOT NULL AND c.state = 'scheduled'
	AND NOT EXISTS (SELECT FROM callback l WHERE l.tenant_id = c.tenant_id AND l.callback_id = c.linked_to
		AND l.state NOT IN ('completed', 'failed', 'cancelled', 'expired') AND l.linked_to IS NULL) $$, 'nobody waits for a leader that is no more');
SELECT is_empty($$
	SELECT s.agent_id FROM agent_status s WHERE s.tenant_id = fx.t() AND s.state = 'logged_out' AND (s.connected OR s.lost_at IS NOT NULL
		OR EXISTS (SELECT FROM offer o WHERE o.tenant_id = s.tenant_id AND o.agent_id = s.agent_id AND o.state = 'pending')
		OR EXISTS (SELECT FROM callback c WHERE c.tenant_id = s.tenant_id AND c.agent_id = s.agent_id AND c.state = 'ready_to_call'
			AND NOT EXISTS (SELECT FROM attempt a WHERE a.tenant_id = s.tenant_id AND a.agent_id = s.agent_id AND a.ended_at >= s.since))) $$,
	'who is logged out has neither desk nor offer, and keeps at most the call he was in');
SELECT * FROM finish();
ROLLBACK;
