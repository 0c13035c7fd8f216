"""The procedures of callbackd(8), BACKUP AND RESTORE: a backup is made while the server works, more happens, and the
older state is restored on another cluster. The server begins a new epoch on it, desks and supervisors are reset, and
nobody is called twice of whom the restored database knows that he was called."""

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time

import pytest

import house


class Restored(house.Cluster):
    """A cluster that is not made but filled."""

    def __init__(self, old, fill):
        self.dir = tempfile.mkdtemp(prefix="callbackd-story-", dir="/tmp")
        self.data, self.as_user, self.databases = os.path.join(self.dir, "data"), old.as_user, 0
        if self.as_user:
            user = pwd.getpwnam(self.as_user)
            os.chown(self.dir, user.pw_uid, user.pw_gid)
        os.chmod(self.dir, 0o755)
        fill(self)

    def configure(self, *lines):
        with open(os.path.join(self.data, "postgresql.conf"), "a") as conf:
            conf.write("".join(f"{line}\n" for line in (f"unix_socket_directories = '{self.dir}'", *lines)))

    def recover(self, *lines):
        """recovery.signal is what makes it another history, with an archive and without."""
        self.configure(*lines, "recovery_target_action = promote")
        with open(os.path.join(self.data, "recovery.signal"), "w"):
            pass
        if self.as_user:
            shutil.chown(os.path.join(self.data, "recovery.signal"), self.as_user)
        self.start()
        end = time.monotonic() + house.DEADLINE
        while self.sql("postgres", "SELECT pg_is_in_recovery()")[0][0]:
            assert time.monotonic() < end, "it stays a standby"
            time.sleep(0.02)  # the end of a recovery has no event for others


class PointInTime:
    """pg_basebackup, and an archive from which the log is replayed up to a point."""

    def __init__(self, world):
        self.cluster = world.cluster
        self.archive = os.path.join(self.cluster.dir, "archive")
        self.backup = os.path.join(self.cluster.dir, type(self).__name__)
        os.mkdir(self.archive)
        if self.cluster.as_user:
            shutil.chown(self.archive, self.cluster.as_user)
        self.cluster.sql("postgres", "ALTER SYSTEM SET archive_mode = on")
        self.cluster.sql("postgres", f"ALTER SYSTEM SET archive_command = 'test ! -f {self.archive}/%f && cp %p {self.archive}/%f'")
        self.cluster.stop()
        self.cluster.start()

    def early(self):
        self.cluster.run("pg_basebackup", "-d", f"host={self.cluster.dir} user=callbackd", "-D", self.backup, "-c", "fast", "-N")

    def point(self):
        self.cluster.sql("postgres", "SELECT pg_create_restore_point('before_the_mistake')")

    def late(self):
        self.cluster.stop()  # what was written last is archived

    def fill(self, new):
        subprocess.run(["cp", "-a", self.backup, new.data], check=True)
        new.recover(f"restore_command = 'cp {self.archive}/%f %p'", "recovery_target_name = 'before_the_mistake'")


class BaseBackup(PointInTime):
    """pg_basebackup alone."""

    def __init__(self, world):
        self.cluster = world.cluster
        self.backup = os.path.join(self.cluster.dir, type(self).__name__)

    def early(self):
        pass

    def point(self):
        super().early()

    def late(self):
        self.cluster.stop("immediate")

    def fill(self, new):
        subprocess.run(["cp", "-a", self.backup, new.data], check=True)
        new.recover("restore_command = 'false'")


