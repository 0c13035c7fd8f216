-- calls: the course of dials, from call to ended.
\ir fixture/company.sql
SELECT plan(68);

-- one that is answered
SELECT fx.callback('c', 'ready_to_call');
SELECT is(fx.does(1, 'call', 'c', by => 2, v => fx.v('c')), 'not_found', 'nobody dials what another holds');
SELECT is(fx.does(1, 'call', 'c', role => 'contact', v => fx.v('c')), 'not_found', 'least of all the contact');
SELECT is(fx.does(1, 'call', 'c', by => 1, v => fx.v('c'), id => 'c#1'), 'ok', 'his agent does');
SELECT is(fx.did(), 'call.establishing:1', 'one event');
SELECT is(jsonb_build_array((fx.c('c')).state, (fx.c('c')).attempt_id, (fx.c('c')).attempts, ms((fx.c('c')).deadline_at)),
	jsonb_build_array('establishing', fx.id('c#1'), 1, fx.ms(121)), 'it may ring for as long as the queue says');
SELECT is(jsonb_build_array((fx.a('c#1')).state, (fx.a('c#1')).number, (fx.a('c#1')).agent_id), jsonb_build_array('dialing', 1, 1),
	'the attempt has the command''s id');
SELECT is(fx.does(5, 'connected', a => 'c#1', by => 2), 'not_found', 'somebody else''s attempt');
SELECT is(fx.does(5, 'connected', a => 'c#2', by => 1), 'not_found', 'one that never was');
SELECT is(fx.does(5, 'connected', a => 'c#1', by => 1), 'ok', 'answered');
SELECT is(jsonb_build_array((fx.c('c')).state, ms((fx.c('c')).deadline_at)), jsonb_build_array('connected', fx.ms(14405)), 'a call has its longest time too');
SELECT is(jsonb_build_array((fx.a('c#1')).state, ms((fx.a('c#1')).answered_at)), jsonb_build_array('answered', fx.ms(5)), 'the attempt says since when');
SELECT is(fx.does(6, 'hold', a => 'c#1', by => 1), 'ok', 'hold');
SELECT is(fx.did() || ' ' || (fx.c('c')).state, 'call.on_hold:1 on_hold', 'is told');
SELECT is(fx.does(7, 'hold', a => 'c#1', by => 1), 'wrong_state', 'once');
SELECT is(fx.body() #>> '{callback,state}', 'on_hold', 'the refusal shows how it stands');
SELECT is(fx.does(7, 'retrieve', a => 'c#1', by => 1), 'ok', 'retrieve');
SELECT is(fx.did() || ' ' || (fx.c('c')).state, 'call.retrieved:1 connected', 'is told');
SELECT is(ms((fx.c('c')).deadline_at), fx.ms(14405), 'hold does not prolong a call');
SELECT is(fx.does(8, 'ended', a => 'c#1', by => 1, args => '{"outcome": "busy"}'), 'bad_outcome', 'what was answered was not busy');
SELECT is(fx.does(8, 'ended', a => 'c#1', by => 1), 'ok', 'ended');
SELECT is(jsonb_build_array(fx.did(), (fx.c('c')).state, (fx.c('c')).agent_id, (fx.c('c')).attempt_id, (fx.c('c')).attempts, ms((fx.c('c')).deadline_at)),
	jsonb_build_array('call.ended:1', 'ready_to_call', 1, NULL, 1, fx.ms(608)), 'the same agent keeps it, for as long as the queue says');
SELECT is(jsonb_build_array((fx.a('c#1')).state, ms((fx.a('c#1')).ended_at)), jsonb_build_array('answered', fx.ms(8)), 'the attempt stays answered');

SELECT is((fx.s(1)).talk_ms, 3000::bigint, 'as long as they talked, and were on hold, is counted');
SELECT is(fx.body() #> '{status,talk_ms}', '3000', 'as his status tells');

-- and those that are not
SELECT is(fx.does(9, 'call', 'c', by => 1, v => fx.v('c'), id => 'c#2'), 'ok', 'he dials again');
SELECT is(fx.does(9, 'ended', a => 'c#2', by => 1, args => '{"outcome": "answered"}'), 'bad_outcome', 'what was not answered');
SELECT is(fx.does(9, 'ended', a => 'c#2', by => 1, args => '{"outcome": "eaten"}'), 'bad_outcome', 'no word of ours');
SELECT is(fx.does(9, 'ended', a => 'c#2', by => 1, args => '{"outcome": "pbx_lost"}'), 'bad_outcome', 'nor of an agent');
SELECT is(fx.does(10, 'ended', a => 'c#2', by => 1, args => '{"outcome": "trunk_failed"}'), 'ok', 'our own line failed');
SELECT is(jsonb_build_array((fx.a('c#2')).state, (fx.c('c')).attempts), jsonb_build_array('trunk_failed', 1), 'that is not the contact''s fault');
SELECT is(fx.does(11, 'call', 'c', by => 1, v => fx.v('c'), id => 'c#3'), 'ok', 'again');
SELECT is(jsonb_build_array((fx.a('c#3')).number, (fx.c('c')).attempts), jsonb_build_array(3, 2), 'a dial''s number is its own, counted or not');
SELECT is(fx.does(12, 'ended', a => 'c#3', by => 1), 'ok', 'ended without a word');
SELECT is((fx.a('c#3')).state, 'no_answer', 'is no answer');
SELECT is((fx.s(1)).talk_ms, 3000::bigint, 'nobody talked');
SELECT is(fx.body() ? 'status', false, 'and nothing is told of him');
SELECT fx.callback('t ' || x, 'establishing', ARRAY[fx.agent(20 + n::int)]) FROM unnest('{busy,no_answer,declined,machine,invalid,unreachable,cancelled,failed}'::text[]) WITH ORDINALITY u(x, n);
SELECT is(jsonb_build_array(fx.does(13, 'ended', a => 't ' || x || '#1', by => 20 + n::int, args => jsonb_build_object('outcome', x))),
	'["ok"]', 'outcome ' || x) FROM unnest('{busy,no_answer,declined,machine,invalid,unreachable,cancelled,failed}'::text[]) WITH ORDINALITY u(x, n);
SELECT is(jsonb_build_array((fx.a('t ' || x || '#1')).state, (fx.c('t ' || x)).state, (fx.c('t ' || x)).attempts),
	jsonb_build_array(x, 'ready_to_call', 1), 'is kept and counted: ' || x) FROM unnest('{busy,no_answer,declined,machine,invalid,unreachable,failed}'::text[]) x;
SELECT is(jsonb_build_array((fx.a('t cancelled#1')).state, (fx.c('t cancelled')).attempts), '["cancelled", 0]', 'what the agent broke off is not');
SELECT fx.callback('pbx', 'connected', ARRAY[fx.agent(30)]), fx.callback('pbx2', 'establishing', ARRAY[fx.agent(31)]);
SELECT is(fx.does(13, 'ended', a => 'pbx2#1', args => '{"outcome": "pbx_lost"}'), 'ok', 'the router may say that the exchange is gone');
SELECT is((fx.c('pbx2')).attempts, 0, 'which is not counted either');
SELECT fx.callback('phone', 'establishing', ARRAY[fx.agent(32)]);
SELECT is(fx.does(13, 'ended', a => 'phone#1', args => '{"outcome": "agent_offline"}'), 'ok', 'or that the agent''s telephone is');
SELECT is(jsonb_build_array((fx.a('phone#1')).state, (fx.c('phone')).attempts), '["agent_offline", 0]', 'nor is that');

-- others who may
SELECT is(fx.does(14, 'hold', a => 'pbx#1', by => 9, role => 'supervisor'), 'ok', 'a supervisor, for an agent');
SELECT is(fx.did(), 'call.on_hold:30', 'whom it concerns');
UPDATE agent_status SET talk_ms = 4294967296 WHERE tenant_id = fx.t() AND agent_id = 30;
SELECT fx.settle();
SELECT is(fx.does(14, 'ended', a => 'pbx#1', role => 'operator'), 'ok', 'an operator');
SELECT is((fx.s(30)).talk_ms, 4294967296 + 34000, 'it is his call, whoever ends it');

-- deadlines
SELECT fx.callback('rings', 'establishing', ARRAY[fx.agent(40)]), fx.callback('talks', 'on_hold', ARRAY[fx.agent(41)]);
SELECT is(fx.does(599.999, 'callback_deadline', 'rings', v => fx.v('rings')), 'not_due', 'nothing ends before its time');
SELECT is(fx.does(600, 'callback_deadline', 'rings', v => fx.v('rings')), 'ok', 'a dial nobody ended');
SELECT is(jsonb_build_array(fx.did(), fx.body() -> 'reason', (fx.a('rings#1')).state, (fx.c('rings')).state, ms((fx.c('rings')).deadline_at)),
	jsonb_build_array('call.ended:40', 'deadline', 'failed', 'ready_to_call', fx.ms(1200)), 'has failed');
SELECT is(fx.does(600, 'callback_deadline', 'talks', v => fx.v('talks')), 'ok', 'a call nobody ended');
SELECT is(jsonb_build_array((fx.a('talks#1')).state, (fx.c('talks')).state, (fx.c('talks')).attempt_id),
	jsonb_build_array('answered', 'ready_to_call', NULL), 'was answered all the same');
SELECT is((fx.s(41)).talk_ms, 620000::bigint, 'and is counted');
SELECT is((fx.s(40)).talk_ms, 0::bigint, 'as no other is');

SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
