"""Tried again: when the queue says, and no more often; and what desk and contact see of it."""


def accept(person, asked):
    person.accept(person.offered(asked["id"]))
    return person.stream.expect("offer.accepted", callback__id=asked["id"])["callback"]["seq"]


def dial(world, person, asked, version, outcome, seconds=30):
    """The callback's version after it."""
    attempt = person.post(f"/v1/callbacks/{asked['id']}/call", {"version": version})["attempt"]["id"]
    world.advance(seconds)
    person.post(f"/v1/attempts/{attempt}/ended", {"outcome": outcome})
    return person.stream.expect("call.ended", callback__id=asked["id"])["callback"]["seq"]


def page(world, asked, kind="application/json"):
    with world.servers[0].client() as client:
        answer = client.get(world.link(asked), headers={"Accept": kind})
    assert answer.status_code == 200, answer.text
    return answer.json() if "json" in kind else answer.text


def test_busy_is_tried_again_half_an_hour_after_the_dial(world):
    world.company(queues__0__retries={"busy": {"delay_s": 1800, "attempts": 2}, "declined": "stop"}, queues__0__after_call_work_s=0)
    ann, sue = world.person("ann", ready=True), world.person("sue", stream=False)
    asked = world.visit()
    promised = asked["promise"]
    assert page(world, asked).get("due") is None
    version = dial(world, ann, asked, accept(ann, asked), "busy")
    world.advance(60)  # he writes it down
    ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "call_later"})
    retry = ann.stream.expect("callback.retry")["callback"]
    assert (retry["state"], retry["due_at"]) == ("scheduled", "2026-11-24T09:30:00.000Z"), "since the dial"
    assert retry["promise_at"] == promised["at"], "what the contact was promised is what he was promised"

    shown = page(world, asked)
    assert shown["state"] == "scheduled" and shown["attempts"] == 1 and shown["promise"] == promised
    assert shown["due"] == {"local": "2026-11-24T10:30:00", "time_zone": "Europe/Berlin", "at": "2026-11-24T09:30:00.000Z"}
    html = page(world, asked, "text/html")
    assert "24 November 2026, 10:30 (Europe/Berlin)" in html and "You asked for: Tuesday, 24 November 2026, 10:00" in html
    one = sue.get(f"/v1/callbacks/{asked['id']}")
    assert (one["callback"]["due_at"], one["due_local"]) == ("2026-11-24T09:30:00.000Z", "2026-11-24T10:30:00")

    world.advance(1709)
    assert ann.state()["offers"] == []
    world.advance(1)
    version = accept(ann, asked)
    assert page(world, asked).get("due") is None, "he is about to be called"
    version = dial(world, ann, asked, version, "busy")
    ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "call_later"})
    assert ann.stream.expect("callback.failed")["callback"]["reason"] == "max_attempts_busy"
    shown = page(world, asked)
    assert (shown["state"], shown["attempts"]) == ("failed", 2)

    for outcome, reason in (("declined", "stop_declined"), ("invalid", "invalid_number")):
        asked = world.visit()
        version = dial(world, ann, asked, accept(ann, asked), outcome)
        ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "call_later"})
        assert ann.stream.expect("callback.failed", callback__id=asked["id"])["callback"]["reason"] == reason


