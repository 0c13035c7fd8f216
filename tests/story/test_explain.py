"""Why is it waiting? Asked while it waits for each of the reasons that there are; and what became of it before."""

import house
from test_operations import ctl


def why(sue, asked):
    return sue.get(f"/v1/callbacks/{asked['id']}/explain")


def test_every_reason_to_wait_has_its_sentence(world):
    world.company(queues__0__skills={"loans": 4}, queues__0__reject_cooldown_s=600)
    sue = world.person("sue")
    sue.stream.expect("agent.connected")
    asked = world.visit()
    said = why(sue, asked)
    assert said["now"]["why"] == "nobody_available"
    assert said["placed"] == {"queue": "sales", "strategy": "longest_idle", "priority": 0, "skills": {"loans": 4}}
    # sue has loans at 8, and is signed in, but not to take calls
    assert said["now"]["sentence"] == "Nobody of the 2 who are able is available: 1 not_ready, 1 logged_out."
    bob = world.person("bob", ready=True)
    assert why(sue, asked)["now"]["able"]["ready"] == 0, "bob's level is 3"

    ann = world.person("ann", ready=True)
    offer = ann.offered(asked["id"])
    said = why(sue, asked)
    assert said["now"] == {"why": "offered", "sentence": "An offer of it is pending."}
    assert said["offers"][0]["agent_name"] == "ann"
    world.advance(7)
    ann.reject(offer, reason="lunch")
    o = why(sue, asked)["offers"][0]
    assert (o["agent_name"], o["state"], o["reason"], o["seconds"]) == ("ann", "rejected", "lunch", 7.0)

    ann.accept(ann.offered(asked["id"]))
    assert why(sue, asked)["now"]["sentence"] == "ann has it."
    version = ann.state()["callbacks"][0]["callback"]["seq"]
    ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "sold"})
    assert why(sue, asked)["now"] == {"why": "ended", "sentence": "It has ended: completed, sold."}
    bob.leave()


def test_a_skill_that_nobody_has_is_named(world):
    world.company(queues__0__skills={"loans": 9})
    asked = world.visit()
    world.person("ann", ready=True)
    said = why(world.person("sue", stream=False), asked)
    assert said["now"]["sentence"] == "Nobody who is signed in has the skill loans at level 9 or more."
    assert said["now"]["needs"] == [{"skill": 1, "level": 9, "signed_in": 0}]


def test_who_comes_before_it(world):
    world.company()
    first, second = world.visit(), world.visit()
    later = world.visit(when="2026-11-25T10:00")
    sue = world.person("sue", stream=False)
    assert why(sue, second)["now"]["ahead"] == 1
    said = why(sue, later)["now"]
    assert (said["why"], said["until_at"]) == ("not_due", "2026-11-25T09:00:00.000Z")
    assert said["sentence"] == "It is not due until 2026-11-25T09:00:00.000Z."
    ann = world.person("ann", ready=True)
    ann.offered(first["id"])
    assert why(sue, second)["now"]["ahead"] == 0


def test_closed_and_linked(world):
    every = {day: ["10:00-11:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    world.company(queues__0__hours={"time_zone": "UTC", "week": every})
    sue = world.person("sue", stream=False)
    asked = world.visit(phone="+49 30 2222222")
    linked = world.visit(phone="+49 30 2222222")
    assert why(sue, linked)["now"]["sentence"] == "Another request of the same number is called in its stead."
    assert why(sue, asked)["now"]["why"] == "not_due", "it was promised for the opening"
    world.advance(2 * 3600 + 60)
    assert why(sue, asked)["now"]["sentence"] == "Its queue is closed until 2026-11-25T10:00:00.000Z."


def test_by_callbackctl(world):
    world.company(queues__0__skills={"loans": 9})
    asked = world.visit()
    said = ctl(world, "explain", asked["id"])
    assert asked["id"] in said and "skills    loans:9" in said
    assert said.endswith("now       Nobody who is signed in has the skill loans at level 9 or more.\n")
    assert "no such callback" in ctl(world, "explain", "01900000-0000-7000-8000-000000000000", status=1)
    assert house.json.loads(ctl(world, "explain", asked["id"], "-j"))["now"]["why"] == "nobody_available"


def test_a_contact_sees_his_place_in_the_queue(world):
    def place(asked):
        with world.servers[0].client(headers={"Accept": "application/json"}) as client:
            return client.get(world.link(asked)).json().get("position", "none")

    first, second, later = world.visit(), world.visit(), world.visit(when="2026-11-24T15:00")
    world.until(lambda: place(second) == 2, "second in the queue")
    assert (place(first), place(later)) == (1, "none")
    with world.servers[0].client(headers={"Accept": "text/html"}) as client:
        assert "Your place in the queue: 2" in client.get(world.link(second)).text
        assert "place in the queue" not in client.get(world.link(later)).text
    ann = world.person("ann", ready=True)
    offer = ann.offered(first["id"])
    assert place(first) == 1
    ann.accept(offer)
    world.until(lambda: place(second) == 1, "next")
    assert place(first) == "none"
