"""Crowds: thousands who hold a connection, who knock at once, who ask and never read, who talk behind a stream."""

import contextlib
import json
import multiprocessing
import re
import ssl

import pytest

import house
import siege

STREAM = (b"GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer ")


@pytest.fixture(scope="module")
def server(module_world):
    server = module_world.server(limits__connections_per_address=2500, limits__connections=3000, limits__body_ms=3000, limits__handshake_ms=6000,
                                 limits__stream_queue_bytes=65536)
    module_world.company(forms__0__number_limit=0)
    return server


def test_two_thousand_idle_connections(server):
    """They cost their TLS state and nothing else; who comes then is served as if they were not there."""
    with siege.Watch(server, grow=2000 * 40_000) as watch:
        idle = siege.crowd(lambda _: siege.tls(server), 2000)
        assert watch.count("connections_open") >= 1990
        each = (siege.memory(server) - watch.size) / 2000
        print(f"{each / 1024:.1f} kB each")
        cpu = siege.cpu_s(server)
        ann = server.world.person("ann", server, ready=True)
        ann.accept(ann.offered(server.world.visit(server)["id"]))
        ann.leave()
        assert siege.cpu_s(server) - cpu < 0.5
        for connection in idle:
            connection.close()
        watch.all_gone(spare=4)


def test_who_is_over_the_limit_is_refused_and_the_others_are_not(server):
    with siege.Watch(server, grow=2500 * 40_000) as watch, contextlib.ExitStack() as stack:
        some = siege.crowd(lambda _: siege.plain(server), 2600)
        for connection in some:
            stack.callback(connection.close)
        server.world.until(lambda: watch.count('connections_refused_total{limit="address"}') >= 100, "refused")
        assert re.search(r'connection=refused peer=127.0.0.1 why="the address has all', watch.log())
        with siege.tls(server, source="127.0.0.2") as other:
            other.sendall(siege.post(b'{"phone":"+49 30 55544433"}', b"Connection: close\r\n"))
            assert siege.statuses(siege.all_of(other)) == [201]
    watch.all_gone(spare=4)


def test_a_crowd_that_leaves_in_one_moment(server):
    """Their machine, or their network, is gone: two thousand ends in one turn of the loop."""
    with siege.Watch(server, grow=2000 * 40_000) as watch:
        ours, theirs = multiprocessing.Pipe()
        crowd = multiprocessing.get_context("fork").Process(target=stay, args=(server, theirs))
        crowd.start()
        assert ours.recv() == 2000
        assert watch.count("connections_open") >= 1990
        crowd.kill()
        crowd.join()
        watch.all_gone(spare=4)


def stay(server, ours):
    there = siege.crowd(lambda _: siege.tls(server), 2000)
    ours.send(len(there))
    ours.recv()


def test_two_thousand_who_run_out_of_time_in_one_moment(server):
    with siege.Watch(server, grow=2000 * 80_000) as watch:
        silent = siege.crowd(lambda _: siege.plain(server), 2000)
        for connection in silent:
            connection.sendall(b"\x16")
        watch.all_gone(spare=4)
        assert watch.dropped("handshake deadline") >= 1990
        for connection in silent:
            connection.close()


def test_a_storm_of_hellos_that_cost_their_sender_nothing(server):
    """The same canned ClientHello again and again: only the server calculates."""
    hello = hello_of(server)
    with siege.Watch(server, grow=1500 * 80_000) as watch, server.client() as client, contextlib.ExitStack() as stack:
        for _ in range(1500):
            connection = siege.plain(server)
            stack.callback(connection.close)
            connection.sendall(hello)
        assert client.post("/f/demo", json={"phone": "+49 30 55544433"}).status_code == 201
        stack.close()
        watch.all_gone(1)


