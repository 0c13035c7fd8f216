"""Text that is none: bytes that are no UTF-8, NUL, surrogates, in every field of every encoding, every part of an
address, every header. It is refused where it stands, reaches neither the database nor the log, and fails nobody else."""

import json
import os
import re

import pytest

import siege

with open(os.path.join(siege.house.SRC, "server", "api", "openapi.json"), encoding="utf-8") as file:
    PATHS = json.load(file)["paths"]

# lone continuation, cut short, overlong slash and NUL, surrogate, beyond Unicode, Latin-1, UTF-16, a NUL
NOT_UTF8 = [b"\x80", b"a\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc0\xaf", b"\xc0\x80", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
            b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"Gr\xfc\xdfe", b"\xff\xfea\x00", b"\x00", b"a\x00b"]
FIELDS = [b"phone", b"name", b"email", b"subject", b"notes", b"when", b"time_zone", b"language", b"consent", b"other"]
FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def server(module_world):
    server = module_world.server(limits__idle_ms=1000)
    module_world.company(forms__0__number_limit=0)
    return server


@pytest.fixture(autouse=True)
def watched(server):
    """Whatever was said in a story: nothing of it was stored, and neighbours in the same batch did not fail."""
    before = stored(server)
    with siege.Watch(server, grow=48 * siege.MEGABYTE) as watch:  # scrypt takes 32
        yield
        log = watch.log()
    assert stored(server) == before
    with open(server.log, "rb") as file:
        file.seek(watch.mark)
        file.read().decode()  # the log is UTF-8
    assert "\0" not in log
    assert watch.count("database_queries_failed_total") == 0
    assert all(watch.count(name) == 0 for name in watch.before if name.startswith("batches_bisected_total"))
    server.world.visit(server)


def stored(server):
    return server.world.rows("SELECT count(*) FROM contact WHERE name = 'x' OR phone = '+49301234567'")


def many(server, requests, expected):
    """On one connection while it lasts, on another after that; every one is answered as expected."""
    wrong = []
    for text in requests:
        answers = siege.statuses(siege.say(server, text))
        if len(answers) != 1 or answers[0] not in expected:
            wrong.append((text[:300], answers))
    assert wrong == []


CLOSE = b"Connection: close\r\n"


def percent(text):
    return b"".join(b"%%%02X" % byte for byte in text)


def test_in_every_field_of_a_form(server):
    good = {b"phone": b"%2B49301234567"}
    posts = []
    for field in FIELDS:
        for bad in NOT_UTF8:
            for said in {percent(bad), bad}:
                fields = {**good, field: b"x" + said}
                posts.append(siege.post(b"&".join(k + b"=" + v for k, v in fields.items()), CLOSE, kind=FORM))
                if field == b"other":
                    posts.append(siege.post(b"phone=%2B49301234567&" + said + b"=x", CLOSE, kind=FORM))
    many(server, posts, (400, 422))


def test_in_every_part_of_a_multipart_form(server):
    def part(name, value, more=b""):
        return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value + b"\r\n"

    phone = part(b"phone", b"+49301234567")
    posts = []
    for bad in NOT_UTF8:
        for field in FIELDS:
            posts.append(siege.post((b"" if field == b"phone" else phone) + part(field, b"x" + bad) + b"--b--\r\n", CLOSE, kind=MULTIPART))
        posts.append(siege.post(phone + part(b"x" + bad, b"x") + b"--b--\r\n", CLOSE, kind=MULTIPART))
    many(server, posts, (400, 422))


ESCAPED = [rb"\u0000", rb"a\u0000b", rb"\ud800", rb"\udfff", rb"\ud800\ud800", rb"\udc00\ud800", rb"\ud83d", rb"\ud83dx", rb"\u00", rb"\x00"]


def test_in_every_member_of_a_json_form(server):
    posts = []
    for bad in NOT_UTF8 + ESCAPED + [b"\x01", b"\x1f", b"\n"]:
        for field in FIELDS:
            posts.append(siege.post(b'{"phone":"+49301234567","' + field + b'":"x' + bad + b'"}' if field != b"phone"
                                    else b'{"phone":"' + bad + b'"}', CLOSE))
        posts.append(siege.post(b'{"phone":"+49301234567","x' + bad + b'":"x"}', CLOSE))
        posts.append(siege.post(b'{"phone":"+49301234567","x":["x",{"y":"' + bad + b'"}]}', CLOSE))
    many(server, posts, (400, 422))


