"""Why is it waiting? Asked while it waits for each of the reasons that there are; and what became of it before."""

import house
import test_rules
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


def test_a_website_asks_before_it_sends(world):
    """What is said would happen does; and nothing has, until it is sent."""
    world.company(queues__0__hours={"time_zone": "Europe/Berlin", "week": {"tue": ["08:00-18:00"], "wed": ["08:00-18:00"]}})
    ann = world.person("ann", ready=True)
    http = world.servers[0].client()
    evening = {"phone": "+49 30 901820", "when": "2026-11-24T19:00", "time_zone": "Europe/Berlin"}
    answer = http.post("/f/demo/check", json=evening)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said == {"state": "scheduled", "when_note": "next_opening", "booked": False,
                    "promise": {"local": "2026-11-25T08:00:00", "time_zone": "Europe/Berlin", "at": "2026-11-25T07:00:00.000Z"}}
    assert http.post("/f/demo/check", data={"phone": "+49 30 901820"}).json()["state"] == "queued"
    wrong = http.post("/f/demo/check", json={"phone": "12", "when": "soon", "time_zone": "Mars/Phobos"})
    assert wrong.status_code == 422 and {e["field"] for e in wrong.json()["errors"]} == {"phone", "when", "time_zone"}
    late = http.post("/f/demo/check", json={"phone": "+49 30 901820", "when": "2020-11-24T10:00"})
    assert late.json()["errors"] == [{"field": "when", "message": "is in the past"}]
    assert world.rows("SELECT count(*) FROM callback") == [(0,)]
    assert ann.state()["offers"] == []
    sent = world.visit(when="2026-11-24T19:00", time_zone="Europe/Berlin")
    assert (sent["promise"], sent["when_note"]) == (said["promise"], said["when_note"])


def test_a_supervisor_asks_where_it_would_go(world):
    sue = world.person("sue")
    test_rules.publish(world.person("adam", stream=False), {"rules": [
        {"name": "vips", "if": '$.case.tier == "gold"', "then": {"queue": "support", "priority": 9, "preferred_agent": "bob"}}]}, 0)
    said = sue.post("/v1/forms/demo/check", {"phone": "+49 30 901820", "tier": "gold"})
    assert said["place"] == {"queue": "support", "rule": "vips", "priority": 9, "skills": {}, "preferred_agent": "bob"}
    assert said["callback"]["state"] == "queued" and "id" not in said["callback"]
    ctl(world, "suppress", "-p", "+4930901820", "-r", "opted out")
    assert sue.post("/v1/forms/demo/check", {"phone": "+49 30 901820"})["suppressed"] == "opted out"
    assert sue.post("/v1/forms/nobodys/check", {"phone": "+49 30 901820"}, status=404)["type"].endswith("/not-found")


def test_no_crowd_of_checks_from_one_address(world):
    world.company(forms__0__address_limit=2)
    http = world.servers[0].client()
    answers = [http.post("/f/demo/check", json={"phone": "+49 30 901820"}) for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert answers[2].json()["type"].endswith("/too-many-requests") and int(answers[2].headers["Retry-After"]) > 0
    world.visit()       # they are no requests


def test_a_contact_sees_how_long_it_takes(world):
    """Ann takes one every two minutes while others wait; so the second of those that are left waits four."""
    world.company(forms__0__duplicates="allow", queues__0__after_call_work_s=0)
    http = world.servers[0].client(headers={"Accept": "application/json"})
    wait = lambda asked: http.get(world.link(asked)).json()["expected_wait_s"]
    asked = [world.visit() for _ in range(7)]
    assert wait(asked[0]) is None, "nobody is there"
    ann = world.person("ann", ready=True)
    for one in asked[:5]:
        ann.accept(ann.offered(one["id"]))
        callback = ann.state()["callbacks"][0]["callback"]
        world.advance(120)
        ann.post(f"/v1/callbacks/{one['id']}/done", {"version": callback["seq"], "disposition": "sold"})
    ann.accept(ann.offered(asked[5]["id"]))
    world.until(lambda: wait(asked[6]) == 120, "two minutes for the next")
    assert http.get("/f/demo/open").json()["expected_wait_s"] == 240
    page = world.servers[0].client(headers={"Accept": "text/html"}).get(world.link(asked[6])).text
    assert "Expected wait: about 2 minutes" in page
    version = ann.state()["callbacks"][0]["callback"]["seq"]
    world.advance(150)
    ann.post(f"/v1/callbacks/{asked[5]['id']}/done", {"version": version, "disposition": "sold"})
    ann.accept(ann.offered(asked[6]["id"]))
    metrics = http.get("/metrics").text
    assert 'callbackd_expected_waits_total{tenant="demo"} 1' in metrics
    assert 'callbackd_expected_wait_late_milliseconds_total{tenant="demo"} 30000' in metrics
