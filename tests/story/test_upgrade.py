"""The schema is brought forward while servers run: by callbackctl upgrade, from the version that is kept beside this."""

import gzip
import os
import re
import shutil
import subprocess
import threading

import psycopg
import pytest

import house

VERSION = int(re.search(r"SCHEMA_VERSION (\d+)", open(os.path.join(house.SRC, "server/core/schema.h")).read()).group(1))
SQL = os.path.join(house.SRC, "sql")
NEXT = VERSION + 1


def upgrade(world, folder=SQL, status=0, database=None, wait=True, options=()):
    process = subprocess.Popen(
        [house.CALLBACKCTL, "upgrade", "-d", world.cluster.conninfo(database or world.database), "-i", folder, *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if not wait:
        return process
    said = process.communicate(timeout=house.DEADLINE)[0]
    assert process.returncode == status, said
    return said


@pytest.fixture
def old(empty):
    """A database of version 1, with a company that works."""
    empty.cluster.sql("postgres", f"CREATE DATABASE {empty.database}_old")
    empty.database += "_old"
    with gzip.open(os.path.join(house.SRC, "tests/upgrade/001.sql.gz"), "rt") as dump:
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", empty.cluster.conninfo(empty.database)],
                       input=dump.read(), text=True, check=True, stdout=subprocess.DEVNULL)
    empty.rows("UPDATE meta SET is_test = true RETURNING 1")
    return empty


@pytest.fixture
def later(tmp_path):
    """A copy of sql/, to which a story adds the upgrades of years to come."""
    folder = str(tmp_path / "sql")
    shutil.copytree(SQL, folder)

    def add(number, text, **functions):
        with open(os.path.join(folder, "upgrade", f"{number:03d}.sql"), "w") as file:
            file.write(text)
        for name, change in functions.items():
            path = os.path.join(folder, "functions", f"{name}.sql")
            with open(path) as file:
                before = file.read()
            assert change[0] in before, path
            with open(path, "w") as file:
                file.write(before.replace(*change))
        return folder

    return add


def structure(world, database=None):
    done = subprocess.run(["pg_dump", "-s", "--no-owner", "-d", world.cluster.conninfo(database or world.database)],
                          check=True, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if line and not line.startswith(("--", "\\"))]


def data(world):
    """All rows of what an upgrade must carry over, by what version 1 knew of them."""
    return {table: world.rows(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3") for table, columns in {
        "callback": "callback_id, seq, state, reason, due_at, promise_at, agent_id, attempts, offers, linked_to, ended_at",
        "contact": "callback_id, phone, name, email, notes, case_information, consent",
        "note": "callback_id, note_id, body", "offer": "offer_id, seq, state, agent_id", "attempt": "attempt_id, seq, state",
        "event": "seq, at, kind, command_id, callback_id, body::jsonb", "agent": "agent_id, name, password",
        "agent_status": "agent_id, seq, state", "session": "token_hash, agent_id, expires_at", "queue": "queue_id, name, strategy",
        "form": "form_id, form_key, queue_id", "idempotency_key": "form_id, key, callback_id", "secret": "secret_id, purpose, value",
    }.items()}


def test_an_upgraded_schema_is_the_same_as_a_new_one(old):
    before = data(old)
    assert "to be applied: 002" in upgrade(old, options=["-n"])
    assert old.rows("SELECT schema_version FROM meta") == [(1,)], "a dry run applies nothing"
    said = upgrade(old)
    assert said.split("\n")[:-1] == [f"applied {n:03d}" for n in range(2, VERSION + 1)]
    fresh = old.cluster.database()
    different = [f"{a!r} is {b!r}" for a, b in zip(structure(old), structure(old, fresh)) if a != b]
    assert not different, "upgraded and new differ: " + "\n".join(different[:10])
    assert structure(old) == structure(old, fresh)
    for constant in ("SELECT command, from_state, to_state FROM callbackd.transition ORDER BY 1, 2, 3",
                     "SELECT number FROM callbackd.upgrade ORDER BY 1",
                     "SELECT schema_version, oldest_node FROM callbackd.meta"):
        assert old.rows(constant) == old.cluster.sql(fresh, constant)
    assert data(old) == before, "nothing of the company is lost"
    assert upgrade(old) == "nothing to do\n"

    server = old.server()
    old.until(lambda: 'tenant_live{tenant="demo"} 1' in server.client().get("/metrics").text, "the company is loaded")
    (phone,) = old.rows("SELECT c.phone FROM contact c JOIN note USING (tenant_id, callback_id)")[0]
    with server.operator() as operator:
        told = operator.post("/v1/contacts/export", json={"phone": phone}).json()
    assert any(n["text"] == "bought" for c in told["callbacks"] for n in c["notes"])
    assert old.visit()["id"]


def test_the_last_upgrade_is_the_version_that_the_server_was_made_for():
    numbers = sorted(int(name[:3]) for name in os.listdir(os.path.join(SQL, "upgrade")))
    assert numbers == list(range(2, VERSION + 1))


def test_two_upgrades_at_once_are_one(old):
    both = [upgrade(old, wait=False) for _ in range(2)]
    said = [process.communicate(timeout=house.DEADLINE)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(said) == sorted(["".join(f"applied {n:03d}\n" for n in range(2, VERSION + 1)), "nothing to do\n"])
    assert old.rows("SELECT count(*) FROM upgrade") == [(VERSION,)]


def test_an_upgrade_that_fails_leaves_everything_as_it_was(empty, later):
    folder = later(NEXT, "ALTER TABLE tenant ADD COLUMN motto text;\nSELECT 1 / 0;\n")
    before = structure(empty)
    said = upgrade(empty, folder, status=1)
    assert f"{NEXT:03d}.sql:2: ERROR:  division by zero" in said
    assert structure(empty) == before
    assert empty.rows("SELECT schema_version FROM meta") == [(VERSION,)]
    later(NEXT, "ALTER TABLE tenant ADD COLUMN motto text;\n")
    assert upgrade(empty, folder) == f"applied {NEXT:03d}\n"
    assert "no schema callbackd" in upgrade(empty, folder, status=1, database="postgres")
    assert "newer than" in upgrade(empty, status=1), "an older callbackctl"


def test_an_index_is_made_outside_of_the_transaction(empty, later):
    """By whichever of two comes first; the other waits without being waited for."""
    folder = later(NEXT, "-- outside of a transaction: the table is large\nDROP INDEX IF EXISTS event_at;\n"
                         "CREATE INDEX CONCURRENTLY event_at ON event (tenant_id, at);\n")
    both = [upgrade(empty, folder, wait=False) for _ in range(2)]
    assert sorted(process.communicate(timeout=house.DEADLINE)[0] for process in both) == [f"applied {NEXT:03d}\n", "nothing to do\n"]
    assert empty.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'event_at'::regclass") == [(True,)]
    assert empty.rows("SELECT schema_version FROM meta") == [(NEXT,)]


@pytest.mark.parametrize("has, wants", [("tenant", "event"), ("event", "tenant"), ("callback", "agent")])
def test_who_reads_meanwhile_is_no_deadlock(old, has, wants):
    """A reader takes no tenant's lock: he has one table and wants another, at the moment when the upgrade wants all."""
    with psycopg.connect(old.cluster.conninfo(old.database), options="-c search_path=callbackd,public") as reader:
        reader.execute(f"SELECT count(*) FROM {has}")
        process = upgrade(old, wait=False)
        old.until(lambda: old.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND NOT granted") != [(0,)],
                  "the upgrade waits for the reader")
        assert reader.execute(f"SELECT count(*) FROM {wants}").fetchone()[0] >= 0
    said = process.communicate(timeout=house.DEADLINE)[0]
    assert (process.returncode, said) == (0, "".join(f"applied {n:03d}\n" for n in range(2, VERSION + 1)))


class Visitors(threading.Thread):
    """Forms, one after the other, until told to stop; every answer is kept."""

    def __init__(self, world, server):
        super().__init__(daemon=True)
        self.world, self.server, self.asked, self.stopping = world, server, [], threading.Event()
        self.error = None
        self.start()

    def run(self):
        try:
            with self.server.client() as client:
                while not self.stopping.is_set():
                    n = len(self.asked)
                    answer = client.post("/f/demo", json={"phone": f"+4930{40000000 + id(self) % 9999 * 1000 + n}"})
                    assert answer.status_code == 201, answer.text
                    self.asked.append(answer.json()["id"])
        except Exception as error:
            self.error = error

    def finish(self):
        self.stopping.set()
        self.join(house.DEADLINE)
        assert self.error is None, self.error
        return self.asked


def test_servers_of_the_version_before_carry_on(world, later):
    """Two of them, under load, through an upgrade that changes a table and a function, and writes new events."""
    other = world.server("b")
    world.until(lambda: other.client().get("/readyz").status_code == 200, "b is there")
    ann = world.person("ann", ready=False)
    visitors = [Visitors(world, server) for server in world.servers]
    world.until(lambda: all(len(v.asked) > 20 for v in visitors), "a load")
    folder = later(
        NEXT, "ALTER TABLE tenant ADD COLUMN motto text NOT NULL DEFAULT 'we call';\n"
              "CREATE TABLE praise (tenant_id int NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (tenant_id, at));\n",
        load_events=("e.agent_id, e.body\n", "e.agent_id, (e.body::jsonb || '{\"praise\": {\"id\": 1}}')::text\n"))
    assert upgrade(world, folder) == f"applied {NEXT:03d}\n"
    marks = [len(v.asked) for v in visitors]
    for server in world.servers:
        server.wait_log(f"schema=upgraded to={NEXT}")
    world.until(lambda: all(len(v.asked) > m + 20 for v, m in zip(visitors, marks)), "and on")
    asked = [one for v in visitors for one in v.finish()]
    assert world.rows("SELECT count(*) FROM callback") == [(len(asked),)], "each once"
    ann.ready()
    ann.accept(ann.offered())
    other.stop()
    assert other.start().log, "one of them may start again"
    for server in world.servers:
        world.check_projection(server)


def test_an_upgrade_that_was_announced_while_nobody_listened_is_found(world):
    server = world.servers[0]
    mark = os.path.getsize(server.log)

    def listens_again():
        nonlocal mark
        assert world.rows("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND query = 'LISTEN callbackd'""") == [(True,)]
        server.wait_log("tail from=asking to=listening", mark)
        mark = os.path.getsize(server.log)

    before = loads(server)
    listens_again()
    asked = world.visit()
    reached(world, server)
    assert loads(server) == before, "the same version: nothing is loaded again"
    world.rows("UPDATE meta SET schema_version = %s RETURNING 1", NEXT)
    listens_again()
    server.wait_log(f"schema=upgraded to={NEXT}")
    ann = world.person("ann", ready=True)
    ann.accept(ann.offered(asked["id"]))
    world.check_projection(server)


def test_a_database_that_stops_is_not_called_too_old(world):
    """Its last word may come while a connection prepares its statements."""
    server = world.servers[0]
    with psycopg.connect(world.cluster.conninfo(world.database), autocommit=True) as db:
        stop = ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'callbackd'")
        db.execute(stop)
        with db.transaction():
            db.execute("LOCK TABLE pg_catalog.pg_proc")

            def stopped():
                db.execute("SELECT pg_stat_clear_snapshot()")
                return db.execute(stop + " AND wait_event_type = 'Lock'").fetchall()

            world.until(stopped, "statements are being prepared")
            server.wait_log("cannot prepare .* sqlstate 57P01")
            with server.operator() as operator:
                answer = operator.get("/readyz")
            assert answer.status_code == 503 and "callbackctl upgrade" not in answer.text, answer.text
    world.until(lambda: server.client().get("/readyz").status_code == 200, "it is back")


def future(world, kind, body, times=1):
    """What a newer server's functions write."""
    world.rows("""
        INSERT INTO event (tenant_id, seq, at, kind, body)
        SELECT e.tenant_id, e.seq + n, e.at, %s, %s
          FROM (SELECT * FROM event ORDER BY seq DESC LIMIT 1) e, generate_series(1, %s::int) n RETURNING 1""", kind, body, times)


def loads(server):
    with open(server.log) as log:
        text = log.read()
    return len(re.findall("doubt=", text)), len(re.findall("load=done", text))


def reached(world, server):
    head = world.rows("SELECT max(seq) FROM event")[0][0]
    world.until(lambda: f'event_seq{{tenant="demo"}} {head}\n' in server.client().get("/metrics").text, "all is applied")


def test_an_event_of_the_future_is_looked_into_once(world):
    server = world.servers[0]
    sue = world.person("sue")
    doubts, done = loads(server)
    for kind in ("callback.teleported", "agent.praised"):
        for _ in range(5):
            future(world, kind, '{"praise": {"id": 1, "stars": [5]}}', 20)
            reached(world, server)
    assert loads(server) == (doubts + 2, done + 2), "once for each kind"
    server.wait_log("kind=callback.teleported is not known here")
    sue.stream.expect("agent.praised", praise__stars=[5])
    ann = world.person("ann", ready=True)
    asked = world.visit()
    ann.accept(ann.offered(asked["id"]))
    world.check_projection(server)


def test_what_does_not_fit_makes_no_storm_of_loads(world):
    server = world.servers[0]
    doubts, _ = loads(server)
    for _ in range(60):
        future(world, "callback.beamed", '{"callback": "somewhere"}')
    reached(world, server)
    assert 1 <= loads(server)[0] - doubts <= 7
    world.until(lambda: server.client().get("/readyz").status_code == 200, "every doubt is cured")
    asked = world.visit()
    ann = world.person("ann", ready=True)
    ann.accept(ann.offered(asked["id"]))


def ended(server, status):
    assert server.process.wait(house.DEADLINE) == status


def test_a_schema_that_is_too_new_is_refused_in_one_sentence(world, later):
    server = world.servers[0]
    ann = world.person("ann")
    folder = later(NEXT, f"UPDATE meta SET oldest_node = {NEXT};\n")
    upgrade(world, folder)
    sentence = f"the schema is of version {NEXT}, too new for this server, which was made for version {VERSION}"
    server.wait_log(sentence)
    ended(server, 78)
    assert ann.stream.ended.wait(house.DEADLINE), "it stopped in order"
    assert world.rows("SELECT count(*) FROM lease") == [(0,)], "and gave its companies back"
    mark = os.path.getsize(server.log)
    server.start(wait=False)
    ended(server, 78)
    with open(server.log) as log:
        log.seek(mark)
        text = log.read()
    assert len(re.findall(re.escape(sentence), text)) == 1, text


def test_a_schema_that_is_too_old_is_waited_for(old):
    server = house.Server(old, "a")
    old.servers.append(server)
    server.start(wait=False)

    def says():
        with server.operator() as operator:
            answer = operator.get("/readyz")
        return answer.status_code == 503 and "callbackctl upgrade" in answer.text

    old.until(says, "says so at /readyz")
    upgrade(old)
    server.wait_log("ready=yes")
