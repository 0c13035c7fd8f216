"""A machine with the primary dies while visitors post, agents work at both nodes, and supervisors watch: once with a
synchronous standby, when nothing that was answered may be lost, and once with one that lagged, when something is. Then
everybody must see that it is another history."""

import json
import os
import time

import pytest

import house
from ha_site import Desk, Visitors, Watcher, until

ENDED = ("completed", "failed", "cancelled", "expired")


@pytest.fixture
def shift(site):
    shift = Shift(site)
    yield shift
    shift.leave()


class Shift:
    """The company, ann and bob at a node each, sue who watches at the second, adam at the first, and the visitors."""

    def __init__(self, site):
        self.site = site
        with open(os.path.join(house.SRC, "etc", "demo.json")) as file:
            company = json.load(file)
        company["forms"][0]["address_limit"] = 0  # every visitor here comes from this machine
        with site.nodes[0].operator() as operator:
            answer = operator.put("/v1/company", json=company)
        assert answer.status_code == 200, answer.text
        # so that a projection can be compared with a load; the time stays the real one
        site.rows("UPDATE meta SET is_test = true RETURNING 1")
        for node in site.nodes:
            until(lambda node=node: node.client().get("/f/demo").status_code == 200, f"{node.name} knows the form")
        first, second = site.nodes
        self.people = [house.Person(node, name, ready=name in ("ann", "bob"), stream=False)
                       for node, name in ((first, "ann"), (second, "bob"), (second, "sue"), (first, "adam"))]
        self.desks = [Desk(person) for person in self.people[:2]]
        self.watchers = [Watcher(person) for person in self.people[2:]]
        self.visitors = Visitors(site)
        self.visitors.wait_for(20)

    def everybody(self):
        return [*self.desks, *self.watchers]

    def leave(self):
        self.visitors.finish()
        for one in self.everybody():
            one.finish()
        for person in self.people:
            person.leave()

    def drained(self):
        """Whatever was asked is done: nobody is stuck."""
        return self.site.rows("SELECT count(*) FROM callback WHERE state <> ALL (%s)", list(ENDED))[0][0] == 0

    def offered_after(self, when):
        times = [at for desk in self.desks for at, event in desk.events if event["kind"] == "offer.created" and at > when]
        return min(times, default=None)

    def answered_after(self, when):
        return min((at for at, _ in self.visitors.acknowledged if at > when), default=None)

    def end(self):
        """The visitors go home, what is left is worked off, and every desk and stream is as far as the log."""
        acknowledged = self.visitors.finish()
        until(self.drained, "every callback ended", 60)
        head, epoch = self.site.rows("SELECT max(e.seq), t.epoch FROM event e JOIN tenant t USING (tenant_id) GROUP BY 2")[0]
        for watcher in self.watchers:
            until(lambda w=watcher: w.last_id and [int(n) for n in w.last_id.split(".")] >= [epoch, head],
                  f"{watcher.person.name} has seen {epoch}.{head}, saw {watcher.last_id}")
        for one in self.everybody():
            one.finish()
        return acknowledged

    def check(self, epochs):
        """What must hold whatever was lost. epochs: those that began while everybody watched, in order."""
        site = self.site
        n, low, high = site.rows("SELECT count(*), min(seq), max(seq) FROM event")[0]
        assert (low, high) == (1, n), f"{n} events from {low} to {high}"
        written = [e for e, in site.rows("SELECT epoch FROM epoch ORDER BY epoch")]
        assert written[len(written) - len(epochs):] == epochs, "one epoch for each failover"
        for one in self.everybody():
            resets = [int(i.split(".")[0]) for i in one.resets()]
            assert resets == epochs, f"{one.person.name} was reset to {resets}, the epochs are {epochs}"
            one.check_order(all_of_them=one in self.watchers)
        self.check_projections()

    def check_projections(self):
        for node in self.site.nodes:
            with node.operator() as operator:
                until(lambda o=operator: house.World.same_after_reload(o, "demo"), f"{node.name}'s projection equals a load")

    def missing(self, ids, text):
        there = {str(i) for i, in self.site.rows(text)}
        return [i for i in ids if i not in there]


def test_a_synchronous_failover_loses_nothing(site, shift):
    until(site.synchronous, "a synchronous standby")
    epoch, old = site.epoch(), site.primary()
    shift.visitors.wait_for(60)
    killed = time.monotonic()
    site.machine_dies(old)
    try:
        promoted = site.promoted_at(3 - old)
        # either may be the first: what waited is offered whether or not a new form has come
        until(lambda: shift.offered_after(promoted), "offers are made again")
        until(lambda: shift.answered_after(promoted), "forms are answered again")
        resumed, answered = shift.offered_after(promoted), shift.answered_after(promoted)
        shift.visitors.wait_for(40)
    finally:
        site.machine_comes_back(old)  # the next test needs both
    print(f"\nfailover: promoted {promoted - killed:.1f} s after the primary died; after that "
          f"the first form answered in {answered - promoted:.2f} s, the first offer at a desk in {resumed - promoted:.2f} s")
    assert resumed - promoted < 10
    shift.visitors.wait_for(40)
    acknowledged = shift.end()
    print(f"failover: {len(acknowledged)} forms and {sum(len(d.accepted) + len(d.done) for d in shift.desks)} commands answered")
    assert not shift.missing(acknowledged, "SELECT callback_id FROM callback")
    for desk in shift.desks:
        assert len(desk.done) > 10
        assert not shift.missing(desk.accepted, "SELECT offer_id FROM offer WHERE state = 'accepted'")
        assert not shift.missing(desk.done, "SELECT callback_id FROM callback WHERE state = 'completed'")
    assert site.epoch() > epoch
    shift.check([site.epoch()])


