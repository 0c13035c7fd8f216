"""The house a story happens in: a private PostgreSQL cluster, a database of its own for each story, real
servers with TLS, and the people: visitors who post forms, agents at their desks. Time is the server's fake
clock: a story moves it, it never sleeps. Waiting is always for something, with a deadline.
"""

import json
import os
import pwd
import queue
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid

import httpx
import psycopg

SRC = os.environ.get("SRCDIR", os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))
BUILD = os.environ.get("BUILDDIR", os.path.join(SRC, "build"))
CALLBACKD = os.path.join(BUILD, "callbackd")
CALLBACKCTL = os.path.join(BUILD, "callbackctl")
DEADLINE = float(os.environ.get("STORY_DEADLINE", "20"))
# What the servers run under: a command with its options (make check-memory: valgrind).
UNDER = os.environ.get("STORY_UNDER", "").split()
START = "2026-11-24T09:00:00Z"


def pg_bin():
    for version in ("15", "16", "17", "14"):
        path = f"/usr/lib/postgresql/{version}/bin"
        if os.path.exists(path):
            return path
    return os.path.dirname(shutil.which("postgres"))


class Cluster:
    """PostgreSQL in a folder, on a unix socket only."""

    below = "/tmp"  # short: a unix socket's path has at most 107 bytes

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="callbackd-story-", dir=self.below)
        self.data = os.path.join(self.dir, "data")
        self.as_user = None
        if os.geteuid() == 0:
            self.as_user = "postgres"
            user = pwd.getpwnam(self.as_user)
            os.chown(self.dir, user.pw_uid, user.pw_gid)
        os.chmod(self.dir, 0o755)
        self.run("initdb", "-D", self.data, "-U", "callbackd", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as conf:
            conf.write(
                f"listen_addresses = ''\nunix_socket_directories = '{self.dir}'\nfsync = off\n"
                "max_connections = 200\nshared_buffers = 128MB\nlog_min_messages = warning\n"
                "log_line_prefix = '%m [%p] '\nrestart_after_crash = on\n"
            )
        self.start()
        self.databases = 0
        self.sql("postgres", "CREATE DATABASE template_callbackd")
        self.load("template_callbackd")

    def run(self, tool, *args):
        command = [os.path.join(pg_bin(), tool), *args]
        if self.as_user:
            command = ["runuser", "-u", self.as_user, "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self):
        self.run("pg_ctl", "-D", self.data, "-w", "-l", os.path.join(self.dir, "log"), "start")

    def stop(self, mode="fast"):
        self.run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def conninfo(self, database):
        return f"host={self.dir} user=callbackd dbname={database}"

    def sql(self, database, text, *params):
        with psycopg.connect(self.conninfo(database), autocommit=True) as db:
            cursor = db.execute(text, params or None)
            return cursor.fetchall() if cursor.description else None

    def load(self, database):
        subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-d", self.conninfo(database), "-f",
             os.path.join(SRC, "sql", "schema.sql"),
             # in the same transaction: a server that waits for the schema must not see one that is not for tests
             "-c", "UPDATE callbackd.meta SET is_test = true"],
            check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PGOPTIONS": "--client-min-messages=warning"})

    def database(self):
        self.databases += 1
        name = f"story{self.databases}"
        self.sql("postgres", f"CREATE DATABASE {name} TEMPLATE template_callbackd")
        return name

    def remove(self):
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)


def certificate(folder):
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, stderr=subprocess.DEVNULL)
    return cert, key


