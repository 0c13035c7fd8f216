"""Random steps of widening, random agents who come and go, and time that passes in any portions: a callback is never widened
too early nor too late, every step is for more agents than before or for another queue, none is taken twice, and one is passed
over only when nobody could serve it.

WIDEN_EXAMPLES says how much of it (200); the second half begins at MODEL_SEED, or at a number that is printed.
"""

import collections
import itertools
import os
import random

import hypothesis
from hypothesis import strategies as st

import talk

EXAMPLES = int(os.environ.get("WIDEN_EXAMPLES", "200"))
SEED = int(os.environ.get("MODEL_SEED", random.SystemRandom().randrange(1 << 32)))
SETTINGS = hypothesis.settings(max_examples=EXAMPLES // 2, deadline=None, database=None, print_blob=True,
                               suppress_health_check=list(hypothesis.HealthCheck))
BEGIN = 1_790_000_000_000
SKILLS = ("loans", "french", "vip")
QUEUES = ("first", "second", "third")
seen = collections.Counter()
count = itertools.count(1)

levels = st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 10), max_size=3)
done = st.fixed_dictionaries({}, optional={
    "levels": st.integers(1, 9), "without": st.lists(st.sampled_from(SKILLS), min_size=1, max_size=2, unique=True),
    "queue": st.sampled_from(QUEUES), "priority": st.sampled_from([1, 10, 1000])}).filter(bool)
steps = st.lists(st.tuples(st.sampled_from([0, 1, 30, 600]), done), min_size=1, max_size=6)
companies = st.tuples(st.lists(levels, min_size=1, max_size=5), st.tuples(levels, levels, levels), levels, steps)
# so many seconds pass; and an agent signs in, or out
moments = st.lists(st.tuples(st.sampled_from([0, 1, 29, 30, 600, 5000]), st.integers(0, 9)), min_size=1, max_size=8)


def meets(has, *needs):
    return all(has.get(skill, 0) >= level for need in needs for skill, level in need.items())


class Wait(talk.Talk):
    """A company of three queues, the first of which widens, and one callback that waits in it."""

    def __init__(self, db, agents, queues, needs, steps):
        name = f"widen-{os.getpid()}-{next(count)}"
        super().__init__(db, name, BEGIN)
        after = itertools.accumulate(after for after, _ in steps)
        self.steps = [{"after_s": at, **step} for at, (_, step) in zip(after, steps)]
        self.agents, self.queues = agents, dict(zip(QUEUES, queues))
        self.signed_in = set()
        self.say("company", role="operator", args={"document": {
            "company": {"name": name}, "skills": [{"name": skill} for skill in SKILLS],
            "agents": [{"name": f"a{n}", "skills": skills} for n, skills in enumerate(agents, 1)],
            "queues": [{"name": queue, "skills": skills, "promise_window_s": 0, "widen": self.steps if queue == "first" else []}
                       for queue, skills in self.queues.items()],
            "forms": [{"key": name, "queue": "first", "skills": needs}]}})
        self.callback = self.run("submit", {"id": self.new(), "form": 1, "phone": "+49301", "when": "asap"})[0]["callback"]
        assert self.callback["widen_after_s"] == self.steps[0]["after_s"]
        self.want = ("first", needs, 0)
        self.done = 0

    def turns(self, n):
        """An agent signs in or out."""
        agent = n % len(self.agents) + 1
        if agent in self.signed_in:
            self.say("sign_out", agent=agent, role="supervisor")
        else:
            self.say("sign_in", agent=agent, by=agent, role="agent",
                     args={"token_hash": f"{next(self.numbers):064x}", "ready": True, "expires_at": BEGIN * 2})
        self.signed_in ^= {agent}

    def able(self, want):
        queue, needs, _ = want
        return {n for n, skills in enumerate(self.agents, 1) if meets(skills, needs, self.queues[queue])}

    # ---- what is expected ----

    @staticmethod
    def after(want, step):
        queue, needs, priority = want
        needs = {skill: max(level - step.get("levels", 0), 1) for skill, level in needs.items() if skill not in step.get("without", ())}
        return step.get("queue", queue), needs, min(priority + step.get("priority", 0), 1000)

    def next(self):
        """The step that is to be taken, from 1 on, and what it leads to."""
        want = first = self.after(self.want, self.steps[self.done])
        for n in range(self.done + 1, len(self.steps) + 1):
            if n > self.done + 1:
                want = self.after(want, self.steps[n - 1])
            if self.able(want) & self.signed_in:
                seen["passed over"] += n > self.done + 1
                return n, want
        seen["nobody"] += 1
        return self.done + 1, first

    # ---- what is so ----

    def stands(self):
        queue, needs, priority = self.db.execute(
            "SELECT q.name, company_levels(c.tenant_id, k.skills), c.priority FROM callback c JOIN requirement_class k USING (tenant_id, class_id) "
            "JOIN queue q ON q.tenant_id = c.tenant_id AND q.queue_id = c.queue_id AND q.queue_id = k.queue_id WHERE c.tenant_id = %s",
            (self.tenant,)).fetchone()
        return queue, needs, priority

    def elapse(self):
        """What the router does, until there is nothing to do now; each step is looked at."""
        while True:
            *rows, last = self.db.execute("SELECT callback_id, seq, next_at, command FROM load_elapsed(%s, %s, 10)", (self.tenant, self.now)).fetchall()
            due = self.done < len(self.steps) and self.callback["due_at"] + self.steps[self.done]["after_s"] * 1000 <= self.now
            assert len(rows) == due, f"{rows} at {self.now - BEGIN}, {self.done} of {self.steps}"
            if not due:
                ahead = None if self.done == len(self.steps) else self.callback["due_at"] + self.steps[self.done]["after_s"] * 1000
                assert last[2] == ahead
                return
            (callback, seq, _, command), = rows
            n, want = self.next()
            body = self.say(command, role="router", callback=str(callback), version=seq)
            before, self.done, self.want, self.callback = self.want, n, want, body["callback"]
            assert (body["step"], self.stands()) == (n, want)
            assert [step["step"] for step in self.callback["widened"]] == sorted({step["step"] for step in self.callback["widened"]})
            assert want[2] >= before[2]
            if want[0] == before[0]:
                assert self.able(want) >= self.able(before), "a step is for fewer than before"
                seen["wider"] += self.able(want) > self.able(before)
            else:
                seen["another queue"] += 1


def any_wait(db, company, history):
    wait = Wait(db, *company)
    wait.elapse()
    for seconds, agent in history:
        wait.now += seconds * 1000
        if agent < 8:
            wait.turns(agent)
        wait.elapse()
    # and it comes home
    wait.now += 1000
    if wait.done:
        home = wait.say("reschedule", role="contact", callback=wait.callback["id"], args={"at": wait.now + 3_600_000})["callback"]
        assert wait.stands() == ("first", company[2], 0) and "widened" not in home
        assert home["widen_after_s"] == wait.steps[0]["after_s"]
        seen["home"] += 1


def test_who_waits_is_widened_in_any_history(db, capsys):
    with capsys.disabled():
        print(f"\nMODEL_SEED={SEED}")
    given = hypothesis.given(company=companies, history=moments)
    tell = lambda company, history: any_wait(db, company, history)
    hypothesis.settings(SETTINGS, derandomize=True)(given(tell))()
    hypothesis.seed(SEED)(SETTINGS(given(tell)))()


def test_and_every_case_was_met():
    missing = {"passed over", "nobody", "wider", "another queue", "home"} - {k for k, n in seen.items() if n}
    assert not missing, f"never: {missing}; seen {seen}"
