"""Widening: who waits for the right one is not left waiting for him, and anybody can see why it went where it went."""

import house
import test_rules
from test_operations import ctl

STEPS = [{"after_s": 60, "levels": 2}, {"after_s": 120, "queue": "support", "priority": 5}]


def open_shop(world, steps=STEPS, needs=5, **more):
    return world.company(queues__0__widen=steps, forms__0__skills={"loans": needs}, **more)


def explained(sue, asked):
    return sue.get(f"/v1/callbacks/{asked['id']}/explain")


def test_who_waits_for_an_expert_gets_another_after_a_minute(world):
    open_shop(world)
    sue = world.person("sue")
    ann = world.person("ann")  # loans at 5: she is able, and not ready
    bob = world.person("bob", ready=True)  # loans at 3
    asked = world.visit()
    world.advance(59)
    said = explained(sue, asked)
    assert said["now"]["widens_at"] == "2026-11-24T09:01:00.000Z"
    assert said["now"]["sentence"] == ("Nobody of the 2 who are able is available: 2 not_ready. "
                                       "From 2026-11-24T09:01:00.000Z on, it is for more agents.")
    assert bob.state()["offers"] == []
    world.advance(1)
    assert bob.offered()["callback"] == asked["id"]
    told = sue.stream.expect("callback.widened")
    assert told["callback"]["widened"] == [{"step": 1, "after_s": 60, "levels": 2, "widened_at": "2026-11-24T09:01:00.000Z"}]
    text = ctl(world, "explain", asked["id"])
    assert "2026-11-24T09:01:00.000Z  1  60  2  -  -  -" in text, text
    ann.leave()


def test_a_step_that_nobody_could_serve_is_passed_over(world):
    """Of those who are signed in, nobody has loans at 9, nor at 8: what would be done an hour later is done at once."""
    open_shop(world, [{"after_s": 60, "levels": 1}, {"after_s": 3660, "without": ["loans"]}], needs=9)
    bob = world.person("bob", ready=True)
    asked = world.visit()
    world.advance(60)
    assert bob.offered()["callback"] == asked["id"]
    with world.servers[0].operator() as operator:
        widened = operator.get(f"/v1/callbacks/{asked['id']}").json()["callback"]["widened"]
    assert [step["step"] for step in widened] == [1, 2], "what was passed over is done, too"


def test_it_goes_to_another_queue_before_others(world):
    open_shop(world)
    sue = world.person("sue")
    world.person("ann")
    asked = world.visit()
    for _ in range(2):
        world.advance(60)
        sue.stream.expect("callback.widened")
    said = explained(sue, asked)
    assert (said["placed"]["queue"], said["placed"]["priority"]) == ("support", 5)
    assert "widens_at" not in said["now"]


def test_what_falls_into_an_outage_is_made_up_for(world):
    open_shop(world)
    asked = world.visit()
    world.servers[0].kill()
    world.advance(60)
    world.servers[0].start()
    assert world.person("bob", ready=True).offered()["callback"] == asked["id"]


def test_moved_to_another_time_it_is_for_the_expert_again(world):
    open_shop(world)
    sue = world.person("sue")
    asked = world.visit()
    world.advance(60)
    sue.stream.expect("callback.widened")
    sue.post(f"/v1/callbacks/{asked['id']}/reschedule", {"when": "2026-11-24T12:00"})
    bob = world.person("bob", ready=True)
    world.advance(3600)  # 11:01 in Berlin
    world.advance(3541)
    assert "widened" not in explained(sue, asked)["callback"]
    assert bob.state()["offers"] == []
    world.advance(60)
    assert bob.offered()["callback"] == asked["id"]


def test_steps_that_cannot_be_are_refused_by_name(world):
    with world.servers[0].operator() as operator:
        document = operator.get("/v1/company?tenant=demo").json()
        document["queues"][0]["widen"] = [{"after_s": 60, "without": ["chess"], "queue": "third"}, {"after_s": 30, "levels": 0}]
        answer = operator.put("/v1/company", json=document)
        assert answer.status_code == 422
        assert {e["field"]: e["message"] for e in answer.json()["errors"]} == {
            "queues[0].widen[0].queue": 'the queue "third", which the queue "sales" widens by, does not exist',
            "queues[0].widen[0].without[0]": 'the skill "chess", which the queue "sales" widens by, does not exist',
            "queues[0].widen[1].after_s": "must not be before that of the step before",
            "queues[0].widen[1].levels": "must be an integer from 1 to 9"}
        # and what is needed cannot be removed
        document["queues"][0]["widen"] = STEPS
        assert operator.put("/v1/company", json=document).status_code == 200
        del document["queues"][1]
        answer = operator.put("/v1/company", json=document)
        assert answer.status_code == 422
        assert [e["field"] for e in answer.json()["errors"]] == ["queues[0].widen[1].queue"]
        assert house.json.loads(ctl(world, "show", "company", "-j"))["queues"][0]["widen"] == STEPS


def keep(agent, asked, **more):
    """He has it in hand, and schedules it again for himself, for an hour later."""
    agent.accept(agent.offered(asked["id"]))
    version = agent.state()["callbacks"][0]["callback"]["seq"]
    return agent.post(f"/v1/callbacks/{asked['id']}/retry", {"version": version, "in_s": 3600, "personal": True, **more})


def test_an_agent_keeps_a_callback_for_himself(world):
    sue = world.person("sue")
    bob = world.person("bob", ready=True)
    asked = world.visit()
    keep(bob, asked)
    ann = world.person("ann", ready=True)
    assert explained(sue, asked)["callback"]["for_agent_name"] == "bob"
    bob.not_ready()
    world.advance(3600)
    sue.stream.expect("callback.kept")
    said = explained(sue, asked)["now"]
    assert said["sentence"] == "It is for bob alone, who is not_ready. From 2026-11-24T10:05:00.000Z on, it is for more agents."
    assert ann.state()["offers"] == []
    bob.ready()
    assert bob.offered()["callback"] == asked["id"]


def test_who_is_away_hands_it_over(world):
    sue = world.person("sue")
    bob = world.person("bob", ready=True)
    asked = world.visit()
    keep(bob, asked)
    bob.do("DELETE", "/v1/session")
    ann = world.person("ann", ready=True)
    world.advance(3599)
    assert ann.state()["offers"] == []
    world.advance(1)
    assert ann.offered()["callback"] == asked["id"]
    told = sue.stream.expect("callback.widened")
    assert told["step"] == 0 and "for_agent_name" not in explained(sue, asked)["callback"]


def test_who_does_not_take_it_hands_it_over_later(world):
    world.company(queues__0__personal_for_s=120)
    bob = world.person("bob", ready=True)
    asked = world.visit()
    keep(bob, asked)
    bob.not_ready()
    ann = world.person("ann", ready=True)
    world.advance(3600)
    world.advance(119)
    assert ann.state()["offers"] == []
    world.advance(1)
    assert ann.offered()["callback"] == asked["id"]


def test_a_rule_gives_a_customer_to_his_own_agent(world):
    test_rules.publish(world.person("adam", stream=False), {"rules": [{"name": "bobs", "if": '$.case.account == "bob"', "then": {"agent": "bob"}}]}, 0)
    ann = world.person("ann", ready=True)
    asked = world.visit(account="bob")
    world.advance(7200)
    assert ann.state()["offers"] == []
    with world.servers[0].operator() as operator:
        said = operator.get(f"/v1/callbacks/{asked['id']}/explain").json()
    assert said["now"]["sentence"] == "It is for bob alone, who is logged_out."
    bob = world.person("bob", ready=True)
    assert bob.offered()["callback"] == asked["id"]
