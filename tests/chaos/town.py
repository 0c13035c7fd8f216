"""Where it happens: PostgreSQL, several nodes with a proxy before each of their databases, and, if the machine allows
it, a network namespace and a wrong clock for each node. The rest is the house of the stories."""

import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "story"))

import house  # noqa: E402
import psycopg  # noqa: E402
from http_line import reachable  # noqa: E402
from proxy import Proxies  # noqa: E402

SKEW_S = (-0.75, 0.0, 0.75)  # two nodes are up to 1.5 s apart
LEASE_MS = 1500
DEADLINES = dict(offer_timeout_s=2, ready_to_call_s=4, dial_timeout_s=3, call_timeout_s=5, missed_limit=3, missed_rest_s=2,
                 max_attempts=3, retry_delay_s=2, promise_window_s=15, max_offers=12)
DEADLINE_SLACK_MS = 4000


SKEW = os.path.join(house.BUILD, "clock_skew.so")


def ip(*args, check=True):
    return subprocess.run(["ip", *args], check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Wire:
    """A network namespace for one node, and a wire to it. cut() drops whatever comes or goes, silently, as a dead switch does."""

    def __init__(self, number):
        self.name = f"cb{os.getpid()}n{number}"
        # RFC 2544: for tests, routed nowhere. A net of four for each, others may run beside us.
        net = 4 * (os.getpid() % 4000 * 8 + number)
        self.here, self.there = (f"198.{18 + (net >> 16)}.{net >> 8 & 255}.{(net & 255) + n}" for n in (1, 2))
        self.link = f"cbv{os.getpid()}n{number}"[:15]

    def open(self):
        ip("netns", "add", self.name)
        ip("link", "add", self.link, "type", "veth", "peer", "name", "wire", "netns", self.name)
        ip("addr", "add", self.here + "/30", "dev", self.link)
        ip("link", "set", self.link, "up")
        for args in (["addr", "add", self.there + "/30", "dev", "wire"], ["link", "set", "wire", "up"], ["link", "set", "lo", "up"]):
            ip("-n", self.name, *args)
        return self

    def nft(self, text):
        subprocess.run(["ip", "netns", "exec", self.name, "nft", "-f", "-"], input=text, text=True, check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def cut(self):
        self.nft("table inet cut {\n chain i { type filter hook input priority 0; iif wire drop; }\n"
                 " chain o { type filter hook output priority 0; oif wire drop; }\n}")

    def heal(self):
        self.nft("table inet cut { }\ndelete table inet cut")

    def close(self):
        ip("netns", "del", self.name, check=False)
        ip("link", "del", self.link, check=False)


def wires_why_not():
    """None, or why there can be no network namespaces here."""
    if os.geteuid() != 0:
        return "not root"
    wire = Wire(0)
    try:
        wire.open()
        wire.cut()
    except (OSError, subprocess.CalledProcessError) as error:
        return str(getattr(error, "stdout", None) or error).strip()
    finally:
        wire.close()
    return None


class Node(house.Server):
    """One callbackd, in its namespace, with its clock, behind its proxy."""

    def __init__(self, town, name, number):
        super().__init__(town, name)
        self.wire = Wire(number).open() if town.wires else None
        address = self.wire.here if self.wire else "127.0.0.1"
        self.proxy, port = town.proxies.open(address)
        self.conninfo = (f"host={address} port={port} user=callbackd dbname={town.database} sslmode=disable gssencmode=disable "
                         "tcp_user_timeout=3000 connect_timeout=3")
        self.address = self.wire.there if self.wire else "127.0.0.1"
        self.port = 8443 if self.wire else 0
        self.skew_s, self.stopped, self.expected_end = 0.0, False, False
        self.settings = {"database__conninfo": self.conninfo, "database__lease_ms": LEASE_MS, "server__log_level": "info",
                         "server__listen": f"{self.address}:{self.port}", "limits__wait_ms": 4000, "database__statement_timeout_ms": 5000}

    def start(self, wait=True):
        self.settings["server__listen"] = f"{self.address}:{self.port}"
        self.write_conf()
        mark = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        command = ["ip", "netns", "exec", self.wire.name] if self.wire else []
        # by env, after ip: the node's clock is to be wrong, not ip's
        skew = ["env", f"LD_PRELOAD={os.path.abspath(SKEW)}", f"CLOCK_SKEW_MS={self.skew_s * 1000:.0f}"] if self.skew_s else []
        self.expected_end = False
        self.process = subprocess.Popen([*command, *skew, house.CALLBACKD, "-f", self.conf], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(self.log, "ab"))
        if wait:
            self.port = int(self.wait_log(r"ready=yes .*https=(\d+)", mark).group(1))
        return self

    def kill(self):
        self.expected_end = True
        super().kill()

    def signal(self, what):
        self.process.send_signal(what)
        self.stopped = what == signal.SIGSTOP

    @property
    def url(self):
        return f"{self.address}:{self.port}"

    def died(self):
        """Of itself, which no node may."""
        return self.process.poll() is not None and not self.expected_end


class Town:
    """Has what house.Server wants of a world."""

    def __init__(self, nodes, agents, posters, supervisors, walls):
        self.cluster = house.Cluster()
        self.dir = self.cluster.dir + ".nodes"
        os.makedirs(os.path.join(self.dir, "records"), exist_ok=True)
        self.records = os.path.join(self.dir, "records")
        self.cert = house.certificate(self.dir)
        self.database = self.cluster.database()
        # a real clock, and the database minds it
        self.cluster.sql(self.database, "UPDATE callbackd.meta SET is_test = false")
        self.why_no_wires = wires_why_not()
        self.wires = self.why_no_wires is None
        self.skews = SKEW_S if os.path.exists(SKEW) else (0.0,)
        self.proxies = Proxies(os.path.join(self.cluster.dir, ".s.PGSQL.5432"))
        self.agents = [f"agent{n}" for n in range(1, agents + 1)]
        self.posters = [f"poster{n}" for n in range(1, posters + 1)]
        self.supervisors = [f"super{n}" for n in range(1, supervisors + 1)]
        self.walls = [f"wall{n}" for n in range(1, walls + 1)]
        self.nodes = [Node(self, "abcdefgh"[n - 1], n) for n in range(1, nodes + 1)]
        self.clients = {}

    @staticmethod
    def clock_text():
        return ""

    def open(self):
        for n, node in enumerate(self.nodes):
            node.skew_s = self.skews[n % len(self.skews)]
            node.start()
        with self.nodes[0].operator() as operator:
            answer = operator.put("/v1/company", json=self.company(), timeout=60)
            assert answer.status_code == 200, answer.text
        self.until(lambda: all(reachable(n.url) for n in self.nodes), "nodes listen")

    def company(self):
        people = [(a, "agent") for a in self.agents] + [(s, "supervisor") for s in self.supervisors + self.walls]
        queue = {"label": "q", "after_call_work_s": 1, **DEADLINES}
        form = {"label": "f", "default_region": "DE", "countries": ["DE"], "address_limit": 0, "number_limit": 0}
        return {
            "company": {"name": "chaos", "label": "Chaos Ltd", "grace_s": 3},
            "queues": [{"name": "one", **queue}, {"name": "all", **queue, "strategy": "ring_all", "ring_max": 3, "after_call_work_s": 0}],
            "dispositions": [{"name": "sold", "label": "s", "class": "reached"}, {"name": "later", "label": "l", "class": "retry"},
                             {"name": "wrong", "label": "w", "class": "stop"}],
            "agents": [{"name": n, "label": n, "role": r, "password": "pw-" + n} for n, r in people],
            "forms": [{"key": "chaos", "queue": "one", **form}, {"key": "chaos-all", "queue": "all", **form, "duplicates": "allow"}],
        }

    def people(self, seed, post_pause, resign=True):
        config = os.path.join(self.dir, "config.json")
        with open(config, "w") as out:
            json.dump({"nodes": [n.url for n in self.nodes], "certificate": self.cert[0], "folder": self.records, "agents": self.agents,
                       "posters": self.posters, "post_pause": post_pause, "resign": resign}, out)
        for role, names in (("agent", self.agents), ("wall", self.walls), ("supervisor", self.supervisors), ("poster", self.posters)):
            for name in names:
                self.clients[name] = subprocess.Popen(
                    ["/usr/bin/python3", os.path.join(HERE, "client.py"), role, name, str(seed), config], stdin=subprocess.DEVNULL,
                    stderr=open(os.path.join(self.dir, name + ".stderr"), "ab"))

    def send_home(self, names, patience_s=45):
        """They end what they have begun. Returns the names of those who ended badly."""
        for name in names:
            self.clients[name].send_signal(signal.SIGTERM)
        bad = []
        end = time.monotonic() + patience_s
        for name in names:
            try:
                if self.clients[name].wait(max(1, end - time.monotonic())) != 0:
                    bad.append(name)
            except subprocess.TimeoutExpired:
                self.clients[name].kill()
                bad.append(name)
        return bad

    def rows(self, text, params=None):
        with psycopg.connect(self.cluster.conninfo(self.database), autocommit=True,
                             options="-c search_path=callbackd,public -c timezone=UTC") as db:
            return db.execute(text, params).fetchall()

    @staticmethod
    def until(condition, what, patience_s=20):
        end = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < end, f"never: {what}"
            time.sleep(0.05)

    def postgres_start(self):
        """After whatever happened to it: what is left of the old one has to be gone before."""
        end = time.monotonic() + 60
        while True:
            try:
                self.cluster.start()
                return
            except subprocess.CalledProcessError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def close(self):
        for client in self.clients.values():
            if client.poll() is None:
                client.kill()
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.process.kill()
                node.process.wait()
            if node.wire:
                node.wire.close()
        self.proxies.close()
        try:
            self.cluster.remove()
        except subprocess.CalledProcessError:
            pass  # it was down when all broke off
