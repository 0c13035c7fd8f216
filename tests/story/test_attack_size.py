"""Too much of everything: bodies, heads, fields, depth. It is refused as soon as it can be seen, and kept nowhere."""

import contextlib
import json
import ssl

import pytest

import siege

FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def server(module_world):
    server = module_world.server(limits__header_ms=3000, limits__body_ms=3000)
    module_world.company(forms__0__number_limit=0)
    return server


def pour(server, head, megabytes, chunk=b"a" * siege.MEGABYTE):
    """All of it, whatever the server says meanwhile; its answer, as far as it can still be read."""
    with siege.tls(server) as connection:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            connection.sendall(head)
            for _ in range(megabytes):
                connection.sendall(chunk)
        return siege.statuses(siege.all_of(connection))


@pytest.mark.parametrize("kind", [b"application/json", FORM, MULTIPART])
def test_a_hundred_megabytes_in_one_body(server, kind):
    with siege.Watch(server) as watch:
        head = siege.request(b"Content-Length: 104857600\r\n", kind=kind)
        assert siege.crowd(lambda _: pour(server, head, 100) in ([413], []), 8, 8) == [True] * 8
        # who listens before he speaks is told
        assert siege.statuses(siege.say(server, head)) == [413]
        assert siege.statuses(siege.say(server, siege.request(
            b"Content-Length: 104857600\r\nExpect: 100-continue\r\n", kind=kind))) == [413]
        assert watch.count('http_responses_total{class="4xx"}') == 10
    chunks = b"100000\r\n" + b"a" * siege.MEGABYTE + b"\r\n"
    with siege.Watch(server):
        head = siege.request(b"Transfer-Encoding: chunked\r\n", kind=kind)
        assert siege.crowd(lambda _: pour(server, head, 100, chunks) in ([413], []), 8, 8) == [True] * 8


def test_a_hundred_megabytes_for_an_administrator_who_is_none(server):
    head = siege.request(b"Content-Length: 4194304\r\nAuthorization: Bearer 1." + b"A" * 43 + b"\r\n", path=b"/v1/company", method=b"PUT")
    with siege.Watch(server):
        assert siege.crowd(lambda _: pour(server, head, 4) in ([401], []), 8, 8) == [True] * 8


def test_an_administrators_document_has_its_limit_too(server):
    adam = server.world.person("adam", server, stream=False)
    head = b"Authorization: Bearer " + adam.token.encode() + b"\r\n"
    with siege.Watch(server, grow=64 * siege.MEGABYTE):
        for more in (b"Content-Length: 4194305\r\n", b"Content-Length: 104857600\r\n"):
            assert pour(server, siege.request(head + more, path=b"/v1/company", method=b"PUT"), 5) in ([413], [])
        text = b'{"company":' + b"[" * 2_000_000
        answer = siege.say(server, siege.post(text, head + b"Connection: close\r\n", path=b"/v1/company", method=b"PUT"))
        assert siege.statuses(answer) == [400]
        # as many members as fit, and as much work as they can make
        many = json.dumps({"company": {"name": "demo"}, "agents": [{"name": f"a{n}", "role": "x"} for n in range(2000)]}).encode()
        answer = siege.say(server, siege.post(many, head + b"Connection: close\r\n", path=b"/v1/company", method=b"PUT"))
        assert siege.statuses(answer) == [422]


def test_ten_thousand_header_lines(server):
    with siege.Watch(server):
        for line in (b"X-%d: a\r\n", b"a:\r\n", b"Cookie: a%d=b\r\n", b"X-Forwarded-For: 10.0.0.%d\r\n", b"Content-Length: %d\r\n",
                     b"Transfer-Encoding: chunked\r\n", b"Accept: text/%d\r\n"):
            lines = b"".join(line % n if b"%d" in line else line for n in range(10000))
            for method in (b"GET", b"POST"):
                head = method + b" /f/demo HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n"
                assert siege.crowd(lambda _, head=head: siege.statuses(siege.say(server, head)) in ([431], []), 8, 8) == [True] * 8


