"""Agents at their desks, by the thousand, and what is stored for them: sessions and callbacks made by the functions
that the server itself calls, or, for a million, copied from a row that a post has made.
"""

import base64
import hashlib
import json
import os
import queue
import re
import secrets
import subprocess
import threading
import time
import uuid

import place
from meter import DoesNotCount

WEEK_MS = 7 * 86_400_000
LEAD_MS = 8000  # from the storing of what is to fall due until it does, and a ms for each: also when the machine is busy


def now_ms():
    return int(time.time() * 1000)


def uuid7(ms):
    """As the server makes them: the time first, so that neighbours in time are neighbours in an index."""
    bits = ms << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=bits))


def statement(name):
    """The text with which the server itself calls that function, with psycopg's parameters."""
    with open(os.path.join(place.house.SRC, "server", "db", "statement.def")) as file:
        text = re.search(rf'^STATEMENT\({name}, 3, "(.*)"\)$', file.read(), re.M).group(1)
    return re.sub(r"\$\d", "%s", text)


def called(world, function, rows):
    """submit() or execute() of some rows, each of which must be taken."""
    tenant, = world.rows("SELECT max(tenant_id) FROM tenant")[0]
    for begin in range(0, len(rows), 500):
        refused = world.rows(
            f"SELECT kind, body FROM ({statement(function)}) a WHERE what = 'answer' AND kind IS NOT NULL LIMIT 1",
            tenant, now_ms(), json.dumps(rows[begin:begin + 500]))
        assert not refused, f"{function}: {refused}"


def sign_in(world, sessions=1):
    """Opens sessions for everybody in the company, ready; returns the tokens. As after a password was checked."""
    tokens, commands = [], []
    staff = world.rows("SELECT tenant_id, agent_id, role FROM agent ORDER BY agent_id")
    for run, (tenant, agent, role) in ((run, who) for run in range(sessions) for who in staff):
        token = f"{tenant}.{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip('=')}"
        tokens.append(token)
        commands.append({
            "id": uuid7(now_ms()), "run": run + 1, "kind": "sign_in", "by": agent, "agent": agent, "role": role, "args": {
                "token_hash": hashlib.sha256(token.encode()).hexdigest(), "expires_at": now_ms() + WEEK_MS, "ready": True}})
    called(world, "execute", commands)
    return tokens


class Numbers:
    """Telephone numbers of Munich, none twice."""

    def __init__(self):
        self.next = 10_000_000

    def take(self, count=1):
        self.next += count
        return self.next - count


def submit(world, numbers, due_ms, form=None):
    """Callbacks that fall due at these times, as their intake stores them."""
    form = form or world.rows("SELECT min(form_id) FROM form")[0][0]
    first = numbers.take(len(due_ms))
    called(world, "submit", [
        {"id": uuid7(now_ms()), "form": form, "phone": f"+4989{first + i}", "name": "Erika Mustermann", "language": "de",
         "subject": "Financing of a new kitchen", "case": {"customer": "K-4711-0815"}, "at": at, "address": "127.0.0.1"}
        for i, at in enumerate(due_ms)])


def columns(world, table, given, alias):
    """A select list for the whole table: what is given, all else as in the row copied."""
    names = [name for name, in world.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        table)]
    assert set(given) <= set(names), f"{table} has no {set(given) - set(names)}"
    return ", ".join(given.get(name, f"{alias}.{name}") for name in names)


