-- linked: several requests of one number are one call; what its end is to the others.
\ir fixture/company.sql
-- [state, reason, linked to]
CREATE FUNCTION fx.shows(p_name text) RETURNS jsonb LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_array((fx.c(p_name)).state, (fx.c(p_name)).reason, (fx.c(p_name)).linked_to) $$;
-- A leader "<name>" and two that are linked to it, "<name>+" and, younger, "<name>++".
CREATE FUNCTION fx.three(p_name text, p_state text, p_agent int) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM fx.callback(p_name, p_state, ARRAY[fx.agent(p_agent)]);
	PERFORM fx.callback(p_name || '++', p_linked_to => p_name);
	PERFORM fx.callback(p_name || '+', p_linked_to => p_name);
	UPDATE callback SET created_at = fx.ts(-100) WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name || '+');
	UPDATE callback SET created_at = fx.ts(-90) WHERE tenant_id = fx.t() AND callback_id = fx.id(p_name || '++');
	PERFORM fx.settle();
END
$$;
SELECT plan(27);

SELECT fx.three('done', 'ready_to_call', 10), fx.three('stop', 'ready_to_call', 11), fx.three('old', 'scheduled', 12), fx.three('worn', 'offered', 13);
UPDATE callback SET offers = 5 WHERE tenant_id = fx.t() AND callback_id = fx.id('worn');
SELECT fx.settle();

SELECT is(fx.does(1, 'done', 'done', by => 10, v => fx.v('done'), args => '{"disposition": "sold"}'), 'ok', 'the one that was called is done');
SELECT is(fx.did(), 'callback.completed:10 agent.after_call_work:10 callback.completed callback.completed', 'so are the others');
SELECT is(fx.shows('done+'), jsonb_build_array('completed', 'linked', fx.id('done')), 'linked to it for ever');
SELECT is(ms((fx.c('done++')).ended_at), fx.ms(1), 'at the same moment');
SELECT is(fx.does(2, 'done', 'stop', by => 11, v => fx.v('stop'), args => '{"disposition": "wrong_number"}'), 'ok', 'failed');
SELECT is(fx.shows('stop+'), jsonb_build_array('failed', 'linked', fx.id('stop')), 'all failed');
SELECT is(fx.does(3, 'reject', o => 'worn/13', by => 13), 'ok', 'failed for want of takers');
SELECT is(fx.did(), 'offer.rejected:13 callback.failed callback.failed callback.failed', 'all failed');
SELECT is(fx.does(3600, 'expire', 'old', v => fx.v('old')), 'ok', 'expired');
SELECT is(fx.shows('old++'), jsonb_build_array('expired', 'linked', fx.id('old')), 'all expired');

-- tried again: nothing has ended
SELECT fx.three('again', 'ready_to_call', 14);
SELECT is(fx.does(3601, 'done', 'again', by => 14, v => fx.v('again'), args => '{"disposition": "again"}'), 'ok', 'to be tried again');
SELECT is(fx.did(), 'callback.retry:14 agent.after_call_work:14', 'concerns it alone');
SELECT is(fx.shows('again+'), jsonb_build_array('scheduled', NULL, fx.id('again')), 'the others go on waiting for it');

-- cancelled: that one only
SELECT fx.three('gone', 'offered', 15);
SELECT is(fx.does(3602, 'cancel', 'gone', role => 'contact'), 'ok', 'the contact cancels one');
SELECT is(fx.did(), 'callback.cancelled offer.cancelled:15 callback.linked callback.linked', 'the others are told');
SELECT is(fx.shows('gone+'), jsonb_build_array('scheduled', NULL, NULL), 'the oldest is called instead');
SELECT is(fx.shows('gone++'), jsonb_build_array('scheduled', NULL, fx.id('gone+')), 'for the youngest too');
SELECT is(fx.does(3603, 'cancel', 'gone++', role => 'contact'), 'ok', 'he cancels a follower');
SELECT is(fx.did() || fx.shows('gone+')::text, 'callback.cancelled["scheduled", null, null]', 'the leader is not touched');
SELECT is(fx.does(3604, 'cancel', 'gone+', role => 'contact'), 'ok', 'and the last');
SELECT is(fx.did(), 'callback.cancelled', 'nobody is left');

-- several leaders in one run
SELECT fx.three('x', 'scheduled', 16), fx.three('y', 'scheduled', 17);
SELECT fx.execute(3605, fx.command('cancel', 'x', role => 'operator') || '{"run": 1}', fx.command('cancel', 'y', role => 'operator') || '{"run": 1}');
SELECT is((SELECT array_agg(refusal) FROM fx.last), '{NULL,NULL}', 'two cancelled at once');
SELECT is(fx.shows('x++') || fx.shows('y++'), jsonb_build_array('scheduled', NULL, fx.id('x+'), 'scheduled', NULL, fx.id('y+')), 'each has its own heir');
SELECT is((SELECT array_agg(l.body #>> '{callback,id}' ORDER BY l.ord) FROM fx.last l), ARRAY[fx.id('x')::text, fx.id('y')::text], 'each command its own answer');
SELECT is((SELECT count(*)::int FROM event WHERE tenant_id = fx.t() AND seq > (SELECT seq FROM fx.mark) AND command_id IS NOT NULL), 2, 'one event each bears the command''s id');

-- a leader and its follower in one run touch the same row
SELECT throws_ok($$ SELECT fx.execute(3606, fx.command('cancel', 'x+', role => 'operator') || '{"run": 1}',
	fx.command('cancel', 'x++', role => 'operator') || '{"run": 1}') $$, 'CB002', NULL, 'a leader and its follower are not for one run');

SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
