"""Numbers that are not called: by callbackctl, by a supervisor, for what is due and what is in hand."""

from test_operations import ctl


def test_an_opted_out_number_rings_nowhere(world):
    ann, sue = world.person("ann", ready=True), world.person("sue")
    assert ctl(world, "suppress", "-p", "+49301111111", "-r", "opted out") == "suppressed\n"
    assert "opted out" in ctl(world, "show", "suppressions")
    asked = world.visit(phone="+49 30 1111111")
    failed = sue.stream.expect("callback.failed", callback__id=asked["id"])
    assert (failed["callback"]["reason"], failed["suppression"]) == ("suppressed", {"reason": "opted out"})
    assert ann.state()["offers"] == []
    said = sue.get(f"/v1/callbacks/{asked['id']}/explain")
    assert said["now"]["sentence"] == "It has ended: failed, suppressed."

    assert ctl(world, "unsuppress", "-p", "+49301111111") == "no longer suppressed\n"
    again = world.visit(phone="+49 30 1111111")
    ann.accept(ann.offered(again["id"]))


def test_who_opts_out_while_an_agent_has_him_is_not_dialled(world):
    ann, sue = world.person("ann", ready=True), world.person("sue", stream=False)
    asked = world.visit(phone="+49 30 2222222")
    ann.accept(ann.offered(asked["id"]))
    version = ann.state()["callbacks"][0]["callback"]["seq"]
    sue.post("/v1/suppressions", {"number": "+4930222", "reason": "a whole block", "until": "2026-11-24T10:00:00Z"})
    refused = ann.post(f"/v1/callbacks/{asked['id']}/call", {"version": version}, status=409)
    assert refused["type"].endswith("/suppressed")
    ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "wrong_number"})


def test_what_is_wrong_is_named_and_nothing_is_logged(world):
    sue = world.person("sue", stream=False)
    wrong = sue.post("/v1/suppressions", {"number": "030", "reason": "x", "until": "soon"}, status=422)
    assert [e["field"] for e in wrong["errors"]] == ["until"]
    wrong = sue.post("/v1/suppressions", {"number": "030", "reason": "x"}, status=422)
    assert [e["field"] for e in wrong["errors"]] == ["number"]
    sue.post("/v1/suppressions", {"number": "+493033333", "reason": "x"})
    assert sue.get("/v1/suppressions")["suppressions"][0]["number"] == "+493033333"
    with open(world.servers[0].log) as log:
        assert "3033333" not in log.read()
    assert world.rows("SELECT count(*) FROM event WHERE body LIKE '%3033333%'") == [(0,)]
