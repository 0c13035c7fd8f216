-- epoch: the stretches of each tenant's log, one row for each. The newest says where the log was being written when it
-- began; epoch_settle() compares that with where it is written now.
--   origin     see log_origin()
--   after_seq  the last event that was taken over from before
CREATE TABLE epoch (
	tenant_id	int NOT NULL REFERENCES tenant,
	epoch		int NOT NULL CHECK (epoch > 0),
	origin		text NOT NULL,
	after_seq	bigint NOT NULL,
	begun_at	timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, epoch)
);
