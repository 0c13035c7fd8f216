-- stale: what comes late, twice, or from somebody who saw an older state changes nothing.
\ir fixture/company.sql
-- What is refused leaves every row and the log alone: a digest of all of them.
CREATE FUNCTION fx.digest() RETURNS text LANGUAGE sql STABLE
AS $$
	SELECT md5(coalesce((SELECT string_agg(x::text, '' ORDER BY x.callback_id) FROM callback x WHERE tenant_id = fx.t()), '')
		|| coalesce((SELECT string_agg(x::text, '' ORDER BY x.offer_id) FROM offer x WHERE tenant_id = fx.t()), '')
		|| coalesce((SELECT string_agg(x::text, '' ORDER BY x.attempt_id) FROM attempt x WHERE tenant_id = fx.t()), '')
		|| coalesce((SELECT string_agg(x::text, '' ORDER BY x.agent_id) FROM agent_status x WHERE tenant_id = fx.t()), '')
		|| coalesce((SELECT string_agg(x::text, '' ORDER BY x.note_id) FROM note x WHERE tenant_id = fx.t()), '')
		|| fx.head())
$$;
CREATE TABLE fx.before (digest text);
CREATE FUNCTION fx.nothing_changed() RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT digest = fx.digest() FROM fx.before $$;
SELECT plan(58);

-- versions: what was decided on an older look at the callback
SELECT fx.callback(x, s, ARRAY[fx.agent(20 + n)])
  FROM (VALUES ('offer', 'scheduled', 1), ('call', 'ready_to_call', 2), ('done', 'ready_to_call', 3), ('give_back', 'ready_to_call', 4),
	('retry', 'ready_to_call', 5), ('cancel', 'scheduled', 6), ('expire', 'scheduled', 7), ('callback_deadline', 'connected', 8)) v(x, s, n);
INSERT INTO fx.before SELECT fx.digest();
SELECT is(fx.does(4000, x, x, v => fx.v(x) + d, "to" => fx.to(x, 1), args => '{"in_s": 60}'), 'stale_version', x || ' at version ' || d)
  FROM unnest('{offer,call,done,give_back,retry,cancel,expire,callback_deadline}'::text[]) x, unnest('{-1,1}'::int[]) d;
