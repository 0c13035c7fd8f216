"""Seventy-two hours of a company, by the fake clock, in a minute or two: forms, offers taken, rejected and missed, calls
that are answered and busy, retries, cancellations, contacts who ask to be forgotten, shifts that come and go. With
history_days = log_days = 1 the last two days delete as much as comes in, so whatever still grows then has a leak.

PostgreSQL's autovacuum goes by the real time, of which hardly any passes: a VACUUM every six hours stands for it.
"""

import contextlib
import http.client
import json
import os
import random
import re
import ssl

import house

HOURS = int(os.environ.get("YEARS_HOURS", "72"))
STEP_S = 900
AGENTS = ["ann", "bob", "cat", "dan"]
FORMS = int(os.environ.get("YEARS_FORMS", "7"))  # in each quarter of an hour
WARM_H = 36  # the first day fills, and the first VACUUMs after it settle
TABLES = ("callback", "contact", "note", "offer", "attempt", "event", "idempotency_key", "agent_status", "session", "tenant")


class Wire:
    """One kept connection: a client library would take longer than the server."""

    def __init__(self, world, server):
        context = ssl.create_default_context(cafile=world.cert[0])
        self.link = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=house.DEADLINE)

    def ask(self, method, path, body=None, token=None, **headers):
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.link.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self.link.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


class Desk:
    def __init__(self, churn, name):
        self.churn, self.name = churn, name
        self.person = churn.world.person(name, ready=True)

    def ask(self, method, path, body=None):
        status, answer = self.churn.wire.ask(method, path, body, self.person.token)
        # what the clock or somebody else was faster with is 409; nothing else goes wrong here
        assert status in (200, 201, 404, 409), (method, path, status, answer)
        self.churn.count(f"{status}")
        return answer if status < 300 else None

    def leave(self):
        assert self.churn.wire.ask("DELETE", "/v1/session", None, self.person.token)[0] in (200, 204)
        self.person.stream.ended.wait(house.DEADLINE)
        self.person.leave()
        self.churn.world.people.remove(self.person)

    def work(self):
        state = self.ask("GET", "/v1/me/state")
        chance = self.churn.random.random
        for offer in state["offers"]:
            fate = chance()
            if fate < 0.15:
                self.ask("POST", f"/v1/offers/{offer['offer']['id']}/reject", {"reason": "busy"})
            elif fate < 0.85:
                self.ask("POST", f"/v1/offers/{offer['offer']['id']}/accept")
        for held in self.ask("GET", "/v1/me/state")["callbacks"]:
            self.call(held["callback"], chance)

    def call(self, callback, chance):
        path = f"/v1/callbacks/{callback['id']}"
        if callback["state"] != "ready_to_call":
            return
        if chance() < 0.05:
            self.ask("POST", path + "/give_back", {"version": callback["seq"]})
            return
        begun = self.ask("POST", path + "/call", {"version": callback["seq"]})
        if begun is None:
            return
        attempt = f"/v1/attempts/{begun['attempt']['id']}"
        if chance() < 0.7:
            self.ask("POST", attempt + "/connected", {})
            ended = self.ask("POST", attempt + "/ended", {})
            code = self.churn.random.choice(["sold", "no_interest", "wrong_number"])
        else:
            ended = self.ask("POST", attempt + "/ended", {"outcome": "busy"})
            code = "call_later"
        if ended:
            self.ask("POST", path + "/done", {"version": ended["callback"]["seq"], "disposition": code, "note": "spoke of " + code})


class Churn:
    def __init__(self, world, server):
        self.world, self.server, self.wire = world, server, Wire(world, server)
        self.random = random.Random(72)
        self.counts, self.asked, self.phones, self.n = {}, [], [], 0

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def visit(self):
        """One in ten has an open request already; one in eight wants it hours later."""
        self.n += 1
        phone = f"+4930{10000000 + self.n}"
        if self.phones and self.random.random() < 0.1:
            phone = self.random.choice(self.phones[-5:])
        body = {"phone": phone, "name": f"Visitor {self.n}", "email": "visitor@example.com", "case_product": "loan"}
        if self.random.random() < 0.12:
            hours = self.random.randint(1, 10)
            body |= {"when": self.later(hours), "time_zone": "UTC"}
        status, answer = self.wire.ask("POST", "/f/demo", body, **{"Idempotency-Key": f"form {self.n}"})
        assert status == 201, answer
        self.phones.append(phone)
        self.asked.append(answer["id"])

    def later(self, hours):
        import datetime as dt
        now = dt.datetime.fromisoformat(self.world.clock.replace("Z", "+00:00")) + dt.timedelta(hours=hours)
        return now.strftime("%Y-%m-%dT%H:%M")

    def second_thoughts(self, operator):
        """Somebody cancels; somebody wants to be forgotten."""
        one = self.random.choice(self.asked[-3 * FORMS:])
        assert operator.post(f"/v1/callbacks/{one}/cancel", json={}).status_code in (200, 409)
        phone = self.random.choice(self.phones[-2 * FORMS:])
        assert operator.post("/v1/contacts/erase", json={"phone": phone}).status_code == 200

    def quarter(self, desks, operator):
        for _ in range(FORMS):
            self.visit()
        for seconds in (40, 60, STEP_S - 100):
            for desk in desks:
                desk.work()
            self.world.advance(seconds)
        if self.random.random() < 0.25:
            self.second_thoughts(operator)