def hello_of(server):
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = siege.context(server).wrap_bio(coming, going, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return going.read()


def subscribe(server, token, more=b"", **how):
    connection = siege.tls(server, **how)
    connection.sendall(STREAM + token.encode() + b"\r\n\r\n" + more)
    return connection


def test_subscribers_who_never_read(server):
    """Each is dropped once too much waits for him; the one beside them misses nothing."""
    world = server.world
    sue = world.person("sue", server)
    with siege.Watch(server, grow=30 * siege.MEGABYTE) as watch, contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.callback(subscribe(server, sue.token, buffer=4096).close)
        world.until(lambda: watch.count("streams_open") == 40, "subscribed")

        def visit(n):
            with server.client() as client:
                for _ in range(25):
                    assert client.post("/f/demo", json={"phone": "+49 30 55544%03d" % n, "notes": "ä" * 3000}).status_code == 201
        posted = 0
        while watch.dropped("slow reader") < 40:
            assert posted < 3000, "nobody was dropped"
            siege.crowd(visit, 4, 4)
            posted += 100
        print(f"dropped after {posted} posts")
        last = world.visit(server)
        sue.stream.expect("callback.scheduled", callback__id=last["id"])
        seen = [int(event["id"].split(".")[1]) for event in sue.stream.events]
        assert seen == list(range(seen[0], seen[0] + len(seen)))
    sue.leave()


def test_askers_who_never_read(server):
    """A thousand requests in a row for the largest answer there is, and nobody takes one."""
    ask = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
    with siege.Watch(server, grow=16 * siege.MEGABYTE) as watch, contextlib.ExitStack() as stack:
        for _ in range(30):
            connection = siege.tls(server, buffer=4096)
            stack.callback(connection.close)
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError):
                connection.sendall(ask)
        server.world.visit(server)
        server.world.until(lambda: watch.dropped("slow reader") == 30, "dropped")


def test_what_is_said_behind_a_stream_is_never_done(server):
    sue = server.world.person("sue", server, stream=False)
    behind = siege.post(b'{"phone":"+49 30 77788899"}')
    with siege.Watch(server) as watch:
        for more in (behind, behind * 50, siege.request(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n"), b"\0" * 30000):
            with subscribe(server, sue.token, more) as stream:
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    stream.sendall(behind)
                asked = server.world.visit(server)
                text = b""
                while asked["id"].encode() not in text:
                    some = stream.recv(65536)
                    assert some, "the stream ended"
                    text += some
                assert siege.statuses(text) == [200]
        assert server.world.rows("SELECT count(*) FROM contact WHERE phone = '+493077788899'") == [(0,)]
        # before the stream it is done and answered, in order
        with siege.tls(server) as both:
            both.sendall(behind + STREAM + sue.token.encode() + b"\r\n\r\n" + behind)
            text = b""
            while text.count(b"HTTP/1.1") < 2 or b"id:" not in text:
                some = both.recv(65536)
                assert some
                text += some
            assert siege.statuses(text) == [201, 200]
        assert server.world.rows("SELECT count(*) FROM contact WHERE phone = '+493077788899'") == [(1,)]
        # a poll that waits has its connection to itself, too; nothing may happen but what it waits for, so sue's desks
        # have all left, and one is there that stays
        def is_told(connected):
            (is_connected, head), = server.world.rows(
                "SELECT s.connected, (SELECT max(seq) FROM event) FROM agent_status s JOIN agent a USING (tenant_id, agent_id)"
                " WHERE a.name = 'sue'")
            return is_connected == connected and sue.get("/v1/me")["event"].endswith(f".{head}")

        server.world.until(lambda: is_told(False), "sue's desks have left")
        with subscribe(server, sue.token), siege.tls(server) as poll:
            server.world.until(lambda: is_told(True), "sue's desk has come")
            now = sue.get("/v1/me")["event"]
            poll.sendall(b"GET /v1/events?wait_s=20&after=" + now.encode() + b" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                         + sue.token.encode() + b"\r\n\r\n" + behind)
            server.world.visit(server)
            assert siege.statuses(siege.all_of(poll)) == [200]
        assert server.world.rows("SELECT count(*) FROM contact WHERE phone = '+493077788899'") == [(1,)]
        assert watch.count("connections_open") <= 1


def test_who_talks_for_ever_behind_a_stream_is_sent_away(server):
    sue = server.world.person("sue", server, stream=False)
    with siege.Watch(server) as watch, subscribe(server, sue.token) as stream:
        with pytest.raises((ConnectionError, ssl.SSLError, TimeoutError)):
            for _ in range(200):
                stream.sendall(b"x" * siege.MEGABYTE)
        assert watch.dropped("talks behind a stream") == 1


def test_every_answer_of_a_pipeline_comes_in_its_order(server):
    one = [siege.post(b'{"phone":"+49 30 55544433"}'), siege.request(b"", path=b"/healthz", method=b"GET"),
           siege.post(b"{"), siege.request(b"", path=b"/nothing", method=b"GET")]
    with siege.Watch(server):
        text = siege.say(server, b"".join(one) * 100 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert siege.statuses(text) == [201, 200, 400, 404] * 100 + [200]
        bodies = [json.loads(body) for body in re.findall(rb"\r\n\r\n(\{.*?\})(?=HTTP/1.1|$)", text, re.S)]
        assert len(bodies) == 401 and house.dig(bodies[0], "id")
