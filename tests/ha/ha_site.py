"""The site of contrib/ha, started as an administrator starts it, and the people who go on working while its machines
die: visitors who post until they are answered, agents who accept and finish what they are offered, and supervisors who
only watch. Each remembers what it was told; what must hold is decided from that and from the database.
"""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import httpx
import psycopg

import house

SITE = os.path.join(house.SRC, "contrib", "ha", "site")


def free_net():
    """A /24 of loopback where nobody listens yet."""
    for _ in range(100):
        net = f"127.0.{random.randint(2, 254)}"
        try:
            for last, port in ((1, 5432), (2, 5432), (3, 2379), (11, 8443), (20, 8443)):
                with socket.socket() as probe:
                    probe.bind((f"{net}.{last}", port))
            return net
        except OSError:
            continue
    raise AssertionError("no free net in 127.0.0.0/16")


class Node:
    """A door: one of the two callbackd, or HAProxy before them."""

    def __init__(self, site, name, address):
        self.site, self.name, self.url = site, name, f"https://{address}:8443"
        self.socket = os.path.join(site.dir, name, "callbackd.sock")
        self.log = os.path.join(site.dir, "log", f"{name}.log")

    def client(self, **kwargs):
        return httpx.Client(base_url=self.url, verify=os.path.join(self.site.dir, "certificate.pem"),
                            timeout=house.DEADLINE, **kwargs)

    def operator(self):
        return httpx.Client(transport=httpx.HTTPTransport(uds=self.socket), base_url="http://callbackd",
                            timeout=house.DEADLINE)


