-- company_member: what a company document (company.json) may say: every member of every object in it.
--   object    'company', or the kind of an element: skill, queue, disposition, agent, form
--   type      text, int, bool, skills ({"skill": level}), texts (array of text), zone (IANA name), retries (a retry matrix, see
--             company_retries()), slots (see slots.sql), calling_hours,
--             widen (see widening.sql)
--   fallback  its value when the document does not give it; NULL: it must be given. A label falls back on the name.
--             A company's own settings are left as they are instead, and so is an agent's password.
--   low, high of an int, or the length of a text; pattern: of a text or of each of texts, and what it asks for in words
-- The same bounds stand as CHECKs on the tables: those stop a mistake of ours, these tell people theirs.
CREATE FUNCTION company_member()
RETURNS TABLE (object text, member text, type text, fallback jsonb, low int, high int, pattern text, hint text)
LANGUAGE sql IMMUTABLE
AS $$
	VALUES
	('company', 'name', 'text', NULL::jsonb, 1, 63, '^[a-z0-9][a-z0-9_-]*$', 'must be of a-z, 0-9, _ and -'),
	('company', 'label', 'text', '""', 1, 200, '^[^[:cntrl:]]*$', 'must be one line of text'),
	('company', 'time_zone', 'zone', '"UTC"', NULL, NULL, NULL, NULL),
	('company', 'grace_s', 'int', '30', 0, 3600, NULL, NULL),
	('company', 'session_s', 'int', '43200', 60, 2592000, NULL, NULL),
	('company', 'lockout_failures', 'int', '5', 1, 1000, NULL, NULL),
	('company', 'lockout_s', 'int', '300', 1, 86400, NULL, NULL),
	('company', 'history_days', 'int', '90', 1, 3650, NULL, NULL),
	('company', 'log_days', 'int', '90', 1, 3650, NULL, NULL),
	('company', 'calling_hours', 'calling_hours', 'null', NULL, NULL, NULL, NULL),
	('company', 'blocked_countries', 'texts', '[]', 0, 300, '^[A-Z]{2}$', 'must be a country of ISO 3166, two capitals'),
	('company', 'blocked_number_types', 'texts', '[]', 0, 5, '^(fixed_line|mobile|fixed_or_mobile|toll_free|voip)$',
		'must be fixed_line, mobile, fixed_or_mobile, toll_free or voip'),

	('skill', 'name', 'text', NULL, 1, 63, '^[A-Za-z0-9][A-Za-z0-9._@-]*$', 'must be of letters, digits, . _ @ and -'),
	('skill', 'label', 'text', '""', 1, 200, '^[^[:cntrl:]]*$', 'must be one line of text'),

	('queue', 'name', 'text', NULL, 1, 63, '^[A-Za-z0-9][A-Za-z0-9._@-]*$', 'must be of letters, digits, . _ @ and -'),
	('queue', 'label', 'text', '""', 1, 200, '^[^[:cntrl:]]*$', 'must be one line of text'),
	('queue', 'skills', 'skills', '{}', NULL, NULL, NULL, NULL),
	('queue', 'strategy', 'text', '"longest_idle"', 1, 20, '^(longest_idle|ring_all|round_robin|fewest_calls|least_talk_time|top_down|random|ring_progressively)$',
		'must be longest_idle, ring_all, round_robin, fewest_calls, least_talk_time, top_down, random or '
		'ring_progressively'),
	('queue', 'ring_max', 'int', '10', 1, 50, NULL, NULL),
	('queue', 'ring_step_s', 'int', '10', 1, 3600, NULL, NULL),
	('queue', 'priority', 'int', '0', -1000, 1000, NULL, NULL),
	('queue', 'offer_timeout_s', 'int', '20', 1, 3600, NULL, NULL),
	('queue', 'ready_to_call_s', 'int', '600', 1, 86400, NULL, NULL),
	('queue', 'dial_timeout_s', 'int', '120', 1, 3600, NULL, NULL),
	('queue', 'call_timeout_s', 'int', '14400', 1, 86400, NULL, NULL),
	('queue', 'after_call_work_s', 'int', '30', 0, 86400, NULL, NULL),
	('queue', 'missed_limit', 'int', '3', 0, 100, NULL, NULL),
	('queue', 'missed_rest_s', 'int', '300', 0, 86400, NULL, NULL),
	('queue', 'reject_cooldown_s', 'int', '120', 0, 86400, NULL, NULL),
	('queue', 'max_offers', 'int', '100', 1, 10000, NULL, NULL),
	('queue', 'max_attempts', 'int', '3', 1, 100, NULL, NULL),
	('queue', 'retry_delay_s', 'int', '900', 0, 2592000, NULL, NULL),
	('queue', 'promise_window_s', 'int', '86400', 0, 2592000, NULL, NULL),
	('queue', 'disposition_required', 'bool', 'false', NULL, NULL, NULL, NULL),
	('queue', 'hours', 'hours', 'null', NULL, NULL, NULL, NULL),
	('queue', 'retries', 'retries', '{}', NULL, NULL, NULL, NULL),
	('queue', 'attempts_per_day', 'int', '0', 0, 100, NULL, NULL),
	('queue', 'slots', 'slots', 'null', NULL, NULL, NULL, NULL),
	('queue', 'last_agent_days', 'int', '0', 0, 3650, NULL, NULL),
	('queue', 'last_agent_for_s', 'int', '60', 0, 3600, NULL, NULL),
	('queue', 'window_end', 'text', '"expire"', 1, 20, '^(expire|escalate)$', 'must be expire or escalate'),
	('queue', 'personal_for_s', 'int', '300', 0, 2592000, NULL, NULL),
	('queue', 'widen', 'widen', '[]', NULL, NULL, NULL, NULL),
	('queue', 'calling_hours', 'calling_hours', 'null', NULL, NULL, NULL, NULL),

	('disposition', 'name', 'text', NULL, 1, 63, '^[A-Za-z0-9][A-Za-z0-9._@-]*$', 'must be of letters, digits, . _ @ and -'),
	('disposition', 'label', 'text', '""', 1, 200, '^[^[:cntrl:]]*$', 'must be one line of text'),
	('disposition', 'class', 'text', NULL, 1, 20, '^(reached|retry|stop)$', 'must be reached, retry or stop'),

	('agent', 'name', 'text', NULL, 1, 63, '^[A-Za-z0-9][A-Za-z0-9._@-]*$', 'must be of letters, digits, . _ @ and -'),
	('agent', 'label', 'text', '""', 1, 200, '^[^[:cntrl:]]*$', 'must be one line of text'),
	('agent', 'role', 'text', '"agent"', 1, 20, '^(agent|supervisor|administrator)$', 'must be agent, supervisor or administrator'),
	('agent', 'skills', 'skills', '{}', NULL, NULL, NULL, NULL),
	('agent', 'position', 'int', '0', 0, 10000, NULL, NULL),
	('agent', 'password', 'text', 'null', 1, 1000, '', ''),
	('agent', 'password_hash', 'text', 'null', 1, 1000, '', ''),

	('form', 'key', 'text', NULL, 3, 64, '^[A-Za-z0-9_-]*$', 'must be of letters, digits, _ and -'),
	('form', 'label', 'text', '""', 1, 200, '^[^[:cntrl:]]*$', 'must be one line of text'),
	('form', 'queue', 'text', NULL, 1, 63, '', ''),
	('form', 'skills', 'skills', '{}', NULL, NULL, NULL, NULL),
	('form', 'priority', 'int', 'null', -1000, 1000, NULL, NULL),
	('form', 'default_region', 'text', '"US"', 2, 2, '^[A-Z]{2}$', 'must be a country of ISO 3166, two capitals'),
	('form', 'countries', 'texts', '[]', 0, 300, '^[A-Z]{2}$', 'must be a country of ISO 3166, two capitals'),
	('form', 'origins', 'texts', '[]', 0, 100, '^https?://[^/?#@[:space:][:cntrl:]]{1,255}$', 'must be a web origin like https://shop.example'),
	('form', 'time_zone', 'zone', '"UTC"', NULL, NULL, NULL, NULL),
	('form', 'language', 'text', '"en"', 2, 35, '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$', 'must be a language tag like en or pt-BR'),
	('form', 'consent_required', 'bool', 'false', NULL, NULL, NULL, NULL),
	('form', 'consent_text', 'text', '""', 0, 4000, '', ''),
	('form', 'thank_you_url', 'text', '""', 0, 2000, '^(https?://[^[:space:][:cntrl:]]+)?$', 'must be a web address'),
	('form', 'thank_you_link', 'bool', 'false', NULL, NULL, NULL, NULL),
	('form', 'duplicates', 'text', '"link"', 1, 20, '^(link|allow)$', 'must be link or allow'),
	('form', 'horizon_s', 'int', '2592000', 0, 31536000, NULL, NULL),
	('form', 'notice_s', 'int', '0', 0, 2592000, NULL, NULL),
	('form', 'address_limit', 'int', '20', 0, 1000000000, NULL, NULL),
	('form', 'address_period_s', 'int', '3600', 1, 86400, NULL, NULL),
	('form', 'number_limit', 'int', '5', 0, 1000000000, NULL, NULL),
	('form', 'number_period_s', 'int', '86400', 1, 86400, NULL, NULL),
	('form', 'form_limit', 'int', '0', 0, 1000000000, NULL, NULL),
	('form', 'form_period_s', 'int', '60', 1, 86400, NULL, NULL),
	('form', 'closed', 'text', '"next_opening"', 1, 20, '^(next_opening|refuse)$', 'must be next_opening or refuse')
$$;

-- company_kind: the arrays of the document, in the order in which their elements need each other.
CREATE FUNCTION company_kind() RETURNS TABLE (place int, object text, array_name text, identity text)
LANGUAGE sql IMMUTABLE
AS $$
	VALUES (1, 'skill', 'skills', 'name'), (2, 'queue', 'queues', 'name'), (3, 'disposition', 'dispositions', 'name'),
		(4, 'agent', 'agents', 'name'), (5, 'form', 'forms', 'key')
$$;
