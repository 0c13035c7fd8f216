"""Opening hours: what a visitor is promised while nobody is there, and that nobody is asked until there is."""

import datetime

import house

START = datetime.datetime.fromisoformat(house.START.replace("Z", "+00:00"))


def at(minutes):
    return START + datetime.timedelta(minutes=minutes)


def hours(*spans, zone="UTC"):
    """Open only then, in minutes from the beginning of the story, and every day at these times."""
    texts = [f"{at(opens):%H:%M}-{at(closes):%H:%M}" for opens, closes in spans]
    return {"time_zone": zone, "week": {day: texts for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}}


def test_who_asks_while_it_is_closed_is_called_when_it_opens(world):
    world.company(queues__0__hours=hours((60, 120)))
    ann = world.person("ann", ready=True)
    asked = world.visit()
    assert asked["when_note"] == "next_opening"
    assert asked["promise"]["at"].startswith(f"{at(60):%Y-%m-%dT%H:%M:00}")
    assert asked["state"] == "scheduled"
    world.advance(59 * 60)
    assert ann.state()["offers"] == []
    world.advance(60)
    ann.accept(ann.offered(asked["id"]))


def test_what_waits_when_it_closes_waits_until_it_opens_again(world):
    world.company(queues__0__hours=hours((-10, 10), (30, 50)))
    asked = world.visit()
    assert asked["when_note"] == "as_asked"
    world.advance(11 * 60)
    ann = world.person("ann", ready=True)
    assert ann.state()["offers"] == []
    other = world.visit(form="demo")
    assert other["when_note"] == "next_opening"
    world.advance(20 * 60)
    offer = ann.offered()
    assert offer["callback"] == asked["id"], "the earlier promise first"
    ann.accept(offer)


def test_what_was_accepted_in_time_goes_on(world):
    world.company(queues__0__hours=hours((-10, 2)))
    ann = world.person("ann", ready=True)
    asked = world.visit()
    ann.accept(ann.offered(asked["id"]))
    world.advance(90)
    ready = ann.state()["callbacks"][0]
    world.advance(60)
    call = ann.post(f"/v1/callbacks/{asked['id']}/call", {"version": ready["callback"]["seq"]})
    assert call["callback"]["state"] == "establishing"


def test_other_hours_count_at_once(world):
    world.company(queues__0__hours=hours((60, 120)))
    ann = world.person("ann", ready=True)
    asked = world.visit()
    waiting = world.person("sue", stream=False).get(f"/v1/callbacks/{asked['id']}")["callback"]
    world.company(queues__0__hours=hours((-10, 10), (60, 120)))
    # what was promised is not touched: it is due when it was to open
    assert ann.state()["offers"] == []
    now = world.visit()
    assert now["when_note"] == "as_asked"
    ann.accept(ann.offered(now["id"]))
    still = world.person("sue", stream=False).get(f"/v1/callbacks/{asked['id']}")["callback"]
    assert still["promise_at"] == waiting["promise_at"]


def test_a_form_may_refuse_what_cannot_be_kept(world):
    world.company(queues__0__hours=hours((60, 120)), forms__0__closed="refuse")
    refused = world.visit(status=422)
    assert refused["errors"] == [{"field": "when", "message": f"is outside the opening hours; we open at {opening()}"}]
    local = datetime.datetime.fromisoformat(opening()) + datetime.timedelta(minutes=30)
    taken = world.visit(when=f"{local:%Y-%m-%dT%H:%M}")
    assert taken["when_note"] == "as_asked"


def opening():
    """When the queue opens, by the clock of the demo form's zone."""
    return f"{at(60) + datetime.timedelta(hours=1):%Y-%m-%dT%H:%M}"


