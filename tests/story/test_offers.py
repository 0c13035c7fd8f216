"""From the visitor's form to the agent's desk and through the call: what happens to offers."""


def test_a_form_post_reaches_an_agent_and_is_done(world):
    ann = world.person("ann", ready=True)
    asked = world.visit(name="Carla Contact", subject="A loan", product="loan", notes="after lunch")
    assert asked["state"] == "queued"

    event = ann.stream.expect("offer.created", offer__callback=asked["id"])
    assert event["seconds_left"] > 0
    detail = event["detail"]
    assert detail["contact"]["name"] == "Carla Contact"
    assert detail["contact"]["phone"].startswith("+4930")
    assert detail["subject"] == "A loan"
    assert detail["case_information"] == {"product": "loan"}
    assert detail["interactions"]["in_progress"]["callback"] == 0

    ann.accept(event["offer"])
    accepted = ann.stream.expect("offer.accepted")["callback"]
    assert accepted["state"] == "ready_to_call"

    call = ann.post(f"/v1/callbacks/{asked['id']}/call", {"version": accepted["seq"]})
    attempt = call["attempt"]["id"]
    assert ann.stream.expect("call.establishing")["callback"]["state"] == "establishing"
    ann.post(f"/v1/attempts/{attempt}/ended", {"outcome": "busy"})
    again = ann.stream.expect("call.ended")
    assert again["attempt"]["state"] == "busy"
    assert again["callback"]["state"] == "ready_to_call", "the same agent keeps it"

    call = ann.post(f"/v1/callbacks/{asked['id']}/call", {"version": again["callback"]["seq"]})
    attempt = call["attempt"]["id"]
    ann.post(f"/v1/attempts/{attempt}/connected")
    ann.post(f"/v1/attempts/{attempt}/hold")
    ann.post(f"/v1/attempts/{attempt}/retrieve")
    ann.post(f"/v1/attempts/{attempt}/ended")
    ended = ann.stream.expect("call.ended")
    assert ended["attempt"]["state"] == "answered"
    ann.post(f"/v1/callbacks/{asked['id']}/notes", {"text": "wants 10,000"})
    version = ann.stream.expect("callback.noted")["callback"]["seq"]
    ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "sold"})
    assert ann.stream.expect("callback.completed")["callback"]["reason"] == "sold"
    assert ann.stream.expect("agent.after_call_work")["status"]["state"] == "after_call_work"

    world.advance(120)
    assert ann.stream.expect("agent.ready")["status"]["state"] == "ready"
    kinds = [e["kind"] for e in ann.stream.events]
    assert kinds.count("offer.created") == 1
    ids = [int(e["id"].split(".")[1]) for e in ann.stream.events]
    assert ids == sorted(set(ids))


def test_a_rejected_callback_goes_to_the_other_agent(world):
    ann, bob = world.person("ann", ready=True), world.person("bob", ready=True)
    asked = world.visit()
    first, second = (ann, bob) if holder(world, asked) == "ann" else (bob, ann)
    offer = first.offered(asked["id"])
    first.reject(offer, reason="lunch")
    assert second.offered(asked["id"])["agent"] != offer["agent"]
    second.accept(second.state()["offers"][0]["offer"])


def test_an_offer_nobody_answers_is_redirected(world):
    ann, bob = world.person("ann", ready=True), world.person("bob", ready=True)
    asked = world.visit()
    first, second = (ann, bob) if holder(world, asked) == "ann" else (bob, ann)
    offer = first.offered(asked["id"])
    world.advance(61)
    assert first.stream.expect("offer.timeout")["offer"]["id"] == offer["id"]
    late = first.accept(offer, status=409)
    assert late["type"].endswith("offer-not-pending")
    assert late["offer"]["state"] == "timeout"
    second.offered(asked["id"])


def test_everybody_tried_then_the_first_is_asked_again(world):
    ann, bob = world.person("ann", ready=True), world.person("bob", ready=True)
    asked = world.visit()
    for _ in range(2):
        world.until(lambda: pending(world, asked), "offered")
        who = ann if holder(world, asked) == "ann" else bob
        who.reject(who.offered(asked["id"]))
    world.until(lambda: pending(world, asked), "a second round, without waiting for the cool-down")
    agents = [a for a, in world.rows("SELECT a.name FROM offer o JOIN agent a USING (tenant_id, agent_id) "
                                     "WHERE callback_id = %s ORDER BY o.seq", asked["id"])]
    assert len(agents) == 3 and set(agents[:2]) == {"ann", "bob"}


