/*
 * The stand-ins below know nothing of callbacks: they write one event for each
 * element and do as its kind says.
 */
#include "db_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"

#define DEADLINE_MS 30000

struct fixture fixture;
static int64_t deadline_at;

/* Nobody stands by: a commit with synchronous_commit=on waits for ever, done but unanswered. */
static const char settings[] =
    "synchronous_standby_names = 'nobody'\nsynchronous_commit = local\nmax_wal_senders = 2\n"
    "deadlock_timeout = 100ms\n";

static const char tables[] =
    "CREATE SCHEMA callbackd;"
    "CREATE TABLE callbackd.event (tenant int, seq bigint, at bigint, kind text, agent_id int, "
    "body text,"
    " id text, PRIMARY KEY (tenant, seq), UNIQUE (tenant, id));"
    "CREATE TABLE callbackd.call (n serial PRIMARY KEY, what text, now_ms bigint, elements json);"
    "CREATE TABLE callbackd.tenant (id int PRIMARY KEY, name text, node uuid, until timestamptz);"
    "CREATE TABLE callbackd.node (id uuid PRIMARY KEY, name text, until timestamptz);"
    "CREATE SEQUENCE callbackd.tries;";

/*
 * Kinds: poison (an error), skew (CB001), late (CB001 before the clock's 5 s), deadlock (40P01 the first two times),
 * wait (for advisory lock 42), hang (commits, but is never answered the first
 * time), refuse (refused), mute (gets no answer).
 */
static const char take[] =
    "CREATE FUNCTION callbackd.take(p_what text, p_tenant int, p_now bigint, p_elements jsonb)"
    " RETURNS TABLE(what text, ord int, seq bigint, at bigint, kind text, agent_id int, body text)"
    " LANGUAGE plpgsql AS $$\n"
    "#variable_conflict use_column\n"
    "DECLARE e jsonb; o bigint; k text; top bigint; old bigint; first bigint;"
    " ords int[] := '{}'; seqs bigint[] := '{}'; kinds text[] := '{}';\n"
    "BEGIN\n"
    " PERFORM pg_advisory_xact_lock(7, p_tenant);\n"
    " SELECT coalesce(max(v.seq), 0) INTO top FROM callbackd.event v WHERE v.tenant = p_tenant;\n"
    " first := top;\n"
    " FOR e, o IN SELECT j.value, j.ordinality FROM jsonb_array_elements(p_elements) WITH "
    "ORDINALITY j LOOP\n"
    "  k := coalesce(e->>'kind', 'form');\n"
    "  old := NULL;\n"
    "  SELECT v.seq INTO old FROM callbackd.event v WHERE v.tenant = p_tenant AND v.id = "
    "e->>'id';\n"
    "  IF k = 'poison' THEN PERFORM 1 / 0;\n"
    "  ELSIF k = 'skew' THEN RAISE EXCEPTION 'clock' USING ERRCODE = 'CB001';\n"
    "  ELSIF k = 'late' AND p_now < 1700000005123 THEN"
    "   RAISE EXCEPTION 'clock' USING ERRCODE = 'CB001';\n"
    "  ELSIF k = 'deadlock' AND nextval('callbackd.tries') <= 2 THEN"
    "   RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01';\n"
    "  ELSIF k = 'wait' THEN PERFORM pg_advisory_xact_lock(42);\n"
    "  ELSIF k = 'hang' AND old IS NULL THEN PERFORM set_config('synchronous_commit', 'on', "
    "true);\n"
    "  END IF;\n"
    "  CONTINUE WHEN k = 'mute';\n"
    "  ords := ords || (o - 1)::int;\n"
    "  kinds := kinds || CASE WHEN k = 'refuse' THEN 'stale_version' END;\n"
    "  IF k = 'refuse' THEN old := 0; END IF;\n"
    "  IF old IS NULL THEN\n"
    "   top := top + 1;\n"
    "   INSERT INTO callbackd.event VALUES (p_tenant, top, p_now, k, (e->>'agent')::int,"
    "    json_build_object('of', e->>'id', 'ord', o - 1)::text, e->>'id');\n"
    "  END IF;\n"
    "  seqs := seqs || coalesce(old, top);\n"
    " END LOOP;\n"
    " INSERT INTO callbackd.call (what, now_ms, elements) VALUES (p_what, p_now, p_elements);\n"
    " RETURN QUERY SELECT 'event', ords[array_position(seqs, v.seq)], v.seq, v.at, v.kind, "
    "v.agent_id, v.body"
    "  FROM callbackd.event v WHERE v.tenant = p_tenant AND v.seq > first ORDER BY v.seq;\n"
    " RETURN QUERY SELECT 'answer', a.ord, nullif(a.seq, 0), NULL::bigint, a.kind, NULL::int,"
    "  json_build_object('ord', a.ord)::text FROM unnest(ords, seqs, kinds) a(ord, seq, kind)"
    "  WHERE a.ord IS DISTINCT FROM CASE WHEN a.seq > first THEN ords[array_position(seqs, a.seq)] "
    "END"
    "  ORDER BY a.ord DESC;\n"
    "END $$;"
    "CREATE FUNCTION callbackd.submit(int, bigint, jsonb) RETURNS TABLE(what text, ord int, seq "
    "bigint,"
    " at bigint, kind text, agent_id int, body text) LANGUAGE sql AS"
    " $$ SELECT * FROM callbackd.take('submit', $1, $2, $3) $$;"
    "CREATE FUNCTION callbackd.execute(int, bigint, jsonb) RETURNS TABLE(what text, ord int, seq "
    "bigint,"
    " at bigint, kind text, agent_id int, body text) LANGUAGE sql AS"
    " $$ SELECT * FROM callbackd.take('execute', $1, $2, $3) $$;";

