"""The visitor's side: the form in its three encodings, what is refused and how it is said, the contact's link."""

import pytest


@pytest.fixture
def visitor(world):
    with world.servers[0].client() as client:
        yield client


def test_json_is_answered_with_the_promise_and_a_link(world, visitor):
    answer = visitor.post("/f/demo", json={"phone": "030 1234567", "name": "Jo", "when": "asap"})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["state"] == "queued"
    assert body["promise"]["at"].startswith("2026-11-24T09:00")
    assert body["promise"]["time_zone"] and body["promise"]["local"]
    page = visitor.get(world.link(body), headers={"Accept": "application/json"})
    assert page.status_code == 200 and page.json()["state"] == "queued"
    assert "1234567" not in page.text, "the link shows no number in full"
    stored = world.rows("SELECT phone, name FROM contact WHERE callback_id = %s", body["id"])
    assert stored == [("+49301234567", "Jo")]


def test_a_number_is_taken_only_if_it_can_be_shown_again(world, visitor):
    """1e19 comes back from the database as an integer that no reader of JSON here takes: nobody could open the callback."""
    for number in ("1e19", "-1e300", "9223372036854775808.5"):
        text = '{"phone": "030 1234567", "car": {"price": [%s]}}' % number
        refused = visitor.post("/f/demo", content=text, headers={"Content-Type": "application/json"})
        assert refused.status_code == 400 and "number that is too large" in refused.text
    asked = visitor.post("/f/demo", content='{"phone": "030 1234567", "price": 9.2e18, "part": 1e-300}',
                         headers={"Content-Type": "application/json"}).json()
    shown = world.person("sue", stream=False).get(f"/v1/callbacks/{asked['id']}")
    assert shown["detail"]["case_information"] == {"price": 9200000000000000000, "part": 1e-300}


def test_a_browser_form_is_sent_on(visitor):
    answer = visitor.post("/f/demo", data={"phone": "030 1234567", "name": "Jo", "car": "blue"},
                          headers={"Accept": "text/html"})
    assert answer.status_code == 303
    page = visitor.get(answer.headers["location"], headers={"Accept": "text/html"})
    assert page.status_code == 200 and "text/html" in page.headers["content-type"]


def test_multipart_is_the_same(world, visitor):
    answer = visitor.post("/f/demo", files={"phone": (None, "+44 20 7946 0018"), "colour": (None, "blau, grün")},
                          headers={"Accept": "application/json"})
    assert answer.status_code == 201, answer.text
    case = world.rows("SELECT case_information, phone FROM contact WHERE callback_id = %s", answer.json()["id"])
    assert case == [({"colour": "blau, grün"}, "+442079460018")]


def test_every_wrong_field_is_named_at_once(visitor):
    answer = visitor.post("/f/demo", json={"phone": "12", "email": "nobody", "when": "2026-02-30T10:00",
                                           "time_zone": "Mars/Olympus"})
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    fields = {e["field"] for e in answer.json()["errors"]}
    assert fields == {"phone", "email", "when", "time_zone"}


def test_a_page_keeps_what_was_typed(visitor):
    answer = visitor.post("/f/demo", data={"phone": "12", "name": 'Jo "<b>" Smith'}, headers={"Accept": "text/html"})
    assert answer.status_code == 422 and "text/html" in answer.headers["content-type"]
    assert "<b>" not in answer.text and "&lt;b&gt;" in answer.text


@pytest.mark.parametrize("phone, ok", [
    ("+49 900 1234567", False),   # premium rate
    ("+81 3 1234 5678", False),   # Japan is not on the form's list
    ("+1 212 555 0123", True),
    ("0301234567", True),         # the form's default region
    ("not a number", False),
    ("", False),
])
def test_numbers(visitor, phone, ok):
    assert visitor.post("/f/demo", json={"phone": phone}).status_code == (201 if ok else 422)


def test_what_is_not_there_or_not_allowed(visitor):
    assert visitor.post("/f/nothing", json={"phone": "0301234567"}).status_code == 404
    assert visitor.put("/f/demo", json={}).status_code == 405
    assert visitor.post("/f/demo", content=b"<x/>", headers={"Content-Type": "text/xml"}).status_code == 415
    assert visitor.post("/f/demo", content=b"x" * 100_000,
                        headers={"Content-Type": "application/x-www-form-urlencoded"}).status_code == 413
    assert visitor.post("/f/demo", content=b"{", headers={"Content-Type": "application/json"}).status_code in (400, 422)


