"""The other side of the comparison: the same company in PostgreSQL, spoken to as a node does, through submit() and
execute(); and everything that can go wrong between a node and PostgreSQL.
"""

import dataclasses
import json
import threading

import house
import psycopg

import company

NOBODY = "00000000-0000-4000-8000-000000000001"
SPLIT = ("CB002", "23505")  # a batch that fails with these is halved, as a node does

ROWS = """
SELECT (SELECT json_agg(json_build_object('id', c.callback_id, 'queue', c.queue_id, 'created', ms(c.created_at), 'due', ms(c.due_at),
		'promise', ms(c.promise_at), 'zone', c.promise_zone, 'expires', ms(c.expires_at), 'seq', c.seq, 'state', c.state, 'reason', c.reason,
		'agent', c.agent_id, 'attempt', c.attempt_id, 'attempts', c.attempts, 'offers', c.offers, 'tried', c.tried,
		'deadline', ms(c.deadline_at), 'linked_to', c.linked_to, 'disposition', c.disposition, 'ended', ms(c.ended_at),
		'phone', (SELECT k.phone FROM contact k WHERE k.tenant_id = c.tenant_id AND k.callback_id = c.callback_id)))
	   FROM callback c WHERE c.tenant_id = %(t)s),
	(SELECT json_agg(json_build_object('id', o.offer_id, 'callback', o.callback_id, 'agent', o.agent_id, 'created', ms(o.created_at),
		'deadline', ms(o.deadline_at), 'seq', o.seq, 'state', o.state, 'ended', ms(o.ended_at), 'reason', o.reason))
	   FROM offer o WHERE o.tenant_id = %(t)s),
	(SELECT json_agg(json_build_object('id', a.attempt_id, 'callback', a.callback_id, 'agent', a.agent_id, 'number', a.number,
		'started', ms(a.started_at), 'seq', a.seq, 'state', a.state, 'answered', ms(a.answered_at), 'ended', ms(a.ended_at)))
	   FROM attempt a WHERE a.tenant_id = %(t)s),
	(SELECT json_agg(json_build_object('id', s.agent_id, 'agent', s.agent_id, 'seq', s.seq, 'since', ms(s.since),
		'idle_since', ms(s.idle_since), 'state', s.state, 'reason', s.reason, 'deadline', ms(s.deadline_at),
		'next_state', s.next_state, 'next_reason', s.next_reason, 'missed', s.missed, 'connected', s.connected,
		'node', s.node_id, 'lost', ms(s.lost_at), 'offered_seq', s.offered_seq, 'accepted', s.accepted, 'talk', s.talk_ms))
	   FROM agent_status s WHERE s.tenant_id = %(t)s),
	(SELECT json_object_agg(encode(x.token_hash, 'hex'), x.agent_id) FROM session x WHERE x.tenant_id = %(t)s),
	(SELECT json_build_array(count(*), min(e.seq), max(e.seq)) FROM event e WHERE e.tenant_id = %(t)s)
"""


class Lie(Exception):
    """Two commands of one run were about the same row: nothing of the batch happened."""


