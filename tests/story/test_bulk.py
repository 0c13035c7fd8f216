"""Many at once: a supervisor cancels or moves what a filter lets through, and takes all of it away as a table."""

import csv
import io
import json
import uuid

import pytest

import house
from test_move import LATER
from test_operations import ctl

# desks come and go meanwhile
HEAD = "SELECT max(seq) FROM event WHERE callback_id IS NOT NULL"


def bulk(person, status=200, headers=None, **body):
    if headers is None and "by_s" in body:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
    return person.post("/v1/callbacks/bulk", body, status=status, headers=headers)


@pytest.fixture
def sue(world):
    world.company(forms__0__number_limit=0)
    return world.person("sue", stream=False)


def asked(world, n, **more):
    return [world.visit(**{"when": LATER, "time_zone": "Europe/Berlin", **more})["id"] for _ in range(n)]


def states(world):
    return dict(world.rows("SELECT state, count(*)::int FROM callback GROUP BY 1"))


def test_what_the_filter_lets_through_is_cancelled(world, sue):
    early, late = asked(world, 3), asked(world, 4, when="2026-11-25T15:00")
    over = bulk(sue, filter={"ids": [early[0]]}, action="cancel", reason="first")
    assert over == {"matched": 1, "done": 1, "refused": [], "dry_run": False}
    by = {"queue": "sales", "due_to": "2026-11-25T00:00:00Z"}
    head = world.rows(HEAD)
    assert bulk(sue, filter=by, action="cancel", dry_run=True) == {"matched": 2, "done": 0, "refused": [], "dry_run": True}
    assert world.rows(HEAD) == head
    assert bulk(sue, filter=by, action="cancel", reason="closed") == {"matched": 2, "done": 2, "refused": [], "dry_run": False}
    assert states(world) == {"cancelled": 3, "scheduled": 4}
    assert world.rows("SELECT count(*) FROM callback WHERE reason = 'closed'") == [(2,)]
    # named, it is told what cannot be
    named = bulk(sue, filter={"ids": [early[0], late[0], "018f0000-0000-7000-8000-000000000000"]}, action="cancel")
    assert (named["matched"], named["done"]) == (2, 1)
    assert {(r["id"], r["why"], r.get("state")) for r in named["refused"]} == {
        (early[0], "wrong_state", "cancelled"), ("018f0000-0000-7000-8000-000000000000", "not_found", None)}


def test_somebody_calls_in_and_is_not_called_back(world, sue):
    """The switchboard asks by his number, connects him with the agent who has his case, and cancels what he had asked for."""
    world.company(forms__0__duplicates="allow")
    his, other = asked(world, 2, phone="+49 30 901820"), asked(world, 1, phone="+49 30 901821")
    ended = world.visit(phone="+49 30 901820", when=LATER, time_zone="Europe/Berlin")["id"]
    bulk(sue, filter={"ids": [ended]}, action="cancel")
    of = lambda **query: [c["id"] for c in sue.get("/v1/callbacks", params={"phone": "+49 30 901820", **query})["callbacks"]]
    assert of() == sorted([*his, ended], reverse=True)
    assert of(state="scheduled") == sorted(his, reverse=True)
    assert of(state="queued") == of(queue="support") == of(due_to="2026-11-24T00:00:00Z") == []
    done = bulk(sue, filter={"phone": "+4930901820", "state": "scheduled"}, action="cancel", reason="called in")
    assert (done["matched"], done["done"]) == (2, 2)
    assert of(state="scheduled") == []
    assert world.rows("SELECT state FROM callback WHERE callback_id = %s", other[0]) == [("scheduled",)]
    answer = sue.http.get("/v1/callbacks", params={"phone": "030 901820"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "phone", "message": "must begin with + and the country's code"}]
    text = sue.http.get("/v1/callbacks/export", params={"phone": "+4930901821"}).text
    assert other[0] in text and his[0] not in text


def test_all_are_moved_by_seconds_or_to_a_time(world, sue):
    ids = asked(world, 3)
    ann = world.person("ann", ready=True)
    held = world.visit()["id"]
    ann.accept(ann.offered(held))
    moved = bulk(sue, filter={"form": "demo"}, action="move", by_s=3600)
    assert (moved["matched"], moved["done"]) == (4, 3)
    assert moved["refused"] == [{"id": held, "why": "wrong_state", "state": "ready_to_call"}]
    look = "SELECT DISTINCT to_char(promise_local, 'MM-DD HH24:MI'), promise_at = due_at FROM callback WHERE agent_id IS NULL"
    assert world.rows(look) == [("11-24 16:00", True)]
    assert bulk(sue, filter={"state": "scheduled"}, action="move", when="2026-11-26T10:00")["done"] == 3
    assert world.rows(look) == [("11-26 10:00", True)]
    back = bulk(sue, filter={"state": "scheduled"}, action="move", by_s=-7 * 86400)
    assert back["done"] == 0 and [r["why"] for r in back["refused"]] == ["invalid"] * 3
    # the same request again does nothing twice
    key = {"Idempotency-Key": "once"}
    for _ in range(2):
        assert bulk(sue, headers=key, filter={"ids": ids}, action="move", by_s=3600)["done"] == 3
    assert world.rows(look) == [("11-26 11:00", True)]