SELECT ok(fx.body() #> '{callback,seq}' = to_jsonb(fx.v('callback_deadline')), 'the refusal shows the version that counts');
SELECT ok(fx.nothing_changed(), 'nothing changed');

-- two of the same mind: the second comes too late
SELECT is(fx.does(4001, 'offer', 'offer', v => fx.v('offer'), "to" => fx.to('offer', 1)), 'ok', 'one router');
SELECT is(fx.does(4001, 'offer', 'offer', v => fx.v('offer') - 1, "to" => fx.to('offer', 2)), 'stale_version', 'another');
SELECT is(fx.does(4001, 'offer', 'offer', v => fx.v('offer'), "to" => fx.to('offer', 2)), 'wrong_state', 'even if it has seen it');
SELECT is(fx.does(4002, 'accept', o => 'offer/1', by => 1), 'ok', 'the agent accepts');
TRUNCATE fx.before; INSERT INTO fx.before SELECT fx.digest();
SELECT is(fx.does(5000, 'offer_timeout', o => 'offer/1'), 'offer_not_pending', 'the timeout that was under way');
SELECT is(fx.does(5000, 'reject', o => 'offer/1', by => 1), 'offer_not_pending', 'another tab rejects');
SELECT is(fx.does(5000, 'accept', o => 'offer/1', by => 1), 'offer_not_pending', 'or accepts');
SELECT ok(fx.nothing_changed(), 'nothing changed');

-- an offer of the round before
SELECT is(fx.does(5001, 'give_back', 'offer', by => 1, v => fx.v('offer')), 'ok', 'given back');
SELECT is(fx.does(5002, 'offer', 'offer', v => fx.v('offer'), "to" => jsonb_build_array(jsonb_build_object('offer', fx.id('second'), 'agent', 1))), 'ok', 'offered to him again');
TRUNCATE fx.before; INSERT INTO fx.before SELECT fx.digest();
SELECT is(fx.does(5003, x, o => 'offer/1', by => CASE WHEN x <> 'offer_timeout' THEN 1 END), 'offer_not_pending', x || ' of the first offer')
  FROM unnest('{accept,reject,offer_timeout}'::text[]) x;
SELECT ok(fx.nothing_changed(), 'leaves the second alone');
SELECT is(fx.does(5004, 'accept', o => 'second', by => 1), 'ok', 'which can be accepted');

-- an attempt of the dial before
SELECT is(fx.does(5005, 'call', 'offer', by => 1, v => fx.v('offer'), id => 'first dial'), 'ok', 'a dial');
SELECT is(fx.does(5006, 'ended', a => 'first dial', by => 1, args => '{"outcome": "no_answer"}'), 'ok', 'ends');
TRUNCATE fx.before; INSERT INTO fx.before SELECT fx.digest();
SELECT is(fx.does(5007, 'ended', a => 'first dial', by => 1, args => '{"outcome": "busy"}'), 'attempt_over', 'its end, said twice');
SELECT is(fx.does(5007, 'connected', a => 'first dial', by => 1), 'attempt_over', 'or answered after all');
SELECT ok(fx.nothing_changed(), 'nothing changed');
SELECT is(fx.does(5008, 'call', 'offer', by => 1, v => fx.v('offer'), id => 'second dial'), 'ok', 'the second dial');
TRUNCATE fx.before; INSERT INTO fx.before SELECT fx.digest();
SELECT is(fx.does(5009, x, a => 'first dial', by => 1, args => CASE x WHEN 'ended' THEN '{"outcome": "busy"}'::jsonb END), 'attempt_over', x || ' of the first, late')
  FROM unnest('{ended,connected,hold,retrieve}'::text[]) x;
SELECT is(fx.body() #> '{callback,attempt}', to_jsonb(fx.id('second dial')), 'the refusal names the one that counts');
SELECT ok(fx.nothing_changed(), 'leaves the second alone');
SELECT is(fx.does(5010, 'connected', a => 'second dial', by => 1), 'ok', 'which is answered');
SELECT is(fx.does(5011, 'callback_deadline', 'offer', v => fx.v('offer') - 1), 'stale_version', 'the deadline of the dial is not that of the call');

-- ids: a command that was done is answered as it was, whatever has happened since
SELECT is(fx.does(5012, 'ended', a => 'second dial', by => 1, id => 'end'), 'ok', 'a command');
CREATE TABLE fx.first AS SELECT seq, body FROM fx.last;
SELECT is(fx.does(5013, 'done', 'offer', by => 1, v => fx.v('offer'), id => 'done'), 'ok', 'and more');
TRUNCATE fx.before; INSERT INTO fx.before SELECT fx.digest();
SELECT is(fx.does(5014, 'ended', a => 'second dial', by => 1, id => 'end'), 'ok', 'the first again');
SELECT is((SELECT jsonb_build_array(seq, body) FROM fx.last), (SELECT jsonb_build_array(seq, body) FROM fx.first), 'has the first answer');
SELECT is(fx.does(5014, 'accept', o => 'second', by => 1, id => 'end'), 'ok', 'whatever else it says');
SELECT is((SELECT seq FROM fx.last), (SELECT seq FROM fx.first), 'the id counts');
SELECT ok(fx.nothing_changed(), 'nothing changed');
SELECT fx.execute(5015, fx.command('not_ready', by => 2, agent => 2, id => 'twin'), fx.command('not_ready', by => 2, agent => 2, id => 'twin'));
SELECT is((SELECT count(DISTINCT (seq, body)) FROM fx.last WHERE refusal IS NULL), 1::bigint, 'twice in one batch it has the same answer');
SELECT is((SELECT count(*) FROM fx.last), 2::bigint, 'each of the two');
SELECT is(fx.did(), 'agent.not_ready:2', 'and is done once');

SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
