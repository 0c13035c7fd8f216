"""What is measured, and how it is said: processor time and memory of processes out of /proc, medians, the table,
and one line a figure at the end: BENCH name value unit ratio.
"""

import os
import statistics

TICK = os.sysconf("SC_CLK_TCK")


class DoesNotCount(Exception):
    """A run whose numbers say nothing: rows are missing, numbers were repeated, a check was off."""


def stat(pid):
    """Fields of /proc/PID/stat from the third on: the second may hold blanks."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(") ")[2].split()


def cpu(pid):
    """Seconds of processor time of one process, user and system, its threads included."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICK


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if int(stat(name)[1]) == pid:
                    found.append(int(name))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


def cpu_family(pid):
    """Of a process and all its children, those that ended included. A child that ends meanwhile moves from the
    list to the parent's account: read again when that happened."""
    while True:
        before = stat(pid)
        total = sum(int(n) for n in before[11:15])
        for child in children(pid):
            try:
                total += sum(int(n) for n in stat(child)[11:15])
            except (FileNotFoundError, ProcessLookupError):
                pass
        if stat(pid)[13:15] == before[13:15]:
            return total / TICK


def memory(pid):
    """Bytes by name of /proc/PID/smaps_rollup: Rss, Private_Dirty ..."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        rows = [line.split() for line in file]
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if row[-1] == "kB"}


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def plain(value):
    """For the last lines: a number that any program reads."""
    return "-" if value is None else f"{value:.6g}"


class Report:
    """All that was measured. A row is a figure's value beside the yardstick's, medians of the rounds."""

    def __init__(self, judges=True):
        self.rows, self.failed, self.judges = [], [], judges

    def add(self, name, unit, values, beside=None, beside_name="", floor=None, aim=None, better="more", of="value"):
        """values, beside: one a round. of: what floor and aim are about, "value" or "ratio". The ratio is ours to
        theirs when more is better, and theirs to ours when less is: above 1 is always better than the yardstick."""
        value, other = statistics.median(values), statistics.median(beside) if beside else None
        ratio = None
        if other:
            ratio = value / other if better == "more" else other / value if value else None
        self.rows.append({"name": name, "unit": unit, "value": value, "values": values, "beside": other,
                          "besides": beside or [], "beside_name": beside_name, "ratio": ratio, "floor": floor,
                          "aim": aim, "better": "more" if of == "ratio" else better, "of": of})

    def does_not_count(self, name, why):
        self.failed.append((name, str(why)))
        print(f"{name} DOES NOT COUNT: {why}", flush=True)

    @staticmethod
    def met(row, limit):
        shown = row["ratio"] if row["of"] == "ratio" else row["value"]
        if shown is None:
            return False
        return shown >= limit if row["better"] == "more" else shown < limit

    def missed(self):
        return [row["name"] for row in self.rows if self.judges and row["floor"] is not None and not self.met(row, row["floor"])]

    @staticmethod
    def spread(values):
        return f"{number(statistics.median(values))} [{number(min(values))}..{number(max(values))}]" if values else "-"

    def verdict(self, row):
        if row["floor"] is None or not self.judges:
            return "-"
        sign = ">=" if row["better"] == "more" else "<"
        what = "ratio " if row["of"] == "ratio" else ""
        aim = f" ({number(row['aim'])})" if row["aim"] is not None else ""
        said = "met" if self.met(row, row["floor"]) else "MISSED"
        return f"{what}{sign} {number(row['floor'])}{aim}: {said}"

    def show(self):
        table = [("figure", "median [least..most]", "unit", "beside", "ratio", "floor (aim)")]
        for row in self.rows:
            beside = f"{row['beside_name']} {self.spread(row['besides'])}" if row["besides"] else "-"
            table.append((row["name"], self.spread(row["values"]), row["unit"], beside, number(row["ratio"]),
                          self.verdict(row)))
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
        print()
        for line in table:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        print("\nA ratio above 1 is better than what stands beside it.")
        for name, why in self.failed:
            print(f"{name} DOES NOT COUNT: {why}")
        for name in self.missed():
            print(f"{name} MISSED its floor")
        print()
        for row in self.rows:
            print(f"BENCH {row['name']} {plain(row['value'])} {row['unit']} {plain(row['ratio'])}")
