"""Requests that two programs on the way could cut in two ways. Behind each lies another one, which would do
something: it must not be done when the first is not plain. The legal ones beside them are, and then both are."""

import re

import pytest

import siege

BODY = b'{"phone":"+49 30 1111111"}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKS = b"1a\r\n" + BODY + b"\r\n0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = siege.post(b'{"phone":"+49 30 2222222"}')
assert len(BODY) == 0x1a


def start(line, head=LENGTH, body=BODY):
    return line + b"\r\nHost: x\r\nContent-Type: application/json\r\n" + head + b"\r\n" + body


@pytest.fixture(scope="module")
def server(module_world):
    server = module_world.server(limits__header_ms=700, limits__body_ms=700, limits__idle_ms=1000)
    module_world.company(forms__0__number_limit=0)
    return server


TWISTED = {
    "length and chunked": siege.request(LENGTH + CHUNKED, CHUNKS),
    "chunked and length": siege.request(CHUNKED + LENGTH, CHUNKS),
    "chunked and a length of nothing": siege.request(CHUNKED + b"Content-Length: 0\r\n", CHUNKS),
    "two lengths": siege.request(LENGTH + b"Content-Length: 0\r\n", BODY),
    "the same length twice": siege.request(LENGTH * 2, BODY),
    "lengths in a list": siege.request(b"Content-Length: 26, 26\r\n", BODY),
    "a signed length": siege.request(b"Content-Length: +26\r\n", BODY),
    "a negative length": siege.request(b"Content-Length: -26\r\n", BODY),
    "a length in hex": siege.request(b"Content-Length: 0x1a\r\n", BODY),
    "a length with a letter": siege.request(b"Content-Length: 26a\r\n", BODY),
    "a length with a point": siege.request(b"Content-Length: 26.0\r\n", BODY),
    "a length in two words": siege.request(b"Content-Length: 2 6\r\n", BODY),
    "an empty length": siege.request(b"Content-Length:\r\n", BODY),
    "a length of 2^64": siege.request(b"Content-Length: 18446744073709551616\r\n", BODY),
    "a length of 2^64 and 26": siege.request(b"Content-Length: 18446744073709551642\r\n", BODY),
    "a space before the colon": siege.request(b"Content-Length : 26\r\n", BODY),
    "a tab before the colon": siege.request(b"Content-Length\t: 26\r\n", BODY),
    "chunked with a space before the colon": siege.request(b"Transfer-Encoding : chunked\r\n", CHUNKS),
    "chunked twice": siege.request(CHUNKED * 2, CHUNKS),
    "chunked, chunked": siege.request(b"Transfer-Encoding: chunked, chunked\r\n", CHUNKS),
    "chunked, identity": siege.request(b"Transfer-Encoding: chunked, identity\r\n", CHUNKS),
    "identity": siege.request(b"Transfer-Encoding: identity\r\n" + LENGTH, BODY),
    "xchunked": siege.request(b"Transfer-Encoding: xchunked\r\n", CHUNKS),
    "chunked in quotes": siege.request(b'Transfer-Encoding: "chunked"\r\n', CHUNKS),
    "chunked with a parameter": siege.request(b"Transfer-Encoding: chunked;q=1\r\n", CHUNKS),
    "chunked behind a vertical tab": siege.request(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS),
    "chunked and a NUL": siege.request(b"Transfer-Encoding: chunked\0\r\n", CHUNKS),
    "chunked in HTTP/1.0": start(b"POST /f/demo HTTP/1.0", CHUNKED, CHUNKS),
    "chunked in a folded line": siege.request(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKS),
    "a folded line": siege.request(b"X-A: b\r\n c\r\n" + LENGTH, BODY),
    "a line folded by a tab": siege.request(b"X-A: b\r\n\tTransfer-Encoding: chunked\r\n" + LENGTH, BODY),
    "a folded first line": start(b"POST /f/demo HTTP/1.1\r\n X: a"),
    "a line without a colon": siege.request(b"nothing\r\n" + LENGTH, BODY),
    "a line without a name": siege.request(b": nothing\r\n" + LENGTH, BODY),
    "a name with a space": siege.request(b"X A: b\r\n" + LENGTH, BODY),
    "a name with a NUL": siege.request(b"X\0A: b\r\n" + LENGTH, BODY),
    "a name that is not ASCII": siege.request(b"X\xc3\xa4: b\r\n" + LENGTH, BODY),
    "a value with a NUL": siege.request(b"X-A: b\0c\r\n" + LENGTH, BODY),
    "a value with a CR": siege.request(b"X-A: b\rTransfer-Encoding: chunked\r\n" + LENGTH, BODY),
    "a line that ends in LF": siege.request(b"X-A: b\n" + LENGTH, BODY),
    "a hidden line behind LF": siege.request(b"X-A: b\nTransfer-Encoding: chunked\r\n", CHUNKS),
    "all lines end in LF": siege.request(LENGTH).replace(b"\r\n", b"\n") + BODY,
    "a head that ends in LF": siege.request(LENGTH)[:-2] + b"\n" + BODY,
    "a first line that ends in LF": start(b"POST /f/demo HTTP/1.1").replace(b"\r\n", b"\n", 1),
    "two spaces in the first line": start(b"POST  /f/demo HTTP/1.1"),
    "a tab in the first line": start(b"POST\t/f/demo\tHTTP/1.1"),
    "a space in the path": start(b"POST /f/de mo HTTP/1.1"),
    "a word too many": start(b"POST /f/demo HTTP/1.1 HTTP/1.1"),
    "no version": start(b"POST /f/demo"),
    "a version of its own": start(b"POST /f/demo HTTP/1.x"),
    "a newer version": start(b"POST /f/demo HTTP/2.0"),
    "no Host": b"POST /f/demo HTTP/1.1\r\nContent-Type: application/json\r\n" + LENGTH + b"\r\n" + BODY,
    "two Hosts": siege.request(b"Host: y\r\n" + LENGTH, BODY),
    "a chunk without its end": siege.request(CHUNKED, b"1a\r\n" + BODY + b"0\r\n\r\n"),
    "a chunk that is longer than it says": siege.request(CHUNKED, b"19\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a signed chunk": siege.request(CHUNKED, b"+1a\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a negative chunk": siege.request(CHUNKED, b"-1a\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk of 0x1a": siege.request(CHUNKED, b"0x1a\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk behind a space": siege.request(CHUNKED, b" 1a\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk with a space behind": siege.request(CHUNKED, b"1a \r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk with an underscore": siege.request(CHUNKED, b"1_a\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk without a size": siege.request(CHUNKED, b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk of 2^64": siege.request(CHUNKED, b"1000000000000001a\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk line that ends in CR": siege.request(CHUNKED, b"1a\r" + BODY + b"\r\n0\r\n\r\n"),
    "an extension with a quoted end": siege.request(CHUNKED, b'1a;a="\r\n"\r\n' + BODY + b"\r\n0\r\n\r\n"),
    "CONNECT": start(b"CONNECT x:443 HTTP/1.1", b"", b""),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("how", TWISTED)
def test_what_can_be_cut_in_two_ways_ends_its_connection(server, how):
    before = stored(server, 2)
    answers = siege.statuses(siege.say(server, TWISTED[how] + SMUGGLED))
    assert stored(server, 2) == before, f"the second request was done: {answers}"
    # libmicrohttpd 0.9.75 says its own refusal of a wrong length twice, and closes
    assert answers in ([400], [413], [505], [501], [], [400, 400], [413, 413]), answers


PLAIN = {
    "a length": (siege.post(BODY), [201, 201]),
    "chunked": (siege.request(CHUNKED, CHUNKS), [201, 201]),
    "chunked in capitals": (siege.request(b"Transfer-Encoding: CHUNKED\r\n", CHUNKS), [201, 201]),
    "blanks before a value": (siege.request(b"Content-Length:\t 26\r\n", BODY), [201, 201]),
    "blanks around a value": (siege.request(b"X-A:\t 26 \t\r\n" + LENGTH, BODY), [201, 201]),
    "an empty value": (siege.request(b"X-A:\r\nX-B: \r\n" + LENGTH, BODY), [201, 201]),
    "a method in small letters": (start(b"post /f/demo HTTP/1.1"), [405, 201]),
    # Between chunks libmicrohttpd takes LF for an end of line, and nobody is shown that. So does the whole of it.
    "a chunk line that ends in LF": (siege.request(CHUNKED, b"1a\n" + BODY + b"\r\n0\r\n\r\n"), [201, 201]),
    "a chunk that ends in LF": (siege.request(CHUNKED, b"1a\r\n" + BODY + b"\n0\r\n\r\n"), [201, 201]),
    "an extension with LF": (siege.request(CHUNKED, b"1a;a=\n" + BODY + b"\r\n0\r\n\r\n"), [201, 201]),
    "an end in LF": (siege.request(CHUNKED, b"1a\r\n" + BODY + b"\r\n0\n\n"), [201, 201]),
    "no blank": (siege.request(b"Content-Length:26\r\n", BODY), [201, 201]),
    "many chunks": (siege.request(CHUNKED, b"".join(b"1\r\n%c\r\n" % c for c in BODY) + b"0\r\n\r\n"), [201, 201]),
    "a size with zeros": (siege.request(CHUNKED, b"0000001A\r\n" + BODY + b"\r\n0\r\n\r\n"), [201, 201]),
    "a trailer": (siege.request(CHUNKED, b"1a\r\n" + BODY + b"\r\n0\r\nX-A: b\r\n\r\n"), [201, 201]),
    "a length in a trailer": (siege.request(CHUNKED, b"1a\r\n" + BODY + b"\r\n0\r\nContent-Length: 99\r\n\r\n"), [201, 201]),
    "an absolute address": (start(b"POST http://elsewhere/f/demo HTTP/1.1"), [201, 201]),
    "a body where none is wanted": (siege.post(BODY, path=b"/nothing"), [404, 201]),
    "a body of a GET": (siege.post(BODY, path=b"/healthz", method=b"GET"), [413, 201]),
    "an empty line before": (b"\r\n" + siege.post(BODY), [201, 201]),
}


@pytest.mark.parametrize("how", PLAIN)
def test_what_is_plain_is_done_and_so_is_what_follows(server, how):
    text, expected = PLAIN[how]
    before = stored(server, 1), stored(server, 2)
    end = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = siege.statuses(siege.say(server, text + SMUGGLED + end))
    assert answers == [*expected, 200]
    assert stored(server, 2) == before[1] + 1
    assert stored(server, 1) == before[0] + (expected[0] == 201)


def stored(server, digit):
    phone = "+4930" + str(digit) * 7
    return server.world.rows("SELECT count(*) FROM contact WHERE phone = %s", phone)[0][0]


def test_the_reason_is_told(server):
    text = siege.say(server, TWISTED["length and chunked"])
    assert re.search(rb"exclude each other", text)
    assert b"Connection: close" in text
