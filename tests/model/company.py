"""The state machine as one would explain it to a colleague: a company in plain Python, to hold the database against.

Written from the manual pages and the transition table, not from the SQL: objects, one method a command, events in
the order in which they happen. Times are milliseconds. Every event gets the next number, and whatever it carries
has that number as its version.
"""

import dataclasses
import datetime
import uuid
import zoneinfo

TERMINAL = ("completed", "failed", "cancelled", "expired")
IN_CALL = ("establishing", "connected", "on_hold")
HELD = ("ready_to_call", *IN_CALL)
DISPOSITIONS = {"sold": "reached", "again": "retry", "wrong_number": "stop"}
GRACE_MS = 30_000
LOCKOUT_FAILURES, LOCKOUT_MS = 3, 300_000
HORIZON_MS = 3600_000
BOSSES = ("router", "operator", "supervisor", "administrator")
NOT_COUNTED = ("trunk_failed", "pbx_lost", "agent_offline", "cancelled")  # not the contact's attempts
OUTCOMES = ("busy", "no_answer", "declined", "machine", "invalid", "unreachable", "trunk_failed", "cancelled", "failed")


@dataclasses.dataclass(frozen=True)
class Queue:
    id: int
    offer_timeout: int
    ready_to_call: int
    dial_timeout: int
    call_timeout: int
    after_call_work: int
    missed_limit: int
    missed_rest: int
    max_offers: int
    max_attempts: int
    retry_delay: int
    promise_window: int
    disposition_required: bool
    retries: dict       # outcome: "stop" or (delay, attempts)
    attempts_per_day: int
    strategy: str


@dataclasses.dataclass
class Form:
    id: int
    queue: Queue
    links: bool


@dataclasses.dataclass
class Callback:
    id: str
    queue: Queue
    phone: str
    created: int
    due: int
    promise: int
    expires: int | None
    zone: str
    seq: int = 0
    state: str = "scheduled"
    reason: str | None = None
    agent: int | None = None
    attempt: str | None = None
    attempts: int = 0
    offers: int = 0
    tried: list | None = None
    deadline: int | None = None
    linked_to: str | None = None
    disposition: str | None = None
    ended: int | None = None

    def __repr__(self):
        return f"<{self.state} {self.id[:8]} {self.seq}>"

    def forget_holder(self):
        self.agent = self.deadline = None

    def finish(self, state, reason, now):
        self.forget_holder()
        self.state, self.reason, self.ended = state, reason, now

    def tried_by(self, agent, now):
        self.tried = [t for t in self.tried or [] if t[0] != agent] + [[agent, now]]

    def back_from(self, agent, reason, now):
        """He does not keep it: in the queue again, and others are asked first."""
        self.tried_by(agent, now)
        self.forget_holder()
        self.state, self.reason = "scheduled", reason

    def try_again(self, at, reason):
        self.forget_holder()
        self.state, self.reason, self.due = "scheduled", reason, at
        self.expires = at + self.queue.promise_window if self.queue.promise_window else None

    def day(self, at):
        """By the contact's calendar."""
        return datetime.datetime.fromtimestamp(at / 1000, zoneinfo.ZoneInfo(self.zone)).date()

    def begin_of(self, day):
        return int(datetime.datetime.combine(day, datetime.time(), zoneinfo.ZoneInfo(self.zone)).timestamp() * 1000)

    def offer_ended(self, agent, others, now):
        self.tried_by(agent, now)
        if others:
            return
        self.state = "scheduled"
        if self.offers >= self.queue.max_offers:
            self.finish("failed", "max_offers", now)


@dataclasses.dataclass
class Offer:
    id: str
    callback: str
    agent: int
    created: int
    deadline: int
    seq: int = 0
    state: str = "pending"
    ended: int | None = None
    reason: str | None = None

    def end(self, state, now, reason=None):
        self.state, self.ended, self.reason = state, now, reason


@dataclasses.dataclass
class Attempt:
    id: str
    callback: str
    agent: int
    number: int
    started: int
    seq: int = 0
    state: str = "dialing"
    answered: int | None = None
    ended: int | None = None


