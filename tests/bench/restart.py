"""Figure 5: from the start of the process to its first 200 on /readyz, with 1,000,000 callbacks pending of which 200,000
are overdue in 20 requirement classes: a restart after an outage. And the memory that it takes.
"""

import socket
import time

import people
import place
from meter import DoesNotCount

PENDING, OVERDUE, CLASSES = 1_000_000, 200_000, 20
HOUR_MS = 3_600_000


def company():
    """Each form asks for a skill of its own, and so makes a class."""
    document = place.company()
    document["skills"] = [{"name": f"skill{i}"} for i in range(CLASSES)]
    form = document["forms"][0]
    document["forms"] = [{**form, "key": f"bench{i}", "skills": {f"skill{i}": 1}} for i in range(CLASSES)]
    return document


def load(bench, world, numbers):
    now = people.now_ms()
    overdue, later = bench.size(OVERDUE, 2000) // CLASSES, bench.size(PENDING - OVERDUE, 2000) // CLASSES
    forms = [form for form, in world.rows("SELECT form_id FROM form ORDER BY 1")]
    for form in forms:
        people.submit(world, numbers, [now + 24 * HOUR_MS], form)
    sources = world.rows("SELECT callback_id FROM callback ORDER BY seq")
    for source, in sources:
        # The oldest is younger than the promise's window of a day: it has not expired.
        people.copy(world, numbers, source, overdue, now - 20 * HOUR_MS, now - HOUR_MS)
        people.copy(world, numbers, source, later - 1, now + 24 * HOUR_MS, now + 600 * HOUR_MS)
    counts = world.rows("SELECT count(*), count(*) FILTER (WHERE due_at < clock_timestamp()), count(DISTINCT class_id) FROM callback")[0]
    if counts != ((overdue + later) * CLASSES, overdue * CLASSES, CLASSES):
        raise DoesNotCount(f"loaded: {counts}")


def ask_ready(port):
    """The status of /readyz, by the proxies' door: no handshake of ours is in it. 0: nobody listens yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as one:
            one.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return int(one.recv(4096).split()[1])
    except (ConnectionError, IndexError):
        return 0


def peak_memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def once(bench, server, port, what):
    began = time.monotonic()
    server.start(wait=False)
    while ask_ready(port) != 200:
        if time.monotonic() - began > 120:
            raise DoesNotCount("not ready after two minutes")
        time.sleep(0.002)
    took = time.monotonic() - began
    held = sum(people.metric(server, name) for name in ("callbacks_due", "callbacks_future"))
    memory = peak_memory(server.process.pid) / 1e6
    bench.say(f"  {what}: ready after {took:.2f} s, at most {memory:.0f} MB resident, {held:,.0f} callbacks in memory")
    server.stop()
    return took, memory


def measure(bench):
    world, port = bench.place.world(), place.free_port()
    server = bench.place.server(world, server__listen_plain=f"127.0.0.1:{port}")
    bench.place.company(server, company())
    server.stop()
    with bench.place.cluster.fresh(world.database):
        load(bench, world, people.Numbers())
        fresh = once(bench, server, port, "just after the load")
    results = [once(bench, server, port, "with statistics") for _ in range(bench.rounds)]
    bench.report.add("restart_fresh", "s", [fresh[0]], better="less", floor=2)
    bench.report.add("restart", "s", [took for took, _ in results], better="less", floor=2)
    bench.report.add("restart_memory", "MB", [memory for _, memory in [fresh, *results]], better="less", floor=100, aim=40)
