#!/usr/bin/python3
"""race: eight sessions at one tenant at once: execute and submit, decided on looks that are already old,
some rolled back on purpose, some sent twice at the same time. Afterwards the log must have no gap, every answer
must be true, nobody may hold or be offered two callbacks. PGHOST, PGDATABASE, ... say where; the database has the
schema and is marked as a test. Makes a tenant of its own. Speaks TAP."""

import json
import multiprocessing
import os
import random
import sys
import threading
import uuid

import psycopg

SESSIONS = 8
BATCHES = 120
AGENTS = 24
START_MS = 1790000000000

connect = lambda: psycopg.connect(autocommit=True, options="-c search_path=callbackd,public")


def tenant_new(db):
    name = "race-" + uuid.uuid4().hex[:12]
    tenant, = db.execute("INSERT INTO tenant (name, label) VALUES (%s, %s) RETURNING tenant_id", (name, name)).fetchone()
    db.execute("INSERT INTO queue (tenant_id, queue_id, name, label, version, strategy, missed_limit, after_call_work_s, max_attempts)"
               " VALUES (%s, 1, 'q', 'Q', 0, 'ring_all', 0, 0, 50)", (tenant,))
    db.execute("INSERT INTO form (tenant_id, form_id, form_key, label, version, queue_id) VALUES (%s, 1, %s, 'F', 0, 1)", (tenant, name))
    db.execute("INSERT INTO disposition (tenant_id, disposition_id, name, label, class, version)"
               " VALUES (%s, 1, 'sold', 'Sold', 'reached', 0), (%s, 2, 'again', 'Again', 'retry', 0)", (tenant, tenant))
    db.execute("INSERT INTO agent (tenant_id, agent_id, name, label, version)"
               " SELECT %s, n, 'a' || n, 'A', 0 FROM generate_series(1, %s) n", (tenant, AGENTS))
    db.execute("INSERT INTO agent_status (tenant_id, agent_id, seq, state, since, idle_since, connected)"
               " SELECT %s, n, 0, 'ready', from_ms(%s), from_ms(%s), true FROM generate_series(1, %s) n",
               (tenant, START_MS, START_MS, AGENTS))
    return tenant


def submits(rnd):
    """Some numbers come again and again, so that there are leaders and followers."""
    return [{"id": str(uuid.UUID(int=rnd.getrandbits(128), version=4)), "form": 1, "phone": f"+49301234{rnd.randrange(400):04d}",
             "case": {}, "address": "192.0.2.1", "when": "asap", "time_zone": "Europe/Berlin"} for _ in range(rnd.randrange(1, 6))]


def commands(db, rnd, tenant):
    """What could be done next, for up to a dozen callbacks and agents, as this session sees it now."""
    new = lambda: str(uuid.UUID(int=rnd.getrandbits(128), version=4))
    out = []

    def say(kind, **members):
        out.append({"id": new(), "kind": kind, **{k: v for k, v in members.items() if v is not None}})

    pending = {}
    for offer, callback, agent in db.execute(
            "SELECT offer_id::text, callback_id::text, agent_id FROM offer WHERE tenant_id = %s AND state = 'pending'", (tenant,)):
        pending.setdefault(callback, []).append((offer, agent))
    for callback, seq, state, agent, attempt in db.execute(
            "SELECT callback_id::text, seq, state, agent_id, attempt_id::text FROM callback WHERE tenant_id = %s"
            " AND state IN ('offered', 'ready_to_call', 'establishing', 'connected', 'on_hold') ORDER BY random() LIMIT 8", (tenant,)):
        mine = dict(by=agent, role="agent", callback=callback, version=seq)
        if state == "offered":
            offer, taker = rnd.choice(pending.get(callback, [(new(), 1)]))
            kind = rnd.choice(["accept", "accept", "accept", "reject", "offer_timeout"])
            say(kind, offer=offer, **({} if kind == "offer_timeout" else {"by": taker}), role="router" if kind == "offer_timeout" else "agent")
        elif state == "ready_to_call":
            kind = rnd.choice(["call", "call", "done", "done", "give_back", "retry", "cancel"])
            say(kind, **mine, args={"disposition": rnd.choice(["sold", "again"]), "in_s": 1, "note": "n"})
        else:
            kind = {"establishing": "connected", "connected": rnd.choice(["hold", "ended"]), "on_hold": "retrieve"}[state]
            say(rnd.choice([kind, "ended"]), by=agent, role="agent", attempt=attempt)
    waiting = db.execute("SELECT callback_id::text, seq FROM callback WHERE tenant_id = %s AND state = 'scheduled' AND linked_to IS NULL"
                         " ORDER BY random() LIMIT 4", (tenant,)).fetchall()
    free = [a for a, in db.execute(
        "SELECT agent_id FROM agent_status s WHERE tenant_id = %s AND state = 'ready' AND connected"
        " AND NOT EXISTS (SELECT FROM offer o WHERE o.tenant_id = s.tenant_id AND o.agent_id = s.agent_id AND o.state = 'pending')"
        " AND NOT EXISTS (SELECT FROM callback c WHERE c.tenant_id = s.tenant_id AND c.agent_id = s.agent_id)", (tenant,))]
    rnd.shuffle(free)
    for callback, seq in waiting:
        takers, free = free[:2], free[2:]
        if takers:
            say("offer", role="router", callback=callback, version=seq, to=[{"offer": new(), "agent": a} for a in takers])
        elif rnd.random() < 0.1:
            say("cancel", role="contact", callback=callback)
    if rnd.random() < 0.3:
        agent = rnd.randrange(1, AGENTS + 1)
        say(rnd.choice(["ready", "ready", "not_ready"]), agent=agent, by=agent, role="agent")
    # consecutive commands of one kind are one run, as the server has it; sometimes that is a lie
    out.sort(key=lambda c: c["kind"])
    for n, c in enumerate(out):
        c["run"] = out[n - 1]["run"] + (out[n - 1]["kind"] != c["kind"]) if n else 1
    return out


