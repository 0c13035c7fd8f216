"""Figure 6: decisions of the matcher per second of processor time, in memory: 10,000 agents with 3 to 8 of 100 skills,
100,000 callbacks waiting in 500 classes, in an idle centre and in a full one; and with 1,000 waiting, for the growth.
"""

import os
import subprocess

import place

AGENTS, CLASSES, WAITING, FEW = 10_000, 500, 100_000, 1_000


def once(bench, waiting):
    program = os.path.join(place.house.BUILD, "bench_match")
    decisions = min(bench.size(30_000, 1_000), 5 * waiting)
    sizes = (bench.size(AGENTS, 500), bench.size(CLASSES, 50), waiting, decisions)
    output = subprocess.run([program, *map(str, sizes)], check=True, capture_output=True, text=True).stdout
    got = place.result(output)
    bench.say(f"  {got['waiting']:,} waiting: {got['idle']:,} decisions/s when all are free, {got['full']:,}/s in a full centre")
    return got


def measure(bench):
    many, few = [], []
    for _ in range(bench.rounds):
        many.append(once(bench, bench.size(WAITING, 5_000)))
        few.append(once(bench, FEW))
    for name in ("idle", "full"):
        bench.report.add(f"match_{name}", "decisions/s", [got[name] for got in many], [got[name] for got in few],
                         "1,000 waiting", floor=500_000, aim=2_000_000)
