"""Slots: the times that a visitor is shown have a place for him, and no place is sold twice."""

import collections
import concurrent.futures
import html.parser
import re

import pytest

from test_operations import ctl

JSON = {"Accept": "application/json"}
PAGE = {"Accept": "text/html"}
WEEK = {day: ["08:00-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
HOURS = {"time_zone": "Europe/Berlin", "week": WEEK}
# the story begins on Tuesday, 2026-11-24, at 10:00 in Berlin
TOMORROW = "2026-11-25T10:00"


def open_shop(world, capacity=2, minutes=30, **more):
    return world.company(queues__0__slots={"minutes": minutes, "capacity": capacity}, queues__0__hours=HOURS, **more)


def ask(world, path, status=200, method="GET", **more):
    with world.servers[0].client(headers=JSON) as client:
        answer = client.request(method, path, **more)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def slots(world, query="from=2026-11-25&days=1"):
    return {s["local"][:16]: s["left"] for s in ask(world, f"/f/demo/slots?{query}")["slots"]}


def hold(world, when, status=201, **more):
    return ask(world, "/f/demo/holds", status, "POST", json={"when": when, **more})


class Choice(html.parser.HTMLParser):
    """The select `when` of a page: its options' text by value, and the one that is chosen."""

    def __init__(self, text):
        super().__init__()
        self.options, self.chosen, self.groups, self.value = {}, None, [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "option":
            self.value = a["value"]
            if "selected" in a:
                self.chosen = self.value
        elif tag == "optgroup":
            self.groups.append(a["label"])

    def handle_data(self, text):
        if self.value is not None:
            self.options[self.value] = text.strip()
            self.value = None


def test_a_visitor_books_one_of_the_times_that_he_is_shown(world):
    open_shop(world)
    shown = ask(world, "/f/demo/slots?from=2026-11-25&days=1")
    assert shown["time_zone"] == "Europe/Berlin"
    assert shown["slots"][0] == {"at": "2026-11-25T07:00:00.000Z", "local": "2026-11-25T08:00:00", "left": 2}
    assert len(shown["slots"]) == 20 and shown["slots"][-1]["local"] == "2026-11-25T17:30:00"
    asked = world.visit(when=shown["slots"][4]["local"][:16])
    assert (asked["promise"]["local"], asked["when_note"]) == ("2026-11-25T10:00:00", "as_asked")
    assert slots(world)[TOMORROW] == 1
    world.visit(when=TOMORROW)
    assert TOMORROW not in slots(world)
    refused = world.visit(when=TOMORROW, status=422)
    assert refused["errors"] == [{"field": "when", "message": "is a time at which no place is left; the next is 2026-11-25T10:30"}]
    refused = world.visit(when="2026-11-25T10:10", status=422)
    assert refused["errors"] == [{"field": "when", "message": "is not a time that can be booked; the next is 2026-11-25T10:30"}]
    # who withdraws, leaves his place to another
    ask(world, world.link(asked) + "/cancel", method="POST")
    assert slots(world)[TOMORROW] == 1


def test_the_last_place_is_sold_once_to_a_hundred_at_once(world):
    world.server("b")
    open_shop(world, capacity=1)
    other = world.servers[1]

    def post(n):
        client = (world.servers[0], other)[n % 2].client()
        with client:
            return client.post("/f/demo", json={"phone": f"+49 30 4{n:07}", "when": TOMORROW}).status_code

    with concurrent.futures.ThreadPoolExecutor(100) as crowd:
        answers = collections.Counter(crowd.map(post, range(100)))
    assert answers == {201: 1, 422: 99}
    assert world.rows("SELECT count(*) FROM callback WHERE booked") == [(1,)]


def test_a_place_that_was_shown_stays_for_five_minutes(world):
    open_shop(world, capacity=1)
    held = hold(world, TOMORROW)
    assert (held["at"], held["local"], held["time_zone"]) == ("2026-11-25T09:00:00.000Z", "2026-11-25T10:00:00", "Europe/Berlin")
    assert held["until"] == "2026-11-24T09:05:00.000Z"
    assert TOMORROW not in slots(world)
    assert hold(world, TOMORROW, status=422)["errors"][0]["message"].startswith("is a time at which no place is left")
    world.visit(when=TOMORROW, status=422)
    world.advance(240)
    taken = world.visit(when=TOMORROW, hold=held["hold"])
    assert taken["promise"]["at"] == held["at"]
    world.visit(when=TOMORROW, hold=held["hold"], status=422)
    ask(world, f"/f/demo/holds/{held['hold']}", 404, "DELETE")


def test_a_hold_that_runs_out_or_is_given_back_is_nobodys(world):
    open_shop(world, capacity=1)
    first, second = hold(world, TOMORROW), hold(world, "2026-11-25T11:00")
    ask(world, f"/f/demo/holds/{second['hold']}", 204, "DELETE")
    assert slots(world)["2026-11-25T11:00"] == 1
    world.advance(300)
    assert slots(world)[TOMORROW] == 1
    world.visit(when=TOMORROW)
    late = world.visit(when=TOMORROW, hold=first["hold"], status=422)
    assert late["errors"][0]["field"] == "when"


@pytest.mark.parametrize("body,errors", [
    ({}, ["when"]),
    ({"when": "asap"}, ["when"]),
    ({"when": "tomorrow", "time_zone": "Mars/Phobos; DROP"}, ["when", "time_zone"]),
    ({"when": TOMORROW, "time_zone": "Mars/Phobos"}, ["time_zone"]),
    ({"when": ["x"]}, ["when"]),
    ({"when": "2026-11-24T08:00"}, ["when"]),
    ({"when": "2027-11-24T08:00"}, ["when"]),
])
def test_what_cannot_be_held_says_why(world, body, errors):
    open_shop(world)
    assert [e["field"] for e in ask(world, "/f/demo/holds", 422, "POST", json=body)["errors"]] == errors
    assert world.rows("SELECT count(*) FROM slot_hold") == [(0,)]


@pytest.mark.parametrize("query,errors", [
    ("days=0&from=2026-02-30&time_zone=Nowhere", ["from", "days", "time_zone"]), ("days=32", ["days"]), ("days=1x", ["days"]),
    ("from=20261124", ["from"]), ("from=", ["from"]), ("time_zone=", ["time_zone"])])
def test_what_cannot_be_shown_says_why(world, query, errors):
    open_shop(world)
    assert [e["field"] for e in ask(world, f"/f/demo/slots?{query}", 422)["errors"]] == errors


def test_by_the_clock_of_who_asks(world):
    open_shop(world)
    shown = ask(world, "/f/demo/slots?from=2026-11-25&days=1&time_zone=Asia/Kolkata")
    assert shown["slots"][0] == {"at": "2026-11-25T07:00:00.000Z", "local": "2026-11-25T12:30:00", "left": 2}
    asked = world.visit(when="2026-11-25T12:30", time_zone="Asia/Kolkata")
    assert asked["promise"]["at"] == "2026-11-25T07:00:00.000Z"


def test_not_too_soon_and_not_too_far(world):
    open_shop(world, forms__0__notice_s=7200, forms__0__horizon_s=86400)
    times = list(slots(world, "days=31"))
    assert (times[0], times[-1]) == ("2026-11-24T12:00", "2026-11-25T09:30")
    refused = world.visit(when="2026-11-24T11:30", status=422)
    assert refused["errors"] == [{"field": "when", "message": "is too soon: the earliest is 2026-11-24T12:00"}]
    world.visit(when="2026-11-24T12:00")
    assert world.visit()["when_note"] == "as_asked", "as soon as possible needs no notice"


def test_the_evening_is_spread_over_the_morning(world):
    open_shop(world)
    world.advance(9 * 3600)
    times = [world.visit() for _ in range(5)]
    assert [t["promise"]["local"][11:16] for t in times] == ["08:00", "08:00", "08:30", "08:30", "09:00"]
    assert [t["when_note"] for t in times] == ["next_opening"] * 2 + ["next_slot"] * 3


def test_a_contact_moves_to_another_place_and_leaves_his(world):
    open_shop(world, capacity=1)
    mine, other = world.visit(when=TOMORROW), world.visit(when="2026-11-25T11:00")
    path = world.link(mine) + "/reschedule"
    full = ask(world, path, 422, "POST", json={"when": "2026-11-25T11:00"})
    assert full["errors"] == [{"field": "when", "message": "is a time at which no place is left; the next is 2026-11-25T11:30"}]
    moved = ask(world, path, method="POST", json={"when": "2026-11-25T12:00"})
    assert moved["promise"]["local"] == "2026-11-25T12:00:00"
    left = slots(world)
    assert TOMORROW in left and "2026-11-25T12:00" not in left
    # a supervisor may put two where there is one place
    sue = world.person("sue", stream=False)
    sue.post(f"/v1/callbacks/{mine['id']}/reschedule", {"when": "2026-11-25T11:00"})
    plan = {s["local"][:16]: (s["places"], s["booked"], s["held"], s["left"])
            for s in sue.get("/v1/queues/sales/slots?from=2026-11-25&days=1&time_zone=Europe/Berlin")["slots"]}
    assert plan["2026-11-25T11:00"] == (1, 2, 0, 0) and plan[TOMORROW] == (1, 0, 0, 1)
    assert other["id"] != mine["id"]


def test_scheduled_agents_make_the_places(world):
    staff = {"week": {"wed": {"08:00-10:00": 2, "10:00-12:00": 1}}, "exceptions": {"2026-12-02": {}}}
    world.company(queues__0__slots={"minutes": 60, "per_agent": 1.5, "staff": staff}, queues__0__hours=HOURS)
    assert slots(world) == {"2026-11-25T08:00": 3, "2026-11-25T09:00": 3, "2026-11-25T10:00": 1, "2026-11-25T11:00": 1}
    assert slots(world, "from=2026-12-02&days=1") == {}
    with world.servers[0].operator() as operator:
        document = operator.get("/v1/company?tenant=demo").json()
        document["queues"][0]["slots"] = {"minutes": 50, "per_agent": 0, "staff": {"week": {"wed": {"8-9": 1}}}}
        answer = operator.put("/v1/company", json=document)
    assert answer.status_code == 422
    assert {e["field"]: e["message"] for e in answer.json()["errors"]} == {
        "queues[0].slots.minutes": "must be from 5 to 1440, and a day a multiple of it",
        "queues[0].slots.per_agent": "must be a number from 0.01 to 100",
        "queues[0].slots.staff.week.wed.8-9": 'is not a span like "08:00-12:30"'}


def test_the_page_lets_a_visitor_choose(world):
    open_shop(world, capacity=1)
    http = world.servers[0].client(headers=PAGE)
    page = Choice(http.get("/f/demo").text)
    assert list(page.options)[0] == "asap" and page.chosen is None
    assert page.groups[:2] == ["Tuesday, 24 November 2026", "Wednesday, 25 November 2026"]
    value = "2026-11-25T09:00:00.000Z"
    assert page.options[value] == "Wednesday, 25 November 2026, 10:00"
    # something else is wrong: what he chose is still chosen
    again = http.post("/f/demo", data={"phone": "12", "when": value, "time_zone": "Europe/Berlin"})
    assert again.status_code == 422 and Choice(again.text).chosen == value
    sent = http.post("/f/demo", data={"phone": "+49 30 901820", "when": value, "time_zone": "Europe/Berlin"})
    assert sent.status_code == 303
    status = http.get(sent.headers["Location"])
    assert "Wednesday, 25 November 2026, 10:00" in status.text
    assert value not in Choice(http.get("/f/demo").text).options
    # it was taken while he was typing
    late = http.post("/f/demo", data={"phone": "+49 30 901821", "when": value, "time_zone": "Europe/Berlin"})
    assert late.status_code == 422 and "no place is left" in late.text
    assert Choice(late.text).chosen is None
    # and his own page lets him choose another
    other = Choice(status.text)
    assert value not in other.options and "2026-11-25T09:30:00.000Z" in other.options
    moved = http.post(sent.headers["Location"] + "/reschedule", data={"when": "2026-11-25T09:30:00.000Z", "time_zone": "Europe/Berlin"})
    assert moved.status_code == 303
    assert "Wednesday, 25 November 2026, 10:30" in http.get(sent.headers["Location"]).text


def test_nobody_is_shown_a_time_at_which_he_may_not_be_called(world):
    """The queue is open from 8 to 18 in Berlin, 2 to 12 in New York, and contacts are called from 9 to 20 by their own clocks."""
    day = {"week": {name: ["09:00-20:00"] for name in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}}
    open_shop(world, company__calling_hours=day, forms__0__countries=["DE", "US"])
    assert sorted(slots(world))[0] == "2026-11-25T09:00"
    assert sorted(slots(world, "from=2026-11-25&days=1&time_zone=America/New_York")) == [
        "2026-11-25T09:00", "2026-11-25T09:30", "2026-11-25T10:00", "2026-11-25T10:30", "2026-11-25T11:00", "2026-11-25T11:30"]
    refused = hold(world, "2026-11-25T08:30", 422)
    assert refused["errors"] == [{"field": "when",
                                  "message": "is outside the hours at which you may be called; they begin at 2026-11-25T09:00"}]
    assert hold(world, "2026-11-25T09:00")["local"] == "2026-11-25T09:00:00"
    http = world.servers[0].client(headers=PAGE)
    shown = Choice(http.get("/f/demo").text).options
    assert "2026-11-25T07:30:00.000Z" not in shown and "2026-11-25T08:00:00.000Z" in shown
    # his own page, too; and who may be anywhere in his country: morning in Honolulu is when the queue has closed
    mine = world.visit(phone="+1 212 555 2368", when="2026-11-25T09:00", time_zone="America/New_York")
    choice = [value for value in Choice(http.get(world.link(mine)).text).options if value]
    assert choice and not [value for value in choice if not "14:00" <= value[11:16] < "17:00"]
    world.rows("UPDATE callback SET zones = '{America/New_York,Pacific/Honolulu}' RETURNING 1")
    assert not [value for value in Choice(http.get(world.link(mine)).text).options if value]


def test_when_everything_is_taken_the_page_says_so(world):
    open_shop(world, minutes=720, capacity=1, forms__0__horizon_s=86400)
    world.company(queues__0__slots={"minutes": 720, "capacity": 1}, queues__0__hours=HOURS, forms__0__horizon_s=86400)
    assert slots(world) == {}
    page = world.servers[0].client(headers=PAGE).get("/f/demo").text
    assert "All times of the next days are taken." in page and list(Choice(page).options) == ["asap"]


def test_no_crowd_of_holds_from_one_address(world):
    open_shop(world, capacity=1, forms__0__address_limit=3)
    for hour in (11, 12, 13):
        hold(world, f"2026-11-25T{hour}:00")
    refused = hold(world, "2026-11-25T14:00", status=429)
    assert refused["type"].endswith("too-many-requests")
    assert slots(world)["2026-11-25T14:00"] == 1


def test_who_looks_too_often_is_told_to_wait(world):
    open_shop(world)
    with world.servers[0].client(headers=JSON) as client:
        answers = [client.get("/f/demo/slots?days=1")]
        while answers[-1].status_code == 200 and len(answers) < 1000:
            answers.append(client.get("/f/demo/slots?days=1"))
    assert len(answers) > 120 and answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    # the page goes on: with any time instead, or what has come back meanwhile
    assert world.servers[0].client(headers=PAGE).get("/f/demo").status_code == 200
    assert world.visit(when=TOMORROW)["when_note"] == "as_asked"


def test_scripts_of_the_forms_origins_may_ask(world):
    open_shop(world, forms__0__origins=["https://shop.example"])
    with world.servers[0].client(headers={**JSON, "Origin": "https://shop.example"}) as client:
        for path, method in (("slots", "GET"), ("holds", "POST"), ("holds/019000aa-0000-7000-8000-000000000001", "DELETE")):
            answer = client.options(f"/f/demo/{path}")
            assert answer.headers["Access-Control-Allow-Methods"] == method
        assert client.get("/f/demo/slots").headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert client.post("/f/demo/holds", json={"when": TOMORROW}).headers["Access-Control-Allow-Origin"] == "https://shop.example"


def test_an_agents_appointment_takes_a_place(world):
    open_shop(world, capacity=1)
    ann = world.person("ann", ready=True)
    asked = world.visit()
    ann.accept(ann.offered(asked["id"]))
    held = ann.state()["callbacks"][0]["callback"]
    ann.post(f"/v1/callbacks/{asked['id']}/retry", {"version": held["seq"], "at": "2026-11-25T09:00:00Z"})
    assert TOMORROW not in slots(world)


def test_callbackctl_shows_a_queues_slots(world):
    open_shop(world)
    world.visit(when=TOMORROW)
    hold(world, TOMORROW)
    shown = ctl(world, "show", "slots", "-q", "sales")
    assert re.search(r"^STARTS +PLACES +BOOKED +HELD +LEFT$", shown, re.M)
    assert re.search(r"^2026-11-25T10:00:00 +2 +1 +1 +0$", shown, re.M)
    assert ctl(world, "show", "slots", status=2) == "callbackctl: show slots needs --queue, and nothing else\n"
    assert "there is no queue a/b" in ctl(world, "show", "slots", "-q", "a/b", status=1)
    assert "There is no such queue." in ctl(world, "show", "slots", "-q", "nothing", status=1)


def test_a_script_that_does_not_say_what_it_accepts_is_answered_in_json(world):
    with world.servers[0].client() as client:
        answer = client.get("/f/demo/slots")
        assert answer.status_code == 404 and answer.json()["detail"] == "Any time can be asked for: there are no slots to book."
        assert client.post("/f/demo/holds", json={"when": TOMORROW}).json()["type"].endswith("no-slots")
        answer = client.delete("/f/demo/holds/019000aa-0000-7000-8000-000000000001")
        assert answer.status_code == 404 and answer.headers["Content-Type"].startswith("application/problem+json")