def test_in_every_member_of_every_command(server):
    """An administrator's, so that only the text can be what is wrong."""
    adam = server.world.person("adam", server, stream=False)
    token = b"Authorization: Bearer " + adam.token.encode() + b"\r\n" + CLOSE
    posts = []
    for path, methods in PATHS.items():
        for method, route in methods.items():
            schema = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if route["x-role"] == "operator" or not path.startswith("/v1/") or not schema:
                continue
            where = path.replace("{id}", "018f0000-0000-7000-8000-000000000000").replace("{name}", "ann").encode()
            for member in [*schema.get("properties", {"company": {}}), "x"]:
                for bad in (b"\xff", b"\x00", b"\xed\xa0\x80", rb"\u0000", rb"\ud800"):
                    body = b'{"' + member.encode() + b'":"x' + bad + b'"}'
                    posts.append(siege.post(body, token, path=where, method=method.upper().encode()))
    assert len(posts) > 100
    many(server, posts, (400,))


def test_in_the_address(server):
    asks = []
    for bad in NOT_UTF8:
        said = percent(bad)
        for path in (b"/" + said, b"/f/" + said, b"/f/demo/" + said, b"/c/" + said, b"/v1/agents/" + said + b"/status", b"/v1/callbacks/" + said,
                     b"/f/demo?x=" + said, b"/f/demo?" + said + b"=x", b"/v1/events?after=" + said, b"/v1/callbacks?queue=" + said,
                     b"/v1/company?tenant=" + said):
            asks.append(siege.request(CLOSE, path=path, method=b"GET"))
        if b"\0" not in bad:
            asks += [siege.request(CLOSE, path=b"/f/demo?x=" + bad, method=b"GET"), siege.request(CLOSE, path=b"/f/" + bad, method=b"GET")]
    many(server, asks, (400,))


HEADERS = [b"X-A", b"Accept", b"Authorization", b"Cookie", b"Origin", b"Idempotency-Key", b"Last-Event-ID", b"X-Forwarded-For",
           b"Content-Type", b"User-Agent", b"Referer", b"Host", b"If-Match", b"Accept-Language", b"Sec-Fetch-Site"]


def test_in_every_header(server):
    asks = []
    for bad in NOT_UTF8 + [b"\x01", b"\x1b[31m", b"\x7f", b"\x0b"]:
        for name in HEADERS:
            value = {b"Authorization": b"Bearer ", b"Cookie": b"callbackd_session="}.get(name, b"x") + bad
            head = b"GET /v1/me HTTP/1.1\r\n" + (b"" if name == b"Host" else b"Host: x\r\n") + CLOSE
            asks.append(head + name + b": " + value + b"\r\n\r\n")
    many(server, asks, (400,))


def test_in_a_password_and_a_name(server):
    posts = []
    for bad in NOT_UTF8 + ESCAPED:
        posts.append(siege.post(b'{"name":"ann' + bad + b'","password":"x"}', CLOSE, path=b"/v1/session"))
        posts.append(siege.post(b'{"name":"ann","password":"demo-ann' + bad + b'"}', CLOSE, path=b"/v1/session"))
        posts.append(siege.post(b'{"tenant":"demo' + bad + b'","name":"ann","password":"demo-ann"}', CLOSE, path=b"/v1/session"))
    many(server, posts, (400,))


def test_what_is_odd_but_text_is_kept_as_it_is(server):
    """Or else the stories above would hold for a server that refuses everything."""
    odd = ["Zoë", "\u202eevil", "👩\u200d👩", "\ufeffbom", "a\u0301", "\U0010ffff", "\u2028", "<b>&amp;", "'; DROP TABLE contact; --", "%00", "\\u0000"]
    world = server.world
    for n, text in enumerate(odd):
        asked = world.visit(server, phone=f"+49 30 88800{n:03d}", name=text, notes=text)
        assert world.rows("SELECT k.name FROM contact k JOIN callback c ON c.callback_id = k.callback_id WHERE c.callback_id = %s",
                          asked["id"]) == [(text,)]
    with open(server.log, encoding="utf-8") as log:
        assert not re.search("DROP TABLE|Zoë", log.read())
