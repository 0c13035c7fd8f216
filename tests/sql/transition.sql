-- transition: every command at a callback in every state: it moves exactly as the transition table says, and is
-- refused where the table says nothing.
\ir fixture/company.sql

-- where an offer may be joined by another
UPDATE queue SET strategy = 'ring_progressively' WHERE tenant_id = fx.t();
CREATE TABLE fx.kind (kind text, names text, args jsonb);
INSERT INTO fx.kind VALUES
	('offer', 'callback', NULL), ('accept', 'offer', NULL), ('reject', 'offer', NULL), ('offer_timeout', 'offer', NULL),
	('call', 'callback', NULL), ('connected', 'attempt', NULL), ('hold', 'attempt', NULL), ('retrieve', 'attempt', NULL),
	('ended', 'attempt', NULL), ('done', 'callback', '{"disposition": "sold"}'), ('give_back', 'callback', NULL),
	('retry', 'callback', '{"in_s": 60}'), ('cancel', 'callback', NULL), ('reschedule', 'callback', '{"at": 1790010000000}'),
	('erase', 'callback', NULL), ('expire', 'callback', NULL), ('widen', 'callback', NULL),
	('callback_deadline', 'callback', NULL), ('note', 'callback', '{"text": "spoke to his wife"}'),
	('agent_lost', 'agent', NULL), ('sign_out', 'agent', NULL);
-- Each is tried plainly, and again as it is when: another offer of it is pending; it was offered or dialled as often
-- as the queue allows; the code says so; its number may not be called; its contact has quiet hours; its queue escalates.
CREATE TABLE fx.variant (variant text, args jsonb);
INSERT INTO fx.variant VALUES ('plain', NULL), ('others', NULL), ('used_up', NULL),
	('again', '{"disposition": "again"}'), ('stop', '{"disposition": "wrong_number"}'), ('suppressed', NULL), ('quiet', NULL), ('escalated', NULL);
INSERT INTO suppression (tenant_id, prefix, reason, added_at) VALUES (fx.t(), '+4999', 'opted out', fx.ts());
UPDATE tenant SET calling_hours = (SELECT jsonb_build_object('week', jsonb_object_agg(d, '["06:00-22:00"]'::jsonb)) FROM unnest('{mon,tue,wed,thu,fri,sat,sun}'::text[]) d)
 WHERE tenant_id = fx.t();
CREATE TABLE fx.outcome (kind text, from_state text, variant text, refusal text, to_state text, touched boolean);

CREATE FUNCTION fx.try(k fx.kind, p_state text, x fx.variant) RETURNS fx.outcome LANGUAGE plpgsql
AS $$
DECLARE
	v_name text := k.kind || ' ' || p_state || ' ' || x.variant;
	v_agent int := (SELECT max(agent_id) + 1 FROM agent WHERE tenant_id = fx.t());
	v_other int := fx.agent(v_agent + 1);
	v_refusal text;
	v_before bigint;
BEGIN
	PERFORM fx.agent(v_agent);
	PERFORM fx.callback(v_name, p_state, CASE x.variant WHEN 'others' THEN ARRAY[v_agent, v_other] ELSE ARRAY[v_agent] END,
		p_attempts => CASE x.variant WHEN 'used_up' THEN 3 END, p_offers => CASE x.variant WHEN 'used_up' THEN 5 END);
	-- whose window has passed is offered to nobody more
	IF k.kind = 'offer' AND p_state = 'offered' THEN
		UPDATE callback SET expires_at = NULL WHERE tenant_id = fx.t() AND callback_id = fx.id(v_name);
		PERFORM fx.settle();
	END IF;
	IF x.variant = 'suppressed' AND k.kind = 'offer' THEN
		INSERT INTO contact (tenant_id, callback_id, phone) VALUES (fx.t(), fx.id(v_name), '+49991');
	END IF;
	IF x.variant = 'quiet' AND k.kind = 'offer' AND p_state = 'scheduled' THEN
		UPDATE callback SET zones = '{Pacific/Auckland}' WHERE tenant_id = fx.t() AND callback_id = fx.id(v_name);
		PERFORM fx.settle();
	END IF;
	UPDATE queue SET window_end = CASE x.variant WHEN 'escalated' THEN 'escalate' ELSE 'expire' END WHERE tenant_id = fx.t();
	IF k.kind = 'widen' THEN
		UPDATE callback SET widen_after_s = 0, widen_at = due_at WHERE tenant_id = fx.t() AND callback_id = fx.id(v_name);
		PERFORM fx.settle();
	END IF;
	-- what the command names is there in every state, or it would be refused for that
	IF k.names = 'offer' AND p_state <> 'offered' THEN
		PERFORM fx.offer(v_name, v_agent);
	ELSIF k.names = 'attempt' AND p_state NOT IN ('establishing', 'connected', 'on_hold') THEN
		PERFORM fx.attempt(v_name, v_agent, true);
	ELSIF p_state = 'ready_to_call' AND x.variant = 'used_up' AND k.kind <> 'callback_deadline' THEN
		PERFORM fx.attempt(v_name, v_agent, false);
		UPDATE attempt SET state = 'busy', ended_at = fx.ts(-10) WHERE tenant_id = fx.t() AND callback_id = fx.id(v_name);
	END IF;
	IF k.kind = 'agent_lost' THEN
		UPDATE agent_status SET connected = false, lost_at = fx.ts(0) WHERE tenant_id = fx.t() AND agent_id = v_agent;
	END IF;
	v_before := fx.v(v_name);
	v_refusal := fx.does(4000, k.kind, by => CASE WHEN k.kind IN ('accept', 'reject') THEN v_agent END,
		role => CASE WHEN k.kind = 'erase' THEN 'operator' END,
		c => CASE k.names WHEN 'callback' THEN v_name END, v => CASE k.names WHEN 'callback' THEN v_before END,
		o => CASE k.names WHEN 'offer' THEN v_name || '/' || v_agent END,
		a => CASE k.names WHEN 'attempt' THEN v_name || '#1' END,
		agent => CASE k.names WHEN 'agent' THEN v_agent END,
		"to" => CASE k.kind WHEN 'offer' THEN fx.to(v_name, CASE x.variant WHEN 'others' THEN fx.agent(v_agent + 2) ELSE v_other END) END,
		args => CASE k.kind WHEN 'done' THEN coalesce(x.args, k.args) ELSE k.args END);
	RETURN ROW (k.kind, p_state, x.variant, nullif(v_refusal, 'ok'), (fx.c(v_name)).state, fx.v(v_name) <> v_before)::fx.outcome;
