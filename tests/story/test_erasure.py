"""A contact asks what is known of him, and to be forgotten."""

import json
import subprocess
import threading

import psycopg

import house

PHONE = "+49 30 12345678"
SECRETS = ("12345678", "Zebra", "zebra", "stripes")


def ctl(world, *args, status=0, stdin=None):
    done = subprocess.run([house.CALLBACKCTL, "--socket", world.servers[0].socket, *args], capture_output=True, text=True,
                          input=stdin, timeout=house.DEADLINE)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def zebra(world, phone=PHONE, **fields):
    return world.visit(phone=phone, name="Zoe Zebra", email="zoe@zebra.example", notes="likes stripes", case_animal="zebra", **fields)


def held(world, name="ann"):
    """Asked, offered, accepted; and the desk that has it."""
    desk = world.person(name, ready=True)
    asked = zebra(world)
    offer = desk.offered(asked["id"])
    return desk, asked, desk.accept(offer)["callback"]["seq"]


def nothing_left(world):
    """In no table, and in no log."""
    for (table,) in world.rows("SELECT relname FROM pg_class WHERE relnamespace = 'callbackd'::regnamespace AND relkind = 'r'"):
        for secret in SECRETS:
            assert world.rows(f"SELECT count(*) FROM {table} x WHERE x::text LIKE %s", f"%{secret}%") == [(0,)], (table, secret)
    for server in world.servers:
        with open(server.log) as log:
            text = log.read()
        assert not [s for s in SECRETS if s in text], f"{server.name}'s log"


def test_an_erased_contact_is_gone_from_the_desk_the_tables_and_the_replay(world):
    server = world.servers[0]
    ann, asked, _ = held(world)
    adam = world.person("adam")
    start = ann.stream.events[0]["id"]
    seen = next(e for e in ann.stream.events if e["kind"] == "offer.created")
    assert seen["detail"]["contact"]["name"] == "Zoe Zebra"
    assert ann.state()["callbacks"][0]["detail"]["contact"]["name"] == "Zoe Zebra"
    answer = adam.post("/v1/contacts/erase", {"phone": PHONE})
    assert answer == {"erased": [asked["id"]], "in_call": [], "complete": True}

    event = ann.stream.expect("callback.erased", callback__id=asked["id"])
    assert event["detail"]["erased"] is True and not event["detail"]["contact"]
    assert (event["callback"]["state"], event["callback"]["reason"]) == ("cancelled", "erased")
    assert ann.state()["callbacks"] == []
    audit = adam.stream.expect("callback.erased")
    assert audit["erased_by"]["role"] == "administrator" and audit["erased_by"]["agent"] > 0

    again = house.Stream(server, ann.token, last_id=start, name="replay")
    again.expect("callback.erased")
    assert not [s for s in SECRETS if s in json.dumps(again.events)]
    replayed = next(e for e in again.events if e["kind"] == "offer.created")
    assert replayed["detail"]["erased"] is True
    again.cut()
    with server.operator() as operator:
        shown = operator.get(f"/v1/callbacks/{asked['id']}").json()
    assert shown["detail"]["erased"] is True and shown["callback"]["state"] == "cancelled"
    with server.client() as client:
        assert client.get(world.link(asked)).status_code == 200
    nothing_left(world)
    ann.ready()
    other = world.visit()
    assert ann.offered(other["id"]), "he is free, and works on"
    world.check_projection(server)


def test_who_is_in_a_call_is_erased_when_it_is_over(world):
    ann, asked, version = held(world)
    call = ann.post(f"/v1/callbacks/{asked['id']}/call", {"version": version})
    refused = ann.server.operator().post(f"/v1/callbacks/{asked['id']}/erase")
    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[1]) == (409, "in-call")
    said = ctl(world, "erase", "--phone", PHONE, status=1)
    assert "0 erased" in said and f"{asked['id']} is in a call" in said
    assert ann.state()["callbacks"][0]["detail"]["contact"]["name"] == "Zoe Zebra", "they talk on"
    ann.post(f"/v1/attempts/{call['attempt']['id']}/ended", {"outcome": "busy"})
    assert "1 erased" in ctl(world, "erase", "--phone", "-", stdin=PHONE + "\n")
    ann.stream.expect("callback.erased")
    assert "0 erased" in ctl(world, "erase", "--phone", PHONE), "again is no mistake"
    nothing_left(world)


