#!/usr/bin/python3
"""A client in a process of its own: client.py ROLE NAME SEED CONFIG. Works until SIGTERM, then ends what it has begun.

A poster posts forms; an agent accepts what it is offered, calls, and finishes; a supervisor gives callbacks to
agents, takes them away, cancels, signs agents out; a wall only reads. They are not nice: they say things twice, over
two nodes at once, and again from an old tab when it is too late.
"""

import json
import os
import queue
import random
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
from http_line import Line, Stream  # noqa: E402
from record import Record  # noqa: E402


class Client:
    def __init__(self, role, name, seed, config):
        self.name, self.rnd, self.config = name, random.Random(f"{seed}/{name}"), config
        self.record = Record(os.path.join(config["folder"], name + ".record"))
        self.line = Line(config, self.record, random.Random(f"{seed}/{name}/line"))
        self.stop, self.keys = self.line.stop, 0
        self.seed = f"{seed}/{name}/stream"
        self.resign = config.get("resign", True)

    def key(self):
        self.keys += 1
        return f"{self.name}-{self.keys}"

    def chance(self, percent):
        return self.rnd.random() * 100 < percent

    def pause(self, low, high):
        self.stop.wait(self.rnd.uniform(low, high))

    def sign_in(self):
        while not self.stop.is_set():
            self.line.token = None
            status, answer = self.line.ask("sign_in", "POST", "/v1/session",
                                           {"name": self.name, "password": "pw-" + self.name, "ready": True})
            if status == 201:
                self.line.token = answer["token"]
                return
            self.pause(0.2, 0.6)


class Poster(Client):
    def work(self):
        number = 0
        base = 10_000_000 + self.config["posters"].index(self.name) * 1_000_000
        while not self.stop.is_set():
            number += 1
            # some numbers come again and again, and are linked
            phone = base + number if self.chance(85) else 99_000_000 + self.rnd.randrange(6)
            form = "chaos" if self.chance(70) else "chaos-all"
            body = {"phone": f"+49 30 {phone}", "name": f"visitor {number}"}
            self.post(form, body, self.key())
            self.pause(*self.config["post_pause"])

    def post(self, form, body, key):
        ask = lambda twin=False: self.line.ask("post", "POST", "/f/" + form, body, key, twin=twin)
        twin = threading.Thread(target=ask, args=(True,)) if self.chance(10) else None
        if twin:
            twin.start()
        ask()
        if twin:
            twin.join()


