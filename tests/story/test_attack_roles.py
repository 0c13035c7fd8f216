"""Every route, asked by everybody: what each gets is in the table below, and a route that has no row there fails.
Whoever is refused has changed nothing, and nobody from another company is shown a word."""

import json
import os
import re

import pytest

import house
import siege

ASKERS = ["nobody", "contact", "colleague", "holder", "supervisor", "administrator", "foreign agent", "foreign supervisor",
          "foreign administrator", "operator"]
OWN, FOREIGN = ASKERS[2:6], ASKERS[6:9]
LATER = "2026-11-24T15:00"
PHONE = "+49 30 55512345"

# (method, path): what it is done to, the body, and each asker's answer, in the order of ASKERS:
#   nobody contact | colleague holder supervisor administrator | foreign agent, supervisor, administrator | operator
TABLE = {}


def row(method, path, answers, scene="nothing", body=None):
    TABLE[method, path] = (scene, body, dict(zip(ASKERS, map(int, answers.replace("|", " ").split()), strict=True)))


ALL = "{0} {0} | {0} {0} {0} {0} | {0} {0} {0} | {0}"
# the public: whoever asks
row("GET", "/f/{form}", ALL.format(200))
row("OPTIONS", "/f/{form}", ALL.format(204))
row("POST", "/f/{form}", ALL.format(201), body={"phone": "+49 30 99988877"})
row("GET", "/f/{form}/open", ALL.format(200))
row("OPTIONS", "/f/{form}/open", ALL.format(204))
row("POST", "/f/{form}/check", ALL.format(200), body={"phone": "+49 30 99988877"})
row("OPTIONS", "/f/{form}/check", ALL.format(204))
# the demo form's queue has no slots
row("GET", "/f/{form}/slots", ALL.format(404))
row("OPTIONS", "/f/{form}/slots", ALL.format(204))
row("POST", "/f/{form}/holds", ALL.format(404), body={"when": LATER})
row("OPTIONS", "/f/{form}/holds", ALL.format(204))
row("DELETE", "/f/{form}/holds/{id}", ALL.format(404))
row("OPTIONS", "/f/{form}/holds/{id}", ALL.format(204))
row("GET", "/c/{token}", ALL.format(200), "asked")
row("POST", "/c/{token}/cancel", ALL.format(200), "asked")
row("POST", "/c/{token}/reschedule", ALL.format(200), "asked", {"when": "2026-11-24T17:00"})
row("POST", "/c/{token}/now", ALL.format(200), "asked")
row("GET", "/c/{token}/callback.ics", ALL.format(200), "asked")
row("POST", "/v1/session", ALL.format(201), body={"tenant": "demo", "name": "dora", "password": "demo-dora"})
row("GET", "/healthz", ALL.format(200))
row("GET", "/readyz", ALL.format(200))
row("GET", "/metrics", ALL.format(200))
row("GET", "/v1/openapi.json", ALL.format(200))
# oneself
row("DELETE", "/v1/session", "401 401 | 200 200 200 200 | 200 200 200 | 403", "a session")
row("GET", "/v1/me", "401 401 | 200 200 200 200 | 200 200 200 | 200")
row("GET", "/v1/me/state", "401 401 | 200 200 200 200 | 200 200 200 | 403", "held")
row("PUT", "/v1/me/status", "401 401 | 200 200 200 200 | 200 200 200 | 403", body={"state": "not_ready", "reason": "tea"})
row("GET", "/v1/events", "401 401 | 200 200 200 200 | 200 200 200 | 200", "held")
row("GET", "/v1/dispositions", "401 401 | 200 200 200 200 | 200 200 200 | 200")
# what one agent is offered, holds and talks to: his, and his supervisors'
HIS = "401 401 | 404 200 200 200 | 404 404 404 | 200"
ANSWER = "401 401 | 404 200 404 404 | 404 404 404 | 403"     # nobody accepts for another
row("POST", "/v1/offers/{id}/accept", ANSWER, "offered", {})
row("POST", "/v1/offers/{id}/reject", ANSWER, "offered", {})
row("POST", "/v1/callbacks/{id}/call", HIS, "held", {"version": True})
row("POST", "/v1/attempts/{id}/connected", HIS, "dialing", {})
row("POST", "/v1/attempts/{id}/hold", HIS, "connected", {})
row("POST", "/v1/attempts/{id}/retrieve", HIS, "on hold", {})
row("POST", "/v1/attempts/{id}/ended", HIS, "connected", {})
row("POST", "/v1/callbacks/{id}/done", HIS, "held", {"version": True, "disposition": "sold"})
row("POST", "/v1/callbacks/{id}/give_back", HIS, "held", {"version": True})
row("POST", "/v1/callbacks/{id}/retry", HIS, "held", {"version": True, "in_s": 3600})
row("POST", "/v1/callbacks/{id}/cancel", HIS, "held", {"version": True})
row("POST", "/v1/callbacks/{id}/notes", HIS, "held", {"text": "called"})
row("GET", "/v1/callbacks/{id}", HIS, "held")
# the team's
row("GET", "/v1/suppressions", "401 401 | 403 403 200 200 | 403 200 200 | 200")
row("POST", "/v1/suppressions", "401 401 | 403 403 200 200 | 403 200 200 | 200", body={"number": "+4930777", "reason": "opted out"})
row("POST", "/v1/suppressions/remove", "401 401 | 403 403 404 404 | 403 404 404 | 404", body={"number": "+4930778"})
row("GET", "/v1/callbacks/{id}/explain", "401 401 | 403 403 200 200 | 403 404 404 | 200", "asked")
row("GET", "/v1/callbacks", "401 401 | 403 403 200 200 | 403 200 200 | 200", "held")
row("POST", "/v1/callbacks", "401 401 | 201 201 201 201 | 422 422 422 | 201", body={"form": "demo", "phone": "+49 30 99988877"})  # foreign form
row("POST", "/v1/callbacks/{id}/again", "401 401 | 403 403 409 409 | 403 404 404 | 409", "asked", {})     # it has not ended
row("GET", "/v1/callbacks/export", "401 401 | 403 403 200 200 | 403 200 200 | 200", "held")
row("POST", "/v1/callbacks/bulk", "401 401 | 403 403 200 200 | 403 200 200 | 200", "asked",
    {"filter": {"queue": "sales"}, "action": "move", "when": LATER})
