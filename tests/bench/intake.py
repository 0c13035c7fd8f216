"""Figure 1: form posts, each stored before it is answered, beside pgbench inserting one row of equal size a
transaction in the same cluster; and what a new TLS connection for each post costs, beside nginx's static answer.
"""

import os
import subprocess

import place
from meter import DoesNotCount, cpu

CLIENTS = 32
SHARE = 2_000_000  # numbers that one run may use up
ROW = """
	CREATE TABLE job (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, due_at timestamptz NOT NULL,
		done_at timestamptz, body text NOT NULL);
	ALTER TABLE job ALTER body SET STORAGE PLAIN;
	CREATE INDEX ON job (due_at) WHERE done_at IS NULL"""
INSERT = "INSERT INTO job (due_at, body) VALUES (clock_timestamp() + interval '1 day', :body);\n"


class Intake:
    """The server, its form, and the yardstick's table."""

    def __init__(self, bench):
        self.bench, self.cluster = bench, bench.place.cluster
        self.world = bench.place.world()
        self.plain = place.free_port()
        self.server = bench.place.server(self.world, server__listen_plain=f"127.0.0.1:{self.plain}")
        bench.place.company(self.server, place.company())
        self.world.until(lambda: self.server.client().get("/readyz").status_code == 200, "ready")
        self.runs, self.shown = 0, False
        self.body = 0

    def first_number(self):
        self.runs += 1
        return 10_000_000 + (self.runs - 1) * SHARE

    # ---- what makes a run count ----

    def stored(self):
        return self.world.rows(
            "SELECT count(*), count(DISTINCT c.phone), count(*) FILTER (WHERE b.linked_to IS NOT NULL),"
            " (SELECT count(*) FROM event WHERE kind = 'callback.scheduled')"
            " FROM callback b JOIN contact c USING (tenant_id, callback_id)")[0]

    def check(self, before, got, in_flight):
        """Rows stored = posts answered with success; what was under way when the load stopped may be stored too."""
        rows, numbers, linked, events = self.stored()
        grown = rows - before
        if got["refused"] or got["errors"]:
            raise DoesNotCount(f"{got['refused']} posts were refused, {got['errors']} failed")
        if not got["answers"] <= grown <= got["answers"] + in_flight:
            raise DoesNotCount(f"{got['answers']} posts were answered, {grown} rows stored")
        if numbers != rows or linked:
            raise DoesNotCount(f"{rows} rows have {numbers} numbers; {linked} are linked")
        if events != rows:
            raise DoesNotCount(f"{rows} rows, {events} events")
        form = self.world.rows("SELECT duplicates, address_limit + number_limit + form_limit FROM form")
        if form != [("link", 0)]:
            raise DoesNotCount(f"the duplicate check is not on: {form}")

    def show_checks(self, before, got, in_flight):
        def spoiled(what, spoil, mend):
            self.bench.must_not_count(what, lambda: self.world.sql(spoil), lambda: self.check(before, got, in_flight))
            self.world.sql(mend)

        some = "(SELECT callback_id FROM contact ORDER BY 1 LIMIT 1)"
        spoiled("a number repeated", f"""UPDATE contact SET email = phone, phone = (SELECT max(phone) FROM contact)
            WHERE callback_id = {some}""", f"UPDATE contact SET phone = email WHERE callback_id = {some}")
        spoiled("the duplicate check off", "UPDATE form SET duplicates = 'allow'", "UPDATE form SET duplicates = 'link'")
        spoiled("rows missing", f"""CREATE TABLE kept AS SELECT * FROM callback ORDER BY callback_id LIMIT {in_flight + 1};
            DELETE FROM callback WHERE callback_id IN (SELECT callback_id FROM kept)""",
                "INSERT INTO callback SELECT * FROM kept")

    def counted(self, name, run, in_flight):
        """A run between two looks at what is stored."""
        before = self.stored()[0]
        self.cluster.checkpoint()
        ours, theirs = cpu(self.server.process.pid), self.cluster.cpu()
        with self.bench.profile(self.server):
            got = run()
        got["server_cpu"] = cpu(self.server.process.pid) - ours
        got["postgres_cpu"] = self.cluster.cpu() - theirs
        self.check(before, got, in_flight)
        if not self.shown and self.bench.smoke:
            self.shown = True
            self.show_checks(before, got, in_flight)
        got["rate"] = got["answers"] / got["seconds"]
        got["cost"] = (got["server_cpu"] + got["postgres_cpu"]) / got["answers"] * 1e6
        times = f" p50 {got['p50_ms']:.2f} p99 {got['p99_ms']:.2f} ms," if got["p50_ms"] else ""
        self.bench.say(
            f"  {name}: {got['rate']:,.0f}/s, {got['answers']:,} stored,{times} callbackd"
            f" {got['server_cpu'] / got['seconds']:.0%}, PostgreSQL {got['postgres_cpu'] / got['seconds']:.0%} of a core"
            f" ({got['server_cpu'] / got['answers'] * 1e6:.0f} and {got['postgres_cpu'] / got['answers'] * 1e6:.0f} us a post)")
        return got

    # ---- the runs ----

    def wrk(self, url, seconds, *more):
        output = subprocess.run(
            ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "--timeout", "10s", "-s",
             os.path.join(place.HERE, "intake.lua"), f"{url}/f/bench", "--", str(self.first_number()), *more],
            check=True, capture_output=True, text=True).stdout
        return place.result(output)

    def keep_alive(self, name, url):
        return self.counted(name, lambda: self.wrk(url, self.bench.seconds), CLIENTS)

    def pgbench(self):
        self.cluster.checkpoint()
        script = os.path.join(self.world.dir, "insert.sql")
        with open(script, "w") as file:
            file.write(INSERT)
        before, busy = self.rows_beside(), self.cluster.cpu()
        output = subprocess.run(
            [os.path.join(place.house.pg_bin(), "pgbench"), "-h", self.cluster.dir, "-U", "callbackd", "-n", "-M",
             "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(self.bench.seconds), "-f", script, "-D",
             f"body={'x' * self.body}", "yardstick"], check=True, capture_output=True, text=True).stdout
        rate = float(output.split("tps = ")[1].split()[0])
        committed = int(output.split("actually processed: ")[1].split()[0])
        grown = self.rows_beside() - before
        if grown != committed:
            raise DoesNotCount(f"pgbench committed {committed} rows and stored {grown}")
        busy = self.cluster.cpu() - busy
        cost = busy / committed * 1e6
        self.bench.say(f"  pgbench -c {CLIENTS} -j 2: {rate:,.0f}/s, PostgreSQL {busy / self.bench.seconds:.0%} of a core"
                       f" ({cost:.0f} us a row)")
        return rate, cost

    def rows_beside(self):
        return self.cluster.sql("yardstick", "SELECT count(*) FROM job")[0][0]

    def make_yardstick(self):
        """A table whose row is as large as what one post stores."""
        size = self.world.rows(
            "SELECT round(avg(pg_column_size(b) + pg_column_size(c) + pg_column_size(e)))::int FROM callback b"
            " JOIN contact c USING (tenant_id, callback_id) JOIN event e USING (tenant_id, callback_id)")[0][0]
        self.cluster.sql("postgres", "CREATE DATABASE yardstick")
        self.cluster.sql("yardstick", ROW)
        self.body = size
        for _ in range(2):  # the row's own overhead is known from a row
            self.cluster.sql("yardstick", f"TRUNCATE job; INSERT INTO job (due_at, body) SELECT now(), repeat('x', {self.body})")
            self.body += size - self.cluster.sql("yardstick", "SELECT pg_column_size(j) FROM job j")[0][0]
        self.cluster.sql("yardstick", "TRUNCATE job RESTART IDENTITY")
        self.bench.say(f"  one post stores {size} bytes in callback, contact and event; so does a row of the yardstick")

    def connect(self, port, path, how):
        program = os.path.join(place.house.BUILD, "bench_connect")
        output = subprocess.run([program, str(port), path, str(self.bench.seconds), "16", str(self.first_number()), how],
                                check=True, capture_output=True, text=True).stdout
        got = place.result(output)
        wanted = got["answers"] if how == "resumed" else 0
        if abs(got["resumed"] - wanted) > 16:  # each client's first connection cannot be
            raise DoesNotCount(f"{got['resumed']} of {got['answers']} connections were resumed, not {wanted}")
        return got

    def connect_ours(self, how):
        got = self.counted(f"a new connection each, {how}", lambda: self.connect(self.server.port, "/f/bench", how), 0)
        return got["server_cpu"] / got["answers"] * 1e6

    def connect_nginx(self, nginx, how):
        pid, port = nginx
        before = cpu(pid)
        got = self.connect(port, "/", how)
        cost = (cpu(pid) - before) / got["answers"] * 1e6
        if got["refused"] or got["errors"]:
            raise DoesNotCount(f"nginx: {got}")
        self.bench.say(f"  nginx, static 201, {how}: {got['answers'] / got['seconds']:,.0f}/s, {cost:.0f} us each")
        return cost


