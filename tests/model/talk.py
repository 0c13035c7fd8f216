"""Talk: a company of its own, and its database asked directly: one command, one form at a time, at a time that is told."""

import itertools
import json
import uuid


class Talk:
    def __init__(self, db, name, now):
        self.db, self.now = db, now
        self.numbers = itertools.count(1)
        self.tenant = db.execute("SELECT tenant_create(%s)", (name,)).fetchone()[0]

    def new(self):
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.tenant} {next(self.numbers)}"))

    def run(self, function, element):
        """The body of its answer, and why it was refused."""
        rows = self.db.execute(f"SELECT what, kind, body FROM {function}(%s, %s, %s) WHERE ord IS NOT NULL",
                               (self.tenant, self.now, json.dumps([element]))).fetchall()
        (what, kind, body), = rows
        return json.loads(body), kind if what == "answer" else None

    def say(self, kind, **more):
        body, refusal = self.run("execute", {"id": self.new(), "kind": kind, **more})
        assert refusal is None, f"{kind} {more}: {refusal} {body}"
        return body