row("GET", "/v1/agents", "401 401 | 403 403 200 200 | 403 200 200 | 200")
row("GET", "/v1/queues", "401 401 | 403 403 200 200 | 403 200 200 | 200")
row("POST", "/v1/forms/{key}/check", "401 401 | 403 403 404 404 | 403 404 404 | 404", body={"phone": "+49 30 99988877"})   # nor form
row("GET", "/v1/queues/{name}/slots", "401 401 | 403 403 404 404 | 403 404 404 | 404")   # no queue is called that
row("POST", "/v1/queues/{name}/openings", "401 401 | 403 403 403 404 | 403 403 404 | 404", body={})
row("POST", "/v1/callbacks/{id}/assign", "401 401 | 403 403 200 200 | 403 404 404 | 200", "asked", {"version": True, "agent": "ann"})
# one that waits is nobody's yet: no agent moves it
row("POST", "/v1/callbacks/{id}/reschedule", "401 401 | 403 403 200 200 | 403 404 404 | 200", "asked",
    {"when": "2026-11-24T17:00", "version": True})
row("POST", "/v1/callbacks/{id}/now", "401 401 | 403 403 200 200 | 403 404 404 | 200", "asked", {"version": True})
row("PUT", "/v1/agents/{name}/status", "401 401 | 403 403 200 200 | 403 404 404 | 200", "dora", {"state": "not_ready", "reason": "x"})
row("DELETE", "/v1/agents/{name}/sessions", "401 401 | 403 403 200 200 | 403 404 404 | 200", "dora")
# the company's
row("GET", "/v1/company", "401 401 | 403 403 403 200 | 403 403 200 | 200")
row("PUT", "/v1/company", "401 401 | 403 403 403 200 | 403 403 422 | 200", body="the company")
row("GET", "/v1/secrets", "401 401 | 403 403 403 200 | 403 403 200 | 200")
row("POST", "/v1/secrets", "401 401 | 403 403 403 201 | 403 403 201 | 201", body={"purpose": "link"})
row("DELETE", "/v1/secrets/{id}", "401 401 | 403 403 403 200 | 403 403 404 | 200", "a secret")
PUBLISH = "401 401 | 403 403 403 {0} | 403 403 {0} | {0}"     # each his own company's
RULES = {"rules": [{"name": "all", "then": {"priority": 3}}]}
row("GET", "/v1/rules", PUBLISH.format(200))
row("PUT", "/v1/rules", PUBLISH.format(200), body=RULES)
row("GET", "/v1/rules/versions", PUBLISH.format(200))
row("GET", "/v1/rules/{version}", PUBLISH.format(200))
row("POST", "/v1/rules/check", PUBLISH.format(200), body=RULES)
row("POST", "/v1/rules/try", "401 401 | 403 403 403 200 | 403 403 422 | 200", body={"request": {"form": "demo"}, "draft": RULES})
row("POST", "/v1/rules/rollback", PUBLISH.format(200), body={"to": 0})
COMPANY = "401 401 | 403 403 403 200 | 403 403 200 | 200"       # of a number, each finds his own company's
row("POST", "/v1/contacts/export", COMPANY, "asked", {"phone": "+493055512345"})
row("POST", "/v1/contacts/erase", COMPANY, "asked", {"phone": "+493055512345"})
row("POST", "/v1/callbacks/{id}/erase", "401 401 | 403 403 403 200 | 403 403 404 | 200", "asked", {})
# the machine's
OPERATOR = "401 401 | 403 403 403 403 | 403 403 403 | 200"
row("GET", "/v1/nodes", OPERATOR)
row("GET", "/v1/waits", OPERATOR)
row("GET", "/v1/tenants", OPERATOR)
row("GET", "/v1/test/projection", OPERATOR)
row("POST", "/v1/test/reload", OPERATOR.replace("200", "202"), body={})
row("POST", "/v1/test/clock", OPERATOR, body={"advance_ms": 0})


