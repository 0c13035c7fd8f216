-- load: a company with a long past, all at once: :rows callbacks over 100 days until :now, one in ten of them still open;
-- with contacts, notes, offers, attempts, keys, and four events each. No statistics afterwards (autovacuum may be off).
SET search_path = callbackd, public;
SET synchronous_commit = off;
INSERT INTO tenant (name, label) VALUES ('old', 'Old Ltd');
SELECT tenant_id AS t FROM tenant WHERE name = 'old' \gset
INSERT INTO queue (tenant_id, queue_id, name, label, version) VALUES (:t, 1, 'sales', 'Sales', 0);
INSERT INTO requirement_class VALUES (:t, 1, 1, '{}');
INSERT INTO agent (tenant_id, agent_id, name, label, version) VALUES (:t, 1, 'ann', 'Ann', 0);
INSERT INTO agent_status (tenant_id, agent_id, seq, since, idle_since) VALUES (:t, 1, 1, from_ms(0), from_ms(0));
-- ids as the server makes them: the time first
CREATE TEMP TABLE r AS
SELECT n, (lpad(to_hex(ms(c.at)), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid AS id,
	c.at, n % 10 <> 0 AS ended
  FROM generate_series(1, :rows) n CROSS JOIN LATERAL (SELECT from_ms(:now) - (:rows - n) * interval '100 days' / :rows AS at) c;
INSERT INTO callback (tenant_id, callback_id, seq, created_at, state, queue_id, class_id, priority, due_at, promise_at,
	promise_local, promise_zone, attempts, offers, ended_at)
SELECT :t, id, 4 * n, at, CASE WHEN ended THEN 'completed' ELSE 'scheduled' END, 1, 1, 0, at + interval '200 days',
	at + interval '200 days', at + interval '200 days', 'UTC', 1, 1, CASE WHEN ended THEN at + interval '10 minutes' END FROM r;
INSERT INTO contact (tenant_id, callback_id, phone, name, case_information)
SELECT :t, id, '+49' || 3000000000 + n, 'Name ' || n, '{"product": "loan"}' FROM r;
INSERT INTO note (tenant_id, callback_id, note_id, agent_id, at, body) SELECT :t, id, id, 1, at, 'wants a loan' FROM r WHERE n % 3 = 0;
INSERT INTO offer (tenant_id, offer_id, seq, callback_id, agent_id, state, created_at, deadline_at, ended_at)
SELECT :t, md5('o' || n)::uuid, 4 * n - 2, id, 1, 'accepted', at, at, at FROM r WHERE ended;
INSERT INTO attempt (tenant_id, attempt_id, seq, callback_id, agent_id, number, state, started_at, ended_at)
SELECT :t, md5('a' || n)::uuid, 4 * n - 1, id, 1, 1, 'answered', at, at FROM r WHERE ended;
INSERT INTO idempotency_key (tenant_id, form_id, key, fingerprint, callback_id, created_at)
SELECT :t, 1, 'key' || n, sha256(n::text::bytea), id, at FROM r WHERE n % 2 = 0;
INSERT INTO event (tenant_id, seq, at, kind, command_id, callback_id, agent_id, body)
SELECT :t, 4 * n - 3 + k, at, 'callback.scheduled', md5('c' || n || '.' || k)::uuid, id, CASE k WHEN 0 THEN NULL ELSE 1 END,
	jsonb_build_object('callback', jsonb_build_object('id', id, 'seq', 4 * n - 3 + k, 'state', 'scheduled', 'queue', 1, 'class', 1,
		'priority', 0, 'created_at', ms(at), 'due_at', ms(at), 'promise_at', ms(at), 'promise_zone', 'UTC'))
  FROM r CROSS JOIN generate_series(0, 3) k ORDER BY n, k;
