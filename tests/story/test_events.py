"""The log as its readers see it: streams and long polls, each event once, in order."""

import house
from test_offers import holder


def test_reconnect_in_the_middle_of_a_burst(world):
    sue = world.person("sue")
    posted = []
    for n in range(60):
        posted.append(world.visit(subject=f"burst {n}")["id"])
        if n == 20:
            sue.stream.cut()
    cut_at = sue.stream.last_id
    before = [e for e in sue.stream.events if e["kind"] == "callback.scheduled"]
    again = house.Stream(world.servers[0], sue.token, cut_at)
    for _ in range(60 - len(before)):
        again.expect("callback.scheduled")
    seen = before + [e for e in again.events if e["kind"] == "callback.scheduled"]
    assert [e["callback"]["id"] for e in seen] == posted
    again.cut()


def test_resume_from_before_what_memory_holds(empty):
    empty.server("a", database__ring_events=16)
    empty.company()
    sue = empty.person("sue")
    start = sue.stream.last_id
    sue.stream.cut()
    posted = [empty.visit()["id"] for _ in range(40)]
    again = house.Stream(empty.servers[0], sue.token, start)
    assert [again.expect("callback.scheduled")["callback"]["id"] for _ in posted] == posted
    again.cut()


def test_a_restart_does_not_lose_the_place(world):
    sue = world.person("sue")
    first = world.visit()["id"]
    sue.stream.expect("callback.scheduled", callback__id=first)
    last = sue.stream.last_id
    world.servers[0].stop()
    assert sue.stream.ended.wait(house.DEADLINE)
    world.servers[0].start()
    second = world.visit()["id"]
    again = house.Stream(world.servers[0], sue.token, last)
    assert again.expect("callback.scheduled")["callback"]["id"] == second
    again.cut()


def test_foreign_epochs_and_impossible_cursors_get_a_reset(world):
    sue = world.person("sue", stream=False)
    head = sue.state()["event"]
    epoch, seq = head.split(".")
    for cursor in (f"{int(epoch) + 1}.{seq}", f"{epoch}.{int(seq) + 1000}", "0.0"):
        stream = house.Stream(world.servers[0], sue.token, cursor)
        reset = stream.expect("reset")
        asked = world.visit()
        assert stream.expect("callback.scheduled")["callback"]["id"] == asked["id"]
        assert int(reset["id"].split(".")[1]) >= int(seq)
        stream.cut()
    assert sue.http.get("/v1/events", headers={"Last-Event-ID": "rubbish", "Accept": "text/event-stream"}).status_code == 400


def test_long_poll_sees_the_same_log(world):
    sue = world.person("sue", stream=False)
    after = sue.state()["event"]
    empty = sue.get(f"/v1/events?after={after}&wait_s=0")
    assert empty["events"] == [] or all(e["kind"].startswith("agent.") for e in empty["events"])
    after = empty["next"]
    posted = [world.visit()["id"] for _ in range(7)]
    seen = []
    while len(seen) < 7:
        page = sue.get(f"/v1/events?after={after}&max=3&wait_s=10")
        assert 0 < len(page["events"]) <= 3
        seen += [e["callback"]["id"] for e in page["events"] if e["kind"] == "callback.scheduled"]
        after = page["next"]
    assert seen == posted


def test_a_waiting_poll_is_answered_by_the_event(world):
    import concurrent.futures
    ann = world.person("ann", ready=True, stream=False)
    after = ann.state()["event"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        poll = pool.submit(ann.get, f"/v1/events?after={after}&wait_s=20")
        asked = world.visit()
        kinds = []
        while "offer.created" not in kinds:
            page = poll.result(house.DEADLINE)
            kinds += [e["kind"] for e in page["events"]]
            poll = pool.submit(ann.get, f"/v1/events?after={page['next']}&wait_s=1")
        poll.result(house.DEADLINE)
    assert ann.state()["offers"][0]["callback"]["id"] == asked["id"]


def test_an_agent_sees_what_concerns_him_and_no_more(world):
    ann, bob = world.person("ann", ready=True), world.person("bob", ready=True)
    asked = world.visit(name="Private Person")
    first, other = (ann, bob) if holder(world, asked) == "ann" else (bob, ann)
    first.offered(asked["id"])
    first.accept(first.state()["offers"][0]["offer"])
    first.stream.expect("offer.accepted")
    assert not [e for e in other.stream.events if e["kind"].startswith(("offer.", "callback."))]
    assert other.get(f"/v1/callbacks/{asked['id']}", status=404)
    assert first.get(f"/v1/callbacks/{asked['id']}")["detail"]["contact"]["name"] == "Private Person"


def test_streams_end_with_the_session(world):
    ann = world.person("ann")
    sue = world.person("sue")
    sue.do("DELETE", "/v1/agents/ann/sessions")
    assert ann.stream.ended.wait(house.DEADLINE)
    assert ann.http.get("/v1/me/state").status_code == 401


def test_heartbeats_move_the_cursor_of_an_idle_reader(world):
    ann = world.person("ann")
    before = ann.stream.last_id
    asked = world.visit()
    head = world.rows("SELECT max(seq) FROM event WHERE callback_id = %s", asked["id"])[0][0]
    world.until(lambda: int(ann.stream.last_id.split(".")[1]) >= head, "the idle cursor moved")
    assert ann.stream.last_id != before
    assert not [e for e in ann.stream.events if e["kind"] == "callback.scheduled"]


def test_no_event_row_holds_personal_data(world):
    ann = world.person("ann", ready=True)
    asked = world.visit(name="Zacharias Quux", phone="+49 30 55566677", email="zq@example.org", subject="secret",
                        colour="vermilion", notes="ring twice")
    ann.accept(ann.offered(asked["id"]))
    ann.stream.expect("offer.accepted")
    bodies = " ".join(str(b) for b, in world.rows("SELECT body::text FROM event"))
    with open(world.servers[0].log) as log:
        lines = log.read()
    for word in ("Zacharias", "55566677", "zq@example.org", "secret", "vermilion", "ring twice", ann.token):
        assert word not in bodies, word
        assert word not in lines, word
