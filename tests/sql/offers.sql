-- offers: who may be offered what, and what accept, reject and timeout make of it.
\ir fixture/company.sql
SELECT plan(99);

-- one offer, accepted
SELECT fx.callback('plain');
SELECT is(fx.does(0, 'offer', 'plain', v => fx.v('plain'), "to" => fx.to('plain', 1), id => 'offer'), 'ok', 'an offer');
SELECT is(fx.did(), 'offer.created:1', 'is one event');
SELECT is(fx.body() #>> '{callback,state}', 'offered', 'with the callback');
SELECT is(fx.body() #> '{offer,deadline_at}', to_jsonb(fx.ms(20)), 'and the offer and its deadline');
SELECT is((SELECT command_id FROM event WHERE tenant_id = fx.t() AND seq = fx.head()), fx.id('offer'), 'the event knows its command');
SELECT is((SELECT callback_id FROM event WHERE tenant_id = fx.t() AND seq = fx.head()), fx.id('plain'), 'and its callback');
SELECT is(fx.does(1, 'accept', o => 'plain/1', by => 2), 'not_found', 'an offer to somebody else is none');
SELECT is(fx.body(), '{}'::jsonb, 'and nothing is shown of it');
SELECT is(fx.does(1, 'accept', o => 'nothing', by => 1), 'not_found', 'nor is one that never was');
UPDATE agent_status SET missed = 2 WHERE tenant_id = fx.t() AND agent_id = 1;
SELECT fx.settle();
SELECT is(fx.does(1, 'accept', o => 'plain/1', by => 1), 'ok', 'accept');
SELECT is(fx.did(), 'offer.accepted:1', 'is one event');
SELECT is(jsonb_build_array((fx.c('plain')).state, (fx.c('plain')).agent_id, ms((fx.c('plain')).deadline_at)), jsonb_build_array('ready_to_call', 1, fx.ms(601)),
	'the callback is his, for as long as the queue says');
SELECT is((fx.s(1)).missed, 0, 'what he missed before is forgotten');
SELECT is(fx.does(2, 'accept', o => 'plain/1', by => 1), 'offer_not_pending', 'not twice');
SELECT is(fx.body() #>> '{offer,state}', 'accepted', 'and the refusal shows how it stands');

-- who is not offered anything
SELECT fx.callback('who');
UPDATE agent_status SET connected = false WHERE tenant_id = fx.t() AND agent_id = 2;
UPDATE agent_status SET state = 'not_ready' WHERE tenant_id = fx.t() AND agent_id = 3;
UPDATE agent SET removed = true WHERE tenant_id = fx.t() AND agent_id = 4;
SELECT is(fx.does(2, 'offer', 'who', v => fx.v('who'), "to" => fx.to('who', n)), 'agent_unavailable', 'not to one who ' || why)
  FROM (VALUES (1, 'holds another'), (2, 'has no desk'), (3, 'is not ready'), (4, 'was removed'), (7, 'is logged out'), (99, 'does not exist')) x(n, why);
SELECT fx.callback('theirs', 'offered', '{5}');
SELECT is(fx.does(2, 'offer', 'who', v => fx.v('who'), "to" => fx.to('who', 5)), 'agent_unavailable', 'not to one who was offered another');
SELECT is(fx.does(2, 'offer', 'who', v => fx.v('who'), "to" => fx.to('who', 1, 2, 3, 4, 5, 6)), 'ok', 'those who are not available are left out');
SELECT is(fx.did(), 'offer.created:6', 'the others are offered it');
SELECT is((fx.c('who')).offers, 1, 'and only they are counted');

-- what is not offered
SELECT fx.callback('later');
UPDATE callback SET due_at = fx.ts(100) WHERE tenant_id = fx.t() AND callback_id = fx.id('later');
SELECT fx.settle();
SELECT is(fx.does(3, 'offer', 'later', v => fx.v('later'), "to" => fx.to('later', 9)), 'not_due', 'the router waits until it is due');
SELECT is(fx.does(3, 'offer', 'later', v => fx.v('later'), by => 9, role => 'supervisor', "to" => fx.to('later', 9)), 'ok', 'a supervisor need not');
SELECT fx.callback('follower', p_linked_to => 'later');
SELECT is(fx.does(3, 'offer', 'follower', v => fx.v('follower'), "to" => fx.to('follower', 6)), 'linked', 'a linked one is called with its leader');
SELECT is(fx.does(3, 'offer', 'nothing', v => 1, "to" => fx.to('nothing', 6)), 'not_found', 'what there is not');

-- several at once
SELECT fx.agent(n) FROM generate_series(11, 16) n;
SELECT fx.callback('ring', p_queue => 2);
SELECT is(fx.does(4, 'offer', 'ring', v => fx.v('ring'), "to" => fx.to('ring', 11, 12, 13)), 'ok', 'ring_all');
SELECT is(fx.did(), 'offer.created:11 offer.created:12 offer.created:13', 'an event for each');
SELECT is(fx.does(5, 'reject', o => 'ring/12', by => 12, args => '{"reason": "lunch"}'), 'ok', 'one rejects');
SELECT is((fx.c('ring')).state, 'offered', 'the others still have it');
SELECT is((fx.o('ring/12')).reason, 'lunch', 'and the reason is kept');
SELECT is(fx.does(6, 'accept', o => 'ring/13', by => 13), 'ok', 'another accepts');
SELECT is(fx.did(), 'offer.accepted:13 offer.rescinded:11', 'it is rescinded for the rest');
SELECT is((fx.body() #>> '{callback,seq}')::bigint, fx.v('ring'), 'the version he is answered is the one that counts');
SELECT is(fx.does(6, 'accept', o => 'ring/11', by => 11), 'offer_not_pending', 'who comes second learns it');
SELECT is(fx.body() #>> '{callback,agent}', '13', 'and who was first');
SELECT is((fx.c('ring')).tried, NULL, 'who was tried before does not matter any more');

-- back to the queue
SELECT fx.callback('back', 'offered', '{14, 15}', 2);
SELECT is(fx.does(7, 'reject', o => 'back/14', by => 14), 'ok', 'the first rejects');
SELECT is(fx.does(8, 'reject', o => 'back/15', by => 15), 'ok', 'the last rejects');
SELECT is((fx.c('back')).state, 'scheduled', 'it waits again');
SELECT is((fx.c('back')).tried, jsonb_build_array(jsonb_build_array(14, fx.ms(7)), jsonb_build_array(15, fx.ms(8))), 'and remembers whom it was offered');
SELECT is(ms((fx.s(15)).idle_since), fx.ms(8), 'who rejects goes to the end of the line');
SELECT is(fx.does(9, 'offer', 'back', v => fx.v('back'), "to" => jsonb_build_array(jsonb_build_object('offer', fx.id('back again'), 'agent', 14))), 'ok', 'the first again');
SELECT is(fx.does(10, 'reject', o => 'back again', by => 14), 'ok', 'rejects again');
SELECT is((fx.c('back')).tried, jsonb_build_array(jsonb_build_array(15, fx.ms(8)), jsonb_build_array(14, fx.ms(10))), 'everybody is in the list once');

-- the deadline
SELECT fx.callback('slow', 'offered', '{16}');
SELECT is(fx.does(19.999, 'offer_timeout', o => 'slow/16'), 'not_due', 'no timeout before the deadline');
SELECT is(fx.does(20, 'offer_timeout', o => 'slow/16'), 'ok', 'at the deadline');
SELECT is(fx.did(), 'offer.timeout:16', 'a missed one');
SELECT is((fx.s(16)).missed, 1, 'is counted');
SELECT is((fx.s(16)).state, 'ready', 'and forgiven, the first');
UPDATE agent_status SET missed = 2 WHERE tenant_id = fx.t() AND agent_id = 16;
SELECT fx.settle();
SELECT fx.callback('slow2', 'offered', '{16}');
SELECT is(fx.does(21, 'offer_timeout', o => 'slow2/16'), 'ok', 'the third');
SELECT is(fx.did(), 'offer.timeout:16 agent.not_ready:16', 'is one too many');
SELECT is(jsonb_build_array((fx.s(16)).state, (fx.s(16)).reason, ms((fx.s(16)).deadline_at)), jsonb_build_array('not_ready', 'missed', fx.ms(321)), 'he rests');
SELECT is(fx.does(320, 'agent_deadline', agent => 16), 'not_due', 'for a while');
SELECT is(fx.does(321, 'agent_deadline', agent => 16), 'ok', 'and is ready again');
SELECT is(jsonb_build_array((fx.s(16)).state, (fx.s(16)).missed, (fx.s(16)).deadline_at), jsonb_build_array('ready', 0, NULL), 'with a clean slate');
SELECT fx.callback('slow3', 'offered', '{14}', 2);
SELECT is(fx.does(321, 'offer_timeout', o => 'slow3/14'), 'ok', 'where one is too many and no rest is set');
SELECT is(jsonb_build_array((fx.s(14)).state, (fx.s(14)).deadline_at), jsonb_build_array('not_ready', NULL), 'he must say himself when he is ready');

-- offers used up
SELECT fx.callback('worn', 'offered', '{16}', p_offers => 5);
SELECT is(fx.does(322, 'reject', o => 'worn/16', by => 16), 'ok', 'the last offer that the queue allows');
SELECT is(fx.did() || ' ' || (fx.c('worn')).reason, 'offer.rejected:16 callback.failed max_offers', 'fails it');

-- what strategies go by: turns, and what was accepted
CREATE FUNCTION fx.stands(agent int) RETURNS jsonb LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_array((fx.s(agent)).offered_seq, (fx.s(agent)).accepted) $$;
SELECT fx.agent(n) FROM generate_series(31, 35) n;
SELECT fx.callback('turn', p_queue => 2);
SELECT is(fx.does(330, 'offer', 'turn', v => fx.v('turn'), "to" => fx.to('turn', 31, 32, 33, 34)), 'ok', 'four are offered it');
SELECT (fx.o('turn/31')).seq AS o31, (fx.o('turn/32')).seq AS o32, (fx.o('turn/33')).seq AS o33 \gset
SELECT is(jsonb_agg(fx.stands(n)), '[[null, 0], [null, 0], [null, 0], [null, 0]]', 'which uses up nobody''s turn yet') FROM generate_series(31, 34) n;
SELECT is(fx.does(331, 'reject', o => 'turn/31', by => 31), 'ok', 'one rejects');
SELECT is(fx.stands(31), jsonb_build_array(:o31, 0), 'that was his turn, as of when he was offered it');
SELECT is(fx.body() #> '{status,offered_seq}', to_jsonb(:o31), 'as his status tells');
SELECT is(fx.does(350, 'offer_timeout', o => 'turn/32'), 'ok', 'one misses it');
SELECT is(fx.stands(32), jsonb_build_array(:o32, 0), 'that was his');
SELECT is(fx.does(350, 'accept', o => 'turn/33', by => 33), 'ok', 'one accepts');
SELECT is(fx.stands(33), jsonb_build_array(:o33, 1), 'that was his, and is counted');
SELECT is(fx.stands(34), '[null, 0]', 'who was too slow has his turn before him');
SELECT fx.callback('withdrawn', 'offered', '{34}');
SELECT is(fx.does(351, 'cancel', 'withdrawn', role => 'operator', v => fx.v('withdrawn')), 'ok', 'the callback is cancelled');
SELECT is(fx.did() || fx.stands(34)::text, 'callback.cancelled offer.cancelled:34[null, 0]', 'so has he');
SELECT fx.callback('more', 'offered', '{35}');
UPDATE agent_status SET accepted = 7, talk_ms = 5 WHERE tenant_id = fx.t() AND agent_id = 35;
SELECT fx.settle();
SELECT is(fx.does(352, 'accept', o => 'more/35', by => 35), 'ok', 'one more');
SELECT is(fx.stands(35) -> 1, '8', 'is one more');

-- to one more, and one more
UPDATE queue SET strategy = 'ring_progressively' WHERE tenant_id = fx.t() AND queue_id = 2;
SELECT fx.agent(n) FROM generate_series(41, 43) n;
SELECT fx.callback('prog', p_queue => 2);
SELECT is(fx.does(360, 'offer', 'prog', v => fx.v('prog'), "to" => fx.to('prog', 41)), 'ok', 'one to begin with');
SELECT is(fx.does(370, 'offer', 'prog', v => fx.v('prog') - 1, "to" => fx.to('prog', 42)), 'stale_version', 'who does not know it');
SELECT is(fx.does(370, 'offer', 'prog', v => fx.v('prog'), "to" => jsonb_build_array(jsonb_build_object('offer', fx.id('twice'), 'agent', 41))),
	'agent_unavailable', 'nobody is offered it twice');
SELECT is(fx.does(370, 'offer', 'prog', v => fx.v('prog'), "to" => fx.to('prog', 42)), 'ok', 'one more');
SELECT is(jsonb_build_array(fx.did(), (fx.c('prog')).state, (fx.c('prog')).offers), '["offer.created:42", "offered", 2]', 'is counted');
SELECT is(fx.does(371, 'reject', o => 'prog/42', by => 42), 'ok', 'he rejects');
SELECT is((fx.c('prog')).state, 'offered', 'the first has it still');
SELECT is(fx.does(372, 'offer', 'prog', v => fx.v('prog'), "to" => fx.to('prog', 43)), 'ok', 'a third');
SELECT is(fx.does(373, 'accept', o => 'prog/41', by => 41), 'ok', 'the first accepts');
SELECT is(fx.did(), 'offer.accepted:41 offer.rescinded:43', 'and all others are rid of it');
SELECT is(fx.does(374, 'offer', 'prog', v => fx.v('prog'), "to" => fx.to('prog', 42)), 'wrong_state', 'it is offered to nobody more');
SELECT fx.callback('none', 'offered', '{42}', 2);
SELECT is(fx.does(375, 'offer', 'none', v => fx.v('none'), "to" => fx.to('none', 43)), 'ok', 'another');
SELECT is(fx.does(376, 'reject', o => 'none/43', by => 43) || fx.does(377, 'reject', o => 'none/42', by => 42), 'okok', 'all reject');
SELECT is(jsonb_build_array((fx.c('none')).state, jsonb_array_length((fx.c('none')).tried)), '["scheduled", 2]', 'it waits again');
SELECT fx.callback('endless', 'offered', '{42}', 2, p_offers => 99), fx.callback('late', 'offered', '{44}', 2);
UPDATE queue SET max_offers = 100 WHERE tenant_id = fx.t() AND queue_id = 2;
SELECT is(fx.does(377, 'offer', 'endless', v => fx.v('endless'), "to" => fx.to('endless', 43)), 'ok', 'its last offer');
SELECT is(fx.does(377, 'reject', o => 'endless/43', by => 43), 'ok', 'is rejected');
SELECT is(fx.does(377, 'offer', 'endless', v => fx.v('endless'), "to" => fx.to('endless', 43)), 'wrong_state', 'and no other is made: the last pending one has to end some time');
SELECT is(fx.does(377, 'reject', o => 'endless/42', by => 42), 'ok', 'it does');
SELECT is((fx.c('endless')).state || ' ' || (fx.c('endless')).reason, 'failed max_offers', 'and that was all');
UPDATE callback SET expires_at = fx.ts(377) WHERE tenant_id = fx.t() AND callback_id = fx.id('late');
SELECT fx.settle();
SELECT is(fx.does(377, 'offer', 'late', v => fx.v('late'), "to" => fx.to('late', 43)), 'wrong_state', 'nor when its window has passed');
SELECT fx.callback('plainly', 'offered', '{42}');
SELECT is(fx.does(378, 'offer', 'plainly', v => fx.v('plainly'), "to" => fx.to('plainly', 43)), 'wrong_state', 'elsewhere one is enough');

SELECT is(fx.broken(), '', 'rows and log agree');
SELECT * FROM finish();
ROLLBACK;