def test_who_misses_too_many_rests_and_comes_back(world):
    world.company(queues__0__missed_limit=2, queues__0__missed_rest_s=300, queues__1__missed_limit=2,
                  queues__1__missed_rest_s=300)
    ann = world.person("ann", ready=True)
    world.visit()
    for _ in range(2):
        ann.offered()
        world.advance(130)
    assert ann.stream.expect("agent.not_ready")["status"]["reason"] == "missed"
    assert ann.state()["offers"] == []
    world.advance(301)
    ann.stream.expect("agent.ready")
    ann.offered()


def test_ring_all_first_accept_wins(world):
    world.company(queues__0__strategy="ring_all", queues__1__strategy="ring_all")
    ann, bob = world.person("ann", ready=True), world.person("bob", ready=True)
    asked = world.visit()
    offers = {p: p.offered(asked["id"]) for p in (ann, bob)}
    ann.accept(offers[ann])
    assert bob.stream.expect("offer.rescinded")["offer"]["id"] == offers[bob]["id"]
    assert bob.accept(offers[bob], status=409)["offer"]["state"] == "rescinded"
    holders = world.rows("SELECT a.name FROM callback JOIN agent a USING (tenant_id, agent_id) WHERE callback_id = %s", asked["id"])
    assert holders == [("ann",)]


def test_ring_all_two_accept_in_the_same_moment(world):
    import concurrent.futures
    import threading
    world.company(queues__0__strategy="ring_all", queues__1__strategy="ring_all", queues__0__after_call_work_s=0,
                  queues__1__after_call_work_s=0)
    people = [world.person("ann", ready=True), world.person("bob", ready=True)]
    for _ in range(10):
        asked = world.visit()
        offers = [person.offered(asked["id"]) for person in people]
        start = threading.Barrier(2)

        def accept(person, offer):
            start.wait()
            return person.http.post(f"/v1/offers/{offer['id']}/accept").status_code
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            codes = list(pool.map(accept, people, offers))
        assert sorted(codes) == [200, 409]
        winner = people[codes.index(200)]
        version = winner.stream.expect("offer.accepted", callback__id=asked["id"])["callback"]["seq"]
        winner.post(f"/v1/callbacks/{asked['id']}/done", {"version": version, "disposition": "sold"})


def test_round_robin_goes_by_turns(world):
    world.company(queues__0__strategy="round_robin", queues__0__after_call_work_s=0)
    desks = {name: world.person(name, ready=True) for name in ("ann", "bob", "sue")}
    serve(world, *offered(world, desks, "ann"))
    serve(world, *offered(world, desks, "bob"), talk_s=60)
    desks["sue"].not_ready()
    world.advance(1)
    desks["sue"].ready()
    person, offer = offered(world, desks, "sue")  # idle for the shortest time, and never asked
    person.reject(offer)
    # back in the queue: ann's turn is the longest ago
    serve(world, desks["ann"], desks["ann"].offered(offer["callback"]))
    # who only had to take it back had his turn before him
    _, offer = offered(world, desks, "bob")
    turn = desks["bob"].state()["status"]["offered_seq"]
    with world.servers[0].operator() as operator:
        answer = operator.post(f"/v1/callbacks/{offer['callback']}/cancel", json={})
    assert answer.status_code == 200, answer.text
    desks["bob"].stream.expect("offer.cancelled")
    assert desks["bob"].state()["status"]["offered_seq"] == turn
    serve(world, *offered(world, desks, "bob"))


