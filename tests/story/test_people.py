"""Who may do what: signing in, roles, sessions."""

import pytest


def test_wrong_passwords_lock_and_time_unlocks(world):
    with world.servers[0].client() as client:
        def sign_in(password):
            return client.post("/v1/session", json={"name": "ann", "password": password})
        codes = [sign_in("wrong").status_code for _ in range(5)]
        assert codes == [401] * 5
        assert sign_in("demo-ann").status_code == 423
        assert client.post("/v1/session", json={"name": "nobody", "password": "x"}).status_code == 401
        world.advance(301)
        assert sign_in("demo-ann").status_code == 201


def test_signing_out_ends_the_token_at_once(world):
    ann = world.person("ann")
    assert ann.http.delete("/v1/session").status_code in (200, 204)
    assert ann.http.get("/v1/me/state").status_code == 401


@pytest.mark.parametrize("name, path, method, status", [
    (None, "/v1/me/state", "GET", 401),
    (None, "/v1/callbacks", "GET", 401),
    ("ann", "/v1/callbacks", "GET", 403),
    ("ann", "/v1/company", "GET", 403),
    ("ann", "/v1/nodes", "GET", 403),
    ("sue", "/v1/callbacks", "GET", 200),
    ("sue", "/v1/agents", "GET", 200),
    ("sue", "/v1/company", "GET", 403),
    ("adam", "/v1/company", "GET", 200),
    ("adam", "/v1/nodes", "GET", 403),
])
def test_roles(world, name, path, method, status):
    if name is None:
        with world.servers[0].client() as client:
            assert client.request(method, path).status_code == status
    else:
        person = world.person(name, stream=False)
        assert person.http.request(method, path).status_code == status


def test_a_cookie_needs_its_origin(world):
    server = world.servers[0]
    with server.client() as client:
        answer = client.post("/v1/session", json={"name": "ann", "password": "demo-ann"})
        assert "SameSite=Strict" in answer.headers["set-cookie"] and "HttpOnly" in answer.headers["set-cookie"]
        change = {"state": "ready"}
        assert client.put("/v1/me/status", json=change, headers={"Origin": "https://evil.example"}).status_code == 403
        assert client.put("/v1/me/status", json=change).status_code == 403
        assert client.put("/v1/me/status", json=change, headers={"Origin": server.url}).status_code == 200


def test_a_supervisor_takes_and_gives(world):
    ann, bob, sue = world.person("ann", ready=True), world.person("bob"), world.person("sue", stream=False)
    asked = world.visit()
    ann.accept(ann.offered(asked["id"]))
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]
    bob.ready()
    ann.not_ready()
    sue.post(f"/v1/callbacks/{asked['id']}/give_back", {"version": version, "reason": "urgent"})
    assert ann.stream.expect("callback.given_back")["callback"]["state"] == "scheduled"
    bob.accept(bob.offered(asked["id"]))
    assert sue.get(f"/v1/callbacks/{asked['id']}")["callback"]["state"] == "ready_to_call"


def test_a_supervisor_gives_a_waiting_callback_to_somebody(world):
    sue = world.person("sue", stream=False)
    asked = world.visit()
    ann, bob = world.person("ann"), world.person("bob")
    version = sue.get(f"/v1/callbacks/{asked['id']}")["callback"]["seq"]
    refused = sue.post(f"/v1/callbacks/{asked['id']}/assign", {"agent": "bob", "version": version}, status=409)
    assert refused["type"].endswith("agent-unavailable")
    later = world.visit(when="2026-11-24T15:00", time_zone="Europe/Berlin")
    bob.ready()
    bob.accept(bob.offered(asked["id"]))
    ann.ready()
    version = sue.get(f"/v1/callbacks/{later['id']}")["callback"]["seq"]
    sue.post(f"/v1/callbacks/{later['id']}/assign", {"agent": "ann", "version": version})
    assert ann.offered()["callback"] == later["id"], "before its time, because she says so"


def test_an_agent_tries_again_later(world):
    ann = world.person("ann", ready=True)
    asked = world.visit()
    ann.accept(ann.offered(asked["id"]))
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]
    ann.post(f"/v1/callbacks/{asked['id']}/retry", {"version": version, "in_s": 600, "reason": "in a meeting"})
    assert ann.stream.expect("callback.retry")["callback"]["due_at"] == "2026-11-24T09:10:00.000Z"
    world.advance(599)
    assert ann.state()["offers"] == []
    world.advance(1)
    ann.offered(asked["id"])


def test_the_company_is_applied_once(world):
    document = world.company()
    with world.servers[0].operator() as operator:
        again = operator.put("/v1/company", json=document)
        assert again.status_code == 200 and again.json()["changes"] == []
        document["queues"][0]["offer_timeout_s"] = 33
        plan = operator.put("/v1/company?dry_run=1", json=document).json()
        assert [c["name"] for c in plan["changes"]] == [document["queues"][0]["name"]]
        assert world.rows("SELECT count(*) FROM queue WHERE offer_timeout_s = 33") == [(0,)]
        document["queues"][0]["offer_timeout_s"] = -1
        document["agents"][0]["colour"] = "red"
        refused = operator.put("/v1/company", json=document)
        assert refused.status_code == 422
        assert {e["field"] for e in refused.json()["errors"]} == {"queues[0].offer_timeout_s", "agents[0].colour"}
