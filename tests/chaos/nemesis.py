"""What goes wrong, and when: a plan made of the seed before anything begins, carried out by the clock."""

import os
import random
import signal
import threading
import time

import psycopg
from town import LEASE_MS

ON_NODES = {
    "node_kill": (0.2, 3.0),       # SIGKILL, and away for so long
    "node_stop": (LEASE_MS / 1000 * 1.2, LEASE_MS / 1000 * 3),
    "node_nap": (0.2, LEASE_MS / 1000 * 0.8),
    "wire_cut": (0.5, 5.0),
    "links_cut": (0, 0),
    "lose_answer": (0, 0),
    "lose_race": (0, 0),
    "lose_request": (0, 0),
}
ON_POSTGRES = {"backend_kill": (0, 0), "backend_terminate": (0, 0), "postgres_immediate": (0.0, 2.0), "postgres_kill": (0.0, 2.0)}
# how often each is in the deck: the cheap ones more often
DECK = (["lose_answer"] * 4 + ["lose_race"] * 4 + ["lose_request", "links_cut"] * 2 + ["node_kill"] * 3 + ["node_stop"] * 3
        + ["node_nap", "wire_cut", "wire_cut", "wire_cut", "backend_terminate", "backend_terminate", "backend_kill",
           "postgres_immediate", "postgres_kill"])


def plan(seed, seconds, nodes, wires, pause=(0.4, 2.2)):
    """[(at, kind, target, how long)]: two may overlap, but not on the same target."""
    rnd, made, at, deck = random.Random(f"{seed}/nemesis"), [], 1.0, []
    while at < seconds:
        if not deck:
            deck = [k for k in DECK if wires or k != "wire_cut"]
            rnd.shuffle(deck)
        kind = deck.pop()
        low, high = {**ON_NODES, **ON_POSTGRES}[kind]
        target = "postgres" if kind in ON_POSTGRES else rnd.randrange(nodes)
        made.append((at, kind, target, rnd.uniform(low, high)))
        at += rnd.uniform(*pause)
    return made


class Nemesis:
    def __init__(self, town, seed, seconds, record):
        self.town, self.record, self.seconds = town, record, seconds
        self.rnd = random.Random(f"{seed}/nemesis/run")
        self.plan = plan(seed, seconds, len(town.nodes), town.wires)
        self.locks = {target: threading.Lock() for target in ["postgres", *range(len(town.nodes))]}
        self.counts, self.passed_over, self.problems, self.threads, self.interrupted = {}, 0, [], [], False

    def run(self):
        """All of the plan; then everything is as it should be again."""
        began = time.monotonic()
        for at, kind, target, length in self.plan:
            time.sleep(max(0, began + at - time.monotonic()))
            self.look_after()
            if not self.locks[target].acquire(blocking=False):
                self.passed_over += 1  # something is wrong with it already
                continue
            thread = threading.Thread(target=self.one, args=(kind, target, length))
            thread.start()
            self.threads.append(thread)
        time.sleep(max(0, began + self.seconds - time.monotonic()))
        for thread in self.threads:
            thread.join()
        self.look_after()

    def look_after(self):
        for node in self.town.nodes:
            if node.died():
                self.problems.append(f"node {node.name} ended by itself with {node.process.returncode}, see {node.log}")
                node.start(wait=False)

    def one(self, kind, target, length):
        try:
            self.record.add("fault", kind=kind, target=target, length=length)
            self.counts[kind] = self.counts.get(kind, 0) + 1
            victim = self.town.nodes[target] if kind in ON_NODES else None
            getattr(self, kind)(victim, length)
            self.record.add("healed", kind=kind, target=target)
        except Exception as error:
            self.problems.append(f"the nemesis failed at {kind} on {target}: {error!r}")
        finally:
            self.locks[target].release()

    # ---- nodes ----

    def node_kill(self, node, length):
        node.kill()
        time.sleep(length)
        node.skew_s = self.rnd.choice(self.town.skews)  # the new machine's clock is another
        node.start(wait=False)

    def node_stop(self, node, length):
        node.signal(signal.SIGSTOP)
        time.sleep(length)
        node.signal(signal.SIGCONT)

    node_nap = node_stop

    def wire_cut(self, node, length):
        node.wire.cut()
        time.sleep(length)
        node.wire.heal()

    def links_cut(self, node, _):
        self.town.proxies.cut(node.proxy)

    def lose_answer(self, node, _):
        self.town.proxies.order(node.proxy, "lose_answer")

    def lose_race(self, node, _):
        self.town.proxies.order(node.proxy, "lose_race")

    def lose_request(self, node, _):
        self.town.proxies.order(node.proxy, "lose_request")

    # ---- PostgreSQL ----

    def backends(self):
        with psycopg.connect(self.town.cluster.conninfo("postgres"), autocommit=True) as db:
            return [pid for pid, in db.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
                                               " AND datname = %s AND pid <> pg_backend_pid()", (self.town.database,))]

    def backend_kill(self, _, __):
        """SIGKILL of one: PostgreSQL then ends all of them and recovers."""
        found = self.backends()
        if found:
            os.kill(self.rnd.choice(found), signal.SIGKILL)
        self.wait_for_postgres()

    def backend_terminate(self, _, __):
        found = self.backends()
        if found:
            os.kill(self.rnd.choice(found), signal.SIGTERM)

    def postgres_immediate(self, _, length):
        self.town.cluster.stop("immediate")
        time.sleep(length)
        self.town.postgres_start()

    def postgres_kill(self, _, length):
        """kill -9 of the postmaster: its children notice, and end."""
        with open(os.path.join(self.town.cluster.data, "postmaster.pid")) as file:
            os.kill(int(file.readline()), signal.SIGKILL)
        time.sleep(length)
        self.town.postgres_start()

    def wait_for_postgres(self):
        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.town.cluster.conninfo("postgres"), connect_timeout=2).close()
                return
            except psycopg.Error:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
