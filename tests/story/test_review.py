"""Where the log, its readers and the nodes could fall out of step: desks on several nodes, rights that end,
cursors that are ahead, pages under way, a restored database.
"""

import contextlib
import os
import signal
import subprocess

import psycopg

import house


def test_a_desk_on_each_of_two_nodes_keeps_the_log_quiet(empty):
    a = empty.server("a")
    empty.company()
    b = empty.server("b")
    ann = empty.person("ann", a, ready=True)
    ann.stream.expect("agent.connected")
    knows(b, ann)
    other = house.Stream(b, ann.token, name="ann at b")
    ann.stream.expect("agent.connected")    # who came last is the one that counts
    beats(empty, 2)
    before = said(empty, "agent.connected")
    # both nodes have looked at their desks several times by then
    beats(empty, 5)
    assert said(empty, "agent.connected") == before <= 3
    other.cut()
    ann.stream.expect("agent.disconnected")
    ann.stream.expect("agent.connected")
    asked = empty.visit(b)
    assert ann.offered(asked["id"])


def test_a_stream_ends_with_its_session(world):
    ann = world.person("ann", ready=True)
    ann.stream.expect("agent.connected")
    world.advance(43201)
    assert ann.stream.ended.wait(house.DEADLINE), "the session has run out"
    ann.get("/v1/me/state", status=401)


def test_a_session_that_ran_out_is_cleared_away_at_the_next_sign_in(world):
    world.person("ann", stream=False)
    world.advance(43201)
    world.person("ann", stream=False)
    assert world.rows("SELECT count(*) FROM session") == [(1,)]


def test_a_stream_ends_when_its_rights_do(world):
    sue = world.person("sue")
    world.company(agents__2__role="agent")
    assert sue.stream.ended.wait(house.DEADLINE), "she is no supervisor any more"
    again = house.Stream(world.servers[0], sue.token, sue.stream.last_id)
    world.visit()
    sue.ready()
    again.expect("agent.ready")
    assert "callback.scheduled" not in {e["kind"] for e in again.events}
    again.cut()


def test_who_signs_out_while_behind_reads_no_further(world):
    """A session is over although its stream was not among the live ones when that was told."""
    ann = world.person("ann", stream=False)
    start = ann.state()["event"]
    with held(world, "LOCK TABLE note IN ACCESS EXCLUSIVE MODE"):
        world.visit()
        ann.ready()
        world.until(lambda: world.rows("SELECT 1 FROM offer WHERE state = 'pending'"), "offered")
        behind = house.Stream(world.servers[0], ann.token, start)
        world.until(lambda: waiting(world), "the page waits for its details")
        ann.do("DELETE", "/v1/session")
    assert behind.ended.wait(house.DEADLINE)
    assert "agent.signed_out" not in {e["kind"] for e in behind.events}


def test_a_cursor_that_another_node_gave_is_waited_for(empty):
    """The log knows more than this node: its reader comes from one that was faster."""
    a = empty.server("a", database__tail_ms=600000)
    empty.company()
    sue = empty.person("sue", a, stream=False)
    epoch, seq = sue.state()["event"].split(".")
    # what another node writes, before its notice is here
    empty.rows("""SELECT * FROM execute(1, (extract(epoch FROM %s::timestamptz) * 1000)::bigint, jsonb_build_array(jsonb_build_object(
        'id', gen_random_uuid(), 'kind', 'not_ready', 'role', 'router', 'agent', 1, 'args', '{"reason": "x"}'::json),
        json_build_object('id', gen_random_uuid(), 'kind', 'sign_in_failed', 'role', 'router', 'agent', 2)))""", empty.clock)
    head = empty.rows("SELECT max(seq) FROM event")[0][0]
    assert head > int(seq)
    stream = house.Stream(a, sue.token, f"{epoch}.{head}")
    asked = empty.visit(a)
    stream.expect("callback.scheduled", callback__id=asked["id"])
    kinds = [e["kind"] for e in stream.events]
    assert "reset" not in kinds
    assert all(int(e["id"].split(".")[1]) > head for e in stream.events), kinds
    stream.cut()


