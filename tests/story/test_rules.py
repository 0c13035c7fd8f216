"""Routing rules: a draft is checked, tried, published, and decides at every node at once; and the way back."""

import json
import os
import subprocess

import house
import pytest

RULES = {"comment": "loans in French first", "rules": [
    {"name": "french-loans", "if": '$.case.product == "loan" && $.language == "fr"',
     "then": {"queue": "support", "priority": 50, "skills": {"english": 2}, "offer_timeout_s": 7, "promise_window_s": 600,
              "caller_id": "+493055500", "preferred_agent": "bob"}},
    {"name": "abroad", "if": '$.region != "DE"', "then": {"priority": -10}},
]}


@pytest.fixture
def adam(world):
    return world.person("adam", stream=False)


def publish(person, document, version, status=200):
    return person.do("PUT", "/v1/rules", document, status, headers={"If-Match": f'"{version}"'})


def placed(world, asked):
    return world.rows("SELECT c.rule_version, c.rule, q.name, c.priority FROM callback c JOIN queue q USING (tenant_id, queue_id)"
                      " WHERE callback_id = %s", asked["id"])[0]


def test_published_at_one_node_they_decide_at_the_other(world, adam):
    other = world.server("b")
    world.until(lambda: other.client().get("/readyz").status_code == 200, "the other is ready")
    assert placed(world, world.visit(other, product="loan", language="fr")) == (None, None, "sales", 0)
    answer = adam.http.get("/v1/rules")
    assert answer.headers["etag"] == '"0"' and answer.json() == {"version": 0, "count": 0, "rules": []}
    sue = world.person("sue")
    assert publish(adam, RULES, 0)["rules"] == {"version": 1, "count": 2, "by": 4}
    told = sue.stream.expect("rules.published")
    assert told["rules"]["version"] == 1 and "loan" not in json.dumps(told)

    # one after the other at the other node, which had no time to hear of it
    loan = world.visit(other, product="loan", language="fr")
    assert placed(world, loan) == (1, 1, "support", 50)
    assert placed(world, world.visit(other, product="loan", language="de")) == (1, None, "sales", 0)
    assert placed(world, world.visit(other, product="loan", phone="+43 1 5345678")) == (1, 2, "sales", -10)

    shown = sue.get(f"/v1/callbacks/{loan['id']}")
    assert shown["rule"] == "french-loans" and shown["callback"]["rule"] == 1
    assert {"rule": "french-loans", "rule_version": 1}.items() <= sue.get(f"/v1/callbacks/{loan['id']}/explain")["placed"].items()
    assert "french-loans" in ctl(world, loan["id"], command="explain")
    assert shown["callback"]["preferred_agent_name"] == "bob" and shown["callback"]["caller_id"] == "+493055500"
    # the contact is told nothing of it
    for answer in (loan, world.servers[0].client().get(world.link(loan), headers={"Accept": "application/json"}).json()):
        assert not {"rule", "rule_version", "caller_id", "preferred_agent"} & set(answer)


def test_the_desk_sees_the_number_to_call_from_and_the_offer_ends_when_the_rule_says(world, adam):
    publish(adam, {"rules": [{"name": "all", "then": RULES["rules"][0]["then"] | {"skills": {}}}]}, 0)
    ann = world.person("ann", ready=True)
    asked = world.visit()
    event = ann.stream.expect("offer.created", offer__callback=asked["id"])
    assert event["callback"]["caller_id"] == "+493055500" and event["seconds_left"] in (6, 7)
    world.advance(6.9)
    world.advance(0.2)
    assert ann.stream.expect("offer.timeout")["offer"]["callback"] == asked["id"]


def test_a_wrong_draft_changes_nothing_and_every_error_is_named(world, adam):
    wrong = {"rules": [{"name": "a", "if": "$.x ==", "then": {"queue": "tea"}}, {"name": "a", "then": {"priority": 5000}}], "extra": 1}
    fields = ["extra", "rules[0].if", "rules[0].then.queue", "rules[1].name", "rules[1].then.priority"]
    assert [e["field"] for e in publish(adam, wrong, 0, 422)["errors"]] == fields
    report = adam.post("/v1/rules/check", wrong)
    assert [e["field"] for e in report["errors"]] == fields and report["warnings"] == []
    assert world.rows("SELECT (SELECT count(*) FROM rule_set), (SELECT count(*) FROM rule),"
                      " (SELECT count(*) FROM event WHERE kind = 'rules.published')") == [(0, 0, 0)]
    assert adam.post("/v1/rules/check", {"rules": [{"name": "a", "then": {}}, {"name": "b", "if": "$.x == 1", "then": {}}]}) == {
        "errors": [], "warnings": [{"field": "rules[1].if", "message": "is never looked at: rules[0] matches always"}]}


