-- company: the company document: every error by its path, the plan, what is written and told, and that it comes round.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
BEGIN;
SET LOCAL search_path = callbackd, public;
SELECT plan(149);

\set t0 1780000000000
SELECT ok(tenant_create('company-test') > 0, 'a company');
SELECT is(tenant_create('company-test'), (SELECT tenant_id FROM tenant WHERE name = 'company-test'), 'made once');
SELECT is(count(*), 1::bigint, 'with a secret for links') FROM secret JOIN tenant USING (tenant_id) WHERE name = 'company-test' AND purpose = 'link';
SELECT is(tenant_create('Company Test'), NULL, 'of a name that can be one');
CREATE FUNCTION pg_temp.tenant() RETURNS int LANGUAGE sql STABLE AS $$ SELECT tenant_id FROM tenant WHERE name = 'company-test' $$;
INSERT INTO queue (tenant_id, queue_id, name, label, version) SELECT tenant_create('company-other'), 1, 'q', 'Q', 1;
INSERT INTO agent (tenant_id, agent_id, name, label, version) SELECT tenant_create('company-other'), 1, 'a', 'A', 1;
INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id) SELECT tenant_create('company-other'), 1, 'company-taken', 'T', 1, 1;

CREATE TEMP TABLE got (n int, what text, ord int, seq bigint, at bigint, kind text, agent_id int, body jsonb) ON COMMIT DROP;
-- Applies a document; returns the refusal, or 'ok'.
CREATE FUNCTION pg_temp.apply(p_n int, p_document jsonb, p_role text DEFAULT 'administrator') RETURNS text LANGUAGE sql
AS $$
	INSERT INTO got SELECT p_n, s.what, s.ord, s.seq, s.at, s.kind, s.agent_id, s.body::jsonb
	  FROM execute(pg_temp.tenant(), 1780000000000 + p_n, jsonb_build_array(jsonb_build_object('id', md5('company' || p_n)::uuid, 'kind', 'company',
		'role', p_role, 'args', jsonb_build_object('document', p_document)))) s;
	SELECT CASE what WHEN 'answer' THEN kind ELSE 'ok' END FROM got WHERE n = p_n AND ord IS NOT NULL