class Agent(Client):
    def work(self):
        self.sign_in()
        self.stream = Stream(self.line, self.seed)
        while not self.stop.is_set():
            try:
                event = self.stream.inbox.get(timeout=self.rnd.uniform(1, 3))
            except queue.Empty:
                self.ready()
                continue
            self.react(event)

    def react(self, event):
        kind = event["kind"]
        if kind == "unauthorized" and event["token"] == self.line.token:
            self.sign_in()
        elif kind == "offer.created" and event["offer"]["state"] == "pending":
            self.offered(event["offer"])
        elif kind in ("agent.not_ready", "agent.lost", "agent.after_call_work"):
            self.pause(0, 0.3)
            self.ready()
        elif self.chance(0.5):
            self.stream.away_s = self.rnd.uniform(2, 6)

    def ready(self):
        status, _ = self.line.ask("ready", "PUT", "/v1/me/status", {"state": "ready"}, self.key())
        if status == 401:
            self.sign_in()

    def offered(self, offer):
        self.pause(0, 0.2)
        if self.chance(8):
            return  # missed
        if self.chance(8):
            self.line.ask("reject", "POST", f"/v1/offers/{offer['id']}/reject", {}, self.key(), offer=offer["id"])
            return
        status, answer = self.twice("accept", f"/v1/offers/{offer['id']}/accept", {}, offer=offer["id"])
        if status == 200:
            self.held(answer["callback"])

    def twice(self, op, path, body, percent=12, **more):
        """Sometimes a double click: the same again with another key, over another node, at the same time. The first answer
        that says yes is the one that counts."""
        answers = []
        ask = lambda twin: answers.append(self.line.ask(op, "POST", path, body, self.key(), twin=twin, **more))
        twin = threading.Thread(target=ask, args=(True,)) if self.chance(percent) else None
        if twin:
            twin.start()
        ask(False)
        if twin:
            twin.join()
        return next((a for a in answers if a[0] == 200), answers[0])

    def named(self, op, callback, percent=12, version=None, **args):
        """A command that names the callback's version."""
        version = version or callback["seq"]
        return self.twice(op, f"/v1/callbacks/{callback['id']}/{op}", {"version": version, **args}, percent,
                          callback=callback["id"], version=version)

    def held(self, callback):
        """From accepted to finished, unless he forgets it, or somebody takes it away."""
        old = []  # what he could say again, from a tab that he forgot
        for _ in range(4):
            if self.stop.is_set():
                return
            self.pause(0, 0.25)
            if self.chance(4):
                return  # left lying: its deadline must take it
            if self.chance(65):
                first = callback["seq"]
                status, answer = self.named("call", callback, 20)
                if status != 200:
                    return
                old.append(("call", first))
                callback = self.dial(answer)
                if callback is None:
                    return
            if old and self.chance(35):
                op, version = self.rnd.choice(old)
                status, answer = self.named(op, callback, 0, version)
                if status == 200:
                    callback = answer["callback"]  # that must not be, and the checker will say so
            if self.chance(55):
                old.append(("done", callback["seq"]))
                status, answer = self.named("done", callback, disposition=self.rnd.choice(["sold", "sold", "later", "wrong"]))
                if self.chance(30):
                    op, version = self.rnd.choice(old)
                    self.named(op, callback, 0, version, **({"disposition": "sold"} if op == "done" else {}))
                return
            if self.chance(15):
                self.named("give_back", callback)
                return

    def dial(self, answer):
        """The callback after the dial, None when it is not his any more."""
        attempt = answer["attempt"]["id"]
        step = lambda op, body: self.line.ask(op, "POST", f"/v1/attempts/{attempt}/{op}", body, self.key(), attempt=attempt)
        self.pause(0, 0.2)
        body = {"outcome": self.rnd.choice(["busy", "no_answer"])}
        if self.chance(60):
            body = {}
            for op in ["connected"] + (["hold", "retrieve"] if self.chance(30) else []):
                if step(op, {})[0] != 200:
                    return None
                self.pause(0, 0.2)
        if self.chance(4):
            return None  # the deadline must end it
        status, answer = self.twice("ended", f"/v1/attempts/{attempt}/ended", body, attempt=attempt)
        return answer["callback"] if status == 200 else None


class Supervisor(Client):
    def work(self):
        self.sign_in()
        self.stream = Stream(self.line, self.seed)
        while not self.stop.is_set():
            self.pause(0.2, 1.0)
            while not self.stream.inbox.empty():
                event = self.stream.inbox.get()
                if event["kind"] == "unauthorized" and event["token"] == self.line.token:
                    self.sign_in()
            self.meddle()

    def meddle(self):
        status, answer = self.line.ask("look", "GET", "/v1/callbacks?limit=20")
        if status == 401:
            self.sign_in()
        if status != 200 or not answer.get("callbacks"):
            return
        c = self.rnd.choice(answer["callbacks"])
        agent = self.rnd.choice(self.config["agents"])
        named = lambda op, **body: self.line.ask(op, "POST", f"/v1/callbacks/{c['id']}/{op}", {"version": c["seq"], **body},
                                                 self.key(), callback=c["id"], version=c["seq"])
        if c["state"] in ("queued", "scheduled"):
            if self.chance(70):
                named("assign", agent=agent)
            else:
                named("cancel", reason="changed_mind")
        elif c["state"] == "ready_to_call":
            named(self.rnd.choice(["give_back", "cancel"]))
        elif self.resign and self.chance(6):
            self.line.ask("sign_out", "DELETE", f"/v1/agents/{agent}/sessions", None, self.key())


class Wall(Client):
    def work(self):
        self.sign_in()
        self.stream = Stream(self.line, self.seed)
        while not self.stop.is_set():
            try:
                event = self.stream.inbox.get(timeout=1)
            except queue.Empty:
                continue
            if event["kind"] == "unauthorized" and event["token"] == self.line.token:
                self.sign_in()


ROLES = {"poster": Poster, "agent": Agent, "supervisor": Supervisor, "wall": Wall}


def main():
    role, name, seed, config = sys.argv[1:]
    with open(config) as file:
        client = ROLES[role](role, name, seed, json.load(file))
    signal.signal(signal.SIGTERM, lambda *_: client.stop.set())
    client.record.add("begin")
    client.work()
    end = time.monotonic() + 10
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0, end - time.monotonic()))
    client.record.add("end")


if __name__ == "__main__":
    main()