def test_nobody_undoes_what_he_has_not_seen(world, adam):
    adam.do("PUT", "/v1/rules", RULES, 428)
    publish(adam, RULES, 0)
    refused = adam.http.put("/v1/rules", json={"rules": []}, headers={"If-Match": '"0"'})
    assert refused.status_code == 412 and refused.headers["etag"] == '"1"'
    for tag in ("1", '"1', 'W/"1"', '"-1"', '"99999999999"', '""', '"x"'):
        adam.do("PUT", "/v1/rules", {"rules": []}, 412, headers={"If-Match": tag})
    adam.do("POST", "/v1/rules/rollback", {"to": 0}, 428)
    adam.do("POST", "/v1/rules/rollback", {"to": 7}, 404, headers={"If-Match": '"1"'})
    for body in ({}, {"to": -1}, {"to": "1"}, {"to": 1, "x": 1}):
        adam.do("POST", "/v1/rules/rollback", body, 422, headers={"If-Match": '"1"'})
    # the same key, asked twice: one version
    for _ in range(2):
        again = adam.do("PUT", "/v1/rules", {"rules": []}, headers={"If-Match": '"1"', "Idempotency-Key": "once"})
        assert again["rules"]["version"] == 2
    assert [v["version"] for v in adam.get("/v1/rules/versions")["versions"]] == [2, 1]


def test_back_to_any_version_and_waiting_callbacks_stay(world, adam):
    publish(adam, RULES, 0)
    waits = world.visit(product="loan", language="fr")
    publish(adam, {"rules": []}, 1)
    assert placed(world, world.visit(product="loan", language="fr")) == (2, None, "sales", 0)
    back = adam.post("/v1/rules/rollback", {"to": 1, "comment": "as it was"}, headers={"If-Match": '"2"'})
    assert back["rules"] == {"version": 3, "from_version": 1, "count": 2, "by": 4}
    assert placed(world, world.visit(product="loan", language="fr")) == (3, 1, "support", 50)
    assert placed(world, waits) == (1, 1, "support", 50)
    now = adam.get("/v1/rules")
    assert now["rules"] == RULES["rules"] == adam.get("/v1/rules/1")["rules"] and now["comment"] == "as it was"
    assert now["published_by"] == "adam" and now["published_at"].endswith("Z")
    for version in ("4", "x", "-1", "12345678901"):
        adam.get(f"/v1/rules/{version}", 404)
    # what they name cannot go away under them
    document = json.load(open(os.path.join(house.SRC, "etc", "demo.json")))
    document["queues"] = document["queues"][:1]
    refused = adam.do("PUT", "/v1/company", document, 422)
    assert 'the queue "support", which the published rule "french-loans" needs, does not exist' in [e["message"] for e in refused["errors"]]


def test_a_trial_says_what_intake_will_do_and_why(world, adam):
    request = {"form": "demo", "language": "fr", "region": "DE", "case": {"product": "loan"}}
    tried = adam.post("/v1/rules/try", {"draft": RULES, "request": request})
    assert tried["rule"] == 1 and tried["name"] == "french-loans" and tried["passed"] == [] and "version" not in tried
    assert tried["place"] == {**RULES["rules"][0]["then"], "preferred_for_s": 60}
    tried = adam.post("/v1/rules/try", {"draft": RULES, "request": request | {"language": "de", "case": {"sent_at": 5}}})
    assert "rule" not in tried and [p["why"] for p in tried["passed"]] == ["is false", "is false"]
    assert tried["place"]["queue"] == "sales" and tried["request"]["case"] == {"sent_at": 5}
    assert adam.post("/v1/rules/try", {"request": request})["passed"] == []
    publish(adam, RULES, 0)
    tried = adam.post("/v1/rules/try", {"request": request})
    assert (tried["version"], tried["rule"]) == (1, 1)
    assert placed(world, world.visit(product="loan", language="fr"))[:2] == (1, 1)
    errors = adam.post("/v1/rules/try", {"draft": {"rules": 1}, "request": {"form": "x", "phone": "1"}}, 422)["errors"]
    assert [e["field"] for e in errors] == ["request.form", "request.phone", "draft.rules"]
    adam.post("/v1/rules/try", {"request": request, "drafts": {}}, 422)
    assert world.rows("SELECT count(*) FROM rule WHERE version = 0") == [(0,)]


