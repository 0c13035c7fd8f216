"""The end of a session is its end, at every node and for what is open: streams, polls, connections that are kept. And
a session's cookie does nothing for a page that is not ours."""

import concurrent.futures

import pytest

import house
import test_attack_roles

TWO = ["sign-out", "supervisor", "password", "removed", "expired"]


@pytest.mark.parametrize("how", TWO)
def test_a_session_ends_at_every_node_at_once(empty, how):
    a = empty.server("a", limits__long_poll_ms=60000)
    document = empty.company()
    b = empty.server("b", limits__long_poll_ms=60000)
    ann = empty.person("ann", a)
    token = {"Authorization": f"Bearer {ann.token}"}
    with a.client(headers=token) as here, b.client(headers=token) as there, concurrent.futures.ThreadPoolExecutor(2) as pool:
        empty.until(lambda: there.get("/v1/me").status_code == 200, "b knows her")
        streams = [house.Stream(server, ann.token, name=server.name) for server in (a, b)]
        now = here.get("/v1/me/state").json()["event"]
        polls = [pool.submit(client.get, f"/v1/events?after={now}&wait_s=50&max=1000", timeout=60) for client in (here, there)]
        empty.until(lambda: all(streams_open(server) >= 1 for server in (a, b)), "they wait")
        end_it(empty, how, ann, document)
        for stream in (ann.stream, *streams):
            assert stream.ended.wait(house.DEADLINE), f"{stream.label} goes on"
        for poll in polls:
            assert poll.result(house.DEADLINE).status_code in (200, 401)
        for client in (here, there):
            empty.until(lambda client=client: client.get("/v1/me").status_code == 401, "she is out")
            for method, path in (("GET", "/v1/me/state"), ("PUT", "/v1/me/status"), ("GET", "/v1/events"), ("DELETE", "/v1/session")):
                body = {"state": "ready"} if method == "PUT" else None
                assert client.request(method, path, json=body).status_code == 401, (path, client.base_url)
            assert client.get("/v1/events", headers={"Accept": "text/event-stream"}).status_code == 401
    if how in ("password", "removed"):
        with a.client() as client:
            old = client.post("/v1/session", json={"name": "ann", "password": "demo-ann"})
            assert old.status_code == 401
    if how == "password":
        with b.client() as client:
            answer = client.post("/v1/session", json={"name": "ann", "password": "another one"})
            assert answer.status_code == 201


def end_it(world, how, ann, document):
    if how == "sign-out":
        ann.do("DELETE", "/v1/session")
    elif how == "supervisor":
        world.person("sue", world.servers[1], stream=False).do("DELETE", "/v1/agents/ann/sessions")
    elif how == "expired":
        world.advance(43201)
    else:
        for agent in [agent for agent in document["agents"] if agent["name"] == "ann"]:
            if how == "password":
                agent["password"] = "another one"
            else:
                document["agents"].remove(agent)
        with world.servers[1].operator() as operator:
            answer = operator.put("/v1/company", json=document)
        assert answer.status_code == 200, answer.text


def streams_open(server):
    with server.operator() as operator:
        text = operator.get("/metrics").text
    return int(text.split("\ncallbackd_streams_open ")[1].split("\n")[0])


def test_another_password_ends_nobody_elses_session(world):
    """Nor does a company that is applied again with the same passwords."""
    document = world.company()
    ann, bob = world.person("ann", ready=True), world.person("bob", stream=False)
    held = world.visit()
    ann.accept(ann.offered(held["id"]))
    world.company(queues__0__offer_timeout_s=33)
    assert [c["callback"]["id"] for c in ann.state()["callbacks"]] == [held["id"]]
    for agent in document["agents"]:
        if agent["name"] == "ann":
            agent["password"] = "another one"
    with world.servers[0].operator() as operator:
        assert operator.put("/v1/company", json=document).status_code == 200
    assert ann.stream.ended.wait(house.DEADLINE)
    assert bob.get("/v1/me")
    # she comes back, and has what she had
    with world.servers[0].client() as client:
        answer = client.post("/v1/session", json={"name": "ann", "password": "another one"})
        assert answer.status_code == 201
        state = client.get("/v1/me/state", headers={"Authorization": f"Bearer {answer.json()['token']}"}).json()
    assert [c["callback"]["id"] for c in state["callbacks"]] == [held["id"]]


FOREIGN = [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": "http://{host}"}, {"Origin": "https://{host}.evil.example"},
           {"Origin": "https://{name}"}, {"Origin": "https://{name}:1"}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
           {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site", "Origin": "https://{host}"}]


def test_a_cookie_does_nothing_for_a_foreign_page(world):
    """Every route that takes a session, every way a page can make a browser ask; the same with our own page is let in."""
    server = world.servers[0]
    ann = world.person("adam", stream=False)
    host, name = f"127.0.0.1:{server.port}", "127.0.0.1"
    cookie = {"Cookie": f"callbackd_session={ann.token}"}
    let_in, kept_out = [], []
    head = "SELECT max(seq) FROM event"
    before = world.rows(head)
    with server.client() as client:
        routes = [(method, path) for method, path in test_attack_roles.routes()
                  if path.startswith("/v1/") and path not in ("/v1/session", "/v1/openapi.json")] + [("DELETE", "/v1/session")]
        for method, path in routes:
            path = path.replace("{id}", "018f0000-0000-7000-8000-000000000000").replace("{name}", "ann")
            ways = [*FOREIGN, *([{}] if method != "GET" else [])]
            for accept in ("application/json", "text/event-stream") if path == "/v1/events" else ("application/json",):
                for way in ways:
                    headers = {key: value.format(host=host, name=name) for key, value in way.items()}
                    answer = client.request(method, path, headers={**cookie, **headers, "Accept": accept})
                    if answer.status_code != 403 or not answer.json()["type"].endswith("/foreign-origin"):
                        let_in.append((method, path, headers, answer.status_code))
                    assert "access-control-allow-origin" not in answer.headers
        assert let_in == []
        assert world.rows(head) == before, "nothing was done, not even that he is at his desk"
        for method, headers in (("GET", {}), ("GET", {"Origin": f"https://{host}"}), ("GET", {"Sec-Fetch-Site": "none"}),
                                ("GET", {"Sec-Fetch-Site": "same-origin"}), ("PUT", {"Origin": f"https://{host}"})):
            path, body = ("/v1/me", None) if method == "GET" else ("/v1/me/status", {"state": "not_ready", "reason": "x"})
            answer = client.request(method, path, json=body, headers={**cookie, **headers})
            if answer.status_code != 200:
                kept_out.append((method, headers, answer.status_code))
        assert kept_out == []


def test_the_cookie_is_for_our_page_alone(world):
    with world.servers[0].client() as client:
        answer = client.post("/v1/session", json={"name": "ann", "password": "demo-ann"})
        parts = answer.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Strict", "Secure", "Path=/"} <= set(parts)
        assert not any(part.lower().startswith("domain") for part in parts)
        gone = client.delete("/v1/session", headers={"Origin": f"https://127.0.0.1:{world.servers[0].port}"})
        assert gone.status_code == 200 and "Max-Age=0" in gone.headers["set-cookie"]
