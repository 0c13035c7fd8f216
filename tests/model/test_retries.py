"""Random retry matrices and random histories of attempts, around the hours in which clocks change: a retry is never too
early, never above a limit, never of a number that does not exist, and never later than all that asks for.

RETRY_EXAMPLES says how much of it (120); the second half begins at MODEL_SEED, or at a number that is printed.
"""

import collections
import datetime as dt
import itertools
import os
import random
import uuid
import zoneinfo

import hypothesis
import pytest
from hypothesis import strategies as st

import talk

EXAMPLES = int(os.environ.get("RETRY_EXAMPLES", "120"))
SEED = int(os.environ.get("MODEL_SEED", random.SystemRandom().randrange(1 << 32)))
SETTINGS = hypothesis.settings(max_examples=EXAMPLES // 2, deadline=None, database=None, print_blob=True,
                               suppress_health_check=list(hypothesis.HealthCheck))
OURS = ("trunk_failed", "pbx_lost", "agent_offline", "cancelled")  # not the contact's attempts
CELLS = ("busy", "no_answer", "declined", "machine", "unreachable", "failed", "answered")
# zone: moments at which its clocks change, of 2026 and 2027, and one at which they do not
CHANGES = {
    "Europe/Berlin": ("2026-10-25T01:00Z", "2027-03-28T01:00Z", "2026-12-01T12:00Z"),
    "America/New_York": ("2026-11-01T06:00Z", "2027-03-14T07:00Z", "2026-12-01T12:00Z"),
    "Australia/Lord_Howe": ("2026-10-03T15:30Z", "2027-04-03T15:00Z", "2026-12-01T12:00Z"),
    "Africa/Casablanca": ("2027-02-07T02:00Z", "2027-03-14T02:00Z", "2026-12-01T12:00Z"),
}
seen = collections.Counter()
count = itertools.count(1)

delays = st.sampled_from([0, 1, 60, 1800, 5400, 43_200, 86_400, 90_000, 259_200])
cells = st.one_of(st.just("stop"), st.fixed_dictionaries({}, optional={"delay_s": delays, "attempts": st.integers(1, 3)}))
queues = st.fixed_dictionaries({
    "retries": st.dictionaries(st.sampled_from(CELLS), cells, max_size=5), "retry_delay_s": delays,
    "max_attempts": st.integers(1, 8), "attempts_per_day": st.sampled_from([0, 0, 1, 1, 2, 3]),
    "hours": st.one_of(st.none(), st.sampled_from(sorted(CHANGES)).map(lambda zone: {
        "time_zone": zone, "week": dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ["09:00-17:00"])}))})
# how an attempt ended; so many seconds until the agent dialled, and until it ended
dials = st.tuples(st.sampled_from(CELLS * 2 + OURS + ("invalid",)), st.sampled_from([0, 5, 500]), st.sampled_from([0, 30, 4000]))
# so late was it taken up; what was dialled; how it was closed: by the code, the deadline, given back, or at a time so many seconds ahead
closes = st.sampled_from(["again", "again", "again", "again", "deadline", "give_back", 0, 3600, 100_000])
holds = st.tuples(st.sampled_from([0, 0, 0, 7, 7200]), st.lists(dials, max_size=3), closes)
one_dial = st.tuples(st.just(0), st.lists(dials, min_size=1, max_size=1), st.just("again"))
places = st.sampled_from([(zone, at) for zone, moments in CHANGES.items() for at in moments])
begins = st.tuples(places, st.integers(-130_000, 40_000))


