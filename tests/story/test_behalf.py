"""Callbacks that are asked for in the contact's stead: by an agent who has him on the line, by a switchboard whose queue he has
left, and by a supervisor for one that has ended."""

PHONE = "+49 30 901820"


def test_an_agent_books_for_who_is_on_the_line(world):
    bob = world.person("bob")
    asked = bob.post("/v1/callbacks", {"form": "demo", "phone": PHONE, "name": "Eve", "when": "2026-11-24T15:00", "account": "7"}, status=201)
    assert (asked["callback"]["state"], asked["callback"]["promise_local"], asked["when_note"]) == ("scheduled", "2026-11-24T15:00:00", "as_asked")
    sue = world.person("sue", stream=False)
    detail = sue.get(f"/v1/callbacks/{asked['callback']['id']}")["detail"]
    assert (detail["contact"]["name"], detail["case_information"]) == ("Eve", {"account": "7"})
    # the link is the contact's
    page = world.servers[0].client(headers={"Accept": "application/json"}).get(world.link(asked))
    assert page.status_code == 200 and page.json()["promise"]["local"] == "2026-11-24T15:00:00"


def test_who_leaves_a_queue_of_the_switchboard_keeps_his_place(world):
    first = world.visit()
    world.advance(60)
    adam = world.person("adam", stream=False)
    since = "2026-11-24T08:30:00Z"
    second = adam.post("/v1/callbacks", {"form": "demo", "phone": PHONE, "since": since}, status=201)["callback"]
    assert (second["state"], second["promise_at"]) == ("queued", "2026-11-24T08:30:00.000Z")
    # its window begins now
    assert second["expires_at"] == "2026-11-25T09:01:00.000Z"
    ann = world.person("ann", ready=True)
    assert ann.offered()["callback"] == second["id"]
    assert first["id"] != second["id"]


def test_what_is_asked_is_asked_once(world):
    bob = world.person("bob", stream=False)
    key = {"headers": {"Idempotency-Key": "call-17"}}
    body = {"form": "demo", "phone": PHONE}
    one = bob.post("/v1/callbacks", body, status=201, **key)["callback"]["id"]
    assert bob.post("/v1/callbacks", body, status=201, **key)["callback"]["id"] == one
    assert world.rows("SELECT count(*) FROM callback") == [(1,)]


def test_what_is_wrong_is_named(world):
    bob = world.person("bob", stream=False)

    def errors(**body):
        return {e["field"]: e["message"] for e in bob.post("/v1/callbacks", body, status=422)["errors"]}

    assert errors(phone=PHONE) == {"form": "is missing"}
    since = "must be a time with an offset, within the last 24 hours, at which he began to wait"
    assert errors(phone=PHONE, form="nobodys", since="yesterday") == {"form": "is not a form's key", "since": since}
    assert errors(phone=PHONE, form="demo", since="2026-11-24T10:00:00Z") == {"since": since}
    assert errors(phone=PHONE, form="demo", since=17) == {"since": since}
    assert errors(phone=PHONE, form="demo", since="2026-11-24T08:30:00Z", when="2026-11-24T15:00") == {
        "since": "goes with no other time than as soon as possible"}
    assert errors(phone="12", form="demo", time_zone="Mars/Phobos") == {
        "phone": "has no area code", "time_zone": "is not a known IANA time zone"}
    assert world.rows("SELECT count(*) FROM callback") == [(0,)]


def test_one_that_has_ended_is_asked_for_again(world):
    asked = world.visit(phone=PHONE, name="Eve", notes="please", account="7")
    sue = world.person("sue", stream=False)
    path = f"/v1/callbacks/{asked['id']}"
    assert sue.post(path + "/again", {}, status=409)["type"].endswith("/wrong-state")
    sue.post(path + "/cancel", {"version": sue.get(path)["callback"]["seq"]})
    again = sue.post(path + "/again", {"when": "2026-11-24T15:00"}, status=201)["callback"]
    assert again["id"] != asked["id"] and again["promise_local"] == "2026-11-24T15:00:00"
    before, after = (sue.get(f"/v1/callbacks/{c}")["detail"] for c in (asked["id"], again["id"]))
    for same in ("contact", "notes", "case_information"):
        assert after[same] == before[same]
    # who was forgotten is not called again
    sue.post(f"/v1/callbacks/{again['id']}/cancel", {"version": again["seq"]})
    world.person("adam", stream=False).post("/v1/contacts/erase", {"phone": PHONE})
    assert sue.post(path + "/again", {}, status=409)["type"].endswith("/erased")
    sue.post("/v1/callbacks/01900000-0000-7000-8000-000000000000/again", {}, status=404)


def test_who_named_no_zone_may_be_anywhere_once_more(world):
    """An American number says no zone: it is called at an hour that is right in all of them, the second time, too."""
    days = dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ["08:00-21:00"])
    world.company(company__calling_hours={"week": days}, forms__0__countries=["US"], forms__0__time_zone="America/New_York")
    asked, named = world.visit(phone="+1 212 555 2368"), world.visit(phone="+1 212 555 2369", time_zone="America/New_York")
    sue = world.person("sue", stream=False)
    promises = {}
    for name, one in (("anywhere", asked), ("in New York", named)):
        path = f"/v1/callbacks/{one['id']}"
        first = sue.get(path)["callback"]
        sue.post(path + "/cancel", {"version": first["seq"]})
        again = sue.post(path + "/again", {}, status=201)["callback"]
        assert (again.get("zones"), again["promise_at"]) == (first.get("zones"), first["promise_at"])
        promises[name] = again["promise_at"]
    assert promises["anywhere"] > promises["in New York"]