def test_who_joins_while_a_page_is_under_way_sees_nothing_twice(world):
    sue = world.person("sue")
    ann = world.person("ann", ready=False)
    sue.stream.expect("agent.connected")
    with held(world, "LOCK TABLE note IN ACCESS EXCLUSIVE MODE"):
        world.visit()
        world.until(lambda: waiting(world), "the page waits for its details")
        for _ in range(3):
            ann.not_ready("a")
            ann.not_ready("b")
        cursor = sue.state()["event"]
        late = house.Stream(world.servers[0], sue.token, cursor, name="late")
        # he had his turn when ten that opened after his were answered
        for _ in range(10):
            house.Stream(world.servers[0], ann.token).cut()
    ann.ready()
    late.expect("agent.ready")
    sue.stream.expect("agent.ready")
    after = int(cursor.split(".")[1])
    seen = [int(e["id"].split(".")[1]) for e in late.events]
    assert seen == list(range(after + 1, after + 1 + len(seen))), (after, seen)
    all_of_it = [int(e["id"].split(".")[1]) for e in sue.stream.events]
    assert all_of_it == list(range(all_of_it[0], all_of_it[0] + len(all_of_it)))
    late.cut()


def test_a_restored_database_resets_every_reader(world):
    sue = world.person("sue")
    poller = world.person("ann", stream=False)
    head = world.rows("SELECT max(seq) FROM event")[0][0]
    lost = world.visit()
    sue.stream.expect("callback.scheduled", callback__id=lost["id"])
    for _ in range(8):
        sue.not_ready("a")
        sue.not_ready("b")
    # as if restored from before the visit
    world.rows("""WITH c AS (DELETE FROM callback), k AS (DELETE FROM contact), e AS (DELETE FROM event WHERE seq > %s),
        s AS (UPDATE agent_status SET seq = least(seq, %s)), t AS (UPDATE tenant SET epoch = epoch + 1)
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()""",
               head, head)
    reset = sue.stream.expect("reset")
    assert reset["id"].startswith("2.")
    assert int(reset["id"].split(".")[1]) < head + 16
    asked = world.visit()
    sue.stream.expect("callback.scheduled", callback__id=asked["id"])
    poller.ready()
    after = [e["id"] for e in sue.stream.events[sue.stream.events.index(reset) + 1:]]
    numbers = [int(i.split(".")[1]) for i in after]
    assert all(i.startswith("2.") for i in after)
    assert numbers == list(range(int(reset["id"].split(".")[1]) + 1, numbers[-1] + 1))


def test_all_of_a_contact_are_cancelled_after_a_restore(world):
    """One that ends gives those that follow it new versions, and may make one of them the next to be called."""
    asked = [world.visit(phone="+49 30 12345678")["id"] for _ in range(4)]
    world.servers[0].stop()
    tool = [os.path.join(house.SRC, "contrib", "ha", "restored"), "cancel"]
    env = {**os.environ, "PGHOST": world.cluster.dir, "PGUSER": "callbackd", "PGDATABASE": world.database}
    head = world.rows("SELECT max(seq) FROM event")[0][0]
    said = [subprocess.run(tool, env=env, input="\n".join(asked), text=True, check=True, stdout=subprocess.PIPE).stdout
            for _ in range(2)]
    assert all(said[0].count(i) == 1 for i in asked) and said[0].count("| cancelled") == 4, said[0]
    assert world.rows("SELECT DISTINCT state, reason FROM callback") == [("cancelled", "restored")]
    kinds = world.rows("SELECT kind FROM event WHERE seq > %s", head)
    assert kinds == [("callback.cancelled",)] * 4, "nobody moved up"
    assert said[1].count("| refused: wrong_state") == 4, "again changes nothing"


def test_a_log_that_lost_its_end_is_another_epoch(empty):
    """No timeline tells: a disk lied about what it had written. The node that knows more says so, and the other hears."""
    a = empty.server("a")
    empty.company()
    b = empty.server("b")
    ann, bob = empty.person("ann", a), empty.person("bob", b)
    head = empty.rows("SELECT max(seq) FROM event")[0][0]
    for _ in range(8):
        ann.not_ready("a")
        ann.not_ready("b")
    ann.stream.expect("agent.not_ready", id=f"1.{head + 16}")
    empty.until(lambda: bob.state()["event"] == f"1.{head + 16}", "b knows it, too")
    empty.rows("""WITH e AS (DELETE FROM event WHERE seq > %s),
        s AS (UPDATE agent_status SET seq = least(seq, %s))
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()""",
               head, head)
    epochs = {person.stream.expect("reset")["id"].split(".")[0] for person in (ann, bob)}
    assert epochs == {str(empty.rows("SELECT epoch FROM tenant")[0][0])} and epochs != {"1"}
    assert empty.rows("SELECT count(*) FROM epoch") == [(2,)]


