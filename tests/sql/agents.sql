-- agents: ready and not, deadlines, desks that come and go, and what a lost agent leaves.
\ir fixture/company.sql
-- [state, reason, since, idle since, deadline]
CREATE FUNCTION fx.stands(p_agent int) RETURNS jsonb LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_array((fx.s(p_agent)).state, (fx.s(p_agent)).reason, ms((fx.s(p_agent)).since), ms((fx.s(p_agent)).idle_since),
		ms((fx.s(p_agent)).deadline_at))
$$;
-- [connected, node, lost at]
CREATE FUNCTION fx.desk(p_agent int) RETURNS jsonb LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_array((fx.s(p_agent)).connected, (fx.s(p_agent)).node_id, ms((fx.s(p_agent)).lost_at)) $$;
CREATE FUNCTION fx.node(name text) RETURNS jsonb LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_object('node', fx.id(name)) $$;
-- a session that lasts
CREATE FUNCTION fx.signed_in(p_agent int) RETURNS void LANGUAGE sql
AS $$ INSERT INTO session VALUES (fx.t(), sha256(p_agent::text::bytea), p_agent, fx.ts(-60), fx.ts(100000)) $$;
SELECT fx.signed_in(n) FROM generate_series(1, 6) n;
SELECT plan(62);

-- ready, not ready
SELECT is(fx.does(1, 'not_ready', by => 2, agent => 1), 'not_found', 'nobody speaks for another');
SELECT is(fx.does(1, 'ready', by => 1, agent => 1), 'ok', 'ready, said again');
SELECT is(jsonb_build_array(fx.did()) || fx.stands(1), jsonb_build_array('agent.ready:1', 'ready', NULL, fx.ms(-60), fx.ms(-60), NULL),
	'is told, and costs no place in the line');