def routes():
    """As the server has them."""
    found = []
    for name in sorted(os.listdir(os.path.join(house.SRC, "server", "api"))):
        if name.endswith(".c"):
            with open(os.path.join(house.SRC, "server", "api", name), encoding="utf-8") as file:
                found += re.findall(r'\{\s*"([A-Z]+)",\s*"(/[^"]*)",\s*API_', file.read())
    return found


def test_every_route_has_its_row_here():
    assert len(routes()) == len(set(routes())) > 40
    assert sorted(set(routes()) - set(TABLE)) == [], "give them a row in TABLE: who may, and who not"
    assert sorted(set(TABLE) - set(routes())) == [], "they are gone"


def document(name):
    with open(os.path.join(house.SRC, "etc", "demo.json"), encoding="utf-8") as file:
        document = json.load(file)
    document["company"]["name"] = name
    document["forms"][0].update(key=name, address_limit=0, number_limit=0, duplicates="allow")
    if name == "demo":
        document["agents"].append({"name": "dora", "label": "Dora", "password": "demo-dora"})
    return document


class Stage:
    """Two companies, their people, and a callback in whatever state a row wants it."""

    def __init__(self, world):
        self.world, self.server = world, world.servers[0]
        self.operator = self.server.operator()
        for name in ("demo", "rival"):
            assert self.operator.put("/v1/company", json=document(name)).status_code == 200
        self.ann = world.person("ann", ready=True, tenant="demo")
        self.http = {"nobody": self.server.client(), "operator": self.operator, "holder": self.ann.http}
        for asker, tenant, name in (("colleague", "demo", "bob"), ("supervisor", "demo", "sue"), ("administrator", "demo", "adam"),
                                    ("foreign agent", "rival", "ann"), ("foreign supervisor", "rival", "sue"),
                                    ("foreign administrator", "rival", "adam")):
            self.http[asker] = world.person(name, stream=False, tenant=tenant).http
        self.http["contact"] = self.server.client()
        self.made = None        # the scene that is there and was not used up
        self.id = self.token = self.callback = self.version = None

    def scene(self, name):
        if self.made != name:
            self.clear()
            getattr(self, "make_" + name.replace(" ", "_"))()
            self.made = name

    def clear(self):
        """Nothing waits any more, and ann is ready."""
        self.made = None
        for attempt, state in self.live("SELECT attempt_id, state FROM attempt WHERE ended_at IS NULL"):
            how = {"outcome": "no_answer"} if state == "dialing" else {}
            answer = self.operator.post(f"/v1/attempts/{attempt}/ended?tenant=demo", json=how)
            assert answer.status_code == 200, answer.text
        for (callback,) in self.live("SELECT callback_id FROM callback WHERE ended_at IS NULL"):
            answer = self.operator.post(f"/v1/callbacks/{callback}/cancel?tenant=demo", json={})
            assert answer.status_code == 200, answer.text
        assert self.ann.http.put("/v1/me/status", json={"state": "ready"}).status_code == 200

    def live(self, sql):
        return self.world.rows(sql + " AND tenant_id = (SELECT tenant_id FROM tenant WHERE name = 'demo')")

    def make_nothing(self):
        self.callback = None

    def make_asked(self):
        asked = self.world.visit(phone=PHONE, when=LATER, time_zone="Europe/Berlin")
        self.id, self.token = asked["id"], self.world.link(asked).rsplit("/", 1)[1]
        self.callback = asked["id"]
        self.version = self.world.rows("SELECT seq FROM callback WHERE callback_id = %s", asked["id"])[0][0]
        # who has a link has it in his hands, and nothing else
        self.http["contact"].headers["Authorization"] = f"Bearer {self.token}"

    def make_offered(self):
        asked = self.world.visit(phone=PHONE)
        self.callback = asked["id"]
        self.offer = self.ann.offered(asked["id"])
        self.id = self.offer["id"]

    def make_held(self):
        self.make_offered()
        self.ann.accept(self.offer)
        self.version = self.ann.stream.expect("offer.accepted", callback__id=self.callback)["callback"]["seq"]
        self.id = self.callback

    def make_dialing(self):
        self.make_held()
        self.id = self.ann.post(f"/v1/callbacks/{self.callback}/call", {"version": self.version})["attempt"]["id"]

    def make_connected(self):
        self.make_dialing()
        self.ann.post(f"/v1/attempts/{self.id}/connected")

    def make_on_hold(self):
        self.make_connected()
        self.ann.post(f"/v1/attempts/{self.id}/hold")

    def make_dora(self):
        with self.server.client() as client:
            answer = client.post("/v1/session", json={"tenant": "demo", "name": "dora", "password": "demo-dora"})
        assert answer.status_code == 201

    def make_a_secret(self):
        secrets = self.http["administrator"].get("/v1/secrets").json()["secrets"]
        while len(secrets) < 5:
            self.http["administrator"].post("/v1/secrets", json={"purpose": "link"})
            secrets = self.http["administrator"].get("/v1/secrets").json()["secrets"]
        # the other company has none of that number
        self.id = secrets[-2]["id"]

    make_a_session = make_nothing

    def fresh(self, asker):
        """A session to end, of the same person."""
        who = {"colleague": ("demo", "bob"), "holder": ("demo", "ann"), "supervisor": ("demo", "sue"), "administrator": ("demo", "adam"),
               "foreign agent": ("rival", "ann"), "foreign supervisor": ("rival", "sue"), "foreign administrator": ("rival", "adam")}.get(asker)
        if who is None:
            return self.http[asker]
        client = self.server.client()
        answer = client.post("/v1/session", json={"tenant": who[0], "name": who[1], "password": f"demo-{who[1]}"})
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return client

    def ask(self, asker, method, path, body):
        client = self.fresh(asker) if (method, path) == ("DELETE", "/v1/session") else self.http[asker]
        path = (path.replace("{form}", "demo").replace("{token}", str(self.token))
                .replace("{name}", "dora").replace("{id}", str(self.id)).replace("{version}", "0"))
        params = {"wait_s": 0} if path == "/v1/events" else {}
        if asker == "operator":
            params["tenant"] = "demo"
        if body == "the company":
            body = document("demo")
        elif isinstance(body, dict) and body.get("version"):
            body = {**body, "version": self.version}
        answer = client.request(method, path, json=body, params=params, headers={"Accept": "application/json", "If-Match": "*"})
        client.cookies.clear()
        return answer


