"""What an operator does: callbackctl, reload, metrics, a clean stop."""

import os
import signal
import socket
import ssl
import subprocess

import house


def ctl(world, *args, status=0):
    done = subprocess.run([house.CALLBACKCTL, "--socket", world.servers[0].socket, *args], capture_output=True, text=True,
                          timeout=house.DEADLINE)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_callbackctl_apply_says_what_it_does(empty):
    empty.server()
    demo = os.path.join(house.SRC, "etc", "demo.json")
    assert "sales" in ctl(empty, "apply", "-f", demo, "--dry-run")
    assert empty.rows("SELECT count(*) FROM queue") == [(0,)]
    assert "+" in ctl(empty, "apply", "-f", demo)
    assert "nothing to change" in ctl(empty, "apply", "-f", demo)
    empty.until(lambda: empty.servers[0].client().get("/readyz").status_code == 200, "ready")


def test_callbackctl_shows_and_cancels(world):
    asked = world.visit()
    assert asked["id"] in ctl(world, "show", "callbacks")
    assert "ann" in ctl(world, "show", "agents")
    assert "sales" in ctl(world, "show", "queues")
    assert "a" in ctl(world, "show", "nodes")
    ctl(world, "show", "waits")
    ctl(world, "cancel", asked["id"], "--reason", "test")
    assert world.rows("SELECT state FROM callback") == [("cancelled",)]
    assert "It is cancelled." in ctl(world, "cancel", asked["id"], status=1)


def test_metrics_and_health(world):
    world.visit()
    with world.servers[0].client() as client:
        text = client.get("/metrics").text
        assert "callbackd_http_requests_total" in text
        for line in text.splitlines():
            assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2, line
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200


def test_a_reload_takes_the_new_certificate(world, tmp_path):
    server = world.servers[0]
    old = ssl.get_server_certificate(("127.0.0.1", server.port))
    ann = world.person("ann")
    fresh = house.certificate(str(tmp_path))
    world.cert = fresh
    server.write_conf()
    server.process.send_signal(signal.SIGHUP)
    world.until(lambda: ssl.get_server_certificate(("127.0.0.1", server.port)) != old, "the new certificate")
    asked = world.visit()
    assert asked["id"] and not ann.stream.ended.is_set(), "streams live on"


def test_a_bad_configuration_is_refused_and_the_old_one_stays(world):
    server = world.servers[0]
    with open(server.conf, "a") as conf:
        conf.write("[limits]\nnonsense = 1\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reload=refused .*nonsense")
    assert world.visit()


def test_a_clean_stop_answers_and_gives_the_lease_back(world):
    world.visit()
    world.servers[0].stop()
    assert world.rows("SELECT count(*) FROM lease") == [(0,)]


def test_a_server_started_before_its_schema_says_so_and_waits(empty):
    empty.cluster.sql("postgres", "CREATE DATABASE bare")
    empty.database = "bare"
    server = house.Server(empty, "a")
    empty.servers.append(server)
    server.start(wait=False)
    empty.until(lambda: not_ready(server), "says so at /readyz")
    empty.cluster.load("bare")
    server.wait_log("ready=yes")


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(empty, monkeypatch):
    path = os.path.join(empty.dir, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(path)
        told.settimeout(house.DEADLINE)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        server = empty.server()
        assert b"READY=1" in told.recv(4096)
        server.stop()
        assert b"STOPPING=1" in told.recv(4096)


def test_an_old_schema_is_refused_with_a_sentence(empty):
    empty.rows("UPDATE meta SET schema_version = 1 RETURNING 1")
    server = house.Server(empty, "a")
    empty.servers.append(server)
    server.start(wait=False)
    server.wait_log("schema=unusable .*too old for this server")
    empty.until(lambda: not_ready(server), "says so at /readyz")
    empty.rows("UPDATE meta SET schema_version = (SELECT max(number) FROM upgrade) RETURNING 1")
    server.wait_log("ready=yes")


def not_ready(server):
    with server.operator() as operator:
        answer = operator.get("/readyz")
    return answer.status_code == 503 and "schema" in answer.text