class Measures:
    def __init__(self, world, server):
        self.world, self.server, self.rows = world, server, []

    def proc(self, pid, field):
        with open(f"/proc/{pid}/status") as file:
            return int(re.search(rf"{field}:\s+(\d+)", file.read()).group(1))

    def backends_kb(self):
        """The largest of those that serve somebody: the mean moves when one of them runs for the first time, and plans, what
        another has known for long. One that ends while we look is not counted."""
        sizes = []
        for (pid,) in self.world.rows("SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                                      " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                sizes.append(self.proc(pid, "RssAnon"))
        return max(sizes)

    def followed(self):
        head = self.world.rows("SELECT max(seq) FROM event")[0][0]
        return f'event_seq{{tenant="demo"}} {head}\n' in self.server.client().get("/metrics").text

    def take(self, hour):
        pid = self.server.process.pid
        self.world.until(self.followed, "the server is where the log is")
        metrics = self.server.client().get("/metrics").text
        sizes = dict(self.world.rows("SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relname = ANY (%s)", list(TABLES)))
        live = {table: self.world.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}
        self.rows.append({
            "hour": hour, "rss_kb": self.proc(pid, "VmRSS"), "fds": len(os.listdir(f"/proc/{pid}/fd")),
            "backends_kb": self.backends_kb(),
            "lag_ms": float(re.search(r"^callbackd_loop_lag_recent_seconds (\S+)", metrics, re.M).group(1)) * 1000,
            "held_us": int(re.search(r'retention_lock_microseconds_max\{tenant="demo"\} (\d+)', metrics).group(1)),
            "disk_kb": sum(sizes.values()) // 1024, "sizes": sizes, "live": live})
        row = self.rows[-1]
        print("  ".join(f"{k} {row[k]:.0f}" for k in row if k not in ("sizes", "live")),
              f"callbacks {live['callback']} events {live['event']}", flush=True)

    def since(self, hour):
        return [row for row in self.rows if row["hour"] >= hour]


def company(world):
    with open(os.path.join(house.SRC, "etc", "demo.json")) as file:
        document = json.load(file)
    document["company"] |= {"history_days": 1, "log_days": 1}
    document["forms"][0] |= {"address_limit": 0, "number_limit": 0}
    document["queues"][0] |= {"max_offers": 8, "promise_window_s": 14400}
    document["agents"] += [{"name": n, "label": n.title(), "role": "agent", "password": f"demo-{n}", "skills": {"loans": 4}}
                           for n in AGENTS if n not in ("ann", "bob")]
    with world.servers[0].operator() as operator:
        answer = operator.put("/v1/company", json=document)
    assert answer.status_code == 200, answer.text
    world.until(lambda: world.servers[0].client().get("/readyz").status_code == 200, "the company")


def nothing_is_stuck(world):
    """Every wait has a deadline that fires: none of them is long past."""
    import datetime as dt
    now = dt.datetime.fromisoformat(world.clock.replace("Z", "+00:00"))
    assert world.rows("SELECT callback_id, state FROM callback WHERE deadline_at < %s", now) == []
    assert world.rows("SELECT offer_id FROM offer WHERE state = 'pending' AND deadline_at < %s", now) == []
    assert world.rows("SELECT callback_id FROM callback WHERE state = 'scheduled' AND linked_to IS NULL AND expires_at < %s", now) == []
    old = now - dt.timedelta(days=1, hours=1)
    assert world.rows("SELECT callback_id FROM callback WHERE ended_at < %s", old) == [], "retention keeps up"
    assert world.rows("SELECT seq FROM event WHERE at < %s", old) == []


def test_seventy_two_hours(empty):
    empty.cluster.sql("postgres", "ALTER SYSTEM SET autovacuum = off")
    empty.cluster.sql("postgres", "SELECT pg_reload_conf()")
    server = empty.server(database__ring_events=2000, server__log_level="info")
    company(empty)
    churn, measures = Churn(empty, server), Measures(empty, server)
    desks = []
    with server.operator() as operator:
        for quarter in range(HOURS * 4):
            if quarter % 32 == 0:
                for desk in desks:
                    desk.leave()
                desks = [Desk(churn, name) for name in AGENTS]
            churn.quarter(desks, operator)
            hour = (quarter + 1) / 4
            if hour % 6 == 0:
                empty.cluster.sql(empty.database, "VACUUM ANALYZE")
                measures.take(hour)
    print(churn.counts)
    empty.until(lambda: nothing_is_stuck(empty) is None, "all that is due was done")
    kinds = dict(empty.rows("SELECT kind, count(*) FROM event GROUP BY 1"))
    for kind in ("offer.accepted", "offer.rejected", "offer.timeout", "callback.completed", "callback.retry", "callback.failed",
                 "callback.cancelled", "callback.erased", "callback.linked", "callback.given_back", "agent.after_call_work"):
        assert kinds.get(kind, 0) > 0, (kind, kinds)
    with open(server.log) as log:
        assert "doubt" not in log.read(), "the projection was never in doubt, and every kind is known"
    if HOURS < 72:
        return

    warm, end = measures.since(WARM_H)[0], measures.rows[-1]
    assert end["rss_kb"] < warm["rss_kb"] * 1.05 + 512, "the server's memory is flat"
    assert end["backends_kb"] < warm["backends_kb"] * 1.10 + 512, "so is its backends'"
    assert end["fds"] <= max(row["fds"] for row in measures.rows if row["hour"] <= WARM_H), "and its descriptors"
    for table in TABLES:
        assert end["sizes"][table] < warm["sizes"][table] * 1.25 + 65536, f"{table} is bloated: {warm['sizes']}, {end['sizes']}"
    assert end["live"]["callback"] < warm["live"]["callback"] * 1.2
    # by the machine's clock, on which others may have their turn
    assert sorted(row["lag_ms"] for row in measures.rows)[len(measures.rows) // 2] < 500
