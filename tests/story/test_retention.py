"""Years pass: what is old goes by itself, what is open stays, and readers are told when they are too late."""

import re

import house

DAY = 86400


def told(world, server=None):
    """The log line of a pass that deleted something: callbacks and events."""
    line = (server or world.servers[0]).wait_log(r"retention=done callbacks=(\d+) events=(\d+)")
    return int(line.group(1)), int(line.group(2))


def count(world, table):
    return world.rows(f"SELECT count(*) FROM {table}")[0][0]


def test_what_has_ended_is_deleted_in_time_and_what_is_open_stays(empty):
    server = empty.server(database__ring_events=5)
    empty.company(company__history_days=2, company__log_days=2, forms__0__horizon_s=30 * DAY, queues__0__promise_window_s=0)
    ann = empty.person("ann", ready=True)
    asked = empty.visit(when="asap")
    later = empty.visit(when="2026-12-20T10:00", time_zone="UTC")
    offer = ann.offered(asked["id"])
    version = ann.accept(offer)["callback"]["seq"]
    ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "sold", "note": "prefers mornings"})
    first = ann.stream.events[0]["id"]
    empty.advance(DAY)
    assert count(empty, "callback") == 2
    empty.advance(DAY + 3600)
    callbacks, events = told(empty)
    assert callbacks == 1 and events > 5
    for table in ("callback", "contact"):
        assert empty.rows(f"SELECT callback_id::text FROM {table}") == [(later["id"],)], table
    assert [count(empty, table) for table in ("note", "offer", "attempt")] == [0, 0, 0]
    floor, head = empty.rows("SELECT floor_seq, (SELECT max(seq) FROM event) FROM tenant")[0]
    assert 0 < floor < head

    boss = empty.person("sue", stream=False)
    late = house.Stream(server, boss.token, last_id=first, name="late")
    assert late.expect("reset")["id"].split(".")[1] >= str(floor)
    exact = house.Stream(server, boss.token, last_id=f"1.{floor}", name="exact")
    exact.expect("session.opened")
    assert [int(e["id"].split(".")[1]) for e in exact.events] == list(range(floor + 1, floor + 1 + len(exact.events)))
    assert "retention_callbacks_total{tenant=\"demo\"} 1" in server.client().get("/metrics").text
    late.cut()
    exact.cut()
    empty.check_projection(server)


def test_only_the_lease_holder_deletes_and_another_goes_on(empty):
    empty.server("a")
    empty.company(company__history_days=1, company__log_days=1, queues__0__promise_window_s=0)
    with empty.servers[0].operator() as operator:
        for _ in range(120):
            asked = empty.visit()
            assert operator.post(f"/v1/callbacks/{asked['id']}/cancel", json={}).status_code == 200
    b = empty.server("b")
    empty.until(lambda: 'tenant_live{tenant="demo"} 1' in b.client().get("/metrics").text, "b follows")
    empty.advance(DAY + 7200)
    told(empty)
    assert count(empty, "callback") == 0
    with open(b.log) as log:
        assert not re.search("retention=done", log.read()), "b has not the lease"
    asked = empty.visit()
    with empty.servers[0].operator() as operator:
        assert operator.post(f"/v1/callbacks/{asked['id']}/cancel", json={}).status_code == 200
    empty.servers[0].stop()
    empty.until(lambda: 'tenant_lease{tenant="demo"} 1' in b.client().get("/metrics").text, "b takes over")
    empty.advance(DAY + 7200)
    assert told(empty, b)[0] == 1
    assert count(empty, "event") >= 1