def test_bad_hours_change_nothing_and_are_all_named(world):
    world.company()
    bad = {"time_zone": "Mars/Phobos", "week": {"mon": ["12:00-11:00"], "someday": []}, "exceptions": {"2026-02-30": []}}
    with world.servers[0].operator() as operator:
        document = operator.get("/v1/company").json()
        before = operator.get("/v1/company").json()
        document["queues"][0]["hours"] = bad
        answer = operator.put("/v1/company", json=document)
        assert answer.status_code == 422
        assert {e["field"] for e in answer.json()["errors"]} == {
            "queues[0].hours.time_zone", "queues[0].hours.week.mon[0]", "queues[0].hours.week.someday",
            "queues[0].hours.exceptions.2026-02-30"}
        assert operator.get("/v1/company").json() == before


def test_hours_are_carried_on_before_they_run_out(world):
    world.company(queues__0__hours=hours((60, 120)))
    world.person("ann", ready=True, stream=False)

    def known_days(from_day):
        days, = world.rows("SELECT extract(epoch FROM open_until - from_ms(%s)) / 86400 FROM queue WHERE name = 'sales'",
                           int(START.timestamp() + from_day * 86400) * 1000)[0]
        return float(days)

    assert 398 < known_days(0) < 401
    world.advance(250 * 86400)
    world.until(lambda: known_days(250) > 398, "more hours are known")


def is_open(world, seconds=None, status=200):
    with world.servers[0].client() as client:
        answer = client.get("/f/demo/open", params={} if seconds is None else {"for": seconds})
    assert answer.status_code == status, answer.text
    said = answer.json()
    # nobody has been handed out yet
    assert said.pop("expected_wait_s", None) is None
    return said


def test_a_website_asks_whether_it_is_open_and_for_how_long(world):
    text = "{:%Y-%m-%dT%H:%M:00.000Z}".format
    assert is_open(world, 86400) == {"open": True, "open_for": True, "for_s": 86400}, "a queue without hours always is"
    world.company(queues__0__hours=hours((-10, 10), (30, 50)))
    assert is_open(world) == {"open": True, "open_for": True, "for_s": 0, "closes": text(at(10))}
    assert is_open(world, 600)["open_for"] and not is_open(world, 601)["open_for"]
    world.advance(600)
    assert is_open(world, 60) == {"open": False, "open_for": False, "for_s": 60, "opens": text(at(30))}
    for wrong in ("-1", "soon", "", "31622401", "1.5"):
        assert is_open(world, wrong, 422)["errors"][0]["field"] == "for"
    world.company(queues__0__hours={"time_zone": "UTC", "week": {}})
    assert is_open(world) == {"open": False, "open_for": False, "for_s": 0}
    with world.servers[0].client() as client:
        assert client.get("/f/nothing/open").status_code == 404


def state(world, asked):
    return world.rows("SELECT state FROM callback WHERE callback_id = %s", asked["id"])[0][0]


def test_nothing_expires_while_it_is_closed(world):
    """Asked ten minutes before it closes, with a window of half an hour: the rest of it begins when it opens again."""
    world.company(queues__0__hours=hours((-60, 10), (120, 300)), queues__0__promise_window_s=1800)
    sue = world.person("sue")
    asked = world.visit()
    world.advance(139 * 60)
    assert world.person("adam", stream=False).get(f"/v1/callbacks/{asked['id']}")["callback"]["state"] == "queued"
    world.advance(60)
    assert sue.stream.expect("callback.expired")["callback"]["id"] == asked["id"]


def test_what_is_late_is_escalated_where_the_queue_says_so(world):
    world.company(queues__0__promise_window_s=3600, queues__0__window_end="escalate")
    late = world.visit()
    sue = world.person("sue")
    world.advance(3600)
    told = sue.stream.expect("callback.escalated")["callback"]
    assert (told["id"], told["priority"], told["reason"]) == (late["id"], 1000, "promise_window")
    page = world.servers[0].client(headers={"Accept": "text/html"}).get(world.link(late)).text
    assert "We are late, and sorry for it" in page
    vip = world.visit(phone="+49 30 901827")
    ann = world.person("ann", ready=True)
    assert ann.offered()["callback"] == late["id"]
    assert state(world, vip) == "scheduled"