def test_a_primary_of_before_is_yet_another_epoch(empty):
    """What was promoted is given up again for what it had replaced: nobody may take the old epoch for the present one."""
    a = empty.server("a")
    empty.company()
    ann = empty.person("ann", a)
    empty.rows("SELECT epoch_begin(1, log_origin())")
    promoted = int(ann.stream.expect("reset")["id"].split(".")[0])
    empty.rows("UPDATE tenant SET epoch = 1 RETURNING 1")
    again = int(ann.stream.expect("reset")["id"].split(".")[0])
    assert again > promoted and empty.rows("SELECT epoch FROM tenant") == [(again,)]


def test_an_epoch_that_a_peer_began_is_heard_with_the_next_beat(empty):
    a = empty.server("a")
    empty.company()
    ann = empty.person("ann", a)
    empty.rows("SELECT epoch_begin(1, log_origin())")
    reset = ann.stream.expect("reset")
    assert reset["id"].split(".")[0] == str(empty.rows("SELECT epoch FROM tenant")[0][0])


def test_a_clean_stop_while_promises_expire(world):
    """The server stops while its router waits for what it said to the database."""
    for _ in range(5):
        world.visit()
    with held(world, "SELECT pg_advisory_lock(8221, 1)"):
        world.advance(86401 + 86400)
        world.until(lambda: world.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"), "it waits")
        server = world.servers[0]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(house.DEADLINE) == 0


def test_a_node_that_was_stopped_longer_than_its_lease(empty):
    """It wakes with a lease that another holds, and with a model of long ago."""
    a = empty.server("a")
    empty.company()
    empty.until(lambda: empty.rows("SELECT 1 FROM lease"), "a holds it")
    b = empty.server("b")
    ann, bob = empty.person("ann", a, ready=True), empty.person("bob", b)
    ann.stream.expect("agent.connected")
    ids = empty.rows("SELECT node_id FROM lease")
    a.process.send_signal(signal.SIGSTOP)
    try:
        empty.until(lambda: empty.rows("SELECT 1 FROM lease WHERE node_id <> %s", ids[0][0]), "b took it")
        empty.until(lambda: not empty.rows("SELECT 1 FROM agent_status WHERE connected AND node_id = %s", ids[0][0]), "ann lost")
        bob.ready()
        asked = empty.visit(b)
        bob.accept(bob.offered(asked["id"]))
    finally:
        a.process.send_signal(signal.SIGCONT)
    ann.stream.expect("agent.disconnected")
    ann.stream.expect("agent.connected")
    second = empty.visit(b)
    assert ann.offered(second["id"])
    numbers = [int(e["id"].split(".")[1]) for e in ann.stream.events]
    assert numbers == sorted(set(numbers))
    assert empty.rows("SELECT count(*) FROM offer") == [(2,)]


def test_a_removed_agents_and_queues_callbacks_are_not_stuck(world):
    ann, bob = world.person("ann", ready=True), world.person("bob")
    first = world.visit()
    ann.accept(ann.offered(first["id"]))
    second = world.visit()
    document = demo_without(world, agent="ann")
    assert ann.stream.ended.wait(house.DEADLINE), "her session is over"
    document["queues"] = [q for q in document["queues"] if q["name"] != "sales"]
    document["forms"] = [f for f in document["forms"] if f["queue"] != "sales"]
    apply(world, document)
    bob.ready()
    assert bob.offered(second["id"])
    world.advance(601)
    world.until(lambda: world.rows("SELECT agent_id FROM callback WHERE callback_id = %s", first["id"]) == [(None,)], "back")


def demo_without(world, agent):
    with world.servers[0].operator() as operator:
        document = operator.get("/v1/company").json()
    document = document.get("document", document)
    document["agents"] = [a for a in document["agents"] if a["name"] != agent]
    apply(world, document)
    return document


def apply(world, document):
    with world.servers[0].operator() as operator:
        answer = operator.put("/v1/company", json=document)
    assert answer.status_code == 200, answer.text


@contextlib.contextmanager
def held(world, lock):
    """The database does not get past something meanwhile."""
    with psycopg.connect(world.cluster.conninfo(world.database), options="-c search_path=callbackd,public") as db:
        db.execute(lock)
        yield
        db.rollback()


def said(world, kind):
    return world.rows("SELECT count(*) FROM event WHERE kind = %s", kind)[0][0]


def knows(server, person):
    """The node has heard of the session."""
    with server.client(headers={"Authorization": f"Bearer {person.token}"}) as client:
        person.server.world.until(lambda: client.get("/v1/me/state").status_code == 200, "known")


def waiting(world):
    return world.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database"
                      " WHERE datname = current_database())")


def beats(world, seconds):
    """Until every node has renewed itself for so long."""
    start = world.rows("SELECT clock_timestamp()")[0][0]
    world.until(lambda: all((until - start).total_seconds() > seconds for until, in world.rows("SELECT until FROM node")), "beats")