def measure(bench):
    intake = Intake(bench)
    bench.place.check_durable()
    intake.wrk(f"http://127.0.0.1:{intake.plain}", bench.warm)
    intake.make_yardstick()
    yardstick, plain, tls = [], [], []
    for _ in range(bench.rounds):
        yardstick.append(intake.pgbench())
        plain.append(intake.keep_alive("form posts, plain HTTP", f"http://127.0.0.1:{intake.plain}"))
        tls.append(intake.keep_alive("form posts over TLS", intake.server.url))
    rates, costs = zip(*yardstick)
    for name, runs in (("intake", plain), ("intake_tls", tls)):
        bench.report.add(name, "posts/s", [run["rate"] for run in runs], rates, "pgbench rows/s", floor=1.0, aim=1.6, of="ratio")
        # Of callbackd and PostgreSQL together, beside PostgreSQL's own: what can be compared on a busy machine, too.
        bench.report.add(f"{name}_cpu", "CPU-us/post", [run["cost"] for run in runs], costs, "pgbench, per row", better="less")

    nginx = bench.place.nginx()
    for how in ("full", "resumed"):
        ours, theirs = [], []
        for _ in range(bench.rounds):
            ours.append(intake.connect_ours(how))
            theirs.append(intake.connect_nginx(nginx, how))
        bench.report.add(f"intake_connect_{how}", "CPU-us/post", ours, theirs, "nginx static 201", better="less")
    intake.server.stop()