class Life(talk.Talk):
    """A company with one agent, and the callbacks of one number."""

    def __init__(self, db, zone, now, queue):
        name = f"retry-{os.getpid()}-{next(count)}"
        super().__init__(db, name, now)
        self.zone, self.queue = zone, queue
        self.attempts = []      # (callback, outcome, began at), of all callbacks
        document = {
            "company": {"name": name}, "agents": [{"name": "ann"}],
            "queues": [{"name": "q", "after_call_work_s": 0, "promise_window_s": 0, "max_offers": 10_000, **queue}],
            "dispositions": [{"name": "again", "class": "retry"}], "forms": [{"key": name, "queue": "q", "duplicates": "allow"}]}
        self.say("company", role="operator", args={"document": document})
        self.say("sign_in", agent=1, by=1, role="agent", args={"token_hash": "00" * 32, "ready": True, "expires_at": now * 2})
        self.say("connect", agent=1, role="router", args={"node": str(uuid.UUID(int=1))})

    def ask(self):
        return self.run("submit", {"id": self.new(), "form": 1, "phone": "+49301", "when": "asap", "time_zone": self.zone})[0]["callback"]

    def dial(self, c, outcome):
        call = {"role": "agent", "by": 1}
        attempt = self.say("call", callback=c["id"], **call)["attempt"]["id"]
        self.attempts.append((c["id"], outcome, self.now))
        return attempt, call

    def hold(self, c, late, dialled):
        """It is taken up, not before it is due, and dialled."""
        self.now = max(self.now, c["due_at"] - 1)
        offer = {"callback": c["id"], "role": "router", "to": [{"offer": self.new(), "agent": 1}]}
        if self.now < c["due_at"]:
            assert self.run("execute", {"id": self.new(), "kind": "offer", **offer})[1] == "not_due"
            self.now = c["due_at"]
        self.now += late * 1000
        self.say("offer", **offer)
        self.say("accept", offer=offer["to"][0]["offer"], by=1, role="agent")
        for outcome, wait, rings in dialled:
            self.now += wait * 1000
            attempt, who = self.dial(c, outcome)
            self.now += rings * 1000
            if outcome == "answered":
                self.say("connected", attempt=attempt, **who)
            self.say("ended", attempt=attempt, role="router", args={"outcome": outcome})

    # ---- what is expected ----

    def day(self, at):
        return dt.datetime.fromtimestamp(at / 1000, zoneinfo.ZoneInfo(self.zone)).date()

    def made(self, day):
        return sum(self.day(at) == day for _, outcome, at in self.attempts if outcome not in OURS)

    def open(self, at):
        """From nine to five, if it has hours; none of these zones changes its clocks then, nor at midnight."""
        if self.queue["hours"] is None:
            return at
        zone = zoneinfo.ZoneInfo(self.queue["hours"]["time_zone"])
        local = dt.datetime.fromtimestamp(at / 1000, zone)
        if 9 <= local.hour < 17:
            return at
        day = local.date() + dt.timedelta(days=local.hour >= 17)
        return int(dt.datetime.combine(day, dt.time(9), zone).timestamp() * 1000)

    def free(self, at):
        """The first moment from then on at which it is open and whose day has room."""
        limit = self.queue["attempts_per_day"]
        at = self.open(at)
        while limit and self.made(self.day(at)) >= limit:
            midnight = dt.datetime.combine(self.day(at) + dt.timedelta(days=1), dt.time(), zoneinfo.ZoneInfo(self.zone))
            at = self.open(int(midnight.timestamp() * 1000))
        return at

    def close(self, c, how, dialled):
        """The callback as it is then, after all that must hold of it was looked at."""
        if how == "deadline":
            c = self.db.execute("SELECT image_callback(c, seq)::json FROM callback c WHERE tenant_id = %s AND callback_id = %s",
                                (self.tenant, c["id"])).fetchone()[0]
            self.now = max(self.now, c["deadline_at"])
            after = self.say("callback_deadline", callback=c["id"], role="router")["callback"]
        elif how == "give_back":
            after = self.say("give_back", callback=c["id"], by=1, role="agent")["callback"]
        elif how == "again":
            after = self.say("done", callback=c["id"], by=1, role="agent", args={"disposition": "again"})["callback"]
        else:
            after = self.ask_for(c, self.now + how * 1000)
        if not dialled and (how == "give_back" or how == "deadline" and after["reason"] != "max_attempts"):
            assert (after["state"], after["due_at"]) == ("scheduled", c["due_at"]), after
            seen["given back"] += 1
            return after
        asked = how if isinstance(how, int) else None
        mine = [(outcome, at) for callback, outcome, at in self.attempts if callback == c["id"]]
        counted = [outcome for outcome, _ in mine if outcome not in OURS]
        last, began = mine[-1] if mine else (None, None)
        cell = self.queue["retries"].get(last, {}) if asked is None else {}
        used = cell != "stop" and "attempts" in cell and counted.count(last) >= cell["attempts"]
        why = ("invalid_number" if "invalid" in counted else "stop_" + last if cell == "stop" else
               "max_attempts" if len(counted) >= self.queue["max_attempts"] else "max_attempts_" + last if used else None)
        assert (after["state"], after["reason"] if why else None) == ("failed" if why else "scheduled", why), (after, mine)
        seen[why and why.split("_")[0] + "_" * (why == "max_attempts")] += 1
        if why is None and asked is None:
            earliest = max(self.now, began + 1000 * cell.get("delay_s", self.queue["retry_delay_s"])) if mine else self.now
            if not dialled:
                earliest = max(earliest, self.now + 1000 * self.queue["retry_delay_s"])
            seen["moved"] += self.free(earliest) != earliest
            seen["opened"] += self.open(earliest) != earliest
            assert after["due_at"] == self.free(earliest), (after, mine, earliest)
        return after

    def ask_for(self, c, at):
        """At a time of the agent's; what it says would do, if that would not."""
        retry = {"kind": "retry", "callback": c["id"], "by": 1, "role": "agent"}
        body, refusal = self.run("execute", {"id": self.new(), "args": {"at": at}, **retry})
        if refusal is not None:
            assert refusal == "bad_time" and body["possible_at"] == self.free(at) > at, body
            seen["refused"] += 1
            at = body["possible_at"]
            body, refusal = self.run("execute", {"id": self.new(), "args": {"at": at}, **retry})
        assert refusal is None
        c = body["callback"]
        if c["state"] == "scheduled":
            assert c["due_at"] == c["promise_at"] == at == self.free(at)
        return c


