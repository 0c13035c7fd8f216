"""The fuzzers' corpus against the whole server: they know PostgreSQL by recorded answers only, so what its functions
make of odd texts and numbers is tried here. Whatever is sent, it is never a fault of the server.
"""

import json
import os
import re
import socket
import ssl

import house

CORPUS = os.path.join(house.SRC, "tests", "fuzz", "corpus")
FRAMING = re.compile(rb"(content-length|transfer-encoding|host|expect|connection|authorization)", re.IGNORECASE)
PEOPLE = ("ann", "bob", "sue", "adam")


def inputs(target):
    folder = os.path.join(CORPUS, target)
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            yield name, file.read()


class Door:
    """Raw bytes to the server, each request on a connection of its own, because some of them end it."""

    def __init__(self, world):
        self.server = world.servers[0]
        self.tls = ssl.create_default_context(cafile=world.cert[0])

    def connect(self, operator):
        if operator:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(house.DEADLINE)
            connection.connect(self.server.socket)
            return connection
        plain = socket.create_connection(("127.0.0.1", self.server.port), house.DEADLINE)
        return self.tls.wrap_socket(plain, server_hostname="127.0.0.1")

    def ask(self, request, operator=False):
        """The answer's status; its head is all that is waited for, because a stream has no end."""
        answer = b""
        with self.connect(operator) as connection:
            connection.sendall(request)
            while b"\r\n\r\n" not in answer:
                some = connection.recv(65536)
                assert some, f"no answer to {request[:200]!r}"
                answer += some
            return int(answer.split(b" ", 2)[1]), answer


def with_body(lines, body):
    length = [b"Content-Length: %d" % len(body)] if body else []
    return b"\r\n".join([*lines, b"Host: localhost", b"Connection: close", *length, b"", b""]) + body


def request_of(text, names, tokens):
    """As tests/fuzz/fuzz_command.c reads it; None for what only the fuzzers' own server should do."""
    first, _, rest = text.partition(b"\n")
    words = re.split(rb"[ \t\v\f\r]+", first.strip(b" \t\v\f\r").partition(b"\0")[0])
    if len(words) < 2 or words[1].startswith(b"/v1/test/"):
        return None, None
    head, _, body = (b"", b"", rest[1:]) if rest.startswith(b"\n") else rest.partition(b"\n\n")
    for name, value in names.items():
        words[1], head, body = (part.replace(b"$" + name, value) for part in (words[1], head, body))
    who = words[2].decode(errors="replace") if len(words) > 2 else "nobody"
    fields = [line for line in head.split(b"\n") if line and not FRAMING.match(line)]
    if who in tokens:
        fields.append(b"Authorization: Bearer " + tokens[who].encode())
    return with_body([b"%s %s HTTP/1.1" % (words[0], words[1]), *fields], body), who


def a_call(world, ann):
    """A callback in ann's hands, and being called: what the corpus means by its names."""
    asked = world.visit()
    offer = ann.offered(asked["id"])
    ann.accept(offer)
    version = ann.stream.expect("offer.accepted")["callback"]["seq"]
    call = ann.post(f"/v1/callbacks/{asked['id']}/call", {"version": version})
    names = {"callback": asked["id"], "offer": offer["id"], "attempt": call["attempt"]["id"],
             "link": world.link(asked).removeprefix("/c/")}
    return {name.encode(): value.encode() for name, value in names.items()}


def test_no_request_of_the_corpus_is_a_fault(empty):
    empty.server(limits__long_poll_ms=100)
    empty.company()
    ann = empty.person("ann", ready=True)
    names = a_call(empty, ann)
    tokens = {name: empty.person(name, stream=False).token for name in PEOPLE}
    door, tried = Door(empty), 0
    for name, text in inputs("command"):
        request, who = request_of(text, names, tokens)
        if request is None:
            continue
        status, answer = door.ask(request, who == "operator")
        assert status < 500, f"corpus/command/{name}: {answer.decode(errors='replace')}\n{request.decode(errors='replace')}"
        if request.startswith(b"DELETE /v1/session") and status == 200:
            tokens[who] = empty.person(who, stream=False).token
        tried += 1
    assert tried > 100


def test_no_company_of_the_corpus_is_a_fault(world):
    door, tried = Door(world), 0
    adam = world.person("adam", stream=False).token.encode()
    for name, text in inputs("company"):
        sender, document = text[:1], text[2:]
        if len(text) < 2 or sender not in (b"o", b"a", b"d"):
            continue
        lines = [b"PUT /v1/company%s HTTP/1.1" % (b"?dry_run=1" if sender == b"d" else b""), b"Content-Type: application/json"]
        if sender == b"a":
            lines.append(b"Authorization: Bearer " + adam)
        status, answer = door.ask(with_body(lines, document), sender != b"a")
        assert status < 500, f"corpus/company/{name}: {answer.decode(errors='replace')}\n{document.decode(errors='replace')}"
        tried += 1
    assert tried > 20


ODD = [None, True, -1, 0, 2**31, 2**53, 10**18, 10**30, 0.5, 1e300, "", " ", "x" * 5000, "\u00fc\U0001f600", "\x7f",
       "2026-11-24", "'; --", [], [None], [[]], ["x", "x"], {}, {"": 1}, {"x": {}}]


def places(value, path=()):
    """Every place in a document, the document itself too."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def with_odd(document, path, odd):
    if not path:
        return odd
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = with_odd(document[path[0]], path[1:], odd)
    return copy


def test_nothing_odd_in_a_company_is_a_fault(world):
    """Each value of the demo company, one after the other, made something that it cannot be (or can)."""
    with open(os.path.join(house.SRC, "etc", "demo.json")) as file:
        document = json.load(file)
    for agent in document["agents"]:
        del agent["password"]  # each costs a tenth of a second to hash
    seen = set()
    with world.servers[0].operator() as operator:
        for path in places(document):
            for odd in ODD:
                answer = operator.put("/v1/company?dry_run=1", json=with_odd(document, path, odd))
                assert answer.status_code in (200, 400, 422), f"{path} = {odd!r}: {answer.status_code} {answer.text}"
                seen.add(answer.status_code)
    assert seen == {200, 400, 422}


def test_nothing_odd_in_a_form_is_a_fault(empty):
    """Each field that a form has a meaning for, and one that it has none for."""
    server = empty.server()
    empty.company(forms__0__number_limit=0)
    fields = {"phone": "+49301234567", "when": "asap", "local_time": "2026-11-30T10:00", "time_zone": "Europe/Berlin",
              "name": "Carla", "email": "carla@shop.example", "language": "en", "subject": "A loan", "notes": "x",
              "consent": True, "more": "x"}
    seen = set()
    with server.client() as client:
        for name in fields:
            for odd in ODD:
                body = {"phone": fields["phone"], name: odd}
                answer = client.post("/f/demo", json=body)
                assert answer.status_code < 500, f"{body}: {answer.status_code} {answer.text}"
                seen.add(answer.status_code)
    assert {201, 422} <= seen