class Server:
    """One callbackd process."""

    def __init__(self, world, name, **settings):
        self.world, self.name, self.settings = world, name, settings
        self.dir = os.path.join(world.dir, name)
        os.makedirs(self.dir, exist_ok=True)
        self.socket = os.path.join(self.dir, "ctl.sock")
        self.conf = os.path.join(self.dir, "callbackd.conf")
        self.log = os.path.join(self.dir, "log")
        self.process = None
        self.port = 0

    def write_conf(self):
        settings = {
            "server": {
                "listen": f"127.0.0.1:{self.port}", "socket": self.socket, "certificate": self.world.cert[0],
                "private_key": self.world.cert[1], "www_dir": os.path.join(SRC, "server", "www"),
                "node_name": self.name, "log_level": "debug",
            },
            "limits": {"heartbeat_ms": "500", "wait_ms": str(int(400 * DEADLINE))},
            "database": {
                "conninfo": self.world.cluster.conninfo(self.world.database), "lease_ms": "1500", "tail_ms": "200",
            },
            "test": {"test_clock": self.world.clock_text()},
        }
        for key, value in self.settings.items():
            section, _, setting = key.partition("__")
            settings[section][setting] = str(value)
        if not settings["test"]["test_clock"]:
            del settings["test"]
        with open(self.conf, "w") as out:
            for section, pairs in settings.items():
                out.write(f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in pairs.items()))

    def start(self, wait=True):
        self.write_conf()
        mark = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        env = {**os.environ, "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1",
               "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
        self.process = subprocess.Popen([*UNDER, CALLBACKD, "-f", self.conf], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(self.log, "ab"), env=env)
        if wait:
            line = self.wait_log(r"ready=yes .*https=(\d+)", mark)
            self.port = int(line.group(1))
        return self

    def wait_log(self, pattern, mark=0):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            with open(self.log, "rb") as log:
                log.seek(mark)
                found = re.search(pattern, log.read().decode(errors="replace"))
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        with open(self.log) as log:
            raise AssertionError(f"{self.name}: no {pattern!r} in the log:\n{log.read()[-4000:]}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """A clean stop: exit status 0, and with the sanitizers no leak."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"{self.name} does not stop on SIGTERM")
        if status != 0:
            with open(self.log) as log:
                raise AssertionError(f"{self.name} ended with {status}:\n{log.read()[-6000:]}")

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def client(self, **kwargs):
        return httpx.Client(base_url=self.url, verify=self.world.cert[0], timeout=DEADLINE, **kwargs)

    def operator(self):
        """The operator's unix socket."""
        return httpx.Client(transport=httpx.HTTPTransport(uds=self.socket), base_url="http://callbackd", timeout=DEADLINE)


class Stream(threading.Thread):
    """A subscriber: reads Server-Sent Events, keeps them, reconnects only when told."""

    def __init__(self, server, token, last_id=None, name="stream"):
        super().__init__(daemon=True)
        self.server, self.token, self.last_id, self.label = server, token, last_id, name
        self.events, self.inbox = [], queue.Queue()
        self.opened, self.ended = threading.Event(), threading.Event()
        self.stopping = False
        self.error = None
        self.response = None
        self.start()
        if not self.opened.wait(DEADLINE):
            raise AssertionError(f"{name}: the stream did not open: {self.error}")
        if self.error:
            raise AssertionError(f"{name}: {self.error}")

    def run(self):
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        try:
            with self.server.client() as client, client.stream("GET", "/v1/events", headers=headers,
                                                               timeout=httpx.Timeout(DEADLINE, read=None)) as response:
                self.response = response
                if response.status_code != 200:
                    self.error = f"{response.status_code} {response.read().decode()}"
                    return
                self.read(response)
        except Exception as error:  # the connection was cut: the story decides whether that is right
            self.error = self.error or repr(error)
        finally:
            self.opened.set()
            self.ended.set()

    def read(self, response):
        text = b""
        for some in response.iter_raw():
            if self.stopping:
                return
            text += some
            *messages, text = text.split(b"\n\n")
            for message in messages:
                self.take(message.decode())

    def take(self, message):
        fields = dict(line.split(": ", 1) for line in message.split("\n") if ": " in line and not line.startswith(":"))
        self.last_id = fields.get("id", self.last_id)
        if "data" in fields:
            event = json.loads(fields["data"])
            assert event["id"] == self.last_id and event["kind"] == fields["event"]
            self.events.append(event)
            self.inbox.put(event)
        self.opened.set()

    def expect(self, kind, **match):
        """The next event of that kind (others before it are passed over)."""
        end = time.monotonic() + DEADLINE
        seen = []
        while True:
            try:
                event = self.inbox.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{self.label}: no {kind} {match}; saw {seen}") from None
            seen.append(event["kind"])
            if event["kind"] == kind and all(dig(event, k) == v for k, v in match.items()):
                return event

    def cut(self):
        """The network is gone, without a goodbye."""
        self.stopping = True
        stream = self.response.extensions.get("network_stream") if self.response else None
        if stream is not None:
            raw = stream.get_extra_info("socket")
            try:
                raw.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.ended.wait(DEADLINE)


def dig(value, path):
    for part in path.split("__"):
        value = value.get(part) if isinstance(value, dict) else None
    return value


class Person:
    """An agent, supervisor or administrator at a server."""

    def __init__(self, server, name, ready=False, stream=True, **more):
        self.server, self.name = server, name
        self.http = server.client()
        answer = self.http.post("/v1/session", json={"name": name, "password": f"demo-{name}", "ready": ready, **more})
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["token"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"
        self.stream = Stream(server, self.token, name=name) if stream else None

    def do(self, method, path, body=None, status=200, **kwargs):
        answer = self.http.request(method, path, json=body, **kwargs)
        assert answer.status_code == status, f"{self.name} {method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def post(self, path, body=None, status=200, **kwargs):
        return self.do("POST", path, body, status, **kwargs)

    def get(self, path, status=200, **kwargs):
        return self.do("GET", path, None, status, **kwargs)

    def ready(self):
        return self.do("PUT", "/v1/me/status", {"state": "ready"})

    def not_ready(self, reason="break"):
        return self.do("PUT", "/v1/me/status", {"state": "not_ready", "reason": reason})

    def offered(self, callback=None):
        match = {"offer__callback": callback} if callback else {}
        return self.stream.expect("offer.created", **match)["offer"]

    def accept(self, offer, status=200):
        return self.post(f"/v1/offers/{offer['id']}/accept", status=status)

    def reject(self, offer, status=200, **body):
        return self.post(f"/v1/offers/{offer['id']}/reject", body or {}, status=status)

    def state(self):
        return self.get("/v1/me/state")

    def leave(self):
        if self.stream:
            self.stream.cut()
        self.http.close()


class World:
    """One story's database, servers and clock."""

    def __init__(self, cluster, cert, folder, clock=START):
        self.cluster, self.cert, self.dir = cluster, cert, folder
        self.database = cluster.database()
        self.servers, self.people = [], []
        self.clock = clock

    def clock_text(self):
        return self.clock

    def server(self, name="a", **settings):
        server = Server(self, name, **settings)
        self.servers.append(server)
        return server.start()

    def company(self, **changes):
        """The demo company, with changes: queues__0__offer_timeout_s=5."""
        with open(os.path.join(SRC, "etc", "demo.json")) as file:
            document = json.load(file)
        document["forms"][0]["address_limit"] = 0  # every visitor here comes from 127.0.0.1
        for path, value in changes.items():
            place = document
            *way, last = path.split("__")
            for part in way:
                place = place[int(part)] if part.isdigit() else place[part]
            place[int(last) if last.isdigit() else last] = value
        with self.servers[0].operator() as operator:
            answer = operator.put("/v1/company", json=document)
        assert answer.status_code == 200, answer.text
        for server in self.servers:
            self.until(lambda: server.client().get("/readyz").status_code == 200, "ready with the company")
        return document

    def person(self, name, server=None, **kwargs):
        person = Person(server or self.servers[0], name, **kwargs)
        self.people.append(person)
        return person

    def visit(self, server=None, form="demo", status=201, **fields):
        """A visitor posts the form; returns the answer."""
        fields.setdefault("phone", "+49 30 " + str(10000000 + uuid.uuid4().int % 89999999))
        with (server or self.servers[0]).client() as client:
            answer = client.post(f"/f/{form}", json=fields)
        assert answer.status_code == status, answer.text
        return answer.json()

    @staticmethod
    def link(asked):
        """The contact's link is made of base_url; here the port is another."""
        return httpx.URL(asked["link"]).path

    def advance(self, seconds):
        """Time passes, on every server."""
        import datetime as dt
        now = dt.datetime.fromisoformat(self.clock.replace("Z", "+00:00")) + dt.timedelta(seconds=seconds)
        self.clock = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
        for server in self.servers:
            if server.process.poll() is None:
                with server.operator() as operator:
                    answer = operator.post("/v1/test/clock", json={"now": self.clock})
                assert answer.status_code == 200, answer.text

    def sql(self, text, *params):
        return self.cluster.sql(self.database, "SET search_path = callbackd, public; " + text if not params else text, *params)

    def rows(self, text, *params):
        with psycopg.connect(self.cluster.conninfo(self.database), autocommit=True,
                             options="-c search_path=callbackd,public") as db:
            return db.execute(text, params or None).fetchall()

    def until(self, condition, what):
        """Waits for something that has no event of its own; never for time to pass."""
        end = time.monotonic() + DEADLINE
        while True:
            try:
                if condition():
                    return
            except (httpx.HTTPError, psycopg.Error):
                pass
            if time.monotonic() > end:
                raise AssertionError(f"never: {what}")
            time.sleep(0.01)

    def check_log(self):
        """What must hold whatever happened."""
        for tenant, n, low, high, floor in self.rows(
                "SELECT tenant_id, count(*), min(seq), max(seq), floor_seq FROM event JOIN tenant USING (tenant_id) GROUP BY 1, 5"):
            assert (low, high) == (floor + 1, floor + n), (
                f"the log of tenant {tenant} has a gap: {n} events from {low} to {high}, floor {floor}")
        twice = self.rows("SELECT agent_id FROM offer WHERE state = 'pending' GROUP BY tenant_id, agent_id HAVING count(*) > 1")
        assert not twice, twice
        live = self.rows("SELECT callback_id FROM attempt WHERE ended_at IS NULL GROUP BY 1 HAVING count(*) > 1")
        assert not live, live

    def check_projection(self, server):
        """What a node believes after all the events is what a load says (once nothing moves any more)."""
        with server.operator() as operator:
            tenants = [t["name"] for t in operator.get("/v1/tenants").json()["tenants"]]
            for tenant in tenants:
                self.until(lambda tenant=tenant: self.same_after_reload(operator, tenant),
                           f"the projection of {tenant} equals a load")

    @staticmethod
    def same_after_reload(operator, name):
        def look():
            shown = next(t for t in operator.get("/v1/tenants").json()["tenants"] if t["name"] == name)
            dump = operator.get(f"/v1/test/projection?tenant={name}")
            return dump.json() if shown["live"] and dump.status_code == 200 else None

        before, after = look(), None
        if before is None:
            return False
        assert operator.post(f"/v1/test/reload?tenant={name}").status_code == 202
        while after is None:
            after = look()
        different = [k for k in before if before[k] != after.get(k)]
        if before["seq"] == after["seq"] and different:
            raise AssertionError(f"{name} at {before['seq']}: " + "; ".join(
                f"{k}: {before[k]} is {after.get(k)} after a load" for k in different))
        return before == after

    def close(self):
        for person in self.people:
            person.leave()
        problems = []
        for server in self.servers:
            if server.process and server.process.poll() is None:
                try:
                    self.check_projection(server)
                except AssertionError as error:
                    problems.append(str(error))
        for server in self.servers:
            try:
                server.stop()
            except AssertionError as error:
                problems.append(str(error))
        self.check_log()
        assert not problems, "\n".join(problems)