@pytest.mark.skipif(not os.environ.get("HA_LONG"), reason="a minute or two more: HA_LONG=1")
def test_a_primary_that_is_silent_and_wakes(site, shift):
    """Stopped as a whole for longer than ttl, as a virtual machine that is moved: its connections stay open and say
    nothing, and when it goes on it believes that it is the primary. Patroni may then promote whom it likes (3.0.2 lets
    it take the lock back); whichever it is, everybody works on, in an epoch that nobody takes for another."""
    until(lambda: site.patroni(3 - site.primary())["state"] in ("running", "streaming"), "two machines", 60)
    until(site.synchronous, "a synchronous standby")
    old = site.primary()
    stopped = time.monotonic()
    pids = site.machine_stops(old)
    try:
        promoted = site.promoted_at(3 - old)
        until(lambda: shift.offered_after(promoted), "offers are made again")
        resumed = shift.offered_after(promoted)
        shift.visitors.wait_for(30)
    finally:
        site.machine_goes_on(pids)
    print(f"\nsilent: promoted {promoted - stopped:.1f} s after the primary stopped, the first offer {resumed - promoted:.2f} s later")
    assert resumed - promoted < 10
    shift.visitors.wait_for(60, 120)
    until(lambda: site.patroni(3 - site.primary())["role"] == "replica", "there is one primary", 60)
    print(f"silent: the primary is db{site.primary()}, it was db{old}")
    shift.visitors.wait_for(20, 120)
    shift.end()
    for one in shift.everybody():
        resets = [int(i.split(".")[0]) for i in one.resets()]
        assert resets == sorted(set(resets)) and resets[-1] == site.epoch()
        one.check_order(all_of_them=one in shift.watchers)
    shift.check_projections()


def test_postgresql_crashes_on_the_primary_and_the_epoch_stays(site, shift):
    until(lambda: site.patroni(3 - site.primary())["state"] in ("running", "streaming"), "two machines", 60)
    epoch, primary = site.epoch(), site.primary()
    with site.connect(f"{site.net}.{primary}") as db:
        since = db.execute("SELECT pg_postmaster_start_time()").fetchone()[0]
    # one backend killed: PostgreSQL ends all others and recovers, as after a crash
    victim = site.rows("SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'callbackd'")[0][0]
    os.kill(victim, 9)
    shift.visitors.wait_for(30)
    assert site.primary() == primary
    with site.connect(f"{site.net}.{primary}") as db:
        assert db.execute("SELECT pg_postmaster_start_time()").fetchone()[0] == since
    acknowledged = shift.end()
    assert not shift.missing(acknowledged, "SELECT callback_id FROM callback")
    assert site.epoch() == epoch
    shift.check([])


def test_an_asynchronous_failover_loses_a_tail_and_says_so(site, shift):
    until(lambda: site.patroni(3 - site.primary())["state"] in ("running", "streaming"), "two machines", 60)
    site.configure(synchronous_mode=False)
    until(lambda: not site.synchronous(), "asynchronous")
    old = site.primary()
    standby = 3 - old
    site.part_stop(f"db{standby}")
    shift.visitors.wait_for(40)  # the standby will never have heard of these
    site.machine_dies(old)
    shift_seen = {w.person.name: w.last_id for w in shift.watchers}
    site.part_start(f"db{standby}")
    promoted = site.promoted_at(standby)
    until(lambda: shift.offered_after(promoted), "offers are made again")
    print(f"\nasynchronous: first offer {shift.offered_after(promoted) - promoted:.2f} s after the promotion")
    shift.visitors.wait_for(60)
    acknowledged = shift.end()
    lost = shift.missing(acknowledged, "SELECT callback_id FROM callback")
    assert lost, "nothing was lost: this failover did not test anything"
    after = site.rows("SELECT after_seq FROM epoch ORDER BY epoch DESC LIMIT 1")[0][0]
    for watcher in shift.watchers:
        # numbers were given out twice, for different things, and the epoch tells them apart
        assert int(shift_seen[watcher.person.name].split(".")[1]) > after
        seen = {}
        for _, event in watcher.events:
            if event["kind"] != "reset":
                seen.setdefault(int(event["id"].split(".")[1]), set()).add(event["id"])
        assert [ids for ids in seen.values() if len(ids) == 2]
    print(f"asynchronous: {len(lost)} of {len(acknowledged)} answered forms lost, events after {after} given out again")
    shift.check([site.epoch()])
