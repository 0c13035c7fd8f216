"""Another time: the contact's by his link, without script; a supervisor's; what is left of the old promise, and what
his calendar is told."""

import concurrent.futures
import html.parser

import pytest

from test_operations import ctl

PAGE = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}
LATER = "2026-11-24T15:00"      # 14:00Z


class Forms(html.parser.HTMLParser):
    """What a browser without script sees of a page: its forms, with their fields as they are filled in, and its links."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.links, self.words = {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "form":
            self.action = a["action"]
            self.forms[self.action.rsplit("/", 1)[1]] = (self.action, {})
        elif tag == "input":
            self.forms[self.action.rsplit("/", 1)[1]][1][a["name"]] = a["value"]
        elif tag == "a":
            self.links.append(a["href"])

    def handle_data(self, text):
        self.words.append(text.strip())

    @property
    def text(self):
        return " ".join(self.words)


class Contact:
    """Somebody with his link and a browser that has no script."""

    def __init__(self, world, asked):
        self.world, self.id, self.link = world, asked["id"], world.link(asked)
        self.http = world.servers[0].client(headers=PAGE)
        self.page = None

    def look(self):
        answer = self.http.get(self.link)
        assert answer.status_code == 200, answer.text
        self.page = Forms(answer.text)
        return self.page.text

    def press(self, form, status=303, **fields):
        """Sends that form of the page as it lies before him, and looks at what comes."""
        action, values = self.page.forms[form]
        answer = self.http.post(action, data={**values, **fields})
        assert answer.status_code == status, answer.text
        if status == 303:
            answer = self.http.get(answer.headers["location"])
        assert "text/html" in answer.headers["content-type"]
        self.page = Forms(answer.text)
        return self.page.text

    def json(self):
        return self.http.get(self.link, headers=JSON).json()

    def calendar(self):
        answer = self.http.get(self.link + "/callback.ics")
        assert answer.status_code == 200, answer.text
        return answer


@pytest.fixture
def contact(world):
    contact = Contact(world, world.visit(when=LATER, time_zone="Europe/Berlin", name="Jo Smith", notes="a secret"))
    yield contact
    contact.http.close()


def promise(world, callback):
    return world.rows("SELECT to_char(promise_local, 'YYYY-MM-DD HH24:MI'), promise_zone, "
                      "to_char(promise_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), promise_at = due_at, "
                      "extract(epoch FROM expires_at - promise_at)::int FROM callback WHERE callback_id = %s", callback)[0]


def test_a_contact_moves_his_call_without_script(world, contact):
    ann, sue = world.person("ann", ready=True), world.person("sue")
    assert "24 November 2026, 15:00 (Europe/Berlin)" in contact.look()
    assert contact.page.forms["reschedule"][1]["when"] == LATER
    text = contact.press("reschedule", when="2026-11-25T10:30", time_zone="Europe/London")
    assert "Wednesday, 25 November 2026, 10:30 (Europe/London)" in text
    assert promise(world, contact.id) == ("2026-11-25 10:30", "Europe/London", "2026-11-25 10:30", True, 86400)
    moved = sue.stream.expect("callback.rescheduled")
    assert (moved["when_note"], moved["before_at"], moved["rescheduled_by"]) == (
        "as_asked", "2026-11-24T14:00:00.000Z", {"role": "contact"})
    # nobody calls him when he was promised it at first
    world.advance(5 * 3600 + 1)
    assert ann.state()["offers"] == []
    assert "reschedule" in contact.page.forms and contact.json()["state"] == "scheduled"
    world.advance(20.5 * 3600 - 1)
    ann.offered(contact.id)


def test_the_page_shows_every_state_and_what_can_be_done_in_it(world, contact):
    ann = world.person("ann", ready=True)
    contact.look()
    assert set(contact.page.forms) == {"reschedule", "now", "cancel"}
    ann.not_ready()
    world.advance(5 * 3600)
    assert "You are in the queue" in contact.look()
    assert set(contact.page.forms) == {"reschedule", "cancel"}
    ann.ready()
    offer = ann.offered(contact.id)
    contact.look()
    assert set(contact.page.forms) == {"cancel"}
    ann.accept(offer)
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]
    assert "about to call you" in contact.look() and set(contact.page.forms) == {"cancel"}
    attempt = ann.post(f"/v1/callbacks/{contact.id}/call", {"version": version})["attempt"]["id"]
    assert "We are calling you now" in contact.look() and not contact.page.forms
    version = ann.post(f"/v1/attempts/{attempt}/ended", {"outcome": "busy"})["callback"]["seq"]
    ann.post(f"/v1/callbacks/{contact.id}/done", {"version": version, "disposition": "call_later"})
    # the promise is over: what counts is when he will be called
    due = contact.json()["due"]
    assert due["at"] == "2026-11-24T14:15:00.000Z" and due["local"] == "2026-11-24T15:15:00"
    text = contact.look()
    assert "We will call you again" in text and "15:15 (Europe/Berlin)" in text and "You asked for: Tuesday, 24 November 2026, 15:00" in text
    assert "16:00 (Europe/Berlin)" in contact.press("reschedule", when="2026-11-24T16:00")
    assert "due" not in contact.json()


def test_a_page_that_is_out_of_date_is_told_how_it_stands(world, contact):
    contact.look()
    old = contact.page
    contact.press("reschedule", when="2026-11-25T10:00")
    contact.page = old
    # the same again: pressed twice
    assert "25 November 2026, 10:00" in contact.press("reschedule", when="2026-11-25T10:00")
    contact.page = old
    text = contact.press("reschedule", status=409, when="2026-11-26T10:00")
    assert "was changed since you opened this page" in text and "25 November 2026, 10:00" in text
    assert promise(world, contact.id)[0] == "2026-11-25 10:00"
    # from that page he can go on, with what he had typed
    assert contact.page.forms["reschedule"][1]["when"] == "2026-11-26T10:00"
    assert "26 November 2026, 10:00" in contact.press("reschedule")
    answer = contact.http.post(contact.link + "/reschedule", headers=JSON,
                               json={"when": "2026-11-27T10:00", "seen": "2026-11-24T14:00:00.000Z"})
    assert answer.status_code == 409 and answer.json()["type"].endswith("/stale-version")
    assert answer.json()["promise"]["local"] == "2026-11-26T10:00:00"


@pytest.mark.parametrize("fields, words", [
    ({"when": "2026-11-24T09:00"}, "in the past"),
    ({"when": "2027-01-24T09:00"}, "too far ahead"),
    ({"when": "2026-02-30T09:00"}, "must be"),
    ({"when": ""}, "missing"),
    ({"when": "<script>alert(1)</script>"}, "must be"),
    ({"when": "2026-11-25T09:00", "time_zone": "Mars/Olympus"}, "not a known IANA time zone"),
    ({"when": "2026-11-25T09:00", "time_zone": "x y"}, "not a time zone"),
    ({"when": "2026-11-25T09:00", "seen": "yesterday"}, "seen"),
])
def test_what_cannot_be_had_is_said_and_changes_nothing(world, contact, fields, words):
    contact.look()
    head = world.rows("SELECT max(seq) FROM event")
    text = contact.press("reschedule", status=422, **fields)
    assert words in text and "15:00 (Europe/Berlin)" in text
    if fields["when"]:
        assert contact.page.forms["reschedule"][1]["when"] == fields["when"]
    answer = contact.http.post(contact.link + "/reschedule", headers=JSON, json=fields)
    assert answer.status_code == 422 and answer.json()["errors"]
    assert world.rows("SELECT max(seq) FROM event") == head


def test_call_me_now(world, contact):
    ann = world.person("ann", ready=True)
    contact.look()
    before = contact.page
    contact.press("now")
    offer = ann.offered(contact.id)
    assert promise(world, contact.id)[2:4] == ("2026-11-24 09:00", True)
    contact.page = before
    assert "try again in a minute" in contact.press("now", status=409)
    ann.not_ready()
    ann.reject(offer)
    assert contact.json()["state"] == "queued"
    contact.page = before
    assert "in the queue already" in contact.press("now", status=409)
    answer = contact.http.post(contact.link + "/now", headers=JSON)
    assert answer.status_code == 409 and answer.json()["state"] == "queued"
    # from the queue he may still choose another time
    contact.look()
    assert "16:00" in contact.press("reschedule", when="2026-11-24T16:00")


def test_nobody_elses_link_moves_it(world, contact):
    other = Contact(world, world.visit(when=LATER, time_zone="Europe/Berlin"))
    token = contact.link.rsplit("/", 1)[1]
    stranger = other.link.rsplit("/", 1)[1]
    head = world.rows("SELECT max(seq) FROM event")
    for forged in (token[:-1] + ("A" if token[-1] != "A" else "B"), token[:27] + stranger[27:], stranger[:27] + token[27:], "A" * 48, ""):
        for method, what in (("POST", "/reschedule"), ("POST", "/now"), ("GET", "/callback.ics")):
            answer = contact.http.request(method, f"/c/{forged}{what}", **({"data": {"when": LATER}} if what == "/reschedule" else {}))
            assert answer.status_code == 404, (forged, what, answer.status_code)
    assert world.rows("SELECT max(seq) FROM event") == head
    other.look()
    other.press("now")
    assert promise(world, contact.id)[0] == "2026-11-24 15:00", "his own, and no other"
    other.http.close()


@pytest.mark.parametrize("zone, when, note, at, local", [
    ("Europe/Berlin", "2027-03-28T02:30", "moved_forward", "2027-03-28T01:30", "2027-03-28T03:30"),
    ("Europe/Berlin", "2027-10-31T02:30", "first_of_two", "2027-10-31T00:30", "2027-10-31T02:30"),
    ("America/New_York", "2027-03-14T02:30", "moved_forward", "2027-03-14T07:30", "2027-03-14T03:30"),
    ("America/New_York", "2027-11-07T01:30", "first_of_two", "2027-11-07T05:30", "2027-11-07T01:30"),
    ("Australia/Lord_Howe", "2027-10-03T02:15", "moved_forward", "2027-10-02T15:45", "2027-10-03T02:45"),
    ("Australia/Lord_Howe", "2027-04-04T01:45", "first_of_two", "2027-04-03T14:45", "2027-04-04T01:45"),
    ("Europe/Berlin", "2027-07-01T10:00", "as_asked", "2027-07-01T08:00", "2027-07-01T10:00"),
])
def test_moved_to_an_hour_that_does_not_exist_or_comes_twice(world, contact, zone, when, note, at, local):
    world.company(forms__0__horizon_s=31536000)
    contact.look()
    text = contact.press("reschedule", when=when, time_zone=zone)
    assert ("because the clocks go" in text) == (note != "as_asked")
    now = contact.json()["promise"]
    assert now == {"local": local + ":00", "time_zone": zone, "at": at + ":00.000Z"}
    answer = contact.http.post(contact.link + "/reschedule", headers=JSON, json={"when": "2027-07-02T10:00"})
    assert answer.status_code == 200
    answer = contact.http.post(contact.link + "/reschedule", headers=JSON, json={"when": when})
    assert answer.status_code == 200 and answer.json()["when_note"] == note and answer.json()["promise"] == now


def lines_of(answer):
    """An iCalendar object as RFC 5545 has it: [(name, parameters, value)]; every rule of its form is looked at."""
    raw = answer.content
    assert raw.endswith(b"\r\n") and b"\n" not in raw.replace(b"\r\n", b"") and b"\r" not in raw.replace(b"\r\n", b"")
    physical = raw[:-2].split(b"\r\n")
    assert all(0 < len(line) <= 75 for line in physical)
    for line in physical:
        line.decode()       # no character is cut
    logical = raw[:-2].replace(b"\r\n ", b"").decode().split("\r\n")
    found = []
    for line in logical:
        head, _, value = line.partition(":")
        name, *parameters = head.split(";")
        assert name.replace("-", "").isalpha() and name == name.upper(), line
        found.append((name, parameters, value))
    return found


def event_of(answer):
    lines = lines_of(answer)
    names = [name for name, _, _ in lines]
    assert names[0] == "BEGIN" and lines[0][2] == "VCALENDAR" and lines[-1] == ("END", [], "VCALENDAR")
    begin, end = lines.index(("BEGIN", [], "VEVENT")), lines.index(("END", [], "VEVENT"))
    assert {n: v for n, _, v in lines[1:begin]} .keys() == {"VERSION", "PRODID", "METHOD"} and end == len(lines) - 2
    event = {n: v for n, _, v in lines[begin + 1:end]}
    assert len(event) == end - begin - 1, "a property is there twice"
    assert {"UID", "SEQUENCE", "DTSTAMP", "DTSTART", "DURATION", "STATUS", "SUMMARY"} <= event.keys()
    event["METHOD"] = dict((n, v) for n, _, v in lines[1:begin])["METHOD"]
    assert answer.headers["content-type"] == f"text/calendar; charset=utf-8; method={event['METHOD']}"
    return event


def test_the_calendar_follows(world, contact):
    world.company(company__label="Lee, Smith; Söhne\\Töchter " + "ä" * 60)
    first = event_of(contact.calendar())
    assert first["UID"].split("@")[0] == contact.id and first["UID"].count("@") == 1
    assert (first["DTSTART"], first["DURATION"], first["STATUS"], first["METHOD"]) == (
        "20261124T140000Z", "PT60M", "CONFIRMED", "PUBLISH")
    assert first["DTSTAMP"] == "20261124T090000Z"
    assert first["SUMMARY"].startswith(r"Lee\, Smith\; Söhne\\Töchter " + "ä" * 60)
    text = contact.calendar().text
    assert "Jo Smith" not in text and "secret" not in text
    phone = world.rows("SELECT phone FROM contact")[0][0]
    assert phone not in text and phone[3:-3] not in text

    contact.look()
    assert any(link.endswith("/callback.ics") for link in contact.page.links)
    contact.press("reschedule", when="2026-11-25T10:30", time_zone="Europe/London")
    second = event_of(contact.calendar())
    assert second["UID"] == first["UID"] and int(second["SEQUENCE"]) > int(first["SEQUENCE"])
    assert (second["DTSTART"], second["STATUS"], second["METHOD"]) == ("20261125T103000Z", "CONFIRMED", "PUBLISH")

    contact.press("cancel")
    last = event_of(contact.calendar())
    assert last["UID"] == first["UID"] and int(last["SEQUENCE"]) > int(second["SEQUENCE"])
    assert (last["STATUS"], last["METHOD"], last["DTSTART"]) == ("CANCELLED", "CANCEL", second["DTSTART"])


def test_moved_while_it_is_being_offered(world):
    """Whoever is first: the contact is told, and a callback is either moved or with an agent, never both or neither."""
    ann = world.person("ann", ready=True)
    outcomes = set()
    for n in range(12):
        contact = Contact(world, world.visit(when="asap" if n % 3 == 2 else LATER, time_zone="Europe/Berlin"))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            if n % 3 < 2:
                now = pool.submit(contact.http.post, contact.link + "/now", headers=JSON)
                assert now.result().status_code == 200
            move = pool.submit(contact.http.post, contact.link + "/reschedule", headers=JSON, json={"when": "2026-11-30T10:00"})
            answer = move.result()
        if answer.status_code == 200:
            outcomes.add("moved")
            assert contact.json()["promise"]["local"] == "2026-11-30T10:00:00"
            assert world.rows("SELECT state FROM callback WHERE callback_id = %s", contact.id) == [("scheduled",)]
            assert world.rows("SELECT count(*) FROM offer WHERE callback_id = %s AND state = 'pending'", contact.id) == [(0,)]
            world.until(lambda: ann.state()["offers"] == [], "she is free")
            assert contact.http.post(contact.link + "/cancel", headers=JSON).status_code == 200
        else:
            outcomes.add("late")
            assert answer.status_code == 409 and answer.json()["type"].endswith("/wrong-state"), answer.text
            assert answer.json()["state"] == "offered"
            offer = ann.offered(contact.id)
            ann.accept(offer)
            version = ann.stream.expect("offer.accepted", callback__id=contact.id)["callback"]["seq"]
            ann.post(f"/v1/callbacks/{contact.id}/done", {"version": version, "disposition": "sold"})
            ann.ready()
        contact.http.close()
    assert "late" in outcomes


def test_of_several_requests_the_first_time_counts(world):
    """The number is called once, at the first of the times that were promised for it, whichever was moved."""
    ann = world.person("ann", ready=True)
    first = Contact(world, world.visit(phone="0301234567", when=LATER, time_zone="Europe/Berlin"))
    second = Contact(world, world.visit(phone="0301234567", when="2026-11-24T16:00", time_zone="Europe/Berlin"))
    first.look()
    first.press("reschedule", when="2026-11-24T17:00")
    assert second.json()["promise"]["local"] == "2026-11-24T16:00:00", "his own stands"
    second.look()
    second.press("now")
    offer = ann.offered(second.id)
    assert first.json()["state"] == "scheduled" and first.json()["promise"]["local"] == "2026-11-24T17:00:00"
    # while somebody has the one that leads, the others can be moved, and follow
    first.look()
    first.press("reschedule", when="2026-11-24T10:05")
    ann.accept(offer)
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]
    world.advance(400)
    assert first.json()["state"] == "queued" and ann.state()["offers"] == []
    ann.post(f"/v1/callbacks/{second.id}/done", {"version": version, "disposition": "sold"})
    world.until(lambda: world.rows("SELECT count(*) FROM callback WHERE state = 'completed'") == [(2,)], "both are done")
    assert world.rows("SELECT count(*) FROM offer") == [(1,)], "called once"
    for contact in (first, second):
        contact.http.close()


def test_nobody_moves_a_call_to_and_fro_for_ever(world, contact):
    """Each time is an event for every desk: ten in ten minutes, and the link goes on to show what is promised."""
    contact.look()
    for n in range(10):
        contact.press("reschedule", when=f"2026-11-25T10:{n:02}", time_zone="Europe/Berlin")
    answer = contact.http.post(contact.link + "/reschedule", headers=JSON,
                               data={**contact.page.forms["reschedule"][1], "when": "2026-11-25T11:00"})
    assert answer.status_code == 429 and answer.json()["type"].endswith("/too-often")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "10:09 (Europe/Berlin)" in contact.look()
    assert promise(world, contact.id)[0] == "2026-11-25 10:09"
    # nobody else's link is the worse for it
    other = Contact(world, world.visit(when=LATER, time_zone="Europe/Berlin"))
    other.look()
    assert "11:00 (Europe/Berlin)" in other.press("reschedule", when="2026-11-25T11:00", time_zone="Europe/Berlin")
    other.http.close()


def test_a_supervisor_moves(world, contact):
    sue, ann = world.person("sue", stream=False), world.person("ann", ready=True)
    path = f"/v1/callbacks/{contact.id}"
    version = sue.get(path)["callback"]["seq"]
    ann.post(path + "/reschedule", {"when": LATER}, status=403)
    done = sue.post(path + "/reschedule", {"when": "2026-11-24T12:00", "version": version, "reason": "ill"})
    assert done["callback"]["promise_local"] == "2026-11-24T12:00:00" and done["callback"]["reason"] == "ill"
    assert done["callback"]["promise_at"] == done["callback"]["due_at"] == "2026-11-24T11:00:00.000Z"
    stale = sue.post(path + "/reschedule", {"when": "2026-11-24T13:00", "version": version}, status=409)
    assert stale["type"].endswith("/stale-version") and stale["callback"]["promise_local"] == "2026-11-24T12:00:00"
    refused = sue.post(path + "/reschedule", {"when": "2020-01-01T00:00", "time_zone": "Mars/Olympus"}, status=422)
    assert [e["field"] for e in refused["errors"]] == ["time_zone"]
    refused = sue.post(path + "/reschedule", {"when": "2020-01-01T00:00"}, status=422)
    assert refused["errors"] == [{"field": "when", "message": "is in the past"}]
    again = {"Idempotency-Key": "once"}
    first = sue.post(path + "/reschedule", {"when": "2026-11-24T14:00"}, headers=again)
    assert sue.post(path + "/reschedule", {"when": "2026-11-24T14:00"}, headers=again)["event"] == first["event"]
    assert sue.post(path + "/reschedule", {"when": "2026-11-24T14:00"}) == {"changes": []}
    sue.post(path + "/now")
    ann.accept(ann.offered(contact.id))
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]
    # who holds it has retry; this is for what waits
    held = sue.post(path + "/reschedule", {"when": LATER, "version": version}, status=409)
    assert held["type"].endswith("/wrong-state") and held["callback"]["state"] == "ready_to_call"


def test_callbackctl_moves(world, contact):
    assert "2026-11-25T10:00:00 Europe/Berlin" in ctl(world, "move", contact.id, "2026-11-25T10:00", "-r", "asked")
    assert "2026-11-25T10:00:00 Europe/London" in ctl(world, "move", contact.id, "2026-11-25T10:00", "--time-zone", "Europe/London")
    assert "(moved_forward)" in ctl(world, "move", contact.id, "2027-03-28T01:30")
    assert "nothing to change" in ctl(world, "move", contact.id, "2027-03-28T02:30")
    assert "is in the past" in ctl(world, "move", contact.id, "2026-11-23T10:00", status=1)
    assert "not the id" in ctl(world, "move", "x", "asap", status=2)
    assert '"when_note": "as_asked"' in ctl(world, "now", contact.id, "-j")
    assert promise(world, contact.id)[1:3] == ("Europe/London", "2026-11-24 09:00")
    assert "due already" in ctl(world, "now", contact.id, status=1)
    assert world.rows("SELECT reason FROM callback") == [(None,)]


def test_a_zones_rules_change(world):
    """Berlin gives up summer time: whoever was promised ten o'clock in July is called at ten o'clock."""
    world.company(queues__0__hours={"time_zone": "Europe/Berlin", "week": {day: ["08:00-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")}},
                  forms__0__horizon_s=31536000)
    kept, moved = world.visit(when="2026-12-01T10:00"), world.visit(when="2027-07-01T10:00")
    assert moved["promise"]["at"] == "2027-07-01T08:00:00.000Z"
    # as it was stored under the rules that are over
    world.rows("UPDATE callback SET promise_at = promise_at + interval '1 hour', due_at = due_at + interval '1 hour', "
               "expires_at = expires_at + interval '1 hour' WHERE callback_id = %s RETURNING 1", moved["id"])
    world.rows("UPDATE opening SET opens_at = opens_at + interval '1 hour', closes_at = closes_at + interval '1 hour' "
               "WHERE opens_at > '2027-04-01' RETURNING 1")
    line = f"{moved['id']}  2027-07-01T10:00:00 Europe/Berlin  from 2027-07-01T09:00:00.000Z to 2027-07-01T08:00:00.000Z\n"
    assert ctl(world, "recompute", "-n") == line + "1 promises would be moved; 0 had changed meanwhile\n"
    sue = world.person("sue", stream=True)
    assert sue.post("/v1/callbacks/bulk", {"filter": {"promise": "astray"}, "action": "recompute"}, status=422)["errors"][0]["field"] == "action"
    assert ctl(world, "recompute") == line + "1 promises moved; 0 had changed meanwhile\n"
    told = sue.stream.expect("callback.rescheduled")
    assert told["before_at"] == "2027-07-01T09:00:00.000Z" and told["callback"]["due_at"] == "2027-07-01T08:00:00.000Z"
    assert ctl(world, "recompute") == "0 promises moved; 0 had changed meanwhile\n"
    assert world.rows("SELECT count(*) FROM opening WHERE opens_at = '2027-07-01T06:00Z'") == [(1,)]
    sue_sees = sue.get(f"/v1/callbacks/{kept['id']}")["callback"]
    assert sue_sees["promise_at"] == "2026-12-01T09:00:00.000Z"
    for path, value in (("promise", "lost"),):
        assert sue.http.get("/v1/callbacks", params={path: value}).status_code == 422
