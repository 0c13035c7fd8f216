-- node: the servers on this database; until is on the database's clock.
CREATE TABLE node (
	node_id		uuid PRIMARY KEY,
	name		text NOT NULL,
	started_at	timestamptz NOT NULL,
	until		timestamptz NOT NULL
);

-- lease: which node runs a tenant's router and timers. An optimisation: correctness comes from versions.
CREATE TABLE lease (
	tenant_id	int PRIMARY KEY REFERENCES tenant,
	node_id		uuid NOT NULL,
	until		timestamptz NOT NULL
);
