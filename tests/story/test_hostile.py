"""What strangers, careless programs and curious colleagues send: whatever it is, it is answered or its connection
ends, nobody sees or does what is not his, and the server goes on (the world's end looks at its exit and its log)."""

import base64
import concurrent.futures
import copy
import json
import os
import re
import signal
import socket
import ssl
import threading
import uuid
from collections import Counter

import httpx
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import house

with open(os.path.join(house.SRC, "server", "api", "openapi.json")) as file:
    ROUTES = [(method.upper(), path, route) for path, routes in json.load(file)["paths"].items()
              for method, route in routes.items() if method in ("get", "put", "post", "delete")]
RANKS = ["public", "agent", "supervisor", "administrator", "operator"]
NOBODY = "018f0000-0000-7000-8000-000000000000"
JSON_ASKED = {"Accept": "application/json"}
WRONG = [None, True, -1, 2**63 - 1, 2**63, 1e308, "", "\x00", "\x01'%s", "ä" * 2001, [[]], {"a": {}}]
RAW = {"Content-Type": "application/json"}


def demo(name="demo", **form):
    with open(os.path.join(house.SRC, "etc", "demo.json")) as file:
        document = json.load(file)
    document["company"]["name"] = name
    document["forms"][0].update(key=name, address_limit=0, number_limit=0, **form)
    return document


def fill(path, ident=NOBODY):
    path = path.replace("{form}", "demo").replace("{token}", "A" * 48).replace("{name}", "ann").replace("{id}", ident).replace("{version}", ident)
    return path + "?wait_s=0" if path == "/v1/events" else path


def sign_in(server, tenant, name):
    with server.client() as client:
        answer = client.post("/v1/session", json={"tenant": tenant, "name": name, "password": f"demo-{name}"})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def at_once(jobs):
    """All of them start together; their answers."""
    barrier = threading.Barrier(len(jobs))

    def run(job):
        barrier.wait()
        return job()

    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def codes(answers):
    return Counter(answer.status_code for answer in answers)


def wire(world):
    context = ssl.create_default_context(cafile=world.cert[0])
    plain = socket.create_connection(("127.0.0.1", world.servers[0].port), timeout=house.DEADLINE)
    return context.wrap_socket(plain, server_hostname="localhost")


def all_of(connection):
    """All that comes until the server ends the connection."""
    text = b""
    while some := connection.recv(65536):
        text += some
    return text


def raw(world, text):
    with wire(world) as connection:
        connection.sendall(text)
        return all_of(connection)


def statuses(text):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", text)]


def near(person):
    """The same person by the unix socket, where a head and a body sent one after the other do not wait for an ACK."""
    client = person.server.operator()
    client.headers["Authorization"] = f"Bearer {person.token}"
    return client


def alive(world):
    with world.servers[0].client() as client:
        return client.get("/healthz").status_code == 200


@pytest.fixture
def rivals(world):
    """Two companies at one server."""
    with world.servers[0].operator() as operator:
        for name in ("demo", "rival"):
            assert operator.put("/v1/company", json=demo(name)).status_code == 200
    return world


def test_every_route_asks_for_its_role_and_for_no_less(world):
    server = world.servers[0]
    people = {"agent": "bob", "supervisor": "sue", "administrator": "adam"}
    clients = {"public": server.client(), "operator": server.operator()}
    for role, name in people.items():
        clients[role] = near(world.person(name, stream=False))
    wrong = []
    for method, path, route in ROUTES:
        needs = RANKS.index(route["x-role"])
        if (method, path) == ("DELETE", "/v1/session"):
            continue        # it would end the session that asks
        for rank, role in enumerate(RANKS):
            answer = clients[role].request(method, fill(path), json={} if method in ("POST", "PUT") else None)
            expected = 401 if role == "public" else 403
            # the operator's socket is nobody's desk: what only an agent does for himself is refused with a type of its own
            mine = answer.status_code == 403 and answer.json()["type"].endswith("/not-an-agent")
            refused = answer.status_code in (401, 403) and not mine
            allowed = rank >= needs or (path == "/v1/session" and method == "POST")
            if refused == allowed or (refused and answer.status_code != expected) or answer.status_code >= 500:
                if not (path == "/v1/session" and answer.status_code == 401):
                    wrong.append((role, method, path, answer.status_code))
    assert wrong == []
    for client in clients.values():
        client.close()