@pytest.fixture(scope="module")
def stage(module_world):
    module_world.server()
    stage = Stage(module_world)
    yield stage
    for client in stage.http.values():
        client.close()


@siege.STRICT_ONLY
@pytest.mark.parametrize("method, path", sorted(TABLE))
def test_each_gets_what_is_his(stage, method, path):
    scene, body, expected = TABLE[method, path]
    wrong = []
    for asker in ASKERS:
        stage.scene(scene)
        before = state(stage)
        answer = stage.ask(asker, method, path, body)
        if answer.status_code != expected[asker]:
            wrong.append((asker, answer.status_code, expected[asker], answer.text[:300]))
        if answer.status_code >= 400 and state(stage) != before:
            wrong.append((asker, "was refused, and it was done", before, state(stage)))
        # the number he may have said himself
        number = PHONE[-8:] if "contacts" not in path else stage.callback
        if asker in FOREIGN and not path.startswith("/c/") and stage.callback and (stage.callback in answer.text or number in answer.text):
            wrong.append((asker, "sees what is another company's", answer.text[:300]))
        if answer.status_code < 300 and method != "GET":
            stage.made = None
    assert wrong == []


def state(stage):
    """What a request that was refused must leave alone."""
    return stage.live("SELECT (SELECT max(seq) FROM event e WHERE e.tenant_id = tenant.tenant_id AND e.kind NOT IN "
                      "('agent.connected', 'agent.disconnected')), (SELECT count(*) FROM secret s WHERE s.tenant_id = tenant.tenant_id), "
                      "(SELECT count(*) FROM session n WHERE n.tenant_id = tenant.tenant_id) FROM tenant WHERE true")


def test_a_made_up_session_opens_nothing(stage):
    """Not a token of nobody, nor one of another tenant's number, nor one that is nearly right."""
    token = stage.ann.token
    tenant, rest = token.split(".")
    made_up = [".", "1.", "1." + "A" * 43, f"{int(tenant) + 1}.{rest}", f"0{token}", token + "A", token[:-1], token.swapcase(),
               f"{tenant}.{rest[::-1]}", f"-{token}", f"{2**32 + int(tenant)}.{rest}", "operator", "../" + token, "'; DROP TABLE session"]
    # the last letter of 43 carries two bits that decode to nothing
    made_up += [token[:-1] + chr(ord(token[-1]) ^ 1)]
    with stage.server.client() as client:
        for some in made_up:
            for headers in ({"Authorization": f"Bearer {some}"}, {"Cookie": f"callbackd_session={some}"}, {"Authorization": some},
                            {"Authorization": f"Basic {some}"}):
                assert client.get("/v1/me", headers=headers).status_code == 401, (some, headers)
