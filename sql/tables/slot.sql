-- slot_hold: a place in a slot that a visitor was shown and is still deciding on. A place that is sold is no row here: it is
-- a callback that is booked. A hold that has run out is nothing; what is left of it goes when the next one is made.
--   slot_at  when the slot begins; until: it ends by itself
CREATE TABLE slot_hold (
	tenant_id	int NOT NULL,
	hold_id		uuid NOT NULL,
	queue_id	int NOT NULL,
	form_id		int NOT NULL,
	slot_at		timestamptz NOT NULL,
	until		timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, hold_id)
);
CREATE INDEX slot_hold_slot ON slot_hold (tenant_id, queue_id, slot_at);
CREATE INDEX slot_hold_until ON slot_hold (tenant_id, until);
