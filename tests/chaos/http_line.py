"""One client's line to the nodes: keeps a connection, and when it fails goes to another node. Small, because
hundreds of requests a second are to come out of what the nodes leave of two cores."""

import http.client
import json
import queue
import random
import socket
import ssl
import threading
import time

TIMEOUT_S = 6
SILENCE_S = 3  # heartbeats come every half second


def context(certificate):
    it = ssl.create_default_context(cafile=certificate)
    it.check_hostname = False  # the nodes' addresses are made up, the certificate is not
    return it


def connection(node, tls, timeout):
    host, port = node.rsplit(":", 1)
    return http.client.HTTPSConnection(host, int(port), timeout=timeout, context=tls)


class Line:
    def __init__(self, config, record, rnd):
        self.nodes, self.tls, self.record, self.rnd = config["nodes"], context(config["certificate"]), record, rnd
        self.node, self.link, self.token = rnd.choice(self.nodes), None, None
        self.stop = threading.Event()
        self.numbers = 0
        self.lock = threading.Lock()

    def drop(self):
        if self.link is not None:
            self.link.close()
        self.link, self.node = None, self.rnd.choice(self.nodes)

    def once(self, method, path, body, headers, link=None):
        """(status, body); raises OSError or HTTPException when there was no answer."""
        mine = link or self.link
        if mine is None:
            mine = self.link = connection(self.node, self.tls, TIMEOUT_S)
        head = {"Content-Type": "application/json", "Accept": "application/json", **headers}
        if self.token:
            head["Authorization"] = "Bearer " + self.token
        mine.request(method, path, None if body is None else json.dumps(body), head)
        answer = mine.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}

    def ask(self, op, method, path, body=None, key=None, patience_s=25, twin=False, **more):
        """Until there is an answer that says something, with the same key each time. (0, {}) when patience was at an end:
        then nobody knows whether it happened. What was sent and what was answered is recorded."""
        with self.lock:
            self.numbers += 1
            n = self.numbers
        headers = {"Idempotency-Key": key} if key else {}
        link = connection(self.rnd.choice(self.nodes), self.tls, TIMEOUT_S) if twin else None
        began, tries = time.monotonic(), 0
        self.record.add("sent", n=n, op=op, method=method, path=path, body=body, key=key, **more)
        while True:
            tries += 1
            try:
                status, answer = self.once(method, path, body, headers, link)
            except (OSError, http.client.HTTPException, ValueError) as error:
                status, answer = 0, {"error": repr(error)}
                if link is None:
                    self.drop()
                else:
                    link.close()
                    link = connection(self.rnd.choice(self.nodes), self.tls, TIMEOUT_S)
            if status not in (0, 503, 429):
                break
            # without a key it may not be said again, unless it was surely not heard
            if time.monotonic() - began > patience_s or key is None and status == 0 and method != "GET":
                status, answer = 0, answer
                break
            self.stop.wait(self.rnd.uniform(0.02, 0.3))
        if link is not None:
            link.close()
        self.record.add("answered", n=n, op=op, status=status, body=answer, tries=tries)
        return status, answer


class Stream(threading.Thread):
    """Reads events, on and on, from whatever node answers; each resumes where the last one broke off."""

    def __init__(self, line, seed):
        super().__init__(daemon=True)
        self.line, self.rnd = line, random.Random(seed)
        self.last_id, self.inbox = None, queue.Queue()
        self.away_s = 0  # the laptop's lid is closed for so long
        self.start()

    def run(self):
        while not self.line.stop.is_set():
            try:
                self.read_one()
            except (OSError, http.client.HTTPException, ValueError):
                pass
            self.line.stop.wait(self.away_s or self.rnd.uniform(0.02, 0.4))
            self.away_s = 0

    def read_one(self):
        token = self.line.token
        if token is None:
            return
        node = self.rnd.choice(self.line.nodes)
        link = connection(node, self.line.tls, SILENCE_S)
        until = time.monotonic() + self.rnd.uniform(1, 15)
        try:
            head = {"Accept": "text/event-stream", "Authorization": "Bearer " + token}
            if self.last_id:
                head["Last-Event-ID"] = self.last_id
            link.request("GET", "/v1/events", None, head)
            answer = link.getresponse()
            if answer.status != 200:
                if answer.status == 401:
                    self.inbox.put({"kind": "unauthorized", "token": token})
                self.line.record.add("stream_refused", node=node, status=answer.status)
                return
            self.line.record.add("stream", node=node, after=self.last_id)
            self.take(answer, until)
        finally:
            link.close()

    def take(self, answer, until):
        fields = {}
        while not self.line.stop.is_set() and time.monotonic() < until and not self.away_s:
            line = answer.readline()
            if not line:
                return
            line = line.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            if "id" in fields and self.last_id is None:
                self.line.record.add("cursor", id=fields["id"])
            if "data" in fields:
                event = json.loads(fields["data"])
                self.line.record.add("event", id=fields["id"], kind=event["kind"])
                self.inbox.put(event)
            self.last_id = fields.get("id", self.last_id)
            fields = {}


def reachable(node):
    host, port = node.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 1).close()
        return True
    except OSError:
        return False