def test_as_many_header_lines_as_fit(server):
    """What is not refused must be cheap."""
    lines = b"".join(b"X-%d: a\r\n" % n for n in range(60))
    with siege.Watch(server):
        for _ in range(20):
            text = siege.say(server, (b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n") * 20
                             + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert siege.statuses(text) == [200] * 21


def test_an_address_without_an_end(server):
    with siege.Watch(server):
        for path in (b"/" + b"a" * 100000, b"/f/demo?" + b"a=b&" * 50000, b"/f/" + b"%41" * 50000, b"/" + b"../" * 50000):
            assert siege.statuses(siege.say(server, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")) in ([414], [431])
        query = b"GET /f/demo?" + b"a&" * 5000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert siege.statuses(siege.say(server, query)) in ([200], [414], [431], [])


DEEP = [b"[" * 10000, b'{"a":' * 10000, b"[" * 10000 + b"]" * 10000, b'{"a":' * 10000 + b"1" + b"}" * 10000,
        b'{"phone":' + b"[" * 10000 + b"]" * 10000 + b"}", b'{"a":' + b'{"b":[' * 5000 + b"1" + b"]}" * 5000 + b"}"]


def test_json_ten_thousand_deep(server):
    adam = server.world.person("adam", server, stream=False)
    token = b"Authorization: Bearer " + adam.token.encode() + b"\r\n"
    with siege.Watch(server):
        for method, path in ((b"POST", b"/f/demo"), (b"POST", b"/v1/session"), (b"PUT", b"/v1/me/status"), (b"PUT", b"/v1/company")):
            for text in DEEP:
                answer = siege.say(server, siege.post(text, token + b"Connection: close\r\n", path=path, method=method))
                assert siege.statuses(answer) in ([400], [413]), (path, text[:12])


WIDE = [
    b'{"a":' + b"9" * 60000 + b"}", b'{"a":1e' + b"9" * 60000 + b"}", b'{"a":"' + b"\\u0041" * 10000 + b'"}',
    b"{" + b",".join(b'"k%d":1' % n for n in range(6000)) + b"}", b"{" + b",".join([b'"k":1'] * 9000) + b"}",
    b"[" + b"1," * 30000 + b"1]", b'{"phone":"' + b"1" * 60000 + b'"}', b'{"phone":"+' + b"4" * 60000 + b'"}',
    b'{"phone":"' + b"+49 " * 15000 + b'"}', b'{"when":"' + b"2" * 60000 + b'"}', b'{"email":"' + b"@" * 60000 + b'"}',
    b'{"time_zone":"' + b"../" * 20000 + b'"}', b" " * 60000, b"\n" * 60000 + b"{}",
]


def test_json_that_is_wide(server):
    """Every one fits into a body, and is refused without much thought."""
    with siege.Watch(server), server.client() as client:
        for text in WIDE * 5:
            answer = client.post("/f/demo", content=text, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 422), (text[:20], answer.text)
            assert len(answer.content) < 100000


def test_forms_of_ten_thousand_fields(server):
    with siege.Watch(server), server.client() as client:
        bodies = [(FORM, b"&".join(b"a%d=b" % n for n in range(8000))), (FORM, b"&" * 60000), (FORM, b"=" * 60000),
                  (FORM, b"%" * 60000), (FORM, b"a=" + b"%41" * 20000), (FORM, b"+" * 60000),
                  (MULTIPART, b"--b\r\n\r\n" * 8000), (MULTIPART, b"--b" * 20000), (MULTIPART, b"--b\r\n" + b"A: b\r\n" * 9000),
                  (MULTIPART, b'--b\r\nContent-Disposition: form-data; name="' + b"\\\"" * 25000 + b'"\r\n\r\nx\r\n--b--'),
                  (MULTIPART, b"\r\n--" * 15000), (b"multipart/form-data; boundary=" + b"-" * 70, b"-" * 60000),
                  (b"multipart/form-data", b"a" * 60000), (b"multipart/form-data; boundary=\"\"", b"--" * 30000)]
        for kind, body in bodies * 5:
            answer = client.post("/f/demo", content=body, headers={"Content-Type": kind.decode()})
            assert answer.status_code in (400, 415, 422), (kind, body[:20], answer.status_code)
