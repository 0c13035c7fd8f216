"""Where it is measured: a PostgreSQL cluster that loses nothing (fsync and synchronous_commit on), one callbackd
with TLS on the real clock, and an nginx beside it. Built on what the stories use (tests/story/house.py).
"""

import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "story"))
import house  # noqa: E402

import meter  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
POSTGRESQL = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "1GB",
    "max_wal_size": "8GB", "checkpoint_timeout": "15min", "checkpoint_completion_target": "0.9",
    "max_connections": "100", "autovacuum": "on", "log_checkpoints": "off",
}


class Cluster(house.Cluster):
    """PostgreSQL as a careful administrator runs it, in a folder of its own."""

    below = os.environ.get("BENCH_DIR") or "/tmp"

    def start(self):
        with open(os.path.join(self.data, "postgresql.conf"), "a") as conf:
            conf.writelines(f"{name} = {value}\n" for name, value in POSTGRESQL.items())
        super().start()

    def load(self, database):
        super().load(database)
        self.sql(database, "UPDATE callbackd.meta SET is_test = false")

    def settings(self):
        return {name: self.sql("postgres", f"SHOW {name}")[0][0] for name in POSTGRESQL}

    @contextlib.contextmanager
    def fresh(self, database):
        """What is measured in here, right after a load, is measured before anybody has looked at the tables. After it
        autovacuum has done its work, and does not do it in the middle of what is measured then."""
        self.autovacuum("off")
        try:
            yield
            self.sql(database, "VACUUM ANALYZE")
        finally:
            self.autovacuum("on")

    def autovacuum(self, value):
        self.sql("postgres", f"ALTER SYSTEM SET autovacuum = {value}")
        self.sql("postgres", "SELECT pg_reload_conf()")

    def pid(self):
        with open(os.path.join(self.data, "postmaster.pid")) as file:
            return int(file.readline())

    def cpu(self):
        return meter.cpu_family(self.pid())

    def checkpoint(self):
        self.sql("postgres", "CHECKPOINT")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def raise_descriptors(wanted):
    """As many descriptors as the hard limit allows; how many that are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
        except (ValueError, PermissionError):
            wanted = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class Place:
    """The house of all figures: one cluster, a certificate, a folder; a world (database and server) for each."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="cbbench-", dir=Cluster.below)
        os.chmod(self.dir, 0o755)
        self.cert = house.certificate(self.dir)
        self.cluster = Cluster()
        self.nginx_process = None
        self.worlds = []

    def filesystem(self):
        return subprocess.run(["stat", "-f", "-c", "%T", self.cluster.data], check=True, capture_output=True, text=True).stdout.strip()

    def check_durable(self):
        if self.filesystem() in ("tmpfs", "ramfs"):
            raise meter.DoesNotCount(f"{self.cluster.data} is in memory: BENCH_DIR names a folder on a disk")
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            if self.cluster.settings()[name] != "on":
                raise meter.DoesNotCount(f"{name} is off")

    def world(self):
        """A database of its own, without a server yet."""
        folder = tempfile.mkdtemp(prefix="w-", dir=self.dir)
        world = house.World(self.cluster, self.cert, folder, clock="")
        self.worlds.append(world)
        return world

    @staticmethod
    def server(world, **settings):
        """As an administrator would set it up for this load: all else are the defaults."""
        given = {
            "server__log_level": "info", "limits__heartbeat_ms": 20000, "limits__wait_ms": 10000,
            "limits__connections": 20000, "limits__connections_per_address": 20000,
            "limits__idle_ms": 3600000, "database__lease_ms": 6000, "database__tail_ms": 1000,
        }
        given.update(settings)
        return world.server("a", **given)

    @staticmethod
    def company(server, document):
        with server.operator() as operator:
            answer = operator.put("/v1/company", json=document)
        assert answer.status_code == 200, answer.text

    def nginx(self):
        """One worker that answers every post with a static 201, under the server's cipher policy; (pid, port)."""
        folder = os.path.join(self.dir, "nginx")
        os.makedirs(folder, exist_ok=True)
        port = free_port()
        with open(os.path.join(folder, "nginx.conf"), "w") as conf:
            conf.write(NGINX.format(folder=folder, cert=self.cert[0], key=self.cert[1], port=port,
                                    user="user root;" if os.geteuid() == 0 else ""))
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.nginx_process = subprocess.Popen([binary, "-p", folder, "-c", os.path.join(folder, "nginx.conf")],
                                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + house.DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                worker = meter.children(self.nginx_process.pid)
                if len(worker) == 1:
                    return worker[0], port
            except OSError:
                pass
            if time.monotonic() > end or self.nginx_process.poll() is not None:
                raise AssertionError(f"nginx does not start, see {folder}")
            time.sleep(0.01)

    def close(self):
        if self.nginx_process is not None:
            self.nginx_process.terminate()
            self.nginx_process.wait()
        try:
            for server in [server for world in self.worlds for server in world.servers]:
                server.stop()
        finally:
            self.cluster.remove()
            shutil.rmtree(self.dir, ignore_errors=True)


NGINX = """{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
	access_log off;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	ssl_certificate {cert};
	ssl_certificate_key {key};
	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
	ssl_conf_command NumTickets 1;
	ssl_ecdh_curve X25519:P-256;
	ssl_session_tickets on;
	server {{
		listen 127.0.0.1:{port} ssl;
		location / {{ return 201; }}
	}}
}}
"""


def company(**form):
    """A company whose form takes everything that is asked of it: the duplicate check on, the limits off."""
    return {
        "company": {"name": "bench", "label": "Bench Ltd", "time_zone": "Europe/Berlin"},
        "skills": [{"name": "loans", "label": "Loans"}, {"name": "english", "label": "English"}],
        "queues": [{"name": "sales", "label": "Sales", "after_call_work_s": 0, "disposition_required": True}],
        "dispositions": [{"name": "sold", "label": "Sold", "class": "reached"}],
        "agents": [],
        "forms": [{
            "key": "bench", "label": "Call me back", "queue": "sales", "default_region": "DE",
            "countries": ["DE", "AT", "CH", "FR", "GB", "US"], "origins": [], "time_zone": "Europe/Berlin",
            "language": "de", "duplicates": "link", "address_limit": 0, "number_limit": 0, "form_limit": 0, **form,
        }],
    }


def result(output):
    """The line that each of the load programs prints."""
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line[len("RESULT "):])
    raise AssertionError(f"no result in: {output[-2000:]}")
