"""The keys that sign contacts' links are renewed, on every node at once: no link that is out breaks, nobody is signed
out, and what a retired key signed is unknown from then on."""

import os
import signal
import ssl
import subprocess

import house
import siege

JSON = {"Accept": "application/json"}


def test_secrets_rotate_under_everybodys_hands(empty):
    a = empty.server("a")
    empty.company()
    b = empty.server("b")
    ann, adam = empty.person("ann", a, ready=True), empty.person("adam", b, stream=False)
    sue = empty.person("sue", a)
    old = empty.link(empty.visit(a, when="2026-11-24T15:00", time_zone="Europe/Berlin"))
    made = adam.post("/v1/secrets", {"purpose": "link"}, 201)["secret"]
    assert made["id"] == 2 and "value" not in made
    told = sue.stream.expect("secret.created")
    assert set(told["secret"]) == {"id", "purpose", "by", "created_at"}
    # until every node had the time to hear of it, the one before goes on to sign
    early = empty.link(empty.visit(b))
    empty.until(lambda: [s["id"] for s in secrets(adam)] == [1, 2], "two")
    empty.advance(11)
    late = empty.link(empty.visit(b))
    for link in (old, early, late):
        good_everywhere(empty, link)
    assert ann.state()["agent"] and adam.get("/v1/me"), "nobody was signed out"
    ann.offered()
    with a.client() as client:
        assert client.post(old + "/cancel", headers=JSON).status_code == 200
    # the first is retired on one node: what it signed is unknown on both
    adam.do("DELETE", "/v1/secrets/2", status=409)
    adam.do("DELETE", "/v1/secrets/1")
    for server in (a, b):
        with server.client() as client:
            for link in (old, early):
                empty.until(lambda client=client, link=link: client.get(link, headers=JSON).status_code == 404, "unknown")
    good_everywhere(empty, late)
    adam.do("DELETE", "/v1/secrets/1", status=404)
    # a node that comes later knows the same
    c = empty.server("c")
    with c.client() as client:
        assert client.get(late, headers=JSON).status_code == 200
        assert client.get(old, headers=JSON).status_code == 404
    assert adam.get("/v1/me") and ann.state()


def secrets(person):
    return person.get("/v1/secrets")["secrets"]


def good_everywhere(world, link):
    for server in world.servers:
        with server.client() as client:
            # what another node has just heard of is here within a moment
            world.until(lambda client=client: client.get(link, headers=JSON).status_code == 200, "known")


def test_a_link_made_at_once_is_good_at_once(empty):
    """Rotation after rotation, and no link is unknown to the other node for even a moment."""
    a = empty.server("a")
    empty.company(forms__0__number_limit=0)
    b = empty.server("b")
    adam = empty.person("adam", a, stream=False)
    with b.client() as other:
        for n in range(20):
            adam.post("/v1/secrets", {"purpose": "link"}, 201)
            link = empty.link(empty.visit(a))
            assert other.get(link, headers=JSON).status_code == 200, n


def ctl(server, *args):
    done = subprocess.run([house.CALLBACKCTL, "-S", server.socket, *args], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_administrators_command(world):
    server = world.servers[0]
    link = world.link(world.visit())
    code, out, _ = ctl(server, "rotate")
    assert code == 0 and out.startswith("secret 2 signs links")
    code, out, _ = ctl(server, "show", "secrets")
    assert code == 0 and [line.split()[:2] for line in out.splitlines()] == [["ID", "PURPOSE"], ["1", "link"], ["2", "link"]]
    value = world.rows("SELECT encode(value, 'hex') FROM secret WHERE secret_id = 1")[0][0]
    assert value not in out
    assert value not in str(world.rows("SELECT body FROM event")), "the log keeps no secret"
    code, _, err = ctl(server, "retire", "2")
    assert code == 1 and "newest" in err
    assert ctl(server, "retire", "x")[0] == 2
    code, out, _ = ctl(server, "retire", "1")
    assert code == 0 and out.startswith("retired secret 1")
    with server.client() as client:
        world.until(lambda: client.get(link, headers=JSON).status_code == 404, "unknown")
    with open(server.log, encoding="utf-8") as log:
        assert value not in log.read()
