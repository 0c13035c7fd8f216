-- close: how a callback leaves an agent or the queue: done, give back, retry, cancel, expire, deadline; and notes.
\ir fixture/company.sql
-- A callback in the hands of an agent made for it, one dial counted.
CREATE FUNCTION fx.held(p_name text, p_agent int, p_queue int DEFAULT 1, p_attempts int DEFAULT 1) RETURNS uuid LANGUAGE sql VOLATILE
AS $$ SELECT fx.callback(p_name, 'ready_to_call', ARRAY[fx.agent(p_agent)], p_queue, p_attempts) $$;
-- [state, reason, disposition, agent, ended at]
CREATE FUNCTION fx.shows(p_name text) RETURNS jsonb LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_array((fx.c(p_name)).state, (fx.c(p_name)).reason, (fx.c(p_name)).disposition, (fx.c(p_name)).agent_id,
		ms((fx.c(p_name)).ended_at))
$$;
-- [state, reason, idle since, deadline, what follows, why]
CREATE FUNCTION fx.stands(p_agent int) RETURNS jsonb LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_array((fx.s(p_agent)).state, (fx.s(p_agent)).reason, ms((fx.s(p_agent)).idle_since), ms((fx.s(p_agent)).deadline_at),
		(fx.s(p_agent)).next_state, (fx.s(p_agent)).next_reason)
$$;
SELECT plan(98);

-- done
SELECT fx.held('sold', 10);
SELECT is(fx.does(1, 'done', 'sold', by => 1, v => fx.v('sold')), 'not_found', 'only who holds it is done with it');
SELECT is(fx.does(1, 'done', 'sold', by => 10, v => fx.v('sold'), args => '{"disposition": "nonsense"}'), 'unknown_disposition', 'no such code');
SELECT is(fx.does(1, 'done', 'sold', by => 10, v => fx.v('sold'), args => '{"disposition": "old"}'), 'unknown_disposition', 'nor one that was removed');
SELECT is(fx.does(1, 'done', 'sold', by => 10, v => fx.v('sold'), args => '{"disposition": "sold", "note": "bought two"}', id => 'done'), 'ok', 'a code of class reached');
SELECT is(fx.did(), 'callback.completed:10 agent.after_call_work:10', 'completes it, and the agent wraps up');
SELECT is(fx.shows('sold'), jsonb_build_array('completed', 'sold', 'sold', NULL, fx.ms(1)), 'the callback is over');
SELECT is(fx.stands(10), jsonb_build_array('after_call_work', NULL, fx.ms(1), fx.ms(31), 'ready', NULL), 'for as long as the queue says');
SELECT is((SELECT jsonb_build_array(note_id, agent_id, body, ms(at)) FROM note WHERE tenant_id = fx.t() AND callback_id = fx.id('sold')),
	jsonb_build_array(fx.id('done'), 10, 'bought two', fx.ms(1)), 'with a note');
SELECT is((SELECT count(*)::int FROM event WHERE tenant_id = fx.t() AND body::text LIKE '%bought%'), 0, 'which the log does not know');
SELECT is(fx.does(2, 'done', 'sold', by => 10, v => fx.v('sold')), 'not_found', 'it is nobody''s now');
SELECT is(fx.does(2, 'done', 'sold', by => 9, role => 'supervisor', v => fx.v('sold')), 'wrong_state', 'and stays as it is');
SELECT is(fx.does(31, 'agent_deadline', agent => 10), 'ok', 'after-call work ends');
SELECT is(jsonb_build_array(fx.did()) || fx.stands(10), jsonb_build_array('agent.ready:10', 'ready', NULL, fx.ms(31), NULL, NULL, NULL), 'in what he was before');

SELECT fx.held('plain', 11);
UPDATE agent_status SET state = 'not_ready', reason = 'lunch' WHERE tenant_id = fx.t() AND agent_id = 11;
SELECT fx.settle();
SELECT is(fx.does(32, 'done', 'plain', by => 11, v => fx.v('plain')), 'ok', 'no code where none is required');
SELECT is(fx.shows('plain'), jsonb_build_array('completed', NULL, NULL, NULL, fx.ms(32)), 'completes it too');
SELECT is(fx.stands(11), jsonb_build_array('after_call_work', NULL, fx.ms(32), fx.ms(62), 'not_ready', 'lunch'), 'he said lunch meanwhile');
SELECT is(fx.does(61.999, 'agent_deadline', agent => 11), 'not_due', 'not yet');
SELECT is(fx.does(62, 'agent_deadline', agent => 11), 'ok', 'now');
SELECT is(jsonb_build_array(fx.did()) || fx.stands(11), jsonb_build_array('agent.not_ready:11', 'not_ready', 'lunch', fx.ms(62), NULL, NULL, NULL), 'lunch it is');