class Site:
    def __init__(self):
        self.net = free_net()
        self.dir = tempfile.mkdtemp(prefix="cb-ha-", dir="/tmp")
        self.env = {**os.environ, "NET": self.net, "BUILD": house.BUILD}
        self.out = os.path.join(self.dir, "up.log")
        with open(self.out, "wb") as out:
            self.up = subprocess.Popen([SITE, self.dir, "up"], env=self.env, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, start_new_session=True)
        self.again = []  # parts started once more
        self.nodes = [Node(self, "node1", f"{self.net}.11"), Node(self, "node2", f"{self.net}.12")]
        self.front = Node(self, "front", f"{self.net}.20")
        try:
            self.await_up()
        except AssertionError:
            self.remove()
            raise

    def await_up(self):
        until(lambda: "ready: " in pathlib.Path(self.out).read_text() or self.up.poll() is not None, "the site is up", 90)
        assert self.up.poll() is None, pathlib.Path(self.out).read_text()

    def do(self, *args):
        subprocess.run([SITE, self.dir, *args], env=self.env, check=True)

    def machine_dies(self, number):
        """Patroni, PostgreSQL and the vote of one machine, in one blow."""
        self.do("kill", f"db{number}")
        self.do("kill", f"etcd{number}")

    def machine_stops(self, number):
        """It holds its breath: nothing of it runs, and nothing of it is closed. What is to be continued."""
        patroni = int(pathlib.Path(self.dir, "run", f"db{number}.pid").read_text())
        etcd = int(pathlib.Path(self.dir, "run", f"etcd{number}.pid").read_text())
        postmaster = int(pathlib.Path(self.dir, f"db{number}", "data", "postmaster.pid").read_text().split()[0])
        backends = subprocess.run(["pgrep", "-P", str(postmaster)], stdout=subprocess.PIPE, text=True, check=True)
        pids = [patroni, etcd, postmaster, *(int(pid) for pid in backends.stdout.split())]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return pids

    @staticmethod
    def machine_goes_on(pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def machine_comes_back(self, number):
        for part in (f"etcd{number}", f"db{number}"):
            self.part_start(part)

    def part_start(self, part):
        self.again.append(subprocess.Popen([SITE, self.dir, "start", part], env=self.env, start_new_session=True))

    def part_stop(self, part):
        pid = int(pathlib.Path(self.dir, "run", f"{part}.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        until(lambda: not os.path.exists(f"/proc/{pid}") or "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text(),
              f"{part} has stopped")

    def connect(self, hosts, attrs="any"):
        return psycopg.connect(
            f"host={hosts} dbname=callbackd user=callbackd passfile={self.dir}/callbackd.pgpass connect_timeout=2 "
            f"target_session_attrs={attrs}", autocommit=True, options="-c search_path=callbackd,public")

    def rows(self, text, *params):
        with self.connect(f"{self.net}.1,{self.net}.2", "read-write") as db:
            return db.execute(text, params or None).fetchall()

    def primary(self):
        """The number of the machine whose PostgreSQL writes."""
        for number in (1, 2):
            try:
                with self.connect(f"{self.net}.{number}", "read-write"):
                    return number
            except psycopg.Error:
                continue
        return None

    def promoted_at(self, number, seconds=40):
        """When that standby began to write (monotonic)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                with self.connect(f"{self.net}.{number}") as db:
                    while time.monotonic() < end:
                        if not db.execute("SELECT pg_is_in_recovery()").fetchone()[0]:
                            return time.monotonic()
                        time.sleep(0.01)  # a promotion has no event for others
            except psycopg.Error:
                time.sleep(0.05)
        raise AssertionError(f"db{number} was not promoted in {seconds} s\n{self.tail(f'db{number}')}")

    def tail(self, part):
        return "".join(open(os.path.join(self.dir, "log", f"{part}.log"), errors="replace").readlines()[-20:])

    def patroni(self, number):
        """What Patroni says of the machine: running, streaming ..."""
        answer = httpx.get(f"http://{self.net}.{number}:8008/patroni", timeout=5)
        return answer.json()

    def configure(self, **settings):
        answer = httpx.patch(f"http://{self.net}.{self.primary()}:8008/config", json=settings, timeout=10)
        assert answer.status_code == 200, answer.text

    def synchronous(self):
        """Whether Patroni would promote the standby: PostgreSQL waits for it some seconds before that is recorded."""
        return httpx.get(f"http://{self.net}.{3 - self.primary()}:8008/synchronous", timeout=5).status_code == 200

    def epoch(self):
        return self.rows("SELECT epoch FROM tenant")[0][0]

    def remove(self):
        for process in self.again:
            process.poll()
        for part in ("front", "node1", "node2", "db1", "db2", "etcd1", "etcd2", "etcd3"):
            subprocess.run([SITE, self.dir, "kill", part], env=self.env, check=False, stderr=subprocess.DEVNULL)
        self.up.send_signal(signal.SIGTERM)
        for process in (self.up, *self.again):
            process.wait(house.DEADLINE)
        if not os.environ.get("STORY_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


def until(condition, what, seconds=None):
    end = time.monotonic() + (seconds or 2 * house.DEADLINE)
    while True:
        try:
            if condition():
                return
        except (httpx.HTTPError, psycopg.Error, OSError):
            pass
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


class Visitors(threading.Thread):
    """They post at HAProxy, each with an idempotency key, again and again until they are answered."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site, self.acknowledged, self.stopping = site, [], False
        self.changed = threading.Condition()
        self.number = 0
        self.start()

    def run(self):
        client = self.site.front.client()
        while not self.stopping:
            self.number += 1
            body = {"phone": f"+49 30 {20000000 + random.randint(0, 9999) + self.number * 10000 % 70000000}", "name": "Carla"}
            key = {"Idempotency-Key": f"post-{self.number}-{id(self)}"}
            while not self.stopping and not self.post(client, body, key):
                time.sleep(0.02)  # the answer was 503, or none: an outage has no event for visitors
            time.sleep(0.02)  # some thirty a second

    def post(self, client, body, key):
        try:
            answer = client.post("/f/demo", json=body, headers=key)
        except httpx.HTTPError:
            return False
        if answer.status_code in (502, 503, 504):
            return False
        assert answer.status_code in (200, 201), answer.text
        with self.changed:
            self.acknowledged.append((time.monotonic(), answer.json()["id"]))
            self.changed.notify_all()
        return True

    def wait_for(self, more, seconds=60):
        with self.changed:
            goal = len(self.acknowledged) + more
            assert self.changed.wait_for(lambda: len(self.acknowledged) >= goal, seconds), \
                f"stuck at {len(self.acknowledged)} answers, wanted {goal}"

    def finish(self):
        self.stopping = True
        self.join(house.DEADLINE)
        return [i for _, i in self.acknowledged]


class Watcher(threading.Thread):
    """Reads a stream at one node, comes back with Last-Event-ID when it ends, keeps everything with its time."""

    def __init__(self, person):
        super().__init__(daemon=True)
        self.person, self.server, self.stopping = person, person.server, False
        self.events, self.last_id = [], None
        self.start()

    def run(self):
        while not self.stopping:
            try:
                stream = house.Stream(self.server, self.person.token, self.last_id, self.person.name)
            except AssertionError:
                time.sleep(0.05)  # the node does not answer; it has no event for that
                continue
            self.came()
            while not self.stopping and not (stream.ended.is_set() and stream.inbox.empty()):
                try:
                    event = stream.inbox.get(timeout=0.3)
                except house.queue.Empty:
                    self.idle()
                    continue
                self.events.append((time.monotonic(), event))
                self.last_id = event["id"]
                self.took(event)
            stream.cut()

    def came(self):
        pass

    def idle(self):
        pass

    def took(self, event):
        pass

    def finish(self):
        self.stopping = True
        self.join(house.DEADLINE)

    def resets(self):
        return [e["id"] for _, e in self.events if e["kind"] == "reset"]

    def check_order(self, all_of_them):
        """Within an epoch upwards, each once (for a supervisor: each); another epoch only after a reset."""
        last = None
        for _, event in self.events:
            epoch, seq = (int(n) for n in event["id"].split("."))
            if event["kind"] != "reset" and last is not None:
                assert epoch == last[0], f"{self.person.name}: {event['id']} after {last} without a reset"
                assert seq == last[1] + 1 if all_of_them else seq > last[1], f"{self.person.name}: {event['id']} after {last}"
            last = (epoch, seq)


class Desk(Watcher):
    """An agent who accepts whatever is offered and finishes it at once. Keeps what was answered 2xx."""

    def __init__(self, person):
        self.accepted, self.done = [], []
        super().__init__(person)

    def ask(self, method, path, body=None):
        try:
            return self.person.http.request(method, path, json=body)
        except httpx.HTTPError:
            return None

    def accept(self, offer):
        answer = self.ask("POST", f"/v1/offers/{offer}/accept")
        if answer is not None and answer.status_code == 200:
            self.accepted.append(offer)

    def end(self, callback):
        answer = self.ask("POST", f"/v1/callbacks/{callback['id']}/done",
                          {"version": callback["seq"], "disposition": "sold"})
        if answer is not None and answer.status_code == 200:
            self.done.append(callback["id"])

    def took(self, event):
        if event["kind"] == "offer.created":
            self.accept(event["offer"]["id"])
        elif event["kind"] == "offer.accepted":
            self.end(event["callback"])
        elif event["kind"] in ("agent.after_call_work", "agent.not_ready"):
            self.ask("PUT", "/v1/me/status", {"state": "ready"})
        elif event["kind"] == "reset":
            self.look()

    def look(self):
        """What a desk does when it cannot know: asks what it holds, and goes on from there."""
        answer = self.ask("GET", "/v1/me/state")
        if answer is None or answer.status_code != 200:
            return
        state = answer.json()
        for offer in state["offers"]:
            self.accept(offer["offer"]["id"])
        for held in state["callbacks"]:
            self.end(held["callback"])
        if state["status"]["state"] in ("not_ready", "after_call_work", "logged_out"):
            self.ask("PUT", "/v1/me/status", {"state": "ready"})

    came = idle = look