@dataclasses.dataclass
class Status:
    """Where an agent stands."""
    agent: int
    seq: int
    since: int
    idle_since: int
    state: str = "logged_out"
    reason: str | None = None
    deadline: int | None = None
    next_state: str | None = None
    next_reason: str | None = None
    missed: int = 0
    connected: bool = False
    node: str | None = None
    lost: int | None = None
    offered_seq: int | None = None
    accepted: int = 0
    talk: int = 0

    def become(self, state, reason, now):
        if self.state != state:
            self.idle_since = now
        if (self.state, self.reason) != (state, reason):
            self.since = now
        self.state, self.reason, self.missed = state, reason, 0
        self.deadline = self.next_state = self.next_reason = None

    def expect_desk(self, now):
        """He is ready and his desk was lost: it has the grace time to come."""
        if self.state == "ready" and not self.connected and self.lost is None:
            self.lost = now + GRACE_MS

    def wrap_up(self, seconds, now):
        if self.state != "after_call_work":
            self.next_state, self.next_reason = self.state, self.reason
            self.state, self.reason, self.since = "after_call_work", None, now
        self.deadline = now + seconds


class Refused(Exception):
    pass


def refuse_if(condition, why):
    if condition:
        raise Refused(why)


class Company:
    def __init__(self, forms, statuses, head, at):
        self.forms = {f.id: f for f in forms}
        self.statuses = {s.agent: s for s in statuses}
        self.callbacks, self.offers, self.attempts = {}, {}, {}
        self.sessions = {}      # token hash -> (agent, expires, opened)
        self.failures = {}      # agent -> [failures, locked until]
        self.classes = set()    # queues for which there is one
        self.keys = {}          # (form, key) -> (fingerprint, callback id)
        self.answers = {}       # command id -> number of its first event
        self.seq, self.at, self.now = head, at, at   # at: of the last event; now: of the present batch
        self.events = []        # of the present batch: (seq, kind)
        self.finished = []      # of the present run

    # ---- what all commands share ----

    def emit(self, kind, *things, command=None):
        """One event: the next number, which is from now on the version of what it carries."""
        self.seq += 1
        self.at = self.now
        self.events.append((self.seq, kind))
        if command is not None:
            self.answers.setdefault(command["id"], self.seq)
        for thing in things:
            thing.seq = self.seq
            if isinstance(thing, Callback) and thing.state in TERMINAL and thing not in self.finished:
                self.finished.append(thing)

    def pending(self, callback=None, agent=None, but=None):
        found = [o for o in self.offers.values() if o.state == "pending" and o is not but
                 and callback in (None, o.callback) and agent in (None, o.agent)]
        return sorted(found, key=lambda o: o.seq)

    def held_by(self, agent):
        return sorted((c for c in self.callbacks.values() if c.agent == agent), key=lambda c: uuid.UUID(c.id).int)

    def available(self, agent):
        s = self.statuses.get(agent)
        return s is not None and s.state == "ready" and s.connected and not self.pending(agent=agent) and not self.held_by(agent)

    @staticmethod
    def may_touch(command, holder):
        return command["role"] in BOSSES or command["role"] == "agent" and None is not holder == command.get("by")

    def execute(self, batch, now):
        """[(seq, refusal)] in the order of the batch."""
        self.now, self.events = max(self.at, now), []
        answers, run = {}, None
        for command in batch:
            if command["id"] in answers:
                continue
            if command["id"] in self.answers:
                answers[command["id"]] = (self.answers[command["id"]], None)
                continue
            if command["run"] != run:
                self.settle_linked()
            run = command["run"]
            answers[command["id"]] = self.decide(command)
        self.settle_linked()
        return [answers[c["id"]] for c in batch]

    def decide(self, command):
        try:
            getattr(self, command["kind"])(command)
            return self.answers[command["id"]], None
        except Refused as why:
            return None, str(why)

    def settle_linked(self):
        """Requests that were linked to one that ended now end like it; if it was cancelled, the oldest is called instead."""
        for leader in self.finished:
            followers = sorted((f for f in self.callbacks.values() if f.linked_to == leader.id and f.state == "scheduled"),
                               key=lambda f: (f.created, uuid.UUID(f.id).int))
            for place, f in enumerate(followers):
                if leader.state == "cancelled":
                    f.linked_to = followers[0].id if place else None
                    self.emit("callback.linked", f)
                else:
                    f.state, f.reason, f.ended = leader.state, "linked", self.now
                    self.emit("callback." + f.state, f)
        self.finished = []

    # ---- intake ----

    def submit(self, batch, now):
        self.now, self.events, answers, taken = max(self.at, now), [], [], []
        for element in batch:
            answers.append(self.judge(element, taken))
        for element in taken:
            queue = self.forms[element["form"]].queue
            if queue.id not in self.classes:
                self.classes.add(queue.id)
                self.emit("class.created")
        links = self.link(taken)
        for element in taken:
            c = self.callbacks[element["id"]]
            c.linked_to = links.get(c.id)
            self.emit("callback.scheduled", c, command=element)
        new = {e["id"] for e in taken}
        for follower in sorted(set(links) - new, key=lambda i: uuid.UUID(i).int):
            itself = self.callbacks[follower]
            moved = [itself] + sorted((f for f in self.callbacks.values() if f.linked_to == follower and f.state == "scheduled"),
                                      key=lambda f: (f.created, uuid.UUID(f.id).int))
            for c in moved:
                c.linked_to = links[follower]
                self.emit("callback.linked", c)
        return [(self.answers[a["id"]], None) if isinstance(a, dict) else (None, a) for a in answers]

    def judge(self, element, taken):
        """The element whose answer this one gets, or why it is refused. A new one becomes a callback."""
        form = self.forms.get(element["form"])
        if element["id"] in self.answers:
            return element
        key = (element["form"], element.get("key"))
        known = self.keys.get(key)
        if known and known[1] in self.answers:
            return {"id": known[1]} if known[0] == element["fingerprint"] else "key_reused"
        at = element.get("at", self.now)
        if form is None:
            return "unknown_form"
        if not self.now - 60_000 <= at <= self.now + HORIZON_MS:
            return "invalid"
        if any(t["id"] == element["id"] for t in taken):
            return element
        if known:  # of an earlier element of this batch
            return {"id": known[1]} if known[0] == element["fingerprint"] else "key_reused"
        if key[1] is not None:
            self.keys[key] = (element["fingerprint"], element["id"])
        window = form.queue.promise_window
        self.callbacks[element["id"]] = Callback(
            element["id"], form.queue, element["phone"], self.now, at, at, at + window if window else None, element["time_zone"])
        taken.append(element)
        return element

    def link(self, taken):
        """Who is called in whose stead: {follower: leader}. The leader is the one in somebody's hands, else the one due first."""
        links = {}
        for phone in {e["phone"] for e in taken if self.forms[e["form"]].links}:
            new = [e for e in taken if e["phone"] == phone]
            old = [c for c in self.callbacks.values() if c.phone == phone and c.linked_to is None
                   and c.state not in TERMINAL and all(c.id != e["id"] for e in new)]
            old.sort(key=lambda c: (c.state == "scheduled", c.due, c.created, uuid.UUID(c.id).int))
            there = [(c.state == "scheduled", c.due, False, -1, c.id) for c in old[:1]]
            there += [(True, self.callbacks[e["id"]].due, self.forms[e["form"]].links, n, e["id"]) for n, e in enumerate(new)]
            there.sort()
            _, _, leader_links, _, leader = there[0]
            follow = [t for t in there[1:] if t[2]]
            if leader_links:  # a new one goes before the one that was first until now, which follows it
                follow += [t for t in there[1:] if not t[2]][:1]
            links.update({t[4]: leader for t in follow})
        return links

    # ---- offers ----

    def find(self, command):
        c = self.callbacks.get(command.get("callback"))
        refuse_if(c is None, "not_found")
        return c

    @staticmethod
    def check_version(command, thing):
        refuse_if(command.get("version") is not None and command["version"] != thing.seq, "stale_version")

    def offer(self, command):
        c = self.find(command)
        self.check_version(command, c)
        more = c.state == "offered" and c.queue.strategy == "ring_progressively" and c.offers < c.queue.max_offers \
            and (c.expires is None or c.expires > self.now)
        refuse_if(c.state != "scheduled" and not more, "wrong_state")
        refuse_if(c.linked_to is not None, "linked")
        refuse_if(c.due > self.now and command["role"] == "router", "not_due")
        takers = [t for t in command["to"] if self.available(t["agent"])]
        refuse_if(not takers, "agent_unavailable")
        c.state = "offered"
        c.offers += len(takers)
        for t in takers:
            o = Offer(t["offer"], c.id, t["agent"], self.now, self.now + c.queue.offer_timeout)
            self.offers[o.id] = o
            self.emit("offer.created", c, o, command=command)

    def answer_of(self, command, by_himself):
        o = self.offers.get(command["offer"])
        refuse_if(o is None or by_himself and o.agent != command.get("by"), "not_found")
        refuse_if(o.state != "pending", "offer_not_pending")
        return o, self.callbacks[o.callback], self.statuses[o.agent]

    def accept(self, command):
        o, c, s = self.answer_of(command, True)
        o.end("accepted", self.now)
        c.state, c.agent, c.deadline = "ready_to_call", o.agent, self.now + c.queue.ready_to_call
        c.tried = c.reason = None
        s.missed, s.offered_seq = 0, o.seq
        s.accepted += 1
        self.emit("offer.accepted", c, o, s, command=command)
        for other in self.pending(callback=c.id):
            other.end("rescinded", self.now)
            self.emit("offer.rescinded", other)

    def reject(self, command):
        o, c, s = self.answer_of(command, True)
        o.end("rejected", self.now, command.get("args", {}).get("reason"))
        c.offer_ended(o.agent, self.pending(callback=c.id), self.now)
        s.idle_since, s.missed, s.offered_seq = self.now, 0, o.seq
        self.emit("offer.rejected", c, o, s, command=command)
        self.emit_failed(c)

    def offer_timeout(self, command):
        o, c, s = self.answer_of(command, False)
        refuse_if(o.deadline > self.now, "not_due")
        o.end("timeout", self.now)
        c.offer_ended(o.agent, self.pending(callback=c.id), self.now)
        s.idle_since, s.offered_seq = self.now, o.seq
        s.missed += 1
        self.emit("offer.timeout", c, o, s, command=command)
        if c.queue.missed_limit and s.missed >= c.queue.missed_limit and s.state == "ready":
            s.state, s.reason, s.since = "not_ready", "missed", self.now
            s.deadline = self.now + c.queue.missed_rest if c.queue.missed_rest else None
            self.emit("agent.not_ready", s)
        self.emit_failed(c)

    def emit_failed(self, c):
        if c.state == "failed":
            self.emit("callback.failed", c)

    # ---- the call ----

    def call(self, command):
        c = self.find(command)
        refuse_if(not self.may_touch(command, c.agent), "not_found")
        self.check_version(command, c)
        refuse_if(c.state != "ready_to_call", "wrong_state")
        dialled = [a.number for a in self.attempts.values() if a.callback == c.id]
        a = Attempt(command["id"], c.id, c.agent, max(dialled, default=0) + 1, self.now)
        self.attempts[a.id] = a
        c.state, c.attempt, c.deadline = "establishing", a.id, self.now + c.queue.dial_timeout
        c.attempts += 1
        self.emit("call.establishing", c, a, command=command)

    def dial_of(self, command, *states):
        a = self.attempts.get(command["attempt"])
        refuse_if(a is None or not self.may_touch(command, a.agent), "not_found")
        c = self.callbacks[a.callback]
        self.check_version(command, c)
        refuse_if(a.ended is not None or c.attempt != a.id, "attempt_over")
        refuse_if(c.state not in states, "wrong_state")
        return a, c

    def connected(self, command):
        a, c = self.dial_of(command, "establishing")
        c.state, c.deadline = "connected", self.now + c.queue.call_timeout
        a.state, a.answered = "answered", self.now
        self.emit("call.connected", c, a, command=command)

    def hold(self, command):
        _, c = self.dial_of(command, "connected")
        c.state = "on_hold"
        self.emit("call.on_hold", c, command=command)

    def retrieve(self, command):
        _, c = self.dial_of(command, "on_hold")
        c.state = "connected"
        self.emit("call.retrieved", c, command=command)

    def ended_call(self, c, a, outcome):
        c.state, c.attempt, c.deadline = "ready_to_call", None, self.now + c.queue.ready_to_call
        a.state, a.ended = outcome, self.now
        s = self.statuses[a.agent]
        if a.answered is None:
            return []
        s.talk += self.now - a.answered
        return [s]

    def ended(self, command):
        a, c = self.dial_of(command, *IN_CALL)
        outcome = command.get("args", {}).get("outcome") or ("no_answer" if a.answered is None else "answered")
        good = outcome == "answered" if a.answered is not None else outcome in OUTCOMES or (
            command["role"] == "router" and outcome in ("pbx_lost", "agent_offline"))
        refuse_if(not good, "bad_outcome")
        talked = self.ended_call(c, a, outcome)
        if outcome in NOT_COUNTED:
            c.attempts -= 1
        self.emit("call.ended", c, a, *talked, command=command)

    # ---- out of the agent's hands ----

    def held(self, command, *states):
        c = self.find(command)
        contact = command["role"] == "contact" and command["kind"] == "cancel"
        refuse_if(not contact and not self.may_touch(command, c.agent), "not_found")
        self.check_version(command, c)
        refuse_if(c.state not in states, "wrong_state")
        return c, self.statuses.get(c.agent)

    def done(self, command):
        c, s = self.held(command, "ready_to_call")
        code = command.get("args", {}).get("disposition")
        refuse_if(code is not None and code not in DISPOSITIONS, "unknown_disposition")
        refuse_if(code is None and c.queue.disposition_required, "disposition_required")
        c.disposition = code
        kind = DISPOSITIONS.get(code, "reached")
        if kind == "retry":
            self.again(c, code)
        else:
            c.finish("completed" if kind == "reached" else "failed", code, self.now)
        event = "callback." + ("retry" if c.state == "scheduled" else c.state)
        s.idle_since = self.now
        if c.queue.after_call_work and s.state != "logged_out":
            self.emit(event, c, command=command)
            s.wrap_up(c.queue.after_call_work, self.now)
            self.emit("agent.after_call_work", s)
        else:
            self.emit(event, c, s, command=command)

    def dials(self, c):
        return sorted((a for a in self.attempts.values() if a.callback == c.id), key=lambda a: a.number)

    def given_up(self, c, last=None):
        """Why it is not tried again; last: the attempt by whose outcome the queue decides."""
        cell = c.queue.retries.get(last.state) if last else None
        if any(a.state == "invalid" for a in self.dials(c)):
            return "invalid_number"
        if cell == "stop":
            return "stop_" + last.state
        if c.attempts >= c.queue.max_attempts:
            return "max_attempts"
        if cell and cell[1] and sum(a.state == last.state for a in self.dials(c)) >= cell[1]:
            return "max_attempts_" + last.state
        return None

    def free_day(self, c, at):
        """That time, or midnight before the first day on which the number has not had its calls yet."""
        limit = c.queue.attempts_per_day
        days = [c.day(a.started) for a in self.attempts.values()
                if self.callbacks[a.callback].phone == c.phone and a.state not in NOT_COUNTED]
        while limit and days.count(c.day(at)) >= limit:
            at = c.begin_of(c.day(at) + datetime.timedelta(days=1))
        return at

    def again(self, c, reason):
        """As the queue says of the last dial; later, if nobody has dialled since it was accepted."""
        last = (self.dials(c) or [None])[-1]
        why = self.given_up(c, last)
        if why:
            c.finish("failed", why, self.now)
            return
        cell = c.queue.retries.get(last.state) if last else None
        delay = cell[0] if cell and cell[0] is not None else c.queue.retry_delay
        at = max(self.now, last.started + delay) if last else self.now
        if not self.dialled(c):
            at = max(at, self.now + c.queue.retry_delay)
        c.try_again(self.free_day(c, at), reason)

    def dialled(self, c):
        """Since its agent accepted it."""
        accepted = max((o.seq for o in self.offers.values() if o.callback == c.id and o.state == "accepted"), default=0)
        return any(a.seq > accepted for a in self.dials(c))

    def let_go(self, c, reason):
        """Its agent does not keep it; what kind of event that is."""
        dialled = self.dialled(c)
        c.back_from(c.agent, reason, self.now)
        if dialled:
            self.again(c, reason)
        return "callback.failed" if c.state == "failed" else "callback.given_back"

    def give_back(self, command):
        c, s = self.held(command, "ready_to_call")
        event = self.let_go(c, command.get("args", {}).get("reason"))
        s.idle_since = self.now
        self.emit(event, c, s, command=command)

    def retry(self, command):
        c, s = self.held(command, "ready_to_call")
        in_s = command.get("args", {}).get("in_s")
        refuse_if(in_s is None or not 0 <= in_s <= 366 * 86400, "bad_time")
        at, why = self.now + in_s * 1000, self.given_up(c)
        refuse_if(not why and self.free_day(c, at) != at, "bad_time")
        if why:
            c.finish("failed", why, self.now)
        else:
            c.try_again(at, command["args"].get("reason"))
            c.promise = at
        s.idle_since = self.now
        self.emit("callback." + ("retry" if c.state == "scheduled" else c.state), c, s, command=command)

    def reschedule(self, command):
        """Another promise; of the requests that are linked to each other, the one due first is called then."""
        c = self.find(command)
        refuse_if(command["role"] != "contact" and not self.may_touch(command, c.agent), "not_found")
        asked = command["args"].get("at", self.now)
        horizon = HORIZON_MS if command["role"] == "contact" else 366 * 86400_000
        wrong = "invalid" if not self.now - 60_000 <= asked <= self.now + horizon else \
            "already_due" if max(c.due, asked) <= self.now else \
            "unchanged" if asked == c.promise == c.due and c.zone == command["args"]["time_zone"] else None
        refuse_if(c.state == "scheduled" and wrong == "unchanged", "unchanged")
        self.check_version(command, c)
        refuse_if(c.state != "scheduled", "wrong_state")
        refuse_if(wrong is not None, wrong)
        c.due = c.promise = asked
        c.zone = command["args"]["time_zone"]
        c.expires = asked + c.queue.promise_window if c.queue.promise_window else None
        c.reason = c.tried = None
        led = c.linked_to or c.id
        group = [x for x in self.callbacks.values() if x.id == led or x.linked_to == led and x.state == "scheduled"]
        group.sort(key=lambda x: (x.due, x.id != led, x.created, uuid.UUID(x.id).int))
        stay = [x for x in group if x is c or x.expires is None or x.expires > self.now]
        leads = led if self.callbacks[led].state != "scheduled" else stay[0].id
        if leads != led:
            c.linked_to = None if c.id == leads else leads
        self.emit("callback.rescheduled", c, command=command)
        if leads != led:
            others = sorted((x for x in group if x is not c), key=lambda x: (x.id != led, x.created, uuid.UUID(x.id).int))
            for x in others:
                x.linked_to = None if x.id == leads else leads
                self.emit("callback.linked", x)

    def cancel(self, command):
        c, s = self.held(command, "scheduled", "offered", "ready_to_call")
        offers = self.pending(callback=c.id)
        c.finish("cancelled", command.get("args", {}).get("reason"), self.now)
        if s is not None:
            s.idle_since = self.now
        self.emit("callback.cancelled", c, *[x for x in [s] if x], command=command)
        for o in offers:
            o.end("cancelled", self.now)
            self.emit("offer.cancelled", o)

    def expire(self, command):
        c, _ = self.held(command, "scheduled")
        refuse_if(c.linked_to is not None, "linked")
        refuse_if(c.expires is None or c.expires > self.now, "not_due")
        c.finish("expired", "promise_window", self.now)
        self.emit("callback.expired", c, command=command)

    def callback_deadline(self, command):
        c, s = self.held(command, *HELD)
        refuse_if(c.deadline > self.now, "not_due")
        if c.attempt is not None:
            a = self.attempts[c.attempt]
            talked = self.ended_call(c, a, "failed" if a.answered is None else "answered")
            self.emit("call.ended", c, a, *talked, command=command)
            return
        event = "callback.failed"
        if c.attempts >= c.queue.max_attempts and not self.dialled(c):
            c.finish("failed", "max_attempts", self.now)
        else:
            event = self.let_go(c, "deadline")
        s.idle_since = self.now
        self.emit(event, c, s, command=command)

    def note(self, command):
        c, _ = self.held(command, "scheduled", "offered", *HELD, *TERMINAL)
        refuse_if(not command.get("args", {}).get("text"), "invalid")
        self.emit("callback.noted", c, command=command)

    # ---- agents ----

    def status_of(self, command):
        s = self.statuses.get(command["agent"])
        refuse_if(s is None or not self.may_touch(command, s.agent), "not_found")
        self.check_version(command, s)
        return s

    def ready(self, command):
        s = self.status_of(command)
        refuse_if(s.state == "logged_out", "logged_out")
        s.become(command["kind"], command.get("args", {}).get("reason") if command["kind"] == "not_ready" else None, self.now)
        s.expect_desk(self.now)
        self.emit("agent." + s.state, s, command=command)

    not_ready = ready

    def agent_deadline(self, command):
        s = self.status_of(command)
        refuse_if(s.deadline is None or s.deadline > self.now, "not_due")
        s.become(s.next_state or "ready", s.next_reason, self.now)
        self.emit("agent." + s.state, s, command=command)

    def connect(self, command):
        s = self.status_of(command)
        refuse_if(s.state == "logged_out", "logged_out")
        if not s.connected and s.state == "ready":
            s.idle_since = self.now
        s.connected, s.node, s.lost = True, command["args"]["node"], None
        self.emit("agent.connected", s, command=command)

    def disconnect(self, command):
        s = self.status_of(command)
        refuse_if(not s.connected or s.node != command["args"]["node"], "not_connected")
        s.connected, s.lost = False, self.now + GRACE_MS
        self.emit("agent.disconnected", s, command=command)

    def agent_lost(self, command):
        s = self.status_of(command)
        refuse_if(s.connected or s.lost is None or s.lost > self.now, "not_due")
        if not any(agent == s.agent and expires > self.now for agent, expires, _ in self.sessions.values()):
            s.become("logged_out", None, self.now)
        elif s.state != "logged_out":
            s.become("not_ready", "connection_lost", self.now)
        s.lost = None
        self.emit("agent.lost", s, command=command)
        self.release(s.agent, "timeout", "agent_lost")

    def release(self, agent, offer_state, reason):
        """He is gone: what he was offered ends, what he accepted goes back, calls in progress stay his."""
        for o in self.pending(agent=agent):
            c = self.callbacks[o.callback]
            o.end(offer_state, self.now, reason)
            c.offer_ended(agent, self.pending(callback=c.id), self.now)
            self.emit("offer." + offer_state, c, o)
            self.emit_failed(c)
        for c in self.held_by(agent):
            if c.state == "ready_to_call":
                self.emit(self.let_go(c, reason), c)

    # ---- sessions ----

    def close_sessions(self, agent, wanted=None, command=None):
        closing = sorted((opened, t) for t, (a, expires, opened) in self.sessions.items()
                         if a == agent and (wanted is None or t == wanted or expires <= self.now))
        for _, token in closing:
            del self.sessions[token]
            self.emit("session.closed", command=command)
            command = None
        return command

    def sign_in(self, command):
        s = self.statuses.get(command["agent"])
        refuse_if(s is None, "not_found")
        count = self.failures.setdefault(s.agent, [0, None])
        refuse_if(count[1] is not None and count[1] > self.now, "locked")
        args = command["args"]
        self.emit("session.opened", command=command)
        self.close_sessions(s.agent, wanted="")
        self.sessions[args["token_hash"]] = (s.agent, args["expires_at"], self.now)
        if s.state == "logged_out":
            s.become(*(("ready", None) if args.get("ready") else ("not_ready", "signed_in")), self.now)
            s.lost = self.now + GRACE_MS
            s.accepted = s.talk = 0
            self.emit("agent.signed_in", s)
        elif s.state == "not_ready" and args.get("ready"):
            s.become("ready", None, self.now)
            s.expect_desk(self.now)
            self.emit("agent.ready", s)
        self.failures[s.agent] = [0, None]

    def sign_in_failed(self, command):
        s = self.statuses.get(command["agent"])
        refuse_if(s is None, "not_found")
        count = self.failures.setdefault(s.agent, [0, None])
        if count[1] is None or count[1] <= self.now:
            count[0], count[1] = count[0] + 1, None
            if count[0] >= LOCKOUT_FAILURES:
                count[0], count[1] = 0, self.now + LOCKOUT_MS
        self.emit("agent.sign_in_failed", command=command)

    def sign_out(self, command):
        s = self.statuses.get(command["agent"])
        refuse_if(s is None or not self.may_touch(command, s.agent), "not_found")
        wanted = command.get("args", {}).get("token_hash")
        mine = {t for t, (a, _, _) in self.sessions.items() if a == s.agent}
        refuse_if(wanted is not None and wanted not in mine, "not_found")
        refuse_if(not mine and s.state == "logged_out", "not_found")
        command = self.close_sessions(s.agent, wanted, command)
        if all(a != s.agent for a, _, _ in self.sessions.values()) and s.state != "logged_out":
            s.become("logged_out", None, self.now)
            s.connected, s.node, s.lost = False, None, None
            self.emit("agent.signed_out", s, command=command)
            self.release(s.agent, "rejected", "signed_out")