SELECT fx.held('strict', 12, 2);
SELECT is(fx.does(63, 'done', 'strict', by => 12, v => fx.v('strict')), 'disposition_required', 'this queue wants a code');
SELECT is(fx.does(63, 'done', 'strict', by => 12, v => fx.v('strict'), args => '{"disposition": "sold"}'), 'ok', 'here it is');
SELECT is(jsonb_build_array(fx.did()) || fx.stands(12), jsonb_build_array('callback.completed:12', 'ready', NULL, fx.ms(63), NULL, NULL, NULL), 'and no after-call work: he is idle at once');
SELECT is(fx.body() #> '{status,idle_since_at}', to_jsonb(fx.ms(63)), 'which the same event says');

SELECT fx.held('gone', 13);
UPDATE agent_status SET state = 'logged_out' WHERE tenant_id = fx.t() AND agent_id = 13;
SELECT fx.settle();
SELECT is(fx.does(64, 'done', 'gone', by => 9, role => 'supervisor', v => fx.v('gone')), 'ok', 'a supervisor, for one who signed out');
SELECT is(fx.did() || (fx.s(13)).state, 'callback.completed:13logged_out', 'who does not wrap up');

SELECT fx.held('again', 14, p_attempts => 2), fx.held('worn', 15, p_attempts => 3), fx.held('stop', 16);
SELECT is(fx.does(65, 'done', 'again', by => 14, v => fx.v('again'), args => '{"disposition": "again"}'), 'ok', 'a code of class retry');
SELECT is(fx.did(), 'callback.retry:14 agent.after_call_work:14', 'has it tried again');
SELECT is(fx.shows('again'), jsonb_build_array('scheduled', 'again', 'again', NULL, NULL), 'it waits');
SELECT is(jsonb_build_array(ms((fx.c('again')).due_at), ms((fx.c('again')).expires_at), ms((fx.c('again')).promise_at), (fx.c('again')).tried),
	jsonb_build_array(fx.ms(965), fx.ms(965 + 86400), fx.ms(-60), NULL), 'as long as the queue says, in its old place, with a whole promise window');
SELECT is(fx.does(65, 'done', 'worn', by => 15, v => fx.v('worn'), args => '{"disposition": "again"}'), 'ok', 'but not for ever');
SELECT is(jsonb_build_array(fx.did()) || fx.shows('worn'), jsonb_build_array('callback.failed:15 agent.after_call_work:15', 'failed', 'max_attempts', 'again', NULL, fx.ms(65)), 'attempts used up');
SELECT is(fx.does(65, 'done', 'stop', by => 16, v => fx.v('stop'), args => '{"disposition": "wrong_number"}'), 'ok', 'a code of class stop');
SELECT is(fx.shows('stop'), jsonb_build_array('failed', 'wrong_number', 'wrong_number', NULL, fx.ms(65)), 'fails it');

-- give back
SELECT fx.held('back', 20), fx.held('taken', 21);
SELECT is(fx.does(70, 'give_back', 'back', by => 20, v => fx.v('back'), args => '{"reason": "speaks French"}'), 'ok', 'give back');
SELECT is(fx.did(), 'callback.given_back:20', 'one event');
SELECT is(fx.shows('back') || (fx.c('back')).tried, jsonb_build_array('scheduled', 'speaks French', NULL, NULL, NULL, jsonb_build_array(20, fx.ms(70))), 'it waits, and he was tried');
SELECT is(fx.stands(20), jsonb_build_array('ready', NULL, fx.ms(70), NULL, NULL, NULL), 'he goes to the end of the line');
SELECT is(fx.does(70, 'give_back', 'taken', by => 9, role => 'supervisor', v => fx.v('taken')), 'ok', 'a supervisor takes it away');
SELECT is(fx.did(), 'callback.given_back:21', 'which concerns him who had it');

-- retry at a time
SELECT fx.held('r', 22), fx.held('r2', 23, 2), fx.held('r3', 24, p_attempts => 3);
SELECT is(fx.does(80, 'retry', 'r', by => 22, v => fx.v('r'), args => x), 'bad_time', 'not at ' || x::text)
  FROM unnest(ARRAY['{"at": []}', '{}', '{"in_s": -1}', '{"in_s": 31622401}', '{"in_s": 1e300}', '{"in_s": "soon"}', '{"at": null}',
	jsonb_build_object('at', fx.ms(79))]) x;
SELECT is(fx.body() -> 'errors', '[{"field": "at", "message": "is missing, past, or more than a year ahead"}]', 'which is said of the field');
SELECT is(fx.does(80, 'retry', 'r', by => 22, v => fx.v('r'), args => jsonb_build_object('at', fx.ms(7200), 'reason', 'in a meeting')), 'ok', 'at a time');
SELECT is(jsonb_build_array(fx.did()) || fx.shows('r'), jsonb_build_array('callback.retry:22', 'scheduled', 'in a meeting', NULL, NULL, NULL), 'it waits');
SELECT is(jsonb_build_array(ms((fx.c('r')).due_at), ms((fx.c('r')).promise_at), (fx.c('r')).promise_local, ms((fx.c('r')).expires_at)),
	jsonb_build_array(fx.ms(7200), fx.ms(7200), fx.ts(7200) AT TIME ZONE 'Europe/Berlin', fx.ms(7200 + 86400)), 'with a new promise, and its window');
SELECT is(fx.does(80, 'retry', 'r2', by => 23, v => fx.v('r2'), args => '{"in_s": 0}'), 'ok', 'at once');
SELECT is(jsonb_build_array(ms((fx.c('r2')).due_at), (fx.c('r2')).expires_at), jsonb_build_array(fx.ms(80), NULL), 'where promises do not expire');
SELECT is(fx.does(80, 'retry', 'r3', by => 24, v => fx.v('r3'), args => '{"in_s": 60}'), 'ok', 'once too often');
SELECT is(jsonb_build_array(fx.did()) || fx.shows('r3'), jsonb_build_array('callback.failed:24', 'failed', 'max_attempts', NULL, NULL, fx.ms(80)), 'fails');
SELECT is(ms((fx.c('r3')).promise_at), fx.ms(-60), 'and promises nothing');

-- cancel
SELECT fx.callback('w'), fx.callback('o', 'offered', '{1, 2}'), fx.held('h', 25), fx.held('mine', 26);
SELECT is(fx.does(90, 'cancel', 'w', by => 1), 'not_found', 'an agent cannot cancel what is not his');
SELECT is(fx.does(90, 'cancel', 'w', role => 'contact', args => '{"reason": "contact"}'), 'ok', 'a contact can, without a version');
SELECT is(jsonb_build_array(fx.did()) || fx.shows('w'), jsonb_build_array('callback.cancelled', 'cancelled', 'contact', NULL, NULL, fx.ms(90)), 'it is over');
SELECT is(fx.does(90, 'give_back', 'h', role => 'contact', v => fx.v('h')), 'not_found', 'and nothing else');
SELECT is(fx.does(90, 'cancel', 'o', role => 'operator'), 'ok', 'one that is offered');
SELECT is(fx.did(), 'callback.cancelled offer.cancelled:1 offer.cancelled:2', 'its offers with it');
SELECT is(fx.does(90, 'accept', o => 'o/1', by => 1), 'offer_not_pending', 'they cannot be accepted');
SELECT is(fx.does(90, 'cancel', 'h', role => 'contact'), 'ok', 'one that is held');
SELECT is(jsonb_build_array(fx.did()) || fx.stands(25), jsonb_build_array('callback.cancelled:25', 'ready', NULL, fx.ms(90), NULL, NULL, NULL), 'the holder learns it and is idle');
SELECT is(fx.does(90, 'cancel', 'mine', by => 26, v => fx.v('mine')), 'ok', 'the holder himself');

-- expire
SELECT fx.callback('e'), fx.callback('never'), fx.callback('led', p_linked_to => 'e');
UPDATE callback SET expires_at = NULL WHERE tenant_id = fx.t() AND callback_id = fx.id('never');
SELECT fx.settle();
SELECT is(fx.does(3599.999, 'expire', 'e', v => fx.v('e')), 'not_due', 'a promise is kept to its end');
SELECT is(fx.does(3600, 'expire', 'never', v => fx.v('never')), 'not_due', 'or for ever');
SELECT is(fx.does(3600, 'expire', 'led', v => fx.v('led')), 'linked', 'or as long as its leader''s');
SELECT is(fx.does(3600, 'expire', 'e', v => fx.v('e')), 'ok', 'now');
SELECT is(jsonb_build_array(fx.did()) || fx.shows('e'), jsonb_build_array('callback.expired callback.expired', 'expired', 'promise_window', NULL, NULL, fx.ms(3600)), 'it is over, and its followers');

-- accepted and left lying
SELECT fx.held('lying', 30), fx.held('lying and worn', 31, p_attempts => 3);
UPDATE callback SET deadline_at = fx.ts(4000) WHERE tenant_id = fx.t() AND callback_id IN (fx.id('lying'), fx.id('lying and worn'));
SELECT fx.settle();
SELECT is(fx.does(3999, 'callback_deadline', 'lying', v => fx.v('lying')), 'not_due', 'he has his time');
SELECT is(fx.does(4000, 'callback_deadline', 'lying', v => fx.v('lying')), 'ok', 'which ends');
SELECT is(jsonb_build_array(fx.did()) || fx.shows('lying'), jsonb_build_array('callback.given_back:30', 'scheduled', 'deadline', NULL, NULL, NULL), 'it is taken from him');
SELECT is(fx.body() ->> 'reason', 'deadline', 'and the event says why');
SELECT is(fx.does(4000, 'callback_deadline', 'lying and worn', v => fx.v('lying and worn')), 'ok', 'one with no attempts left');
SELECT is(jsonb_build_array(fx.did()) || fx.shows('lying and worn'), jsonb_build_array('callback.failed:31', 'failed', 'max_attempts', NULL, NULL, fx.ms(4000)), 'has failed');

-- notes
SELECT fx.held('n', 32);
SELECT is(fx.does(4001, 'note', 'n', by => 1, args => '{"text": "x"}'), 'not_found', 'who does not hold it writes nothing');
SELECT is(fx.does(4001, 'note', 'n', by => 32, args => '{"text": "call after six"}', id => 'note'), 'ok', 'who does, writes');
SELECT is(fx.did() || (fx.c('n')).state || (fx.c('n')).agent_id, 'callback.noted:32ready_to_call32', 'and nothing moves');
SELECT is((SELECT body FROM note WHERE tenant_id = fx.t() AND note_id = fx.id('note')), 'call after six', 'it is kept');
SELECT is(fx.does(4001, 'note', 'n', by => 32, args => '{"text": "call after six"}', id => 'note'), 'ok', 'said again');
SELECT is((SELECT count(*)::int FROM note WHERE tenant_id = fx.t() AND callback_id = fx.id('n')), 1, 'it is kept once');
SELECT is(fx.does(4001, 'note', 'n', by => 32, args => jsonb_build_object('text', x)), 'invalid', 'neither nothing nor a book')
  FROM unnest(ARRAY['', repeat('ä', 4001)]) x;
SELECT is(fx.body() #>> '{errors,0,field}', 'text', 'the refusal names the field');
SELECT is(fx.does(4001, 'note', 'n', by => 32, args => jsonb_build_object('text', repeat('ä', 4000))), 'ok', 'a long one');
SELECT is(fx.does(4001, 'done', 'n', by => 32, v => fx.v('n'), args => jsonb_build_object('note', repeat('ä', 4001))), 'invalid', 'the same when done');

SELECT fx.callback('open', 'offered', '{1, 2}');
SELECT is(fx.does(4001, 'note', 'open', by => 9, role => 'supervisor', args => '{"text": "knows us well"}'), 'ok', 'one on a callback that is offered');
SELECT is(fx.did(), 'callback.noted', 'leaves the offers alone');

SELECT is(fx.broken(), '', 'rows and log agree');

-- ---- escalated ----
UPDATE queue SET window_end = 'escalate' WHERE tenant_id = fx.t() AND queue_id = 1;
SELECT is(fx.callback('late'), fx.id('late'), 'one whose window ends at an hour');
SELECT is(fx.does(3600, 'expire', 'late', v => fx.v('late')), 'ok', 'it does');
SELECT is(fx.did(), 'callback.escalated', 'it is escalated');
SELECT is(jsonb_build_array((fx.c('late')).state, (fx.c('late')).priority, (fx.c('late')).expires_at, (fx.c('late')).reason),
	'["scheduled", 1000, null, "promise_window"]', 'first of all, and for ever');
SELECT is(fx.does(3601, 'expire', 'late', v => fx.v('late')), 'not_due', 'once');
SELECT is(fx.does(3602, 'reschedule', 'late', role => 'contact', args => '{"at": 1790010000000}'), 'ok', 'another time');
SELECT is(jsonb_build_array((fx.c('late')).priority, ms((fx.c('late')).expires_at)), jsonb_build_array(0, 1790010000000 + 86400000), 'is another promise');
SELECT * FROM finish();
ROLLBACK;
