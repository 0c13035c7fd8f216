"""That the checker can say no: for each thing that must hold, a record or a log in which it does not. What really
happened is taken, one thing in it is made wrong, and the check that is there for it has to find more than before."""

import copy

from checker import TERMINAL


def first(things):
    return next(iter(things))


def event_of(it, *kinds):
    return first(e for e in it.events if e[1] in kinds)


def append(it, event, **body):
    """The same event once more at the end, with changes of its callback."""
    changed = copy.deepcopy(event[5])
    changed["callback"].update(body)
    it.events.append((it.events[-1][0] + 1, *event[1:5], changed))


def operation(it, *ops):
    return first(o for o in it.operations if o.op in ops and o.yes and o.seq)


def entries(it, who, what="event"):
    return [e for e in it.records[who] if e["what"] == what]


def gapless(it):
    del it.events[len(it.events) // 2]


def rows(it):
    it.town.rows("UPDATE agent_status SET missed = missed + 1 RETURNING 1")


def deadlines(it):
    it.town.rows("UPDATE agent_status SET connected = false, lost_at = clock_timestamp() - interval '1 h' RETURNING 1")


def one_holder(it):
    accepted = event_of(it, "offer.accepted")
    append(it, accepted, id="another", agent=4711)
    append(it, accepted, id="another", agent=4712)


def dialled_once(it):
    append(it, event_of(it, "call.establishing"))


def transitions(it):
    append(it, event_of(it, *("callback." + s for s in TERMINAL)), state="scheduled")


def ends(it):
    append(it, event_of(it, *("callback." + s for s in TERMINAL)))


def posts(it):
    del it.callbacks[first(o for o in it.operations if o.op == "post" and o.yes).body["id"]]


def posts_twice(it):
    key = first(o for o in it.operations if o.op == "post" and o.yes).sent["key"]
    for o in it.operations:
        if o.sent.get("key") == key:
            o.sent["key"] = "somebody else's"


def acknowledged(it):
    del it.by_seq[operation(it, "accept").seq]


def once_each(it):
    operation(it, "accept").sent["key"] = operation(it, "call", "done").sent["key"]


def versions(it):
    o = first(o for o in it.operations if o.yes and o.seq and "version" in o.sent
              and o.sent["version"] == it.before.get((o.sent["callback"], o.seq)))
    o.sent["version"] -= 1


def real_time(it):
    o = operation(it, "accept", "ready")
    o.began = o.ended = max(x.ended for x in it.operations if x.ended) + 1


def statuses(it):
    it.operations[0].status = 500


def subscribers_missed(it):
    it.records["wall1"].remove(entries(it, "wall1")[7])


def subscribers_twice(it):
    it.records["wall1"].append(entries(it, "wall1")[7])


def subscribers_reset(it):
    entries(it, "agent1")[0]["kind"] = "reset"


def subscribers_foreign(it):
    foreign = first(e for e in entries(it, "wall1") if e["id"] not in {x["id"] for x in entries(it, "agent1")})
    place = it.records["agent1"].index(entries(it, "agent1")[-1])
    it.records["agent1"].insert(place, foreign)


# those that change the database's rows come last
WRONG = (gapless, one_holder, dialled_once, transitions, ends, posts, posts_twice, acknowledged, once_each, versions, real_time,
         statuses, subscribers_missed, subscribers_twice, subscribers_reset, subscribers_foreign, rows, deadlines)


def tampered(it):
    new = copy.copy(it)
    new.records, new.operations = copy.deepcopy(it.records), copy.deepcopy(it.operations)
    new.events, new.callbacks, new.by_seq = list(it.events), dict(it.callbacks), dict(it.by_seq)
    return new


def prove(it):
    """[(what was made wrong, whether it was found)]"""
    found = []
    for wrong in WRONG:
        check = "check_" + wrong.__name__
        while not hasattr(it, check):
            check = check.rsplit("_", 1)[0]
        before, new = len(getattr(it, check)()), tampered(it)
        wrong(new)
        found.append((wrong.__name__, len(getattr(new, check)()) > before))
    named = {name for name in dir(it) if name.startswith("check_")}
    covered = {c for c in named for w in WRONG if ("check_" + w.__name__).startswith(c)}
    return found + [(f"{name} is proved", False) for name in sorted(named - covered)]