class Dump:
    """pg_dump, into a cluster that has only just been made."""

    def __init__(self, world):
        self.world, self.cluster = world, world.cluster
        self.file = os.path.join(world.dir, "callbackd.dump")

    def early(self):
        pass

    def point(self):
        subprocess.run(["pg_dump", "-Fc", "-d", self.cluster.conninfo(self.world.database), "-f", self.file], check=True)

    def late(self):
        self.cluster.stop("immediate")

    def fill(self, new):
        new.run("initdb", "-D", new.data, "-U", "callbackd", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        new.configure("listen_addresses = ''", "fsync = off")
        new.start()
        new.sql("postgres", f"CREATE DATABASE {self.world.database}")
        subprocess.run(["pg_restore", "-1", "-d", new.conninfo(self.world.database), self.file], check=True)


class Posters(threading.Thread):
    """Visitors who go on whatever is done to the database."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.stopping, self.acknowledged = world, False, []
        self.changed = threading.Condition()
        self.start()

    def run(self):
        while not self.stopping:
            asked = self.world.visit()
            with self.changed:
                self.acknowledged.append(asked["id"])
                self.changed.notify_all()
            time.sleep(0.1)  # ten a second: all of them are called in the end

    def wait_for(self, more):
        with self.changed:
            goal = len(self.acknowledged) + more
            assert self.changed.wait_for(lambda: len(self.acknowledged) >= goal, house.DEADLINE)
            return list(self.acknowledged)

    def finish(self):
        self.stopping = True
        self.join(house.DEADLINE)


@pytest.fixture
def world(cluster):
    folder = tempfile.mkdtemp(prefix="cb-", dir="/tmp")
    # the administrator's tool has no clock but the real one: this story begins now, and its clock stands
    world = house.World(cluster, house.certificate(folder), folder, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    yield world
    try:
        world.close()
    finally:
        shutil.rmtree(folder)


def serve(person, callback=None):
    """The agent takes what he is offered and finishes it. What it was."""
    offer = person.offered(callback)
    person.accept(offer)
    version = person.stream.expect("offer.accepted", callback__id=offer["callback"])["callback"]["seq"]
    person.post(f"/v1/callbacks/{offer['callback']}/done", {"version": version, "disposition": "sold"})
    person.ready()
    return offer["callback"]


@pytest.mark.parametrize("way", [PointInTime, BaseBackup, Dump])
def test_restored_to_an_older_point(world, way):
    way = way(world)
    server = world.server()
    world.company()
    ann, bob, sue = world.person("ann", ready=True), world.person("bob"), world.person("sue")
    finished = serve(ann, world.visit()["id"])
    in_call = world.visit()["id"]
    offer = ann.offered(in_call)
    ann.accept(offer)
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]
    attempt = ann.post(f"/v1/callbacks/{in_call}/call", {"version": version})["attempt"]["id"]
    waiting = world.visit()["id"]

    posters = Posters(world)
    posters.wait_for(10)
    way.early()
    promised = posters.wait_for(10)
    way.point()
    # what the restored database will not know: a call that was made, a callback that was promised
    bob.ready()
    forgotten = serve(bob, waiting)
    bob.not_ready()
    posters.wait_for(10)
    posters.finish()
    promised_late = world.visit()["id"]
    sue.stream.expect("callback.scheduled", callback__id=promised_late)
    seen = {person.name: person.stream.last_id for person in (ann, bob, sue)}
    for person in (ann, bob, sue):
        person.stream.cut()
    server.stop()
    way.late()

    old, world.cluster = world.cluster, Restored(world.cluster, way.fill)
    try:
        restored(world, server, seen, finished=finished, in_call=in_call, attempt=attempt, waiting=waiting,
                 forgotten=forgotten, promised=promised, promised_late=promised_late)
    finally:
        for one in world.servers:
            one.stop()
        world.check_log()
        world.cluster.remove()
        world.servers.clear()
        old.start()
        world.cluster = old


def tool(world, verb, text=""):
    env = {**os.environ, "PGHOST": world.cluster.dir, "PGUSER": "callbackd", "PGDATABASE": world.database}
    return subprocess.run([os.path.join(house.SRC, "contrib", "ha", "restored"), verb], env=env, input=text, text=True,
                          check=True, stdout=subprocess.PIPE).stdout


def restored(world, server, seen, finished, in_call, attempt, waiting, forgotten, promised, promised_late):
    ann, bob, sue = world.people
    # before the server: what was called since is found out from elsewhere, and will not be called again
    unsure = {line.split(",")[0] for line in tool(world, "list").splitlines()[1:]}
    assert {waiting, in_call} <= unsure and finished not in unsure
    assert "cancelled" in tool(world, "cancel", forgotten + "\n")
    server.start()
    epoch, after = world.rows("SELECT epoch, after_seq FROM epoch ORDER BY epoch DESC LIMIT 1")[0]
    assert epoch > 1 and world.rows("SELECT epoch FROM tenant") == [(epoch,)]
    assert int(seen["sue"].split(".")[1]) > after, "nothing was forgotten: not an older point"
    there = {str(i): state for i, state in world.rows("SELECT callback_id, state FROM callback")}
    assert set(promised) <= set(there) and promised_late not in there
    assert (there[finished], there[in_call], there[waiting]) == ("completed", "establishing", "cancelled")
    offers_before = world.rows("SELECT count(*) FROM offer")[0][0]

    for person in (ann, bob, sue):
        person.stream = house.Stream(server, person.token, seen[person.name], person.name)
        reset = person.stream.expect("reset")
        assert int(reset["id"].split(".")[0]) == epoch
    assert [c["callback"]["id"] for c in ann.state()["callbacks"]] == [in_call]

    # the call that was under way is still hers, and the same attempt; then everything that waits is worked off
    ann.post(f"/v1/attempts/{attempt}/ended", {"outcome": "no_answer"})
    version = ann.stream.expect("call.ended")["callback"]["seq"]
    ann.post(f"/v1/callbacks/{in_call}/done", {"version": version, "disposition": "sold"})
    bob.ready()
    left = sum(state == "scheduled" for state in there.values())
    served = [serve(bob) for _ in range(left)]
    assert sorted(served) == sorted(i for i, state in there.items() if state == "scheduled")
    assert forgotten not in served
    assert world.rows("SELECT count(*) FROM offer")[0][0] == offers_before + left
    assert world.rows("SELECT attempt_id FROM attempt WHERE callback_id = %s", in_call)[0][0].hex == attempt.replace("-", "")
    assert world.rows("SELECT count(*) FROM callback WHERE state NOT IN ('completed', 'cancelled')") == [(0,)]
    twice = world.rows("SELECT callback_id FROM offer WHERE state = 'accepted' GROUP BY 1 HAVING count(*) > 1")
    assert not twice


def settle(cluster, database):
    return cluster.sql(database, "SELECT set_config('search_path', 'callbackd,public', false), epoch_settle()")[0][1]


def test_a_copy_is_another_history_when_postgresql_is_told(cluster):
    """Into the same database from its own dump; and a copy of the files, with recovery.signal and, as a warning, without."""
    database = cluster.database()
    cluster.sql(database, "SELECT set_config('search_path', 'callbackd,public', false), tenant_create('copied')")
    assert settle(cluster, database) == 1
    dump = os.path.join(cluster.dir, "copied.dump")
    with open(dump, "wb") as out:
        subprocess.run(["pg_dump", "-Fc", "-d", cluster.conninfo(database)], check=True, stdout=out)
    subprocess.run(["pg_restore", "--clean", "-1", "-d", cluster.conninfo(database), dump], check=True)
    epoch = settle(cluster, database)
    assert epoch > 1
    cluster.stop("immediate")
    cluster.start()
    assert settle(cluster, database) == epoch, "a crash is no other history"
    cluster.stop("immediate")
    try:
        for told in (True, False):
            copy = Restored(cluster, lambda new, told=told: take_files(cluster, new, told))
            assert (settle(copy, database) > epoch) == told
            copy.remove()
    finally:
        cluster.start()


def take_files(old, new, told):
    subprocess.run(["cp", "-a", old.data, new.data], check=True)
    if told:
        new.recover("restore_command = 'false'")
    else:
        new.configure()
        new.start()
