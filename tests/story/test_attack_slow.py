"""Clients that are slow on purpose: they hold a connection and give nothing for it. Each has its deadline, a reason
in the log, and costs nothing while it lasts."""

import contextlib
import socket
import time

import pytest

import siege

DEADLINES = {"limits__handshake_ms": 600, "limits__header_ms": 600, "limits__body_ms": 700, "limits__idle_ms": 60000}


@pytest.fixture(scope="module")
def server(module_world):
    server = module_world.server(**DEADLINES)
    module_world.company(forms__0__number_limit=0)
    return server


def test_one_byte_of_a_hello_and_silence(server):
    """libmicrohttpd's own TLS would spend a whole processor on one of these."""
    with siege.Watch(server, grow=300 * 80_000) as watch:
        silent = [siege.plain(server) for _ in range(300)]
        for connection in silent:
            connection.sendall(b"\x16")
        cpu, began = siege.cpu_s(server), time.monotonic()
        server.world.visit(server)
        assert [siege.all_of(connection) for connection in silent] == [b""] * 300
        spent, took = siege.cpu_s(server) - cpu, time.monotonic() - began
        for connection in silent:
            connection.close()
        assert watch.dropped("handshake deadline") == 300
        assert watch.count("connections_timed_out_total") == 300
        assert spent < 0.5 * took, f"{spent} s of a processor in {took} s"
        watch.all_gone()


def test_a_hello_byte_by_byte_has_one_deadline(server):
    """Progress does not prolong it."""
    hello = bytes.fromhex("1603010200010001fc0303") + bytes(500)
    with siege.Watch(server) as watch:
        assert all(siege.crowd(lambda _: drip_plain(server, hello), 20, 20))
        assert watch.dropped("handshake deadline") == 20


def drip_plain(server, data):
    with siege.plain(server) as connection:
        return siege.drip(connection, data)


def test_what_is_no_hello_at_all(server):
    with siege.Watch(server) as watch:
        for some in (b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 600, b"\xff" * 600, b"\x16\x03\x01\xff\xff" + b"a" * 70000,
                     b"\x15\x03\x01\x00\x02\x02\x28", b"SSH-2.0-x\r\n"):
            for _ in range(20):
                with siege.plain(server) as connection:
                    with contextlib.suppress(ConnectionError):
                        connection.sendall(some)
                    siege.all_of(connection)
        failed = watch.dropped("handshake failed") + watch.dropped("handshake deadline")
        assert failed == 120


def test_slow_loris_in_the_headers(server):
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(100))
    with siege.Watch(server) as watch:
        assert all(siege.crowd(lambda _: drip_tls(server, head), 40, 40))
        assert watch.dropped("header deadline") == 40
        assert watch.count("connections_timed_out_total") == 40


def test_slow_loris_in_the_bodies(server):
    body = b'{"phone":"+49 30 1234567","notes":"' + b"a" * 200 + b'"}'
    chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    kinds = [siege.post(body), siege.request(b"Transfer-Encoding: chunked\r\n", chunked),
             siege.post(b"phone=%2B49301234567&notes=" + b"a" * 200, kind=b"application/x-www-form-urlencoded"),
             siege.post(b"--b\r\nContent-Disposition: form-data; name=phone\r\n\r\n" + b"1" * 200, kind=b"multipart/form-data; boundary=b")]
    with siege.Watch(server) as watch:
        assert all(siege.crowd(lambda n: drip_tls(server, kinds[n % 4], whole=b"\r\n\r\n"), 40, 40))
        assert watch.dropped("body deadline") == 40
    assert server.world.rows("SELECT count(*) FROM contact WHERE phone = '+49301234567'") == [(0,)]


def drip_tls(server, data, whole=b""):
    """whole: up to this it is said at once."""
    at = data.index(whole) + len(whole) if whole else 0
    with siege.tls(server) as connection:
        connection.sendall(data[:at])
        return siege.drip(connection, data[at:])


def test_a_post_whose_sender_has_closed_his_side(server):
    """A whole one is answered, half of one is not done; neither leaves anything behind."""
    body = b'{"phone":"+49 30 55544433"}'
    with siege.Watch(server) as watch:
        for notify in (True, False):
            assert siege.crowd(lambda _, notify=notify: half_closed(server, siege.post(body), notify), 20) == [[201]] * 20
            assert siege.crowd(lambda _, notify=notify: half_closed(server, siege.post(body)[:-1], notify), 20) == [[]] * 20
            assert siege.crowd(lambda _, notify=notify: half_closed(server, siege.post(body)[:20], notify), 20) == [[]] * 20
        watch.all_gone()


def half_closed(server, data, notify):
    connection = siege.HalfTls(server)
    connection.say(data)
    connection.close_sending(notify)
    answer = connection.all_of()
    connection.close()
    return siege.statuses(answer)


def test_who_is_gone_in_the_middle_of_everything(server):
    """A reset instead of a goodbye, at every place of a post."""
    text = siege.post(b'{"phone":"+49 30 55544455"}')
    with siege.Watch(server) as watch:
        def leave(n):
            connection = siege.tls(server)
            connection.sendall(text[:n])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        siege.crowd(leave, len(text))
        watch.all_gone()
    assert server.world.visit(server)["id"]