def test_wrong_types_in_every_member_of_every_route_are_refused(world):
    asked = world.visit()
    adam, operator = near(world.person("adam", stream=False)), world.servers[0].operator()
    wrong = []
    for method, path, route in ROUTES:
        content = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        members = list(content.get("properties", {})) or ["company", "agents", "forms", "queues", "x"]
        if method not in ("POST", "PUT") or path in ("/v1/session", "/v1/test/reload", "/v1/test/clock"):
            continue
        client = operator if route["x-role"] == "operator" else adam
        for number, body in enumerate([{m: v} for m in members for v in WRONG] + [dict.fromkeys(members, v) for v in WRONG[::3]]):
            answer = client.request(method, fill(path, asked["id"] if number % 2 else NOBODY), json=body)
            if answer.status_code >= 500 or (answer.status_code < 300 and path == "/v1/company"):
                wrong.append((method, path, str(body)[:60], answer.status_code))
        for ident in ("x", "%00", "%ff", "a" * 4000, NOBODY + "0", NOBODY.replace("-", ""), "..%2f"):
            answer = client.request(method, fill(path, ident), json={})
            if "{id}" in path and answer.status_code not in (400, 404):
                wrong.append((method, path, ident[:20], answer.status_code))
        for text in (b"{", b"[]", b'"x"', b"\xff\xfe", b'{"a":1,"a":2}', b"[" * 50000, b'{"a":' * 40 + b"1" + b"}" * 40):
            if client.request(method, fill(path), content=text, headers=RAW).status_code not in (400, 404, 413):
                wrong.append((method, path, text[:20]))
    operator.close()
    adam.close()
    assert wrong == []


HEADERS = st.dictionaries(st.sampled_from(["Content-Type", "Accept", "Idempotency-Key", "Origin", "X-Forwarded-For", "Cookie"]),
                          st.one_of(st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/html",
                                                     "multipart/form-data; boundary=b"]),
                                    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).map(str.strip)), max_size=4)
NAMES = st.one_of(st.sampled_from(["phone", "name", "when", "time_zone", "consent", "notes", "email", "language"]), st.text(max_size=20))
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                      max_leaves=6)
PARTS = st.lists(st.tuples(st.text(max_size=10), st.binary(max_size=40)), max_size=4).map(lambda parts: b"".join(
    b'--b\r\nContent-Disposition: form-data; name="' + name.encode(errors="replace") + b'"\r\n\r\n' + value + b"\r\n"
    for name, value in parts) + b"--b--\r\n")
BODIES = st.one_of(
    st.binary(max_size=300),
    st.dictionaries(NAMES, VALUES, max_size=5).map(lambda body: json.dumps(body).encode()),
    st.lists(st.binary(max_size=30), max_size=6).map(b"&".join), PARTS)