def test_fewest_calls_counts_from_the_sign_in(world):
    world.company(queues__0__strategy="fewest_calls", queues__0__after_call_work_s=0)
    desks = {name: world.person(name, ready=True) for name in ("ann", "bob")}
    serve(world, *offered(world, desks, "ann"))
    desks["bob"].not_ready()
    world.advance(1)
    desks["bob"].ready()
    serve(world, *offered(world, desks, "bob"))  # ann is idle for longer, and had one more
    assert [desks[name].state()["status"]["accepted"] for name in ("ann", "bob")] == [1, 1]
    person, offer = offered(world, desks, "ann")  # as many: the longest idle
    person.reject(offer)
    serve(world, desks["bob"], desks["bob"].offered(offer["callback"]))
    serve(world, *offered(world, desks, "ann"))
    assert [desks[name].state()["status"]["accepted"] for name in ("ann", "bob")] == [2, 2], "a rejected one does not count"
    world.advance(1)
    desks["bob"].do("DELETE", "/v1/session")
    desks["bob"] = world.person("bob", ready=True)
    serve(world, *offered(world, desks, "bob"))


def test_least_talk_time_counts_calls_not_callbacks(world):
    world.company(queues__0__strategy="least_talk_time", queues__0__after_call_work_s=0)
    desks = {name: world.person(name, ready=True) for name in ("ann", "bob")}
    serve(world, *offered(world, desks, "ann"), talk_s=60)
    serve(world, *offered(world, desks, "bob"), talk_s=25)
    serve(world, *offered(world, desks, "bob"), talk_s=25)
    serve(world, *offered(world, desks, "bob"), talk_s=25)
    assert [desks[name].state()["status"]["talk_ms"] for name in ("ann", "bob")] == [60000, 75000]
    serve(world, *offered(world, desks, "ann"))


def test_top_down_asks_the_same_first(world):
    world.company(queues__0__strategy="top_down", queues__0__after_call_work_s=0, agents__0__position=2, agents__1__position=1,
                  agents__2__position=2)
    desks = {name: world.person(name, ready=True) for name in ("sue", "ann", "bob")}
    serve(world, *offered(world, desks, "bob"))
    world.advance(1)
    person, offer = offered(world, desks, "bob")
    other, another = offered(world, desks, "ann")  # he is taken; she is set up before sue
    serve(world, person, offer)
    serve(world, other, another)
    world.company(queues__0__strategy="top_down", queues__0__after_call_work_s=0, agents__0__position=2, agents__1__position=3,
                  agents__2__position=1)
    serve(world, *offered(world, desks, "sue"))


def test_random_draws_lots(world):
    world.company(queues__0__strategy="random", queues__0__after_call_work_s=0)
    desks = {name: world.person(name, ready=True) for name in ("ann", "bob")}
    names = []
    for _ in range(24):
        world.advance(1)
        person, offer = offered(world, desks)
        serve(world, person, offer)
        names.append(person.name)
    assert set(names) == {"ann", "bob"}
    assert any(a == b for a, b in zip(names, names[1:])), "they took turns, as by longest_idle"


def test_ring_progressively_rings_one_more(world):
    world.company(queues__0__strategy="ring_progressively", queues__0__ring_step_s=5, queues__0__offer_timeout_s=60,
                  queues__0__after_call_work_s=0, queues__0__ring_max=2)
    desks = {name: world.person(name, ready=True) for name in ("ann", "bob", "sue")}
    _, first = offered(world, desks, "ann")
    assert desks["bob"].state()["offers"] == []
    world.advance(5)
    second = desks["bob"].offered(first["callback"])
    world.advance(30)
    assert desks["sue"].state()["offers"] == [], "two is as many as may"
    desks["ann"].reject(first)  # there is room again. A supervisor sees everybody's offers: hers is meant
    third = desks["sue"].stream.expect("offer.created", offer__agent=3)["offer"]
    assert third["callback"] == first["callback"]
    desks["bob"].accept(second)
    desks["sue"].stream.expect("offer.rescinded", offer__id=third["id"])
    late = desks["sue"].accept(third, status=409)
    assert late["offer"]["state"] == "rescinded"
    assert world.rows("SELECT offers, state FROM callback") == [(3, "ready_to_call")]


def test_ring_progressively_one_that_times_out_and_all_that_reject(world):
    world.company(queues__0__strategy="ring_progressively", queues__0__ring_step_s=15, queues__0__offer_timeout_s=20)
    desks = {name: world.person(name, ready=True) for name in ("ann", "bob")}
    _, first = offered(world, desks, "ann")
    world.advance(15)
    second = desks["bob"].offered(first["callback"])
    world.advance(5)
    assert desks["ann"].stream.expect("offer.timeout")["callback"]["state"] == "offered"
    desks["bob"].reject(second)
    # everybody was tried: from the beginning, with the one who was asked longest ago
    again = desks["ann"].offered(first["callback"])
    assert world.rows("SELECT count(*) FROM offer WHERE state = 'pending'") == [(1,)]
    world.advance(15)
    desks["bob"].offered(first["callback"])
    desks["ann"].accept(again)
    desks["bob"].stream.expect("offer.rescinded")


