"""PROFILE=1: where the time went, by perf, of callbackd and of the PostgreSQL processes that it uses. The numbers of such
a run are worth less: perf costs some itself.
"""

import contextlib
import os
import subprocess

LINES = 15
# Who called whom, of callbackd: the libraries have no frame pointers, so the stack is kept and unwound.
HOW = {"callbackd": ["--call-graph", "dwarf,8192"], "PostgreSQL": []}


def backends(cluster, database):
    """The processes that serve connections to it."""
    rows = cluster.sql("postgres", "SELECT pid FROM pg_stat_activity WHERE datname = %s", database)
    return [pid for pid, in rows]


def report(path, *more):
    text = subprocess.run(["perf", "report", "-i", path, "--stdio", "-g", "none", *more], capture_output=True, text=True).stdout
    return [line.rstrip(" -") for line in text.splitlines() if line.strip() and not line.startswith("#")]


def top(path, keys):
    return report(path, "--no-children", "-s", keys)[:LINES]


def called(path):
    """Our own functions, each with all that it calls."""
    return [line for line in report(path, "--children", "-s", "dso,symbol") if " callbackd " in line][:3 * LINES]


@contextlib.contextmanager
def recorded(bench, server):
    targets = {"callbackd": [server.process.pid],
               "PostgreSQL": backends(bench.place.cluster, server.world.database)}
    recording = {}
    for name, pids in targets.items():
        path = os.path.join(bench.place.dir, f"perf.{name}")
        recording[name] = path, subprocess.Popen(
            ["perf", "record", "-q", "-F", "397", *HOW[name], "-o", path, "-p", ",".join(map(str, pids))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        for name, (path, process) in recording.items():
            process.terminate()
            process.wait()
            for keys in ("dso", "dso,symbol"):
                bench.say(f"    {name} by {keys}:")
                for line in top(path, keys):
                    bench.say(f"    {line}")
        bench.say("    callbackd by its own functions, with all that they call:")
        for line in called(recording["callbackd"][0]):
            bench.say(f"    {line}")


def available():
    try:
        subprocess.run(["perf", "--version"], check=True, capture_output=True)
        return True
    except (OSError, subprocess.CalledProcessError):
        return False
