"""Figure 3: 20,000 callbacks that fall due at once, 500 agents who accept and finish each at once: offers, which are
stored before they are shown, and whole callbacks (offered, accepted, finished) a second, from the moment they are due.
"""

import time

import people
from meter import DoesNotCount, cpu

AGENTS, CALLBACKS = 500, 20_000


def verify(world, due_ms, count):
    rows = world.rows(
        "SELECT count(*), count(*) FILTER (WHERE state = 'completed'), count(DISTINCT phone) FROM callback"
        " JOIN contact USING (tenant_id, callback_id) WHERE due_at = from_ms(%s)", due_ms)[0]
    if rows != (count, count, count):
        raise DoesNotCount(f"of {count} callbacks {rows[0]} are stored, {rows[1]} completed, with {rows[2]} numbers")
    offers = world.rows(
        "SELECT count(*), count(DISTINCT callback_id), count(*) FILTER (WHERE o.state = 'accepted') FROM offer o"
        " JOIN callback USING (tenant_id, callback_id) WHERE due_at = from_ms(%s)", due_ms)[0]
    if offers != (count, count, count):
        raise DoesNotCount(f"{count} callbacks had {offers[0]} offers, {offers[2]} of them accepted")


def once(bench, world, server, desks, numbers, count):
    cluster = bench.place.cluster
    due_ms = people.now_ms() + people.LEAD_MS + count
    people.submit(world, numbers, [due_ms] * count)
    cluster.checkpoint()
    people.caught_up(world, server)
    if people.now_ms() > due_ms - 200:
        raise DoesNotCount("the callbacks were stored too late")
    time.sleep((due_ms - 100 - people.now_ms()) / 1000)
    ours, theirs = cpu(server.process.pid), cluster.cpu()
    with bench.profile(server):
        got = desks.tell("work", count, 600_000)
    took = got["finished_seconds"]
    if got["finished"] != count or got["offers"] != count:
        raise DoesNotCount(f"{got['offers']} offers came, {got['finished']} of {count} callbacks were finished")
    verify(world, due_ms, count)
    bench.must_not_count("an offer more", lambda: world.sql(
        "INSERT INTO offer SELECT tenant_id, gen_random_uuid(), seq, callback_id, agent_id, 'timeout', created_at, deadline_at,"
        " ended_at FROM offer LIMIT 1"), lambda: verify(world, due_ms, count))
    offers, whole = count / got["offers_seconds"], count / took
    bench.say(f"  {count:,} due at once: {offers:,.0f} offers/s, {whole:,.0f} callbacks/s; callbackd"
              f" {(cpu(server.process.pid) - ours) / took:.0%}, PostgreSQL {(cluster.cpu() - theirs) / took:.0%}, the desks"
              f" {got['cpu'] / took:.0%} of a core")
    return offers, whole


def measure(bench):
    agents, count = bench.size(AGENTS, 20), bench.size(CALLBACKS, 200)
    world = bench.place.world()
    server = bench.place.server(world)
    desks = people.Desks(world, server, people.staff(bench, world, server, agents))
    numbers = people.Numbers()
    try:
        bench.place.check_durable()
        results = [once(bench, world, server, desks, numbers, count) for _ in range(bench.rounds)]
    finally:
        desks.stop()
    bench.report.add("burst_offers", "offers/s", [offers for offers, _ in results], floor=3000, aim=6000)
    bench.report.add("burst_callbacks", "callbacks/s", [whole for _, whole in results])
    server.stop()
    world.check_log()