class Database:
    def __init__(self, follower, name, document):
        self.world, self.server = follower.world, follower
        self.conninfo = self.world.cluster.conninfo(self.world.database)
        self.db, self.other = self.connect(), self.connect()
        # the lease first: the follower must not route, else it would play along
        with self.db.transaction():
            self.tenant = self.db.execute("SELECT tenant_create(%s)", (name,)).fetchone()[0]
            self.db.execute("INSERT INTO lease VALUES (%s, %s, 'infinity')", (self.tenant, NOBODY))
        self.name = name
        self.operator = follower.line
        self.world.until(lambda: any(t["name"] == name and t["live"] for t in self.tenants()), f"{name} is followed")
        answer = self.operator.put("/v1/company", json=document)
        assert answer.status_code == 200, answer.text

    def connect(self):
        return psycopg.connect(self.conninfo, autocommit=True, options="-c search_path=callbackd,public")

    def close(self):
        self.db.close()
        self.other.close()

    def tenants(self):
        return self.operator.get("/v1/tenants").json()["tenants"]

    # ---- saying something ----

    def say(self, function, batch, now, db=None):
        """([(seq, refusal)], [(seq, kind)])."""
        try:
            rows = (db or self.db).execute(f"SELECT what, ord, seq, kind FROM {function}(%s, %s, %s)",
                                           (self.tenant, now, json.dumps(batch))).fetchall()
        except psycopg.Error as error:
            if error.sqlstate in SPLIT:
                raise Lie from None
            raise
        # an event that has a place is the answer to the command in that place
        answers = {place: (seq, kind if what == "answer" else None) for what, place, seq, kind in rows if place is not None}
        assert sorted(answers) == list(range(len(batch)))
        return [answers[n] for n in range(len(batch))], [(seq, kind) for what, _, seq, kind in rows if what == "event"]

    def say_in_vain(self, function, batch, now, how):
        """It is decided, and then never committed."""
        self.db.execute("BEGIN")
        try:
            self.say(function, batch, now)
        except Lie:
            pass
        if how == "rolled_back":
            self.db.execute("ROLLBACK")
            return
        pid = self.db.info.backend_pid
        self.other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        self.db.close()
        self.db = self.connect()

    def say_and_miss_the_answer(self, function, batch, now):
        """Committed; but the connection is gone before anybody reads the answer."""
        try:
            self.say(function, batch, now)
        finally:
            self.db.close()
            self.db = self.connect()

    def say_twice_at_once(self, function, batch, now):
        """The first copy is still under way when the second comes, over another connection."""
        both = [None, None]

        def one(place, db):
            both[place] = self.say(function, batch, now, db)

        twin = threading.Thread(target=one, args=(1, self.other))
        twin.start()
        one(0, self.db)
        twin.join()
        # who came first wrote the lower numbers, or anything at all
        both.sort(key=lambda b: (not b[1], b[1][:1]))
        return both

    # ---- looking ----

    def look(self):
        callbacks, offers, attempts, statuses, sessions, log = self.db.execute(ROWS, {"t": self.tenant}).fetchone()
        tables = {"callbacks": callbacks, "offers": offers, "attempts": attempts, "statuses": statuses}
        return {k: {row.pop("id") if k != "statuses" else row["agent"]: row for row in v or []} for k, v in tables.items()} | {
            "sessions": sessions or {}, "log": log}

    def compare(self, model):
        """Every row is as the model says."""
        have = self.look()
        for agent in have["statuses"].values():
            agent.pop("id", None)
        want = expected(model)
        for what in want:
            if have[what] == want[what]:
                continue
            if what in ("log", "sessions"):
                raise AssertionError(f"{what}: {have[what]}, by the model {want[what]}")
            for key in {**have[what], **want[what]}:
                mine, theirs = want[what].get(key), have[what].get(key)
                if mine != theirs:
                    fields = [k for k in mine or {} if mine and theirs and mine[k] != theirs.get(k)] or "all"
                    raise AssertionError(f"{what} {key}: differs in {fields}\n  model    {mine}\n  database {theirs}")
        return have

    def load_again(self):
        """The follower's projection begins anew at this number."""
        assert self.operator.post(f"/v1/test/reload?tenant={self.name}").status_code == 202

    def check_follower(self):
        """A snapshot at S and the events after it are what a load says."""
        head = self.db.execute("SELECT max(seq) FROM event WHERE tenant_id = %s", (self.tenant,)).fetchone()[0]
        self.world.until(lambda: self.operator.get(f"/v1/test/projection?tenant={self.name}").json()["seq"] == head,
                         f"the follower is at {head}")
        self.world.until(lambda: house.World.same_after_reload(self.operator, self.name), "and a load says the same")


def expected(model):
    rows = {"callbacks": {}, "offers": {}, "attempts": {}, "statuses": {}}
    for name, objects in (("callbacks", model.callbacks), ("offers", model.offers), ("attempts", model.attempts)):
        for key, thing in objects.items():
            row = {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing) if f.name != "id"}
            if isinstance(thing, company.Callback):
                row["queue"] = thing.queue.id
            rows[name][key] = row
    rows["statuses"] = {s.agent: dataclasses.asdict(s) for s in model.statuses.values()}
    rows["sessions"] = {token: agent for token, (agent, _, _) in model.sessions.items()}
    rows["log"] = [model.seq, 1, model.seq]
    return rows