static const char leases[] =
    "CREATE FUNCTION callbackd.node_beat(p_node uuid, p_name text, p_lease_ms int)"
    " RETURNS TABLE(tenant_id int, name text, held bool, epoch int, alive int, db_now bigint) LANGUAGE "
    "plpgsql AS $$\n"
    "#variable_conflict use_column\n"
    "DECLARE t timestamptz := clock_timestamp(); till timestamptz := t + p_lease_ms * interval '1 "
    "ms'; n int;\n"
    "BEGIN\n"
    " PERFORM pg_advisory_xact_lock(8);\n"
    " INSERT INTO callbackd.node VALUES (p_node, p_name, till)"
    "  ON CONFLICT (id) DO UPDATE SET until = excluded.until;\n"
    " UPDATE callbackd.tenant SET node = p_node, until = till"
    "  WHERE node = p_node OR node IS NULL OR until < t;\n"
    " SELECT count(*) INTO n FROM callbackd.node WHERE until >= t;\n"
    " RETURN QUERY SELECT x.id, x.name, x.node = p_node, 1, n, (extract(epoch FROM t) * 1000)::bigint "
    "+ 5000"
    "  FROM (SELECT 1) one LEFT JOIN callbackd.tenant x ON true ORDER BY x.id;\n"
    "END $$;"
    "CREATE FUNCTION callbackd.node_leave(p_node uuid) RETURNS void LANGUAGE sql AS $$"
    " UPDATE callbackd.tenant SET node = NULL WHERE node = p_node;"
    " DELETE FROM callbackd.node WHERE id = p_node $$;";

/*
 * load_credential(word, how) answers with the word. how: fail (22012), stale
 * (26000), wait (for advisory lock 42), notice.
 */
