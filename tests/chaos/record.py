"""What a client sent and what it was answered: one JSON object a line, appended and never changed. Times are the
machine's monotonic clock, which all processes here share."""

import json
import os
import threading
import time


class Record:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.lock = threading.Lock()

    def add(self, what, **more):
        line = json.dumps({"what": what, "t": time.monotonic(), **more}) + "\n"
        with self.lock:
            os.write(self.file, line.encode())


def read(folder):
    """{client: [entries]}; a last line that was cut off is left out."""
    records = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".record"):
            with open(os.path.join(folder, name)) as file:
                records[name.removesuffix(".record")] = [json.loads(line) for line in file if line.endswith("\n")]
    return records