def test_a_stale_tab_cannot_close_what_came_back(world):
    ann = world.person("ann", ready=True)
    asked = world.visit()
    ann.accept(ann.offered(asked["id"]))
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]
    ann.post(f"/v1/callbacks/{asked['id']}/give_back", {"version": version, "reason": "wrong skill"})
    ann.accept(ann.offered(asked["id"]))
    refused = ann.post(f"/v1/callbacks/{asked['id']}/done", {"version": version}, status=409)
    assert refused["type"].endswith("stale-version")
    assert refused["callback"]["state"] == "ready_to_call"


def test_a_retried_command_gets_the_first_answer(world):
    ann = world.person("ann", ready=True)
    asked = world.visit()
    offer = ann.offered(asked["id"])
    key = {"Idempotency-Key": "accept-once"}
    first = ann.post(f"/v1/offers/{offer['id']}/accept", headers=key)
    second = ann.post(f"/v1/offers/{offer['id']}/accept", headers=key)
    assert first["callback"] == second["callback"]
    assert world.rows("SELECT count(*) FROM event WHERE kind = 'offer.accepted'") == [(1,)]


def test_a_double_click_is_one_command(world):
    import concurrent.futures
    ann = world.person("ann", ready=True)
    asked = world.visit()
    ann.accept(ann.offered(asked["id"]))
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]

    def click(_):
        with world.servers[0].client() as client:
            return client.post(f"/v1/callbacks/{asked['id']}/call", json={"version": version},
                               headers={"Authorization": f"Bearer {ann.token}", "Idempotency-Key": "click"})
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(click, range(10)))
    assert {a.status_code for a in answers} == {200}
    assert len({a.json()["attempt"]["id"] for a in answers}) == 1
    assert world.rows("SELECT count(*) FROM attempt") == [(1,)]


def test_a_later_time_is_kept(world):
    ann = world.person("ann", ready=True)
    asked = world.visit(when="2026-11-24T12:00", time_zone="Europe/Berlin")
    assert asked["state"] == "scheduled"
    assert asked["promise"]["at"] == "2026-11-24T11:00:00.000Z"
    world.advance(7199)
    assert ann.state()["offers"] == []
    world.advance(1)
    ann.offered(asked["id"])


def test_priority_then_promise(world):
    world.company(queues__0__priority=5)
    early = world.visit(when="2026-11-24T10:30", time_zone="Europe/Berlin")
    late = world.visit(when="2026-11-24T10:40", time_zone="Europe/Berlin")
    world.advance(3600)
    ann = world.person("ann", ready=True)
    assert ann.offered()["callback"] == early["id"]
    assert early["id"] != late["id"]


def offered(world, desks, name=None):
    """A visitor comes: (who is offered it, the offer); it is to be the one of that name."""
    asked = world.visit()
    who = holder(world, asked)
    assert name in (None, who)
    return desks[who], desks[who].offered(asked["id"])


def serve(world, person, offer, talk_s=0):
    """Accepts it, talks for so long, and is done."""
    callback = f"/v1/callbacks/{offer['callback']}"
    version = person.accept(offer)["callback"]["seq"]
    if talk_s:
        attempt = person.post(f"{callback}/call", {"version": version})["attempt"]["id"]
        person.post(f"/v1/attempts/{attempt}/connected")
        world.advance(talk_s)
        version = person.post(f"/v1/attempts/{attempt}/ended")["callback"]["seq"]
    person.post(f"{callback}/done", {"version": version, "disposition": "sold"})


def pending(world, asked):
    return world.rows("SELECT 1 FROM offer WHERE callback_id = %s AND state = 'pending'", asked["id"])


def holder(world, asked):
    world.until(lambda: pending(world, asked), "offered")
    return world.rows("SELECT a.name FROM offer o JOIN agent a USING (tenant_id, agent_id) "
                      "WHERE callback_id = %s AND o.state = 'pending'", asked["id"])[0][0]
