-- rule_set: every version of a tenant's routing rules that was ever published, as it was written. The newest is the
-- published one; none: the form alone decides. Nothing in it is ever changed or deleted: callbacks name the version that
-- placed them.
--   from_version  of a roll-back: the version whose rules these are again
--   rules         how many; paths: of what its rules' look-ups read of a request, see functions/rules_terms.sql
--   document      {"rules": [...]}, see functions/rules_check.sql
CREATE TABLE rule_set (
	tenant_id	int NOT NULL REFERENCES tenant,
	version		int NOT NULL CHECK (version > 0),
	published_at	timestamptz NOT NULL,
	published_by	int,
	comment		text NOT NULL,
	from_version	int,
	rules		int NOT NULL,
	paths		text[] NOT NULL,
	document	jsonb NOT NULL,
	PRIMARY KEY (tenant_id, version)
);

-- rule: the published version's rules, as intake uses them: names are ids. Made of the document, and made anew with each
-- publication. Version 0 is a draft that is being tried: nobody else ever sees it.
--   ord          from 1 on: the first that matches wins
--   predicate    NULL: matches always
--   path, value  what a request has to say to match: it is looked up by that; '' and '': nothing that could be
-- Of the rest, NULL leaves things as the form and the queue have them.
CREATE TABLE rule (
	tenant_id	int NOT NULL REFERENCES tenant,
	version		int NOT NULL,
	ord		int NOT NULL,
	name		text NOT NULL,
	predicate	jsonpath,
	path		text NOT NULL,
	value		text NOT NULL,
	queue_id	int,
	priority	int CHECK (priority BETWEEN -1000 AND 1000),
	skills		jsonb,
	preferred_agent	int,
	offer_timeout_s	int CHECK (offer_timeout_s BETWEEN 1 AND 3600),
	promise_window_s int CHECK (promise_window_s BETWEEN 0 AND 2592000),
	caller_id	text CHECK (caller_id ~ '^\+?[0-9]{3,15}$'),
	preferred_for_s	int CHECK (preferred_for_s BETWEEN 0 AND 3600),
	agent_id	int,
	agent_for_s	int CHECK (agent_for_s BETWEEN 0 AND 2592000),
	PRIMARY KEY (tenant_id, version, ord)
);
CREATE INDEX rule_term ON rule (tenant_id, version, path, value, ord);
