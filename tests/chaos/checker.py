"""From what the clients wrote down and from the log: whether everything that must hold held. Reads only; each check
is a method check_*, returns what is wrong with it, and says in its first line what it holds.
"""

import collections

HELD = ("ready_to_call", "establishing", "connected", "on_hold")
TERMINAL = ("completed", "failed", "cancelled", "expired")
# what answers that say yes can say of the log: the kinds of event a command may begin with
EFFECT = {
    "accept": {"offer.accepted"}, "reject": {"offer.rejected"}, "assign": {"offer.created"}, "call": {"call.establishing"},
    "connected": {"call.connected"}, "hold": {"call.on_hold"}, "retrieve": {"call.retrieved"}, "ended": {"call.ended"},
    "done": {"callback.completed", "callback.failed", "callback.retry"}, "give_back": {"callback.given_back", "callback.failed"},
    "cancel": {"callback.cancelled"}, "ready": {"agent.ready"}, "sign_out": {"session.closed", "agent.signed_out"},
}

ROWS = """
SELECT sum(n) FROM (""" + " UNION ALL ".join(f"""
	SELECT count(*) AS n FROM {table} x LEFT JOIN event e ON e.tenant_id = x.tenant_id AND e.seq = x.seq
	 WHERE x.seq > 0 AND e.body::jsonb -> '{name}' IS DISTINCT FROM {image}(x, x.seq)::jsonb"""
    for table, name, image in (("callback", "callback", "image_callback"), ("offer", "offer", "image_offer"),
                               ("attempt", "attempt", "image_attempt"), ("agent_status", "status", "image_status"))) + ") x"

OVERDUE = """
SELECT 'offer of ' || o.callback_id, o.deadline_at FROM offer o WHERE o.state = 'pending'
UNION ALL SELECT c.state || ' ' || c.callback_id, c.deadline_at FROM callback c WHERE c.deadline_at IS NOT NULL
UNION ALL SELECT 'promise of ' || c.callback_id, c.expires_at FROM callback c
	WHERE c.state = 'scheduled' AND c.linked_to IS NULL AND c.expires_at IS NOT NULL
UNION ALL SELECT s.state || ' agent ' || s.agent_id, s.deadline_at FROM agent_status s WHERE s.deadline_at IS NOT NULL
UNION ALL SELECT 'lost agent ' || s.agent_id, s.lost_at FROM agent_status s WHERE s.lost_at IS NOT NULL AND NOT s.connected
"""


def overdue(town, slack_ms):
    """What should have happened so long ago and did not."""
    return [what for what, in town.rows(f"SELECT what FROM ({OVERDUE}) x(what, at) WHERE at < clock_timestamp() - %s * interval '1 ms'",
                                        (slack_ms,))]


def open_callbacks(town):
    return town.rows("SELECT count(*) FROM callback WHERE state NOT IN ('completed', 'failed', 'cancelled', 'expired')")[0][0]


def number(event_id):
    return int(event_id.split(".")[1])


class Operation:
    """One request of a client, with all its repetitions: when it was first sent, when it was answered, and what."""

    def __init__(self, who, sent):
        self.who, self.op, self.began, self.sent = who, sent["op"], sent["t"], sent
        self.ended, self.status, self.body = None, 0, {}

    @property
    def yes(self):
        return 200 <= self.status < 300

    @property
    def seq(self):
        return number(self.body["event"]) if self.yes and "event" in self.body else None

    def __repr__(self):
        return f"{self.who} {self.op} {self.sent['path']} {self.sent.get('body')} key={self.sent.get('key')} -> {self.status} {self.body.get('event', '')}"


