"""Figure 4: 5,000 event streams over TLS: what each costs in memory, how long until all have an event that everybody
gets, and how long form posts take meanwhile. Those who get every event of a company are its supervisors; here 100
of them have 50 screens each. Every post is such an event too.
"""

import os
import subprocess

import people
import place
from meter import DoesNotCount, cpu, memory

SUPERVISORS, SCREENS = 100, 50
POSTS = 8  # a second; with two changes of status that makes ten broadcasts, 50,000 deliveries
EVERY_MS = 500


def private(pid):
    now = memory(pid)
    return now["Private_Dirty"] + now["Private_Clean"]


def posts(bench, server, first, seconds):
    program = os.path.join(place.house.BUILD, "bench_connect")
    return subprocess.Popen([program, str(server.port), "/f/bench", str(seconds), "4", str(first), str(POSTS)],
                            stdout=subprocess.PIPE, text=True)


def once(bench, world, server, desks, subscribers, number):
    seconds = 2 * bench.seconds
    stored = "SELECT count(*) FROM callback"
    before, = world.rows(stored)[0]
    theirs, ours = bench.place.cluster.cpu(), cpu(server.process.pid)
    load = posts(bench, server, number, seconds)
    # The desks listen longer than the posts last: all that was posted has been heard when they end.
    with bench.profile(server):
        heard = desks.tell("hear", (seconds + 2) * 1000 // EVERY_MS, EVERY_MS, (seconds + 60) * 1000)
    posted = place.result(load.communicate()[0])
    after, = world.rows(stored)[0]
    took = heard["seconds"]
    bench.say(f"  {heard['told']} broadcasts to {subscribers:,}: p50 {heard['p50_ms']:.1f} p99 {heard['p99_ms']:.1f} ms, the last"
              f" after {heard['last_p50_ms']:.1f} ms; {posted['answers']} posts: p50 {posted['p50_ms']:.2f} p99"
              f" {posted['p99_ms']:.2f} ms; callbackd {(cpu(server.process.pid) - ours) / took:.0%}, PostgreSQL"
              f" {(bench.place.cluster.cpu() - theirs) / took:.0%}, the desks {heard['cpu'] / took:.0%} of a core")
    if posted["refused"] or posted["errors"] or after - before != posted["answers"]:
        raise DoesNotCount(f"posts: {posted}, {after - before} stored")
    if heard["samples"] != heard["told"] * subscribers or heard["scheduled"] != posted["answers"] * subscribers:
        raise DoesNotCount(f"{subscribers} streams had {heard['samples']} changes of status in {heard['told']} broadcasts,"
                           f" and {heard['scheduled']} new callbacks of {posted['answers']}")
    return heard, posted


def measure(bench):
    screens = bench.size(SCREENS, 2)
    world = bench.place.world()
    server = bench.place.server(world)
    tokens = people.staff(bench, world, server, bench.size(SUPERVISORS, 10), screens, role="supervisor")
    before = private(server.process.pid)
    desks = people.Desks(world, server, tokens, "streams")
    people.caught_up(world, server)  # that they are connected is an event too
    each = (private(server.process.pid) - before) / len(tokens) / 1000
    bench.say(f"  {len(tokens):,} subscribers: {each:.1f} kB private memory each")
    try:
        results = [once(bench, world, server, desks, len(tokens), 10_000_000 + 1_000_000 * i) for i in range(bench.rounds)]
    finally:
        desks.stop()
        server.stop()
    bench.report.add("subscriber_memory", "kB", [each], better="less", floor=20, aim=14)
    for name in ("p50", "p99"):
        bench.report.add(f"broadcast_{name}", "ms", [heard[f"{name}_ms"] for heard, _ in results], better="less")
    bench.report.add("broadcast_posts_p99", "ms", [posted["p99_ms"] for _, posted in results], better="less", floor=10)
