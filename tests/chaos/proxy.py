"""Between a node and PostgreSQL: understands just enough of the protocol to lose a connection at the worst moment.

A fault that was ordered happens to the next batch, that is the next Bind of the statement submit or execute:
  lose_request   the connection is gone before PostgreSQL hears of it
  lose_answer    PostgreSQL has committed (its ReadyForQuery is here), but the node never learns
  lose_race      the node's side is gone while PostgreSQL is still at work: the second copy meets the first
cut() drops every connection at once, whatever is under way.
"""

import asyncio
import threading

BATCHES = (b"submit", b"execute")


class Link:
    """One connection of a node, and ours to PostgreSQL in its stead."""

    def __init__(self, proxy, node, node_writer):
        self.proxy, self.node, self.node_writer = proxy, node, node_writer
        self.syncs = self.readies = 0  # asked by the node, answered by PostgreSQL
        self.fault, self.fault_sync = None, 0

    def close(self, *writers):
        for writer in writers:
            if writer is not None:
                writer.transport.abort()

    async def run(self):
        self.server_writer = None
        try:
            server, self.server_writer = await asyncio.open_unix_connection(self.proxy.upstream)
            forth, back = asyncio.ensure_future(self.forth()), asyncio.ensure_future(self.back(server))
            await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
            if self.fault == "lose_race":
                await asyncio.wait({back}, timeout=20)
            forth.cancel()
            back.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)
        except OSError:
            pass
        self.close(self.node_writer, self.server_writer)

    async def forth(self):
        length = await self.node.readexactly(4)
        self.server_writer.write(length + await self.node.readexactly(int.from_bytes(length, "big") - 4))
        while True:
            head = await self.node.readexactly(5)
            body = await self.node.readexactly(int.from_bytes(head[1:], "big") - 4)
            if head[:1] == b"B" and body.split(b"\0", 2)[1] in BATCHES and self.fault is None and self.proxy.orders:
                self.fault, self.fault_sync = self.proxy.orders.pop(0), self.syncs + 1
                self.proxy.done.append(self.fault)
                if self.fault == "lose_request":
                    return
            self.server_writer.write(head + body)
            if head[:1] == b"S":
                self.syncs += 1
                if self.fault == "lose_race" and self.syncs == self.fault_sync:
                    await self.server_writer.drain()
                    self.close(self.node_writer)
                    return
            await self.server_writer.drain()

    async def back(self, server):
        while True:
            head = await server.readexactly(5)
            body = await server.readexactly(int.from_bytes(head[1:], "big") - 4)
            last = head[:1] == b"Z" and self.syncs > 0
            self.readies += last
            # what was answered before the batch is still told
            lost = self.fault is not None and self.readies + (not last) >= self.fault_sync
            if lost and last:
                return
            if not lost:
                self.node_writer.write(head + body)
                await self.node_writer.drain()


class Proxy:
    """Of one node. Runs on the loop of Proxies."""

    def __init__(self, upstream):
        self.upstream, self.orders, self.done, self.links = upstream, [], [], set()

    async def listen(self, address, port):
        self.server = await asyncio.start_server(self.on_link, address, port, limit=1 << 20)
        return self.server.sockets[0].getsockname()[1]

    async def on_link(self, reader, writer):
        link = Link(self, reader, writer)
        self.links.add(link)
        try:
            await link.run()
        except (asyncio.IncompleteReadError, ConnectionError):
            link.close(writer, link.server_writer)
        finally:
            self.links.discard(link)

    def cut_now(self):
        for link in list(self.links):
            link.close(link.node_writer, link.server_writer)


class Proxies(threading.Thread):
    def __init__(self, upstream):
        super().__init__(daemon=True)
        self.upstream, self.loop = upstream, asyncio.new_event_loop()
        # a connection that was cut while a task read from it is what this is for: not worth a line
        self.loop.set_exception_handler(lambda loop, context: None)
        self.start()

    def run(self):
        self.loop.run_forever()

    def open(self, address):
        """(proxy, port)"""
        proxy = Proxy(self.upstream)
        return proxy, asyncio.run_coroutine_threadsafe(proxy.listen(address, 0), self.loop).result(10)

    def order(self, proxy, fault):
        self.loop.call_soon_threadsafe(proxy.orders.append, fault)

    def cut(self, proxy):
        self.loop.call_soon_threadsafe(proxy.cut_now)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join(5)
