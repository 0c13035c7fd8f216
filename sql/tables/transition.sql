-- transition: the state machine. A command moves a callback only along a row of this table;
-- everything else is refused (wrong_state). Terminal states have no row: they never change again.
CREATE TABLE transition (
	command		text NOT NULL,
	from_state	text NOT NULL,
	to_state	text NOT NULL,
	PRIMARY KEY (command, from_state, to_state)
);
INSERT INTO transition (command, from_state, to_state) VALUES
	('offer',	'scheduled',	'offered'),
	('offer',	'scheduled',	'failed'),	-- it may not be called: suppression, a kind of number
	('offer',	'scheduled',	'scheduled'),	-- nor yet: quiet hours
	('offer',	'offered',	'offered'),		-- ring_progressively: to one more
	('accept',	'offered',	'ready_to_call'),
	('reject',	'offered',	'offered'),		-- ring_all: others are pending
	('reject',	'offered',	'scheduled'),		-- it was the last pending one
	('reject',	'offered',	'failed'),		-- offers used up
	('offer_timeout', 'offered',	'offered'),
	('offer_timeout', 'offered',	'scheduled'),
	('offer_timeout', 'offered',	'failed'),
	('call',	'ready_to_call', 'establishing'),
	('connected',	'establishing',	'connected'),
	('hold',	'connected',	'on_hold'),
	('retrieve',	'on_hold',	'connected'),
	('ended',	'establishing',	'ready_to_call'),	-- busy, no answer, ...: the same agent keeps it
	('ended',	'connected',	'ready_to_call'),
	('ended',	'on_hold',	'ready_to_call'),
	('done',	'ready_to_call', 'completed'),
	('done',	'ready_to_call', 'scheduled'),		-- class retry, attempts left
	('done',	'ready_to_call', 'failed'),		-- class stop, or attempts used up
	('give_back',	'ready_to_call', 'scheduled'),
	('give_back',	'ready_to_call', 'failed'),		-- dialled, and not to be tried again
	('retry',	'ready_to_call', 'scheduled'),		-- at a time the agent chose
	('retry',	'ready_to_call', 'failed'),		-- attempts used up
	('reschedule',	'scheduled',	'scheduled'),		-- another promise
	('widen',	'scheduled',	'scheduled'),		-- to more agents
	('cancel',	'scheduled',	'cancelled'),
	('cancel',	'offered',	'cancelled'),
	('cancel',	'ready_to_call', 'cancelled'),
	('erase',	'scheduled',	'cancelled'),		-- whoever is forgotten cannot be called
	('erase',	'offered',	'cancelled'),
	('erase',	'ready_to_call', 'cancelled'),
	('expire',	'scheduled',	'expired'),
	('expire',	'scheduled',	'scheduled'),		-- escalated
	('callback_deadline', 'ready_to_call', 'scheduled'),	-- accepted and left lying
	('callback_deadline', 'ready_to_call', 'failed'),
	('callback_deadline', 'establishing', 'ready_to_call'),	-- the attempt failed
	('callback_deadline', 'connected', 'ready_to_call'),
	('callback_deadline', 'on_hold', 'ready_to_call'),
	('agent_lost',	'offered',	'offered'),
	('agent_lost',	'offered',	'scheduled'),
	('agent_lost',	'offered',	'failed'),
	('agent_lost',	'ready_to_call', 'scheduled'),
	('agent_lost',	'ready_to_call', 'failed'),
	('sign_out',	'offered',	'offered'),
	('sign_out',	'offered',	'scheduled'),
	('sign_out',	'offered',	'failed'),
	('sign_out',	'ready_to_call', 'scheduled'),
	('sign_out',	'ready_to_call', 'failed');
