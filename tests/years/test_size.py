"""Retention beside a company with a long past: how long its steps hold the tenant's lock, right after the rows came,
when no table has statistics, and later; and that what is open is left whole.
YEARS_ROWS=1000000 for the real size (some minutes to load); contrib/check takes a tenth.
"""

import os
import subprocess

import psycopg

import house

ROWS = int(os.environ.get("YEARS_ROWS", "100000"))
NOW = 1790000000000
HELD_US = 5000


def load(world):
    for name, value in (("autovacuum", "off"), ("max_wal_size", "'8GB'"), ("checkpoint_timeout", "'30min'")):
        world.cluster.sql("postgres", f"ALTER SYSTEM SET {name} = {value}")
    world.cluster.sql("postgres", "SELECT pg_reload_conf()")
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"rows={ROWS}", "-v", f"now={NOW}", "-d",
                    world.cluster.conninfo(world.database), "-f", os.path.join(os.path.dirname(__file__), "load.sql")],
                   check=True, stdout=subprocess.DEVNULL)


class Session:
    """A connection that calls retain() as a node does, and knows the processor's time that each call took."""

    def __init__(self, world):
        self.db = psycopg.connect(world.cluster.conninfo(world.database), autocommit=True,
                                  options="-c search_path=callbackd,public")
        self.tenant = self.db.execute("SELECT tenant_id FROM tenant WHERE name = 'old'").fetchone()[0]
        self.schedstat = f"/proc/{self.db.info.backend_pid}/schedstat"
        self.after, self.held, self.cpu, self.deleted, self.more = 0, [], [], [0, 0], True

    def ran_us(self):
        with open(self.schedstat) as file:
            return int(file.read().split()[0]) / 1000

    def step(self):
        began = self.ran_us()
        callbacks, events, _, self.more, self.after, held = self.db.execute(
            "SELECT * FROM retain(%s::int, %s::bigint, %s::bigint, 5)", (self.tenant, NOW, self.after)).fetchone()
        self.cpu.append(self.ran_us() - began)
        self.held.append(held)
        self.deleted[0] += callbacks
        self.deleted[1] += events

    def steps(self, n):
        while self.more and len(self.held) < n:
            self.step()
        self.db.close()
        return self


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


def shown(name, session):
    print(f"{name}: {len(session.held)} steps, {session.deleted[0]} callbacks, {session.deleted[1]} events; "
          f"lock held p50 {quantile(session.held, .5)} p99 {quantile(session.held, .99)} max {max(session.held)} us; "
          f"processor p50 {quantile(session.cpu, .5):.0f} p99 {quantile(session.cpu, .99):.0f} us", flush=True)


def fits(session):
    """By the processor's time nine of ten, and by the clock those that nobody disturbed: other processes' turns are not
    ours to answer for. The processor's time is that of the whole step, with what it read before it took the lock, so it
    is more than was held. A connection's first step makes its plans, before it takes the lock."""
    assert quantile(session.cpu[1:], .9) < HELD_US
    assert quantile(session.held, .1) < HELD_US


def test_a_step_of_retention_is_short_at_any_size(empty):
    load(empty)
    bare = Session(empty).steps(60)
    shown("without statistics", bare)
    fits(bare)
    empty.rows("UPDATE tenant SET history_days = 3650 RETURNING 1")
    events = Session(empty).steps(60)
    shown("without statistics, the log", events)
    fits(events)
    assert events.deleted[0] == 0 and events.deleted[1] > 0
    empty.rows("UPDATE tenant SET history_days = 85, log_days = 85 RETURNING 1")
    empty.cluster.sql(empty.database, "VACUUM ANALYZE")
    later = Session(empty).steps(150)
    shown("with statistics", later)
    fits(later)

    rest = Session(empty)
    while rest.more:
        rest.step()
    shown("to the end", rest)
    old = f"to_timestamp({NOW} / 1000.0) - 85 * interval '24 hours'"
    assert empty.rows(f"SELECT count(*) FROM callback WHERE ended_at < {old}") == [(0,)]
    open_ones = ROWS // 10
    assert empty.rows("SELECT count(*) FROM callback WHERE ended_at IS NULL") == [(open_ones,)]
    assert empty.rows("SELECT count(*) FROM contact k JOIN callback c USING (tenant_id, callback_id) WHERE c.ended_at IS NULL") == [
        (open_ones,)]
    for table in ("contact", "note", "offer", "attempt", "idempotency_key"):
        assert empty.rows(f"""SELECT count(*) FROM {table} x WHERE NOT EXISTS (SELECT FROM callback c
            WHERE c.tenant_id = x.tenant_id AND c.callback_id = x.callback_id)""") == [(0,)], f"{table} of nobody"
    assert empty.rows(f"SELECT count(*) FROM event WHERE at < {old}") == [(0,)]