def test_idempotency_key(world, visitor):
    key = {"Idempotency-Key": "k1"}
    first = visitor.post("/f/demo", json={"phone": "0301234567"}, headers=key)
    again = visitor.post("/f/demo", json={"phone": "0301234567"}, headers=key)
    assert first.json()["id"] == again.json()["id"]
    other = visitor.post("/f/demo", json={"phone": "0301234568"}, headers=key)
    assert other.status_code == 422
    assert world.rows("SELECT count(*) FROM callback") == [(1,)]


def test_a_second_request_is_linked_and_learns_nothing(world, visitor):
    ann = world.person("ann", ready=True)
    first = visitor.post("/f/demo", json={"phone": "0301234567"}).json()
    answer = visitor.post("/f/demo", json={"phone": "+49 30 1234567"})
    assert "linked" not in answer.text and first["id"] not in answer.text
    second = answer.json()
    assert set(first) == set(second) and first["id"] != second["id"]
    assert second["state"] == first["state"]
    offer = ann.offered()
    ann.accept(offer)
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]
    ann.post(f"/v1/callbacks/{offer['callback']}/done", {"version": version, "disposition": "sold"})
    world.until(lambda: world.rows("SELECT count(*) FROM callback WHERE state = 'completed'") == [(2,)], "both are done")
    assert world.rows("SELECT count(*) FROM offer") == [(1,)], "called once"


def test_the_contact_cancels(world, visitor):
    asked = visitor.post("/f/demo", json={"phone": "0301234567", "when": "2026-11-24T15:00",
                                          "time_zone": "Europe/Berlin"}).json()
    link = world.link(asked)
    answer = visitor.post(link + "/cancel", headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    assert visitor.get(link, headers={"Accept": "application/json"}).json()["state"] == "cancelled"
    assert visitor.get(link[:-2] + "xx", headers={"Accept": "application/json"}).status_code == 404
    assert visitor.post(link + "/cancel", headers={"Accept": "application/json"}).status_code in (200, 409)
    assert world.rows("SELECT state FROM callback") == [("cancelled",)]


def test_hours_that_do_not_exist_or_exist_twice(world, visitor):
    def ask(when, phone):
        return visitor.post("/f/demo", json={"phone": phone, "when": when, "time_zone": "America/New_York"}).json()
    world.company(forms__0__horizon_s=31536000)
    gap = ask("2027-03-14T02:30", "+12125550101")
    assert (gap["when_note"], gap["promise"]["at"], gap["promise"]["local"][:16]) == (
        "moved_forward", "2027-03-14T07:30:00.000Z", "2027-03-14T03:30")
    twice = ask("2027-11-07T01:30", "+12125550102")
    assert (twice["when_note"], twice["promise"]["at"]) == ("first_of_two", "2027-11-07T05:30:00.000Z")


def test_cross_origin_scripts(world, visitor):
    world.company(forms__0__origins=["https://shop.example"])
    ask = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    assert visitor.options("/f/demo", headers=ask).headers["access-control-allow-origin"] == "https://shop.example"
    other = visitor.options("/f/demo", headers={**ask, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_limits_per_number_and_per_address(world, visitor):
    world.company(forms__0__number_limit=2, forms__0__duplicates="allow")
    codes = [visitor.post("/f/demo", json={"phone": "0301234567"}).status_code for _ in range(3)]
    assert codes == [201, 201, 429]
    world.company(forms__0__address_limit=3)
    answers = [visitor.post("/f/demo", json={"phone": f"03012345{n}"}) for n in range(10, 15)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0


def test_nothing_is_claimed_while_the_database_is_down(world, visitor):
    world.cluster.stop("immediate")
    try:
        answer = visitor.post("/f/demo", json={"phone": "0301234567"})
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert visitor.get("/readyz").status_code == 503
        assert visitor.get("/healthz").status_code == 200
    finally:
        world.cluster.start()
    world.until(lambda: visitor.post("/f/demo", json={"phone": "0301234567"}).status_code == 201, "recovered by itself")


def test_the_form_page(visitor):
    page = visitor.get("/f/demo", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert 'name="phone"' in page.text and "default-src 'none'" in page.headers["content-security-policy"]
