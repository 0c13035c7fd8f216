"""Figure 2: how late after its due time the offer of a callback has been read from the agent's socket, while so many
others wait for another day; and what PostgreSQL does meanwhile. At three sizes, so that growth shows.
"""

import time

import people
from meter import DoesNotCount, cpu

AGENTS, DUE, OVER_MS = 2000, 2000, 20_000
SIZES = (10_000, 100_000, 1_000_000)
DAY_MS = 86_400_000


class Waiting:
    """A company with that many callbacks pending, its agents free at their desks."""

    def __init__(self, bench, pending):
        self.bench, self.pending, self.cluster = bench, pending, bench.place.cluster
        self.agents = bench.size(AGENTS, 20)
        self.numbers = people.Numbers()
        self.world = bench.place.world()
        self.server = bench.place.server(self.world)
        self.tokens = people.staff(bench, self.world, self.server, self.agents)
        self.desks = None

    def load(self):
        """The first by its intake, all others equal to it; the server is down meanwhile."""
        now = people.now_ms()
        people.submit(self.world, self.numbers, [now + 25 * DAY_MS])
        source, = self.world.rows("SELECT callback_id FROM callback")[0]
        self.server.stop()
        began = time.monotonic()
        people.copy(self.world, self.numbers, source, self.pending - 1, now + DAY_MS, now + 25 * DAY_MS)
        loaded = time.monotonic()
        self.server.start()
        self.world.until(lambda: self.server.client().get("/readyz").status_code == 200, "ready")
        self.bench.say(f"  {self.pending:,} pending: loaded in {loaded - began:.0f} s, ready after {time.monotonic() - loaded:.2f} s")
        self.desks = people.Desks(self.world, self.server, self.tokens)

    def once(self, what):
        count = self.agents * DUE // AGENTS
        over_ms = OVER_MS * count // DUE
        due_ms = people.now_ms() + people.LEAD_MS + count
        people.submit(self.world, self.numbers, [due_ms + i * over_ms // count for i in range(count)])
        people.caught_up(self.world, self.server)
        if people.now_ms() > due_ms - 100:
            raise DoesNotCount("the callbacks were stored too late")
        time.sleep((due_ms - 50 - people.now_ms()) / 1000)
        theirs, ours, began = self.cluster.cpu(), cpu(self.server.process.pid), time.monotonic()
        with self.bench.profile(self.server):
            got = self.desks.tell("watch", count, over_ms + 30_000)
        took = time.monotonic() - began
        busy = (self.cluster.cpu() - theirs) / took
        self.bench.say(f"  {self.pending:,} pending, {what}: late p50 {got['p50_ms']:.2f} p99 {got['p99_ms']:.2f} most"
                       f" {got['max_ms']:.2f} ms; PostgreSQL {busy:.1%}, callbackd"
                       f" {(cpu(self.server.process.pid) - ours) / took:.1%}, the desks {got['cpu'] / took:.1%} of a core")
        self.verify(got, count, due_ms, over_ms)
        return got["p99_ms"], busy * 100

    def verify(self, got, count, due_ms, over_ms):
        if got["offers"] != count:
            raise DoesNotCount(f"{got['offers']} of {count} offers came")
        if got["least_ms"] < -2:  # the server's clock is the database's, to a millisecond
            raise DoesNotCount(f"an offer came {-got['least_ms']} ms before it was due")
        rows = self.world.rows(
            "SELECT count(*), count(DISTINCT callback_id), count(DISTINCT o.agent_id) FROM offer o"
            " JOIN callback c USING (tenant_id, callback_id) WHERE c.due_at BETWEEN from_ms(%s) AND from_ms(%s)",
            due_ms, due_ms + over_ms)[0]
        if rows != (count, count, count):
            raise DoesNotCount(f"{count} callbacks had {rows[0]} offers, to {rows[2]} agents")
        done = self.desks.tell("finish", 120_000)  # and all are free again
        if done["finished"] != count:
            raise DoesNotCount(f"{done['finished']} of {count} were finished")

    def close(self):
        if self.desks is not None:
            self.desks.stop()
        self.server.stop()
        self.world.check_log()


def measure_size(bench, pending, name):
    waiting = Waiting(bench, pending)
    try:
        bench.place.check_durable()
        with waiting.cluster.fresh(waiting.world.database):
            waiting.load()
            fresh = waiting.once("just after the load")
        results = [waiting.once("with statistics") for _ in range(bench.rounds)]
    finally:
        waiting.close()
    limits = {"floor": 10, "aim": 5} if pending == bench.size(SIZES, (1000,))[-1] else {}
    bench.report.add(f"late_p99_{name}_fresh", "ms", [fresh[0]], better="less", **limits)
    bench.report.add(f"late_p99_{name}", "ms", [late for late, _ in results], better="less", **limits)
    if limits:
        limits = {"floor": 10}
    bench.report.add(f"late_postgresql_{name}_fresh", "%core", [fresh[1]], better="less", **limits)
    bench.report.add(f"late_postgresql_{name}", "%core", [busy for _, busy in results], better="less", **limits)


def measure(bench):
    for pending in bench.size(SIZES, (1000,)):
        name = f"{pending // 1000}k"
        measure_size(bench, pending, name)