SELECT is(fx.does(2, 'not_ready', by => 1, agent => 1, args => '{"reason": "lunch"}'), 'ok', 'not ready');
SELECT is(jsonb_build_array(fx.did()) || fx.stands(1) - 3, jsonb_build_array('agent.not_ready:1', 'not_ready', 'lunch', fx.ms(2), NULL), 'with a reason');
SELECT is(fx.does(3, 'not_ready', by => 9, role => 'supervisor', agent => 1, args => '{"reason": "training"}'), 'ok', 'a supervisor may');
SELECT is(fx.stands(1) - 3, jsonb_build_array('not_ready', 'training', fx.ms(3), NULL), 'another reason begins anew');
SELECT is(fx.does(4, 'ready', by => 1, agent => 1, args => '{"reason": "lunch"}'), 'ok', 'ready');
SELECT is(fx.stands(1), jsonb_build_array('ready', NULL, fx.ms(4), fx.ms(4), NULL), 'needs no reason, and is at the end of the line');
SELECT is(fx.does(4, 'ready', by => 7, agent => 7), 'logged_out', 'not while logged out');
SELECT is(fx.body() #>> '{status,state}', 'logged_out', 'the refusal says so');
SELECT is(fx.does(4, 'ready', by => 9, role => 'supervisor', agent => 99), 'not_found', 'nor who does not exist');
SELECT fx.callback('offered', 'offered', '{2}'), fx.callback('held', 'connected', '{3}');
SELECT is(fx.does(5, 'not_ready', by => n, agent => n), 'ok', 'also with a callback in hand') FROM unnest('{2,3}'::int[]) n;
SELECT is(jsonb_build_array((fx.c('offered')).state, (fx.c('held')).state), '["offered", "connected"]', 'which stays there');
SELECT is(fx.does(6, 'accept', o => 'offered/2', by => 2), 'ok', 'and may be accepted');

-- after-call work
UPDATE agent_status SET state = 'after_call_work', deadline_at = fx.ts(40), next_state = 'not_ready', next_reason = 'lunch', missed = 1
 WHERE tenant_id = fx.t() AND agent_id IN (4, 5, 6);
SELECT fx.settle();
SELECT is(fx.does(10, 'ready', by => 4, agent => 4), 'ok', 'he ends it himself');
SELECT is(fx.stands(4), jsonb_build_array('ready', NULL, fx.ms(10), fx.ms(10), NULL), 'and is what he says');
SELECT is(jsonb_build_array((fx.s(4)).next_state, (fx.s(4)).next_reason, (fx.s(4)).missed), '[null, null, 0]', 'nothing is left of it');
SELECT is(fx.does(39.999, 'agent_deadline', agent => 5), 'not_due', 'it has its time');
SELECT is(fx.does(40, 'agent_deadline', agent => 5, v => (fx.s(5)).seq - 1), 'stale_version', 'an old look at it');
SELECT is(fx.does(40, 'agent_deadline', agent => 5, v => (fx.s(5)).seq), 'ok', 'it ends');
SELECT is(jsonb_build_array(fx.did()) || fx.stands(5) - 3, jsonb_build_array('agent.not_ready:5', 'not_ready', 'lunch', fx.ms(40), NULL), 'in what he was before');
SELECT is(fx.does(40, 'agent_deadline', agent => 5), 'not_due', 'once');

-- desks
SELECT is(fx.does(50, 'disconnect', agent => 4, args => fx.node('n2')), 'not_connected', 'a node that has not his desk cannot lose it');
SELECT is(fx.does(50, 'disconnect', agent => 4, args => fx.node('n1')), 'ok', 'his can');
SELECT is(jsonb_build_array(fx.did()) || fx.desk(4), jsonb_build_array('agent.disconnected:4', false, fx.id('n1'), fx.ms(80)), 'he has grace');
SELECT is(fx.does(50, 'disconnect', agent => 4, args => fx.node('n1')), 'not_connected', 'once');
SELECT is(fx.does(60, 'connect', by => 4, agent => 4, args => fx.node('n2')), 'ok', 'he is back, elsewhere');
SELECT is(jsonb_build_array(fx.did()) || fx.desk(4), jsonb_build_array('agent.connected:4', true, fx.id('n2'), NULL), 'and not lost');
SELECT is((fx.stands(4) -> 3), to_jsonb(fx.ms(60)), 'at the end of the line');
SELECT is(fx.does(61, 'connect', by => 4, agent => 4, args => fx.node('n1')), 'ok', 'a second desk');
SELECT is(fx.desk(4) || (fx.stands(4) -> 3), jsonb_build_array(true, fx.id('n1'), NULL, fx.ms(60)), 'takes over from the first, and costs nothing');
SELECT is(fx.does(62, 'disconnect', agent => 4, args => fx.node('n2')), 'not_connected', 'whose end is no loss');
SELECT is(fx.does(62, 'connect', by => 7, agent => 7, args => fx.node('n1')), 'logged_out', 'who is logged out has no desk');
SELECT is(fx.does(62, 'connect', by => 7, agent => 4, args => fx.node('n1')), 'not_found', 'nor has one another''s');

-- lost: offered, ring_all, about to dial, in a call
SELECT fx.agent(n), fx.signed_in(n) FROM generate_series(11, 15) n;
SELECT fx.callback('o', 'offered', '{11}'), fx.callback('r', 'offered', '{12, 15}', 2), fx.callback('h', 'ready_to_call', '{13}'), fx.callback('i', 'connected', '{14}');
SELECT is(fx.does(100, 'agent_lost', agent => 11), 'not_due', 'who is there is not lost');
SELECT is(fx.does(100, 'disconnect', agent => n, args => fx.node('n1')), 'ok', 'gone') FROM generate_series(11, 14) n;
SELECT is(fx.does(129.999, 'agent_lost', agent => 11), 'not_due', 'within the grace time he may come back');
SELECT is(jsonb_build_array((fx.c('o')).state, (fx.c('h')).state), '["offered", "ready_to_call"]', 'all is as it was');
UPDATE agent_status SET missed = 2 WHERE tenant_id = fx.t() AND agent_id = 11;
SELECT fx.settle();
SELECT is(fx.does(130, 'agent_lost', agent => 11), 'ok', 'after it');
SELECT is(jsonb_build_array(fx.did()) || fx.stands(11) - 3, jsonb_build_array('agent.lost:11 offer.timeout:11', 'not_ready', 'connection_lost', fx.ms(130), NULL),
	'his offer times out and he is not ready');
SELECT is(jsonb_build_array((fx.s(11)).missed, (fx.o('o/11')).state, (fx.o('o/11')).reason, (fx.c('o')).state, (fx.c('o')).tried #> '{0,0}'),
	'[0, "timeout", "agent_lost", "scheduled", 11]', 'it is not held against him, and he was tried');
SELECT is(fx.body() #>> '{status,lost_at}', NULL, 'he is lost once');
SELECT is(fx.does(130, 'agent_lost', agent => 11), 'not_due', 'and not again');
SELECT is(fx.does(130, 'agent_lost', agent => 12), 'ok', 'one of two');
SELECT is(jsonb_build_array(fx.did(), (fx.c('r')).state, (fx.o('r/15')).state), '["agent.lost:12 offer.timeout:12", "offered", "pending"]', 'the other still has it');
SELECT is(fx.does(130, 'agent_lost', agent => 13), 'ok', 'one about to dial');
SELECT is(jsonb_build_array(fx.did(), (fx.c('h')).state, (fx.c('h')).reason, (fx.c('h')).agent_id),
	'["agent.lost:13 callback.given_back:13", "scheduled", "agent_lost", null]', 'does not keep it');
SELECT is(fx.does(130, 'agent_lost', agent => 14), 'ok', 'one in a call');
SELECT is(jsonb_build_array(fx.did(), (fx.c('i')).state, (fx.c('i')).agent_id), '["agent.lost:14", "connected", 14]', 'does: it is the telephone''s, not the desk''s');
SELECT is(fx.does(131, 'connect', by => 14, agent => 14, args => fx.node('n1')), 'ok', 'he finds it when he comes back');
SELECT is(fx.stands(14) - 4 - 3, jsonb_build_array('not_ready', 'connection_lost', fx.ms(130)), 'and says himself when he is ready');

-- the last offer that the queue allows
SELECT fx.callback('worn', 'offered', '{6}', p_offers => 5);
UPDATE agent_status SET connected = false, lost_at = fx.ts(131) WHERE tenant_id = fx.t() AND agent_id = 6;
SELECT fx.settle();
SELECT is(fx.does(131, 'agent_lost', agent => 6), 'ok', 'lost with the last offer of a callback');
SELECT is(fx.did(), 'agent.lost:6 offer.timeout:6 callback.failed', 'fails it');
SELECT is(jsonb_build_array((fx.s(6)).state, (fx.s(6)).deadline_at, (fx.s(6)).next_state), '["not_ready", null, null]', 'his after-call work is over as well');

-- nobody can come back on a session that ran out
SELECT fx.agent(16), fx.signed_in(16);
UPDATE session SET expires_at = fx.ts(132) WHERE tenant_id = fx.t() AND agent_id = 16;
UPDATE agent_status SET connected = false, lost_at = fx.ts(132) WHERE tenant_id = fx.t() AND agent_id = 16;
SELECT fx.settle();
SELECT is(fx.does(132, 'agent_lost', agent => 16), 'ok', 'lost after his last session ran out');
SELECT is(fx.stands(16) -> 0, '"logged_out"', 'he is logged out');

SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