static const char others[] =
    "CREATE FUNCTION callbackd.load_credential(word text, how text) RETURNS TABLE(answer text)"
    " LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    " IF how = 'fail' THEN PERFORM 1 / 0;\n"
    " ELSIF how = 'stale' THEN RAISE EXCEPTION 'gone' USING ERRCODE = '26000';\n"
    " ELSIF how = 'wait' THEN PERFORM pg_advisory_xact_lock(42);\n"
    " ELSIF how = 'notice' THEN RAISE NOTICE 'a notice' USING DETAIL = word;\n"
    " END IF;\n"
    " RETURN QUERY SELECT word;\n"
    "END $$;"
    "CREATE TABLE callbackd.log (epoch int);"
    "INSERT INTO callbackd.log VALUES (1);"
    "CREATE FUNCTION callbackd.epoch_settle() RETURNS int LANGUAGE sql AS 'SELECT epoch FROM "
    "callbackd.log';"
    "CREATE FUNCTION callbackd.epoch_shortened(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.schema_check() RETURNS int LANGUAGE sql AS 'SELECT 1';"
    "CREATE FUNCTION callbackd.load_model(int, bigint, int, int) RETURNS int LANGUAGE sql AS "
    "'SELECT $1';"
    "CREATE FUNCTION callbackd.load_due(int, bigint, int, int) RETURNS int LANGUAGE sql AS 'SELECT "
    "$1';"
    "CREATE FUNCTION callbackd.load_future(int, bigint, bigint, uuid, int) RETURNS int LANGUAGE "
    "sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.load_elapsed(int, bigint, int) RETURNS int LANGUAGE sql AS 'SELECT "
    "$1';"
    "CREATE FUNCTION callbackd.load_events(int, bigint, int) RETURNS bigint LANGUAGE sql AS"
    " 'INSERT INTO callbackd.call (what, now_ms) VALUES (''read'', $2) RETURNING now_ms';"
    "CREATE FUNCTION callbackd.load_details(int, json) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.load_callback(int, uuid) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.load_callbacks(int, bigint, json) RETURNS int LANGUAGE sql AS "
    "'SELECT $1';"
    "CREATE FUNCTION callbackd.load_export(int, bigint, json, text) RETURNS int LANGUAGE sql AS "
    "'SELECT $1';"
    "CREATE FUNCTION callbackd.load_contact_callbacks(int, text, int) RETURNS int LANGUAGE sql AS "
    "'SELECT $1';"
    "CREATE FUNCTION callbackd.load_contact_export(int, text) RETURNS int LANGUAGE sql AS 'SELECT "
    "$1';"
    "CREATE FUNCTION callbackd.retain(int, bigint, bigint, int) RETURNS int LANGUAGE sql AS "
    "'SELECT $1';"
    "CREATE FUNCTION callbackd.load_suppressions(int, int, int) RETURNS int LANGUAGE sql AS "
    "'SELECT $1';"
    "CREATE FUNCTION callbackd.submit_dry(int, bigint, json) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.load_slots(int, bigint, json) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.load_secrets(int) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.load_nodes() RETURNS int LANGUAGE sql AS 'SELECT 1';"
    "CREATE FUNCTION callbackd.company_show(text) RETURNS text LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.company_plan(json) RETURNS int LANGUAGE sql AS 'SELECT 1';"
    "CREATE FUNCTION callbackd.rules_show(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.rules_versions(int) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.rules_plan(int, json) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.rules_try(int, json) RETURNS int LANGUAGE sql AS 'SELECT $1';"
    "CREATE FUNCTION callbackd.tenant_create(text) RETURNS int LANGUAGE sql AS 'SELECT 1';";

int
fixture_group_setup(void **state)
{
	(void)state;
	log_level_set(LOG_LEVEL_ERROR);
	fixture.cluster = cluster_start(settings);
	cluster_run(fixture.cluster, tables);
	cluster_run(fixture.cluster, take);
	cluster_run(fixture.cluster, leases);
	cluster_run(fixture.cluster, others);
	return 0;
}

int
fixture_group_teardown(void **state)
{
	(void)state;
	cluster_stop(fixture.cluster);
	return 0;
}

int
fixture_setup(void **state)
{
	(void)state;
	cluster_run(fixture.cluster,
	    "TRUNCATE callbackd.event, callbackd.call, callbackd.tenant, callbackd.node"
	    " RESTART IDENTITY; ALTER SEQUENCE callbackd.tries RESTART");
	fixture.conf = (struct conf){
		.conninfo = (char *)(uintptr_t)cluster_conninfo(fixture.cluster),
		.pool_size = 3,
		.queue_depth = 4096,
		.statement_timeout_ms = 10000,
		.lease_ms = 300,
		.node_name = (char *)(uintptr_t) "test",
	};
	fixture.base = event_base_new();
	deadline_at = clock_mono_ms() + DEADLINE_MS;
	return fixture.base == NULL;
}

int
fixture_teardown(void **state)
{
	(void)state;
	event_base_free(fixture.base);
	cluster_run(fixture.cluster, "SELECT pg_advisory_unlock_all()");
	return 0;
}

void
loop_turn(void)
{
	struct timeval tv = { 0, 5000 };
	if (clock_mono_ms() > deadline_at)
		fail_msg("not within %d ms", DEADLINE_MS);
	event_base_loopexit(fixture.base, &tv);
	event_base_loop(fixture.base, EVLOOP_ONCE);
}