$$;
CREATE FUNCTION pg_temp.events(p_n int) RETURNS text[] LANGUAGE sql AS $$ SELECT array_agg(kind ORDER BY seq) FROM got WHERE n = p_n AND what = 'event' $$;
CREATE FUNCTION pg_temp.plan(p_document jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT company_plan(p_document::json)::jsonb $$;
CREATE FUNCTION pg_temp.errors(p_document jsonb) RETURNS text LANGUAGE sql
AS $$ SELECT string_agg(e ->> 'field', ' ' ORDER BY n) FROM jsonb_array_elements(pg_temp.plan(p_document) -> 'errors') WITH ORDINALITY x(e, n) $$;

\set doc '{"company": {"name": "company-test", "label": "Test Ltd", "time_zone": "Europe/Berlin", "grace_s": 10}, "skills": [{"name": "loans", "label": "Loans"}, {"name": "french"}], "queues": [{"name": "sales", "skills": {"loans": 3}, "strategy": "ring_all", "offer_timeout_s": 15}, {"name": "support"}], "dispositions": [{"name": "sold", "class": "reached"}], "agents": [{"name": "ann", "label": "Ann Lee", "skills": {"loans": 5, "french": 10}, "password_hash": "$scrypt$1"}, {"name": "sue", "role": "supervisor"}], "forms": [{"key": "company-form", "queue": "sales", "skills": {"french": 2}, "countries": ["DE", "FR"], "origins": ["https://shop.example"], "priority": 7}]}'

-- Errors, each named. The first members of the document are changed one at a time.
SELECT is(pg_temp.errors(:'doc'), NULL, 'the document is right');
SELECT is(pg_temp.errors(jsonb_set(:'doc', path, value)), field, format('%s = %s', array_to_string(path, '.'), value))
  FROM (VALUES
	('{nonsense}'::text[], '1'::jsonb, 'nonsense'),
	('{company}', '[]', 'company'),
	('{company,nonsense}', '1', 'company.nonsense'),
	('{company,time_zone}', '"Mars/Phobos"', 'company.time_zone'),
	('{company,time_zone}', '3', 'company.time_zone'),
	('{company,grace_s}', '3601', 'company.grace_s'),
	('{company,grace_s}', '1.5', 'company.grace_s'),
	('{company,grace_s}', '"30"', 'company.grace_s'),
	('{company,grace_s}', 'null', 'company.grace_s'),
	('{company,label}', '""', 'company.label'),
	('{skills}', '{}', 'skills queues[0].skills.loans agents[0].skills.french agents[0].skills.loans forms[0].skills.french'),
	('{skills}', 'null', 'skills queues[0].skills.loans agents[0].skills.french agents[0].skills.loans forms[0].skills.french'),
	('{skills,1}', '3', 'skills[1] agents[0].skills.french forms[0].skills.french'),
	('{skills,1,name}', '"loans"', 'skills[1].name agents[0].skills.french forms[0].skills.french'),
	('{skills,0,name}', '"not a name"', 'skills[0].name queues[0].skills.loans agents[0].skills.loans'),
	('{skills,0,name}', '7', 'skills[0].name queues[0].skills.loans agents[0].skills.loans'),
	('{skills,0,label}', '"two\nlines"', 'skills[0].label'),
	('{queues,1}', '{"label": "x"}', 'queues[1].name'),
	('{queues,1,strategy}', '"longest"', 'queues[1].strategy'),
	('{queues,1,strategy}', '"random, top_down"', 'queues[1].strategy'),
	('{queues,1,strategy}', '"random"', NULL),
	('{queues,1,skills}', '{"loans": 0}', 'queues[1].skills.loans'),
	('{queues,1,skills}', '{"loans": 11}', 'queues[1].skills.loans'),
	('{queues,1,skills}', '{"loans": "3"}', 'queues[1].skills.loans'),
	('{queues,1,skills}', '["loans"]', 'queues[1].skills'),
	('{queues,1,skills}', '{"german": 3}', 'queues[1].skills.german'),
	('{queues,1,disposition_required}', '1', 'queues[1].disposition_required'),
	('{queues,1,ring_max}', '51', 'queues[1].ring_max'),
	('{queues,1,ring_step_s}', '0', 'queues[1].ring_step_s'),
	('{queues,1,ring_max}', '99999999999999999999', 'queues[1].ring_max'),
	('{queues,1,attempts_per_day}', '101', 'queues[1].attempts_per_day'),
	('{queues,1,attempts_per_day}', '-1', 'queues[1].attempts_per_day'),
	('{queues,1,retries}', '{}', NULL),
	('{queues,1,retries}', '{"busy": {"delay_s": 2592000, "attempts": 100}, "no_answer": "stop", "declined": {}, "machine": {"delay_s": 0}, "unreachable": {"attempts": 1}, "failed": "stop", "answered": {"delay_s": 86400}}', NULL),
	('{queues,1,retries}', 'null', 'queues[1].retries'),
	('{queues,1,retries}', '"stop"', 'queues[1].retries'),
	('{queues,1,retries}', '[]', 'queues[1].retries'),
	('{queues,1,retries}', '{"invalid": "stop"}', 'queues[1].retries.invalid'),
	('{queues,1,retries}', '{"invalid": {"delay_s": 1}, "trunk_failed": "stop", "pbx_lost": {}, "agent_offline": "stop", "cancelled": "stop"}',
		'queues[1].retries.agent_offline queues[1].retries.cancelled queues[1].retries.invalid queues[1].retries.pbx_lost queues[1].retries.trunk_failed'),
	('{queues,1,retries}', '{"dialing": "stop", "": {}, "BUSY": "stop"}', 'queues[1].retries. queues[1].retries.BUSY queues[1].retries.dialing'),
	('{queues,1,retries}', '{"busy": "Stop", "declined": null, "machine": 3, "failed": [], "answered": true}',
		'queues[1].retries.answered queues[1].retries.busy queues[1].retries.declined queues[1].retries.failed queues[1].retries.machine'),
	('{queues,1,retries}', '{"busy": {"delay_s": -1, "attempts": 0}, "declined": {"delay_s": 2592001, "attempts": 101}, "machine": {"delay": 3, "attempts": 2}}',
		'queues[1].retries.busy.attempts queues[1].retries.busy.delay_s queues[1].retries.declined.attempts queues[1].retries.declined.delay_s queues[1].retries.machine.delay'),
	('{queues,1,retries}', '{"busy": {"delay_s": "1", "attempts": null}, "declined": {"delay_s": 1.5, "attempts": 1e30}, "machine": {"delay_s": [1]}}',
		'queues[1].retries.busy.attempts queues[1].retries.busy.delay_s queues[1].retries.declined.attempts queues[1].retries.declined.delay_s queues[1].retries.machine.delay_s'),
	('{queues,0,name}', '"telesales"', 'forms[0].queue'),
	('{dispositions,0,class}', '"maybe"', 'dispositions[0].class'),
	('{agents,1,role}', '"operator"', 'agents[1].role'),
	('{agents,1,name}', '"ann"', 'agents[1].name'),
	('{agents,1,position}', '-1', 'agents[1].position'),
	('{agents,1,position}', '10001', 'agents[1].position'),
	('{agents,1,position}', '"1"', 'agents[1].position'),
	('{agents,1,password}', '""', 'agents[1].password'),
	('{forms,0,key}', '"company-taken"', 'forms[0].key'),
	('{forms,0,key}', '"x"', 'forms[0].key'),
	('{forms,0,key}', '"a/b/c"', 'forms[0].key'),
	('{forms,0,queue}', '"nowhere"', 'forms[0].queue'),
	('{forms,0,queue}', '{}', 'forms[0].queue'),
	('{forms,0,countries}', '["DE", "DE"]', 'forms[0].countries[1]'),
	('{forms,0,countries}', '["de", 4]', 'forms[0].countries[0] forms[0].countries[1]'),
	('{forms,0,origins}', '["https://shop.example/path"]', 'forms[0].origins[0]'),
	('{forms,0,default_region}', '"Germany"', 'forms[0].default_region'),
	('{forms,0,language}', '"a b"', 'forms[0].language'),
	('{forms,0,thank_you_url}', '"javascript:alert(1)"', 'forms[0].thank_you_url'),
	('{forms,0,duplicates}', '"merge"', 'forms[0].duplicates'),
	('{forms,0,priority}', '1001', 'forms[0].priority'),
	('{forms,0,priority}', 'null', NULL),
	('{forms,0,time_zone}', '""', 'forms[0].time_zone')) t(path, value, field);
SELECT is(pg_temp.errors(:'doc'::jsonb - 'company'), 'company', 'no company');
SELECT is(pg_temp.errors('[]'), '', 'no object at all');
SELECT is(pg_temp.errors('"company"'), '', 'not even a container');
SELECT is(pg_temp.errors(:'doc'::jsonb - 'skills'), 'queues[0].skills.loans agents[0].skills.french agents[0].skills.loans forms[0].skills.french',
	'names must exist in the state that it leads to');

-- What is wrong is said of each place.
SELECT is(pg_temp.plan(jsonb_set(:'doc', '{queues,1,retries}', '{"invalid": "stop", "cancelled": "stop", "bsy": "stop", "busy": 900, "declined": {"delay_s": -1, "after_s": 1}}')) -> 'errors',
	'[{"field": "queues[1].retries.bsy", "message": "is not an outcome"},
	{"field": "queues[1].retries.busy", "message": "must be \"stop\" or an object {\"delay_s\", \"attempts\"}"},
	{"field": "queues[1].retries.cancelled", "message": "does not count as an attempt: it is tried again after retry_delay_s"},
	{"field": "queues[1].retries.declined.after_s", "message": "is not known"},
	{"field": "queues[1].retries.declined.delay_s", "message": "must be from 0 to 2592000"},
	{"field": "queues[1].retries.invalid", "message": "is never tried again"}]', 'every mistake of a retry matrix');
SELECT is(ARRAY(SELECT x.outcome FROM unnest(retry_outcomes() || '{dialing,invalid,trunk_failed,pbx_lost,agent_offline,cancelled}'::text[]) x(outcome) ORDER BY 1),
	ARRAY(SELECT m.found[1] FROM pg_constraint k, regexp_matches(pg_get_constraintdef(k.oid), '''([a-z_]+)''', 'g') m(found)
	 WHERE k.conname = 'attempt_state_check' AND k.connamespace = 'callbackd'::regnamespace ORDER BY 1), 'the matrix knows every outcome there is');

-- Members, ranges and fallbacks are those of the tables.
CREATE FUNCTION pg_temp.accepts(p_table text, p_column text, p_value bigint) RETURNS boolean LANGUAGE plpgsql
AS $$
BEGIN
	EXECUTE format('UPDATE %I SET %I = $1 WHERE tenant_id = $2', p_table, p_column) USING p_value, tenant_create('company-other');
	RAISE EXCEPTION 'undo' USING ERRCODE = 'CB999';
EXCEPTION
	WHEN check_violation THEN RETURN false;
	WHEN SQLSTATE 'CB999' THEN RETURN true;
END
$$;
SELECT is(array_agg(m.member ORDER BY m.member) FILTER (WHERE NOT (pg_temp.accepts(t.name, m.member, m.low) AND pg_temp.accepts(t.name, m.member, m.high))), NULL,
	t.name || ': its limits are taken by the table')
  FROM company_member() m JOIN (VALUES ('company', 'tenant'), ('queue', 'queue'), ('form', 'form'), ('agent', 'agent')) t(object, name) USING (object) WHERE m.type = 'int' GROUP BY t.name;
SELECT is(array_agg(m.member ORDER BY m.member) FILTER (WHERE pg_temp.accepts(t.name, m.member, m.low - 1) OR m.high < 1000000000 AND pg_temp.accepts(t.name, m.member, m.high + 1)),
	NULL, t.name || ': and nothing beyond')
  FROM company_member() m JOIN (VALUES ('company', 'tenant'), ('queue', 'queue'), ('form', 'form'), ('agent', 'agent')) t(object, name) USING (object) WHERE m.type = 'int' GROUP BY t.name;
SELECT is(array_agg(k ORDER BY k) FILTER (WHERE v IS DISTINCT FROM fallback AND k NOT IN ('name', 'key', 'label', 'queue')), NULL, p.object || ': what is left out is the table''s default')
  FROM (SELECT object, item FROM company_present(tenant_create('company-other'))) p, jsonb_each(p.item) e(k, v) LEFT JOIN LATERAL
	(SELECT m.fallback FROM company_member() m WHERE m.object = p.object AND m.member = k) m ON true
 GROUP BY p.object;
SELECT is(array_agg(m.object || '.' || m.member) FILTER (WHERE NOT EXISTS (SELECT FROM company_present(tenant_create('company-other')) p WHERE p.object = m.object AND p.item ? m.member)), NULL,
	'every member is in the document that is shown') FROM company_member() m WHERE m.object IN ('company', 'queue', 'form');

-- The plan, and the deed.
SELECT is(jsonb_path_query_array(pg_temp.plan(:'doc'), '$.changes[*].name'), '["company-test", "loans", "french", "sales", "support", "sold", "ann", "sue", "company-form"]',
	'the plan names everything');
SELECT is(pg_temp.plan(:'doc') #> '{changes,0}', '{"object": "company", "name": "company-test", "action": "change", "fields": {"label": ["company-test", "Test Ltd"],
	"time_zone": ["UTC", "Europe/Berlin"], "grace_s": [30, 10]}}', 'and what a change is');