HARD = ['$.case.x like_regex "^(a|a)*$"', '$.case.x == $.case.y', 'exists($.case.x[*] ? (@ == $.case.y[*]))', '$.case.x[1 to last].a.b > 3',
        '$.case.x.double() / $.case.y.double() > 1', '$.case.x.keyvalue().key == "a"', '-$.case.x < 3 && +$.case.y > 1', '$.case.x starts with "a"',
        '$.case.x.size() > 2', '$.case.x[$.case.y] == 1', '($.case.x == 1) is unknown', '$.case.x.ceiling() == $.case.y.abs()']
ODD = [None, 0, -1, 9e18, "", "a" * 5000, "1e999", "NaN", [], [[]], [1, 2, 3] * 200, {}, {"a": {"b": [1]}}, True, "\U0001f600", [None], 0.1]


def test_no_post_is_lost_on_a_rule(world, adam):
    """Whatever a visitor sends as case information, no predicate that could be published fails his post, or his neighbours'."""
    publish(adam, {"rules": [{"name": f"r{n}", "if": f"({p}) && $.form like_regex \"^none\"", "then": {}} for n, p in enumerate(HARD)]}, 0)
    with world.servers[0].client() as client:
        for n, x in enumerate(ODD):
            for y in (ODD[n - 1], x):
                answer = client.post("/f/demo", json={"phone": f"+49 30 5550{n:02d}", "x": x, "y": y})
                assert answer.status_code == 201, (x, y, answer.text)
    assert world.rows("SELECT count(*) FROM callback WHERE rule IS NOT NULL OR rule_version <> 1") == [(0,)]
    # and what would fail it cannot be published
    for path in ('$x == 1', '$.case.x.datetime() < "2027-01-01".datetime()', '$.** == 1'):
        assert adam.post("/v1/rules/check", {"rules": [{"name": "a", "if": path, "then": {}}]})["errors"][0]["field"] == "rules[0].if"


def ctl(world, *args, status=0, command="rules"):
    done = subprocess.run([house.CALLBACKCTL, "--socket", world.servers[0].socket, command, *args], capture_output=True, text=True,
                          timeout=house.DEADLINE)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_callbackctl_rules(world, tmp_path):
    def file(name, content):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return str(path)

    assert json.loads(ctl(world, "show")) == {"rules": []}
    good = file("good.json", RULES)
    assert ctl(world, "check", good) == "can be published\n"
    bad = file("bad.json", {"rules": [{"name": "a", "if": "$.", "then": {}}, {"name": "b", "if": "$.", "then": {"queue": "x"}}]})
    said = ctl(world, "check", bad, status=1)
    assert said.count("error: rules[") == 3 and "error: rules[1].then.queue: is not a queue" in said
    assert "error: rules[0].if" in ctl(world, "publish", bad, status=1)
    request = file("request.json", {"form": "demo", "case": {"product": "loan"}})
    said = ctl(world, "try", good, request)
    assert "rule 1 french-loans: is false\nrule 2 abroad: is false\nno rule matches" in said and "queue: sales" in said, said
    assert ctl(world, "publish", good) == "published version 1, rules 2\n"
    fr = file("fr.json", {"form": "demo", "case": {"product": "loan"}, "language": "fr"})
    assert ctl(world, "try", ".", fr).startswith("rule 1 french-loans matches\n")
    assert json.loads(ctl(world, "try", ".", fr, "-j"))["place"]["caller_id"] == "+493055500"
    behind = file("behind.json", {"rules": [{"name": "all", "then": {}}, {"name": "b", "if": "$.x == 1", "then": {}}]})
    said = ctl(world, "publish", behind)
    assert "published version 2, rules 2" in said and "warning: rules[1].if: is never looked at: rules[0] matches always" in said
    assert ctl(world, "rollback", "1", "-r", "too much") == "published version 3, rules 2\n"
    assert json.loads(ctl(world, "show")) == {"comment": "too much", "rules": RULES["rules"]}
    assert json.loads(ctl(world, "show", "2"))["rules"][0]["name"] == "all"
    lines = ctl(world, "versions").splitlines()
    assert len(lines) == 3 and "as version 1" in lines[0] and "too much" in lines[0] and lines[2].endswith(RULES["comment"])
    ctl(world, "rollback", "9", status=1)
    ctl(world, "show", "9", status=1)
    for wrong in (["nonsense"], ["try", good], ["publish"], ["rollback", "x"], ["versions", "1"], ["try", good, request, "more"]):
        ctl(world, *wrong, status=2)