def test_a_number_has_had_its_calls_today(world):
    world.company(queues__0__attempts_per_day=2, queues__0__after_call_work_s=0, queues__0__retry_delay_s=600, company__session_s=200_000)
    ann = world.person("ann", ready=True)
    asked = world.visit()
    version = dial(world, ann, asked, accept(ann, asked), "no_answer")
    ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "call_later"})
    assert ann.stream.expect("callback.retry")["callback"]["due_at"] == "2026-11-24T09:10:00.000Z"
    world.advance(600)
    version = dial(world, ann, asked, accept(ann, asked), "no_answer")

    way = f"/v1/callbacks/{asked['id']}/retry"
    refused = ann.post(way, {"version": version, "at": "2026-11-24T18:00:00+01:00"}, status=422)
    assert refused["type"].endswith("bad-time") and refused["callback"]["state"] == "ready_to_call"
    assert [e["field"] for e in refused["errors"]] == ["at"] and "as often" in refused["errors"][0]["message"]
    assert refused["possible_at"] == "2026-11-24T23:00:00.000Z", "midnight in Berlin"
    assert ann.post(way, {"version": version, "in_s": 60}, status=422)["errors"][0]["field"] == "in_s"
    ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "call_later"})
    retry = ann.stream.expect("callback.retry")["callback"]
    assert retry["due_at"] == "2026-11-24T23:00:00.000Z"
    assert page(world, asked)["due"]["local"] == "2026-11-25T00:00:00"

    world.advance(13 * 3600)
    assert ann.state()["offers"] == []
    world.advance(3600)
    version = accept(ann, asked)
    ann.post(way, {"version": version, "at": "2026-11-25T10:00:00+01:00", "reason": "said his wife"})
    retry = ann.stream.expect("callback.retry")["callback"]
    assert retry["due_at"] == retry["promise_at"] == "2026-11-25T09:00:00.000Z", "another day, and a promise"
    shown = page(world, asked)
    assert shown["promise"]["local"] == "2026-11-25T10:00:00" and "due" not in shown


def test_closed_by_then(world):
    world.company(queues__0__hours={"time_zone": "Europe/Berlin", "week": {"tue": ["09:00-10:30"], "wed": ["09:00-10:30"]}},
                  queues__0__retries={"busy": {"delay_s": 1800}})
    ann = world.person("ann", ready=True)
    asked = world.visit()
    version = dial(world, ann, asked, accept(ann, asked), "busy")
    ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "call_later"})
    assert ann.stream.expect("callback.retry")["callback"]["due_at"] == "2026-11-25T08:00:00.000Z"
    assert page(world, asked)["due"]["local"] == "2026-11-25T09:00:00"


def test_accepted_dialled_and_left_lying(world):
    world.company(queues__0__retries={"busy": {"delay_s": 3600}}, queues__0__ready_to_call_s=300)
    ann = world.person("ann", ready=True)
    asked = world.visit()
    dial(world, ann, asked, accept(ann, asked), "busy")
    world.advance(300)
    retry = ann.stream.expect("callback.given_back")
    assert (retry["reason"], retry["callback"]["due_at"]) == ("deadline", "2026-11-24T10:00:00.000Z")
    assert ann.state()["callbacks"] == []


def test_nobody_dials_again_what_another_found_busy(world):
    """Given back, or its agent gone: it waits as long as if he had closed it."""
    world.company(queues__0__retries={"busy": {"delay_s": 1800}, "answered": {"delay_s": 0}, "declined": "stop"})
    ann, bob = world.person("ann", ready=True), world.person("bob")
    asked = world.visit()
    version = dial(world, ann, asked, accept(ann, asked), "busy")
    bob.ready()
    ann.not_ready()
    ann.post(f"/v1/callbacks/{asked['id']}/give_back", {"version": version, "reason": "lunch"})
    given = ann.stream.expect("callback.given_back")["callback"]
    assert (given["state"], given["reason"], given["due_at"]) == ("scheduled", "lunch", "2026-11-24T09:30:00.000Z")
    assert page(world, asked)["due"]["local"] == "2026-11-24T10:30:00"
    world.advance(1769)
    assert bob.state()["offers"] == []
    world.advance(1)

    # a colleague, who gets through and has the one who speaks French call back
    version = accept(bob, asked)
    attempt = bob.post(f"/v1/callbacks/{asked['id']}/call", {"version": version})["attempt"]["id"]
    bob.post(f"/v1/attempts/{attempt}/connected")
    bob.post(f"/v1/attempts/{attempt}/ended", {"outcome": "answered"})
    version = bob.stream.expect("call.ended")["callback"]["seq"]
    bob.not_ready()
    ann.ready()
    bob.post(f"/v1/callbacks/{asked['id']}/give_back", {"version": version, "reason": "speaks French"})
    dial(world, ann, asked, accept(ann, asked), "declined")

    # who signs out leaves it to what the queue says
    ann.do("DELETE", "/v1/session")
    one = world.person("sue", stream=False).get(f"/v1/callbacks/{asked['id']}")["callback"]
    assert (one["state"], one["reason"]) == ("failed", "stop_declined")