def test_all_of_a_number_and_nobody_else(world):
    """Three follow the first; one of another number stays."""
    mine = [zebra(world)["id"] for _ in range(4)]
    other = world.visit(phone="+49 30 87654321", name="Otto")
    told = json.loads(ctl(world, "export-subject", "--phone", PHONE))
    assert [c["callback"]["id"] for c in told["callbacks"]] == mine
    assert told["phone"] == "+493012345678"
    first = told["callbacks"][0]
    assert first["asked"]["name"] == "Zoe Zebra" and first["asked"]["notes"] == "likes stripes"
    assert first["callback"]["created_at"].startswith("2026-11-24T09:") and first["callback"]["state"] == "scheduled"
    before = world.rows("SELECT max(seq) FROM event")[0][0]
    assert "4 erased" in ctl(world, "erase", "--phone", PHONE)
    assert json.loads(ctl(world, "export-subject", "--phone", PHONE))["callbacks"] == []
    kinds = [k for (k,) in world.rows("SELECT kind FROM event WHERE seq > %s ORDER BY seq", before)]
    assert kinds == ["callback.cancelled", "callback.erased"] * 4, "nobody moved up to be called"
    assert world.rows("SELECT state FROM callback WHERE callback_id = %s::uuid", other["id"]) == [("scheduled",)]
    assert world.rows("SELECT name FROM contact WHERE name IS NOT NULL") == [("Otto",)]
    nothing_left(world)
    fresh = zebra(world)
    assert world.rows("SELECT linked_to FROM callback WHERE callback_id = %s::uuid", fresh["id"]) == [(None,)], "a new start"


def test_what_changes_between_the_list_and_the_command_is_named(world):
    """One is dialled meanwhile, one erased by somebody else: the others go all the same."""
    ann, asked, version = held(world)
    others = sorted(zebra(world)["id"] for _ in range(4))
    adam = world.person("adam", stream=False)
    answers = []
    with psycopg.connect(world.cluster.conninfo(world.database), options="-c search_path=callbackd,public") as db:
        db.execute("SELECT tenant_lock(1)")
        request = threading.Thread(target=lambda: answers.append(adam.post("/v1/contacts/erase", {"phone": PHONE})))
        request.start()
        world.until(lambda: world.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == [(1,)],
                    "the list is made, the first command waits")
        agent = world.rows("SELECT agent_id FROM agent WHERE name = 'ann'")[0][0]
        now = world.rows("SELECT ms(max(at)) FROM event")[0][0]
        command = {"role": "administrator", "kind": "erase"}
        db.execute("SELECT * FROM execute(1, %s, jsonb_build_array(%s::jsonb || jsonb_build_object('id', gen_random_uuid()), "
                   "%s::jsonb || jsonb_build_object('id', gen_random_uuid())))",
                   (now, json.dumps({**command, "callback": others[2]}),
                    json.dumps({"role": "agent", "by": agent, "kind": "call", "callback": asked["id"], "version": version})))
    request.join(house.DEADLINE)
    assert answers == [{"erased": others, "in_call": [asked["id"]], "complete": False}]
    assert world.rows("SELECT count(*) FROM contact WHERE erased_at IS NULL") == [(1,)]
    assert world.rows("SELECT state FROM callback WHERE callback_id = %s::uuid", asked["id"]) == [("establishing",)], "they talk on"
    world.check_projection(world.servers[0])


def test_only_administrators_and_the_operator_may(world):
    asked = zebra(world)
    routes = [("/v1/contacts/export", {"phone": PHONE}), ("/v1/contacts/erase", {"phone": PHONE}),
              (f"/v1/callbacks/{asked['id']}/erase", {})]
    for name in ("ann", "sue"):
        person = world.person(name, stream=False)
        for path, body in routes:
            person.post(path, body, status=403)
    with world.servers[0].client() as client:
        for path, body in routes:
            assert client.post(path, json=body).status_code == 401
    adam = world.person("adam", stream=False)
    assert len(adam.post(*routes[0])["callbacks"]) == 1
    for wrong in ("030 12345678", "+", "+49", "zebra", ""):
        adam.post("/v1/contacts/erase", {"phone": wrong}, status=422)
    adam.post("/v1/callbacks/" + "0" * 8 + "-0000-7000-8000-000000000000/erase", {}, status=404)
    adam.post(*routes[2])
    assert adam.post(*routes[2], status=409)["type"].endswith("already-erased")


def test_a_repeated_key_is_erased_once(world):
    asked = zebra(world)
    adam = world.person("adam", stream=False)
    key = {"Idempotency-Key": "forget"}
    first = adam.post(f"/v1/callbacks/{asked['id']}/erase", {}, headers=key)
    assert adam.post(f"/v1/callbacks/{asked['id']}/erase", {}, headers=key) == first
    assert world.rows("SELECT count(*) FROM event WHERE kind = 'callback.erased'") == [(1,)]


def test_a_form_sent_again_after_erasure_is_a_new_request(world):
    """Its key went with the data: that was made of it."""
    def post():
        with world.servers[0].client() as client:
            return client.post("/f/demo", json={"phone": PHONE, "name": "Zoe Zebra"}, headers={"Idempotency-Key": "k"}).json()["id"]

    first = post()
    assert post() == first
    ctl(world, "erase", first)
    second = post()
    assert second != first
    assert world.rows("SELECT count(*) FROM callback") == [(2,)]