class Checker:
    def __init__(self, town, records, slack_ms, shown):
        # shown: up to this number every agent and wall was waited for
        self.town, self.records, self.slack_ms, self.shown = town, records, slack_ms, shown
        self.operations = [o for who, entries in records.items() for o in self.operations_of(who, entries)]
        self.events = town.rows("SELECT seq, kind, command_id::text, callback_id::text, agent_id, body::jsonb FROM event ORDER BY seq")
        self.by_seq = {e[0]: e for e in self.events}
        self.callbacks = {i: state for i, state in town.rows("SELECT callback_id::text, state FROM callback")}
        self.agent_ids = dict(town.rows("SELECT name, agent_id FROM agent"))
        self.before = self.versions_before()

    @staticmethod
    def operations_of(who, entries):
        under_way = {}
        for e in entries:
            if e["what"] == "sent":
                under_way[e["n"]] = Operation(who, e)
            elif e["what"] == "answered":
                o = under_way[e["n"]]
                o.ended, o.status, o.body = e["t"], e["status"], e["body"]
        return list(under_way.values())

    def versions_before(self):
        """{(callback, seq of an event that carries it): its version until then}"""
        last, before = {}, {}
        for seq, _, _, _, _, body in self.events:
            c = body.get("callback")
            if c:
                before[c["id"], seq] = last.get(c["id"])
                last[c["id"]] = seq
        return before

    def run(self):
        """[(what it holds, what is wrong)]"""
        checks = [getattr(self, name) for name in dir(self) if name.startswith("check_")]
        return [(check.__doc__.strip(), check()) for check in checks]

    # ---- the log ----

    def check_gapless(self):
        """the log is gapless: 1, 2, 3 ..., and its time never goes back"""
        numbers = [e[0] for e in self.events]
        back = self.town.rows("SELECT seq FROM (SELECT seq, at, lag(at) OVER (ORDER BY seq) AS before FROM event) e WHERE at < before")
        return ([] if numbers == list(range(1, len(numbers) + 1)) else ["there is a gap"]) + [f"time goes back at {s}" for s, in back]

    def check_rows(self):
        """every row is as its last event says"""
        n = self.town.rows(ROWS)[0][0]
        return [f"{n} rows are not"] if n else []

    def check_one_holder(self):
        """no callback is held by two agents, no agent holds two"""
        holder, wrong = {}, []
        for seq, kind, _, _, _, body in self.events:
            c = body.get("callback")
            if not c:
                continue
            before, after = holder.get(c["id"]), c.get("agent")
            if before and after and before != after:
                wrong.append(f"{seq} {kind}: {c['id']} went from agent {before} to {after}")
            holder[c["id"]] = after
            if after and sum(h == after for h in holder.values()) > 1:
                wrong.append(f"{seq} {kind}: agent {after} holds two")
        return wrong

    def check_dialled_once(self):
        """no attempt is dialled twice, no two at a time"""
        live, numbers, wrong = {}, set(), []
        for seq, kind, _, _, _, body in self.events:
            a = body.get("attempt")
            if not a:
                continue
            if kind == "call.establishing":
                if (a["callback"], a["number"]) in numbers or live.get(a["callback"]):
                    wrong.append(f"{seq}: {a['callback']} is dialled again, attempt {a['number']}")
                numbers.add((a["callback"], a["number"]))
                live[a["callback"]] = a["id"]
            elif "ended_at" in a:
                live.pop(a["callback"], None)
        return wrong

    def check_transitions(self):
        """states change as the transition table allows, and terminal ones never"""
        allowed = set(self.town.rows("SELECT from_state, to_state FROM transition"))
        state, wrong = {}, []
        for seq, kind, _, _, _, body in self.events:
            c = body.get("callback")
            if not c:
                continue
            before, after = state.get(c["id"]), c["state"]
            # linked requests end with the one that is called in their stead
            linked = before == "scheduled" and after in TERMINAL and c.get("reason") == "linked"
            if before is not None and before != after and (before, after) not in allowed and not linked:
                wrong.append(f"{seq} {kind}: {c['id']} from {before} to {after}")
            state[c["id"]] = after
        return wrong

    # ---- what was acknowledged ----

    def check_posts(self):
        """every form that was acknowledged is there, once"""
        wrong, by_key = [], collections.defaultdict(set)
        for o in self.operations:
            if o.op == "post" and o.yes:
                by_key[o.sent["key"]].add(o.body["id"])
                if o.body["id"] not in self.callbacks:
                    wrong.append(f"lost: {o}")
        wrong += [f"key {k} was answered with {sorted(ids)}" for k, ids in by_key.items() if len(ids) > 1]
        sent = {o.sent["key"] for o in self.operations if o.op == "post"}
        stored = dict(self.town.rows("SELECT callback_id::text, key FROM idempotency_key"))
        wrong += [f"callback {i} was posted by nobody" for i in self.callbacks if stored.get(i) not in sent]
        wrong += [f"key {k} made {n} callbacks" for k, n in collections.Counter(stored.values()).items() if n > 1]
        return wrong

    def check_acknowledged(self):
        """every command that was acknowledged is in the log, as its answer says"""
        wrong = []
        for o in self.operations:
            if not o.yes or o.op not in EFFECT:
                continue
            event = self.by_seq.get(o.seq)
            if event is None or event[1] not in EFFECT[o.op] or event[2] is None:
                wrong.append(f"{o}: in the log {event and event[:2]}")
            elif any(o.body.get(k) is not None and o.body[k]["seq"] != event[5].get(k, {}).get("seq") for k in ("callback", "offer")):
                wrong.append(f"{o}: another in the log")
            elif o.op in ("accept", "reject", "ready") and event[4] != self.agent_ids[o.who]:
                wrong.append(f"{o}: in the log of agent {event[4]}")
        return wrong

    def check_once_each(self):
        """one key, one answer; one event, one key"""
        by_key, by_seq = collections.defaultdict(set), collections.defaultdict(set)
        for o in self.operations:
            if o.yes and o.seq and o.sent.get("key") and o.op in EFFECT:
                by_key[o.sent["key"]].add(o.seq)
                by_seq[o.seq].add(o.sent["key"])
        return [f"{k}: {sorted(s)}" for k, s in [*by_key.items(), *by_seq.items()] if len(s) > 1]

    def check_versions(self):
        """whoever named a version and was told yes had named the present one"""
        wrong = []
        for o in self.operations:
            version = o.sent.get("version")
            if o.yes and o.seq and version is not None:
                was = self.before.get((o.sent["callback"], o.seq))
                if was != version:
                    wrong.append(f"{o}: it was at {was}")
        return wrong

    def check_real_time(self):
        """what was answered before something else was asked comes before it in the log"""
        done = sorted((o for o in self.operations if o.yes and o.seq and o.op in EFFECT), key=lambda o: o.ended)
        begun = sorted(done, key=lambda o: o.began)
        wrong, top, place = [], 0, 0
        for o in begun:
            while done[place].ended < o.began:
                top = max(top, done[place].seq)
                place += 1
            if o.seq <= top:
                wrong.append(f"{o}: {top} was answered before it was asked")
        return wrong

    def check_statuses(self):
        """nobody was answered with an error of the server's (but 503)"""
        return [repr(o) + f" {o.body}" for o in self.operations if o.status >= 500 and o.status != 503]

    # ---- subscribers ----

    def check_subscribers(self):
        """every subscriber saw each of its events, once, in order, without a reset"""
        wrong = []
        for who, entries in self.records.items():
            if not who.startswith(("agent", "super", "wall")):
                continue
            cursor = next((number(e["id"]) for e in entries if e["what"] == "cursor"), None)
            seen = [(number(e["id"]), e["kind"]) for e in entries if e["what"] == "event"]
            wrong += [f"{who}: reset at {s}" for s, kind in seen if kind == "reset"]
            seen = [s for s, kind in seen if kind != "reset"]
            wrong += [f"{who}: {b} after {a}" for a, b in zip(seen, seen[1:]) if b <= a]
            mine = self.agent_ids[who] if who.startswith("agent") else None
            # supervisors go home earlier
            last = max(seen, default=0) if who.startswith("super") else max(self.shown, max(seen, default=0))
            if cursor is None or not seen:
                wrong.append(f"{who}: saw nothing at all")
                continue
            his = {e[0] for e in self.events if mine is None or e[4] == mine}
            wanted = {s for s in his if min(cursor + 1, seen[0]) <= s <= last}
            missed, extra = sorted(wanted - set(seen)), sorted(set(seen) - his)
            wrong += [f"{who}: never saw {missed[:5]} ({len(missed)} of {len(wanted)})"] if missed else []
            wrong += [f"{who}: saw what is not his: {extra[:5]}"] if extra else []
        return wrong

    # ---- deadlines ----

    def check_deadlines(self):
        """after all was mended every deadline fired"""
        return overdue(self.town, self.slack_ms)

    def check_ends(self):
        """each callback ended once, or waits for something that is to come"""
        wrong = [f"callback {i} is {state} and has no deadline" for i, state in self.town.rows("""
            SELECT c.callback_id::text, c.state FROM callback c
             WHERE c.state NOT IN ('completed', 'failed', 'cancelled', 'expired') AND c.linked_to IS NULL AND c.expires_at IS NULL
               AND c.deadline_at IS NULL AND NOT EXISTS (SELECT FROM offer o WHERE o.tenant_id = c.tenant_id
                AND o.callback_id = c.callback_id AND o.state = 'pending')""")]
        ends = collections.Counter(e[3] for e in self.events if e[1].removeprefix("callback.") in TERMINAL)
        return wrong + [f"callback {i} ended {n} times" for i, n in ends.items() if n > 1]