def test_arbitrary_posts_are_answered(world):
    world.company(forms__0__number_limit=0)
    stored = 0

    @settings(max_examples=250, deadline=None, derandomize=True, database=None,
              suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(body=BODIES, headers=HEADERS)
    def post(body, headers):
        nonlocal stored
        answer = client.post("/f/demo", content=body, headers=headers)
        assert answer.status_code in (201, 303, 400, 413, 415, 422), (answer.status_code, answer.text)
        stored += answer.status_code in (201, 303) and "idempotent-replayed" not in answer.headers

    with world.servers[0].operator() as client:
        post()
    assert world.rows("SELECT count(*) FROM callback") == [(stored,)]


def request(head, body=b"", path=b"/f/demo", method=b"POST"):
    return method + b" " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + head + b"\r\n" + body


@pytest.mark.parametrize("text, status", [
    (request(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    (request(b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}x"), 400),
    (request(b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}"), 400),
    (request(b"Content-Length: 2, 2\r\n", b"{}"), 400),
    (request(b"Content-Length: +2\r\n", b"{}"), 400),
    (request(b"Content-Length: -1\r\n", b"{}"), 400),
    (request(b"Content-Length: 0x2\r\n", b"{}"), 400),
    (request(b"Content-Length : 2\r\n", b"{}"), 400),
    (request(b"Content-Length: 18446744073709551615\r\n"), 413),
    (request(b"Content-Length: 18446744073709551617\r\n"), 413),
    (request(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), 400),
    (request(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"), 400),
    (request(b"Transfer-Encoding: chunked\r\n", b"-1\r\n{}\r\n0\r\n\r\n"), 400),
    (request(b"Transfer-Encoding: chunked\r\n", b"FFFFFFFFFFFFFFFFFF\r\n"), 413),
    (request(b"Transfer-Encoding: chunked\r\n", b"2;a=\"\r\n\"\r\n{}\r\n0\r\n\r\n"), 400),
    (request(b"Expect: 100-continue\r\nContent-Length: 9999999\r\n"), 413),
    (request(b"X-A: b\r\n c\r\nContent-Length: 2\r\n", b"{}"), 400),
    (request(b"X-A: b\0c\r\nContent-Length: 2\r\n", b"{}"), 400),
    (request(b"X-A: \xff\r\nContent-Length: 2\r\n", b"{}"), 400),
    (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"CONNECT x:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100000 + b"\r\n\r\n", 431),
], ids=lambda value: None if isinstance(value, int) else repr(value[:90]).replace("[", "("))
def test_a_request_that_can_be_read_in_two_ways_ends_its_connection(shared, text, status):
    smuggled = b"POST /f/demo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n"
    answers = statuses(raw(shared, text + smuggled + b'{"phone":"0301234567"}'))
    assert set(answers) == {status}
    assert alive(shared)
    assert shared.rows("SELECT count(*) FROM callback") == [(0,)]


@pytest.fixture(scope="module")
def shared(cluster, cert, tmp_path_factory):
    """One world for stories that leave nothing behind."""
    folder = house.tempfile.mkdtemp(prefix="cb-", dir="/tmp")
    world = house.World(cluster, cert, folder)
    world.server()
    world.company()
    yield world
    try:
        world.close()
    finally:
        house.shutil.rmtree(folder, ignore_errors=True)


def test_a_connection_goes_on_after_refusals(shared):
    refused = request(b"Content-Length: 2\r\n", b"{}", b"/f/nothing") + request(b"Content-Length: 2\r\n", b"{}", b"/v1/me/status", b"PUT")
    text = refused * 3 + request(b"Content-Length: 5\r\n", b"hello", b"/healthz", b"GET") + request(b"Content-Length: 1\r\n", b"{")
    with wire(shared) as connection:
        connection.sendall(text + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert statuses(all_of(connection)) == [404, 401] * 3 + [413, 400, 200]


def test_half_a_connection_gets_its_whole_answer(shared):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(house.DEADLINE)
        connection.connect(shared.servers[0].socket)
        connection.sendall(request(b"Content-Length: 14\r\n", b'{"phone":"12"}'))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(all_of(connection)) == [422]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(house.DEADLINE)
        connection.connect(shared.servers[0].socket)
        connection.sendall(request(b"Content-Length: 14\r\n", b'{"phone"'))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(all_of(connection)) == []
    assert shared.rows("SELECT count(*) FROM callback") == [(0,)]


def test_head_and_options_anywhere_have_no_body_and_do_nothing(shared):
    sue = shared.person("sue", stream=False).http
    changes = "SELECT count(*) FROM event WHERE kind NOT IN ('agent.connected', 'agent.disconnected')"
    before = shared.rows(changes)
    for method, path, _ in ROUTES:
        stream = {"Accept": "text/event-stream"} if path == "/v1/events" else {}
        answer = sue.head(fill(path), headers=stream)
        assert answer.content == b"" and answer.status_code < 500, path
        answer = sue.options(fill(path))
        assert answer.status_code in (204, 404, 405), (path, answer.status_code)
        assert answer.status_code != 405 or method in answer.headers["allow"]
    assert shared.rows(changes) == before


def test_one_company_sees_nothing_of_the_other(rivals):
    server = rivals.servers[0]
    ann, asked = rivals.person("ann", ready=True, tenant="demo"), rivals.visit()
    offer = ann.offered(asked["id"])
    foreign = [sign_in(server, "rival", name) for name in ("ann", "sue", "adam")]
    mine = sign_in(server, "demo", "bob")
    seen = []
    with server.client() as client:
        def ask(method, path, body=None, who=foreign + [mine]):
            for headers in who:
                answer = client.request(method, path, json=body, headers=headers)
                if answer.status_code != 404 or set(answer.json()) != {"type", "title", "status", "detail"}:
                    seen.append((method, path, answer.status_code, answer.text))

        for what in ("accept", "reject"):
            ask("POST", f"/v1/offers/{offer['id']}/{what}", {})
        ann.accept(offer)
        version = ann.stream.expect("offer.accepted")["callback"]["seq"]
        path = f"/v1/callbacks/{asked['id']}"
        ask("GET", path)
        for what, more in [("call", {}), ("done", {"disposition": "sold"}), ("give_back", {}), ("retry", {"in_s": 60}), ("cancel", {})]:
            ask("POST", f"{path}/{what}", {"version": version, **more})
        ask("POST", f"{path}/notes", {"text": "mine"})
        ask("POST", f"{path}/assign", {"version": version, "agent": "bob"}, foreign[1:])
        attempt = ann.post(f"{path}/call", {"version": version})["attempt"]["id"]
        for what in ("connected", "hold", "retrieve", "ended"):
            ask("POST", f"/v1/attempts/{attempt}/{what}", {})
        assert seen == []
        assert client.get("/v1/callbacks", headers=foreign[1]).json()["callbacks"] == []
        assert client.get("/v1/company?tenant=demo", headers=foreign[2]).json()["company"]["name"] == "rival"
        assert client.put("/v1/company", json=demo(), headers=foreign[2]).status_code == 422
        events = client.get("/v1/events?after=1.1&wait_s=0&max=1000", headers=foreign[1]).json()
        assert asked["id"] not in json.dumps(events)
    with server.operator() as operator:
        stolen = demo("rival")
        stolen["forms"][0]["key"] = "demo"
        assert operator.put("/v1/company", json=stolen).status_code == 422
        assert operator.get("/v1/agents").status_code == 400, "which company's?"


def test_a_link_that_was_changed_anywhere_is_unknown(rivals):
    server = rivals.servers[0]
    token = base64.urlsafe_b64decode(rivals.link(rivals.visit()).rsplit("/", 1)[1])
    with server.operator() as operator:
        rival = next(t["id"] for t in operator.get("/v1/tenants").json()["tenants"] if t["name"] == "rival")
    changed = [token[:i] + bytes([token[i] ^ 1]) + token[i + 1:] for i in range(len(token))]
    changed += [rival.to_bytes(4, "big") + token[4:], token[:-1], token + b"\0", b""]
    with server.client() as client:
        for some in changed:
            path = "/c/" + base64.urlsafe_b64encode(some).decode()
            assert client.get(path).status_code == 404
            assert client.post(path + "/cancel").status_code == 404
    assert rivals.rows("SELECT count(*) FROM callback WHERE state = 'cancelled'") == [(0,)]


def test_whatever_is_pressed_twice_happens_once(world):
    with world.servers[0].operator() as operator:
        assert operator.put("/v1/company", json=demo()).status_code == 200
    server, ann, bob = world.servers[0], world.person("ann", ready=True), world.person("bob")
    clients = [server.client() for _ in range(20)]
    key = {"Idempotency-Key": "once"}
    answers = at_once([lambda c=c: c.post("/f/demo", json={"phone": "0301234567"}, headers=key) for c in clients])
    assert codes(answers) == {201: 20} and len({answer.text for answer in answers}) == 1
    assert codes(at_once([lambda c=c: c.post("/f/demo", json={"phone": "0301234567"}) for c in clients])) == {201: 20}
    offer = ann.offered()
    took = at_once([lambda c=c: c.post(f"/v1/offers/{offer['id']}/accept", headers={"Authorization": f"Bearer {ann.token}"})
                    for c in clients])
    assert codes(took) == {200: 1, 409: 19}
    bob.ready()
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]
    calls = at_once([lambda c=c: c.post(f"/v1/callbacks/{offer['callback']}/call", json={"version": version},
                                        headers={"Authorization": f"Bearer {ann.token}"}) for c in clients])
    assert codes(calls) == {200: 1, 409: 19}
    assert world.rows("SELECT count(*) FROM attempt") == [(1,)]
    assert world.rows("SELECT count(*) FROM offer") == [(1,)], "the same number is called once, whoever is ready"
    for client in clients:
        client.close()


def test_a_reused_key_does_not_swallow_another_request(world):
    ann = world.person("ann", ready=True)
    ann.accept(ann.offered(world.visit()["id"]))
    callback = ann.stream.expect("offer.accepted")["callback"]["id"]
    key = {"Idempotency-Key": "k"}
    first = ann.post(f"/v1/callbacks/{callback}/notes", {"text": "one"}, headers=key)
    assert ann.post(f"/v1/callbacks/{callback}/notes", {"text": "one"}, headers=key) == first
    ann.post(f"/v1/callbacks/{callback}/notes", {"text": "two"}, headers=key)
    assert world.rows("SELECT count(*) FROM event WHERE kind = 'callback.noted'") == [(2,)]
    ann.do("PUT", "/v1/me/status", {"state": "not_ready", "reason": "lunch"}, headers=key)
    assert world.rows("SELECT reason FROM agent_status WHERE reason = 'lunch'") == [("lunch",)], ann.get("/v1/me")


def test_a_wrong_document_makes_no_company_and_costs_no_password(world):
    document = demo("rival")
    document["agents"] = [{**document["agents"][0], "name": f"a{n}", "password": "x"} for n in range(3000)]
    document["queues"][0]["offer_timeout_s"] = -1
    with world.servers[0].operator() as operator:
        # hashing 3000 passwords takes minutes: the deadline of this request is the test
        assert operator.put("/v1/company", json=document).status_code == 422
        assert [t["name"] for t in operator.get("/v1/tenants").json()["tenants"]] == ["demo"]


def test_a_company_may_lose_what_is_in_use(world):
    document = demo()
    ann = world.person("ann", ready=True)
    held, waiting = world.visit(), world.visit(when="2026-11-24T15:00", time_zone="Europe/Berlin")
    ann.accept(ann.offered(held["id"]))
    small = copy.deepcopy(document)
    small["agents"] = [agent for agent in document["agents"] if agent["name"] != "ann"]
    small["queues"] = [queue for queue in document["queues"] if queue["name"] != "sales"]
    small["forms"] = []
    large = copy.deepcopy(document)
    large["queues"] += [{"name": f"q{n}", "label": "Ünï 😀 \u202e" + str(n), "skills": {"loans": 1 + n % 10}} for n in range(100)]
    with world.servers[0].operator() as operator, world.servers[0].client() as client:
        for company in (small, large, small, document):
            assert operator.put("/v1/company", json=company).status_code == 200
        assert ann.http.get("/v1/me/state").status_code == 401
        # whoever has his link is not concerned
        assert client.get(world.link(waiting), headers=JSON_ASKED).json()["state"] == "scheduled"
        assert client.post(world.link(waiting) + "/cancel", headers=JSON_ASKED).status_code == 200
        for path in ("/v1/agents", "/v1/queues", "/v1/callbacks", f"/v1/callbacks/{held['id']}"):
            assert operator.get(path).status_code == 200, path


def test_a_page_says_back_nothing_that_acts(world):
    text = "\"><script>alert(1)</script>'&{{x}}<!--"
    document = demo(label=text)
    document["queues"][0]["label"] = text
    with world.servers[0].operator() as operator, world.servers[0].client() as client:
        assert operator.put("/v1/company", json=document).status_code == 200
        page = client.get("/f/demo").text
        names = ["phone", "name", "email", "subject", "when", "time_zone", "language", "consent", "notes", text]
        again = client.post("/f/demo", data=dict.fromkeys(names, text))
        assert again.status_code == 422
        for some in (page, again.text):
            assert "&lt;script&gt;" in some and "<script" not in some and "'&{{" not in some
        for member, value in [("thank_you_url", "javascript:alert(1)"), ("thank_you_url", "https://a.example/\r\nX: y"),
                              ("origins", ["https://a.example; script-src *"]), ("language", "\"><x")]:
            document["forms"][0] = {**demo()["forms"][0], member: value}
            assert operator.put("/v1/company", json=document).status_code == 422, (member, value)


def test_fields_end_where_they_are_said_to(world):
    with world.servers[0].operator() as operator, world.servers[0].client() as client:
        assert operator.put("/v1/company", json=demo()).status_code == 200

        def post(**fields):
            return client.post("/f/demo", json={"phone": "0301234567", **fields}).status_code

        for name, most in [("name", 200), ("subject", 300), ("notes", 4000)]:
            assert (post(**{name: "😀" * most}), post(**{name: "😀" * (most + 1)})) == (201, 422), name
        assert (post(**{f"f{n}": n for n in range(199)}), post(**{f"f{n}": n for n in range(200)})) == (201, 422)
        assert (post(other="x" * 16384), post(other="x" * 16385), post(other="x" * 70000)) == (201, 422, 413)
        for zone in ("../../etc/passwd", "/etc/passwd", "posixrules", "localtime", "Mars", "<a>5", "x" * 64):
            assert post(time_zone=zone, when="2026-11-24T12:00") == 422, zone
        for when in ("9999-12-31T23:59", "0001-01-01T00:00", "2026-11-24T24:00", "2026-11-24T12:00+99:99", "infinity", "now", "-1"):
            assert post(when=when) == 422, when


def test_a_long_poll_ends_with_its_session(world):
    ann = world.person("ann", stream=False)
    now = ann.get("/v1/me")["event"]
    with world.servers[0].client() as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        poll = pool.submit(client.get, f"/v1/events?after={now}&wait_s=60", headers={"Authorization": f"Bearer {ann.token}"})
        assert ann.http.delete("/v1/session").status_code == 200
        answer = poll.result(house.DEADLINE)
        assert answer.status_code in (200, 401), answer.text


def streams_nobody_reads(world, token, number):
    def open_one(_):
        connection = wire(world)
        connection.sendall(b"GET /v1/events?after=1.1 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer "
                           + token.encode() + b"\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        return connection

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(open_one, range(number)))


def test_the_server_stops_among_posts_and_streams(empty):
    empty.server(limits__connections_per_address=1000)
    with empty.servers[0].operator() as operator:
        assert operator.put("/v1/company", json=demo()).status_code == 200
    server, told, stop = empty.servers[0], [], threading.Event()
    streams = streams_nobody_reads(empty, empty.person("sue", stream=False).token, 150)
    enough = threading.Semaphore(0)

    def post(number):
        with server.client() as client:
            while not stop.is_set():
                try:
                    answer = client.post("/f/demo", json={"phone": "+49 30 " + str(10000000 + uuid.uuid4().int % 89999999)})
                except httpx.TransportError:
                    return
                assert answer.status_code in (201, 503)
                if answer.status_code == 201:
                    told.append(answer.json()["id"])
                    enough.release()

    threads = [threading.Thread(target=post, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(60):
        assert enough.acquire(timeout=house.DEADLINE)
    server.stop()
    stop.set()
    for thread in threads:
        thread.join()
    for stream in streams:
        stream.close()
    stored = {str(row[0]) for row in empty.rows("SELECT callback_id FROM callback")}
    assert set(told) <= stored


def test_a_reload_of_broken_files_changes_nothing(world):
    server = world.servers[0]
    with open(server.conf) as file:
        good = file.read()
    for broken in ("[server\nlisten = ", good.replace("certificate = ", "certificate = /nonexistent"), good + "\n[server]\nnosuch = 1\n",
                   "\0\xff" * 100, ""):
        mark = os.path.getsize(server.log)
        with open(server.conf, "w") as file:
            file.write(broken)
        server.process.send_signal(signal.SIGHUP)
        server.wait_log(r"reload", mark)
        assert alive(world) and server.process.poll() is None
    with open(server.conf, "w") as file:
        file.write(good)
    mark = os.path.getsize(server.log)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log(r"reload", mark)
    world.visit()
