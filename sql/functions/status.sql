-- status_set: an agent's status in another state. Whatever was to follow of itself is off, and missed offers are
-- forgiven. Saying again what he is already changes nothing, least of all his place in the order.
CREATE FUNCTION status_set(s agent_status, p_state text, p_reason text, p_now timestamptz) RETURNS agent_status
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	IF s.state <> p_state THEN
		s.idle_since := p_now;
	END IF;
	IF s.state <> p_state OR s.reason IS DISTINCT FROM p_reason THEN
		s.since := p_now;
	END IF;
	s.state := p_state;
	s.reason := p_reason;
	s.deadline_at := NULL;
	s.next_state := NULL;
	s.next_reason := NULL;
	s.missed := 0;
	RETURN s;
END
$$;

-- status_talked: an agent's status with the length of a call that ends counted; NULL, and so no change, when it was
-- not answered.
CREATE FUNCTION status_talked(s agent_status, a attempt, p_now timestamptz) RETURNS agent_status
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	IF a.answered_at IS NULL THEN
		RETURN NULL;
	END IF;
	s.talk_ms := s.talk_ms + ms(p_now) - ms(a.answered_at);
	RETURN s;
END
$$;

-- status_wrap_up: an agent's status as he begins after-call work: what he was before, he is again at its end.
CREATE FUNCTION status_wrap_up(s agent_status, q queue, p_now timestamptz) RETURNS agent_status
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	IF s.state <> 'after_call_work' THEN
		s.next_state := s.state;
		s.next_reason := s.reason;
		s.state := 'after_call_work';
		s.reason := NULL;
		s.since := p_now;
	END IF;
	s.deadline_at := p_now + seconds(q.after_call_work_s);
	RETURN s;
END
$$;
