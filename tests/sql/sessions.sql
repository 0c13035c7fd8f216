-- sessions: signing in, failing to, and signing out.
\ir fixture/company.sql
CREATE FUNCTION fx.token(name text, p_expires numeric DEFAULT 40000) RETURNS jsonb LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_object('token_hash', encode(sha256(name::bytea), 'hex'), 'expires_at', fx.ms(p_expires)) $$;
CREATE FUNCTION fx.sessions(p_agent int) RETURNS int LANGUAGE sql STABLE
AS $$ SELECT count(*)::int FROM session WHERE tenant_id = fx.t() AND agent_id = p_agent $$;
CREATE FUNCTION fx.lock(p_agent int) RETURNS jsonb LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_array(failures, ms(locked_until)) FROM agent WHERE tenant_id = fx.t() AND agent_id = p_agent $$;
SELECT plan(67);

-- in
SELECT is(fx.does(1, 'sign_in', agent => 7, args => fx.token('a'), id => 'in'), 'ok', 'sign in');
SELECT is(fx.did(), 'session.opened:7 agent.signed_in:7', 'a session, and he is there');
SELECT is(fx.body() -> 'session', fx.token('a') || jsonb_build_object('agent', 7, 'opened_at', fx.ms(1)), 'the event has the session');
SELECT is((SELECT jsonb_build_array(ms(opened_at), ms(expires_at), agent_id) FROM session WHERE tenant_id = fx.t() AND token_hash = sha256('a')),
	jsonb_build_array(fx.ms(1), fx.ms(40000), 7), 'so has the table');
SELECT is(jsonb_build_array((fx.s(7)).state, (fx.s(7)).reason, (fx.s(7)).connected), '["not_ready", "signed_in", false]', 'not ready until he says so');
SELECT is(fx.does(1, 'sign_in', agent => 7, args => fx.token('a'), id => 'in'), 'ok', 'the same command again');
SELECT is(fx.sessions(7), 1, 'is one session');
SELECT is(fx.does(2, 'sign_in', agent => 7, args => fx.token('b')), 'ok', 'a second desk');
SELECT is(fx.did(), 'session.opened:7', 'changes nothing for him');
SELECT is(fx.does(2, 'sign_in', agent => 8, args => fx.token('c') || '{"ready": true}'), 'ok', 'another, ready at once');
SELECT is(jsonb_build_array((fx.s(8)).state, (fx.s(8)).reason, ms((fx.s(8)).idle_since)), jsonb_build_array('ready', NULL, fx.ms(2)), 'is ready');
SELECT is(fx.does(2, 'sign_in', agent => 99, args => fx.token('d')), 'not_found', 'nobody');
UPDATE agent SET removed = true WHERE tenant_id = fx.t() AND agent_id = 6;
SELECT is(fx.does(2, 'sign_in', agent => 6, args => fx.token('d')), 'removed', 'who was removed');
SELECT is(fx.sessions(6), 0, 'has no session');

-- wrong passwords
SELECT is(fx.does(10, 'sign_in_failed', agent => 5), 'ok', 'a wrong password');
SELECT is(fx.did() || fx.body()::text, 'agent.sign_in_failed:5{"agent_locked": false}', 'is told');
SELECT is(fx.lock(5), '[1, null]', 'and counted');
SELECT is(fx.does(11, 'sign_in', agent => 5, args => fx.token('e')), 'ok', 'the right one');
SELECT is(fx.lock(5), '[0, null]', 'makes it forgotten');
SELECT is(fx.does(12, 'sign_in_failed', agent => 5, id => 'wrong ' || n), 'ok', 'wrong, ' || n) FROM generate_series(1, 2) n;
SELECT is(fx.does(12, 'sign_in_failed', agent => 5, id => 'wrong 2'), 'ok', 'the node sends the second again');
SELECT is(fx.lock(5), '[2, null]', 'which is not counted twice');
SELECT is(fx.does(12, 'sign_in_failed', agent => 5), 'ok', 'wrong, 3');
SELECT is(fx.body() || fx.lock(5), '[{"agent_locked": true}]'::jsonb || jsonb_build_array(0, fx.ms(312)), 'is one too many');
SELECT is(fx.does(311.999, 'sign_in', agent => 5, args => fx.token('f')), 'locked', 'even the right one is refused now');
SELECT is(fx.does(311.999, 'sign_in_failed', agent => 5), 'ok', 'a wrong one meanwhile');
SELECT is(fx.body() || fx.lock(5), '[{"agent_locked": true}]'::jsonb || jsonb_build_array(0, fx.ms(312)), 'does not prolong it');
SELECT is(fx.does(312, 'sign_in_failed', agent => 5), 'ok', 'a wrong one after it');
SELECT is(fx.body() || fx.lock(5), '[{"agent_locked": false}, 1, null]'::jsonb, 'is the first again');
SELECT is(fx.does(313, 'sign_in', agent => 5, args => fx.token('f')), 'ok', 'and the right one opens');
SELECT is(fx.does(313, 'sign_in_failed', agent => 99), 'not_found', 'nobody''s password');