def test_linked_ones_go_together(world, sue):
    """Each of them changes who is called in the others' stead, and none is refused for that."""
    for n in range(40):
        for hour in (16, 15, 17):
            world.visit(phone=f"03012345{n:02}", when=f"2026-11-24T{hour}:00", time_zone="Europe/Berlin")
    leaders = "SELECT count(*) FROM callback WHERE state = 'scheduled' AND linked_to IS NULL"
    assert world.rows(leaders) == [(40,)]
    assert bulk(sue, filter={"queue": "sales"}, action="move", by_s=600) == {"matched": 120, "done": 120, "refused": [], "dry_run": False}
    assert world.rows("SELECT min(due_at) = max(due_at) FROM callback WHERE linked_to IS NULL") == [(True,)]
    assert world.rows(leaders) == [(40,)]
    assert bulk(sue, filter={"queue": "sales"}, action="cancel")["done"] == 120
    assert states(world) == {"cancelled": 120}


def crowd(world):
    """1,201 that are scheduled, most of them behind the server's back."""
    first = asked(world, 1)[0]
    world.rows("INSERT INTO callback SELECT (jsonb_populate_record(c, jsonb_build_object('callback_id', gen_random_uuid()))).* "
               "FROM callback c, generate_series(1, 1200) WHERE callback_id = %s RETURNING 1", first)
    world.rows("INSERT INTO contact (tenant_id, callback_id, phone) SELECT tenant_id, callback_id, '+4930' || row_number() OVER () "
               "FROM callback WHERE callback_id <> %s RETURNING 1", first)


def test_more_than_a_page(world, sue):
    crowd(world)
    assert bulk(sue, filter={"state": "scheduled"}, action="cancel", dry_run=True)["matched"] == 1201
    lines = list(csv.reader(io.StringIO(export(sue).text)))
    assert len(lines) == 1202 and len({line[0] for line in lines}) == 1202
    done = bulk(sue, filter={"state": "scheduled"}, action="cancel")
    assert (done["matched"], done["done"], done["refused"]) == (1201, 1201, []) and "next" not in done
    assert states(world) == {"cancelled": 1201}


def test_who_asked_goes_away_under_it(world, sue):
    """What was begun is done or not; the rest is as it was, and can be asked for again."""
    crowd(world)
    body = {"filter": {"state": "scheduled"}, "action": "cancel"}
    with pytest.raises(house.httpx.ReadTimeout):
        sue.http.post("/v1/callbacks/bulk", json=body, timeout=house.httpx.Timeout(house.DEADLINE, read=0.01))
    done = bulk(sue, **body)
    assert done["done"] + len(done["refused"]) == done["matched"] and {r["why"] for r in done["refused"]} <= {"stale_version"}
    bulk(sue, **body)
    assert states(world) == {"cancelled": 1201}


@pytest.mark.parametrize("body, fields", [
    ({}, {"action", "filter"}),
    ({"action": "cancel", "filter": {}}, {"filter"}),
    ({"action": "cancel", "filter": {"queue": None}}, {"filter"}),
    ({"action": "erase", "filter": {"queue": "sales"}}, {"action"}),
    ({"action": "cancel", "filter": {"queue": "sails", "state": "asleep", "form": "x", "agent": "y", "due_from": "noon", "colour": "red"}},
     {"queue", "state", "form", "agent", "due_from", "colour"}),
    ({"action": "cancel", "filter": {"ids": []}}, {"ids"}),
    ({"action": "cancel", "filter": {"ids": ["x"]}}, {"ids"}),
    ({"action": "cancel", "filter": {"ids": ["018f0000-0000-7000-8000-000000000000"] * 10001}}, {"ids"}),
    ({"action": "cancel", "filter": {"ids": ["018f0000-0000-7000-8000-000000000000"], "queue": "sales"}}, {"ids"}),
    ({"action": "cancel", "filter": {"queue": "sales"}, "by_s": 5}, {"by_s"}),
    ({"action": "move", "filter": {"queue": "sales"}}, {"when"}),
    ({"action": "move", "filter": {"queue": "sales"}, "by_s": 5, "when": "asap"}, {"when"}),
    ({"action": "move", "filter": {"queue": "sales"}, "when": "soon", "after": "x"}, {"when", "after"}),
])
def test_every_mistake_is_named_and_nothing_done(world, sue, body, fields):
    asked(world, 1)
    head = world.rows(HEAD)
    refused = bulk(sue, status=422, **body)
    assert {e["field"] for e in refused["errors"]} == fields
    assert world.rows(HEAD) == head