def send(db, function, tenant, now_ms, batch):
    """[(ord, seq, refusal)]; a batch that fails is bisected."""
    try:
        rows = db.execute(f"SELECT ord, seq, CASE what WHEN 'answer' THEN kind END FROM {function}(%s, %s, %s::jsonb)"
                          " WHERE ord IS NOT NULL ORDER BY ord",
                          (tenant, now_ms, json.dumps(batch))).fetchall()
        assert [r[0] for r in rows] == list(range(len(batch))), f"{len(batch)} commands, answers {rows}"
        return rows
    except psycopg.Error as e:
        if e.sqlstate not in ("CB002", "23505") or len(batch) == 1:
            raise
    half = len(batch) // 2
    first = send(db, function, tenant, now_ms, batch[:half])
    return first + [(o + half, s, k) for o, s, k in send(db, function, tenant, now_ms, batch[half:])]


def session(number, tenant, gate, results):
    rnd = random.Random(number)
    done, undone, twins, bad = [], [], 0, []
    try:
        with connect() as db, connect() as other:
            gate.wait()
            for n in range(BATCHES):
                now_ms = START_MS + n * 700
                function = "submit" if n < 6 or rnd.random() < 0.2 else "execute"
                batch = submits(rnd) if function == "submit" else commands(db, rnd, tenant)
                if not batch:
                    continue
                if n % 7 == 6:
                    try:
                        with db.transaction(force_rollback=True):
                            send(db, function, tenant, now_ms, batch)
                    except psycopg.Error as e:
                        if e.sqlstate not in ("CB002", "23505", "25P02"):
                            raise
                    undone += [c["id"] for c in batch]
                    continue
                if n % 11 == 10:
                    # the same batch from two connections at once: as after a connection that was lost too late
                    second = []
                    twin = threading.Thread(target=lambda: second.extend(send(other, function, tenant, now_ms, batch)))
                    twin.start()
                    first = send(db, function, tenant, now_ms, batch)
                    twin.join()
                    twins += 1
                    accepted = {o: s for o, s, k in first if k is None}
                    also = {o: s for o, s, k in second if k is None}
                    # what was refused once may have become possible; what was done has one answer
                    bad += [(batch[o]["id"], s, also[o]) for o, s in accepted.items() if o in also and also[o] != s]
                    done += [(batch[o]["id"], s) for o, s in {**accepted, **also}.items()]
                else:
                    done += [(batch[o]["id"], s) for o, s, k in send(db, function, tenant, now_ms, batch) if k is None]
        results.put((done, undone, twins, bad, None))
    except BaseException as e:
        results.put((done, undone, twins, bad, f"session {number}: {e!r}"))