-- out
SELECT is(fx.does(320, 'sign_out', by => 8, agent => 7, args => fx.token('a')), 'not_found', 'nobody signs out another');
SELECT is(fx.does(320, 'sign_out', by => 7, agent => 7, args => fx.token('c')), 'not_found', 'nor ends another''s session');
SELECT is(fx.does(320, 'ready', by => 7, agent => 7), 'ok', 'ready');
SELECT is(fx.does(321, 'sign_out', by => 7, agent => 7, args => fx.token('a')), 'ok', 'one of two desks');
SELECT is(fx.did() || fx.sessions(7) || (fx.s(7)).state, 'session.closed:71ready', 'the other is still there');
SELECT is(fx.body() -> 'session', (fx.token('a') - 'expires_at') || '{"closed": true}', 'the event names the session');
SELECT is(fx.does(321, 'sign_out', by => 7, agent => 7, args => fx.token('a')), 'not_found', 'once');
SELECT fx.callback('o', 'offered', '{7}'), fx.callback('h', 'ready_to_call', '{8}'), fx.callback('i', 'on_hold', '{5}');
SELECT is(fx.does(322, 'connect', by => 7, agent => 7, args => jsonb_build_object('node', fx.id('n1'))), 'ok', 'connected');
SELECT is(fx.does(323, 'sign_out', by => 7, agent => 7, args => fx.token('b'), id => 'out'), 'ok', 'the last desk');
SELECT is(fx.did(), 'session.closed:7 agent.signed_out:7 offer.rejected:7', 'he is gone, and what he was offered is rejected');
SELECT is(jsonb_build_array((fx.s(7)).state, (fx.s(7)).reason, (fx.s(7)).connected, (fx.s(7)).node_id, (fx.s(7)).lost_at, (fx.s(7)).missed),
	'["logged_out", null, false, null, null, 0]', 'logged out');
SELECT is(jsonb_build_array((fx.o('o/7')).state, (fx.o('o/7')).reason, (fx.c('o')).state), '["rejected", "signed_out", "scheduled"]', 'it waits for another');
SELECT is(fx.does(323, 'sign_out', by => 7, agent => 7, args => fx.token('b'), id => 'out'), 'ok', 'the same command again is answered');
SELECT is(fx.did(), NULL, 'and does nothing');
SELECT is(fx.does(324, 'sign_out', by => 9, role => 'supervisor', agent => 8), 'ok', 'a supervisor signs one out');
SELECT is(jsonb_build_array(fx.did(), fx.sessions(8), (fx.c('h')).state, (fx.c('h')).reason),
	'["session.closed:8 agent.signed_out:8 callback.given_back:8", 0, "scheduled", "signed_out"]', 'from every desk; what he accepted goes back');
SELECT is(fx.does(324, 'sign_out', by => 9, role => 'supervisor', agent => 8), 'not_found', 'who is not there cannot be signed out');
SELECT is(fx.does(325, 'sign_out', by => 9, role => 'supervisor', agent => 5), 'ok', 'one in a call');
SELECT is(jsonb_build_array(fx.did(), (fx.c('i')).state, (fx.c('i')).agent_id),
	'["session.closed:5 session.closed:5 agent.signed_out:5", "on_hold", 5]', 'which goes on');
SELECT is(fx.does(600, 'callback_deadline', 'i', v => fx.v('i')), 'ok', 'until its deadline');
SELECT is(fx.does(1200, 'callback_deadline', 'i', v => fx.v('i')), 'ok', 'and that of what follows');
SELECT is((fx.c('i')).state, 'scheduled', 'so that nothing is stuck with one who is gone');

-- sessions that ran out
SELECT is(fx.does(1300, 'sign_in', agent => 7, args => fx.token('g', 1400)), 'ok', 'a short session');
SELECT is(fx.does(1301, 'sign_in', agent => 7, args => fx.token('h', 2000)), 'ok', 'and a longer one');
SELECT is(fx.does(1400, 'sign_out', by => 7, agent => 7, args => fx.token('h')), 'ok', 'the one that is left');
SELECT is(fx.did() || fx.sessions(7), 'session.closed:7 session.closed:7 agent.signed_out:70', 'is the last: what ran out does not count');
SELECT is(fx.does(1400, 'sign_out', by => 9, role => 'supervisor', agent => 1), 'ok', 'one who has no session any more');
SELECT is(fx.did(), 'agent.signed_out:1', 'is signed out too');

-- what is counted of one sign-in to the next
UPDATE agent_status SET accepted = 3, talk_ms = 5000, offered_seq = 1 WHERE tenant_id = fx.t() AND agent_id = 3;
SELECT fx.settle();
CREATE FUNCTION fx.counts(agent int) RETURNS jsonb LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_array((fx.s(agent)).accepted, (fx.s(agent)).talk_ms, (fx.s(agent)).offered_seq) $$;
SELECT is(fx.does(1400, 'sign_in', agent => 3, args => fx.token('i')) || fx.counts(3)::text, 'ok[3, 5000, 1]', 'a second desk begins nothing anew');
SELECT is(fx.does(1400, 'sign_out', by => 3, agent => 3), 'ok', 'he goes');
SELECT is(fx.counts(3), '[3, 5000, 1]', 'it is known what he did');
SELECT is(fx.does(1400, 'sign_in', agent => 3, args => fx.token('j')), 'ok', 'he comes back');
SELECT is(fx.counts(3), '[0, 0, 1]', 'and begins anew, but for his turn');

-- rows that no change carries: the run may name an agent once
SELECT throws_ok($$ SELECT fx.execute(1500, fx.command('sign_in_failed', agent => 2) || '{"run": 1}', fx.command('sign_in_failed', agent => 2) || '{"run": 1}') $$,
	'CB002', NULL, 'two of one run about the same agent');

SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
