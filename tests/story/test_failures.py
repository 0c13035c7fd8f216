"""What happens when something dies: desks, nodes, PostgreSQL, and this server itself, at random moments."""

import contextlib
import json
import random
import threading
import time
import uuid

import house
import psycopg


def test_a_lost_desk_gives_everything_back(world):
    ann, bob = world.person("ann", ready=True), world.person("bob")
    asked, other = world.visit(), None
    offer = ann.offered(asked["id"])
    ann.stream.cut()
    world.until(lambda: not status(world, "ann")["connected"], "ann disconnected")
    other = world.visit()
    world.advance(31)
    world.until(lambda: status(world, "ann")["state"] == "not_ready", "ann lost")
    assert status(world, "ann")["reason"] == "connection_lost"
    assert world.rows("SELECT state FROM offer WHERE offer_id = %s", offer["id"]) == [("timeout",)]
    bob.ready()
    got = {bob.offered()["callback"]}
    assert got <= {asked["id"], other["id"]}


def test_a_desk_that_comes_back_within_the_grace_time_keeps_everything(world):
    ann = world.person("ann", ready=True)
    asked = world.visit()
    ann.accept(ann.offered(asked["id"]))
    ann.stream.expect("offer.accepted")
    ann.stream.cut()
    world.until(lambda: not status(world, "ann")["connected"], "ann disconnected")
    again = house.Stream(world.servers[0], ann.token, ann.stream.last_id)
    again.expect("agent.connected")
    world.advance(60)
    assert [c["callback"]["id"] for c in ann.state()["callbacks"]] == [asked["id"]]
    again.cut()


def test_ready_to_call_goes_back_but_a_call_in_progress_stays(world):
    ann, bob = world.person("ann", ready=True), world.person("bob", ready=True)
    first = world.visit()
    world.until(lambda: world.rows("SELECT 1 FROM offer WHERE state = 'pending'"), "offered")
    talking = ann if ann.state()["offers"] else bob
    waiting = bob if talking is ann else ann
    offer = talking.offered(first["id"])
    talking.accept(offer)
    version = talking.stream.expect("offer.accepted")["callback"]["seq"]
    call = talking.post(f"/v1/callbacks/{first['id']}/call", {"version": version})
    talking.post(f"/v1/attempts/{call['attempt']['id']}/connected")
    second = world.visit()
    waiting.accept(waiting.offered(second["id"]))
    for person in (talking, waiting):
        person.stream.cut()
    world.until(lambda: not status(world, "ann")["connected"] and not status(world, "bob")["connected"], "both gone")
    world.advance(31)
    world.until(lambda: callback(world, second) == "scheduled", "given back")
    assert callback(world, first) == "connected"
    world.advance(14400)
    world.until(lambda: callback(world, first) != "connected", "the longest call has an end")


def test_two_nodes_an_agent_on_each(empty):
    a = empty.server("a")
    empty.company()
    b = empty.server("b")
    empty.company()
    ann, bob = empty.person("ann", a, ready=True), empty.person("bob", b, ready=True)
    seen = set()
    for server in (a, b, a, b):
        asked = empty.visit(server)
        empty.until(lambda: empty.rows("SELECT 1 FROM offer WHERE callback_id = %s AND state = 'pending'", asked["id"]), "offered")
        who = empty.rows("SELECT a.name FROM offer o JOIN agent a USING (tenant_id, agent_id) WHERE o.callback_id = %s",
                         asked["id"])[0][0]
        seen.add(who)
        person = ann if who == "ann" else bob
        person.accept(person.offered(asked["id"]))
        version = person.stream.expect("offer.accepted")["callback"]["seq"]
        person.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "sold"})
        empty.advance(200)
        person.stream.expect("agent.ready")
    assert seen == {"ann", "bob"}


def test_a_token_is_good_at_every_node_at_once(empty):
    a = empty.server("a", database__tail_ms=60000)
    empty.company()
    b = empty.server("b", database__tail_ms=60000)
    with b.operator() as operator:
        empty.until(lambda: len([n for n in operator.get("/v1/nodes").json()["nodes"] if n["alive"]]) == 2, "two nodes")
    empty.until(lambda: "nodes=2" in open(a.log).read() and "nodes=2" in open(b.log).read(), "both know")
    for _ in range(10):
        ann = empty.person("ann", a, stream=False)
        with b.client() as client:
            token = {"Authorization": f"Bearer {ann.token}"}
            assert client.get("/v1/me", headers=token).status_code == 200
            assert client.get("/v1/me", headers={"Authorization": f"Bearer {ann.token[:-3]}aaa"}).status_code == 401
        bob = empty.person("bob", a, stream=False)
        house.Stream(b, bob.token).cut()