END
$$;

CREATE TABLE fx.state (state text, place int);
INSERT INTO fx.state SELECT * FROM unnest('{scheduled,offered,ready_to_call,establishing,connected,on_hold,completed,failed,
	cancelled,expired}'::text[]) WITH ORDINALITY;
DO $$
BEGIN
	INSERT INTO fx.outcome SELECT o.* FROM fx.kind k, fx.state s, fx.variant x, fx.try(k, s.state, x) o;
END
$$;

SELECT plan((SELECT count(*)::int FROM fx.kind) * (SELECT count(*)::int FROM fx.state)
	+ (SELECT count(*)::int FROM transition) + 3);

-- What the table does not let move is refused, and stays as it is. An attempt cannot be the current one of a
-- callback that is in no call: that comes first. A note moves nothing, so it may be made anywhere; so
-- does erasing what has ended, and what is in a call cannot be. agent_lost and
-- sign_out are about the agent: they succeed, and leave alone what they may not move.
SELECT is((SELECT string_agg(DISTINCT coalesce(o.refusal, CASE WHEN o.touched THEN 'moved' ELSE 'left alone' END), ',')
	     FROM fx.outcome o WHERE o.kind = k.kind AND o.from_state = s.state
		-- it has had all its offers: to nobody more, see offers.sql
		AND (o.kind, o.from_state, o.variant) <> ('offer', 'offered', 'used_up')),
	CASE WHEN k.kind = 'note' THEN 'moved'
	     WHEN k.kind = 'erase' AND s.state IN ('establishing', 'connected', 'on_hold') THEN 'in_call'
	     WHEN k.kind = 'erase' THEN 'moved'
	     WHEN EXISTS (SELECT FROM transition t WHERE t.command = k.kind AND t.from_state = s.state) THEN 'moved'
	     WHEN k.names = 'agent' THEN 'left alone'
	     WHEN k.names = 'attempt' AND s.state NOT IN ('establishing', 'connected', 'on_hold') THEN 'attempt_over'
	     ELSE 'wrong_state' END,
	k.kind || ' at ' || s.state)
  FROM fx.kind k, fx.state s ORDER BY k.kind, s.place;

-- and every row of the table is a way that can be gone
SELECT ok(EXISTS (SELECT FROM fx.outcome o WHERE o.kind = t.command AND o.from_state = t.from_state AND o.to_state = t.to_state
	AND o.refusal IS NULL AND o.touched), t.command || ' from ' || t.from_state || ' to ' || t.to_state)
  FROM transition t ORDER BY 1;

SELECT is_empty($$
	SELECT o.kind, o.from_state, o.to_state FROM fx.outcome o
	 WHERE o.refusal IS NULL AND o.touched AND o.kind <> 'note' AND NOT (o.kind = 'erase' AND o.to_state = o.from_state)
	EXCEPT SELECT t.command, t.from_state, t.to_state FROM transition t $$, 'no other way is gone');
SELECT is_empty($$ SELECT * FROM fx.outcome o WHERE NOT o.touched AND o.to_state <> o.from_state $$, 'a callback that was left alone is as it was');
SELECT is_empty($$ SELECT * FROM fx.outcome o WHERE o.kind = 'note' AND o.to_state <> o.from_state $$, 'a note leaves the state');
SELECT * FROM finish();
ROLLBACK;