def copy(world, numbers, source, count, first_ms, last_ms):
    """count callbacks more, due evenly between the two times, equal in all else to the one of that id. Its event
    must hold its image, in whatever way it is written: a copy's holds its own."""
    image, body_type = world.rows(
        "SELECT image_callback(b, b.seq)::text, pg_typeof(e.body)::text FROM callback b JOIN event e USING (tenant_id, callback_id)"
        " WHERE b.callback_id = %s AND e.kind = 'callback.scheduled' AND strpos(e.body::text, image_callback(b, b.seq)::text) > 0",
        source)[0]
    head, = world.rows("SELECT max(seq) FROM event")[0]
    number = numbers.take(count)
    sql = f"""
    WITH fresh AS MATERIALIZED (
        SELECT {head} + i AS seq, {number} - 1 + i AS number,
            from_ms(({first_ms} + ({last_ms} - {first_ms})::float8 * i / {count})::bigint) AS due_at,
            (lpad(to_hex({now_ms() - count} + i), 12, '0') || '7' || substr(md5(i::text || 'a'), 1, 3) || '8'
                || substr(md5(i::text), 1, 15))::uuid AS id
          FROM generate_series(1::bigint, {count}) i
    ), c AS (
        INSERT INTO contact SELECT {columns(world, 'contact', {
            'callback_id': 'n.id', 'phone': "'+4989' || n.number", 'email': "'v' || n.number || '@example.com'"}, 'k')}
          FROM fresh n CROSS JOIN contact k WHERE k.callback_id = '{source}'
    )
    INSERT INTO callback SELECT {columns(world, 'callback', {
        'callback_id': 'n.id', 'seq': 'n.seq', 'due_at': 'n.due_at', 'promise_at': 'n.due_at',
        'promise_local': 'n.due_at AT TIME ZONE k.promise_zone',
        'expires_at': 'n.due_at + (k.expires_at - k.promise_at)'}, 'k')}
      FROM fresh n CROSS JOIN callback k WHERE k.callback_id = '{source}' ORDER BY n.seq"""
    world.sql("DO $do$ BEGIN " + sql + f"""; INSERT INTO event SELECT {columns(world, 'event', {
        'seq': 'b.seq', 'callback_id': 'b.callback_id',
        'command_id': 'CASE WHEN e.command_id IS NOT NULL THEN b.callback_id END',
        'body': f"replace(e.body::text, '{image}', image_callback(b, b.seq)::text)::{body_type}"}, 'e')}
      FROM callback b CROSS JOIN event e
     WHERE b.seq > {head} AND e.callback_id = '{source}' AND e.kind = 'callback.scheduled' ORDER BY b.seq; END $do$""")


class Desks:
    """The desks' process (bench_desks): tell() it one line, hear what came of it."""

    def __init__(self, world, server, tokens, how="both"):
        path = os.path.join(world.dir, "tokens")
        with open(path, "w") as file:
            file.write("".join(token + "\n" for token in tokens))
        self.process = subprocess.Popen(
            [os.path.join(place.house.BUILD, "bench_desks"), str(server.port), path, how], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines, self.said = queue.Queue(), []
        for stream, put in ((self.process.stdout, self.lines.put), (self.process.stderr, self.said.append)):
            threading.Thread(target=self.read, args=(stream, put), daemon=True).start()
        self.line("OPEN", 120)

    @staticmethod
    def read(stream, put):
        for line in stream:
            put(line)
        put(None)

    def line(self, begins, seconds):
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            line = None
        if line is None or not line.startswith(begins):
            self.stop()
            raise AssertionError(f"the desks said {line!r}, no {begins}: {self.said[:5]}")
        return line

    def start(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def result(self, seconds):
        got = place.result(self.line("RESULT", seconds))
        if got["refused"] or got["twice"]:
            raise DoesNotCount(f"{got['refused']} commands were refused, {got['twice']} offers came to a desk that had one:"
                               f" {self.said[:3]}")
        return got

    def tell(self, *words):
        """The last word is the longest that it may take, in ms."""
        self.start(*words)
        return self.result(words[-1] / 1000 + 10)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def metric(server, name):
    text = server.client().get("/metrics").text if server.port else ""
    for line in text.splitlines():
        if line.startswith(f"callbackd_{name}"):
            return float(line.split()[-1])
    raise AssertionError(f"no metric {name}")


def caught_up(world, server):
    """The server has applied everything that was written beside it."""
    head, = world.rows("SELECT max(seq) FROM event")[0]
    world.until(lambda: metric(server, "event_seq") >= head, f"event {head} applied")


def company(count, role="agent", **form):
    """So many agents, who need no password here, and whose desks may take their time to come."""
    document = place.company(**form)
    document["company"]["grace_s"] = 3600
    document["queues"][0].update(offer_timeout_s=3600, ready_to_call_s=86400)
    document["agents"] = [{"name": f"agent{i}", "role": role, "skills": {}} for i in range(count)]
    return document


def staff(bench, world, server, count, sessions=1, **kwargs):
    """A company of that many people, all signed in; their tokens."""
    bench.place.company(server, company(count, **kwargs))
    tokens = sign_in(world, sessions)
    caught_up(world, server)
    return tokens