def holders(events):
    """Who held a callback when somebody else got it, by the log alone."""
    agent, wrong = {}, []
    for seq, kind, body in events:
        c = body.get("callback")
        if c:
            before, after = agent.get(c["id"]), c.get("agent")
            if before and after and before != after:
                wrong.append((seq, c["id"], before, after))
            agent[c["id"]] = after
            held = [i for i, a in agent.items() if after and a == after]
            if len(held) > 1:
                wrong.append((seq, after, held))
    return wrong


def main():
    with connect() as db:
        tenant = tenant_new(db)
        gate, results = multiprocessing.Barrier(SESSIONS), multiprocessing.Queue()
        workers = [multiprocessing.Process(target=session, args=(n, tenant, gate, results)) for n in range(SESSIONS)]
        for w in workers:
            w.start()
        told = [results.get() for _ in workers]
        for w in workers:
            w.join()
        one = lambda sql: db.execute(sql, {"t": tenant}).fetchone()[0]
        events = db.execute("SELECT seq, kind, body::jsonb FROM event WHERE tenant_id = %s ORDER BY seq", (tenant,)).fetchall()
        # a request's id is its callback's
        by_command = dict(db.execute("SELECT CASE kind WHEN 'callback.scheduled' THEN callback_id ELSE command_id END::text, seq FROM event"
                                     " WHERE tenant_id = %s AND (command_id IS NOT NULL OR kind = 'callback.scheduled')", (tenant,)).fetchall())
        done = [d for t in told for d in t[0]]
        kinds = {k for _, k, _ in events}
        rows = "".join(f"""
            UNION ALL SELECT count(*) FROM {table} x LEFT JOIN event e ON e.tenant_id = x.tenant_id AND e.seq = x.seq
             WHERE x.tenant_id = %(t)s AND x.seq > 0 AND e.body::jsonb -> '{name}' IS DISTINCT FROM {image}(x, x.seq)::jsonb"""
            for table, name, image in (("callback", "callback", "image_callback"), ("offer", "offer", "image_offer"),
                                       ("attempt", "attempt", "image_attempt"), ("agent_status", "status", "image_status")))
        checks = [
            ("no session broke off", [t[4] for t in told if t[4]], []),
            ("sequence numbers are 1 to n", [e[0] for e in events] == list(range(1, len(events) + 1)), True),
            ("a busy time", len(events) > 1500 and {"callback.scheduled", "callback.linked", "offer.created", "offer.accepted", "offer.rescinded", "call.ended",
                                                    "callback.completed", "callback.retry"} <= kinds, True),
            ("nobody has two offers", one("SELECT count(*) FROM (SELECT FROM offer WHERE tenant_id = %(t)s AND state = 'pending'"
                                          " GROUP BY agent_id HAVING count(*) > 1) x"), 0),
            ("nobody holds two callbacks, no callback changed hands without being let go", holders(events), []),
            ("every command that was accepted is in the log, where its answer said", [d for d in done if by_command.get(d[0]) != d[1]], []),
            ("nothing that was rolled back is", [i for t in told for i in t[1] if i in by_command], []),
            ("something was rolled back", sum(len(t[1]) for t in told) > 100, True),
            ("and nothing else is", len(set(by_command) - {d[0] for d in done}), 0),
            ("a batch sent twice at once was answered as one", [b for t in told for b in t[3]], []),
            ("which was tried", sum(t[2] for t in told) > 20, True),
            ("every row is as its last event says", one(f"SELECT sum(n) FROM (SELECT 0::bigint AS n {rows}) x"), 0),
            ("an offered callback has an offer and no other has", one(
                "SELECT count(*) FROM callback c WHERE tenant_id = %(t)s AND (state = 'offered') <> EXISTS (SELECT FROM offer o"
                " WHERE o.tenant_id = c.tenant_id AND o.callback_id = c.callback_id AND o.state = 'pending')"), 0),
        ]
    print(f"1..{len(checks)}")
    for n, (name, have, want) in enumerate(checks, 1):
        print(f"{'ok' if have == want else 'not ok'} {n} - {name}")
        if have != want:
            print(f"# have {have!r}"[:2000])
    print(f"# {len(events)} events, {len(done)} commands accepted")
    return 0 if all(have == want for _, have, want in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
