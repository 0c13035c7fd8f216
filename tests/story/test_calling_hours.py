"""Quiet hours: nobody's telephone rings at a time at which the law, by his own clock, does not let it; nor do kinds of
numbers that the company does not call."""

import pytest

from test_operations import ctl

EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def between(*spans):
    return {"week": {day: list(spans) for day in EVERY_DAY}}


# the story begins on 2026-11-24 at 9:00Z: 10:00 in Berlin, 4:00 in New York, 22:00 in Auckland
DAY = between("08:00-21:00")


def open_shop(world, **more):
    return world.company(company__calling_hours=DAY, forms__0__countries=["DE", "US", "NZ"], **more)


def explained(world, callback):
    with world.servers[0].operator() as operator:
        return operator.get(f"/v1/callbacks/{callback}/explain").json()["now"]


def test_who_asks_at_night_is_called_in_the_morning(world):
    open_shop(world)
    ann = world.person("ann", ready=True)
    asked = world.visit(time_zone="America/New_York")
    assert (asked["when_note"], asked["promise"]["local"]) == ("quiet_hours", "2026-11-24T08:00:00")
    assert ann.state()["offers"] == []
    world.advance(4 * 3600)
    assert ann.offered()["callback"] == asked["id"]


def test_the_form_may_refuse_the_night(world):
    open_shop(world, forms__0__closed="refuse")
    refused = world.visit(time_zone="America/New_York", status=422)
    assert refused["errors"] == [{"field": "when",
                                  "message": "is outside the hours at which you may be called; they begin at 2026-11-24T08:00"}]
    world.visit(time_zone="Europe/Berlin")


def test_a_number_says_where_its_owner_may_be(world):
    open_shop(world)
    berlin, somewhere = world.visit(), world.visit(phone="+1 212 555 2368")
    assert berlin["when_note"] == "as_asked"
    assert somewhere["when_note"] == "quiet_hours"
    # morning in Honolulu, and not yet night in New York
    assert somewhere["promise"]["at"] == "2026-11-24T18:00:00.000Z"


def test_what_nobody_took_in_time_waits_for_the_morning(world):
    """Due at half past eight in the evening, and all agents are busy until after nine."""
    open_shop(world, queues__0__promise_window_s=7200, queues__0__ready_to_call_s=3600)
    ann = world.person("ann", ready=True)
    first = world.visit(when="2026-11-24T20:30", time_zone="Europe/Berlin")
    second = world.visit(when="2026-11-24T20:31", time_zone="Europe/Berlin")
    world.advance(10 * 3600 + 1860)
    ann.accept(ann.offered(first["id"]))
    world.advance(1740)                                 # it is nine in the evening
    held = ann.state()["callbacks"][0]["callback"]
    refused = ann.post(f"/v1/callbacks/{first['id']}/call", {"version": held["seq"]}, status=409)
    assert refused["type"].endswith("quiet-hours")
    # it is given back, and somebody else is free: neither is called
    ann.post(f"/v1/callbacks/{first['id']}/give_back", {"version": held["seq"]})
    world.until(lambda: explained(world, first["id"])["why"] == "quiet_hours", "put off")
    world.until(lambda: explained(world, second["id"])["why"] == "quiet_hours", "the other, too")
    now = explained(world, second["id"])
    assert now["sentence"] == "Quiet hours until 2026-11-25T08:00 Europe/Berlin."
    assert ann.state()["offers"] == []
    assert "Quiet hours until" in ctl(world, "explain", second["id"])
    world.advance(11 * 3600)
    assert ann.offered()["callback"] in (first["id"], second["id"]), "its promise window stood still"
    assert world.rows("SELECT count(*) FROM callback WHERE state = 'expired'") == [(0,)]


def test_nobody_is_behind_one_who_may_not_be_called(world):
    open_shop(world, queues__0__calling_hours=between("00:00-24:00"))
    late = world.visit(time_zone="Pacific/Auckland")
    other = world.visit(time_zone="Europe/Berlin")
    open_shop(world, queues__0__calling_hours=None)
    ann = world.person("ann", ready=True)
    ann.accept(ann.offered(other["id"]))
    assert explained(world, late["id"])["why"] == "quiet_hours"


def test_a_supervisor_gives_nobody_a_call_in_the_night(world):
    open_shop(world)
    world.person("ann", ready=True)
    sue = world.person("sue", stream=False)
    asked = world.visit(time_zone="America/New_York")
    seq = sue.get(f"/v1/callbacks/{asked['id']}")["callback"]["seq"]
    refused = sue.post(f"/v1/callbacks/{asked['id']}/assign", {"version": seq, "agent": "ann"}, status=409)
    assert refused["type"].endswith("quiet-hours")


def test_numbers_of_a_kind_that_is_not_called(world):
    open_shop(world)
    taken = world.visit(phone="+1 212 555 2368", when="2026-11-24T19:30", time_zone="Europe/Berlin")
    open_shop(world, company__blocked_countries=["US"], company__blocked_number_types=["mobile"])
    refused = world.visit(phone="+1 212 555 2369", status=422)
    assert refused["errors"] == [{"field": "phone", "message": "is a number in a country that is not called"}]
    refused = world.visit(phone="+49 1512 3456789", status=422)
    assert refused["errors"] == [{"field": "phone", "message": "is a kind of number that is not called"}]
    world.visit(phone="+49 30 901820", when="2026-11-25T19:30")
    world.person("ann", ready=True)
    world.advance(34200)
    world.until(lambda: world.rows("SELECT reason FROM callback WHERE state = 'failed' AND callback_id = %s", taken["id"]) == [("blocked_country",)],
                "it is not called any more")


@pytest.mark.parametrize("member,value,field", [
    ("company__calling_hours", {"week": {"mon": ["8-9"]}, "time_zone": "UTC"}, {"company.calling_hours.time_zone", "company.calling_hours.week.mon[0]"}),
    ("company__calling_hours", "always", {"company.calling_hours"}),
    ("queues__0__calling_hours", {"week": {"someday": []}}, {"queues[0].calling_hours.week.someday"}),
    ("company__blocked_countries", ["usa", 1], {"company.blocked_countries[0]", "company.blocked_countries[1]"}),
    ("company__blocked_number_types", ["premium"], {"company.blocked_number_types[0]"}),
])
def test_what_is_wrong_is_named_and_changes_nothing(world, member, value, field):
    document = open_shop(world)
    place = document
    *way, last = member.split("__")
    for part in way:
        place = place[int(part)] if part.isdigit() else place[part]
    place[last] = value
    with world.servers[0].operator() as operator:
        answer = operator.put("/v1/company", json=document)
        assert answer.status_code == 422
        assert {e["field"] for e in answer.json()["errors"]} == field
    assert world.visit(time_zone="America/New_York")["when_note"] == "quiet_hours"