def test_what_would_move_twice_needs_a_key(world, sue):
    asked(world, 1)
    refused = bulk(sue, status=422, headers={}, filter={"queue": "sales"}, action="move", by_s=60)
    assert [e["field"] for e in refused["errors"]] == ["by_s"]


def export(person, **params):
    answer = person.http.get("/v1/callbacks/export", params=params)
    assert answer.status_code == 200, answer.text
    return answer


def test_a_table_of_all(world, sue):
    """RFC 4180, and nothing that a spreadsheet would take for a formula."""
    evil = {"name": "=cmd|' /C calc'!A0", "subject": "@SUM(1+1)", "notes": 'say "hi",\nthen\r\n-1+1', "email": "jo@example.com",
            "colour": "+red", "phone": "030 1234567", "when": LATER, "time_zone": "Europe/Berlin"}
    first = world.visit(**evil)["id"]
    second = world.visit(phone="030 7654321")["id"]
    answer = export(sue)
    assert answer.headers["content-type"].startswith("text/csv") and answer.headers["cache-control"] == "no-store"
    raw = answer.content.decode()
    assert raw.endswith("\r\n")
    head, *rows = csv.reader(io.StringIO(raw, newline=""), strict=True)
    assert head[:5] == ["id", "state", "reason", "queue", "form"] and all(len(row) == len(head) for row in rows)
    by = {row[0]: dict(zip(head, row)) for row in rows}
    assert list(by) == [second, first], "newest first"
    one = by[first]
    assert one["name"] == "'" + evil["name"] and one["subject"] == "'@SUM(1+1)" and one["phone"] == "'+49301234567"
    assert one["notes"] == 'say "hi",\nthen\n-1+1' and json.loads(one["case_information"]) == {"colour": "+red"}
    assert (one["queue"], one["form"], one["promise_local"], one["due_at"]) == (
        "sales", "demo", "2026-11-24T15:00:00", "2026-11-24T14:00:00.000Z")
    assert by[second]["state"] == "queued" and by[second]["name"] == ""
    for row in rows:
        assert not any(cell[:1] in "=+-@\t\r" and cell[:1] for cell in row)

    lines = export(sue, format="ndjson", state="scheduled").text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [first]
    assert json.loads(lines[0])["notes"] == one["notes"] and json.loads(lines[0])["name"] == evil["name"]
    assert export(sue, format="ndjson", due_from="2027-01-01T00:00:00Z").content == b""
    refused = sue.http.get("/v1/callbacks/export", params={"format": "xml", "queue": "sails"})
    assert refused.status_code == 422 and {e["field"] for e in refused.json()["errors"]} == {"format", "queue"}
    assert ctl(world, "export").replace("\r\n", "\n") == raw.replace("\r\n", "\n")
    assert json.loads(ctl(world, "export", "-j", "-s", "queued"))["id"] == second
    assert "is not a queue's name" in ctl(world, "export", "-q", "sails", status=1)


def test_what_was_erased_is_not_in_it(world, sue):
    first = world.visit(name="Jo Smith", notes="a secret")["id"]
    with world.servers[0].operator() as operator:
        assert operator.post(f"/v1/callbacks/{first}/erase", json={}).status_code == 200
    text = export(sue).text
    assert first in text and "Jo Smith" not in text and "secret" not in text


def long_table(world):
    """10 MB of it: more than what the kernel holds between a server and who does not read."""
    asked(world, 1)
    world.rows("INSERT INTO callback SELECT (jsonb_populate_record(c, jsonb_build_object('callback_id', gen_random_uuid(), 'state', "
               "'cancelled', 'ended_at', c.created_at))).* FROM callback c, generate_series(1, 5000) RETURNING 1")
    world.rows("INSERT INTO contact (tenant_id, callback_id, notes) SELECT tenant_id, callback_id, repeat('x', 2000) FROM callback "
               "ON CONFLICT DO NOTHING RETURNING 1")


def test_half_a_table_is_known_for_one(world, sue):
    """The database goes away under it, for longer than it is waited for: the client is not told that it was all."""
    long_table(world)
    with sue.http.stream("GET", "/v1/callbacks/export", timeout=3 * house.DEADLINE) as answer:
        pieces = answer.iter_raw(1000)
        next(pieces)
        world.cluster.stop("immediate")
        try:
            with pytest.raises(house.httpx.RemoteProtocolError):
                for _ in pieces:
                    pass
        finally:
            world.cluster.start()
    world.until(lambda: sue.http.get("/v1/queues").status_code == 200, "it goes on")


def test_it_ends_with_the_session_it_was_asked_in(world, sue):
    long_table(world)
    with sue.http.stream("GET", "/v1/callbacks/export") as answer:
        pieces = answer.iter_raw(1000)
        next(pieces)
        sue.do("DELETE", "/v1/session")
        with pytest.raises(house.httpx.RemoteProtocolError):
            for _ in pieces:
                pass