def test_who_signs_in_ready_again_is_ready_again(world):
    ann = world.person("ann", ready=True)
    ann.stream.expect("agent.connected")
    ann.stream.cut()
    world.until(lambda: not status(world, "ann")["connected"], "ann disconnected")
    world.advance(31)
    world.until(lambda: status(world, "ann")["state"] == "not_ready", "ann lost")
    again = world.person("ann", ready=True)
    asked = world.visit()
    again.accept(again.offered(asked["id"]))


def test_a_desk_that_never_comes_is_lost_too(world):
    with world.servers[0].client() as client:
        assert client.post("/v1/session", json={"name": "ann", "password": "demo-ann", "ready": True}).status_code == 201
    assert status(world, "ann") == {"state": "ready", "reason": None, "connected": False}
    world.advance(31)
    world.until(lambda: status(world, "ann")["reason"] == "connection_lost", "ann lost")


def test_nor_is_one_who_comes_back_without_a_desk_ready_for_ever(world):
    ann, sue = world.person("ann", ready=True), world.person("sue", stream=False)
    ann.stream.expect("agent.connected")
    ann.stream.cut()
    lost = {"state": "not_ready", "reason": "connection_lost", "connected": False}

    def goes_by():
        world.until(lambda: not status(world, "ann")["connected"], "ann has no desk")
        world.advance(31)
        world.until(lambda: status(world, "ann") == lost, "ann lost")

    goes_by()
    with world.servers[0].client() as client:
        assert client.post("/v1/session", json={"name": "ann", "password": "demo-ann", "ready": True}).status_code == 201
    assert status(world, "ann")["state"] == "ready"
    goes_by()
    sue.do("PUT", "/v1/agents/ann/status", {"state": "ready"})
    assert status(world, "ann")["state"] == "ready"
    goes_by()


def test_an_agent_whose_sessions_ran_out_is_logged_out(world):
    ann = world.person("ann", ready=True)
    ann.stream.expect("agent.connected")
    world.advance(43201)
    assert ann.stream.ended.wait(house.DEADLINE)
    world.until(lambda: not status(world, "ann")["connected"], "ann disconnected")
    world.advance(31)
    world.until(lambda: status(world, "ann")["state"] == "logged_out", "ann is logged out")


def test_the_other_node_takes_over(empty):
    a = empty.server("a")
    empty.company()
    b = empty.server("b")
    bob = empty.person("bob", b, ready=True)
    empty.until(lambda: empty.rows("SELECT 1 FROM lease"), "a lease")
    a.kill()
    asked = empty.visit(b)
    bob.accept(bob.offered(asked["id"]))


def test_agents_of_a_dead_node_are_disconnected(empty):
    a = empty.server("a")
    empty.company()
    b = empty.server("b")
    ann = empty.person("ann", a, ready=True)
    empty.until(lambda: status(empty, "ann")["connected"], "connected")
    a.kill()
    empty.until(lambda: not status(empty, "ann")["connected"], "the other node noticed")
    assert b.process.poll() is None
    assert ann.stream.ended.wait(house.DEADLINE)