SELECT is(pg_temp.plan(jsonb_set(:'doc', '{company,name}', '"company-new"')) #>> '{changes,0,action}', 'create', 'a company may be planned before it exists');
SELECT is((SELECT count(*) FROM skill WHERE tenant_id = pg_temp.tenant()), 0::bigint, 'nothing is written by a plan');
SELECT is(pg_temp.apply(1, :'doc', 'supervisor'), 'not_found', 'only administrators apply');
SELECT is(pg_temp.apply(2, jsonb_set(:'doc', '{agents,0,password}', '"plain"')), 'invalid', 'a plain password is not taken');
SELECT is(body, '{"errors": [{"field": "agents[0].password", "message": "was not hashed"}]}', 'and is not repeated') FROM got WHERE n = 2;
SELECT is(pg_temp.apply(3, jsonb_set(:'doc', '{forms,0,queue}', '"nowhere"')), 'invalid', 'refused whole');
SELECT is((SELECT count(*) FROM skill WHERE tenant_id = pg_temp.tenant()), 0::bigint, 'nothing is written');
SELECT is(pg_temp.apply(4, jsonb_set(:'doc', '{company,name}', '"company-other"')), 'invalid', 'nor for another company');
SELECT is(pg_temp.apply(5, :'doc'), 'ok', 'applied');
SELECT is(pg_temp.events(5), '{tenant.changed,skill.changed,skill.changed,queue.changed,queue.changed,disposition.changed,agent.changed,agent.changed,form.changed}', 'told');
SELECT is(array_agg(seq ORDER BY seq), '{1,2,3,4,5,6,7,8,9}', 'without a gap') FROM got WHERE n = 5 AND what = 'event';
SELECT is(array_agg((SELECT v ->> 'seq' FROM jsonb_each(body - 'changes' - 'status') o(k, v))::bigint ORDER BY seq), array_agg(seq ORDER BY seq), 'each image with its number')
  FROM got WHERE n = 5 AND what = 'event';
SELECT is(pg_temp.plan(:'doc'), '{"errors": [], "changes": []}', 'nothing is left to do');
SELECT is(jsonb_array_length(body -> 'changes'), 9, 'the answer says all that was changed') FROM got WHERE n = 5 AND ord IS NOT NULL;
SELECT set_eq(format('SELECT body -> ''queue'' FROM got WHERE n = 5 AND body ? ''queue'''), format('SELECT image_queue(q) FROM queue q WHERE tenant_id = %s', pg_temp.tenant()), 'queues as told');
SELECT set_eq(format('SELECT body -> ''form'' FROM got WHERE n = 5 AND body ? ''form'''), format('SELECT image_form(f) FROM form f WHERE tenant_id = %s', pg_temp.tenant()), 'forms as told');
SELECT set_eq(format('SELECT body -> ''agent'' AS a, body -> ''status'' AS s FROM got WHERE n = 5 AND body ? ''agent'''),
	format('SELECT image_agent(a) AS a, image_status(s, s.seq)::jsonb AS s FROM agent a JOIN agent_status s USING (tenant_id, agent_id) WHERE tenant_id = %s', pg_temp.tenant()), 'agents as told, with a status from birth');
SELECT is(skills, '{"1": 3}', 'skills by number') FROM queue WHERE tenant_id = pg_temp.tenant() AND name = 'sales';
SELECT is(to_jsonb(c) - 'password', '{"tenant_id": 0, "agent_id": 1, "locked_until": null, "role": "agent"}'::jsonb || jsonb_build_object('tenant_id', pg_temp.tenant()), 'credentials')
  FROM load_credential('company-test', 'ann') c WHERE password = '$scrypt$1';

-- Round, and once.
SELECT is(pg_temp.apply(6, :'doc'), 'unchanged', 'applied again: nothing to do');
SELECT is(body, '{"changes": []}', 'it says so') FROM got WHERE n = 6;
SELECT is(pg_temp.apply(7, company_show('company-test')::jsonb), 'unchanged', 'what is shown changes nothing');
SELECT unalike(company_show('company-test'), '%scrypt%', 'and shows no password');
SELECT is(pg_temp.apply(5, '{"company": {"name": "company-test"}, "forms": []}'), 'ok', 'the same command id again');
SELECT is(max(seq), 9::bigint, 'gets its first answer, without an event') FROM event WHERE tenant_id = pg_temp.tenant();

-- Changes.
SELECT is(pg_temp.apply(10, '{"company": {"name": "company-test"}, "queues": [{"name": "sales", "skills": {"loans": 4}, "strategy": "ring_all", "offer_timeout_s": 15}, {"name": "support"}]}'),
	'ok', 'one array alone');
SELECT is(body -> 'changes', '[{"object": "queue", "name": "sales", "action": "change", "fields": {"skills": [{"loans": 3}, {"loans": 4}]}}]', 'leaves the others, and the company''s settings, as they are')
  FROM got WHERE n = 10 AND ord IS NOT NULL;
SELECT is(ARRAY[version, queue_id], '{10,1}', 'the same number, a new version') FROM queue WHERE tenant_id = pg_temp.tenant() AND name = 'sales';
SELECT is(pg_temp.apply(11, '{"company": {"name": "company-test"}, "agents": [{"name": "ann", "label": "Ann Lee", "skills": {"loans": 5, "french": 10}, "password_hash": "$scrypt$2"}, {"name": "sue", "role": "supervisor"}]}'),
	'ok', 'a new password');
SELECT unalike(string_agg(body::text, ' '), '%scrypt%', 'is not told') FROM got WHERE n = 11;
SELECT is(password, '$scrypt$2', 'is kept') FROM agent WHERE tenant_id = pg_temp.tenant() AND name = 'ann';
SELECT is(pg_temp.plan('{"company": {"name": "company-test"}, "skills": [{"name": "loans", "label": "Loans"}]}') #>> '{errors,0,field}', 'skills',
	'a skill that others need cannot be left out');

-- Removal.
INSERT INTO session SELECT pg_temp.tenant(), sha256(n::text::bytea), a.agent_id, from_ms(:t0), from_ms(:t0 + 1000000) FROM agent a, generate_series(1, 2) n
 WHERE a.tenant_id = pg_temp.tenant() AND a.name = 'ann';
INSERT INTO session SELECT pg_temp.tenant(), sha256('3'), a.agent_id, from_ms(:t0), from_ms(:t0 + 1000000) FROM agent a WHERE a.tenant_id = pg_temp.tenant() AND a.name = 'sue';
UPDATE agent_status SET state = 'ready', connected = true, node_id = md5('n')::uuid WHERE tenant_id = pg_temp.tenant();
SELECT is(pg_temp.apply(12, '{"company": {"name": "company-test"}, "skills": [{"name": "loans", "label": "Loans"}], "agents": [{"name": "sue", "role": "supervisor"}], "forms": []}'), 'ok', 'removed');
SELECT is(pg_temp.events(12), '{form.changed,agent.changed,session.closed,session.closed,skill.changed}', 'in this order');
SELECT is(jsonb_build_array(body #> '{agent,removed}', body #> '{agent,has_password}', body #> '{status,state}', body #> '{status,connected}'), '[true, false, "logged_out", false]', 'the agent is logged out')
  FROM got WHERE n = 12 AND kind = 'agent.changed';
SELECT is(state, 'logged_out', 'as written') FROM agent_status WHERE tenant_id = pg_temp.tenant() AND agent_id = 1;
SELECT is(array_agg(agent_id), '{2}', 'his sessions have ended, others'' not') FROM session WHERE tenant_id = pg_temp.tenant();
SELECT is_empty($$SELECT * FROM load_credential('company-test', 'ann')$$, 'he cannot sign in');
SELECT is(company_show('company-test')::jsonb -> 'forms', '[]', 'what was removed is not shown');
SELECT is(pg_temp.apply(13, :'doc'), 'ok', 'and comes back');
SELECT is(array_agg(agent_id), '{1}', 'with his old number') FROM agent WHERE tenant_id = pg_temp.tenant() AND name = 'ann' AND NOT removed;
SELECT is(pg_temp.apply(14, company_show('company-test')::jsonb), 'unchanged', 'as if nothing had been');
SELECT is(pg_temp.apply(15, jsonb_set(jsonb_set(:'doc', '{queues,1,retries}', '{"busy": {"delay_s": 1800, "attempts": 2}, "declined": "stop"}'), '{queues,1,attempts_per_day}', '4')),
	'ok', 'a retry matrix');
SELECT is(jsonb_build_array(retries, attempts_per_day), '[{"busy": {"delay_s": 1800, "attempts": 2}, "declined": "stop"}, 4]', 'is kept') FROM queue
 WHERE tenant_id = pg_temp.tenant() AND name = 'support';
SELECT is(body #> '{queue,retries}', '{"busy": {"delay_s": 1800, "attempts": 2}, "declined": "stop"}', 'is told') FROM got WHERE n = 15 AND what = 'event';
SELECT is(company_show('company-test')::jsonb #> '{queues,1,retries,declined}', '"stop"', 'is shown');
SELECT is(pg_temp.apply(16, :'doc'), 'ok', 'and gone again');
SELECT is(company_show('no-such-company'), NULL, 'no such company');

-- Every strategy by its name; and who stands where.
SELECT is(pg_temp.apply(20 + n::int, jsonb_set(jsonb_set(:'doc', '{queues,1,strategy}', to_jsonb(s)), '{agents,1,position}', to_jsonb(n))), 'ok', s || ' is one')
  FROM unnest('{ring_progressively,round_robin,fewest_calls,least_talk_time,top_down,random}'::text[]) WITH ORDINALITY u(s, n);
SELECT is(body -> 'changes', '[{"object": "queue", "name": "support", "action": "change", "fields": {"strategy": ["top_down", "random"]}},
	{"object": "agent", "name": "sue", "action": "change", "fields": {"position": [5, 6]}}]', 'and what changed is told') FROM got WHERE n = 26 AND ord IS NOT NULL;
SELECT is(body #> '{agent,position}', '6', 'with the agent') FROM got WHERE n = 26 AND kind = 'agent.changed';
SELECT is(pg_temp.apply(27, company_show('company-test')::jsonb), 'unchanged', 'and shown');

SELECT * FROM finish();
ROLLBACK;
