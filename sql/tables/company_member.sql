-- company_member: what a company document may say of each object: its members, their kinds and limits. Planning,
-- checking and showing read it; the CHECKs of the tables are the last line of defence behind it.
--   kind      text · int · bool · enum (pattern: the values) · zone · skills ({"name": level}) · texts · queue · hash
--   low, high of an int; of a text: its length
--   fallback  what an absent member means; NULL: it must be there ("label" falls back to the name)
CREATE TABLE company_member (
	object		text NOT NULL,
	member		text NOT NULL,
	kind		text NOT NULL,
	low		int,
	high		int,
	pattern		text,
	fallback	jsonb,
	PRIMARY KEY (object, member)
);
INSERT INTO company_member (object, member, kind, low, high, pattern, fallback) VALUES
	('tenant',	'name',			'text',	1,	63,	'^[a-z0-9][a-z0-9_-]*$',	NULL),
	('tenant',	'label',		'text',	1,	200,	NULL,	'""'),
	('tenant',	'time_zone',		'zone',	NULL,	NULL,	NULL,	'"UTC"'),
	('tenant',	'grace_s',		'int',	0,	3600,	NULL,	'30'),
	('tenant',	'session_s',		'int',	60,	2592000, NULL,	'43200'),
	('tenant',	'lockout_failures',	'int',	1,	1000,	NULL,	'5'),
	('tenant',	'lockout_s',		'int',	1,	86400,	NULL,	'300'),
	('tenant',	'history_days',		'int',	1,	3650,	NULL,	'90'),
	('skill',	'name',			'text',	1,	63,	'^[A-Za-z0-9][A-Za-z0-9_.-]*$',	NULL),
	('skill',	'label',		'text',	1,	200,	NULL,	'""'),
	('queue',	'name',			'text',	1,	63,	'^[A-Za-z0-9][A-Za-z0-9_.-]*$',	NULL),
	('queue',	'label',		'text',	1,	200,	NULL,	'""'),
	('queue',	'skills',		'skills', NULL,	NULL,	NULL,	'{}'),
	('queue',	'strategy',		'enum',	NULL,	NULL,	'longest_idle ring_all',	'"longest_idle"'),
	('queue',	'ring_max',		'int',	1,	50,	NULL,	'10'),
	('queue',	'priority',		'int',	-1000,	1000,	NULL,	'0'),
	('queue',	'offer_timeout_s',	'int',	1,	3600,	NULL,	'20'),
	('queue',	'ready_to_call_s',	'int',	1,	86400,	NULL,	'600'),
	('queue',	'dial_timeout_s',	'int',	1,	3600,	NULL,	'120'),
	('queue',	'call_timeout_s',	'int',	1,	86400,	NULL,	'14400'),
	('queue',	'after_call_work_s',	'int',	0,	86400,	NULL,	'30'),
	('queue',	'missed_limit',		'int',	0,	100,	NULL,	'3'),
	('queue',	'missed_rest_s',	'int',	0,	86400,	NULL,	'300'),
	('queue',	'reject_cooldown_s',	'int',	0,	86400,	NULL,	'120'),
	('queue',	'max_offers',		'int',	1,	10000,	NULL,	'100'),
	('queue',	'max_attempts',		'int',	1,	100,	NULL,	'3'),
	('queue',	'retry_delay_s',	'int',	0,	2592000, NULL,	'900'),
	('queue',	'promise_window_s',	'int',	0,	2592000, NULL,	'86400'),
	('queue',	'disposition_required',	'bool',	NULL,	NULL,	NULL,	'false'),
	('disposition',	'name',			'text',	1,	63,	'^[A-Za-z0-9][A-Za-z0-9_.-]*$',	NULL),
	('disposition',	'label',		'text',	1,	200,	NULL,	'""'),
	('disposition',	'class',		'enum',	NULL,	NULL,	'reached retry stop',	NULL),
	('agent',	'name',			'text',	1,	63,	'^[A-Za-z0-9][A-Za-z0-9_.@-]*$',	NULL),
	('agent',	'label',		'text',	1,	200,	NULL,	'""'),
	('agent',	'role',			'enum',	NULL,	NULL,	'agent supervisor administrator', '"agent"'),
	('agent',	'skills',		'skills', NULL,	NULL,	NULL,	'{}'),
	('agent',	'password_hash',	'hash',	NULL,	NULL,	'^\$scrypt\$ln=[0-9]+,r=[0-9]+,p=[0-9]+\$[A-Za-z0-9_-]+\$[A-Za-z0-9_-]+$', 'null'),
	('form',	'key',			'text',	3,	64,	'^[A-Za-z0-9_-]+$',	NULL),
	('form',	'label',		'text',	1,	200,	NULL,	'""'),
	('form',	'queue',		'queue', NULL,	NULL,	NULL,	NULL),
	('form',	'skills',		'skills', NULL,	NULL,	NULL,	'{}'),
	('form',	'priority',		'int',	-1000,	1000,	NULL,	'null'),
	('form',	'default_region',	'text',	2,	2,	'^[A-Z]{2}$',	'"US"'),
	('form',	'countries',		'texts', 2,	2,	'^[A-Z]{2}$',	'[]'),
	('form',	'origins',		'texts', 8,	300,	'^https?://[^/ ]+$',	'[]'),
	('form',	'time_zone',		'zone',	NULL,	NULL,	NULL,	'"UTC"'),
	('form',	'language',		'text',	2,	35,	'^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$',	'"en"'),
	('form',	'consent_required',	'bool',	NULL,	NULL,	NULL,	'false'),
	('form',	'consent_text',		'text',	0,	4000,	NULL,	'""'),
	('form',	'thank_you_url',	'text',	0,	2000,	'^(https?://[^ ]+)?$',	'""'),
	('form',	'thank_you_link',	'bool',	NULL,	NULL,	NULL,	'false'),
	('form',	'duplicates',		'enum',	NULL,	NULL,	'link allow',	'"link"'),
	('form',	'horizon_s',		'int',	0,	31536000, NULL,	'2592000'),
	('form',	'address_limit',	'int',	0,	1000000, NULL,	'20'),
	('form',	'address_period_s',	'int',	1,	86400,	NULL,	'3600'),
	('form',	'number_limit',		'int',	0,	1000000, NULL,	'5'),
	('form',	'number_period_s',	'int',	1,	86400,	NULL,	'86400'),
	('form',	'form_limit',		'int',	0,	1000000, NULL,	'0'),
	('form',	'form_period_s',	'int',	1,	86400,	NULL,	'60');

-- company_section: where each kind of object stands in the document, and the member that names it; place is the
-- order in which they are written, so that what is referred to is there first.
CREATE TABLE company_section (
	object		text PRIMARY KEY,
	section		text NOT NULL,
	naming		text NOT NULL,
	place		int NOT NULL
);
INSERT INTO company_section VALUES
	('tenant', 'company', 'name', 0), ('skill', 'skills', 'name', 1), ('queue', 'queues', 'name', 2),
	('disposition', 'dispositions', 'name', 3), ('agent', 'agents', 'name', 4), ('form', 'forms', 'key', 5);