def test_a_node_that_stops_in_the_middle_of_an_answer(world):
    """PostgreSQL waits for it to read on, with the company's lock in hand. Nobody else may have to wait for that."""
    world.visit()
    tenant, now_ms = world.rows("SELECT tenant_id, ms(at) FROM event ORDER BY seq DESC LIMIT 1")[0]
    batch = [{"id": str(uuid.uuid4()), "form": 1, "phone": f"+4930{1000000 + n}", "when": "asap", "case": {}} for n in range(800)]
    stopped = psycopg.connect(world.cluster.conninfo(world.database), options="-c search_path=callbackd,public")
    with contextlib.closing(stopped):
        stopped.pgconn.nonblocking = 1
        stopped.pgconn.send_query_params(b"SELECT * FROM submit($1::int, $2::bigint, $3)", [
            str(tenant).encode(), str(now_ms).encode(), json.dumps(batch).encode()])
        world.until(lambda: stopped.pgconn.flush() == 0, "all of it is sent")
        world.until(lambda: world.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'ClientWrite'"), "nobody reads the answer")
        world.visit()
    assert world.rows("SELECT count(*) FROM callback") == [(2,)], "what nobody was told never happened"


def test_postgresql_restarts_under_load(world):
    agents = [world.person("ann", ready=True), world.person("bob", ready=True)]
    load = Load(world, agents)
    for _ in range(2):
        load.wait_for(40)
        world.cluster.stop("immediate")
        world.cluster.start()
    load.wait_for(40)
    load.finish()


def test_killed_twenty_times_under_load(world):
    random.seed(1)
    server = world.servers[0]
    agents = [world.person("ann", ready=True), world.person("bob", ready=True)]
    load = Load(world, agents)
    for _ in range(20):
        load.wait_for(random.randint(1, 25))
        server.kill()
        server.start()
    load.wait_for(20)
    load.finish()


class Load:
    """A poster, and agents who accept and finish whatever they are offered, all through crashes. Remembers what
    was acknowledged, and what each subscriber saw."""

    def __init__(self, world, people):
        self.world, self.server = world, world.servers[0]
        self.acknowledged, self.count, self.stop = [], 0, False
        self.changed = threading.Condition()
        for person in people:
            person.stream.cut()
        self.desks = [Desk(self, person) for person in people]
        self.poster = threading.Thread(target=self.post, daemon=True)
        self.poster.start()

    def post(self):
        number = 0
        while not self.stop:
            number += 1
            body = {"phone": f"+49 30 {20000000 + number}", "name": f"visitor {number}"}
            key = {"Idempotency-Key": f"post-{number}"}
            while not self.stop:
                try:
                    with self.server.client() as client:
                        answer = client.post("/f/demo", json=body, headers=key)
                    if answer.status_code in (200, 201):
                        with self.changed:
                            self.acknowledged.append(answer.json()["id"])
                            self.count += 1
                            self.changed.notify_all()
                        break
                    assert answer.status_code == 503, answer.text
                except house.httpx.HTTPError:
                    pass
                time.sleep(0.005)  # the server is down: its restart has no event to wait for

    def wait_for(self, more):
        with self.changed:
            goal = self.count + more
            assert self.changed.wait_for(lambda: self.count >= goal, 60), f"stuck at {self.count}, wanted {goal}"

    def finish(self):
        self.stop = True
        self.poster.join(house.DEADLINE)
        world = self.world
        there = {str(i) for i, in world.rows("SELECT callback_id FROM callback")}
        lost = [i for i in self.acknowledged if i not in there]
        assert not lost, f"{len(lost)} of {len(self.acknowledged)} acknowledged are lost"
        assert len(set(self.acknowledged)) == len(self.acknowledged)
        world.check_log()
        for desk in self.desks:
            desk.finish()
        head = world.rows("SELECT max(seq) FROM event")[0][0]
        for desk in self.desks:
            desk.check(head)


class Desk:
    """An agent's desk that reconnects with Last-Event-ID and accepts what it is offered."""

    def __init__(self, load, person):
        self.load, self.person, self.stop = load, person, False
        self.agent = load.world.rows("SELECT agent_id FROM agent WHERE name = %s", person.name)[0][0]
        self.events, self.last_id = [], person.stream.last_id
        self.seen_before = person.stream.events
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop:
            try:
                stream = house.Stream(self.load.server, self.person.token, self.last_id, self.person.name)
            except AssertionError:
                time.sleep(0.01)  # the server is down
                continue
            self.stream = stream
            while not self.stop:
                try:
                    event = stream.inbox.get(timeout=0.05)
                except house.queue.Empty:
                    if stream.ended.is_set() and stream.inbox.empty():
                        break
                    continue
                self.events.append(event)
                self.react(event)
            self.last_id = self.events[-1]["id"] if self.events else self.last_id
            stream.cut()

    def react(self, event):
        try:
            if event["kind"] == "offer.created":
                self.person.http.post(f"/v1/offers/{event['offer']['id']}/accept")
            elif event["kind"] == "offer.accepted":
                self.person.http.post(f"/v1/callbacks/{event['callback']['id']}/done",
                                      json={"version": event["callback"]["seq"], "disposition": "sold"})
            elif event["kind"] in ("agent.after_call_work", "agent.not_ready"):
                self.person.http.put("/v1/me/status", json={"state": "ready"})
        except house.httpx.HTTPError:
            pass

    def finish(self):
        head = self.load.world.rows("SELECT max(seq) FROM event WHERE agent_id = %s", self.agent)[0][0]
        self.load.world.until(lambda: self.events and int(self.events[-1]["id"].split(".")[1]) >= head,
                              f"{self.person.name} has seen event {head}")
        self.stop = True
        self.thread.join(house.DEADLINE)

    def check(self, head):
        """Every event that concerns him, each once, in order."""
        seen = [int(e["id"].split(".")[1]) for e in self.events if e["kind"] != "reset"]
        assert not [e for e in self.events if e["kind"] == "reset"]
        assert seen == sorted(set(seen)), "an event twice or out of order"
        if not seen:
            return
        wanted = [s for s, in self.load.world.rows(
            "SELECT seq FROM event WHERE agent_id = %s AND seq BETWEEN %s AND %s ORDER BY seq", self.agent, seen[0], seen[-1])]
        missed = sorted(set(wanted) - set(seen))
        assert not missed, f"{self.person.name} missed {missed[:10]}"


def status(world, name):
    state, reason, connected = world.rows("SELECT state, reason, connected FROM agent_status JOIN agent USING (tenant_id, agent_id) "
                                          "WHERE name = %s", name)[0]
    return {"state": state, "reason": reason, "connected": connected}


def callback(world, asked):
    return world.rows("SELECT state FROM callback WHERE callback_id = %s", asked["id"])[0][0]