def begin(db, start, queue):
    (zone, change), offset = start
    return Life(db, zone, int(dt.datetime.fromisoformat(change.replace("Z", "+00:00")).timestamp() + offset) * 1000, queue)


def any_history(db, start, queue, history):
    """Two callbacks of a number, the one that is due first next."""
    life = begin(db, start, queue)
    waiting = [life.ask(), life.ask()]
    for late, dialled, how in history:
        waiting.sort(key=lambda c: (c["due_at"], c["id"]))
        if not waiting:
            break
        c = waiting.pop(0)
        life.hold(c, late, dialled)
        after = life.close(c, how, dialled)
        waiting += [after] if after["state"] == "scheduled" else []


def one_dial_each_time(db, start, queue, history):
    """Where each retry is one dial, at its time, no limit is ever passed: of a day, of an outcome, of all."""
    life = begin(db, start, queue)
    c = life.ask()
    for late, dialled, how in history:
        life.hold(c, late, dialled)
        c = life.close(c, how, dialled)
        if c["state"] != "scheduled":
            break
    made = collections.Counter(outcome for _, outcome, _ in life.attempts if outcome not in OURS)
    assert sum(made.values()) <= queue["max_attempts"]
    for outcome, cell in queue["retries"].items():
        assert made[outcome] <= (1 if cell == "stop" else cell.get("attempts", 8))
    assert made["invalid"] == 0 or life.attempts[-1][1] == "invalid"
    days = collections.Counter(life.day(at) for _, outcome, at in life.attempts if outcome not in OURS)
    assert not queue["attempts_per_day"] or max(days.values(), default=0) <= queue["attempts_per_day"], days


@pytest.mark.parametrize("story, hold", [(any_history, holds), (one_dial_each_time, one_dial)])
def test_retries_hold_in_any_history(db, story, hold, capsys):
    with capsys.disabled():
        print(f"\nMODEL_SEED={SEED}")
    given = hypothesis.given(start=begins, queue=queues, history=st.lists(hold, min_size=4, max_size=9))
    tell = lambda start, queue, history: story(db, start, queue, history)
    hypothesis.settings(SETTINGS, derandomize=True)(given(tell))()
    hypothesis.seed(SEED)(SETTINGS(given(tell)))()


def test_and_every_rule_was_met():
    missing = {None, "invalid", "stop", "max", "max_", "moved", "opened", "refused", "given back"} - {k for k, n in seen.items() if n}
    assert not missing, f"never: {missing}; seen {seen}"
