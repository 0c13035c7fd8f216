"""What the stories of an attack need beside the house: raw connections that say exactly these bytes, crowds of
them, and a watchman who says what it cost the server: how late its loop was, how large it grew, what it logged.
The attackers stand for other machines, so they leave the processor to the server.
"""

import concurrent.futures
import contextlib
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

import house

SANITIZED = "libasan" in subprocess.run(["ldd", house.CALLBACKD], capture_output=True, text=True, check=False).stdout
# The loop's own lateness, above which a story fails. With the sanitizers everything is several times slower.
LAG_LIMIT_US = 100_000 if SANITIZED else 10_000
MEGABYTE = 1 << 20
# for what takes long and whose code other stories run with the sanitizers
STRICT_ONLY = pytest.mark.skipif(SANITIZED, reason="the strict build runs it")


def request(head=b"", body=b"", path=b"/f/demo", method=b"POST", kind=b"application/json"):
    return (method + b" " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: " + kind + b"\r\n" + head + b"\r\n" + body)


def post(body, head=b"", **more):
    return request(head + b"Content-Length: %d\r\n" % len(body), body, **more)


def statuses(text):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", text)]


def plain(server, source=None):
    """A TCP connection to the HTTPS door that says nothing yet."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=house.DEADLINE,
                                    source_address=(source, 0) if source else None)


def context(server):
    context = getattr(server, "client_context", None)
    if context is None:
        context = server.client_context = ssl.create_default_context(cafile=server.world.cert[0])
    return context


def tls(server, source=None, buffer=None):
    """A connection whose handshake is done; buffer: it takes in no more than that (about)."""
    connection = plain(server, source)
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    return context(server).wrap_socket(connection, server_hostname="localhost")


class HalfTls:
    """TLS by hand, for what a well-behaved library does not do: close one direction and read on."""

    def __init__(self, server):
        self.raw = plain(server)
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context(server).wrap_bio(self.coming, self.going, server_hostname="localhost")
        self.run(self.ssl.do_handshake)

    def run(self, what):
        while True:
            try:
                return what()
            except ssl.SSLWantReadError:
                self.flush()
                some = self.raw.recv(65536)
                if some:
                    self.coming.write(some)
                else:
                    self.coming.write_eof()
            finally:
                self.flush()

    def flush(self):
        if self.going.pending:
            self.raw.sendall(self.going.read())

    def say(self, data):
        self.run(lambda: self.ssl.write(data))

    def close_sending(self, notify):
        if notify:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.ssl.unwrap()
            self.flush()
        self.raw.shutdown(socket.SHUT_WR)

    def all_of(self):
        text = b""
        while True:
            try:
                some = self.run(lambda: self.ssl.read(65536))
            except (ssl.SSLError, OSError):
                return text
            if not some:
                return text
            text += some

    def close(self):
        self.raw.close()


def all_of(connection):
    """All that comes until the server ends the connection, however it does."""
    text = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while some := connection.recv(65536):
            text += some
    return text


def say(server, data, **more):
    """Says it on a connection of its own, and returns all that is answered until the end of that."""
    with tls(server, **more) as connection:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            connection.sendall(data)
        return all_of(connection)


def drip(connection, data, every_s=0.05):
    """A byte now and then, until all is said or the server has had enough; True: it has."""
    for i in range(len(data)):
        try:
            connection.settimeout(house.DEADLINE)
            connection.sendall(data[i:i + 1])
            connection.settimeout(every_s)
            if connection.recv(65536) == b"":
                return True
        except TimeoutError:
            continue
        except (ConnectionError, ssl.SSLError):
            return True
    return False


def crowd(job, number, threads=16):
    """job(0) to job(number - 1), many at once; their results. They yield to whoever else wants the processor."""
    with concurrent.futures.ThreadPoolExecutor(threads, initializer=yield_to_others) as pool:
        return list(pool.map(job, range(number)))


def yield_to_others():
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def metrics(server):
    with server.operator() as operator:
        text = operator.get("/metrics").text
    return {name: float(value) for name, value in re.findall(r"^callbackd_(\S+) (\S+)$", text, re.M)}


def memory(server, what="VmRSS"):
    with open(f"/proc/{server.process.pid}/status") as file:
        return int(re.search(rf"{what}:\s+(\d+) kB", file.read()).group(1)) * 1024


def cpu_s(server):
    with open(f"/proc/{server.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


class Watch:
    """What an attack costs. Counts are differences from the beginning; used as a context, it judges at the end."""

    def __init__(self, server, grow=8 * MEGABYTE):
        self.server, self.grow = server, grow

    def __enter__(self):
        self.before = metrics(self.server)
        # what was the peak before does not matter
        with open(f"/proc/{self.server.process.pid}/clear_refs", "w") as file:
            file.write("5")
        self.size = memory(self.server)
        self.descriptors = descriptors(self.server)
        self.mark = os.path.getsize(self.server.log)
        self.cpu = cpu_s(self.server)
        return self

    def count(self, name):
        return metrics(self.server)[name] - self.before[name]

    def late(self):
        """The ticks of the loop that came too late by its own doing. Who computed for less than half of the limit was
        kept by a disk or a late timer of the machine, which may be, but not for long."""
        ticks = re.findall(r"loop_late_us=\d+ own_us=(\d+) cpu_us=(\d+).*", self.log())
        return [(own, cpu) for own, cpu in (map(int, tick) for tick in ticks)
                if own > LAG_LIMIT_US and (cpu > LAG_LIMIT_US / 2 or own > 5 * LAG_LIMIT_US)]

    def all_gone(self, open_ones=0, spare=2):
        """Waits until no more connections are open than at the beginning but for those, and their descriptors are closed,
        which is a moment later (spare: the server's own business)."""
        self.server.world.until(lambda: self.count("connections_open") <= open_ones, "all connections are gone")
        self.server.world.until(lambda: descriptors(self.server) <= self.descriptors + open_ones + spare,
                                f"not more descriptors than {self.descriptors}")

    def log(self):
        with open(self.server.log, "rb") as file:
            file.seek(self.mark)
            return file.read().decode(errors="replace")

    def dropped(self, why):
        return self.log().count(f'why="{why}"')

    def __exit__(self, kind, *rest):
        if kind is not None:
            return
        assert self.server.process.poll() is None
        now = metrics(self.server)
        own, wall = now["loop_lag_own_worst_seconds"], now["loop_lag_worst_seconds"]
        # said by the log as much as counted
        assert now["loop_lag_own_seconds_count"] > self.before["loop_lag_own_seconds_count"]
        grown = memory(self.server, "VmHWM") - self.size
        print(f"own lag worst {own * 1000:.1f} ms, wall {wall * 1000:.1f} ms, grown {grown / MEGABYTE:.1f} MB, "
              f"cpu {cpu_s(self.server) - self.cpu:.2f} s")
        assert not self.late(), f"(own, processor) in us: {self.late()}"
        # ASan keeps what was freed for a while
        assert grown < self.grow * (8 if SANITIZED else 1), f"grown by {grown / MEGABYTE:.1f} MB"
