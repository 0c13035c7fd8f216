"""A preferred agent: who is asked first, how long he is waited for, and that nobody waits for who is not there."""

import test_rules

BOB = {"name": "bob-first", "then": {"preferred_agent": "bob", "preferred_for_s": 120}}


def explained(world, callback):
    with world.servers[0].operator() as operator:
        return operator.get(f"/v1/callbacks/{callback}/explain").json()["now"]


def publish(world, rule):
    test_rules.publish(world.person("adam", stream=False), {"rules": [rule]}, 0)


def busy(world, agent):
    """He has one in hand."""
    asked = world.visit()
    agent.accept(agent.offered(asked["id"]))
    return asked["id"]


def test_the_preferred_agent_is_asked_first(world):
    publish(world, BOB)
    ann, bob = world.person("ann", ready=True), world.person("bob", ready=True)
    asked = world.visit()
    assert bob.offered()["callback"] == asked["id"]
    assert ann.state()["offers"] == []


def test_he_is_waited_for_and_then_anybody_is_asked(world):
    publish(world, BOB)
    bob = world.person("bob", ready=True)
    busy(world, bob)
    ann = world.person("ann", ready=True)
    asked = world.visit()
    now = explained(world, asked["id"])
    assert now["why"] == "waits_for_preferred"
    assert now["sentence"] == "It waits for bob, who is preferred and not free, until 2026-11-24T09:02:00.000Z; then it goes to anybody."
    world.advance(119)
    assert ann.state()["offers"] == []
    world.advance(1)
    assert ann.offered()["callback"] == asked["id"]


def test_he_comes_back_in_time(world):
    publish(world, BOB)
    bob = world.person("bob", ready=True)
    first = busy(world, bob)
    ann = world.person("ann", ready=True)
    asked = world.visit()
    world.advance(60)
    held = bob.state()["callbacks"][0]["callback"]
    bob.post(f"/v1/callbacks/{first}/done", {"version": held["seq"], "disposition": "sold"})
    world.advance(31)                                   # after-call work
    assert bob.offered(asked["id"])["callback"] == asked["id"]
    assert ann.state()["offers"] == []


def test_nobody_waits_for_who_rejected_it_or_went_home(world):
    publish(world, BOB)
    ann, bob = world.person("ann", ready=True), world.person("bob", ready=True)
    asked = world.visit()
    bob.reject(bob.offered(asked["id"]))
    ann.accept(ann.offered(asked["id"]))
    bob.reject(bob.offered(world.visit()["id"]))
    with world.servers[0].operator() as operator:
        assert operator.delete("/v1/agents/bob/sessions").status_code == 200
    cat = world.visit()
    assert explained(world, cat["id"])["why"] != "waits_for_preferred"


def test_who_spoke_with_the_number_last(world):
    world.company(queues__0__last_agent_days=30)
    ann = world.person("ann", ready=True)
    first = world.visit(phone="+49 30 901820")
    ann.accept(ann.offered(first["id"]))
    held = ann.state()["callbacks"][0]["callback"]
    call = ann.post(f"/v1/callbacks/{first['id']}/call", {"version": held["seq"]})
    attempt = call["callback"]["attempt"]
    ann.post(f"/v1/attempts/{attempt}/connected", {})
    ended = ann.post(f"/v1/attempts/{attempt}/ended", {})
    ann.post(f"/v1/callbacks/{first['id']}/done", {"version": ended["callback"]["seq"], "disposition": "sold"})
    bob = world.person("bob", ready=True)
    world.advance(300)                                  # both are free, and bob for longer
    again, other = world.visit(phone="+49 30 901820"), world.visit()
    assert ann.offered()["callback"] == again["id"]
    assert bob.offered()["callback"] == other["id"]
    sue = world.person("sue", stream=False)
    assert sue.get(f"/v1/callbacks/{again['id']}")["callback"]["preferred_agent_name"] == "ann"
